"""Where a benchmark plays: the upstream, and the contenders that are running beside each other."""

from __future__ import annotations

import resource
import secrets
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contenders import ROOT, Contender, Place
from benchmarks.driver import CHAT, BrokenAnswerError, Caller
from benchmarks.processes import NotReadyError, Server, free_port
from benchmarks.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

OPEN_FILES = 16_384


class Running:
    """A contender that is ready, with its client."""

    def __init__(self, contender: Contender, server: Server, caller: Caller, *, port: int, seconds: float) -> None:
        self.contender = contender
        self.server = server
        self.caller = caller
        self.port = port
        self.seconds = seconds
        """How long the server took from its start until it was ready."""


class Stage:
    """The upstream, the client that asks it directly, and the contenders that are running."""

    def __init__(self, upstream: Upstream, port: int, folder: Path) -> None:
        self.upstream = upstream
        self.direct = Caller(upstream, port=port, dialect=CHAT)
        self.absent: dict[str, str] = {}
        self._port = port
        self._folder = folder
        self._started: list[Server] = []
        self._running: dict[str, Running] = {}
        self._known: dict[str, Contender] = {}

    def __getitem__(self, name: str) -> Running:
        """Give the running contender of that name."""
        return self._running[name]

    def present(self, names: Sequence[str]) -> list[str]:
        """Give those of the names that are running."""
        return [name for name in names if name in self._running]

    async def admit(self, contender: Contender) -> None:
        """Start a contender and keep it running. A peer that cannot run is noted as absent.

        Raises:
            NotReadyError: where a contender that is no peer cannot run.
        """
        self._known[contender.name] = contender
        if contender.absent:
            self.absent[contender.name] = contender.absent
            return
        try:
            self._running[contender.name] = await self._start(contender)
        except NotReadyError as error:
            if not contender.peer:
                raise
            self.absent[contender.name] = str(error).splitlines()[-1]

    def dismiss(self, name: str, error: BrokenAnswerError) -> None:
        """Stop a peer that does not answer as it should, and note why. Raises the error where it is no peer's."""
        running = self._running.pop(name)
        if not running.contender.peer:
            raise error
        running.server.stop()
        self.absent[name] = str(error)

    @asynccontextmanager
    async def another(self, name: str) -> AsyncGenerator[Running]:
        """Run a second server of a contender, with an empty folder of its own, and stop it at the end."""
        async with self.play(self._known[name]) as running:
            yield running

    @asynccontextmanager
    async def play(self, contender: Contender) -> AsyncGenerator[Running]:
        """Run a contender, in an empty folder of its own, and stop it at the end."""
        running = await self._start(contender)
        try:
            yield running
        finally:
            running.caller.close()
            running.server.stop()
            self._started.remove(running.server)

    async def _start(self, contender: Contender) -> Running:
        port = free_port()
        key = "sk-" + secrets.token_hex(32)
        folder = Path(tempfile.mkdtemp(prefix=f"{contender.name}-", dir=self._folder))
        server = Server(contender.command(Place(folder, port, self._port, key)))
        self._started.append(server)
        seconds = await server.ready()
        caller = Caller(self.upstream, port=port, key=key)
        return Running(contender, server, caller, port=port, seconds=seconds)

    def clear(self) -> None:
        """Stop every server that was started here."""
        for server in reversed(self._started):
            server.stop()
        self._started.clear()


@asynccontextmanager
async def raised() -> AsyncGenerator[Stage]:
    """Give a stage with its upstream, on the disk of this repository, and clear it at the end."""
    allow_many_files()
    upstream = Upstream()
    listening = await upstream.listen()
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build, ignore_cleanup_errors=True) as folder:
        stage = Stage(upstream, listening.sockets[0].getsockname()[1], Path(folder))
        try:
            yield stage
        finally:
            stage.clear()
            listening.close()
            upstream.close()


def allow_many_files() -> None:
    """Raise the soft limit of open files, which children inherit, as far as the hard one lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
