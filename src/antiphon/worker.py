"""The worker: claims background jobs, performs them, and takes over from workers that are gone.

A worker is known by its boot id, new each time a process starts, so that no process lives on its predecessor's claims.
It gives a sign of life as long as it can write; whoever has given none for a lease has lost its jobs to the others, and
stops by itself before that. Messages only save time: everything is found by looking, too.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.protocol.response import ResponseError
from antiphon.store import StoreUnavailable
from antiphon.store.writer import RunLog, Writer
from antiphon.telemetry import trail

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from antiphon.core.log import Chunk
    from antiphon.lifecycle.background import Background
    from antiphon.store.jobs import Claim, Jobs
    from antiphon.store.waker import Waker

log = logging.getLogger(__name__)
_dice = random.Random()  # noqa: S311 - spreads load, hides nothing

FIRST_LOOK = 0.05
LAST_LOOK = 1.0
"""Seconds between looks for queued jobs, from the first after one was found to the last."""

BEATS_A_LEASE = 4
FENCED_AT = 0.8
"""The share of the lease after which a worker that could give no sign of life gives up its runs."""

CRASHED = ResponseError(code="server_error", message="The server had an error. Please try again.")


class Terms(Struct, frozen=True):
    """How much a worker does at a time, and when another takes over.

    ``runs`` at the same time; ``lease`` in seconds; ``attempts``: how often a job is begun before it is given up;
    ``drain``: seconds that runs have to end by themselves once the worker stops.
    """

    runs: int = 16
    lease: float = 20.0
    attempts: int = 3
    drain: float = 10.0


class Worker:
    """Performs jobs. ``told`` is given the chunks that its runs wrote, by job."""

    def __init__(
        self,
        background: Background,
        jobs: Jobs,
        waker: Waker,
        *,
        boot: str,
        terms: Terms,
        told: Callable[[Mapping[int, Chunk]], None],
    ) -> None:
        self._background = background
        self._jobs = jobs
        self._waker = waker
        self._boot = boot
        self._terms = terms
        self._writer = Writer(jobs, told)
        self._runs: dict[int, Run] = {}
        self._strays: dict[int, int] = {}
        self._beaten = -math.inf
        self._is_stopping = self._is_hurried = False
        self._something = asyncio.Event()
        self._doubt = asyncio.Event()
        waker.listen("queued", self._wake)
        waker.listen("ended", self._hear_ended)

    async def run(self) -> None:
        """Work, until told to stop; then let runs end for a while, and give the others back."""
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(self._writer.run()), group.create_task(self._beats())]
            try:
                await self._work(group)
                await self._drain()
            except asyncio.CancelledError:  # then nothing is written any more, an end least of all
                self._give_up(list(self._runs.values()))
                raise
            for other in others:
                other.cancel()
        with suppress(StoreUnavailable):
            await self._jobs.retire(self._boot)

    def stop(self) -> None:
        """Claim nothing more."""
        self._is_stopping = True
        self._wake([])

    def hurry(self) -> None:
        """Once it is told to stop, let runs have no more time to end: they are given back now."""
        self._is_hurried = True
        self._wake([])

    # Claims

    async def _work(self, group: asyncio.TaskGroup) -> None:
        pause = FIRST_LOOK
        while not self._is_stopping:
            self._something.clear()
            claims = await self._claims()
            for claim in claims:
                self._begin(claim, group)
            pause = FIRST_LOOK if claims else min(2 * pause, LAST_LOOK)
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_LOOK if self._waker.is_heard else pause):
                    await self._something.wait()

    async def _claims(self) -> list[Claim]:
        free = self._terms.runs - len(self._runs)
        if free <= 0 or self._fence <= 0:  # what it claims now, another takes over
            return []
        try:
            claims = await self._jobs.claim(self._boot, limit=free)
        except StoreUnavailable as error:
            log.warning("jobs cannot be claimed", extra={"action": "jobs_not_claimed", "error": str(error)})
            return []
        if self._is_stopping:  # it was told so meanwhile
            await self._give_back(claims)
            return []
        return claims

    def _begin(self, claim: Claim, group: asyncio.TaskGroup) -> None:
        if (older := self._runs.get(claim.seq)) is not None:  # lost, and not aware of it
            older.give_up()
        run = self._runs[claim.seq] = Run(claim)
        log.info("job claimed", extra={"action": "job_claimed", "job": claim.seq, "attempt": claim.attempt})
        if (figures := trail.current().figures) is not None:
            figures.claims.add()
        run.task = group.create_task(self._perform(run))
        run.task.add_done_callback(partial(self._ended, run))

    def _ended(self, run: Run, _task: asyncio.Task[None]) -> None:
        if self._runs.get(run.claim.seq) is run:
            del self._runs[run.claim.seq]
        self._wake([])

    async def _perform(self, run: Run) -> None:
        """The edge of a run: whatever happens in it, the worker goes on."""
        try:
            await self._background.perform(run.claim, partial(run.open, self._writer))
        except StoreUnavailable as error:  # its claim is a stray now, and is given back
            log.warning("job put off", extra={"action": "job_put_off", "job": run.claim.seq, "error": str(error)})
        except Exception:
            log.exception("job failed", extra={"action": "job_failed", "job": run.claim.seq})
            await self._end(run.claim.seq, self._background.fail(run.claim.seq, CRASHED))

    async def _end(self, job: int, ending: Coroutine[None, None, None]) -> None:
        """End a job that cannot be done. One that cannot even be ended stops no other."""
        try:
            await ending
        except Exception:
            log.exception("job not ended", extra={"action": "job_not_ended", "job": job})

    # Signs of life

    async def _beats(self) -> None:
        period = self._terms.lease / BEATS_A_LEASE
        while True:
            if self._writer.delay > self._terms.lease / 2:  # then another shall take over
                log.error("the writer is stuck", extra={"action": "writer_stuck", "seconds": self._writer.delay})
            else:
                await self._beat(period)
            fence = self._fence
            if fence <= 0:
                self._give_up(list(self._runs.values()))
            wait = period if self._waker.is_heard else min(period, LAST_LOOK)
            wait *= _dice.uniform(0.8, 1.0)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait if fence <= 0 else min(wait, fence)):
                    await self._doubt.wait()
            self._doubt.clear()

    @property
    def _fence(self) -> float:
        """Seconds until its jobs may be another's; not above 0 where they may be already."""
        return self._beaten + FENCED_AT * self._terms.lease - time.monotonic()

    async def _beat(self, patience: float) -> None:
        """Give a sign of life, and see to what came of it."""
        began, runs = time.monotonic(), list(self._runs.values())
        try:
            async with asyncio.timeout(patience / 2):
                held = await self._jobs.beat(self._boot)
                is_back, self._beaten = self._fence <= 0, began
                if is_back:
                    self._wake([])
                await self._settle(held, runs)
                await self._take_over()
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("no sign of life", extra={"action": "no_sign_of_life", "error": str(error)})

    async def _settle(self, held: dict[int, int], runs: list[Run]) -> None:
        """Give up the runs whose jobs are no longer held, and give back the jobs that nothing runs for."""
        self._give_up([run for run in runs if held.get(run.claim.seq) != run.claim.epoch])
        strays = {seq: epoch for seq, epoch in held.items() if seq not in self._runs}
        lasting = {seq: epoch for seq, epoch in strays.items() if self._strays.get(seq) == epoch}
        self._strays = strays
        if lasting:
            await self._jobs.release(lasting)
            self._waker.say("queued", lasting)

    async def _take_over(self) -> None:
        """Queue what workers that are gone had claimed; end what has worn out too many of them."""
        lost = await self._jobs.reclaim(lease=round(self._terms.lease * 1000), attempts=self._terms.attempts)
        if lost.queued:
            log.warning("jobs taken over", extra={"action": "jobs_taken_over", "jobs": lost.queued})
            if (figures := trail.current().figures) is not None:
                figures.taken_over.add(count=len(lost.queued))
            self._waker.say("queued", lost.queued)
        for seq in lost.worn_out:
            log.error("job worn out", extra={"action": "job_worn_out", "job": seq})
            await self._end(seq, self._background.wear_out(seq))

    def _give_up(self, runs: list[Run]) -> None:
        for run in runs:
            if not run.is_over:
                log.warning("job lost", extra={"action": "job_lost", "job": run.claim.seq})
                self._count_lost()
                run.give_up()

    def _count_lost(self) -> None:
        if (figures := trail.current().figures) is not None:
            figures.lost.add()

    # The end

    async def _drain(self) -> None:
        """Let runs end by themselves for a while; then take up nothing more of them, and give them back."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._terms.drain):
                while self._runs and not self._is_hurried:
                    self._something.clear()
                    await self._something.wait()
        left = [run for run in self._runs.values() if not run.is_over]
        for run in left:
            run.give_up()
        if left:
            await asyncio.wait([run.task for run in left if run.task is not None])
            await self._give_back([run.claim for run in left])

    async def _give_back(self, claims: list[Claim]) -> None:
        """Let others have them at once; where that cannot be said, they find out when this worker is gone."""
        if claims:
            with suppress(StoreUnavailable):
                await self._jobs.release({claim.seq: claim.epoch for claim in claims})
                self._waker.say("queued", [claim.seq for claim in claims])

    # Words of others

    def _wake(self, _jobs: list[int]) -> None:
        self._something.set()

    def _hear_ended(self, jobs: list[int]) -> None:
        """Jobs were ended by somebody else; any may have been, where none is named."""
        for run in [run for seq in jobs if (run := self._runs.get(seq)) is not None and not run.is_over]:
            log.info("job ended", extra={"action": "job_ended", "job": run.claim.seq})
            run.give_up()
        if not jobs:
            self._doubt.set()


class Run:
    """A claimed job on its way."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.task: asyncio.Task[None] | None = None
        self._log: RunLog | None = None

    def open(self, writer: Writer, next_number: int) -> RunLog:
        """The run's end of its log."""
        self._log = RunLog(self.claim, next_number, writer=writer, lost=self._stop)
        return self._log

    @property
    def is_over(self) -> bool:
        """Whether it has written all that it will."""
        return (self._log is not None and self._log.is_closed) or (self.task is not None and self.task.done())

    def give_up(self) -> None:
        """Write nothing more, and stop."""
        if self._log is not None:
            self._log.close()
        self._stop()

    def _stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
