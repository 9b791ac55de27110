"""The databases on which the store's suite runs."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from antiphon.store import sqlite, sqlite_files
from antiphon.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from antiphon.store import Database

ENGINES: dict[str, tuple[str, Callable[[str], Coroutine[None, None, Database]]]] = {
    "sqlite": ("sqlite://{folder}/store.db", sqlite.connect),
    "sqlite in memory": ("sqlite://", sqlite.connect),
}


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database of each engine."""
    url, connect = ENGINES[request.param]
    opened = await connect(url.format(folder=tmp_path))
    yield opened
    await opened.aclose()


@pytest.fixture
def store(database: Database) -> Store:
    """An empty store on each engine."""
    return Store(database)


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
