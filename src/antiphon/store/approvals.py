"""Approvals that were spent: a person's answer to a request counts for one response, and for no other one after it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, convert
from msgspec.json import encode

from antiphon.store import Statement, StoreError
from antiphon.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.store import Database, Dialogue, Params, Row

SWEPT_APPROVALS = 500
"""Rows that one transaction of the sweep erases: bounds how long a save waits behind it."""


class AlreadySpent(StoreError):
    """This approval request was answered already, for another response."""

    def __init__(self, id: str) -> None:
        super().__init__(f"The approval request {id!r} was answered already.")
        self.id = id


class Spending(Struct, frozen=True):
    """The requests that a response answers; ``expires_at`` is in Unix seconds, ``now_ms`` in milliseconds of them."""

    ids: list[str]
    tenant: str
    response: str
    expires_at: int
    now_ms: int


class Approvals:
    """Which approval requests of a tenant were answered, and for which response. Every verb raises `StoreUnavailable`.

    An answer is known until it expires: as long as the request may be found, or longer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = queries(database.engine)

    async def spent(self, ids: list[str], *, tenant: str, response: str | None = None) -> set[str]:
        """Those of the ids that were answered already; what was answered for ``response`` itself is left out."""
        wanted: Params = {"ids": encode(ids).decode(), "tenant": tenant, "response": response}
        rows = await self._database.fetch(self._sql["spent"], wanted)
        return {id for (id,) in convert(rows, list[tuple[str]])}

    async def spend(self, spending: Spending) -> None:
        """Keep that requests were answered for a response: all of them, or none. It is durable when this returns.

        Of two responses that spend one at the same time, one does; a response may spend its own again, as a run does
        that another process takes over. Raises `AlreadySpent`.
        """
        await self._database.transaction(partial(spend, self._sql, spending))

    async def sweep(self, now: int) -> int:
        """Forget what expired at ``now`` (Unix seconds) or before, in small transactions, and return how many."""
        due = Statement(self._sql["forget_approvals"], {"now": now, "limit": SWEPT_APPROVALS})
        forgotten = 0
        while rows := await self._database.transaction(partial(_run, due)):
            forgotten += len(rows)
        return forgotten


def _run(statement: Statement) -> Dialogue[list[Row]]:
    """One statement and its rows."""
    return (yield statement)


def spend(sql: Mapping[str, str], spending: Spending) -> Dialogue[None]:
    """Keep answers, as a part of whatever uses them. Raises `AlreadySpent`."""
    answered: Params = {
        "tenant": spending.tenant,
        "response": spending.response,
        "decided_at": spending.now_ms,
        "expires_at": spending.expires_at,
    }
    # In one order, so that of two that spend the same none waits for the other in a circle.
    for id in sorted(set(spending.ids)):
        if not (yield Statement(sql["spend"], answered | {"id": id})):
            raise AlreadySpent(id)
