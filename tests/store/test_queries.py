"""The SQL text: how it is cut, that all of it is used, and that the engine finds rows by key."""

from __future__ import annotations

import inspect
import re
from contextlib import closing

import pytest

from antiphon.store import sqlite_files, store
from antiphon.store.queries import QUERIES, named

SCANS = {"SCAN chain", "SCAN page", "SCAN listed", "SCAN wanted VIRTUAL TABLE INDEX 1:"}
"""What a plan may read from end to end: rows that the statement itself brought together."""


def test_a_text_is_cut_at_its_headers() -> None:
    """Each statement stands under its name, without the last semicolon; what precedes the first header is prose."""
    text = "-- prose\n-- one --\nSELECT 1;\n\n-- two --\n-- why\nSELECT\n  2;\n"

    assert named(text) == {"one": "SELECT 1", "two": "-- why\nSELECT\n  2"}


def test_every_query_is_used() -> None:
    """The text holds no statement that the store does not name."""
    assert set(re.findall(r'QUERIES\["(\w+)"\]', inspect.getsource(store))) == set(QUERIES)


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_rows_are_found_by_key(name: str) -> None:
    """No statement reads a table from end to end, nor all items of a tenant."""
    params: dict[str, str | int] = dict.fromkeys(re.findall(r":(\w+)", QUERIES[name]), 1)
    with closing(sqlite_files.open_to_write(sqlite_files.MEMORY)) as connection:
        plan = [
            str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {QUERIES[name]}", {**params, "ids": "[]"})
        ]

    scans = {line for line in plan if line.startswith("SCAN") and "USING INDEX lineages_stale" not in line}
    assert scans <= SCANS
    assert not [line for line in plan if line.endswith("(tenant=?)")]
