"""The command ``antiphon audit``: what an operator reads, whichever database holds it, beside a running server."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from io import StringIO
from itertools import count
from typing import TYPE_CHECKING

import anyio
import httpx2 as httpx
import msgspec
import pytest

from antiphon.config import Storage
from antiphon.core.exchanges import Exchange
from antiphon.store import postgres, sqlite
from antiphon.store.audit import AuditLog
from antiphon.wiring.auditing import PAGE, SHOWN_ARGUMENTS, UnknownTime, Wanted, milliseconds, show
from tests.patient import HANG_SECONDS
from tests.test_cli import antiphon, said, written

if TYPE_CHECKING:
    from pathlib import Path

    from antiphon.store import Database
    from tests.servers import PostgresServer

pytestmark = pytest.mark.whole

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOON_MS = 1_769_860_800_000
SHOWN_NOON = "2026-01-31T12:00:00.000Z"
LISTING = Exchange("a", "resp_1", "shop", "https://mcp.example/tools")
CALL = Exchange("b", "resp_2", "shop", "https://mcp.example/tools", "buy", '{"count":1}', "mcpr_1")
SHOWN_CALL = {
    "number": 2,
    "begun_at": "2026-01-31T12:00:00.002Z",
    "ended_at": None,
    "tenant": "b",
    "response": "resp_2",
    "server_label": "shop",
    "server_url": "https://mcp.example/tools",
    "tool": "buy",
    "arguments": '{"count":1}',
    "approval_request_id": "mcpr_1",
    "outcome": None,
}


async def fill(database: Database, *exchanges: Exchange, begun_at: int = NOON_MS) -> None:
    """Keep exchanges from a time on, of which the first ended, each time a millisecond later than the one before."""
    log = AuditLog(database, count(begun_at).__next__)
    for number, exchange in enumerate(exchanges):
        begun = await log.begin(exchange)
        if number == 0:
            await log.end(begun, "completed")
    await database.aclose()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """A database file that nobody holds."""
    return Storage(url=f"sqlite://{tmp_path}/antiphon.db")


def filled(storage: Storage, *exchanges: Exchange, begun_at: int = NOON_MS) -> None:
    """Fill a database file."""

    async def run() -> None:
        await fill(await sqlite.connect(storage.place), *exchanges, begun_at=begun_at)

    anyio.run(run)


def shown(storage: Storage, wanted: Wanted, *, as_json: bool = False) -> tuple[str, str]:
    """What is written, and what is said beside it."""
    out = StringIO()

    async def run() -> str:
        return await show(storage, wanted, as_json=as_json, out=out)

    note = anyio.run(run)
    return out.getvalue(), note


def test_a_running_server_is_read_and_not_disturbed(tmp_path: Path, storage: Storage) -> None:
    """Its own file, while it holds it; it serves on, ends cleanly, and has forgotten what was too old."""
    filled(storage, CALL)
    filled(storage, LISTING, CALL, begun_at=time.time_ns() // 1_000_000)
    config = written(tmp_path)
    with antiphon("serve", "--config", config, "--port", "0", home=tmp_path) as process:
        try:
            assert process.stderr is not None
            url = process.stderr.readline().split()[3]
            read = said("audit", "--config", config, "--since", "1h", "--json", home=tmp_path)
            old = said("audit", "--config", config, "--until", "2026-02-01", home=tmp_path)
            answer = httpx.post(f"{url}/responses", json={"model": "any", "input": "hi"}, timeout=HANG_SECONDS)
        finally:
            process.send_signal(signal.SIGTERM)
            ended = process.wait(HANG_SECONDS)
    assert [2, 3] == [msgspec.json.decode(line)["number"] for line in read[1].splitlines()]
    assert (0, "") == (read[0], read[2])
    assert (0, "") == old[:2]
    assert "Nothing is kept of what was asked for" in old[2]
    assert (200, 0) == (answer.status_code, ended)


def test_the_log_is_shown_as_a_table(storage: Storage) -> None:
    """A line for each exchange, the oldest first, unbroken where it is no terminal."""
    filled(storage, LISTING, CALL)
    table, note = shown(storage, Wanted(limit=9))
    heading, first, second = table.splitlines()
    assert ["begun", "ended", "tenant"] == heading.split()[:3]
    assert [
        SHOWN_NOON,
        "2026-01-31T12:00:00.001Z",
        "a",
        "resp_1",
        "shop",
        "https://mcp.example/tools",
    ] == first.split()[:6]
    assert first.rstrip().endswith("completed")
    assert "(list of tools)" in first
    assert ["2026-01-31T12:00:00.002Z", "b", "resp_2"] == second.split()[:3]
    assert second.split()[5:] == ["buy", '{"count":1}', "mcpr_1"]
    assert "" == note


def test_the_log_is_shown_as_json(storage: Storage) -> None:
    """An object a line, with all there is."""
    long = f'"{"x" * 1000}"'
    filled(storage, LISTING, CALL, msgspec.structs.replace(CALL, arguments=long))
    lines, note = shown(storage, Wanted(limit=9), as_json=True)
    first, second, third = [msgspec.json.decode(line, type=dict) for line in lines.splitlines()]
    assert [SHOWN_NOON, "2026-01-31T12:00:00.001Z", "completed", None] == [
        first[key] for key in ("begun_at", "ended_at", "outcome", "tool")
    ]
    assert second == SHOWN_CALL
    assert long == third["arguments"]
    assert "" == note


def test_what_others_wrote_gives_a_terminal_no_orders(storage: Storage) -> None:
    """Neither control characters nor markup; and long arguments are cut."""
    evil = msgspec.structs.replace(CALL, server_label="[red]x[/red]", tool="\x1b[2J\r\x9b", arguments="x" * 1000)
    filled(storage, evil)
    table, _ = shown(storage, Wanted(limit=9))
    assert "[red]x[/red]" in table
    assert r"\x1b[2J\r\x9b" in table
    assert not {"\x1b", "\r", "\x9b"} & set(table)
    assert SHOWN_ARGUMENTS == table.count("x" * SHOWN_ARGUMENTS + "…") * SHOWN_ARGUMENTS


def test_no_more_is_shown_than_was_asked_for(storage: Storage) -> None:
    """And that there is more is said; pages are joined without a gap."""
    filled(storage, *[LISTING] * (2 * PAGE + 1))
    for limit, more in ((1, True), (PAGE, True), (2 * PAGE, True), (2 * PAGE + 1, False), (9 * PAGE, False)):
        lines, note = shown(storage, Wanted(limit=limit), as_json=True)
        numbers = [msgspec.json.decode(line)["number"] for line in lines.splitlines()]
        assert [*range(1, min(limit, 2 * PAGE + 1) + 1)] == numbers
        assert more == note.startswith(f"There are more than {limit}")


def test_whoever_reads_may_stop(tmp_path: Path, storage: Storage) -> None:
    """As `head` does: the rest goes nowhere, and nothing is said of it."""
    filled(storage, *[msgspec.structs.replace(CALL, arguments="x" * 100_000)] * 5)
    with antiphon("audit", "--config", written(tmp_path), "--json", home=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith('{"number":1,')
        process.stdout.close()
        err = process.stderr.read()
        assert (0, "") == (process.wait(HANG_SECONDS), err)


def test_what_is_shown_is_narrowed(storage: Storage) -> None:
    """By tenant, response and time."""
    filled(storage, LISTING, CALL)
    for wanted in (
        Wanted(limit=9, tenant="b"),
        Wanted(limit=9, response="resp_2"),
        Wanted(limit=9, since=NOON_MS + 1),
    ):
        lines, _ = shown(storage, wanted, as_json=True)
        assert SHOWN_CALL == msgspec.json.decode(lines)
    lines, _ = shown(storage, Wanted(limit=9, until=NOON_MS + 1), as_json=True)
    assert 1 == msgspec.json.decode(lines)["number"]


def test_the_log_of_a_shared_database_is_read(postgres_server: PostgresServer) -> None:
    """PostgreSQL is opened as any process opens it."""
    url = postgres_server.database()

    async def run() -> None:
        await fill(await postgres.connect(url), LISTING, CALL)

    anyio.run(run)
    lines, _ = shown(Storage(url=url), Wanted(limit=9, tenant="b"), as_json=True)
    assert SHOWN_CALL == msgspec.json.decode(lines)
    postgres_server.drop(url)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-01-31T12:00:00Z", NOON_MS),
        ("2026-01-31T12:00", NOON_MS),
        ("2026-01-31T14:00:00.250+02:00", NOON_MS + 250),
        ("2026-01-31", NOON_MS - 43_200_000),
        ("1s", NOON_MS - 1000),
        ("30m", NOON_MS - 1_800_000),
        ("24h", NOON_MS - 86_400_000),
        ("7d", NOON_MS - 7 * 86_400_000),
        ("2w", NOON_MS - 14 * 86_400_000),
        ("999999w", NOON_MS - 999_999 * 7 * 86_400_000),
    ],
)
def test_times_are_dates_or_spans(when: str, expected: int) -> None:
    """In UTC, unless they name another zone."""
    assert expected == milliseconds(when, NOON)


@pytest.mark.parametrize("when", ["", "yesterday", "24", "-1h", "1.5h", "2026-13-01", "9999999d"])
def test_what_says_no_time_is_told(when: str) -> None:
    """With what would."""
    with pytest.raises(UnknownTime, match="24h or 7d"):
        milliseconds(when, NOON)


def test_an_empty_log_says_so(tmp_path: Path) -> None:
    """On stderr, and it is no failure."""
    config = written(tmp_path)
    assert 0 == said("migrate", "--config", config, home=tmp_path)[0]
    for arguments in ([], ["--json"]):
        status, out, err = said("audit", "--config", config, *arguments, home=tmp_path)
        assert (0, "") == (status, out)
        assert "Nothing is kept of what was asked for" in err


@pytest.mark.parametrize("arguments", [["--since", "soon"], []])
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    """A time that is none, and a database of an older version."""
    with closing(sqlite3.connect(tmp_path / "antiphon.db")) as connection:
        connection.execute("CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        connection.execute("INSERT INTO migrations VALUES (1, 'responses')")
        connection.commit()
    status, out, err = said("audit", "--config", written(tmp_path), *arguments, home=tmp_path)
    assert (1, "", 1) == (status, out, err.count("\n"))
    assert err.startswith("antiphon: ")
    assert ("'soon' says no time" if arguments else "background, mcp, files, conversations") in err
