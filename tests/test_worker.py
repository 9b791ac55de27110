"""The worker: background jobs are performed once, by whoever is alive, and end once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.lifecycle.background import Background
from antiphon.protocol.items import Message
from antiphon.store import sqlite
from antiphon.store.jobs import Jobs, Lost
from antiphon.store.postgres import connect
from antiphon.telemetry.figures import Figures
from antiphon.telemetry.trail import Trail, along
from antiphon.worker import Terms
from tests.patient import HANG_SECONDS
from tests.store.troubled import Troubled
from tests.working import CALLER, Process, Speaker, a_moment, until, working

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from antiphon.protocol.items import OutputItem
    from antiphon.protocol.response import ResponseError
    from antiphon.store import Database
    from antiphon.store.jobs import Claim
    from antiphon.store.writer import RunLog

pytestmark = pytest.mark.anyio

SHORT = 2.0
"""Seconds of a lease that a test waits for."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.whole)])
async def databases(request: pytest.FixtureRequest) -> AsyncIterator[list[Troubled]]:
    """One database as two processes have it open, each with troubles of its own; SQLite lends it to both."""
    opened: list[Database] = []
    if request.param == "sqlite":
        opened.append(await sqlite.connect("sqlite://"))
    else:
        url = request.getfixturevalue("postgres_server").database()
        opened += [await connect(url), await connect(url)]
    yield [Troubled(opened[0]), Troubled(opened[-1])]
    for database in opened:
        await database.aclose()


@pytest.fixture
async def database() -> AsyncIterator[Troubled]:
    """A database of one process."""
    opened = Troubled(await sqlite.connect("sqlite://"))
    yield opened
    await opened.aclose()


def statuses(items: list[OutputItem]) -> list[str]:
    """How the messages of a response ended."""
    return [str(item.status) for item in items if isinstance(item, Message)]


# Runs


async def test_as_many_jobs_run_at_a_time_as_were_agreed(databases: list[Troubled]) -> None:
    """The others wait, and all of them end."""
    speaker = Speaker()
    process = Process(databases[0], speaker, terms=Terms(runs=3, lease=60.0))
    async with working(process):
        queued = [await process.enqueue() for _ in range(8)]
        await until(lambda: speaker.now == 3)
        assert 3 == len(speaker.turns)
        assert "in_progress" == (await process.begun(queued[0])).status
        assert "queued" == (await process.response(queued[7])).status
        speaker.may_go_on.set()
        with anyio.fail_after(HANG_SECONDS):
            for each in queued:
                assert "completed" == (await process.ended(each)).status
    assert 3 == speaker.most
    assert 8 == len(speaker.turns)


async def test_two_processes_share_the_jobs(databases: list[Troubled]) -> None:
    """Each is performed by one of them, and both tell of all."""
    speakers = [Speaker(), Speaker()]
    one, other = [
        Process(database, speaker, boot=f"boot-{number}", terms=Terms(runs=4, lease=60.0))
        for number, (database, speaker) in enumerate(zip(databases, speakers, strict=True))
    ]
    async with working(one, other):
        queued = [await one.enqueue() for _ in range(8)]
        await until(lambda: [4, 4] == [speaker.now for speaker in speakers])
        for speaker in speakers:
            speaker.may_go_on.set()
        with anyio.fail_after(HANG_SECONDS):
            for each in queued:
                assert await until_ended(one, each.seq)
                assert "completed" == (await other.ended(each)).status


async def until_ended(process: Process, seq: int) -> bool:
    """Wait until a job has ended, whoever ends it."""
    with anyio.fail_after(HANG_SECONDS):
        while await process.jobs.state(seq) != "ended":
            await a_moment()
    return True


