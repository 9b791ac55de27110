"""Workbooks: every sheet as CSV, the values that its formulas had when it was saved."""

from __future__ import annotations

import csv
from datetime import date, datetime, time
from importlib import import_module
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from antiphon.documents.nouns import Page, Unreadable
from antiphon.documents.texts import check_length, tidy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CELLS = 2_000_000
"""Cells of a workbook that are looked at, the empty ones between others included."""

_openpyxl: Any = import_module("openpyxl")  # ships no types


def pages(content: bytes, *, most: int) -> list[Page]:
    """The sheets of a workbook of at most so many. Raises `Unreadable`, and what openpyxl raises."""
    workbook = _openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=True, keep_links=False)
    try:
        sheets = workbook.worksheets
        if len(sheets) > most:
            raise Unreadable("too_many_pages", f"The workbook has {len(sheets)} sheets; at most {most} are read.")
        counted = _Counted()
        found: list[Page] = []
        for sheet in sheets:
            sheet.reset_dimensions()  # what a file says of them costs rows that are not there
            found.append(Page(tidy(_table(counted.rows(sheet.iter_rows(values_only=True)))), label=tidy(sheet.title)))
            check_length(page.text for page in found)
        return found
    finally:
        workbook.close()


class _Counted:
    """Counts cells over all sheets."""

    def __init__(self) -> None:
        self._left = CELLS

    def rows(self, rows: Iterable[Iterable[object]]) -> Iterator[list[object]]:
        """The same rows without empty ends. Raises `Unreadable`."""
        for row in rows:
            cells = list(row)
            self._left -= 1 + len(cells)
            if self._left < 0:
                raise Unreadable("too_large", f"The workbook has more than {CELLS} cells.")
            while cells and cells[-1] is None:
                cells.pop()
            if cells:
                yield cells


def _table(rows: Iterable[list[object]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - exact
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)
