"""A guest reads a SQLite database beside its holder, changes nothing, and says what it cannot read."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.store import (
    Statement,
    StoreTooNew,
    StoreTooOld,
    StoreUnavailable,
    StoreUrlError,
    migrations,
    sqlite,
    sqlite_files,
)
from antiphon.store.keys import Keys, new_key
from antiphon.store.sqlite_guest import is_ready, visit
from antiphon.store.store import Store
from tests.patient import HANG_SECONDS
from tests.store.rows import context, save

if TYPE_CHECKING:
    from pathlib import Path

    from antiphon.store import Dialogue, Row

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A file in a folder whose name a URL has to quote."""
    return f"sqlite://{tmp_path}/a%20b%3F/store.db"


async def test_a_guest_sees_what_the_holder_committed(url: str) -> None:
    """What it committed before the guest came and after; the holder saves and sweeps on."""
    holder = await sqlite.connect(url)
    await save(Store(holder), "r1")
    guest = await visit(url)
    assert ["r1.in", "r1.out"] == await context(Store(guest), "r1")
    await save(Store(holder), "r2")
    assert ["r2.in", "r2.out"] == await context(Store(guest), "r2")
    with anyio.fail_after(HANG_SECONDS):
        assert 2 == await Store(holder).sweep(1000)
    assert None is await context(Store(guest), "r1")
    await guest.aclose()
    await save(Store(holder), "r3")
    await holder.aclose()


async def test_a_guest_sees_what_nobody_holds(url: str) -> None:
    """And leaves it so that a server can begin."""
    holder = await sqlite.connect(url)
    await save(Store(holder), "r1")
    await holder.aclose()
    guest = await visit(url)
    assert ["r1.in", "r1.out"] == await context(Store(guest), "r1")
    again = await sqlite.connect(url)
    await save(Store(again), "r2", after="r1")
    await again.aclose()
    await guest.aclose()
    last = await sqlite.connect(url)
    assert ["r1.in", "r1.out", "r2.in", "r2.out"] == await context(Store(last), "r2")
    await last.aclose()


async def test_a_guest_changes_nothing(url: str) -> None:
    """Neither by a transaction nor by what should only read."""
    holder = await sqlite.connect(url)
    await save(Store(holder), "r1")
    guest = await visit(url)

    def deletion() -> Dialogue[list[Row]]:
        return (yield Statement("DELETE FROM items"))

    with pytest.raises(StoreUnavailable, match="readonly"):
        await guest.transaction(deletion)
    with pytest.raises(StoreUnavailable, match="readonly"):
        await guest.fetch("DELETE FROM items", {})
    await guest.aclose()
    assert ["r1.in", "r1.out"] == await context(Store(holder), "r1")
    await holder.aclose()


async def test_what_is_not_there_is_not_made(url: str) -> None:
    """Neither the file nor its folder."""
    with pytest.raises(StoreUnavailable, match="no server has used it yet"):
        await visit(url)
    assert not await anyio.Path(sqlite_files.path(url)).parent.exists()


async def test_a_store_in_memory_has_no_guests() -> None:
    """It is its process's own."""
    with pytest.raises(StoreUrlError, match="in memory"):
        await visit("sqlite://")


async def test_what_is_no_database_is_said(tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "notes.db").write_text("not a database, and long enough to be told from one " * 10)
    with pytest.raises(StoreUnavailable, match=r"notes\.db cannot be read"):
        await visit(f"sqlite://{tmp_path}/notes.db")


@pytest.mark.parametrize("steps", [0, 1])
async def test_an_older_schema_is_not_read(tmp_path: Path, steps: int) -> None:
    """The error says what to do, and the database stays as it was."""
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as connection:
        for step in migrations.read("sqlite")[:steps]:
            connection.executescript(step.sql)
            connection.execute("CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
            connection.execute("INSERT INTO migrations VALUES (?, ?)", (step.number, step.name))
        connection.commit()
        before = connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()
    with pytest.raises(StoreTooOld, match=r"conversations.* brings.*antiphon migrate --config FILE"):
        await visit(f"sqlite://{file}")
    with closing(sqlite3.connect(file)) as connection:
        assert before == connection.execute("SELECT name FROM sqlite_master ORDER BY name").fetchall()


async def test_a_newer_schema_is_not_read(url: str) -> None:
    """Nobody here knows what it means."""
    await (await sqlite.connect(url)).aclose()
    with closing(sqlite_files.open_to_write(sqlite_files.path(url))) as connection:
        connection.execute("INSERT INTO migrations VALUES (999, 'from_the_future_post')")
    with pytest.raises(StoreTooNew, match="schema 999"):
        await visit(url)


async def test_a_guest_that_writes_does_so_beside_the_holder(url: str) -> None:
    """Each waits for the other for a moment, and neither loses anything."""
    holder = await sqlite.connect(url)
    guest = await visit(url, writes=True)
    theirs, ours = Keys(holder), Keys(guest)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(60):
                keys = ours if number % 2 else theirs
                group.start_soon(partial(keys.add, new_key(), tenant="a", name=f"{number}", life_ms=None))
    assert {f"{number}" for number in range(60)} == {entry.name for entry in await theirs.entries()}
    await guest.aclose()
    await theirs.add(new_key(), tenant="a", name="last", life_ms=None)
    await holder.aclose()


async def test_a_file_is_ready_once_it_has_this_schema(url: str) -> None:
    """Not while there is none, nor with an older one."""
    assert not is_ready(url)
    holder = await sqlite.connect(url)
    assert is_ready(url)
    await holder.aclose()
    with closing(sqlite3.connect(sqlite_files.path(url))) as connection:
        connection.execute("DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)")
        connection.commit()
    assert not is_ready(url)
