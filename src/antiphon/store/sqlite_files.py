"""The files of a SQLite database: where they are, whose they are, how they are opened, and which version wrote them."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from antiphon.store import StoreBusy, StoreUnavailable, StoreUrlError, migrations

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from antiphon.store.migrations import Migration

MEMORY = ":memory:"
OLDEST_SQLITE = (3, 35, 0)  # the first with RETURNING
CACHED_STATEMENTS = 96  # more than the store has
WRITER_PATIENCE = 5.0  # seconds to wait for the file's lock: a checkpoint takes it for a moment
READER_PATIENCE = 1.0  # less, as a reader that checkpoints keeps the writer waiting

SETTINGS = """
PRAGMA auto_vacuum = INCREMENTAL;  -- before all others: it is fixed when the first page is written
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA secure_delete = ON;  -- what is erased is overwritten
PRAGMA temp_store = MEMORY;
"""


def path(url: str) -> str:
    """The file that ``sqlite:///absolute/path`` names, or ``:memory:`` for ``sqlite://``. Raises `StoreUrlError`."""
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or parts.netloc or parts.query or parts.fragment:
        raise StoreUrlError(f"{url!r} is not sqlite:///absolute/path, nor sqlite:// for a store in memory.")
    return unquote(parts.path) or MEMORY


def lock(file: Path) -> int:
    """Take the database for this process; return the descriptor that holds it until it is closed.

    Makes the folder, for its owner alone, where there is none. Raises `StoreBusy` and `StoreUnavailable`.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"The store's folder {file.parent} cannot be used: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode().strip()
        os.close(descriptor)
        raise StoreBusy(
            f"Process {holder or 'unknown'} holds {file}: SQLite serves one process. Use PostgreSQL for several."
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def open_to_write(file: str) -> sqlite3.Connection:
    """Open the database, make it where there is none, and bring it to this version.

    Raises `StoreTooNew` and `StoreUnavailable`.
    """
    connection, _ = open_and_migrate(file)
    return connection


def open_and_migrate(file: str) -> tuple[sqlite3.Connection, list[str]]:
    """The same, with the names of the steps that were run."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise StoreUnavailable(f"This Python has SQLite {sqlite3.sqlite_version}; the store needs {oldest} or newer.")
    with _translated(file):
        if file != MEMORY:
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's own files take over these permissions
        connection = _open(file, WRITER_PATIENCE)
        try:
            connection.executescript(SETTINGS)
            return connection, _migrate(connection, migrations.read("sqlite"))
        except BaseException:
            connection.close()
            raise


def open_to_read(file: str) -> sqlite3.Connection:
    """Open the database once more, for statements that only read. Raises `StoreUnavailable`."""
    with _translated(file):
        connection = _open(file, READER_PATIENCE)
        connection.execute("PRAGMA query_only = ON")
        return connection


def _open(file: str, patience: float) -> sqlite3.Connection:
    return sqlite3.connect(
        file,
        timeout=patience,
        isolation_level=None,  # transactions are begun where they are meant to begin
        check_same_thread=False,  # opened on one thread, then owned by another
        cached_statements=CACHED_STATEMENTS,
    )


@contextmanager
def _translated(file: str) -> Generator[None, None, None]:
    """Tell what keeps a file from being opened in our words."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"The database {file} cannot be opened: {error}.") from error


def _migrate(connection: sqlite3.Connection, known: list[Migration]) -> list[str]:
    """Run the steps that this database has not seen, each in one transaction with its record, and return their names.

    *Post* steps too: whoever holds the file is the only process.
    """
    connection.execute("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    recorded: dict[int, str] = dict(connection.execute("SELECT number, name FROM migrations").fetchall())
    migrations.refuse_newer(recorded, known)
    missing = [step for step in known if step.number not in recorded]
    for step in missing:
        connection.executescript(f"BEGIN IMMEDIATE;\n{step.sql}")
        connection.execute("INSERT INTO migrations VALUES (?, ?)", (step.number, step.name))
        connection.execute("COMMIT")
    return [step.name for step in missing]