async def test_a_job_is_claimed_only_by_who_gave_a_sign_of_life(database: Troubled) -> None:
    """Or the others would take it for one of a process that is gone."""

    class Watched(Jobs):
        """Jobs that note who asks for what first."""

        order: list[str] = []

        async def claim(self, boot: str, *, limit: int) -> list[Claim]:
            """Note it."""
            self.order.append("claim")
            return await super().claim(boot, limit=limit)

        async def beat(self, boot: str) -> dict[int, int]:
            """Note that it is done."""
            held = await super().beat(boot)
            self.order.append("beat")
            return held

    speaker = Speaker()
    jobs = Watched(database)
    process = Process(database, speaker, jobs=jobs)
    await process.enqueue()
    async with working(process):
        await until(lambda: speaker.now == 1)
        assert ["beat", "claim"] == jobs.order[:2]
        assert Lost([], []) == await jobs.reclaim(lease=60_000, attempts=3)


# Takeovers


@pytest.mark.slow
async def test_a_job_of_a_process_that_is_gone_is_taken_over(databases: list[Troubled]) -> None:
    """After its lease: what was begun is closed, and said anew; the numbers go on."""
    terms = Terms(lease=SHORT)
    speakers = [Speaker(), Speaker()]
    one, other = [
        Process(database, speaker, boot=f"boot-{number}", terms=terms)
        for number, (database, speaker) in enumerate(zip(databases, speakers, strict=True))
    ]
    async with working(one):
        queued = await one.enqueue()
        await one.begun(queued)
    assert 0 == speakers[0].now
    assert "running" == await one.jobs.state(queued.seq)
    speakers[1].may_go_on.set()
    async with working(other):
        with anyio.fail_after(HANG_SECONDS):
            response = await other.ended(queued)
    assert "completed" == response.status
    assert ["incomplete", "completed"] == statuses(response.output)
    assert 1 == len(speakers[1].turns[0].items)


async def test_a_process_that_is_torn_down_ends_no_response(database: Troubled) -> None:
    """It leaves at once, and the log as it is: another goes on with it."""
    speaker = Speaker()
    process = Process(database, speaker)
    with anyio.fail_after(HANG_SECONDS):
        async with working(process):
            queued = await process.enqueue()
            await process.begun(queued)
    assert 0 == speaker.now
    assert "running" == await process.jobs.state(queued.seq)
    assert "in_progress" == (await process.response(queued)).status


@pytest.mark.slow
async def test_a_process_that_cannot_write_stops_its_runs_and_goes_on_with_them_later(database: Troubled) -> None:
    """Before others may take its jobs over; they end once, and no attempt counts against them."""
    speaker = Speaker()
    process = Process(database, speaker, terms=Terms(lease=SHORT, attempts=1))
    async with working(process):
        queued = await process.enqueue()
        await until(lambda: speaker.now == 1)
        database.is_away = True
        await until(lambda: speaker.now == 0)
        database.is_away = False
        await until(lambda: speaker.now == 1)
        speaker.may_go_on.set()
        with anyio.fail_after(HANG_SECONDS):
            response = await process.ended(queued)
    assert "completed" == response.status
    assert 2 == len(speaker.turns)


@pytest.mark.slow
async def test_a_job_that_is_held_and_that_nothing_runs_for_is_given_back(database: Troubled) -> None:
    """Its claim was made, and never heard of."""
    speaker = Speaker()
    speaker.may_go_on.set()
    process = Process(database, speaker, terms=Terms(lease=SHORT))
    queued = await process.enqueue()
    [claim] = await process.jobs.claim("boot", limit=1)
    async with working(process):
        with anyio.fail_after(HANG_SECONDS):
            response = await process.ended(queued)
    assert "completed" == response.status
    assert set() == await process.jobs.append([])
    assert queued.seq == claim.seq


async def test_a_run_whose_job_is_claimed_again_here_is_given_up(database: Troubled) -> None:
    """Another process had taken it over, and gave it back: only the younger run writes."""
    speaker = Speaker()
    process = Process(database, speaker)
    async with working(process):
        queued = await process.enqueue()
        await until(lambda: speaker.now == 1)
        [(epoch,)] = await database.fetch("SELECT epoch FROM jobs", {})
        assert isinstance(epoch, int)
        await process.jobs.release({queued.seq: epoch})
        process.waker.say("queued", [queued.seq])
        await until(lambda: len(speaker.turns) == 2)
        await until(lambda: speaker.now == 1)
        speaker.may_go_on.set()
        with anyio.fail_after(HANG_SECONDS):
            response = await process.ended(queued)
    assert "completed" == response.status
    assert 2 == len(speaker.turns)


