"""The SQL text: how it is cut, that each engine has all of it, and that the engines find rows by key."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import antiphon.store
from antiphon.store import sqlite_files
from antiphon.store.postgres.texts import numbered
from antiphon.store.queries import MARKS, named, queries

if TYPE_CHECKING:
    from tests.servers import PostgresServer
    from tests.store.conftest import Urls

BROUGHT = ("chain", "page", "listed", "due", "free", "lost", "CONSTANT ROW")
FEW = ("api_keys", "nodes", "chores", "numbers", "usage_batches", "seat_nodes")
SCANS = {f"SCAN {rows}" for rows in BROUGHT + FEW}
"""What a plan may read from end to end: rows that the statement itself brought together, and tables of a few rows."""

LISTS = {"ids": "[]", "holders": "[]", "rows": "[]", "wanted": "[]", "responses": "[]", "charges": "[]"}
SUMMED = ("files_bytes (tenant=?)", "upload_parts USING PRIMARY KEY (tenant=?)")
"""What is added up for a tenant, once for each file that comes: from an index, in 1.5 ms for 10,000 files."""
PARTIAL = ("lineages_stale", "jobs_queued", "jobs_running", "jobs_ended", "conversations_holder")
"""Indexes of the few rows that wait for something: they are read as a whole."""


def test_a_text_is_cut_at_its_headers() -> None:
    """Each statement stands under its name, without the last semicolon; what precedes the first header is prose."""
    text = "-- prose\n-- one --\nSELECT 1;\n\n-- two --\n-- why\nSELECT\n  2;\n"

    assert named(text, "sqlite") == {"one": "SELECT 1", "two": "-- why\nSELECT\n  2"}


def test_an_engine_runs_its_own_text() -> None:
    """A header may name the engine, and marks are spelled as the engine spells them."""
    text = "-- one (sqlite) --\nSELECT 1;\n-- one (postgres) --\nSELECT 2 /*hold*/;\n-- two --\nSELECT 3 /*lock*/;\n"

    assert named(text, "sqlite") == {"one": "SELECT 1", "two": "SELECT 3"}
    assert named(text, "postgres") == {"one": "SELECT 2 FOR UPDATE", "two": "SELECT 3 FOR UPDATE SKIP LOCKED"}


def test_what_several_statements_have_in_common_stands_once() -> None:
    """Under a name that is a mark in each; parts may have parts, and are no statements by themselves."""
    text = "-- _a (sqlite) --\n2 /*lock*/\n-- _b --\nSELECT 1, /*_a*/\n-- one --\n/*_b*/;\n-- two --\n(/*_b*/);\n"

    assert named(text, "sqlite") == {"one": "SELECT 1, 2", "two": "(SELECT 1, 2 )"}


def test_a_name_has_one_text_on_each_engine() -> None:
    """A second text would silently replace the first."""
    with pytest.raises(ValueError, match="two texts for 'one'"):
        named("-- one --\nSELECT 1;\n-- one (sqlite) --\nSELECT 2;\n", "sqlite")


def test_every_engine_has_every_query() -> None:
    """What one engine can do the other can, with the same parameters; one adds what a response took with its row."""
    asked = [{name: set(re.findall(r"(?<!:):(\w+)", sql)) for name, sql in queries(engine).items()} for engine in MARKS]

    asked[1]["add_response"].remove("charges")
    assert asked[0] == asked[1]


def test_every_query_is_used() -> None:
    """The text holds no statement that the store does not name."""
    sources = "".join(file.read_text() for file in Path(antiphon.store.__file__).parent.glob("*.py"))

    assert set(re.findall(r'sql\["(\w+)"\]', sources)) == set(queries("sqlite"))


@pytest.mark.parametrize("name", sorted(queries("sqlite")))
def test_rows_are_found_by_key(name: str) -> None:
    """No statement reads a table from end to end, nor all items of a tenant."""
    sql = queries("sqlite")[name]
    params: dict[str, str | int] = {**dict.fromkeys(re.findall(r":(\w+)", sql), 1), **LISTS}
    with closing(sqlite_files.open_to_write(sqlite_files.MEMORY)) as connection:
        plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", params)]

    scans = {line for line in plan if line.startswith("SCAN") and not is_of_few(line)}
    assert scans <= SCANS
    assert not [line for line in plan if line.endswith("(tenant=?)") and not line.endswith(SUMMED)]


def is_of_few(scan: str) -> bool:
    """Whether a scan reads a list that was given, or an index of few rows."""
    return "VIRTUAL TABLE" in scan or any(f"USING INDEX {index}" in scan for index in PARTIAL)


@pytest.mark.parametrize("name", sorted(queries("postgres")))
def test_postgres_plans_every_query(name: str, postgres_server: PostgresServer, template: str) -> None:
    """Each text is understood, with parameters whose types it tells."""
    sql, _ = numbered(queries("postgres")[name])

    postgres_server.run(f"PREPARE asked AS {sql}", url=postgres_server.place(template))


def test_postgres_finds_rows_by_key(postgres_server: PostgresServer, urls: Urls) -> None:
    """Among many rows a chain is read by its lineages, an item by its id, and nothing from end to end."""
    url = urls.fresh()
    postgres_server.run(FILL, url=url)
    values = {
        "tenant": "'a'",
        "id": "'r5000'",
        "ids": """'["i5000"]'""",
        "after": "NULL",
        "direction": "1",
        "limit": "9",
    }
    values["queued"] = "0"
    scans = []
    kept = ("context", "input_items", "input_ids", "find_items", "response", "place")
    for name in (*kept, "conversation_context", "conversation_named", "conversation_page", "conversation_place"):
        sql, names = numbered(queries("postgres")[name])
        asked = f"PREPARE asked AS {sql}; EXPLAIN EXECUTE asked ({', '.join(values[name] for name in names)})"
        plan = postgres_server.run(asked, url=url)
        scans += [
            f"{name}: {line}" for line in re.findall(r"Seq Scan on (?:items|responses|lineages|conversations).*", plan)
        ]

    assert scans == []


FILL = """
INSERT INTO lineages (id, tenant, tip) SELECT n, 'a', 10 FROM generate_series(1, 10000) AS n;
INSERT INTO responses (tenant, id, lineage, input_tip, tip, status, model, created_at, expires_at, response)
SELECT 'a', 'r' || n, n, 5, 10, 'completed', 'm', 0, 0, '{}' FROM generate_series(1, 10000) AS n;
INSERT INTO conversations (tenant, id, created_at, metadata, lineage, tip)
SELECT 'a', 'r' || n, 0, '{}', n, 10 FROM generate_series(1, 10000) AS n;
INSERT INTO items (lineage, pos, tenant, id, response, data)
SELECT n, pos, 'a', 'i' || n, n, '{}' FROM generate_series(1, 10000) AS n, generate_series(1, 10) AS pos;
ANALYZE;
"""


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT :a, :b, :a", ("SELECT $1, $2, $1", ("a", "b"))),
        ("SELECT ':a', \":a\", 'it''s :a' -- :a\n, :b", ("SELECT ':a', \":a\", 'it''s :a' -- :a\n, $1", ("b",))),
        ("SELECT /* :a\n:a */ x::text, :a::bigint", ("SELECT /* :a\n:a */ x::text, $1::bigint", ("a",))),
    ],
)
def test_named_parameters_are_numbered(sql: str, expected: tuple[str, tuple[str, ...]]) -> None:
    """In texts, quoted names, comments and casts a colon is no parameter."""
    assert numbered(sql) == expected
