"""Logs and ends of background responses: how they are read, what is kept of them, and when they are erased."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.store import jobs as verbs
from antiphon.store.jobs import Claim, Entry, Found, Jobs
from tests.store.rows import OPENING, chunk, context, enqueue, final, save

if TYPE_CHECKING:
    from antiphon.core.log import Chunk
    from antiphon.store import Database, Final
    from antiphon.store.store import Store

pytestmark = pytest.mark.anyio

LONG = 3_600_000
"""Milliseconds that no test outlasts."""


async def claimed(jobs: Jobs, id: str, *, after: str | None = None) -> Claim:
    """Queue a response and claim its job."""
    await enqueue(jobs, id, after=after)
    [claim] = await jobs.claim("boot", limit=1)
    return claim


async def write(jobs: Jobs, claim: Claim, *parts: Chunk, end: Final | None = None) -> None:
    """Write these parts of a log, one after the other, the last with the end."""
    for number, part in enumerate(parts):
        last = end if number == len(parts) - 1 else None
        assert {claim.seq} == await jobs.append([Entry(claim.seq, claim.epoch, claim.parts + number, part, last)])


async def finished(jobs: Jobs, id: str, *, after: str | None = None) -> Claim:
    """Queue a response and let it run to its end, with one output item ``id.out``."""
    claim = await claimed(jobs, id, after=after)
    await write(jobs, claim, chunk(2), end=final(id, f"{id}.out"))
    return claim


# Reading


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows at once."""
    monkeypatch.setattr(verbs, "PAGE", 2)


@pytest.mark.usefixtures("small_pages")
async def test_a_log_is_read_page_by_page_from_any_number(jobs: Jobs) -> None:
    """A part that holds the number and more is read whole."""
    claim = await claimed(jobs, "r1")
    parts = [chunk(2, 3), chunk(5), chunk(6, 2), chunk(8)]
    await write(jobs, claim, *parts)
    assert [OPENING, *parts[:1]] == await jobs.read(claim.seq, after=-1)
    assert parts[:2] == await jobs.read(claim.seq, after=2)
    assert parts[2:] == await jobs.read(claim.seq, after=6)
    assert [] == await jobs.read(claim.seq, after=8)
    assert [] == await jobs.read(claim.seq, after=800)
    assert [OPENING, *parts] == await jobs.whole_log(claim.seq)


async def test_notes_alone_are_kept_in_their_place_and_cost_no_reader_a_number(jobs: Jobs) -> None:
    """A part without events stands where it was written, several of them too."""
    claim = await claimed(jobs, "r1")
    parts = [chunk(2, 0), chunk(2, 0), chunk(2, 2), chunk(4, 0), chunk(4), chunk(5, 0)]
    await write(jobs, claim, *parts)
    assert [OPENING, *parts] == await jobs.whole_log(claim.seq)
    for after in range(-1, 6):
        read = await jobs.read(claim.seq, after=after)
        numbers = [number for part in read for number in range(part.first, part.last + 1)]
        assert list(range(after + 1, 5)) == [number for number in numbers if number > after]
        assert after >= 4 or read[0].first <= after + 1


async def test_several_logs_are_read_at_once_each_from_its_own_number(jobs: Jobs) -> None:
    """Those without anything behind it are left out."""
    one, other, third = [await claimed(jobs, f"r{number}") for number in range(3)]
    await write(jobs, one, chunk(2), chunk(3, 0), chunk(3))
    await write(jobs, other, chunk(2, 4))
    found = await jobs.read_many({one.seq: 2, other.seq: -1, third.seq: 1, third.seq + 1: -1})
    assert [(one.seq, chunk(3, 0)), (one.seq, chunk(3)), (other.seq, OPENING), (other.seq, chunk(2, 4))] == found or [
        (one.seq, chunk(3)),
        (other.seq, OPENING),
        (other.seq, chunk(2, 4)),
    ] == found
    assert [] == await jobs.read_many({})


# What is kept


