"""Jobs as those who work on them know them: claimed by one, held under an epoch, ended once, on every engine."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.core.log import Chunk
from antiphon.store import StoreUnavailable
from antiphon.store.jobs import Claim, Ended, Entry, Found, Jobs, Kept, Lost
from tests.patient import HANG_SECONDS
from tests.store.rows import OPENING, chunk, enqueue, final
from tests.store.troubled import Troubled

if TYPE_CHECKING:
    from antiphon.store import Database, Final
    from antiphon.store.store import Store

pytestmark = pytest.mark.anyio

LONG = 3_600_000
"""A lease, in milliseconds, that no test outlasts."""


def entry(claim: Claim, part: Chunk, end: Final | None = None, *, at: int | None = None) -> Entry:
    """What a run under this claim writes: its first part, unless it is ``at`` another place."""
    return Entry(claim.seq, claim.epoch, claim.parts if at is None else at, part, end)


async def claimed(jobs: Jobs, id: str, *, boot: str = "boot") -> Claim:
    """Queue a response and claim its job."""
    seq = await enqueue(jobs, id)
    [claim] = await jobs.claim(boot, limit=1)
    assert seq == claim.seq
    return claim


def ending(id: str, log: list[Chunk]) -> tuple[Chunk, Final]:
    """End a log with one more event, as cancelled."""
    return chunk(log[-1].last + 1), final(id, f"{id}.cut", status="cancelled")


# Claims


async def test_a_queued_response_is_found_as_it_was_told(jobs: Jobs) -> None:
    """With the number and the state of its job; a worker finds whose it is, and its log."""
    seq = await enqueue(jobs, "r1")
    assert Found(seq, b'{"id":"r1"}', "queued") == await jobs.find("r1", tenant="a")
    assert Kept("a", "r1", b'{"id":"r1"}', [OPENING]) == await jobs.kept(seq)
    assert "queued" == await jobs.state(seq)
    assert None is await jobs.find("r2", tenant="a")
    assert None is await jobs.kept(seq + 1)
    assert None is await jobs.state(seq + 1)


async def test_jobs_are_claimed_oldest_first_and_no_more_than_asked_for(jobs: Jobs) -> None:
    """A claim says under which epoch it is held, which attempt it is, and where its log goes on."""
    first, second, third = [await enqueue(jobs, id) for id in ("r1", "r2", "r3")]
    assert [Claim(first, 1, 1, 1, "sealed r1"), Claim(second, 1, 1, 1, "sealed r2")] == await jobs.claim("x", limit=2)
    assert [Claim(third, 1, 1, 1, "sealed r3")] == await jobs.claim("y", limit=2)
    assert [] == await jobs.claim("x", limit=2)
    assert "running" == await jobs.state(first)


async def test_each_job_is_claimed_once_whoever_claims_at_the_same_time(processes: list[Database]) -> None:
    """Fifty claimers of several processes share what there is."""
    shared = [Jobs(database) for database in processes]
    queued = [await enqueue(shared[0], f"r{number}") for number in range(60)]
    claims: list[Claim] = []

    async def claim_all(jobs: Jobs, boot: str) -> None:
        while taken := await jobs.claim(boot, limit=3):
            claims.extend(taken)

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(claim_all, shared[number % len(shared)], f"boot {number}")
        await claim_all(shared[0], "the last")
    assert queued == sorted(claim.seq for claim in claims)


async def test_a_sign_of_life_tells_what_is_held(jobs: Jobs) -> None:
    """By this process alone, and of what runs alone."""
    mine, ended = await claimed(jobs, "r1", boot="x"), await claimed(jobs, "r2", boot="x")
    await claimed(jobs, "r3", boot="y")
    await jobs.end(ended.seq, partial(ending, "r2"))
    assert {mine.seq: mine.epoch} == await jobs.beat("x")
    assert {mine.seq: mine.epoch} == await jobs.beat("x")
    assert {} == await jobs.beat("z")


async def test_a_job_that_is_given_back_was_never_begun(jobs: Jobs) -> None:
    """Its attempt is not counted, and whoever held it writes no more; an old claim gives nothing back."""
    claim = await claimed(jobs, "r1")
    await jobs.release({claim.seq: claim.epoch})
    assert "queued" == await jobs.state(claim.seq)
    [again] = await jobs.claim("other", limit=1)
    assert 1 == again.attempt
    assert again.epoch > claim.epoch
    await jobs.release({claim.seq: claim.epoch})
    assert "running" == await jobs.state(claim.seq)
    assert set() == await jobs.append([entry(claim, chunk(2))])
    assert {again.seq} == await jobs.append([entry(again, chunk(2))])


async def test_jobs_are_taken_from_processes_that_are_silent_and_from_no_others(jobs: Jobs) -> None:
    """One that gave no sign of life at all is silent, too."""
    silent, living = await claimed(jobs, "r1", boot="silent"), await claimed(jobs, "r2", boot="living")
    await jobs.beat("living")
    assert Lost([silent.seq], []) == await jobs.reclaim(lease=LONG, attempts=3)
    assert Lost([], []) == await jobs.reclaim(lease=LONG, attempts=3)
    assert "running" == await jobs.state(living.seq)
    assert set() == await jobs.append([entry(silent, chunk(2))])
    assert Lost([living.seq], []) == await jobs.reclaim(lease=0, attempts=3)


async def test_a_job_that_was_begun_too_often_is_worn_out(jobs: Jobs) -> None:
    """It is told until somebody ends it, and nobody claims it."""
    claim = await claimed(jobs, "r1")
    for attempt in (2, 3):
        assert Lost([claim.seq], []) == await jobs.reclaim(lease=0, attempts=3)
        [claim] = await jobs.claim("boot", limit=1)
        assert attempt == claim.attempt
    for _ in range(2):
        assert Lost([], [claim.seq]) == await jobs.reclaim(lease=0, attempts=3)
        assert [] == await jobs.claim("boot", limit=1)
    await jobs.end(claim.seq, partial(ending, "r1"))
    assert Lost([], []) == await jobs.reclaim(lease=0, attempts=3)


async def test_what_a_process_held_that_works_no_more_is_free_at_once(jobs: Jobs) -> None:
    """Whatever the lease is; another process keeps its own."""
    mine, others = await claimed(jobs, "r1", boot="x"), await claimed(jobs, "r2", boot="y")
    await jobs.beat("x")
    await jobs.beat("y")
    await jobs.retire("x")
    assert Lost([mine.seq], []) == await jobs.reclaim(lease=LONG, attempts=3)
    await jobs.retire_all()
    assert Lost([others.seq], []) == await jobs.reclaim(lease=LONG, attempts=3)


# Writes


async def test_parts_of_many_logs_are_written_with_two_statements(database: Database) -> None:
    """However many there are, and in one transaction."""
    counted = Troubled(database)
    jobs = Jobs(counted)
    claims = [await claimed(jobs, f"r{number}") for number in range(30)]
    counted.statements = counted.transactions = 0
    assert {claim.seq for claim in claims} == await jobs.append([entry(claim, chunk(2, 3)) for claim in claims])
    assert (2, 1) == (counted.statements, counted.transactions)
    for claim in claims:
        assert [OPENING, chunk(2, 3)] == await jobs.whole_log(claim.seq)


async def test_what_is_not_the_next_part_is_not_written(jobs: Jobs) -> None:
    """Neither under another epoch, nor at another place, nor into a log that has ended; its neighbours are."""
    claims = [await claimed(jobs, f"r{number}") for number in range(5)]
    good, foreign, early, late, ended = claims
    await jobs.append([entry(early, chunk(2))])
    await jobs.append([entry(early, chunk(3), at=2)])
    end = await jobs.end(ended.seq, partial(ending, "r4"))
    assert end is not None
    written = await jobs.append([
        entry(good, chunk(2)),
        Entry(foreign.seq, foreign.epoch + 1, foreign.parts, chunk(2)),
        entry(early, chunk(2)),
        entry(late, chunk(3), at=2),
        entry(ended, chunk(2), final("r4", "r4.out")),
    ])
    assert {good.seq} == written
    logs = [await jobs.whole_log(claim.seq) for claim in claims]
    assert [[OPENING, chunk(2)], [OPENING], [OPENING, chunk(2), chunk(3)], [OPENING], [OPENING, end.chunk]] == logs


@pytest.mark.parametrize("end", [None, final("r1", "r1.out")], ids=["in the middle", "the end"])
async def test_a_part_is_written_once_however_often_it_is_sent(database: Database, end: Final | None) -> None:
    """Where nobody knows whether it was committed, the same is sent again, and reported as written."""
    troubled = Troubled(database)
    jobs = Jobs(troubled)
    claim = await claimed(jobs, "r1")
    troubled.unheard = 1
    with pytest.raises(StoreUnavailable):
        await jobs.append([entry(claim, chunk(2), end)])
    for _ in range(2):
        assert {claim.seq} == await jobs.append([entry(claim, chunk(2), end)])
    assert [OPENING, chunk(2)] == await jobs.whole_log(claim.seq)
    assert [(1 if end is None else 2,)] == await database.fetch("SELECT count(*) FROM items", {})


async def test_the_end_of_another_is_not_taken_for_ones_own(jobs: Jobs) -> None:
    """A run whose job was ended at the very place where it wanted to write has lost."""
    claim = await claimed(jobs, "r1")
    await jobs.end(claim.seq, partial(ending, "r1"))
    for end in (None, final("r1", "r1.out")):
        assert set() == await jobs.append([entry(claim, chunk(2), end)])
    assert Found(claim.seq, final("r1", status="cancelled").response, "ended") == await jobs.find("r1", tenant="a")


async def test_text_is_kept_as_it_is(jobs: Jobs) -> None:
    """Escapes, quotes, characters of any plane."""
    claim = await claimed(jobs, "r1")
    part = Chunk(2, 2, r'[{"delta":"\u0000 \" \\ \n é 🐎 %s :x $1"}]')
    assert {claim.seq} == await jobs.append([entry(claim, part)])
    assert [part] == await jobs.read(claim.seq, after=1)
    assert [(claim.seq, part)] == await jobs.read_many({claim.seq: 1})
    assert [OPENING, part] == await jobs.whole_log(claim.seq)


# Ends


async def test_a_job_ends_once(jobs: Jobs) -> None:
    """Whoever holds it; what ends it sees its whole log. Who comes later is told nothing, and nothing changes."""
    claim = await claimed(jobs, "r1")
    await jobs.append([entry(claim, chunk(2, 0))])
    assert Ended(chunk(2), "cancelled", "") == await jobs.end(claim.seq, partial(ending, "r1"))
    found = await jobs.find("r1", tenant="a")
    assert Found(claim.seq, final("r1", status="cancelled").response, "ended") == found

    def never(log: list[Chunk]) -> tuple[Chunk, Final]:
        raise AssertionError(log)

    assert None is await jobs.end(claim.seq, never)
    assert None is await jobs.end(claim.seq + 1, never)
    assert [OPENING, chunk(2, 0), chunk(2)] == await jobs.whole_log(claim.seq)
    assert found == await jobs.find("r1", tenant="a")


async def test_a_queued_job_that_is_ended_is_never_claimed(jobs: Jobs) -> None:
    """And what was sealed for its run is erased."""
    seq = await enqueue(jobs, "r1")
    assert Ended(chunk(2), "cancelled", "") == await jobs.end(seq, partial(ending, "r1"))
    assert [] == await jobs.claim("boot", limit=1)
    await jobs.release({seq: 0})
    assert "ended" == await jobs.state(seq)


async def test_what_was_sealed_is_erased_with_the_end(jobs: Jobs, database: Database) -> None:
    """Of a run that ended by itself as of one that was ended."""
    claim, other = await claimed(jobs, "r1"), await claimed(jobs, "r2")
    await jobs.append([entry(claim, chunk(2), final("r1"))])
    await jobs.end(other.seq, partial(ending, "r2"))
    assert [(None,), (None,)] == await database.fetch("SELECT sealed FROM jobs", {})


@pytest.mark.parametrize("is_late", [False, True], ids=["cancelled first", "completed first"])
async def test_of_two_that_end_a_job_one_wins(processes: list[Database], *, is_late: bool) -> None:
    """A run and whoever cancels it, at the same time: one state, one last part of the log, for ever."""
    one, other = Jobs(processes[0]), Jobs(processes[-1])
    claims = [await claimed(one, f"r{number}") for number in range(20)]
    completed: set[int] = set()
    cancelled: set[int] = set()

    async def complete(claim: Claim, id: str) -> None:
        completed.update(await one.append([entry(claim, chunk(2), final(id, f"{id}.out"))]))

    async def cancel(claim: Claim, id: str) -> None:
        if await other.end(claim.seq, lambda _: (chunk(2, 2), final(id, status="cancelled"))) is not None:
            cancelled.add(claim.seq)

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number, claim in enumerate(claims):
                first, second = (complete, cancel) if is_late else (cancel, complete)
                group.start_soon(first, claim, f"r{number}")
                group.start_soon(second, claim, f"r{number}")
    assert {claim.seq for claim in claims} == completed ^ cancelled
    for number, claim in enumerate(claims):
        id, won = f"r{number}", claim.seq in completed
        end = final(id, status="completed" if won else "cancelled")
        assert Found(claim.seq, end.response, "ended") == await one.find(id, tenant="a")
        assert [OPENING, chunk(2, 1 if won else 2)] == await one.whole_log(claim.seq)


# Alone and together


async def test_tenants_do_not_meet(jobs: Jobs, store: Store) -> None:
    """The same id is another response, and nobody erases what is another's."""
    mine, others = await enqueue(jobs, "r1", tenant="a"), await enqueue(jobs, "r1", tenant="b")
    found = [await jobs.find("r1", tenant=tenant) for tenant in ("a", "b", "c")]
    assert [mine, others, None] == [each and each.seq for each in found]
    await jobs.end(mine, partial(ending, "r1"))
    assert not await store.delete("r1", tenant="c")
    assert 0 == await jobs.sweep(age=LONG)
    assert "queued" == await jobs.state(others)
    assert await store.delete("r1", tenant="a")
    assert 1 == await jobs.sweep(age=LONG)
    assert [None, "queued"] == [await jobs.state(mine), await jobs.state(others)]


