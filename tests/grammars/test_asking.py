"""What the server asks of grammars: whatever is in one, the server goes on."""

from __future__ import annotations

import itertools
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon import grammars
from antiphon.documents import Config
from antiphon.grammars import BadGrammar, Grammars
from antiphon.grammars.nouns import MOST_CHARACTERS
from tests.documents.crews import children
from tests.grammars import rogue
from tests.grammars.samples import PATCH, PATCHES, lark, regex
from tests.patient import STORY_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from antiphon.protocol.tool_settings import CustomGrammar

pytestmark = pytest.mark.anyio

ROGUE = (sys.executable, "-B", "-P", "-s", str(Path(rogue.__file__)))
SLOW = Config(workers=2, seconds=60, memory_mib=256)


@asynccontextmanager
async def rogues(terms: Config = SLOW, now: Callable[[], float] = lambda: 0.0) -> AsyncGenerator[Grammars]:
    """Grammars whose children misbehave where a definition says so."""
    asked = Grammars(terms, command=ROGUE, now=now)
    try:
        with anyio.fail_after(STORY_SECONDS):
            yield asked
    finally:
        await asked.aclose()


async def refused(asked: Grammars, grammar: CustomGrammar) -> str:
    """Why a grammar is none."""
    with pytest.raises(BadGrammar) as caught:
        await asked.check(grammar)
    return str(caught.value)


def actions(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What was let through, and why."""
    found = [vars(record) for record in caplog.records if record.name == "antiphon.grammars.asking"]
    return [(record["action"], record["reason"]) for record in found]


async def test_grammars_and_texts_are_judged() -> None:
    """By the program that a server starts."""
    asked = Grammars(SLOW)
    with anyio.fail_after(STORY_SECONDS):
        await asked.check(lark(PATCHES))
        assert "Invalid regex grammar: unclosed group" == await refused(asked, regex("("))
        assert await asked.fits(lark(PATCHES), PATCH)
        assert not await asked.fits(lark(PATCHES), f"{PATCH}x")
        assert not await asked.fits(regex("(?s).*"), "\ud800")
    await asked.aclose()


async def test_nothing_is_started_before_the_first_grammar() -> None:
    """A server of clients without grammars has no children for them."""
    before = children()
    async with rogues() as asked:
        assert f"The grammar is too long: at most {MOST_CHARACTERS} characters are allowed." == await refused(
            asked, regex("a" * (MOST_CHARACTERS + 1))
        )
        assert children() <= before


async def test_a_grammar_is_checked_once() -> None:
    """Its verdict is remembered, good or bad, and is of that syntax alone."""
    async with rogues() as asked:
        first = await refused(asked, regex("who"))
        await asked.check(regex("a"))
        await asked.aclose()
        assert first == await refused(asked, regex("who"))
        await asked.check(regex("a"))


async def test_two_that_ask_the_same_wait_for_one_answer() -> None:
    """The second finds what the first was told."""
    async with rogues(Config(workers=1, seconds=60, memory_mib=256)) as asked:
        told: list[str] = []

        async def ask() -> None:
            told.append(await refused(asked, regex("who")))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)
        assert 2 == len(told)
        assert 1 == len(set(told))


@pytest.mark.parametrize("definition", ["die", "astray"])
async def test_a_grammar_that_breaks_its_child_is_too_complex(definition: str) -> None:
    """And the next is judged."""
    async with rogues() as asked:
        assert "The grammar is too complex." == await refused(asked, regex(definition))
        await asked.check(regex("a"))


async def test_a_grammar_that_takes_too_long_is_too_complex_for_a_while() -> None:
    """It is not tried again at once, but later: the machine may have been busy."""
    clock = itertools.chain([0.0, 0.0, 0.0, 299.0], itertools.repeat(300.0))
    async with rogues(Config(workers=1, seconds=1, memory_mib=256), now=lambda: next(clock)) as asked:
        for _ in range(3):
            assert "The grammar is too complex." == await refused(asked, regex("hang"))


@pytest.mark.parametrize(("definition", "reason"), [("die", "crashed"), ("astray", "crashed")])
async def test_a_text_that_cannot_be_judged_goes_on(
    definition: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client reads it anyway, and the operator is told."""
    async with rogues() as asked:
        assert await asked.fits(regex(definition), "text")
    assert [("grammar_not_judged", reason)] == actions(caplog)


async def test_a_grammar_that_finds_no_child_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """A busy server refuses nobody for a grammar; it is asked of again with the next request."""
    async with rogues() as asked:
        await asked.aclose()
        await asked.check(regex("("))
        await asked.check(regex("("))
    assert 2 * [("grammar_not_judged", "busy")] == actions(caplog)


def test_the_package_has_what_it_names() -> None:
    """And no more."""
    with pytest.raises(AttributeError, match="no attribute 'Grammar'"):
        _ = vars(grammars)["__getattr__"]("Grammar")
