"""Processes that perform background runs together: one server on SQLite, or servers and workers on PostgreSQL."""

from __future__ import annotations

import subprocess
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.contenders import Contender, in_a_file, serving, working
from benchmarks.driver import BrokenAnswerError
from benchmarks.processes import tree_seconds
from benchmarks.reading import Read, Streams, read_streams
from tests.servers import PostgresServer, postgres, unprivileged, unprivileged_group

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from benchmarks.contenders import Place
    from benchmarks.processes import Command
    from benchmarks.reading import Amid
    from benchmarks.stage import Stage
    from benchmarks.upstream import Upstream

WARM = Streams(streams=32, tokens=8)
NODES = 2
"""So many servers, and as many workers, on one PostgreSQL."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "128MB",
    "fsync": "on",
    "autovacuum": "off",  # a process that has ended is not counted
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "on",
}


class Spent(Struct, frozen=True):
    """What a load came to: its streams, and the CPU seconds of each role."""

    reads: list[Read]
    cpu: dict[str, float]


class Ensemble:
    """Servers that are asked in turn, and what the processes of each role have used, in CPU seconds."""

    def __init__(self, upstream: Upstream, ports: list[int], roles: Mapping[str, list[Callable[[], float]]]) -> None:
        self.upstream = upstream
        self.ports = ports
        self._roles = roles

    async def play(self, load: Streams, *, amid: Amid | None = None) -> Spent:
        """Put a load on the servers and give what it came to. Raises `BrokenAnswerError`."""
        before = self._cpu()
        reads = await read_streams(self.upstream, self.ports, load, amid=amid)
        return Spent(reads, {role: after - before[role] for role, after in self._cpu().items()})

    async def warm(self) -> None:
        """Ask for a few streams of both kinds, which are not counted."""
        for background in (True, False):
            await self.play(msgspec.structs.replace(WARM, background=background))

    def _cpu(self) -> dict[str, float]:
        return {role: sum(clock() for clock in clocks) for role, clocks in self._roles.items()}


@asynccontextmanager
async def alone(stage: Stage, *, runs: int) -> AsyncGenerator[Ensemble]:
    """Run one server on a SQLite file, with places for so many runs."""

    def server(place: Place) -> Command:
        return serving(place, store=in_a_file(place), runs=runs)

    async with stage.play(Contender("background", server)) as running:
        ensemble = Ensemble(stage.upstream, [running.port], {"server": [running.server.cpu_seconds]})
        await ensemble.warm()
        yield ensemble


@asynccontextmanager
async def shared(stage: Stage, database: Database, *, runs: int) -> AsyncGenerator[Ensemble]:
    """Run servers without a worker, and workers, on one database, with places for so many runs in all."""
    server = Contender("server", partial(serving, store=database.url, works=False))
    worker = Contender("worker", partial(working, store=database.url, runs=-(-runs // NODES)))
    async with AsyncExitStack() as opened:
        servers = [await opened.enter_async_context(stage.play(server)) for _ in range(NODES)]
        workers = [await opened.enter_async_context(stage.play(worker)) for _ in range(NODES)]
        roles = {
            "servers": [running.server.cpu_seconds for running in servers],
            "workers": [running.server.cpu_seconds for running in workers],
            "postgres": [database.cpu_seconds],
        }
        ensemble = Ensemble(stage.upstream, [running.port for running in servers], roles)
        await ensemble.warm()
        yield ensemble


class Sizes(Struct, frozen=True, array_like=True):
    """What the log takes in the database: its rows and events, the bytes of their text, and of the table."""

    rows: int
    events: int
    text: int
    table: int


class Database:
    """A PostgreSQL that makes commits durable and counts statements."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        server.run("CREATE EXTENSION pg_stat_statements")
        self.url = server.url

    def cpu_seconds(self) -> float:
        """Give the CPU time of all its processes."""
        return tree_seconds(self._server.pid)

    def statements(self) -> dict[str, int]:
        """Give how often each statement was run so far."""
        told = self._server.run(
            "SELECT json_object_agg(query, calls) FROM (SELECT query, sum(calls) AS calls FROM pg_stat_statements"
            " JOIN pg_database ON dbid = pg_database.oid WHERE datname LIKE 'test%' GROUP BY query) AS counted"
        )
        return msgspec.json.decode(told, type=dict[str, int])

    def sizes(self) -> Sizes:
        """Measure the log."""
        told = self._server.run(
            "SELECT json_build_array(count(*), sum(last - first + 1), sum(octet_length(data)),"
            " pg_total_relation_size('events')) FROM events",
            url=self.url,
        )
        return msgspec.json.decode(told, type=Sizes)

    def written(self) -> int:
        """Give the bytes that went into the write-ahead log so far."""
        return int(self._server.run("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"))


@asynccontextmanager
async def database() -> AsyncGenerator[Database]:
    """Run a PostgreSQL as an operator does: what it commits is on the disk."""
    with postgres() as server:
        programs = server.run("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
        folder = server.run("SHOW data_directory")
        server.stop()
        settings = SETTINGS | {"port": str(server.port), "unix_socket_directories": str(Path(folder).parent)}
        started = subprocess.run(  # noqa: ASYNC221 - nothing else goes on here yet
            [
                *(f"{programs}/pg_ctl", "start", "--wait", "--silent", "--pgdata", folder, "--log", f"{folder}/log"),
                *("--options", " ".join(f"-c {name}={value}" for name, value in settings.items())),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            user=unprivileged(),
            group=unprivileged_group(),
            extra_groups=None if unprivileged() is None else [],
            cwd=folder,
            check=False,
            timeout=60,
        )
        if started.returncode:
            raise BrokenAnswerError(f"PostgreSQL did not start again; see {folder}/log")
        yield Database(server)