async def test_a_chore_is_done_by_one_at_a_time(jobs: Jobs) -> None:
    """Until it is left, by its own, or its time is over."""
    assert await jobs.take_chore("sweep", "x", period=LONG)
    assert not await jobs.take_chore("sweep", "y", period=LONG)
    assert await jobs.take_chore("sweep", "x", period=LONG)
    assert await jobs.take_chore("another", "y", period=LONG)
    await jobs.leave_chore("sweep", "y")
    assert not await jobs.take_chore("sweep", "y", period=LONG)
    await jobs.leave_chore("sweep", "x")
    assert await jobs.take_chore("sweep", "y", period=-1000)
    assert await jobs.take_chore("sweep", "x", period=LONG)


async def test_a_chore_is_taken_by_one_of_many(processes: list[Database]) -> None:
    """Who asks at the same time does not take it with them."""
    takers: list[str] = []

    async def take(jobs: Jobs, boot: str) -> None:
        if await jobs.take_chore("sweep", boot, period=LONG):
            takers.append(boot)

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(take, Jobs(processes[number % len(processes)]), f"boot {number}")
    assert 1 == len(takers)


async def test_the_sealing_key_is_the_same_for_all(processes: list[Database]) -> None:
    """Whoever comes first gives it, at the same time or later."""
    keys: list[str] = []

    async def ask(jobs: Jobs, otherwise: str) -> None:
        keys.append(await jobs.sealing_key("default", otherwise=otherwise))

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(ask, Jobs(processes[number % len(processes)]), f"key {number}")
    assert 1 == len(set(keys))
    assert keys[0] == await Jobs(processes[-1]).sealing_key("default", otherwise="mine")
    assert "mine" == await Jobs(processes[-1]).sealing_key("another", otherwise="mine")
