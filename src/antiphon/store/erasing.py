"""Erasures: blobs that must go, kept until they are gone.

A row goes away, and the key of its blob comes in here, in one transaction; then the blob is deleted, and then the key.
Before a blob is written its key is here as well, due when its writer must have given up, and the transaction that adds
the row takes it out. So whenever a process is killed, no blob stays that nothing leads to.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import convert

from antiphon.store import Batch, Statement, StoreUnavailable
from antiphon.store.blobs import response_prefix
from antiphon.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from antiphon.store import Database, Dialogue, Params, Row
    from antiphon.store.blobs import Blobs

ERASED_AT_ONCE = 100
"""Keys that are worked off together."""
PUT_OFF_SECONDS = 600
"""How long a key waits that could not be erased: meanwhile others have their turn."""


class Erasing:
    """Keys of blobs that must go. ``now`` gives unix seconds. Every verb raises `StoreUnavailable`."""

    def __init__(self, database: Database, now: Callable[[], int]) -> None:
        self._database = database
        self._sql = queries(database.engine)
        self._now = now

    async def plan(self, key: str, *, due_at: int) -> None:
        """Let a blob be erased at a time (Unix seconds), unless what it belongs to is added before."""
        await self._database.transaction(partial(_run, due(self._sql, [key], at=due_at)))

    async def plan_response(self, tenant: str, id: str, *, due_at: int) -> bool:
        """Let the blobs of a response be erased at a time (Unix seconds), unless it is stored before; whether they are.

        One that is stored already keeps its blobs: whoever stores it once more was not told of the first time.
        """
        params: Params = {"key": response_prefix(tenant, id), "tenant": tenant, "id": id, "due_at": due_at}
        statement = Statement(self._sql["plan_response_erasure"], params)
        return bool(await self._database.transaction(partial(_ask, statement)))

    async def erase(self, blobs: Blobs) -> int:
        """Erase all that is due, in small batches, and return how many keys that were.

        Where the storage fails, these keys are put off, and what went wrong is raised.
        """
        erased = 0
        while keys := await self._due():
            await self.carry_out(blobs, keys)
            erased += len(keys)
        return erased

    async def carry_out(self, blobs: Blobs, keys: Sequence[str]) -> None:
        """Erase these now. A blob that another process erases too is no error."""
        try:
            await blobs.delete([key for key in keys if not key.endswith("/")])
            for prefix in (key for key in keys if key.endswith("/")):
                await blobs.delete_under(prefix)
        except StoreUnavailable:
            await self._put_off(keys)
            raise
        await self._database.transaction(partial(_run, _each(self._sql["forget_erasure"], keys)))

    async def _due(self) -> list[str]:
        limits: Params = {"now": self._now(), "limit": ERASED_AT_ONCE}
        rows = await self._database.fetch(self._sql["due_erasures"], limits)
        return [key for (key,) in convert(rows, list[tuple[str]])]

    async def _put_off(self, keys: Sequence[str]) -> None:
        later = self._now() + PUT_OFF_SECONDS
        await self._database.transaction(partial(_run, _each(self._sql["put_off_erasure"], keys, due_at=later)))


def due(sql: Mapping[str, str], keys: Iterable[str], *, at: int = 0) -> Batch:
    """The part of a transaction that leaves keys to be erased: at once, or at a time in Unix seconds."""
    return _each(sql["plan_erasure"], keys, due_at=at)


def written(sql: Mapping[str, str], key: str) -> Dialogue[None]:
    """The part of a transaction that adds what a blob belongs to: it shall stay.

    Raises `StoreUnavailable` where it was not planned, or its time had come and it may be gone.
    """
    if not (yield Statement(sql["forget_erasure"], {"key": key})):
        raise StoreUnavailable("The content was written too late to be kept.")


def _each(sql: str, keys: Iterable[str], **params: int) -> Batch:
    # In one order, so that of two that change the same none waits for the other in a circle.
    return Batch(sql, [{"key": key, **params} for key in sorted(set(keys))])


def _ask(statement: Statement) -> Dialogue[list[Row]]:
    """One statement."""
    return (yield statement)


def _run(batch: Batch) -> Dialogue[list[Row]]:
    """One batch."""
    return (yield batch)