# Bad ends


class Stumbling(Background):
    """Background runs that crash outside of everything that is foreseen."""

    async def perform(self, claim: Claim, open_log: Callable[[int], RunLog]) -> None:
        """Crash."""
        raise LookupError(claim.seq)


class Falling(Stumbling):
    """The same, and the first of them cannot be ended either."""

    async def fail(self, seq: int, error: ResponseError) -> None:
        """Crash again."""
        if seq == 1:
            raise LookupError(seq)
        await super().fail(seq, error)


async def test_a_run_that_crashes_fails_its_response(database: Troubled, caplog: pytest.LogCaptureFixture) -> None:
    """The caller is told that the server had an error, and nothing of the inside."""
    process = Process(database, Speaker(), kind=Stumbling)
    async with working(process):
        queued = await process.enqueue()
        with anyio.fail_after(HANG_SECONDS):
            response = await process.ended(queued)
    assert "failed" == response.status
    assert response.error is not None
    assert "server_error" == response.error.code
    assert "Lookup" not in response.error.message
    assert "job_failed" in {getattr(record, "action", "") for record in caplog.records}  # a foreign type


async def test_a_job_that_cannot_even_be_ended_stops_no_other(database: Troubled) -> None:
    """The worker goes on."""
    process = Process(database, Speaker(), kind=Falling)
    async with working(process):
        first, second = await process.enqueue(), await process.enqueue()
        assert 1 == first.seq
        with anyio.fail_after(HANG_SECONDS):
            assert "failed" == (await process.ended(second)).status
    assert "running" == await process.jobs.state(first.seq)


@pytest.mark.parametrize("kind", [Background, Falling])
async def test_a_job_that_wore_its_workers_out_is_failed_once(
    databases: list[Troubled], kind: type[Background]
) -> None:
    """By whichever process notices; one that cannot be ended keeps no process from working."""
    terms = Terms(lease=60.0, attempts=2)
    one, other = [
        Process(database, Speaker(), boot=f"boot-{number}", terms=terms, kind=kind)
        for number, database in enumerate(databases)
    ]
    queued = await one.enqueue()
    for attempt in (1, 2):
        [claim] = await one.jobs.claim("gone", limit=1)
        assert attempt == claim.attempt
        await one.jobs.reclaim(lease=60_000, attempts=2)
    second = await one.enqueue()
    async with working(one, other):
        if kind is Falling:
            assert await until_ended(one, second.seq)
            return
        assert await until_ended(one, queued.seq)
        response = await one.ended(queued)
    assert "failed" == response.status
    assert response.error is not None
    assert "server_error" == response.error.code


# Stopping


async def test_a_worker_that_stops_lets_runs_end_and_gives_the_others_back(databases: list[Troubled]) -> None:
    """It claims nothing more; what it gives back was never begun, and is free at once."""
    speaker = Speaker()
    process = Process(databases[0], speaker, terms=Terms(runs=2, lease=60.0, drain=0.2))
    async with anyio.create_task_group() as group:
        group.start_soon(process.waker.run)
        with anyio.fail_after(HANG_SECONDS):
            async with anyio.create_task_group() as work:
                work.start_soon(process.worker.run)
                queued = await process.enqueue()
                await until(lambda: speaker.now == 1)
                process.worker.stop()
                late = await process.enqueue()
        group.cancel_scope.cancel()
    assert 0 == speaker.now
    assert 1 == len(speaker.turns)
    assert ["queued", "queued"] == [await process.jobs.state(each.seq) for each in (queued, late)]
    assert 0 == await process.attempts(queued)
    assert [(0,)] == await databases[0].fetch("SELECT count(*) FROM nodes", {})


class Stopped(Jobs):
    """Jobs whose worker is told to stop while it claims one."""

    process: Process

    async def claim(self, boot: str, *, limit: int) -> list[Claim]:
        """See `Jobs.claim`."""
        claims = await super().claim(boot, limit=limit)
        if claims:
            self.process.worker.stop()
        return claims


