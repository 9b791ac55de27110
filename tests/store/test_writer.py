"""The writer of logs: what runs append is written once, in order, together, and told when it is durable."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.core.log import entries
from antiphon.core.notes import CallStarted
from antiphon.protocol.events import Snapshot, TextDelta
from antiphon.protocol.response import Response
from antiphon.store import sqlite, writer
from antiphon.store.jobs import Jobs
from antiphon.store.writer import RunLog, Writer
from tests.patient import HANG_SECONDS
from tests.store.rows import OPENING, chunk, enqueue, final
from tests.store.troubled import Troubled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from anyio.abc import TaskGroup

    from antiphon.core.log import Chunk
    from antiphon.core.notes import Note
    from antiphon.protocol.events import StreamEvent
    from antiphon.store.jobs import Claim

pytestmark = pytest.mark.anyio

LEISURE_SECONDS = 2.0
"""Between two commits: far more than one takes."""

COMPLETED = Response(id="r1", created_at=0, model="m", status="completed")


def text(number: int, delta: str = "word ") -> TextDelta:
    """A piece of an answer."""
    return TextDelta(content_index=0, delta=delta, item_id="msg_0", logprobs=[], output_index=0, sequence_number=number)


def completed(number: int) -> Snapshot:
    """A terminal event."""
    return Snapshot(type="response.completed", response=COMPLETED, sequence_number=number)


class Desk:
    """A writer over a database that may have troubles, what it told, and whom it lost."""

    def __init__(self, database: Troubled) -> None:
        self.database = database
        self.jobs = Jobs(database)
        self.told: list[dict[int, Chunk]] = []
        self.lost: list[int] = []
        self.writer = Writer(self.jobs, self.told.append)

    async def claim(self, id: str) -> Claim:
        """Queue a response, and claim it."""
        await enqueue(self.jobs, id)
        [claim] = await self.jobs.claim("boot", limit=1)
        return claim

    async def open(self, id: str) -> RunLog:
        """The log of a run that begins."""
        claim = await self.claim(id)
        return RunLog(claim, 2, writer=self.writer, lost=lambda: self.lost.append(claim.seq))

    async def written(self, run: RunLog) -> list[StreamEvent | Note]:
        """What stands in the log behind its opening."""
        first, *parts = await self.jobs.whole_log(run.claim.seq)
        assert OPENING == first
        return [entry for part in parts for entry in entries(part.text, part.first)]

    @property
    def commits(self) -> int:
        """Transactions since this was asked last."""
        count, self.database.transactions = self.database.transactions, 0
        return count


@asynccontextmanager
async def writing() -> AsyncGenerator[Desk, None]:
    """A desk whose writer works, in memory."""
    database = Troubled(await sqlite.connect("sqlite://"))
    desk = Desk(database)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(desk.writer.run)
            yield desk
            group.cancel_scope.cancel()
    finally:
        await database.aclose()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once."""
    monkeypatch.setattr(writer, "FIRST_RETRY", 0.001)
    monkeypatch.setattr(writer, "LAST_RETRY", 0.001)


async def is_cancelled(work: Callable[[], Awaitable[None]], ended: asyncio.Event) -> None:
    """Wait for work that ends as cancelled, and say that it did."""
    try:
        await work()
    except asyncio.CancelledError:  # its own: nobody cancelled the task, and its group goes on
        ended.set()


async def test_what_is_appended_is_written_in_order_with_its_notes_behind_it() -> None:
    """Each run's in its own log; what is told is what is written."""
    async with writing() as desk:
        one, other = await desk.open("r1"), await desk.open("r2")
        expected: list[StreamEvent | Note] = []
        with anyio.fail_after(HANG_SECONDS):
            for number in range(2, 40):
                notes: list[Note] = [CallStarted(f"ws_{number}")] if number % 3 else []
                expected += [text(number), *notes]
                await one.append([text(number)], [*notes])
                await other.append([text(number)], [*notes])
                await (one if number % 7 else other).written()
            await one.append([], [CallStarted("alone")])
            await one.written()
            await other.written()
        assert [*expected, CallStarted("alone")] == await desk.written(one)
        assert expected == await desk.written(other)
        for run in (one, other):
            told = [chunks[run.claim.seq] for chunks in desk.told if run.claim.seq in chunks]
            assert [OPENING, *told] == await desk.jobs.whole_log(run.claim.seq)


