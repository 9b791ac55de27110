"""Usage as an operator reads it: what tenants took of deployments, and what that costs, as a table or as CSV."""

from __future__ import annotations

import csv
from datetime import timedelta
from decimal import Decimal
from itertools import compress
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from rich.table import Table
from rich.text import Text

from antiphon.core.tally import DAY_SECONDS, Tally
from antiphon.lifecycle.pricing import Cost, cost
from antiphon.store.sqlite_guest import visit
from antiphon.store.usage import NEVER, Usage, summed
from antiphon.wiring import open_database, tables
from antiphon.wiring.tables import EPOCH, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import TextIO

    from antiphon.config import Storage
    from antiphon.lifecycle.pricing import Price
    from antiphon.store.usage import Charge

By = Literal["day", "month", "tenant", "deployment", "outcome"]

DAY_MS = DAY_SECONDS * 1000
OUTCOMES = ("completed", "incomplete", "failed", "cancelled")
COUNTS = (
    "requests",
    *OUTCOMES,
    "aside",
    "input",
    "cached",
    "output",
    "reasoning",
    "est. input",
    "est. output",
    "pictures",
    "picture tokens",
    "cost",
    "est. cost",
    "currency",
)
ALWAYS = frozenset({"requests", "input", "output", "cost"})
"""The columns that a table always has."""
EMPTY = frozenset({"", "0", "0.0000"})
NO_PRICE = "no price"
CENTS = Decimal("0.0001")
CRUMBS = Decimal("0.00000001")
"""To what a cost is rounded where a person reads it, and where a program adds up many."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for the beginning of a formula, also in full width."""


class Wanted(Struct, frozen=True):
    """What is asked for. Days are counted from 1970 in UTC; ``since`` is within, ``until`` is not."""

    by: tuple[By, ...] = ("day", "tenant", "deployment")
    tenant: str | None = None
    deployment: str | None = None
    since: int = 0
    until: int = NEVER


class Line(Struct, frozen=True):
    """What one line tells: what it is of, how many requests ended how, and what they took. No currency: no price."""

    of: tuple[str, ...]
    currency: str
    outcomes: dict[str, int]
    took: Tally
    cost: Cost


def first_day(milliseconds: int) -> int:
    """The day of a time, which is within."""
    return milliseconds // DAY_MS


def next_day(milliseconds: int) -> int:
    """The first day that begins at a time or later."""
    return -(-milliseconds // DAY_MS)


async def show(storage: Storage, prices: Sequence[Price], wanted: Wanted, *, as_csv: bool, out: TextIO) -> str:
    """Write what was used, and return what else a person should know of it; empty where there is nothing to say.

    Raises `StoreError`.
    """
    database = await (visit(storage.place) if storage.is_lone_file else open_database(storage))
    try:
        charges = await Usage(database).read(
            since=wanted.since, until=wanted.until, tenant=wanted.tenant, deployment=wanted.deployment
        )
    finally:
        await database.aclose()
    priced = {price.deployment: price for price in prices}
    lines = _lines(charges, priced, wanted.by)
    if as_csv:
        _write_csv(lines, wanted.by, out)
    elif lines:
        tables.write(_table(lines, wanted.by), out)
    if not lines:
        return "Nothing was used of what was asked for."
    return _unpriced({charge.deployment for charge in charges} - priced.keys())


def _unpriced(names: Iterable[str]) -> str:
    listed = ", ".join(visible(name) for name in sorted(names))
    return f"There is no price for {listed}: see [[prices]] in the configuration." if listed else ""


def _lines(charges: Iterable[Charge], prices: Mapping[str, Price], by: Sequence[By]) -> list[Line]:
    """One line for each group and currency, in order."""
    found: dict[tuple[tuple[str, ...], str], Line] = {}
    for charge in charges:
        price = prices.get(charge.deployment)
        line = Line(
            of=tuple(_named(charge, each) for each in by),
            currency="" if price is None else price.currency,
            outcomes={charge.tally.outcome: charge.tally.requests},
            took=charge.tally,
            cost=Cost() if price is None else cost(charge.tally, price),
        )
        key = (line.of, line.currency)
        found[key] = _together(found[key], line) if key in found else line
    return [found[key] for key in sorted(found)]


def _together(one: Line, other: Line) -> Line:
    outcomes = {name: one.outcomes.get(name, 0) + other.outcomes.get(name, 0) for name in one.outcomes | other.outcomes}
    return Line(one.of, one.currency, outcomes, summed(one.took, other.took), one.cost + other.cost)


def _named(charge: Charge, by: By) -> str:
    match by:
        case "tenant":
            return charge.tenant
        case "deployment":
            return charge.deployment
        case "outcome":
            return charge.tally.outcome
        case "day":
            return _date(charge.tally.day)
        case "month":
            return _date(charge.tally.day)[:7]


def _date(day: int) -> str:
    return (EPOCH + timedelta(days=day)).date().isoformat()


def _totals(lines: Sequence[Line]) -> list[Line]:
    """All lines of each currency together."""
    found: dict[str, Line] = {}
    for line in lines:
        found[line.currency] = _together(found[line.currency], line) if line.currency in found else line
    return [found[currency] for currency in sorted(found)]


def _counts(line: Line) -> list[int]:
    took = line.took
    return [
        took.requests - line.outcomes.get("aside", 0),
        *(line.outcomes.get(outcome, 0) for outcome in OUTCOMES),
        line.outcomes.get("aside", 0),
        took.input_tokens,
        took.cached_tokens,
        took.output_tokens,
        took.reasoning_tokens,
        took.estimated_input,
        took.estimated_output,
        took.pictures,
        took.picture_tokens,
    ]


def _money(line: Line, *, without: str, to: Decimal) -> list[str]:
    if not line.currency:
        return [without, "", ""]
    return [f"{line.cost.amount.quantize(to):f}", f"{line.cost.estimated.quantize(to):f}", line.currency]


def _table(lines: Sequence[Line], by: Sequence[By]) -> Table:
    """What happened nowhere has no column."""
    totals = _totals(lines)
    shown = [
        any(_cells(line)[index] not in EMPTY for line in totals) or heading in ALWAYS
        for index, heading in enumerate(COUNTS)
    ]
    table = Table(box=None)
    for each in by:
        table.add_column(each, overflow="fold")
    for heading in compress(COUNTS, shown):
        table.add_column(heading, justify="right")
    for line in lines:
        table.add_row(*(Text(visible(each)) for each in line.of), *compress(_cells(line), shown))
    for line in totals:
        table.add_row(*("all", *[""] * len(by))[: len(by)], *compress(_cells(line), shown), style="bold")
    return table


def _cells(line: Line) -> list[str]:
    return [*(str(count) for count in _counts(line)), *_money(line, without=NO_PRICE, to=CENTS)]


def _write_csv(lines: Sequence[Line], by: Sequence[By], out: TextIO) -> None:
    """One line each, without sums: a spreadsheet makes its own. What has no price has no cost."""
    writer = csv.writer(out)
    writer.writerow([*by, *(each.replace("est. ", "estimated_").replace(" ", "_") for each in COUNTS)])
    for line in lines:
        writer.writerow([*(_harmless(each) for each in line.of), *_counts(line), *_money(line, without="", to=CRUMBS)])


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: behind an apostrophe, where it could."""
    return f"'{text}" if text.lstrip(" '").startswith(FORMULA) or text.startswith(FORMULA) else text
