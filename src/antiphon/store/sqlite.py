"""SQLite as a database: one process, one writer thread that commits in groups, a few threads that read.

Whoever awaits a transaction hands it to the writer's queue. The writer takes all that is queued, runs each inside a
savepoint, commits once, and wakes the event loop once. So a hundred callers that save at the same time pay for one
``fsync`` together, and a transaction that fails undoes only itself. Commits begin `PACE` apart at least: who saves
alone is not kept waiting, and many who save one after the other share a few commits.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections import deque
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

import anyio.to_thread

from antiphon.store import Batch, Conflict, Statement, StoreUnavailable
from antiphon.store import sqlite_files as files

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.store import Dialogue, Params, Row

T = TypeVar("T")
log = logging.getLogger(__name__)

READERS = 4
PACE = 0.002  # seconds; under load it saved a sixth of the CPU of a small request
DEADLINE = 30.0  # seconds until an answer that does not come is given up
VACUUMED_PAGES = 500  # pages that one transaction gives back: bounds how long a save waits behind it


async def connect(url: str, *, pooled: bool = False) -> SQLite:  # noqa: ARG001 - nothing stands before a file
    """Open ``sqlite:///absolute/path``, made where there is none, or ``sqlite://``: a store that lives in memory.

    The database is brought to this version. Raises `StoreUrlError`, `StoreBusy`, `StoreTooNew` and `StoreUnavailable`.
    """
    return await anyio.to_thread.run_sync(_open, files.path(url), asyncio.get_running_loop())


async def migrate(url: str, *, post: bool = False) -> list[str]:  # noqa: ARG001 - no older process serves beside it
    """Bring a database to this version, and return the names of the steps that were run. Raises as `connect` does."""
    return await anyio.to_thread.run_sync(_migrate, files.path(url))


def _migrate(file: str) -> list[str]:
    with ExitStack() as opened:
        if file != files.MEMORY:
            opened.callback(os.close, files.lock(Path(file)))
        connection, names = files.open_and_migrate(file)
        opened.enter_context(closing(connection))
        return names


def _open(file: str, loop: asyncio.AbstractEventLoop) -> SQLite:
    with ExitStack() as opened:
        if file != files.MEMORY:
            opened.callback(os.close, files.lock(Path(file)))
        writer = opened.enter_context(closing(files.open_to_write(file)))
        readers = [
            opened.enter_context(closing(files.open_to_read(file)))
            for _ in range(READERS if file != files.MEMORY else 0)  # a database in memory is its one connection
        ]
        return SQLite(writer, readers, loop=loop, opened=opened.pop_all())


class SQLite:
    """An open database. Made by `connect`; used from the event loop it was opened on."""

    engine = "sqlite"
    is_shared = False

    def __init__(
        self,
        writer: sqlite3.Connection,
        readers: list[sqlite3.Connection],
        *,
        loop: asyncio.AbstractEventLoop,
        opened: ExitStack,
    ) -> None:
        self._loop = loop
        self._opened = opened
        self._closed = False
        self._outbox = _Outbox(loop)
        self._writes: _Queue = SimpleQueue()
        self._reads: _Queue = SimpleQueue() if readers else self._writes
        pace = PACE if readers else 0.0  # a database in memory waits for no disk
        self._threads = [
            Thread(
                target=partial(_write, writer, self._writes, self._outbox, pace=pace), name="store-writer", daemon=True
            ),
            *(
                Thread(target=_read, args=(reader, self._reads, self._outbox), name="store-reader", daemon=True)
                for reader in readers
            ),
        ]
        for thread in self._threads:
            thread.start()

    async def fetch(self, sql: str, params: Params) -> list[Row]:
        """See `Database.fetch`: on a reader's thread, beside the writer."""
        return await self._ask(self._reads, partial(_rows, sql, params))

    async def transaction(self, dialogue: Callable[[], Dialogue[T]]) -> T:
        """See `Database.transaction`: on the writer's thread, committed together with others that wait."""
        return await self._ask(self._writes, partial(_converse, dialogue))

    async def reclaim(self) -> None:
        """See `Database.reclaim`: free pages leave the file, and the log of old pages is emptied."""
        while await self.transaction(_vacuum):
            pass
        if self._reads is not self._writes:  # a database in memory has no log, and SQLite refuses to empty it
            await self.fetch("PRAGMA wal_checkpoint(TRUNCATE)", {})

    async def notify(self, message: str) -> None:
        """See `Database.notify`: there is no other process to tell."""

    async def listen(self, heard: Callable[[str], None]) -> bool:
        """See `Database.listen`: there is no other process to hear."""
        return False

    async def aclose(self) -> None:
        """See `Database.aclose`. Closing twice is no error."""
        if self._closed:
            return
        self._closed = True
        for thread in self._threads:
            (self._writes if thread is self._threads[0] else self._reads).put(None)
        with anyio.move_on_after(DEADLINE, shield=True):
            await anyio.to_thread.run_sync(self._close)

    def _close(self) -> None:
        for thread in self._threads:
            thread.join()
        self._opened.close()

    async def _ask(self, queue: _Queue, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Queue one piece of work and wait for its result. What is given up before it began is not begun."""
        if self._closed:
            raise StoreUnavailable("The store is closed.")
        future: asyncio.Future[T] = self._loop.create_future()
        queue.put(_Work(ask, future))
        deadline = self._loop.call_later(DEADLINE, _give_up, future)
        try:
            return await future
        finally:
            deadline.cancel()


def _give_up(future: asyncio.Future[T]) -> None:
    if not future.done():
        future.set_exception(StoreUnavailable(f"The store did not answer in {DEADLINE:.0f} s."))


class _Work(Generic[T]):
    """What one caller waits for: run on a thread, settled on the event loop."""

    __slots__ = ("_ask", "_future", "_settle")

    def __init__(self, ask: Callable[[sqlite3.Connection], T], future: asyncio.Future[T]) -> None:
        self._ask = ask
        self._future = future
        self._settle: Callable[[], None]

    def is_given_up(self) -> bool:
        """Whether nobody waits any more."""
        return self._future.done()

    def run(self, connection: sqlite3.Connection) -> None:
        """Do the work; the result is kept until it is settled."""
        self._settle = partial(self._future.set_result, self._ask(connection))

    def fail(self, error: Exception) -> None:
        """Let this error be the outcome, whatever it was before."""
        self._settle = partial(self._future.set_exception, error)

    def settle(self) -> None:
        """Hand the outcome to whoever waits."""
        if not self._future.done():
            self._settle()


class _AnyWork(Protocol):
    """Work whatever its result is."""

    def is_given_up(self) -> bool: ...
    def run(self, connection: sqlite3.Connection) -> None: ...
    def fail(self, error: Exception) -> None: ...
    def settle(self) -> None: ...


_Queue: TypeAlias = "SimpleQueue[_AnyWork | None]"


class _Outbox:
    """Finished work on its way to the event loop: one wake-up for all that is ready when it wakes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ready: deque[_AnyWork] = deque()
        self._woken = False

    def put(self, finished: list[_AnyWork]) -> None:
        """Hand over work from a thread."""
        self._ready.extend(finished)
        # Two threads may both see False: one wake-up too many. None may be missed: `_settle` lowers the flag first.
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._woken = False
        while self._ready:
            self._ready.popleft().settle()


def _read(connection: sqlite3.Connection, queue: _Queue, outbox: _Outbox) -> None:
    """A reader's thread, until it takes a None."""
    while (work := queue.get()) is not None:
        if not work.is_given_up():
            _attempt(work, connection)
            outbox.put([work])


def _write(connection: sqlite3.Connection, queue: _Queue, outbox: _Outbox, *, pace: float) -> None:
    """The writer's thread, until it takes a None: wait for work and for its time, take all there is, commit once."""
    is_open = True
    free = 0.0  # when the next commit may begin
    while is_open:
        taken = [queue.get()]
        time.sleep(max(0.0, free - time.monotonic()))
        free = time.monotonic() + pace
        while not queue.empty():
            taken.append(queue.get())
        group = [work for work in taken if work is not None and not work.is_given_up()]
        is_open = None not in taken
        if group:
            _commit(group, connection)
            outbox.put(group)


def _commit(group: list[_AnyWork], connection: sqlite3.Connection) -> None:
    """Run each piece of work inside its savepoint, and all in one transaction."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for work in group:
            connection.execute("SAVEPOINT work")
            if not _attempt(work, connection):
                connection.execute("ROLLBACK TO work")  # fails, as it should, where the engine undid the whole group
            connection.execute("RELEASE work")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        log.exception("store write failed", extra={"action": "store_write_failed", "error": str(error)})
        with suppress(sqlite3.Error):  # none is open, or the engine cannot: the next group finds out
            connection.execute("ROLLBACK")
        for work in group:
            work.fail(StoreUnavailable(f"The database could not be written: {error}."))


def _attempt(work: _AnyWork, connection: sqlite3.Connection) -> bool:
    """Run a piece of work; False where it failed, and then its outcome is the error in our words."""
    try:
        work.run(connection)
    except sqlite3.IntegrityError as error:
        work.fail(_caused(Conflict(f"The rows do not fit: {error}."), error))
    except sqlite3.Error as error:
        work.fail(_caused(StoreUnavailable(f"The database could not be used: {error}."), error))
    except Exception as error:  # noqa: BLE001 - raised again where the work is awaited; this thread serves others
        work.fail(error)
    else:
        return True
    return False


def _caused(error: Exception, cause: Exception) -> Exception:
    """What ``raise error from cause`` makes, without raising it here."""
    error.__cause__ = cause
    return error


def _rows(sql: str, params: Params, connection: sqlite3.Connection) -> list[Row]:
    return connection.execute(sql, params).fetchall()


def _converse(dialogue: Callable[[], Dialogue[T]], connection: sqlite3.Connection) -> T:
    """Answer each statement of a dialogue with its rows, and return what the dialogue returns."""
    steps = dialogue()
    rows: list[Row] | None = None
    while True:
        try:
            step = next(steps) if rows is None else steps.send(rows)
        except StopIteration as end:
            result: T = end.value
            return result
        match step:
            case Statement(sql, params):
                rows = _rows(sql, params, connection)
            case Batch(sql, params):
                rows = connection.executemany(sql, params).fetchall()


def _vacuum() -> Dialogue[bool]:
    """Give a few free pages back; False where that changed nothing."""
    before = yield Statement("PRAGMA freelist_count")
    for _ in range(VACUUMED_PAGES):  # a page each: the driver runs the first step alone of a statement without columns
        yield Statement("PRAGMA incremental_vacuum(1)")
    after = yield Statement("PRAGMA freelist_count")
    return before != after
