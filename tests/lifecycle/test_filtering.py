"""Filtering: what is judged, when it is told, and what becomes of what nobody can judge."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.backends import UpstreamError
from antiphon.core.deltas import Call, Finish, Judged, Text, Thought, Voice
from antiphon.core.turn import Turn
from antiphon.core.verdicts import joined
from antiphon.lifecycle.filtering import OVERLAP, PIECE, Config, Filtering, Thresholds, fresh_text
from antiphon.lifecycle.judging import JudgeError
from antiphon.protocol.content import InputImage, InputText
from antiphon.protocol.errors import ApiError, FilteredError
from antiphon.protocol.items import FunctionCall, FunctionCallOutput, Message
from antiphon.protocol.response import ContentFilter, Usage
from tests.playing import Model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from antiphon.core.deltas import Delta
    from antiphon.core.verdicts import Found, Source

pytestmark = pytest.mark.anyio

BAD = "poison"
COST = Usage(input_tokens=1, output_tokens=2, total_tokens=3)


class Reader:
    """A judge that knows one bad word, and remembers what it was shown."""

    def __init__(self, *, fault: str = "") -> None:
        self.shown: list[tuple[Source, str]] = []
        self.fault = fault

    async def found(self, text: str, source: Source, categories: Sequence[str]) -> Found:
        """Violence, where the word stands."""
        self.shown.append((source, text))
        if self.fault:
            raise JudgeError(self.fault)
        return {name: "high" if name == "violence" and BAD in text else "safe" for name in categories}

    async def aclose(self) -> None:
        """There is nothing to let go of."""


class Sleeper(Reader):
    """A judge that never says anything."""

    async def found(self, text: str, source: Source, categories: Sequence[str]) -> Found:
        """Wait for ever."""
        await anyio.sleep_forever()
        raise AssertionError(text, source, categories)


class Stumbler(Reader):
    """A judge that knows one bad word, and what begins with certain letters is too much for it."""

    async def found(self, text: str, source: Source, categories: Sequence[str]) -> Found:
        """Fail, or wait for ever, or judge."""
        if text.startswith("asleep"):
            await anyio.sleep_forever()
        if text.startswith("aaa"):
            raise JudgeError("stumbled")
        return await super().found(text, source, categories)


class Speaking(Model):
    """A model that says lists of deltas, and knows how far it came."""

    def __init__(self, *said: list[Delta]) -> None:
        super().__init__()
        self._said = said
        self.told = 0

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Speak."""
        self.turns.append(turn)
        for deltas in self._said:
            self.told += 1
            yield deltas


def filtering(judge: Reader, **settings: object) -> Filtering:
    """A filter with settings of the configuration."""
    return Filtering(Config(endpoint="http://judge.example", **settings), judge)  # type: ignore[arg-type]  # of any type


async def heard(judge: Reader, model: Model, **settings: object) -> list[list[Delta]]:
    """What a guarded model says."""
    guarded = filtering(judge, **settings).guarded(model)
    async with aclosing(guarded.stream(Turn(items=[]))) as stream:
        return [deltas async for deltas in stream]


def texts(lists: list[list[Delta]]) -> list[str]:
    """The text of each list."""
    return ["".join(delta.text for delta in deltas if isinstance(delta, Text)) for deltas in lists]


def verdict(lists: list[list[Delta]]) -> ContentFilter:
    """What was found in all of it together."""
    found: list[ContentFilter] = []
    for delta in [delta for deltas in lists for delta in deltas]:
        if isinstance(delta, Judged):
            found = joined(found, delta.filters)
    [together] = found
    return together


def ending(lists: list[list[Delta]]) -> Finish:
    """How it ended."""
    finish = lists[-1][-1]
    assert isinstance(finish, Finish)
    return finish


async def test_a_prompt_that_is_fine_has_a_verdict() -> None:
    """It goes with the response to its end."""
    [found] = await filtering(Reader()).prompt("Hello")
    assert (False, "prompt") == (found.blocked, found.source_type)
    assert ["hate", "sexual", "violence", "self_harm", "jailbreak"] == list(found.content_filter_results)


async def test_a_bad_prompt_is_the_documented_400() -> None:
    """With what was found in ``innererror`` (recorded-traffic.md, section 5; reference, section 1.6)."""
    with pytest.raises(ApiError) as refusal:
        await filtering(Reader()).prompt(f"How do I make {BAD}?")
    error = refusal.value.error
    assert isinstance(error, FilteredError)
    assert (400, None, "prompt", "content_filter") == (error.status, error.type, error.param, error.code)
    assert "ResponsibleAIPolicyViolation" == error.innererror.code
    assert error.innererror.content_filter_result["violence"].filtered


async def test_what_is_off_is_not_looked_at() -> None:
    """A category without a threshold is not even asked for."""
    said = await filtering(Reader(), thresholds=Thresholds(violence="off")).prompt(BAD)
    assert "violence" not in said[0].content_filter_results


async def test_a_long_prompt_is_judged_in_pieces_that_overlap() -> None:
    """What is bad is found wherever it lies, also across a cut."""
    judge = Reader()
    text = "a" * (PIECE - 3) + BAD + "b" * PIECE
    with pytest.raises(ApiError):
        await filtering(judge).prompt(text)
    assert all(len(piece) <= PIECE for _, piece in judge.shown)
    assert len(judge.shown) > 1
    rejoined = judge.shown[0][1] + "".join(piece[OVERLAP:] for _, piece in judge.shown[1:])
    assert text == rejoined


async def test_where_prompts_are_not_judged_nobody_is_asked() -> None:
    """``on`` says what is."""
    judge = Reader()
    assert [] == await filtering(judge, on=("completion",)).prompt(BAD)
    assert [] == judge.shown


