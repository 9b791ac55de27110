"""The children that read files, from the server's side: started when they are needed, replaced when they die."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import msgspec

from antiphon.documents.nouns import Unreadable
from antiphon.documents.turns import Turns
from antiphon.documents.wire import LENGTH, LONGEST_REPORT, Errand, Refused, Terms, decode_report, framed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from anyio.abc import ByteReceiveStream, ByteSendStream, Process

    from antiphon.documents.nouns import Config, Reason
    from antiphon.documents.wire import Job, Outcome, Report

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-B", "-P", "-s", "-m", "antiphon.documents.child")
IDLE_SECONDS = 60.0
SHARE = 0.8
"""Of the time after which an idle child ends of itself; after it, it is given no more jobs."""
MOST_JOBS = 200
END_SECONDS = 5.0
BLOCK = 262_144
_GONE = (anyio.BrokenResourceError, anyio.EndOfStream, ConnectionError)


class _Garbled(Exception):
    """A child said what none says."""


_LOST = (*_GONE, _Garbled, msgspec.MsgspecError)


class _Child:
    """One process, and the streams to and from it."""

    def __init__(self, process: Process, jobs: ByteSendStream, reports: ByteReceiveStream) -> None:
        self._process = process
        self._jobs = jobs
        self._reports = reports
        self._heard = bytearray()
        self.idle_since = 0.0

    @property
    def code(self) -> int | None:
        """What it ended with, None while it lives."""
        return self._process.returncode

    async def ask(self, errand: Errand, contents: Sequence[bytes]) -> Report:
        """Hand over a job with its files, and wait for its report. Raises `_LOST`."""
        await self._jobs.send(framed(errand))
        for content in contents:
            for start in range(0, len(content), BLOCK):  # so that no second copy of it waits
                await self._jobs.send(content[start : start + BLOCK])
        (length,) = LENGTH.unpack(await self._hear(LENGTH.size))
        if length > LONGEST_REPORT:
            raise _Garbled
        report = decode_report(await self._hear(length))
        if report.number != errand.number or self._heard:
            raise _Garbled
        return report

    async def _hear(self, size: int) -> bytes:
        """So many bytes, and no more in memory than a block beyond."""
        while len(self._heard) < size:
            self._heard += await self._reports.receive(BLOCK)
        heard = bytes(memoryview(self._heard)[:size])
        del self._heard[:size]
        return heard

    def is_alive(self) -> bool:
        """Whether it lives, asked of the system: a loop hears of a death later."""
        try:
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
        except ChildProcessError:
            return False

    def kill(self) -> None:
        """Kill it, if it lives; whoever waits for its report ends it."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def gone(self) -> None:
        """Wait until it is gone after `kill`."""
        with anyio.move_on_after(END_SECONDS, shield=True):
            await self._process.wait()

    async def end(self) -> None:
        """Kill it, and wait until it is gone. A caller that is cancelled does so too."""
        with anyio.CancelScope(shield=True):
            self.kill()
            with anyio.move_on_after(END_SECONDS):
                await self._drain()  # a loop may trip over what comes in on a pipe that was closed
                await self._process.wait()
            if self._process.returncode is not None:
                await self._process.aclose()

    async def _drain(self) -> None:
        self._heard.clear()
        with contextlib.suppress(*_GONE, anyio.ClosedResourceError):
            while True:
                await self._reports.receive(BLOCK)