async def test_what_a_worker_that_stops_is_about_to_claim_it_gives_back(database: Troubled) -> None:
    """At once, and not when it has drained: others may be free."""
    speaker, jobs = Speaker(), Stopped(database)
    jobs.process = process = Process(database, speaker, terms=Terms(lease=60.0, drain=600.0), jobs=jobs)
    queued = await process.enqueue()
    with anyio.fail_after(HANG_SECONDS):
        await process.worker.run()
    assert ([], "queued") == (speaker.turns, await process.jobs.state(queued.seq))
    assert 0 == await process.attempts(queued)


async def test_a_worker_that_is_hurried_gives_its_runs_back_at_once(database: Troubled) -> None:
    """However much time they were to have."""
    speaker = Speaker()
    process = Process(database, speaker, terms=Terms(lease=60.0, drain=600.0))
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as work:
            work.start_soon(process.worker.run)
            queued = await process.enqueue()
            await until(lambda: speaker.now == 1)
            process.worker.stop()
            await anyio.wait_all_tasks_blocked()
            process.worker.hurry()
    assert (0, "queued") == (speaker.now, await process.jobs.state(queued.seq))


async def test_a_run_that_is_handed_over_is_counted_once(databases: list[Troubled]) -> None:
    """As what it came to in the end, by the process that ended it; the first one counted nothing."""
    speaker, figures = Speaker(), [Figures(), Figures()]
    first, second = (Process(each, speaker, terms=Terms(lease=60.0, drain=0.0)) for each in databases)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as work:
            with along(Trail(figures=figures[0])):
                work.start_soon(first.worker.run)
            queued = await first.enqueue()
            await until(lambda: speaker.now == 1)
            first.worker.stop()
        speaker.may_go_on.set()
        with along(Trail(figures=figures[1])):
            async with working(second):
                assert "completed" == (await second.ended(queued)).status
    assert [{}, {("m", "completed"): 1}] == [each.responses.values for each in figures]
    assert [{("m",): 0}] * 2 == [each.running.values for each in figures]


async def test_a_run_that_ends_while_its_worker_stops_has_ended(database: Troubled) -> None:
    """The worker waits for it, and no longer."""
    speaker = Speaker()
    process = Process(database, speaker)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as work:
            work.start_soon(process.worker.run)
            queued = await process.enqueue()
            await until(lambda: speaker.now == 1)
            process.worker.stop()
            await anyio.wait_all_tasks_blocked()
            assert 1 == speaker.now
            speaker.may_go_on.set()
        assert "completed" == (await process.ended(queued)).status


# Cancelled by others


async def test_a_response_that_is_cancelled_is_worked_on_no_more(databases: list[Troubled]) -> None:
    """At once, wherever it was cancelled; it stays cancelled, and the worker goes on."""
    speaker = Speaker()
    process = Process(databases[0], speaker, boot="works")
    asked = Process(databases[1], Speaker(), boot="asked") if databases[0].is_shared else process
    async with working(process), anyio.create_task_group() as group:
        group.start_soon(asked.waker.run)
        queued, other = await process.enqueue(), await process.enqueue()
        await until(lambda: speaker.now == 2)
        await asked.background.cancel(queued.response.id, CALLER)
        await until(lambda: speaker.now == 1)
        assert "cancelled" == (await asked.ended(queued)).status
        speaker.may_go_on.set()
        with anyio.fail_after(HANG_SECONDS):
            assert "completed" == (await process.ended(other)).status
        assert "cancelled" == (await process.ended(queued)).status
        group.cancel_scope.cancel()


@pytest.mark.slow
async def test_a_cancellation_that_nobody_spoke_of_is_noticed(database: Troubled) -> None:
    """By the next sign of life, though the run has nothing to write."""
    speaker = Speaker()
    process = Process(database, speaker, terms=Terms(lease=SHORT))
    async with working(process):
        queued = await process.enqueue()
        await until(lambda: speaker.now == 1)
        elsewhere = Process(database, Speaker(), boot="elsewhere")
        await elsewhere.background.cancel(queued.response.id, CALLER)
        await until(lambda: speaker.now == 0)
