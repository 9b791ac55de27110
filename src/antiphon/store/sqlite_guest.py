"""A guest in a SQLite database: it reads beside the process that holds the file, and takes no lock.

The file's log of old pages (WAL) makes that safe: a guest sees what was committed when its statement began, and neither
side waits for the other. While it reads, no old page leaves the log; so it reads little at a time. A guest that writes
takes the engine's own lock for the moment of its commit, for which the holder of the file waits, as it does for that of
a checkpoint; so it writes one row, and nothing that the holder keeps in its memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio.to_thread

from antiphon.store import StoreTooOld, StoreUnavailable, StoreUrlError, migrations
from antiphon.store import sqlite_files as files
from antiphon.store.sqlite import SQLite

if TYPE_CHECKING:
    from antiphon.store import Database


async def visit(url: str, *, writes: bool = False) -> Database:
    """Open ``sqlite:///absolute/path``, whoever holds it. Unless it ``writes``, to write fails: `StoreUnavailable`.

    Raises `StoreUrlError`, `StoreTooOld`, `StoreTooNew` and `StoreUnavailable`.
    """
    file = files.path(url)
    if file == files.MEMORY:
        raise StoreUrlError("A store in memory can be read by the process alone that it lives in.")
    return await anyio.to_thread.run_sync(partial(_open, file, asyncio.get_running_loop(), writes=writes))


def is_ready(url: str) -> bool:
    """Whether there is a database of this version's schema, which can be visited. Raises as `visit` does."""
    file = files.path(url)
    if not Path(file).exists():
        return False
    try:
        with closing(_connect(file, writes=False)) as connection:
            _refuse_other_schema(_recorded(connection))
    except StoreTooOld:
        return False
    except sqlite3.Error as error:
        raise StoreUnavailable(f"The database {file} cannot be read: {error}.") from error
    return True


def _open(file: str, loop: asyncio.AbstractEventLoop, *, writes: bool) -> SQLite:
    if not Path(file).exists():
        raise StoreUnavailable(f"There is no database {file}: no server has used it yet.")
    with ExitStack() as opened:
        try:
            writer, reader = [opened.enter_context(closing(_connect(file, writes=writes))) for _ in range(2)]
            recorded = _recorded(reader)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"The database {file} cannot be read: {error}.") from error
        _refuse_other_schema(recorded)
        return SQLite(writer, [reader], loop=loop, opened=opened.pop_all())


def _connect(file: str, *, writes: bool) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file://{quote(str(Path(file).absolute()))}?mode={'rw' if writes else 'ro'}",
        uri=True,
        timeout=files.WRITER_PATIENCE if writes else files.READER_PATIENCE,
        isolation_level=None,  # a statement is a transaction
        check_same_thread=False,  # opened on one thread, then owned by another
    )


def _recorded(connection: sqlite3.Connection) -> dict[int, str]:
    """The steps that were run, by number."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchall():
        return {}
    return dict(connection.execute("SELECT number, name FROM migrations").fetchall())


def _refuse_other_schema(recorded: dict[int, str]) -> None:
    known = migrations.read("sqlite")
    migrations.refuse_newer(recorded, known)
    if missing := [step.name for step in known if step.number not in recorded]:
        raise StoreTooOld(
            f"The database lacks what {', '.join(missing)} brings. Start a server of this version on it, or run "
            "`antiphon migrate --config FILE` while none runs."
        )
