"""A database that does its work, except while it is told to be away, slow, or silent about what it committed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from antiphon.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.store import Batch, Database, Dialogue, Params, Row, Statement

T = TypeVar("T")


class Troubled:
    """A database before another that does the work.

    ``is_away``: it cannot be reached. ``unheard``: so many transactions are committed, and who asked is told that they
    were not. ``stop`` keeps transactions waiting until ``let_go``; ``stopped`` is set once one waits. ``statements``
    counts what was asked in transactions, ``transactions`` those that were committed.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.is_away = False
        self.unheard = 0
        self.statements = 0
        self.transactions = 0
        self.refused = asyncio.Event()
        self.stopped = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    @property
    def engine(self) -> str:
        """That of the other."""
        return self.database.engine

    @property
    def is_shared(self) -> bool:
        """As the other."""
        return self.database.is_shared

    def stop(self) -> None:
        """Let transactions wait."""
        self.stopped.clear()
        self._open.clear()

    def let_go(self) -> None:
        """Let them go on."""
        self._open.set()

    async def fetch(self, sql: str, params: Params) -> list[Row]:
        """See `Database.fetch`."""
        self._refuse()
        return await self.database.fetch(sql, params)

    async def transaction(self, dialogue: Callable[[], Dialogue[T]]) -> T:
        """See `Database.transaction`."""
        if not self._open.is_set():
            self.stopped.set()
            await self._open.wait()
        self._refuse()
        result = await self.database.transaction(lambda: self._counted(dialogue()))
        self.transactions += 1
        if self.unheard:
            self.unheard -= 1
            raise StoreUnavailable("The connection was lost while it was committed.")
        return result

    async def reclaim(self) -> None:
        """See `Database.reclaim`."""
        await self.database.reclaim()

    async def notify(self, message: str) -> None:
        """See `Database.notify`."""
        self._refuse()
        await self.database.notify(message)

    async def listen(self, heard: Callable[[str], None]) -> bool:
        """See `Database.listen`."""
        return await self.database.listen(heard)

    async def aclose(self) -> None:
        """See `Database.aclose`."""
        await self.database.aclose()

    def _refuse(self) -> None:
        if self.is_away:
            self.refused.set()
            raise StoreUnavailable("The database is away.")

    def _counted(self, dialogue: Dialogue[T]) -> Dialogue[T]:
        rows: list[Row] | None = None
        while True:
            try:
                asked: Statement | Batch = next(dialogue) if rows is None else dialogue.send(rows)
            except StopIteration as end:
                result: T = end.value
                return result
            self.statements += 1
            rows = yield asked
