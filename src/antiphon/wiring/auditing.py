"""The audit as an operator reads it: the log of the configured store, as a table or as a JSON object a line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from antiphon.store.audit import AuditLog
from antiphon.store.sqlite_guest import visit
from antiphon.wiring import open_database, tables
from antiphon.wiring.tables import EPOCH, MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from antiphon.config import Storage
    from antiphon.store.audit import Entry

PAGE = 200
"""Entries that are read at once."""

SHOWN_ARGUMENTS = 120
"""Characters of arguments that stand in a table; a line of JSON has all of them."""

SPAN = re.compile(r"(?P<count>\d{1,6})(?P<unit>[smhdw])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
HEADINGS = ("begun", "ended", "tenant", "response", "server", "url", "tool", "arguments", "approved by", "outcome")


class UnknownTime(Exception):
    """A text says no time; the message says what does."""


class Wanted(Struct, frozen=True):
    """Which entries are asked for; times are milliseconds of Unix time, and ``since`` is within, ``until`` is not."""

    limit: int
    tenant: str | None = None
    response: str | None = None
    since: int | None = None
    until: int | None = None


class Line(Struct, frozen=True):
    """An entry as it is told: times are ISO 8601 in UTC. One without an end goes on, or its process was lost."""

    number: int
    begun_at: str
    ended_at: str | None
    tenant: str
    response: str
    server_label: str
    server_url: str
    tool: str | None
    arguments: str | None
    approval_request_id: str | None
    outcome: str | None


def milliseconds(when: str, now: datetime) -> int:
    """An ISO date or time, UTC where it names no zone, or a span before ``now`` such as ``24h`` or ``7d``.

    Raises `UnknownTime`.
    """
    if span := SPAN.fullmatch(when):
        return (now - EPOCH - timedelta(**{UNITS[span["unit"]]: int(span["count"])})) // MILLISECOND
    try:
        named = datetime.fromisoformat(when)
    except ValueError as error:
        raise UnknownTime(
            f"{when!r} says no time. Write a date or time such as 2026-01-31 or 2026-01-31T12:00:00Z, or a span before "
            "now such as 30m, 24h or 7d."
        ) from error
    return ((named if named.tzinfo else named.replace(tzinfo=UTC)) - EPOCH) // MILLISECOND


async def show(storage: Storage, wanted: Wanted, *, as_json: bool, out: TextIO) -> str:
    """Write the entries, and return what else a person should know of them; empty where there is nothing to say.

    Raises `StoreError`.
    """
    lines: list[Line] = []
    database = await (visit(storage.place) if storage.is_lone_file else open_database(storage))
    try:
        tell = partial(_print, out) if as_json else lines.append
        told, has_more = await _tell(AuditLog(database, _no_time), wanted, tell)
    finally:
        await database.aclose()
    if lines:
        tables.write(tables.table(HEADINGS, map(_cells, lines)), out)
    if has_more:
        return f"There are more than {wanted.limit}: ask for a later time, or for more with --limit."
    return "" if told else "Nothing is kept of what was asked for: no exchange with a server of somebody else's."


async def _tell(log: AuditLog, wanted: Wanted, tell: Callable[[Line], None]) -> tuple[int, bool]:
    """Tell each entry; return how many there were, and whether there are more than are wanted."""
    read = partial(log.read, tenant=wanted.tenant, since=wanted.since, until=wanted.until, response=wanted.response)
    told, after = 0, 0
    while page := await read(limit=min(wanted.limit - told, PAGE), after=after):
        for entry in page:
            tell(_line(entry))
        told, after = told + len(page), page[-1].number
    return told, told == wanted.limit and bool(await read(limit=1, after=after))


def _print(out: TextIO, line: Line) -> None:
    print(msgspec.json.encode(line).decode(), file=out)


def _no_time() -> int:
    """The clock of a log that nothing is written to."""
    return 0


def _line(entry: Entry) -> Line:
    exchange = entry.exchange
    return Line(
        number=entry.number,
        begun_at=_time(entry.begun_at),
        ended_at=None if entry.ended_at is None else _time(entry.ended_at),
        tenant=exchange.tenant,
        response=exchange.response,
        server_label=exchange.server_label,
        server_url=exchange.server_url,
        tool=exchange.tool,
        arguments=exchange.arguments,
        approval_request_id=exchange.approval_request_id,
        outcome=entry.outcome,
    )


def _time(milliseconds: int) -> str:
    return tables.iso(milliseconds, to="milliseconds")


def _cells(line: Line) -> list[str]:
    return [
        line.begun_at,
        line.ended_at or "",
        line.tenant,
        line.response,
        line.server_label,
        line.server_url,
        "(list of tools)" if line.tool is None else line.tool,
        _shortened(line.arguments or ""),
        line.approval_request_id or "",
        line.outcome or "",
    ]


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_ARGUMENTS else f"{text[:SHOWN_ARGUMENTS]}…"