class Crew:
    """At most ``config.workers`` children, who take the jobs of parties in rotation."""

    def __init__(self, config: Config, *, command: Sequence[str] = COMMAND, idle_seconds: float = IDLE_SECONDS) -> None:
        self._config = config
        self._command = command
        self._idle_seconds = idle_seconds
        self._turns = Turns(config.workers)
        self._numbers = itertools.count()
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()
        self._closed = False

    @asynccontextmanager
    async def turn(self, party: str = "") -> AsyncGenerator[None]:
        """Wait for a party's turn, and hold it for the block, in which one job is asked for. Raises `Unreadable`."""
        try:
            with anyio.fail_after(self._config.seconds):
                await self._turns.acquire(party)
        except TimeoutError as error:
            raise Unreadable("busy", "Too many files are being read: this one did not get its turn.") from error
        try:
            yield
        finally:
            self._turns.release(party)

    async def ask(self, job: Job, contents: Sequence[bytes]) -> Outcome:
        """Have a child do a job, and another where the first is lost over it; within `turn`. Raises `Unreadable`.

        ``config.seconds`` are for both, for what is waited for by others is a turn.
        """
        try:
            with anyio.fail_after(self._config.seconds):
                try:
                    return await self._asked(await self._rested() or await self._start(), job, contents)
                except _LOST:  # it may have been the fault of what it did before
                    return await self._asked(await self._start(), job, contents)
        except TimeoutError as error:
            _lose("timeout", None)
            raise Unreadable("timeout", f"The file was not read within {self._config.seconds} seconds.") from error
        except _LOST as error:
            if self._closed:
                raise _stopping() from error
            raise Unreadable("crashed", "The file cannot be read: reading it broke off.") from error

    async def _asked(self, child: _Child, job: Job, contents: Sequence[bytes]) -> Outcome:
        """What one child says to a job. Raises `Unreadable`, and `_LOST` for a child that is."""
        is_fit = False
        try:
            report = await child.ask(Errand(next(self._numbers), job, [len(one) for one in contents]), contents)
            is_fit = report.is_fit and not self._closed
            return _accepted(report.outcome)
        except _LOST:
            _lose("crashed", child.code)
            raise
        finally:
            await self._put_back(child, is_fit=is_fit)

    async def aclose(self) -> None:
        """End all children. Jobs under way are lost, and none comes after."""
        self._closed = True
        children, self._idle = list(self._idle), []
        for child in self._all:
            child.kill()
        for child in children:
            await self._put_back(child, is_fit=False)
        for child in list(self._all):
            await child.gone()

    async def _rested(self) -> _Child | None:
        """The child that was idle for the shortest time, so that those that are not needed end of themselves."""
        while self._idle:
            child = self._idle.pop()
            rest = time.monotonic() - child.idle_since
            if rest < SHARE * self._idle_seconds and child.is_alive():
                return child
            await self._put_back(child, is_fit=False)
        return None

    async def _start(self) -> _Child:
        if self._closed:
            raise _stopping()
        terms = Terms(
            parent=os.getpid(),
            memory_mib=self._config.memory_mib,
            seconds=self._config.seconds,
            idle_seconds=self._idle_seconds,
            most_jobs=MOST_JOBS,
        )
        try:
            process = await anyio.open_process(
                [*self._command, msgspec.json.encode(terms).decode()],
                stderr=subprocess.DEVNULL,  # libraries may write there what a file says
                cwd="/",
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the server, which lets requests end first
            )
        except OSError as error:
            log.warning("no child can be started", extra={"action": "document_child_missing", "error": str(error)})
            raise Unreadable("busy", "The file cannot be read now.") from error
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a process was opened without pipes")
        child = _Child(process, process.stdin, process.stdout)
        self._all.add(child)
        return child

    async def _put_back(self, child: _Child | None, *, is_fit: bool) -> None:
        if child is None:
            return
        if is_fit:
            child.idle_since = time.monotonic()
            self._idle.append(child)
            return
        self._all.discard(child)
        await child.end()


def _lose(reason: Reason, code: int | None) -> None:
    extra = {"action": "document_child_lost", "reason": reason, "code": code}
    log.warning("a child was lost over a file", extra=extra)


def _stopping() -> Unreadable:
    return Unreadable("busy", "The server is stopping.")


def _accepted(outcome: Outcome) -> Outcome:
    """An outcome that is none of refusal. Raises `Unreadable` for one."""
    if not isinstance(outcome, Refused):
        return outcome
    if outcome.fault is not None:
        log.info("a file broke its parser", extra={"action": "document_broken", "fault": outcome.fault})
    raise Unreadable(outcome.reason, outcome.words)


def _environment() -> dict[str, str]:
    """All that a child is told of its surroundings: where Python finds what the server runs, and nothing secret."""
    return {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "LC_ALL": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",  # an arena for each thread would take its address space
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "1",
    }