async def test_first_words_are_written_at_once_and_the_next_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is alone is not kept waiting, not the second time either; those who come soon after share a commit."""
    monkeypatch.setattr(writer, "PACE", LEISURE_SECONDS)
    monkeypatch.setattr(writer, "SLOWEST_PACE", LEISURE_SECONDS)
    async with writing() as desk:
        runs = [await desk.open(f"r{number}") for number in range(20)]
        with anyio.fail_after(HANG_SECONDS):
            began = time.monotonic()
            for number in (2, 3):
                await runs[0].append([text(number)], [])
                await runs[0].written()
            assert time.monotonic() - began < LEISURE_SECONDS
            for run in runs[1:]:
                await run.append([text(2)], [])
                await anyio.lowlevel.checkpoint()
            for run in runs:
                await run.written()
            assert time.monotonic() - began >= LEISURE_SECONDS
        assert [1, 1, 19] == [len(chunks) for chunks in desk.told]


async def test_what_comes_while_a_commit_is_made_goes_into_the_next() -> None:
    """However many runs there are, and nothing is told before it is durable."""
    async with writing() as desk:
        with anyio.fail_after(HANG_SECONDS):
            runs = [await desk.open(f"r{number}") for number in range(50)]
            assert desk.commits
            desk.database.stop()
            await runs[0].append([text(2)], [])
            await desk.database.stopped.wait()
            for run in runs:
                first = 3 if run is runs[0] else 2
                await run.append([text(number) for number in range(first, first + 3)], [])
            await anyio.wait_all_tasks_blocked()
            assert [] == desk.told
            desk.database.let_go()
            for run in runs:
                await run.written()
        assert 2 == desk.commits
        assert [1, 50] == [len(chunks) for chunks in desk.told]


async def test_nothing_to_write_is_written_already() -> None:
    """And nobody is told."""
    async with writing() as desk:
        with anyio.fail_after(HANG_SECONDS):
            run = await desk.open("r1")
            await run.written()
            await run.append([], [])
            await run.written()
        assert [] == desk.told


async def test_whoever_waits_waits_for_what_is_on_its_way() -> None:
    """Though nothing came after it."""
    async with writing() as desk:
        with anyio.fail_after(HANG_SECONDS):
            run = await desk.open("r1")
            desk.database.stop()
            await run.append([text(2)], [])
            await desk.database.stopped.wait()
            async with anyio.create_task_group() as group:
                group.start_soon(run.written)
                await anyio.wait_all_tasks_blocked()
                assert [] == desk.told
                desk.database.let_go()
        assert 1 == len(desk.told)


@pytest.mark.parametrize("is_more", [False, True], ids=["at once", "behind words that wait"])
async def test_an_end_that_comes_while_a_commit_is_made_is_written(*, is_more: bool) -> None:
    """The commit on its way does not close the log: the end is in the next one."""
    async with writing() as desk:
        with anyio.fail_after(HANG_SECONDS):
            run = await desk.open("r1")
            desk.database.stop()
            await run.append([text(2)], [])
            await desk.database.stopped.wait()
            if is_more:
                await run.append([text(3)], [])
            last = 4 if is_more else 3
            async with anyio.create_task_group() as group:
                group.start_soon(partial(run.finish, [completed(last)], [], final("r1", "r1.out")))
                await anyio.wait_all_tasks_blocked()
                assert not run.is_closed
                desk.database.let_go()
        assert run.is_closed
        assert [*(text(number) for number in range(2, last)), completed(last)] == await desk.written(run)
        assert "ended" == await desk.jobs.state(run.claim.seq)
        assert last == desk.told[-1][run.claim.seq].last
        assert [] == desk.lost


async def test_after_its_end_nothing_is_written() -> None:
    """Whatever is appended, and nobody has to wait."""
    async with writing() as desk:
        with anyio.fail_after(HANG_SECONDS):
            run = await desk.open("r1")
            await run.finish([completed(2)], [], final("r1"))
            await run.append([text(3)], [])
            await run.finish([completed(4)], [], final("r1"))
            await run.written()
        assert [completed(2)] == await desk.written(run)


async def test_a_run_that_is_too_far_ahead_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its words are written; others do not."""
    monkeypatch.setattr(writer, "BUFFER", 100)
    async with writing() as desk:
        with anyio.fail_after(HANG_SECONDS):
            fast, slow = await desk.open("r1"), await desk.open("r2")
            desk.database.stop()
            await slow.append([text(2)], [])
            await desk.database.stopped.wait()
            ahead = asyncio.Event()

            async def write_much() -> None:
                for number in range(2, 30):
                    await fast.append([text(number, "twenty letters a time")], [])
                ahead.set()

            async with anyio.create_task_group() as group:
                group.start_soon(write_much)
                await anyio.wait_all_tasks_blocked()
                assert not ahead.is_set()
                await slow.append([text(3)], [])
                desk.database.let_go()
                await ahead.wait()
            await fast.written()
        assert 28 == len(await desk.written(fast))