async def test_the_end_of_a_run_is_found_as_any_response_is(jobs: Jobs, store: Store) -> None:
    """Its body is the final one, and its context has what it made."""
    claim = await claimed(jobs, "r1")
    assert None is await context(store, "r1")
    await write(jobs, claim, chunk(2), chunk(3), end=final("r1", "r1.out", "r1.more"))
    assert Found(claim.seq, final("r1").response, "ended") == await jobs.find("r1", tenant="a")
    assert final("r1").response == await store.response("r1", tenant="a")
    assert ["r1.in", "r1.out", "r1.more"] == await context(store, "r1")


async def test_the_input_of_a_run_is_listed_while_it_goes_on(jobs: Jobs, store: Store) -> None:
    """And is the same when it has ended; its worker finds it with its whole history."""
    await save(store, "r0")
    claim = await claimed(jobs, "r1", after="r0")
    expected = ["r0.in", "r0.out", "r1.in"]

    async def listed() -> list[str]:
        page = await store.input_items("r1", tenant="a", limit=10, order="asc", after=None)
        return [row.id for row in page.rows] if page else []

    rows = await store.context("r1", tenant="a", is_queued=True)
    assert expected == [row.id for row in rows or []]
    assert expected == await listed()
    await write(jobs, claim, chunk(2), end=final("r1", "r1.out"))
    assert expected == await listed()
    assert None is await store.context("r1", tenant="a", is_queued=True)


async def test_what_follows_a_background_response_has_its_whole_context(jobs: Jobs, store: Store) -> None:
    """In the background or not, one after the other."""
    await finished(jobs, "r1")
    await finished(jobs, "r2", after="r1")
    await save(store, "r3", after="r2")
    await finished(jobs, "r4", after="r3")
    assert [f"r{turn}.{kind}" for turn in (1, 2, 3, 4) for kind in ("in", "out")] == await context(store, "r4")


async def test_children_that_run_at_the_same_time_do_not_see_each_other(
    jobs: Jobs, store: Store, database: Database
) -> None:
    """Whichever ends first, and what is saved beside them."""
    await save(store, "r0")
    left, right = await claimed(jobs, "left", after="r0"), await claimed(jobs, "right", after="r0")
    await save(store, "beside", after="r0")
    await write(jobs, right, chunk(2), end=final("right", "right.out"))
    await write(jobs, left, chunk(2), end=final("left", "left.out"))
    for child in ("left", "right", "beside"):
        assert ["r0.in", "r0.out", f"{child}.in", f"{child}.out"] == await context(store, child)
    assert [(3,)] == await database.fetch("SELECT count(*) FROM lineages", {})


async def test_a_response_that_others_were_built_on_while_it_ran_keeps_its_own(jobs: Jobs, store: Store) -> None:
    """What it made comes behind its input, and not behind what was appended there meanwhile."""
    claim = await claimed(jobs, "r1")
    await save(store, "early", after="r1")
    await write(jobs, claim, chunk(2), end=final("r1", "r1.out"))
    await save(store, "late", after="r1")
    assert ["r1.in", "r1.out"] == await context(store, "r1")
    assert ["r1.in", "early.in", "early.out"] == await context(store, "early")
    assert ["r1.in", "r1.out", "late.in", "late.out"] == await context(store, "late")
    page = await store.input_items("r1", tenant="a", limit=10, order="asc", after=None)
    assert page is not None
    assert ["r1.in"] == [row.id for row in page.rows]


async def test_an_end_without_items_is_an_end(jobs: Jobs, store: Store) -> None:
    """The input stays."""
    claim = await claimed(jobs, "r1")
    await write(jobs, claim, chunk(2), end=final("r1", status="failed"))
    assert ["r1.in"] == await context(store, "r1")


# What is erased


async def test_of_a_response_that_was_deleted_while_it_ran_nothing_is_kept(
    jobs: Jobs, store: Store, database: Database
) -> None:
    """Its run may end as if nothing had been; what it made is not written."""
    claim = await claimed(jobs, "r1")
    assert await store.delete("r1", tenant="a")
    assert None is await jobs.kept(claim.seq)
    await write(jobs, claim, chunk(2), end=final("r1", "r1.out"))
    assert None is await jobs.find("r1", tenant="a")
    assert None is await store.response("r1", tenant="a")
    assert {} == await store.find_items(["r1.in", "r1.out"], tenant="a")
    assert 1 == await jobs.sweep(age=LONG)
    await store.sweep(0)
    for table in ("jobs", "events", "items", "responses", "lineages"):
        assert [(0,)] == await database.fetch(f"SELECT count(*) FROM {table}", {})  # noqa: S608 - the test names it


