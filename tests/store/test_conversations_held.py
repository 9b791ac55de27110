"""Conversations: whose turn it is in one, whoever wants in, on every engine."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from msgspec.structs import replace

from antiphon.store import ConversationHeld
from antiphon.store.conversations import LOCK_SECONDS, Conversations
from antiphon.store.jobs import Entry
from antiphon.store.store import Store
from tests.patient import HANG_SECONDS
from tests.store.rows import OPENING, context, items, response
from tests.store.talks import NOW, add, begin, ending, held, queue

if TYPE_CHECKING:
    from antiphon.store import Database
    from antiphon.store.jobs import Jobs

pytestmark = pytest.mark.anyio

WRITERS = 8


@pytest.fixture
def talks(database: Database) -> Conversations:
    """No conversation is there yet."""
    return Conversations(database)


async def test_one_holds_a_conversation_at_a_time(talks: Conversations) -> None:
    """Again if it likes; nobody else, until it lets go."""
    await begin(talks)
    assert await talks.lock("c", tenant="a", holder="r1", now=NOW)
    assert await talks.lock("c", tenant="a", holder="r1", now=NOW)
    assert not await talks.lock("c", tenant="a", holder="r2", now=NOW)
    assert not await talks.lock("c", tenant="b", holder="r3", now=NOW)
    await talks.unlock("c", tenant="a", holder="r2")
    assert not await talks.lock("c", tenant="a", holder="r2", now=NOW)
    await talks.unlock("c", tenant="a", holder="r1")
    assert await talks.lock("c", tenant="a", holder="r2", now=NOW)


async def test_what_nobody_holds_any_more_is_freed(talks: Conversations, jobs: Jobs) -> None:
    """What was held up to a time, but for jobs."""
    for id in ("old", "new", "job"):
        await begin(talks, id)
    assert await talks.lock("old", tenant="a", holder="r1", now=NOW)
    assert await talks.lock("new", tenant="a", holder="r2", now=NOW + 1)
    await queue(talks, jobs, "r3", into="job")
    await talks.free(before=NOW)
    free = [await talks.lock(id, tenant="a", holder="r4", now=NOW) for id in ("old", "new", "job")]
    assert [True, False, False] == free


async def test_nothing_is_added_while_a_response_is_written(talks: Conversations, store: Store) -> None:
    """What it read is what stands before it."""
    await begin(talks, "c", "i1")
    assert await talks.lock("c", tenant="a", holder="r1", now=NOW)
    with pytest.raises(ConversationHeld):
        await add(talks, "i2")
    await store.save(replace(response("r1"), conversation="c"), inputs=items("r1.in"), outputs=[])
    assert await add(talks, "i2")
    assert ["i1", "r1.in", "i2"] == await held(talks)


async def test_whoever_is_silent_loses_it(talks: Conversations, store: Store) -> None:
    """And writes nothing any more, whether another holds it by then or has let it go."""
    await begin(talks)
    assert await talks.lock("c", tenant="a", holder="r1", now=NOW)
    await talks.renew(["r1", "r9"], NOW + 1)
    assert not await talks.lock("c", tenant="a", holder="r2", now=NOW + LOCK_SECONDS)
    assert await talks.lock("c", tenant="a", holder="r2", now=NOW + 1 + LOCK_SECONDS)
    late = replace(response("r1"), conversation="c")
    with pytest.raises(ConversationHeld):
        await store.save(late, inputs=items("r1.in"), outputs=[])
    await store.save(replace(response("r2"), conversation="c"), inputs=items("r2.in"), outputs=[])
    with pytest.raises(ConversationHeld):
        await store.save(late, inputs=items("r1.in"), outputs=[])
    assert ["r2.in"] == await held(talks)
    assert await store.response("r1", tenant="a") is None


async def test_a_response_outlives_its_conversation(talks: Conversations, store: Store) -> None:
    """It is kept, as a chain of its own."""
    await begin(talks, "c", "i1")
    assert await talks.lock("c", tenant="a", holder="r1", now=NOW)
    await talks.delete("c", tenant="a")
    await store.save(replace(response("r1"), conversation="c"), inputs=items("r1.in"), outputs=[])
    assert ["r1.in"] == await context(store, "r1")
    assert not await add(talks, "i2")


# Jobs


async def test_a_job_holds_its_conversation_until_it_ends(talks: Conversations, jobs: Jobs, store: Store) -> None:
    """Its input stands there at once, its output at the end; however long that takes."""
    await begin(talks, "c", "i1")
    seq = await queue(talks, jobs, "r1")
    assert ["i1", "r1.in"] == await held(talks)
    long_after = NOW + 1000 * LOCK_SECONDS
    assert not await talks.lock("c", tenant="a", holder="r2", now=long_after)
    [claim] = await jobs.claim("boot", limit=1)
    assert not await talks.lock("c", tenant="a", holder="r2", now=long_after)
    with pytest.raises(ConversationHeld):
        await add(talks, "i2", now=long_after)
    last = Entry(seq, claim.epoch, claim.parts, *ending("r1", "r1.out"))
    assert {seq} == await jobs.append([last])
    assert ["i1", "r1.in", "r1.out"] == await held(talks)
    assert ["i1", "r1.in", "r1.out"] == await context(store, "r1")
    assert await talks.lock("c", tenant="a", holder="r2", now=NOW)


@pytest.mark.parametrize("status", ["cancelled", "failed"])
async def test_a_job_that_is_ended_lets_its_conversation_go(talks: Conversations, jobs: Jobs, status: str) -> None:
    """Before it was begun or in the middle, with what it said so far."""
    await begin(talks)
    seq = await queue(talks, jobs, "r1")
    await jobs.end(seq, lambda _: ending("r1", status=status))
    seq = await queue(talks, jobs, "r2")
    await jobs.claim("boot", limit=1)
    await jobs.end(seq, lambda _: ending("r2", "r2.cut", status=status))
    assert ["r1.in", "r2.in", "r2.cut"] == await held(talks)
    assert await add(talks, "i1")


async def test_a_job_that_has_ended_holds_nothing(talks: Conversations, jobs: Jobs) -> None:
    """Whoever takes a conversation in its name has to renew that as all others."""
    await begin(talks)
    await jobs.end(await queue(talks, jobs, "r1"), lambda _: ending("r1"))
    assert await talks.lock("c", tenant="a", holder="r1", now=NOW)
    assert not await talks.lock("c", tenant="a", holder="r2", now=NOW)
    assert await talks.lock("c", tenant="a", holder="r2", now=NOW + LOCK_SECONDS)


async def test_a_job_whose_response_is_gone_lets_its_conversation_go(
    talks: Conversations, jobs: Jobs, store: Store
) -> None:
    """Nothing of its output comes into it."""
    await begin(talks)
    seq = await queue(talks, jobs, "r1")
    await store.delete("r1", tenant="a")
    await jobs.end(seq, lambda _: ending("r1", "r1.out"))
    assert await add(talks, "i1")
    assert ["r1.in", "i1"] == await held(talks)


async def test_a_job_ends_though_its_conversation_is_gone(talks: Conversations, jobs: Jobs, store: Store) -> None:
    """It has all that was before it, as its row was there already."""
    await begin(talks, "c", "i1")
    seq = await queue(talks, jobs, "r1")
    await talks.delete("c", tenant="a")
    await store.sweep(1)
    await jobs.end(seq, lambda _: ending("r1", "r1.out"))
    assert ["i1", "r1.in", "r1.out"] == await context(store, "r1")


async def test_a_job_that_begins_does_not_see_what_was_omitted(talks: Conversations, jobs: Jobs, store: Store) -> None:
    """Before it was queued, that is."""
    await begin(talks, "c", "i1", "i2")
    await talks.omit("c", "i1", tenant="a")
    await queue(talks, jobs, "r1")
    await talks.omit("c", "i2", tenant="a")
    rows = await store.context("r1", tenant="a", is_queued=True)
    assert items("i2", "r1.in") == rows


async def test_a_job_needs_its_conversation_to_be_queued(talks: Conversations, jobs: Jobs) -> None:
    """Where another holds it, nothing is kept of it."""
    await begin(talks)
    assert await talks.lock("c", tenant="a", holder="r1", now=NOW)
    row = replace(response("r2"), conversation="c", status="queued")
    with pytest.raises(ConversationHeld):
        await jobs.enqueue(row, inputs=items("r2.in"), opening=OPENING, sealed="")
    assert await jobs.find("r2", tenant="a") is None
    assert [] == await held(talks)


# Many at once


async def test_of_many_that_want_a_conversation_one_holds_it(processes: list[Database]) -> None:
    """Whichever process they are in."""
    shared = [Conversations(database) for database in processes]
    await begin(shared[0])
    holders: list[str] = []

    async def hold(number: int) -> None:
        holder = f"r{number}"
        if await shared[number % len(shared)].lock("c", tenant="a", holder=holder, now=NOW):
            holders.append(holder)

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(WRITERS):
                group.start_soon(hold, number)
    assert 1 == len(holders)


async def turn(talks: Conversations, store: Store, id: str) -> list[str]:
    """Wait until it is one's turn, and take it; gives what was read before."""
    while not await talks.lock("c", tenant="a", holder=id, now=NOW):
        await anyio.lowlevel.checkpoint()
    before = await held(talks)
    row = replace(response(id), conversation="c")
    await store.save(row, inputs=items(f"{id}.in"), outputs=items(f"{id}.out"))
    await store.sweep(0)
    assert before is not None
    return before


