"""Usage as the store keeps it: counted once whatever happens, and kept whatever becomes of the responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from msgspec.structs import replace

from antiphon.core.tally import Tally
from antiphon.store import Conflict, Cost, StoreUnavailable
from antiphon.store.jobs import Entry, Jobs
from antiphon.store.store import Store
from antiphon.store.usage import Charge, Sum, Usage, rows, summed
from tests.patient import HANG_SECONDS
from tests.store.rows import OPENING, chunk, final, items, response
from tests.store.troubled import Troubled

if TYPE_CHECKING:
    from antiphon.core.log import Chunk
    from antiphon.store import Database, Final
    from antiphon.store.jobs import Claim

pytestmark = pytest.mark.anyio

TOOK = Tally(20000, "completed", 1, 10, 4, 5, 2, 3, 1, 1, 70)
TWICE = Tally(20000, "completed", 2, 20, 8, 10, 4, 6, 2, 2, 140)


def charged(tally: Tally = TOOK, *, tenant: str = "a", deployment: str = "m") -> Charge:
    """What somebody took."""
    return Charge(tenant, deployment, tally)


async def save(store: Store, id: str, *, tenant: str = "a", tally: Tally = TOOK) -> None:
    """Save a response with what it took."""
    row = replace(response(id, tenant=tenant), cost=Cost("m", tally))
    await store.save(row, inputs=items(f"{id}.in"), outputs=[])


async def claimed(jobs: Jobs, id: str) -> Claim:
    """Queue a response, whose model is asked 100 tokens at first, and claim its job."""
    row = replace(response(id), status="queued", cost=Cost("m", asked=100))
    await jobs.enqueue(row, inputs=[], opening=OPENING, sealed="")
    [claim] = await jobs.claim("boot", limit=1)
    return claim


def last(claim: Claim, tally: Tally | None = TOOK) -> Entry:
    """What ends a job."""
    end = replace(final("r"), tally=tally)
    return Entry(claim.seq, claim.epoch, claim.parts, chunk(2), end)


def cancelled(log: list[Chunk]) -> tuple[Chunk, Final]:
    """End a log as cancelled, in a turn of which nobody knows how long it was."""
    return chunk(log[-1].last + 1), replace(
        final("r", status="cancelled"), tally=Tally(20000, "cancelled", unread=1, estimated_output=7)
    )


async def test_a_response_is_counted_with_its_row(database: Database, store: Store) -> None:
    """By day, tenant, deployment and outcome; one that takes nothing, as an item of a conversation, is not."""
    usage = Usage(database)
    await save(store, "r1")
    await save(store, "r2")
    await save(store, "r3", tenant="b")
    await save(store, "r4", tally=replace(TOOK, outcome="failed"))
    await save(store, "r5", tally=replace(TOOK, day=20001))
    await store.save(response("r6"), inputs=[], outputs=[])
    failed, later = replace(TOOK, outcome="failed"), replace(TOOK, day=20001)
    assert [charged(TWICE), charged(failed), charged(tenant="b"), charged(later)] == await usage.read()
    assert [charged(tenant="b")] == await usage.read(tenant="b")
    assert [charged(later)] == await usage.read(since=20001)
    assert [] == await usage.read(until=20000)
    assert [] == await usage.read(deployment="other")


async def test_what_is_not_saved_is_not_counted(database: Database, store: Store) -> None:
    """A response whose id is taken, as by itself when nobody heard that it was saved."""
    await save(store, "r1")
    with pytest.raises(Conflict):
        await save(store, "r1")
    assert [charged()] == await Usage(database).read()


async def test_it_stays_when_responses_are_forgotten(database: Database, store: Store) -> None:
    """Deleted, expired, and erased."""
    await save(store, "r1")
    await save(store, "r2")
    assert await store.delete("r1", tenant="a")
    assert 1 == await store.sweep(1000)
    assert [charged(TWICE)] == await Usage(database).read()


async def test_a_job_is_counted_when_it_ends(database: Database, jobs: Jobs) -> None:
    """With its last part; to write that again, as nobody heard that it was written, counts nothing."""
    claim = await claimed(jobs, "r1")
    assert [] == await Usage(database).read()
    assert {claim.seq} == await jobs.append([last(claim)])
    assert {claim.seq} == await jobs.append([last(claim)])
    assert [charged()] == await Usage(database).read()


async def test_a_job_that_somebody_else_ends_is_counted_once(database: Database, jobs: Jobs) -> None:
    """With what its model was asked, estimated; whoever worked on it counts nothing more, nor who ends it again."""
    claim = await claimed(jobs, "r1")
    assert None is not await jobs.end(claim.seq, cancelled)
    assert None is await jobs.end(claim.seq, cancelled)
    assert set() == await jobs.append([last(claim)])
    told = Tally(20000, "cancelled", estimated_input=100, estimated_output=7)
    assert [charged(told)] == await Usage(database).read()


async def test_a_job_that_changed_hands_is_counted_by_whoever_ends_it(database: Database, jobs: Jobs) -> None:
    """Its former worker, which does not know that, counts nothing."""
    before = await claimed(jobs, "r1")
    await jobs.release({before.seq: before.epoch})
    [now] = await jobs.claim("other", limit=1)
    assert set() == await jobs.append([last(before)])
    assert {now.seq} == await jobs.append([last(now)])
    assert [charged()] == await Usage(database).read()


async def test_many_jobs_that_end_together_are_counted(database: Database, jobs: Jobs) -> None:
    """In one statement; a job of an older version, which says nothing of it, is not."""
    claims = [await claimed(jobs, f"r{number}") for number in range(3)]
    old = await jobs.enqueue(replace(response("old"), status="queued"), inputs=[], opening=OPENING, sealed="")
    [claim] = await jobs.claim("boot", limit=1)
    assert old == claim.seq
    await jobs.append([last(each) for each in (*claims, claim)])
    assert [charged(summed(TWICE, TOOK))] == await Usage(database).read()


async def test_a_job_whose_response_was_deleted_is_counted(database: Database, store: Store, jobs: Jobs) -> None:
    """Its tokens were spent all the same."""
    claim = await claimed(jobs, "r1")
    assert await store.delete("r1", tenant="a")
    await jobs.append([last(claim)])
    assert [charged()] == await Usage(database).read()


async def test_a_batch_is_added_once(database: Database) -> None:
    """To add it again changes nothing; another of the same process is another, and so is one of another process."""
    troubled = Troubled(database)
    usage = Usage(troubled)
    troubled.unheard = 1
    with pytest.raises(StoreUnavailable):
        await usage.add([charged()], node="n", number=1)
    await usage.add([charged()], node="n", number=1)
    assert [charged()] == await usage.read()
    await usage.add([charged()], node="n", number=2)
    await usage.add([charged()], node="o", number=1)
    assert [charged(summed(TWICE, TOOK))] == await usage.read()


async def test_many_who_add_at_once_lose_nothing(processes: list[Database]) -> None:
    """And none is in another's way, though several processes add to one row and finish jobs beside it."""
    stores, shared = [Store(each) for each in processes], [Jobs(each) for each in processes]
    claims = [await claimed(shared[0], f"j{number}") for number in range(30)]

    async def add(number: int) -> None:
        await save(stores[number % len(stores)], f"r{number}", tenant="ab"[number % 2])

    async def end(number: int) -> None:
        await shared[number % len(shared)].append([last(claims[number]), last(claims[number + 1])])

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(60):
                group.start_soon(add, number)
            for number in range(0, 30, 2):
                group.start_soon(end, number)
    used = await Usage(processes[0]).read()
    assert [("a", 60), ("b", 30)] == [(each.tenant, each.tally.requests) for each in used]


async def test_a_name_with_a_nul_is_kept_as_databases_keep_it(database: Database, store: Store) -> None:
    """With U+FFFD in its place, wherever it comes from."""
    await save(store, "r1", tenant="a\0b")
    assert [charged(tenant="a\ufffdb")] == await Usage(database).read()


def test_charges_are_merged_in_one_order() -> None:
    """So that of two processes that add none waits for the other in a circle."""
    other = charged(tenant="b")
    assert [charged(TWICE), other] == Sum([charged(), other, charged()]).charges()
    assert rows([charged(), other]) == rows([other, charged()])
