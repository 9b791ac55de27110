"""Limits that nodes share: what each has taken of them lately; and the background runs that a limit counts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, convert

from antiphon.core.quota import SHARED_SECONDS, Grant, Window, grant
from antiphon.store import Statement
from antiphon.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.store import Database, Dialogue, Row

MILLISECONDS = 1000


class Asking(Struct, frozen=True):
    """What a node asks of a shared limit, which has a ``name``: ``needs`` of it at least, and better ``wants``.

    ``owed``, by slot, is how much more than it has taken it used, or less; slot -1 is the one that runs.
    """

    name: str
    limit: int
    needs: int = 0
    wants: int = 0
    owed: dict[int, int] = {}


class Quotas:
    """Shared limits by name. Every verb raises `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = queries(database.engine)

    async def ask(self, asking: Asking) -> Grant:
        """Tell what is owed, and take a portion; all nodes go by the database's clock."""
        return await self._database.transaction(partial(_ask, self._sql, asking))

    async def sweep(self) -> None:
        """Forget the slots that count no more, of limits that nobody asks for."""
        await self._database.transaction(partial(_forget_slots, self._sql))

    async def background_runs(self, quota: str) -> int:
        """How many jobs that count for this limit are queued or running."""
        rows = await self._database.fetch(self._sql["jobs_counted"], {"quota": quota})
        [(count,)] = convert(rows, list[tuple[int]])
        return count


def _ask(sql: Mapping[str, str], asking: Asking) -> Dialogue[Grant]:
    yield Statement(sql["hold_quota"], {"name": asking.name})
    now = yield from _now(sql)
    window = Window(asking.limit, seconds=SHARED_SECONDS)
    slot = window.slot(now)
    past = slot - window.span
    rows = yield Statement(sql["quota_taken"], {"name": asking.name, "past": past})
    before = {at: taken for at, taken in convert(rows, list[tuple[int, int]]) if at >= 0}
    window = Window(asking.limit, seconds=SHARED_SECONDS, taken=before)
    for at, more in asking.owed.items():
        window.settle(at, more, now)
    given = grant(window, asking.needs, asking.wants, now)
    for at in window.taken | before:
        if more := window.taken.get(at, 0) - before.get(at, 0):
            yield Statement(sql["add_to_quota"], {"name": asking.name, "slot": at, "more": more})
    if any(at <= past + 1 for at in before):
        yield Statement(sql["forget_slots"], {"name": asking.name, "past": past})
    return given


def _now(sql: Mapping[str, str]) -> Dialogue[float]:
    rows: list[Row] = yield Statement(sql["quota_time"])
    [(now,)] = convert(rows, list[tuple[int]])
    return now / MILLISECONDS


def _forget_slots(sql: Mapping[str, str]) -> Dialogue[None]:
    now = yield from _now(sql)
    window = Window(0, seconds=SHARED_SECONDS)
    yield Statement(sql["forget_quotas"], {"past": window.slot(now) - window.span})