async def addition(talks: Conversations, id: str) -> None:
    """Add an item as soon as that can be."""
    while True:
        try:
            assert await add(talks, id)
        except ConversationHeld:
            await anyio.lowlevel.checkpoint()
        else:
            return


async def test_turns_that_want_in_at_once_come_one_after_the_other(processes: list[Database]) -> None:
    """From every process, among additions and sweeps: none is lost, none is torn apart."""
    await begin(Conversations(processes[0]), "c", "first")
    seen: dict[str, list[str]] = {}

    async def see(number: int, database: Database) -> None:
        seen[f"r{number}"] = await turn(Conversations(database), Store(database), f"r{number}")

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(WRITERS):
                database = processes[number % len(processes)]
                group.start_soon(see, number, database)
                group.start_soon(addition, Conversations(database), f"i{number}")

    whole = await held(Conversations(processes[0]))
    assert whole is not None
    said = [f"r{number}.{side}" for number in range(WRITERS) for side in ("in", "out")]
    assert sorted(["first", *said, *(f"i{number}" for number in range(WRITERS))]) == sorted(whole)
    for id, before in seen.items():
        made = [*before, f"{id}.in", f"{id}.out"]
        assert made == whole[: len(made)]
        assert made == await context(Store(processes[0]), id)


async def test_a_conversation_is_deleted_while_it_is_written_to(processes: list[Database]) -> None:
    """Both come to an end, and what was written is whole or alone."""
    for number in range(WRITERS):
        id = f"c{number}"
        (first, last) = (processes[0], processes[-1])
        talks, store = Conversations(first), Store(first)
        await begin(talks, id, f"{id}.i")
        assert await talks.lock(id, tenant="a", holder=f"r{number}", now=NOW)
        row = replace(response(f"r{number}"), conversation=id)
        with anyio.fail_after(HANG_SECONDS):
            async with anyio.create_task_group() as group:
                group.start_soon(partial(store.save, row, inputs=items(f"r{number}.in"), outputs=[]))
                group.start_soon(partial(Conversations(last).delete, id, tenant="a"))
                group.start_soon(Store(last).sweep, 0)
        assert await held(talks, id) is None
        kept = await context(store, f"r{number}")
        assert kept in ([f"{id}.i", f"r{number}.in"], [f"r{number}.in"])