@pytest.mark.usefixtures("impatient")
async def test_what_cannot_be_written_is_written_later() -> None:
    """And what came meanwhile behind it: nothing is lost, and the runs need not know."""
    async with writing() as desk:
        with anyio.fail_after(HANG_SECONDS):
            one, other = await desk.open("r1"), await desk.open("r2")
            assert 0.0 == desk.writer.delay
            desk.database.is_away = True
            await one.append([text(2)], [])
            await desk.database.refused.wait()
            delay = desk.writer.delay
            assert delay > 0.0
            await one.append([text(3)], [])
            await other.append([text(2)], [])
            desk.database.refused.clear()
            await desk.database.refused.wait()
            assert desk.writer.delay > delay
            assert [] == desk.told
            desk.database.is_away = False
            await one.written()
            await other.written()
        assert 0.0 == desk.writer.delay
        assert [text(2), text(3)] == await desk.written(one)
        assert [text(2)] == await desk.written(other)
        assert [] == desk.lost


@pytest.mark.usefixtures("impatient")
async def test_what_was_written_unheard_is_not_written_twice() -> None:
    """Nor is an end; it is told as soon as it is known."""
    async with writing() as desk:
        with anyio.fail_after(HANG_SECONDS):
            run = await desk.open("r1")
            desk.database.unheard = 1
            await run.append([text(2)], [])
            await run.written()
            desk.database.unheard = 2
            await run.finish([completed(3)], [], final("r1", "r1.out"))
        assert [text(2), completed(3)] == await desk.written(run)
        assert [2, 3] == [chunks[run.claim.seq].last for chunks in desk.told]
        assert [] == desk.lost


@pytest.mark.usefixtures("impatient")
async def test_a_run_that_is_given_up_takes_nothing_of_others_with_it() -> None:
    """Its words are dropped, those that were to be written included; nobody may believe that they were."""
    async with writing() as desk:
        with anyio.fail_after(HANG_SECONDS):
            gone, stays = await desk.open("r1"), await desk.open("r2")
            desk.database.is_away = True
            await gone.append([text(2)], [])
            await stays.append([text(2)], [])
            ended, after = asyncio.Event(), asyncio.Event()
            async with anyio.create_task_group() as group:
                group.start_soon(is_cancelled, gone.written, ended)
                await desk.database.refused.wait()
                gone.close()
                await ended.wait()
                group.start_soon(is_cancelled, gone.written, after)
                await after.wait()
            await gone.append([text(3)], [])
            await gone.finish([completed(4)], [], final("r1"))
            desk.database.is_away = False
            await stays.written()
        assert [] == await desk.written(gone)
        assert [text(2)] == await desk.written(stays)
        assert [] == desk.lost


