"""The databases on which the store's suite runs."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pytest

from antiphon.store import sqlite, sqlite_files
from antiphon.store.jobs import Jobs
from antiphon.store.postgres import connect, migrate
from antiphon.store.store import Store
from tests.servers import PostgresServer, through

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

    from antiphon.store import Database

    Open: TypeAlias = Callable[[], Coroutine[None, None, Database]]

POOLED = "postgres through pgbouncer"
PROCESSES = 3
ENGINES = [
    "sqlite",
    "sqlite in memory",
    pytest.param("postgres", marks=pytest.mark.whole),
    pytest.param(POOLED, marks=pytest.mark.whole),
]


class Urls:
    """Empty databases of one PostgreSQL, each dropped when its test is over."""

    def __init__(self, server: PostgresServer, template: str, *, port: int | None = None) -> None:
        self._server = server
        self._template = template
        self._port = port
        self._made: list[str] = []

    def empty(self) -> str:
        """The URL of one more database without a schema."""
        return self._database("template0")

    def fresh(self) -> str:
        """The URL of one more database without rows."""
        return self._database(self._template)

    def _database(self, template: str) -> str:
        self._made.append(self._server.database(template))
        return self._made[-1] if self._port is None else through(self._port, self._made[-1])

    def drop(self) -> None:
        """Remove all that were made."""
        for url in self._made:
            self._server.drop(url)

    async def open(self) -> Database:
        """Open one more empty database."""
        return await connect(self.fresh(), pooled=self._port is not None)


@pytest.fixture(scope="session")
def template(postgres_server: PostgresServer) -> str:
    """The name of a database that has this version's schema and no rows."""
    url = postgres_server.database()
    asyncio.run(migrate(url))
    return url.rpartition("/")[2]


@pytest.fixture
def urls(postgres_server: PostgresServer, template: str) -> Iterator[Urls]:
    """Empty databases of the shared PostgreSQL."""
    made = Urls(postgres_server, template)
    yield made
    made.drop()


@pytest.fixture
def pooled_urls(postgres_server: PostgresServer, template: str, pgbouncer_port: int) -> Iterator[Urls]:
    """The same, through a pooler."""
    made = Urls(postgres_server, template, port=pgbouncer_port)
    yield made
    made.drop()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The name of each engine, and of each way to it."""
    name: str = request.param
    return name


@pytest.fixture
def open_empty(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Open an empty database of each engine; of a file there is one."""
    match engine:
        case "sqlite":
            return partial(sqlite.connect, f"sqlite://{tmp_path}/store.db")
        case "sqlite in memory":
            return partial(sqlite.connect, "sqlite://")
        case _:
            made: Urls = request.getfixturevalue("pooled_urls" if engine == POOLED else "urls")
            return made.open


@pytest.fixture
async def database(open_empty: Open) -> AsyncIterator[Database]:
    """An empty database of each engine."""
    opened = await open_empty()
    yield opened
    await opened.aclose()


@pytest.fixture
def store(database: Database) -> Store:
    """An empty store on each engine."""
    return Store(database)


@pytest.fixture
def jobs(database: Database) -> Jobs:
    """The jobs of the same database."""
    return Jobs(database)


@pytest.fixture
async def processes(engine: str, request: pytest.FixtureRequest, open_empty: Open) -> AsyncIterator[list[Database]]:
    """One empty database as several processes have it open; of an engine that serves one process, as that one."""
    opened: list[Database] = []
    if engine.startswith("sqlite"):
        opened.append(await open_empty())
    else:
        made: Urls = request.getfixturevalue("pooled_urls" if engine == POOLED else "urls")
        url = made.fresh()
        opened += [await connect(url, pooled=engine == POOLED) for _ in range(PROCESSES)]
    yield opened
    for database in opened:
        await database.aclose()


@pytest.fixture
def statements() -> list[str]:
    """What `traced` ran, in order."""
    return []


@pytest.fixture
async def traced(tmp_path: Path, statements: list[str]) -> AsyncIterator[sqlite.SQLite]:
    """A SQLite database with one reader; each statement that either of its connections runs is written down."""
    file = str(tmp_path / "traced.db")
    with ExitStack() as opened:
        writer = opened.enter_context(closing(sqlite_files.open_to_write(file)))
        reader = opened.enter_context(closing(sqlite_files.open_to_read(file)))
        for connection in (writer, reader):
            connection.set_trace_callback(statements.append)
        database = sqlite.SQLite(writer, [reader], loop=asyncio.get_running_loop(), opened=opened.pop_all())
    yield database
    await database.aclose()
