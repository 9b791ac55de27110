"""The writer of logs: one a process. Runs append to memory; the writer takes what all of them have and commits it once.

A commit begins at once where the last ones are a while ago, and otherwise when `PACE` has gone by, longer the more runs
there are: a run that is alone is not kept waiting, and hundreds share a commit. What was committed is told to this
process's readers and to the others; nothing is told before. A write that cannot be made is tried again until it can be
or until the run is given up: nothing is lost, and the runs are held back meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from antiphon.core.log import Pack
from antiphon.store import StoreUnavailable
from antiphon.store.jobs import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.core.log import Chunk
    from antiphon.core.notes import Note
    from antiphon.protocol.events import StreamEvent
    from antiphon.store import Final
    from antiphon.store.jobs import Claim, Jobs

    Committed = Callable[[dict[int, Chunk]], None]

log = logging.getLogger(__name__)

PACE = 0.01
PACE_OF_A_RUN = 2e-4
SLOWEST_PACE = 0.1
"""Seconds between commits: `PACE`, and more with each run that has something to say, up to `SLOWEST_PACE`. It is kept
from every second commit on: the first words of a run do not wait for what was said before them, that it begins."""

BUFFER = 4_000_000
"""Characters that one run may have in memory: then its model is not read until they are written."""

FIRST_RETRY = 0.05
LAST_RETRY = 1.0
"""Seconds until a commit that failed is tried again."""


class RunLog:
    """A run's end of its log. Once it is closed nothing is written under its claim any more, whatever is appended."""

    def __init__(self, claim: Claim, next_number: int, *, writer: Writer, lost: Callable[[], object]) -> None:
        self.claim = claim
        self._pack = Pack(next_number)
        self._part = claim.parts
        self._writer = writer
        self._lost = lost
        self._final: Final | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._taken_with: list[asyncio.Future[None]] = []
        self._is_taken = False
        self._is_given_up = False
        self.is_closed = False

    async def append(self, events: list[StreamEvent], notes: list[Note]) -> None:
        """Append events, and behind them notes; both are written together. Waits only where too much is unwritten."""
        if self.is_closed:
            return
        self._pack.add(events)
        for note in notes:
            self._pack.note(note)
        self._writer.wake(self)
        if self._pack.size > BUFFER:
            await self.written()

    async def written(self) -> None:
        """Wait until all that was appended is durable. Of a run that was given up it never is: waiting is cancelled."""
        if self._is_given_up:
            raise asyncio.CancelledError
        if self.is_closed or not (self._pack.size or self._is_taken):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiting if self._pack.size else self._taken_with).append(future)
        await future

    async def finish(self, events: list[StreamEvent], notes: list[Note], final: Final) -> None:
        """Append the last events, and wait until they and the end of the response are durable, in one transaction."""
        if not self.is_closed:
            self._final = final
            await self.append(events, notes)
            await self.written()

    def close(self) -> None:
        """Write nothing more, and let nobody believe that it was written."""
        if not self.is_closed:
            self.is_closed = self._is_given_up = True
            for future in (*self._taken_with, *self._waiting):
                future.cancel()

    # For the writer

    def take(self) -> Entry | None:
        """What is to be written now; None where there is nothing."""
        chunk = None if self.is_closed else self._pack.take()
        if chunk is None:
            return None
        self._part += 1
        self._is_taken = True
        self._taken_with, self._waiting = self._waiting, []
        return Entry(self.claim.seq, self.claim.epoch, self._part - 1, chunk, self._final)

    def committed(self, entry: Entry) -> None:
        """What was taken is durable."""
        self._is_taken = False
        waiting, self._taken_with = self._taken_with, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        if entry.final is not None:
            self.is_closed = True

    def lose(self) -> None:
        """Somebody else has the job now, or has ended it."""
        if not self.is_closed:
            self.close()
            self._lost()


class Writer:
    """Commits what runs append. ``committed`` is told the chunks that became durable, by job."""

    def __init__(self, jobs: Jobs, committed: Committed) -> None:
        self._jobs = jobs
        self._committed = committed
        self._grown: set[RunLog] = set()
        self._something = asyncio.Event()
        self._trying_since: float | None = None

    def wake(self, run: RunLog) -> None:
        """A run has something to write."""
        self._grown.add(run)
        self._something.set()

    @property
    def delay(self) -> float:
        """Seconds for which the writer has been trying to commit; 0 where it is not kept from it."""
        return 0.0 if self._trying_since is None else time.monotonic() - self._trying_since

    async def run(self) -> None:
        """Write, until cancelled."""
        began = free = 0.0
        while True:
            await self._something.wait()
            await asyncio.sleep(max(0.0, free - time.monotonic()))
            self._something.clear()
            grown, self._grown = self._grown, set()
            taken = {run: entry for run in grown if (entry := run.take()) is not None}
            before, began = began, time.monotonic()
            free = before + 2 * min(SLOWEST_PACE, PACE + len(taken) * PACE_OF_A_RUN)
            if taken:
                await self._commit(taken)

    async def _commit(self, taken: dict[RunLog, Entry]) -> None:
        """Write, again and again where it fails, what belongs to runs that have not been given up."""
        self._trying_since = time.monotonic()
        pause = FIRST_RETRY
        while taken := {run: entry for run, entry in taken.items() if not run.is_closed}:
            try:
                written = await self._jobs.append(list(taken.values()))
            except StoreUnavailable as error:
                log.warning(
                    "logs cannot be written",
                    extra={"action": "logs_not_written", "error": str(error), "runs": len(taken)},
                )
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_RETRY)
            else:
                self._settle(taken, written)
                break
        self._trying_since = None

    def _settle(self, taken: dict[RunLog, Entry], written: set[int]) -> None:
        for run, entry in taken.items():
            if entry.seq in written:
                run.committed(entry)
            else:
                run.lose()
        self._committed({entry.seq: entry.chunk for entry in taken.values() if entry.seq in written})
