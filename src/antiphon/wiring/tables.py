"""What commands tell of the store, as people read it: tables, times, and texts that a terminal does not obey."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal, TextIO

WIDE = 10_000
"""Columns of what is no terminal: nothing is broken there."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def write(table: Table, out: TextIO) -> None:
    """Write a table, as wide as the terminal is, or as it needs."""
    Console(file=out, width=None if out.isatty() else WIDE).print(table)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of texts, which may be anybody's."""
    made = Table(box=None)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(Text(visible(cell)) for cell in row))
    return made


def visible(text: str) -> str:
    """A text whose characters a terminal shows and does not obey: callers, models and other servers may write it."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def iso(milliseconds: int, *, to: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """A Unix time in ISO 8601, in UTC."""
    return (EPOCH + milliseconds * MILLISECOND).isoformat(timespec=to).replace("+00:00", "Z")