async def test_a_run_that_somebody_else_ended_is_told_once() -> None:
    """The others of the same commit are written; what it appends later is dropped."""
    async with writing() as desk:
        with anyio.fail_after(HANG_SECONDS):
            gone, stays = await desk.open("r1"), await desk.open("r2")
            await desk.jobs.end(gone.claim.seq, lambda _: (chunk(2), final("r1", status="cancelled")))
            desk.database.stop()
            for run in (gone, stays):
                await run.append([text(2)], [])
            await desk.database.stopped.wait()
            await gone.append([text(3)], [])
            desk.database.let_go()
            await stays.written()
            await gone.append([text(4)], [])
            await stays.append([text(3)], [])
            await stays.written()
        assert [gone.claim.seq] == desk.lost
        assert gone.is_closed
        assert all(gone.claim.seq not in chunks for chunks in desk.told)
        assert [OPENING, chunk(2)] == await desk.jobs.whole_log(gone.claim.seq)


async def test_a_log_refuses_a_gap() -> None:
    """What would leave one is no event of this log."""
    async with writing() as desk:
        run = await desk.open("r1")
        with pytest.raises(ValueError, match="cannot follow"):
            await run.append([text(3)], [])


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 2)),
        st.tuples(st.just("note"), st.integers(0, 2)),
        st.tuples(st.just("written"), st.integers(0, 2)),
        st.tuples(st.sampled_from(["away", "back", "unheard", "pass"]), st.just(0)),
        st.tuples(st.sampled_from(["close", "finish"]), st.integers(0, 2)),
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=60)
def test_whatever_happens_to_the_database_a_log_is_what_was_appended(steps: list[tuple[str, int]]) -> None:
    """Each entry once and in order, up to the end; of a run that was given up a beginning."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PACE", "SLOWEST_PACE", "FIRST_RETRY", "LAST_RETRY"):
            patch.setattr(writer, name, 0.0005)
        asyncio.run(_live(steps))


async def _live(steps: list[tuple[str, int]]) -> None:
    async with writing() as desk, anyio.create_task_group() as group:
        lives = [Life(desk, await desk.open(f"r{number}"), group) for number in range(3)]
        with anyio.fail_after(HANG_SECONDS):
            for step, which in steps:
                desk.database.is_away = (desk.database.is_away or step == "away") and step != "back"
                desk.database.unheard += step == "unheard"
                await lives[which].take(step)
            desk.database.is_away = False
            for life in lives:
                await _quietly(life.run.written)
        for life in lives:
            await life.check()
        assert [] == desk.lost


class Life:
    """A run in the law: what it appended, and whether it was given up."""

    def __init__(self, desk: Desk, run: RunLog, group: TaskGroup) -> None:
        self.run = run
        self._desk = desk
        self._group = group
        self._appended: list[StreamEvent | Note] = []
        self._next = 2
        self._ends = False
        self._is_given_up = False

    async def take(self, step: str) -> None:
        """Take a step, unless it has ended."""
        if self._ends:
            return
        match step:
            case "append":
                await self.run.append([self._add(text(self._next))], [])
            case "note":
                self._appended.append(CallStarted("ws"))
                await self.run.append([], [CallStarted("ws")])
            case "written":
                self._group.start_soon(_quietly, self.run.written)
            case "close":
                self._ends = self._is_given_up = True
                self.run.close()
            case "finish":
                self._ends = True
                end = self._add(completed(self._next))
                self._group.start_soon(partial(self.run.finish, [end], [], final("r")))
                await anyio.lowlevel.checkpoint()
            case _:
                await anyio.lowlevel.checkpoint()

    async def check(self) -> None:
        """All was written, once and in order; of a run that was given up a beginning."""
        found = await self._desk.written(self.run)
        expected = self._appended[: len(found)] if self._is_given_up else self._appended
        assert expected == found
        has_ended = self._ends and not self._is_given_up
        assert ("ended" if has_ended else "running") == await self._desk.jobs.state(self.run.claim.seq)

    def _add(self, event: StreamEvent) -> StreamEvent:
        self._appended.append(event)
        self._next += 1
        return event


async def _quietly(work: Callable[[], Awaitable[None]]) -> None:
    with suppress(asyncio.CancelledError):
        await work()