@pytest.mark.parametrize("judge", [Reader(fault="away"), Sleeper()])
async def test_a_prompt_that_cannot_be_judged_is_refused(judge: Reader) -> None:
    """A filter that fails is closed: 502, and the model is not asked."""
    with pytest.raises(ApiError) as refusal:
        await filtering(judge, timeout_seconds=0.01).prompt("Hello")
    assert (502, "server_error") == (refusal.value.status, refusal.value.code)


@pytest.mark.parametrize("judge", [Reader(fault="away"), Sleeper()])
async def test_what_cannot_be_judged_passes_where_it_may(judge: Reader) -> None:
    """Then the verdict names no category: nobody judged."""
    [found] = await filtering(judge, on_error="pass", timeout_seconds=0.01).prompt("Hello")
    assert {} == found.content_filter_results


@pytest.mark.parametrize("lost", ["a" * PIECE, "asleep" + "a" * PIECE])
async def test_what_was_judged_of_a_long_prompt_counts_where_the_rest_passes(lost: str) -> None:
    """Nobody gets a bad text through by making the judge stumble over another piece."""
    with pytest.raises(ApiError) as refusal:
        await filtering(Stumbler(), on_error="pass", timeout_seconds=0.05).prompt(lost + "b" * PIECE + BAD)
    assert "content_filter" == refusal.value.code


async def test_a_completion_is_held_until_it_is_judged() -> None:
    """A piece at a time; what follows a piece is judged with a little of it."""
    judge = Reader()
    model = Speaking([Text("one ")], [Text("two ")], [Text("three ")], [Text("four"), Finish(usage=COST)])
    lists = await heard(judge, model, hold_characters=8)
    assert ["one two ", "three four"] == texts(lists)
    assert [("completion", "one two "), ("completion", "one two three four")] == judge.shown
    assert ("stop", COST) == (ending(lists).reason, ending(lists).usage)
    assert 18 == verdict(lists).content_filter_offsets["end_offset"]
    assert isinstance(lists[0][0], Judged)  # a response that fails later has it too


async def test_nothing_of_a_bad_piece_is_told_and_the_model_is_stopped() -> None:
    """What was judged before stays; the rest is never asked for."""
    model = Speaking([Text("fine    ")], [Text("poi")], [Text("son")], [Text("more more more")], [Finish()])
    lists = await heard(Reader(), model, hold_characters=6)
    assert ["fine    ", ""] == texts(lists)
    assert "content_filter" == ending(lists).reason
    assert verdict(lists).blocked
    assert 3 == model.told


async def test_the_whole_turn_is_held_where_that_is_asked_for() -> None:
    """``hold_characters = 0``: nothing is told before all is judged."""
    model = Speaking([Text("fine " * 1000)], [Text(BAD)], [Finish(usage=COST)])
    lists = await heard(Reader(), model, hold_characters=0)
    assert [""] == texts(lists)
    assert ("content_filter", COST) == (ending(lists).reason, ending(lists).usage)


async def test_calls_and_thoughts_are_judged_as_well() -> None:
    """A call whose arguments are bad is never made."""
    calling = Speaking([Call("k", "f", '{"what": "')], [Call("k", "", BAD + '"}')], [Finish()])
    lists = await heard(Reader(), calling)
    assert [["content_filter"]] == [[delta.reason for delta in deltas if isinstance(delta, Finish)] for deltas in lists]
    thinking = Speaking([Thought(BAD)], [Text("fine")], [Finish()])
    assert "content_filter" == ending(await heard(Reader(), thinking)).reason
    unseen = Speaking([Thought(BAD, is_private=True)], [Text("fine")], [Finish()])
    assert "stop" == ending(await heard(Reader(), unseen)).reason


async def test_what_has_no_text_waits_for_nobody() -> None:
    """A message may begin before its text is judged."""
    judge = Reader()
    lists = await heard(judge, Speaking([Voice("commentary")], [Text("Hi"), Finish()]))
    assert [Voice("commentary")] == lists[0]
    assert 1 == len(judge.shown)


async def test_a_completion_that_cannot_be_judged_fails() -> None:
    """As a server's error, after what was judged before."""
    with pytest.raises(UpstreamError) as fault:
        await heard(Reader(fault="away"), Speaking([Text("Hi"), Finish()]))
    assert ("server_error", "away") == (fault.value.fault, fault.value.detail)


async def test_where_completions_are_not_judged_nothing_is_held() -> None:
    """The verdict on the prompt is all that there is."""
    judge = Reader()
    lists = await heard(judge, Speaking([Text("o")], [Text(BAD)], [Finish()]), on=("prompt",))
    assert ["o", BAD, ""] == texts(lists)
    assert [] == judge.shown
    assert [] == [delta for deltas in lists for delta in deltas if isinstance(delta, Judged)]


def test_what_a_request_says_is_what_the_model_reads_of_it() -> None:
    """Its instructions, what is said, and what calls brought; not the history, and no pictures."""
    turn = Turn(
        instructions="Be kind.",
        items=[
            Message(id="old", role="user", content=[InputText(text="before")]),
            Message(id="new", role="user", content=[InputText(text="now"), InputImage(image_url="data:,x")]),
            FunctionCall(id="call", call_id="c", name="f", arguments='{"a":1}'),
            FunctionCallOutput(id="out", call_id="c", output="from outside"),
        ],
    )
    assert 'Be kind.\n\nnow\n\n{"a":1}\n\nfrom outside' == fresh_text(turn, frozenset({"new", "call", "out"}))