async def test_a_deletion_erases_the_log_with_the_next_sweep(jobs: Jobs, store: Store, database: Database) -> None:
    """However long logs are kept, and of no other response."""
    gone, stays = await finished(jobs, "r1"), await finished(jobs, "r2")
    assert await store.delete("r1", tenant="a")
    assert 1 == await jobs.sweep(age=LONG)
    assert [None, "ended"] == [await jobs.state(gone.seq), await jobs.state(stays.seq)]
    assert [(stays.seq,)] == await database.fetch("SELECT DISTINCT response FROM events", {})


async def test_the_log_of_a_response_that_expired_is_erased_with_it(
    jobs: Jobs, store: Store, database: Database
) -> None:
    """Whatever its job had come to, and by the next sweep where another response is built on it."""
    for id in ("ended", "needed", "running", "queued"):
        await enqueue(jobs, id, expires_at=5)
    ended, needed, running = await jobs.claim("boot", limit=3)
    await write(jobs, ended, chunk(2), end=final("ended"))
    await write(jobs, needed, chunk(2), end=final("needed", "needed.out"))
    await save(store, "child", after="needed")
    assert 0 == await jobs.sweep(age=LONG)
    assert 4 == await store.sweep(5)
    assert [None, "ended", None] == [await jobs.state(claim.seq) for claim in (ended, needed, running)]
    assert set() == await jobs.append([Entry(running.seq, running.epoch, running.parts, chunk(2))])
    assert 1 == await jobs.sweep(age=LONG)
    for table in ("jobs", "events"):
        assert [(0,)] == await database.fetch(f"SELECT count(*) FROM {table}", {})  # noqa: S608 - the test names it
    assert ["needed.in", "needed.out", "child.in", "child.out"] == await context(store, "child")


async def test_a_number_is_never_given_again(jobs: Jobs, store: Store) -> None:
    """Not even that of the last row: who still reads its log knows it by its number alone."""
    numbers: list[int] = []
    for id in ("r1", "r2", "r3"):
        claim = await finished(jobs, id)
        numbers.append(claim.seq)
        assert await store.delete(id, tenant="a")
        await store.sweep(0)
        assert await jobs.state(claim.seq) is None
        assert [] == await jobs.whole_log(claim.seq)
    assert sorted(set(numbers)) == numbers


async def test_a_log_is_erased_some_time_after_its_end(
    jobs: Jobs, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response stays; what runs is not touched. A long log is erased in several transactions."""
    monkeypatch.setattr(verbs, "SWEPT_EVENTS", 2)
    monkeypatch.setattr(verbs, "SWEPT_JOBS", 1)
    ended = [await claimed(jobs, f"r{number}") for number in range(3)]
    for number, claim in enumerate(ended):
        await write(jobs, claim, *(chunk(each) for each in range(2, 9)), end=final(f"r{number}"))
    running, queued = await claimed(jobs, "running"), await enqueue(jobs, "queued")
    assert 0 == await jobs.sweep(age=LONG)
    assert 9 - 1 == len(await jobs.whole_log(ended[0].seq))
    assert 3 == await jobs.sweep(age=0)
    for number, claim in enumerate(ended):
        assert Found(claim.seq, final(f"r{number}").response, None) == await jobs.find(f"r{number}", tenant="a")
        assert [] == await jobs.whole_log(claim.seq)
        assert None is await jobs.state(claim.seq)
    assert ["running", "queued"] == [await jobs.state(running.seq), await jobs.state(queued)]
    assert [OPENING] == await jobs.whole_log(running.seq)
    assert None is await context(store, "running")


async def test_processes_that_are_long_gone_are_forgotten(
    jobs: Jobs, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the sweep."""
    await jobs.beat("boot")
    await jobs.sweep(age=LONG)
    assert [(1,)] == await database.fetch("SELECT count(*) FROM nodes", {})
    monkeypatch.setattr(verbs, "NODE_MEMORY", -1000)
    await jobs.sweep(age=LONG)
    assert [(0,)] == await database.fetch("SELECT count(*) FROM nodes", {})
