"""The book: what has no row of its own is counted once, whatever the database does, and all of it in the end."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.backends import UpstreamError
from antiphon.backends.scripted import Config as Script
from antiphon.backends.scripted import Scripted
from antiphon.backends.scripted.script import Cost, Failure, Reply, Step
from antiphon.core.deltas import Text
from antiphon.core.tally import DAY_SECONDS, Tally
from antiphon.core.turn import Turn
from antiphon.lifecycle import Deployment, tallying
from antiphon.lifecycle.asides import NOBODY, asked, own
from antiphon.lifecycle.tallying import Book
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Message
from antiphon.store import sqlite
from antiphon.store.usage import Charge, Sum, Usage
from antiphon.telemetry.figures import Figures
from antiphon.telemetry.trail import Trail, along
from tests.core.stage import COST
from tests.lifecycle.conftest import NOW
from tests.patient import HANG_SECONDS
from tests.store.troubled import Troubled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.backends import Backend

pytestmark = pytest.mark.anyio

TODAY = NOW // DAY_SECONDS


def charge(requests: int = 1) -> Charge:
    """Requests that took nothing."""
    return Charge("a", "m", Tally(TODAY, "completed", requests))


@asynccontextmanager
async def kept() -> AsyncGenerator[tuple[Troubled, Book]]:
    """A book over a database in memory."""
    database = Troubled(await sqlite.connect("sqlite://"))
    try:
        yield database, Book(Usage(database), now=lambda: NOW)
    finally:
        await database.aclose()


@asynccontextmanager
async def writing(book: Book) -> AsyncGenerator[None]:
    """A process that writes its book."""
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(book.run)
            yield
            group.cancel_scope.cancel()


async def test_what_is_added_is_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand requests are one transaction or a few."""
    monkeypatch.setattr(tallying, "PACE", 0.01)
    async with kept() as (database, book):
        async with writing(book):
            for _ in range(1000):
                book.add(charge())
            while [charge(1000)] != await Usage(database).read():
                await anyio.lowlevel.checkpoint()
        assert database.transactions < 10


async def test_a_process_that_stops_has_written_all() -> None:
    """Without waiting for the next batch."""
    async with kept() as (database, book):
        book.add(charge())
        book.add(charge())
        await book.aclose()
        assert [charge(2)] == await Usage(database).read()


@pytest.mark.parametrize("is_committed", [False, True])
async def test_what_could_not_be_written_is_written_later_and_once(
    monkeypatch: pytest.MonkeyPatch, *, is_committed: bool
) -> None:
    """Also where nobody heard that it was written; what came meanwhile is not lost."""
    monkeypatch.setattr(tallying, "PACE", 0.0)
    async with kept() as (database, book):
        database.is_away, database.unheard = not is_committed, int(is_committed)
        book.add(charge())
        async with writing(book):
            while not database.refused.is_set() and (database.is_away or database.unheard):
                await anyio.lowlevel.checkpoint()
            book.add(charge())
            database.is_away = False
        await book.aclose()
        assert [charge(2)] == await Usage(database).read()


def test_what_waits_for_the_database_stays_small() -> None:
    """However long it is away: what is of one day, tenant, deployment and outcome is one."""
    waiting = Sum()
    for _ in range(1000):
        waiting.add(charge())
    assert (1, [charge(1000)]) == (len(waiting), waiting.charges())


async def test_a_store_that_does_not_come_back_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process ends all the same."""
    monkeypatch.setattr(tallying, "LAST_PAUSE", 0.0)
    async with kept() as (database, book):
        database.is_away = True
        book.add(charge())
        await book.aclose()
    assert "usage_lost" in {vars(record).get("action") for record in caplog.records}


async def test_what_a_model_is_asked_beside_responses_is_counted_apart() -> None:
    """As its upstream counted it, else as it is estimated."""
    async with kept() as (database, book):
        book.aside("a", "m", COST)
        book.aside("a", "m", None, estimated=(3, 4))
        await book.aclose()
        told = Tally(TODAY, "aside", 2, 10, 4, 5, 2, 3, 4)
        assert [Charge("a", "m", told)] == await Usage(database).read()


async def heard(backend: Backend, *, most: int = 99) -> str:
    """What a model says to "hi", as far as somebody listens."""
    said = ""
    turn = Turn([Message(role="user", content=[InputText(text="hi")])])
    async with aclosing(backend.stream(turn)) as lists:
        async for deltas in lists:
            said += "".join(delta.text for delta in deltas if isinstance(delta, Text))
            if len(said) >= most:
                break
    return said


@pytest.mark.parametrize(
    ("reply", "most", "told"),
    [
        (Reply(steps=[Step(text="Hello.")], usage=Cost(10, 5)), 99, Tally(TODAY, "aside", 1, 10, 0, 5)),
        (
            Reply(steps=[Step(text=["Hello, ", "hello."])]),
            1,
            Tally(TODAY, "aside", estimated_input=8, estimated_output=2),
        ),
        (Reply(steps=[Step(fail=Failure())]), 99, Tally(TODAY, "aside")),
    ],
)
async def test_what_the_server_asks_a_model_is_counted(reply: Reply, most: int, told: Tally) -> None:
    """As it was reported; estimated where nobody hears the end; and as a request where it was refused."""
    async with kept() as (database, book):
        deployment = Deployment("m", Scripted(Script(replies=[reply])))
        with suppress(UpstreamError):
            await heard(asked(deployment, book, "a"), most=most)
        with suppress(UpstreamError):
            await heard(own({"m": deployment}, book)["m"].backend, most=most)
        await book.aclose()
        assert [Charge(NOBODY, "m", told), Charge("a", "m", told)] == await Usage(database).read()
    assert deployment.backend is asked(deployment, None, "a")


async def test_what_the_server_asks_a_model_is_in_the_figures() -> None:
    """Its tokens, and its faults."""
    replies = [Reply(after_output=False, steps=[Step(text="Hello.")], usage=Cost(10, 5, cached_tokens=4))]
    figures = Figures()
    async with kept() as (_, book):
        with along(Trail(figures=figures)):
            await heard(asked(Deployment("m", Scripted(Script(replies=replies))), book, "a"), most=99)
            refusing = Deployment("n", Scripted(Script(replies=[Reply(steps=[Step(fail=Failure())])])))
            with pytest.raises(UpstreamError):
                await heard(asked(refusing, book, "a"), most=99)
        await book.aclose()
    kinds = {"input": 10, "cached": 4, "output": 5, "reasoning": 0}
    assert {("m", kind): count for kind, count in kinds.items()} == figures.tokens.values
    assert [1] == list(figures.upstream_errors.values.values())
