"""The audit: what was shared with servers of others, for whom and when, kept before it is sent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct, convert

from antiphon.core.exchanges import Exchange
from antiphon.store import Statement
from antiphon.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.store import Database, Dialogue, Params, Row

SWEPT_EXCHANGES = 500
"""Rows that one transaction of the sweep erases: bounds how long a save waits behind it."""

NEVER = 2**63 - 1
"""The last time that a database can write, in milliseconds."""


class Entry(Struct, frozen=True):
    """One exchange as it is kept. Times are milliseconds of Unix time.

    One without an end goes on, or its process was lost before the end could be kept.
    """

    number: int
    begun_at: int
    ended_at: int | None
    outcome: str | None
    exchange: Exchange


class AuditLog:
    """Exchanges of all tenants, in the order of their numbers. ``now_ms`` is the time in milliseconds.

    It fulfils `antiphon.tools.Audit`. Every verb raises `StoreUnavailable`.
    """

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._sql = queries(database.engine)
        self._now_ms = now_ms

    async def begin(self, exchange: Exchange) -> int:
        """Keep that an exchange is about to begin, and return its number; it is durable when this returns.

        Of the server's URL nothing is kept that may hold a secret; arguments are kept as they are.
        """
        columns: Params = {
            "begun_at": self._now_ms(),
            "tenant": exchange.tenant,
            "response": exchange.response,
            "server_label": exchange.server_label,
            "server_url": without_secrets(exchange.server_url),
            "tool": exchange.tool,
            "approval_request_id": exchange.approval_request_id,
            "arguments": exchange.arguments,
        }
        rows = await self._database.transaction(partial(_run, Statement(self._sql["begin_exchange"], columns)))
        [(number,)] = convert(rows, list[tuple[int]])
        return number

    async def end(self, number: int, outcome: str) -> None:
        """Keep how an exchange ended, and when; its first end stays."""
        ending: Params = {"number": number, "ended_at": self._now_ms(), "outcome": outcome}
        await self._database.transaction(partial(_run, Statement(self._sql["end_exchange"], ending)))

    async def read(
        self,
        *,
        tenant: str | None = None,
        since: int | None = None,
        until: int | None = None,
        response: str | None = None,
        limit: int,
        after: int | None = None,
    ) -> list[Entry]:
        """Exchanges in the order of their numbers, ``limit`` at most, behind the number ``after``.

        Those that began at ``since`` or later and before ``until``, both in milliseconds.
        """
        window: Params = {"since": since or 0, "until": NEVER if until is None else until}
        place: Params = {"tenant": tenant, "after": after or 0, "limit": limit}
        if response is None:
            rows = await self._database.fetch(self._sql["exchanges"], window | place)
        else:
            wanted: Params = window | place | {"response": response}
            rows = await self._database.fetch(self._sql["exchanges_of_response"], wanted)
        return [_entry(row) for row in rows]

    async def sweep(self, before_ms: int) -> int:
        """Erase what began before a time, in small transactions, and return how many."""
        due = Statement(self._sql["forget_exchanges"], {"before": before_ms, "limit": SWEPT_EXCHANGES})
        erased = 0
        while rows := await self._database.transaction(partial(_run, due)):
            erased += len(rows)
        return erased


def without_secrets(url: str) -> str:
    """A URL without user, password, query and fragment; of one that names no host, the scheme alone."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) if host else f"{parts.scheme}:"


def _run(statement: Statement) -> Dialogue[list[Row]]:
    """One statement and its rows."""
    return (yield statement)


def _entry(row: Row) -> Entry:
    number, begun_at, ended_at, outcome = convert(row[:4], tuple[int, int, int | None, str | None])
    tenant, response, label, url, *rest = convert(
        row[4:], tuple[str, str, str, str, str | None, str | None, str | None]
    )
    return Entry(number, begun_at, ended_at, outcome, Exchange(tenant, response, label, url, *rest))
