"""The server's side of the child process: started by the first request, shared by all, started again after a crash."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING

import anyio
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream
from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.llama.wire import Failed, Greeting, Load, Ready

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import ByteReceiveStream, Process

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "antiphon.backends.llama.child")
LOAD_SECONDS = 600.0
STOP_SECONDS = 5.0
LAST_WORDS_SECONDS = 1.0
GREETING_LIMIT = 65_536
TAIL = 2_000
CANNOT_START = "The embedded model could not be started."


class Access(Struct, frozen=True):
    """Where a running child listens and the key it asks for."""

    address: str
    key: str


class _Running:
    """A process that was started: its greeting may still be under way."""

    def __init__(
        self, process: Process, stdout: ByteReceiveStream, stderr: IO[bytes], *, key: str, since: float
    ) -> None:
        self.process = process
        self.greeting = BufferedByteReceiveStream(stdout)
        self.stderr = stderr
        self.key = key
        self.since = since
        self.access: Access | None = None

    def tail(self) -> str:
        """What it wrote to stderr last; nothing of a request, for it is silent once it is ready."""
        self.stderr.seek(0, os.SEEK_END)
        self.stderr.seek(max(0, self.stderr.tell() - TAIL))
        return self.stderr.read().decode(errors="replace").strip()


class Child:
    """One model in one process; ``access`` is all that a request needs.

    ``load`` is what the process is told (its key and parent are filled in here), ``name`` what logs call the model.
    ``load_seconds`` is the patience from the start of the process until the model is ready.
    """

    def __init__(
        self,
        load: Load,
        *,
        name: str,
        command: Sequence[str] = COMMAND,
        load_seconds: float = LOAD_SECONDS,
        now: Callable[[], float] = time.monotonic,
        new_key: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self._load = load
        self._name = name
        self._command = command
        self._load_seconds = load_seconds
        self._now = now
        self._new_key = new_key
        self._lock = anyio.Lock()
        self._running: _Running | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id, None where there is no process."""
        return None if self._running is None else self._running.process.pid

    async def access(self) -> Access:
        """Return where the model listens, loading it first where need be.

        A caller that goes away while the model is loading does not stop the loading. Raises `UpstreamError`.
        """
        async with self._lock:
            if self._closed:
                raise UpstreamError("unavailable", "The server is stopping.")
            running = self._running
            if running is None or running.process.returncode is not None:
                running = await self._start()
            if running.access is None:
                running.access = await self._ready(running)
            return running.access

    async def ended(self, seconds: float) -> int | None:
        """Return the exit code of the process if it ends within so many seconds, None if it lives on or never was."""
        running = self._running
        if running is None:
            return None
        with anyio.move_on_after(seconds):
            await running.process.wait()
        return running.process.returncode

    async def aclose(self) -> None:
        """Stop the process, by asking first."""
        self._closed = True
        with anyio.CancelScope(shield=True):
            await self._stop()

    async def _start(self) -> _Running:
        await self._stop()
        log.info("loading model %s", self._name, extra={"action": "model_loading", "model": self._name})
        load = replace(self._load, key=self._new_key(), parent=os.getpid())
        try:
            running = self._running = await self._open(load)
        except OSError as error:
            raise UpstreamError("misconfigured", CANNOT_START, detail=str(error)) from error
        if running.process.stdin is not None:
            with contextlib.suppress(
                anyio.BrokenResourceError
            ):  # it died at once, which its missing greeting will tell
                await running.process.stdin.send(msgspec.json.encode(load) + b"\n")
        return running

    async def _open(self, load: Load) -> _Running:
        stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed by _stop
        try:
            process = await anyio.open_process(
                self._command,
                stderr=stderr,
                env={"OMP_WAIT_POLICY": "passive", **os.environ},  # threads that wait must not burn time
                start_new_session=True,  # Ctrl-C is for the server, which lets requests end first
            )
        except BaseException:
            stderr.close()
            raise
        if process.stdout is None:
            raise RuntimeError("a process was opened without pipes")
        return _Running(process, process.stdout, stderr, key=load.key, since=self._now())

    async def _ready(self, running: _Running) -> Access:
        greeting = await self._greeting(running)
        match greeting:
            case Failed(problem):
                await self.ended(LAST_WORDS_SECONDS)  # it says more on its way out
                raise UpstreamError("misconfigured", problem, detail=running.tail())
            case Ready(address):
                seconds = self._now() - running.since
                log.info(
                    "model ready in %.1f s",
                    seconds,
                    extra={"action": "model_ready", "model": self._name, "seconds": round(seconds, 1)},
                )
                return Access(address, running.key)

    async def _greeting(self, running: _Running) -> Greeting:
        try:
            with anyio.fail_after(running.since + self._load_seconds - self._now()):
                line = await running.greeting.receive_until(b"\n", GREETING_LIMIT)
            return msgspec.json.decode(line, type=Ready | Failed)
        except TimeoutError as error:
            await self._stop()
            message = f"The embedded model was not ready within {self._load_seconds:g} s."
            raise UpstreamError("timeout", message) from error
        except anyio.IncompleteRead as error:
            code = await self.ended(STOP_SECONDS)
            detail = f"exit code {code}: {running.tail()}"
            raise UpstreamError("misconfigured", CANNOT_START, detail=detail) from error

    async def _stop(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        process = running.process
        if process.returncode is not None:
            code = process.returncode
            log.warning("model process ended", extra={"action": "model_ended", "model": self._name, "code": code})
        elif process.stdin is not None:
            await process.stdin.aclose()  # asks it to end
        try:
            with anyio.move_on_after(STOP_SECONDS):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
            await process.aclose()
            running.stderr.close()
