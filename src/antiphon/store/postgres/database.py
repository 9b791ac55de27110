"""A PostgreSQL database: a pool of connections, a transaction on one of them, and messages to other processes.

Each transaction is its own, *read committed*: every statement sees what was committed before it began. Dialogues say
themselves which rows they hold. One that another transaction was in the way of is undone, and begins anew.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import anyio
import asyncpg

from antiphon.store import Batch, Statement, StoreUnavailable
from antiphon.store.postgres.faults import Contended, translated
from antiphon.store.postgres.hearing import Hearing, Voice
from antiphon.store.postgres.migrating import advance, prepare
from antiphon.store.postgres.opening import Place
from antiphon.store.postgres.texts import arguments, numbered

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from antiphon.store import Dialogue, Params, Row
    from antiphon.store.postgres.opening import Connection, Lent, Pool

T = TypeVar("T")

ATTEMPTS = 5
PAUSE = 0.01  # seconds before the second attempt; each further one waits twice as long
DEADLINE = 30.0  # seconds until an answer that does not come is given up
LAST_WORD = 5.0  # seconds to undo a transaction, after which its connection is cut


async def connect(url: str, *, pooled: bool = False) -> Postgres:
    """Open ``postgresql://user:password@host:port/database``. An empty database is brought to this version.

    Raises `StoreUrlError`, `StoreTooOld`, `StoreTooNew` and `StoreUnavailable`. None of them quotes the URL.
    """
    place = Place(url, pooled)
    async with _connected(place) as connection:
        await prepare(connection)
    return Postgres(await place.pool(), place)


async def migrate(url: str, *, post: bool = False) -> list[str]:
    """Run the steps that are missing, and return their names; with ``post`` those that no older process may outlive.

    Raises `StoreUrlError`, `StoreTooNew` and `StoreUnavailable`.
    """
    async with _connected(Place(url, is_pooled=True)) as connection:  # works before a pooler and before a server
        return await advance(connection, post=post)


@asynccontextmanager
async def _connected(place: Place) -> AsyncGenerator[Connection, None]:
    connection = await place.connect()
    try:
        yield connection
    finally:
        connection.terminate()


class Postgres:
    """An open database. Made by `connect`; used from the event loop it was opened on."""

    engine = "postgres"
    is_shared = True

    def __init__(self, pool: Pool, place: Place) -> None:
        self._pool = pool
        self._place = place
        self._begin = place.begin
        self._voice = Voice(place)
        self._hearing = Hearing(place)
        self._asked = 0
        self._idle = asyncio.Event()
        self._is_closed = False

    async def fetch(self, sql: str, params: Params) -> list[Row]:
        """See `Database.fetch`: one statement on a connection of the pool."""

        async def read(connection: Lent) -> list[Row]:
            if self._place.is_pooled:  # what prepares a statement and what runs it must meet one server connection
                async with _transaction(connection, self._begin):
                    return await _rows(connection, sql, params)
            return await _rows(connection, sql, params)

        return await self._ask(read)

    async def transaction(self, dialogue: Callable[[], Dialogue[T]]) -> T:
        """See `Database.transaction`: on one connection of the pool, `ATTEMPTS` times where others are in the way."""

        async def converse(connection: Lent) -> T:
            async with _transaction(connection, self._begin):
                return await _converse(dialogue, connection)

        return await self._ask(converse)

    async def reclaim(self) -> None:
        """See `Database.reclaim`: the server's autovacuum does it, without locks that anybody would wait for."""

    async def notify(self, message: str) -> None:
        """See `Database.notify`: on a connection of its own."""
        await self._voice.tell(message)

    async def listen(self, heard: Callable[[str], None]) -> bool:
        """See `Database.listen`. Through a pooler nothing is heard: its connection is another's a moment later."""
        if self._place.is_pooled or self._is_closed:
            return False
        await self._hearing.listen(heard)
        return True

    async def aclose(self) -> None:
        """See `Database.aclose`. Closing twice is no error."""
        if self._is_closed:
            return
        self._is_closed = True
        with anyio.CancelScope(shield=True):
            await self._hearing.aclose()
            await self._voice.aclose()
            with anyio.move_on_after(DEADLINE):
                while self._asked:
                    self._idle.clear()
                    await self._idle.wait()
            with anyio.move_on_after(LAST_WORD):
                await self._pool.close()
            self._pool.terminate()

    async def _ask(self, work: Callable[[Lent], Coroutine[None, None, T]]) -> T:
        """Do a piece of work on a connection, anew where others are in the way, in `DEADLINE`."""
        if self._is_closed:
            raise StoreUnavailable("The store is closed.")
        self._asked += 1
        deadline = asyncio.timeout(DEADLINE)
        try:
            async with deadline:
                return await self._attempt(work)
        except TimeoutError as error:
            if not deadline.expired():  # a dialogue's own
                raise
            raise StoreUnavailable(f"The store did not answer in {DEADLINE:.0f} s.") from error
        finally:
            self._asked -= 1
            self._idle.set()

    async def _attempt(self, work: Callable[[Lent], Coroutine[None, None, T]]) -> T:
        for attempt in range(1, ATTEMPTS):
            with suppress(Contended):
                async with self._lent() as connection:
                    return await work(connection)
            await asyncio.sleep(PAUSE * 2**attempt)
        async with self._lent() as connection:
            return await work(connection)

    @asynccontextmanager
    async def _lent(self) -> AsyncGenerator[Lent, None]:
        """A connection of the pool."""
        with translated():
            connection = await self._pool.acquire()
        try:
            yield connection
        finally:
            with translated():
                await self._pool.release(connection)


@asynccontextmanager
async def _transaction(connection: Lent, begin: str) -> AsyncGenerator[None, None]:
    """A transaction around what is done meanwhile; undone where that raises or is cancelled."""
    try:
        with translated():
            await connection.execute(begin)
        yield
        with translated():
            # Where the connection is lost now, nobody knows what came of it: the caller may ask the same again.
            await connection.execute("COMMIT")
    except BaseException:
        await _undo(connection)
        raise


async def _undo(connection: Lent) -> None:
    """Take a transaction back; where that is not done soon, cut the connection: the server undoes it then."""
    with anyio.move_on_after(LAST_WORD, shield=True), suppress(StoreUnavailable), translated():
        await connection.execute("ROLLBACK")
        return
    with suppress(asyncpg.InterfaceError):  # it was lost, and the pool has it back
        connection.terminate()


async def _rows(connection: Lent, sql: str, params: Params) -> list[Row]:
    text, names = numbered(sql)
    with translated():
        return [tuple(row) for row in await connection.fetch(text, *arguments(names, params))]


async def _converse(dialogue: Callable[[], Dialogue[T]], connection: Lent) -> T:
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
                rows = await _rows(connection, sql, params)
            case Batch(sql, params):
                rows = await _run_each(connection, sql, params)


async def _run_each(connection: Lent, sql: str, batch: list[Params]) -> list[Row]:
    text, names = numbered(sql)
    if batch:
        with translated():
            await connection.executemany(text, [arguments(names, params) for params in batch])
    return []
