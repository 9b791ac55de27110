"""The audit: each exchange is kept before it begins, with its end once it has one, and without what opens doors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.core.exchanges import Exchange
from antiphon.store import sqlite
from antiphon.store.audit import SWEPT_EXCHANGES, AuditLog, Entry, without_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from antiphon.store import Database
    from antiphon.tools import Audit

pytestmark = pytest.mark.anyio

URL = "https://mcp.example/tools"


class Clock:
    """A time in milliseconds, one later each time it is asked."""

    def __init__(self) -> None:
        self.now = 0

    def tick(self) -> int:
        """The time."""
        self.now += 1
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time of the log."""
    return Clock()


@pytest.fixture
def audit(database: Database, clock: Clock) -> AuditLog:
    """An empty log."""
    return AuditLog(database, clock.tick)


def listing(*, tenant: str = "a", response: str = "r1") -> Exchange:
    """A listing of tools."""
    return Exchange(tenant, response, "shop", URL)


def call(*, tenant: str = "a", response: str = "r1") -> Exchange:
    """A call that a person approved."""
    return Exchange(tenant, response, "shop", URL, "buy", '{"count":1}', "mcpr_1")


async def numbers(audit: AuditLog, **wanted: str | int) -> list[int]:
    """The times at which the exchanges began that are found, which tell them apart."""
    found = await audit.read(
        tenant=_text(wanted.get("tenant")),
        response=_text(wanted.get("response")),
        since=_number(wanted.get("since")),
        until=_number(wanted.get("until")),
        limit=100,
        after=None,
    )
    return [entry.begun_at for entry in found]


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)


def _number(value: str | int | None) -> int | None:
    return None if value is None else int(value)


async def test_an_exchange_is_kept_as_it_begins_and_as_it_ends(audit: AuditLog) -> None:
    """What it shares, when, and how it ended; one that goes on has no end."""
    door: Audit = audit
    first = await door.begin(listing())
    second = await door.begin(call())
    await door.end(first, "completed")
    assert [
        Entry(first, 1, 3, "completed", listing()),
        Entry(second, 2, None, None, call()),
    ] == await audit.read(limit=9)
    assert first < second


async def test_an_end_stays(audit: AuditLog) -> None:
    """It ends once, and the end of what is not there is nothing."""
    number = await audit.begin(call())
    await audit.end(number, "http_error")
    await audit.end(number, "completed")
    await audit.end(number + 1, "completed")
    [entry] = await audit.read(limit=9)
    assert ("http_error", 2) == (entry.outcome, entry.ended_at)


async def test_arguments_are_kept_as_they_are(audit: AuditLog) -> None:
    """Long ones, and ones that are no JSON."""
    long = '{"text":"' + "\N{SNOWMAN}'\\\"" * 50_000
    await audit.begin(Exchange("a", "r1", "shop", URL, "buy", long))
    [entry] = await audit.read(limit=9)
    assert long == entry.exchange.arguments


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (URL, URL),
        ("https://user:secret@mcp.example:8443/tools?key=secret#secret", "https://mcp.example:8443/tools"),
        ("https://user@secret@mcp.example", "https://mcp.example"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("https:/\t/user:secret@mcp.example/", "https://mcp.example/"),
        ("https://mcp.example\\user:secret@other.example/", "https://other.example/"),
        ("https:user:secret@mcp.example", "https:"),
        ("https:///user:secret@mcp.example", "https:"),
        ("http://[secret", ""),
        ("", ":"),
    ],
)
def test_what_may_hold_a_secret_is_taken_from_a_url(url: str, kept: str) -> None:
    """User, password, query and fragment; and all but the scheme where it names no host."""
    assert kept == without_secrets(url)


async def test_no_secret_of_a_url_is_kept(audit: AuditLog) -> None:
    """Neither in what is read nor anywhere else."""
    await audit.begin(Exchange("a", "r1", "shop", "https://me:secret@mcp.example/tools?key=secret"))
    [entry] = await audit.read(limit=9)
    assert "https://mcp.example/tools" == entry.exchange.server_url


async def test_exchanges_are_found_by_tenant_response_and_time(audit: AuditLog) -> None:
    """Each narrows what is found; a time includes its beginning and not its end."""
    for tenant, response in (("a", "r1"), ("b", "r1"), ("a", "r2"), ("b", "r3")):
        await audit.begin(call(tenant=tenant, response=response))
    assert [1, 2, 3, 4] == await numbers(audit)
    assert [1, 3] == await numbers(audit, tenant="a")
    assert [1, 2] == await numbers(audit, response="r1")
    assert [2] == await numbers(audit, response="r1", tenant="b")
    assert [2, 3] == await numbers(audit, since=2, until=4)
    assert [2] == await numbers(audit, response="r1", since=2)
    assert [1] == await numbers(audit, response="r1", until=2)
    assert [] == await numbers(audit, tenant="c")
    assert [] == await numbers(audit, until=0)


async def test_exchanges_are_read_in_pages(audit: AuditLog) -> None:
    """The oldest first; a page begins behind the last number of the one before."""
    begun = [await audit.begin(call(response="r1" if number % 2 else "r2")) for number in range(5)]
    first = await audit.read(limit=2)
    second = await audit.read(limit=2, after=first[-1].number)
    third = await audit.read(limit=2, after=second[-1].number)
    assert begun == [entry.number for entry in (*first, *second, *third)]
    assert [begun[3]] == [entry.number for entry in await audit.read(response="r1", limit=2, after=begun[1])]


async def test_the_sweep_erases_what_is_old(audit: AuditLog, clock: Clock) -> None:
    """All of it, ended or not, in however many transactions, and nothing else."""
    old = SWEPT_EXCHANGES + 1
    async with anyio.create_task_group() as group:
        for _ in range(old):
            group.start_soon(audit.begin, call())
    clock.now = 10_000
    young = await audit.begin(call())
    assert 0 == await audit.sweep(1)
    assert old == await audit.sweep(10_001)
    assert [young] == [entry.number for entry in await audit.read(limit=9)]
    assert 0 == await audit.sweep(10_001)


async def test_a_number_is_never_given_again(audit: AuditLog) -> None:
    """The end of what was erased is the end of nothing else."""
    erased = await audit.begin(call())
    assert 1 == await audit.sweep(1000)
    fresh = await audit.begin(call())
    await audit.end(erased, "completed")
    [entry] = await audit.read(limit=9)
    assert (fresh, None) == (entry.number, entry.outcome)
    assert fresh > erased


async def test_what_began_is_kept_when_the_process_is_gone(tmp_path: Path, clock: Clock) -> None:
    """It was durable before the exchange began; it has no end."""
    url = f"sqlite://{tmp_path}/store.db"
    database = await sqlite.connect(url)
    number = await AuditLog(database, clock.tick).begin(call())
    await database.aclose()
    again = await sqlite.connect(url)
    assert [Entry(number, 1, None, None, call())] == await AuditLog(again, clock.tick).read(limit=9)
    await again.aclose()
