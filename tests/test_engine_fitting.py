"""Calls of functions with grammars: held back, held against them, and asked for once more."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any  # steps of a script are open

import anyio
import msgspec
import pytest
from msgspec import Raw

from antiphon.backends import UpstreamError
from antiphon.backends.scripted import Config, Scripted
from antiphon.core.arguments import MOST_ARGUMENTS
from antiphon.core.deltas import Call, Finish, Text, Thought
from antiphon.core.turn import Choice, Function, Turn
from antiphon.engine.fitting import Fitting
from antiphon.protocol.content import InputText
from antiphon.protocol.items import CustomToolCall, CustomToolCallOutput, FunctionCall, FunctionCallOutput, Message
from antiphon.protocol.response import Usage
from antiphon.protocol.tool_settings import CustomGrammar
from antiphon.protocol.tools import CustomTool
from tests.patient import is_in_proportion

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.deltas import Delta
    from antiphon.protocol.items import Item

pytestmark = pytest.mark.anyio

GRAMMAR = CustomGrammar(syntax="regex", definition="[0-9]+")
PARAMETERS = Raw(b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}')
ASKED: list[Item] = [Message(role="user", content=[InputText(text="Count.")])]
COUNT = Function("count", PARAMETERS, tool=CustomTool(name="count", format=GRAMMAR), grammar=GRAMMAR)
PLAIN = Function("plain", Raw(b'{"type":"object"}'))
TURN = Turn(items=ASKED, functions=[COUNT, PLAIN], parallel_tool_calls=True)
GOOD, BAD = '{"input":"12"}', '{"input":"twelve"}'


async def fits(grammar: CustomGrammar, text: str) -> bool:
    """The grammars here are expressions."""
    return re.fullmatch(grammar.definition, text) is not None


class Speaking:
    """A backend whose answers are given in advance, list by list; an exception among them is raised."""

    def __init__(self, *answers: list[list[Delta] | UpstreamError]) -> None:
        self._answers = list(answers)
        self.turns: list[Turn] = []
        self.open = 0
        self.is_closed = False

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Speak the next answer."""
        self.turns.append(turn)
        self.open += 1
        try:
            for deltas in self._answers.pop(0):
                if isinstance(deltas, UpstreamError):
                    raise deltas
                yield deltas
        finally:
            self.open -= 1

    async def aclose(self) -> None:
        """Nothing is left to say."""
        self.is_closed = True


async def heard(backend: Speaking, turn: Turn = TURN) -> list[list[Delta]]:
    """All that is passed on."""
    return [deltas async for deltas in Fitting(backend, fits).stream(turn)]


def usage(tokens: int) -> Usage:
    """So many tokens in, and as many out."""
    return Usage(input_tokens=tokens, output_tokens=tokens, total_tokens=2 * tokens)


def actions(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the operator hears."""
    return [vars(record)["action"] for record in caplog.records if record.name == "antiphon.engine.fitting"]


class Lending:
    """A backend of one stream."""

    def __init__(self, only: AsyncGenerator[list[Delta], None]) -> None:
        self._only = only

    def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """That one."""
        return self._only

    async def aclose(self) -> None:
        """Close nothing."""


async def test_a_turn_without_grammars_is_the_backends_own_stream() -> None:
    """It costs nothing."""
    turn = Turn(items=ASKED, functions=[PLAIN])
    own = Speaking([[Text("Hi"), Finish()]]).stream(turn)
    stream = Fitting(Lending(own), fits).stream(turn)
    assert own is stream
    assert [[Text("Hi"), Finish()]] == [deltas async for deltas in stream]


async def test_a_call_that_fits_is_passed_on_whole() -> None:
    """In one piece, before the end, and the model is asked once."""
    backend = Speaking([[Call("1", "count", '{"inp')], [Call("1", "", 'ut":"12"}')], [Finish(usage=usage(3))]])
    assert [[Call("1", "count", GOOD)], [Finish(usage=usage(3))]] == await heard(backend)
    assert [TURN] == backend.turns


async def test_all_else_streams_through_as_it_comes() -> None:
    """Text, thoughts and other calls wait for no call that is held."""
    backend = Speaking([
        [Thought("Hm."), Call("1", "count", '{"input":')],
        [Call("2", "plain", "{"), Text("And")],
        [Call("2", "", "}")],
        [Call("1", "", '"12"}'), Finish()],
    ])
    assert [
        [Thought("Hm.")],
        [Call("2", "plain", "{"), Text("And")],
        [Call("2", "", "}")],
        [Call("1", "count", GOOD)],
        [Finish()],
    ] == await heard(backend)


async def test_a_whole_call_keeps_its_place_before_what_follows() -> None:
    """What comes after it of the same key, such as a line end, follows it."""
    backend = Speaking([[Call("1", "count", GOOD)], [Text("Done."), Call("1", "", "\n")], [Finish()]])
    assert [[Call("1", "count", GOOD), Text("Done."), Call("1", "", "\n")], [Finish()]] == await heard(backend)


async def test_a_call_that_does_not_fit_is_asked_for_once_more(caplog: pytest.LogCaptureFixture) -> None:
    """The model is told what was wrong, must call that function, and only its second answer is passed on."""
    caplog.set_level(logging.INFO)
    backend = Speaking(
        [[Text("So: "), Call("1", "count", BAD), Finish(usage=usage(3))]],
        [[Thought("Digits.")], [Call("1", "count", '{"input"')], [Call("1", "", ':"12"}'), Finish(usage=usage(4))]],
    )
    said = await heard(backend)
    assert [
        [Text("So: ")],
        [Thought("Digits.")],
        [Call("1/1", "count", '{"input"')],
        [Call("1/1", "", ':"12"}')],
        [Finish(usage=usage(7))],
    ] == said
    again = backend.turns[1]
    assert (Choice("required", ["count"]), False) == (again.choice, again.parallel_tool_calls)
    assert ASKED == again.items[:1]
    call, output = again.items[1:]
    assert CustomToolCall(call_id="call_misfit_1", name="count", input="twelve") == call
    assert isinstance(output, CustomToolCallOutput)
    assert "call_misfit_1" == output.call_id
    assert "(regex):\n[0-9]+" in str(output.output)
    assert ["grammar_asked_again"] == actions(caplog)


async def test_a_second_misfit_is_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    """The client reads it anyway, and the operator is told."""
    backend = Speaking([[Call("1", "count", BAD), Finish()]], [[Call("1", "count", BAD), Finish()]])
    assert [[Call("1/1", "count", BAD)], [Finish()]] == await heard(backend)
    assert ["grammar_not_met"] == actions(caplog)


async def test_a_second_answer_without_a_call_is_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it is; how it ended is how the turn ended."""
    backend = Speaking([[Call("1", "count", BAD), Finish()]], [[Text("No."), Finish("max_output_tokens")]])
    assert [[Text("No.")], [Finish("max_output_tokens")]] == await heard(backend)
    assert ["grammar_not_met"] == actions(caplog)


async def test_each_misfit_is_asked_for_by_itself() -> None:
    """Those that fit are passed on before; no two calls share a key."""
    backend = Speaking(
        [[Call("1", "count", BAD), Call("2", "count", GOOD), Call("3", "count", "[")], [Finish(usage=usage(1))]],
        [[Call("1", "count", GOOD), Finish(usage=usage(1))]],
        [[Call("1", "count", GOOD), Finish(usage=usage(1))]],
    )
    said = await heard(backend)
    assert [["2"], ["1/1"], ["3/1"]] == [[one.key for one in deltas if isinstance(one, Call)] for deltas in said[:-1]]
    assert [Finish(usage=usage(3))] == said[-1]


async def test_what_follows_a_misfit_of_its_key_is_dropped_with_it() -> None:
    """No piece of a call is passed on without its beginning."""
    backend = Speaking(
        [[Call("1", "count", BAD), Text("."), Call("1", "", " ")], [Finish()]], [[Call("1", "count", GOOD), Finish()]]
    )
    assert [[Text(".")], [Call("1/1", "count", GOOD)], [Finish()]] == await heard(backend)


@pytest.mark.parametrize("arguments", ["[1]", '{"input":1}', "{", "[" * 100_000, "{}"])
async def test_arguments_that_are_not_what_they_should_be_fit_nothing(arguments: str) -> None:
    """The model is shown what it wrote."""
    backend = Speaking([[Call("1", "count", arguments), Finish()]], [[Call("1", "count", GOOD), Finish()]])
    assert [[Call("1/1", "count", GOOD)], [Finish()]] == await heard(backend)
    call = backend.turns[1].items[1]
    assert isinstance(call, CustomToolCall)
    assert arguments == call.input


async def test_a_member_of_a_namespace_is_told_of_as_a_function() -> None:
    """The model knows it under another name than its own."""
    function = Function("ns__count", PARAMETERS, tool=CustomTool(name="count", format=GRAMMAR), grammar=GRAMMAR)
    backend = Speaking([[Call("1", "ns__count", BAD), Finish()]], [[Call("1", "ns__count", GOOD), Finish()]])
    await heard(backend, Turn(items=ASKED, functions=[function]))
    call, output = backend.turns[1].items[1:]
    assert FunctionCall(call_id="call_misfit_1", name="ns__count", arguments=BAD) == call
    assert isinstance(output, FunctionCallOutput)


async def test_a_call_that_is_cut_short_is_passed_on_as_it_is() -> None:
    """The answer has ended, so nobody is asked again."""
    backend = Speaking([[Call("1", "count", '{"input":"tw')], [Finish("max_output_tokens")]])
    assert [[Call("1", "count", '{"input":"tw')], [Finish("max_output_tokens")]] == await heard(backend)


async def test_a_call_that_is_too_long_is_passed_on_as_it_is() -> None:
    """With as much as tells whoever hears it that there was more. No model is shown it again."""
    long = '{"input":"' + "1" * MOST_ARGUMENTS
    backend = Speaking([[Call("1", "count", long), Call("1", "", "1")], [Call("1", "", '"}')], [Finish()]])
    said = await heard(backend)
    assert [[Call("1", "count", long[: MOST_ARGUMENTS + 1])], [Finish()]] == said


def test_text_between_the_fragments_of_a_call_costs_no_more_than_itself() -> None:
    """The end of the call is looked for each time, in what is new alone."""
    text: list[Delta] = [Text("So ")]

    async def hear(times: int) -> None:
        between: list[list[Delta] | UpstreamError] = [[Call("1", "", "0123456789")], text] * times
        said = await heard(Speaking([[Call("1", "count", '{"input":"')], *between, [Call("1", "", '"}'), Finish()]]))
        whole = Call("1", "count", '{"input":"' + "0123456789" * times + '"}')
        assert [*[text] * times, [whole], [Finish()]] == said

    assert is_in_proportion(lambda times: anyio.run(hear, times), 30_000)


async def test_a_stream_that_is_cut_off_has_no_end() -> None:
    """Neither the first nor the second; whoever listens knows what that means."""
    assert [[Call("1", "count", BAD)]] == await heard(Speaking([[Call("1", "count", BAD)]]))
    backend = Speaking([[Call("1", "count", BAD), Finish()]], [[Text("Hm")]])
    assert [[Text("Hm")]] == await heard(backend)


async def test_an_error_of_the_second_answer_is_an_error_of_the_turn() -> None:
    """And nothing stays open."""
    backend = Speaking([[Call("1", "count", BAD), Finish()]], [UpstreamError("server_error", "Broken.")])
    with pytest.raises(UpstreamError, match="Broken"):
        await heard(backend)
    assert 0 == backend.open


@pytest.mark.parametrize("lists", [1, 2, 3])
async def test_whoever_leaves_stops_the_model(lists: int) -> None:
    """In the first answer as in the second."""
    backend = Speaking(
        [[Text("a")], [Text("b"), Call("1", "count", BAD)], [Finish()]], [[Text("c")], [Call("1", "count", GOOD)]]
    )
    stream = Fitting(backend, fits).stream(TURN)
    for _ in range(lists):
        await anext(stream)
    assert 1 == backend.open
    await stream.aclose()
    assert 0 == backend.open


async def test_closing_closes_the_backend() -> None:
    """It is the only way to it."""
    backend = Speaking()
    await Fitting(backend, fits).aclose()
    assert backend.is_closed


async def test_a_scripted_model_mends_its_call() -> None:
    """Through a real backend: it reads the output that tells it what was wrong."""

    def calling(text: str, **rest: Any) -> dict[str, Any]:  # steps of a script are open
        return {"steps": [{"call": {"name": "count", "arguments": {"input": text}}}], **rest}

    script = {"replies": [calling("twelve", after_output=False), calling("12", after_output=True)]}
    scripted = Scripted(msgspec.convert(script, Config))
    said = [delta async for deltas in Fitting(scripted, fits).stream(TURN) for delta in deltas]
    calls = [delta for delta in said if isinstance(delta, Call)]
    assert ["count"] == [call.name for call in calls if call.name]
    assert {"input": "12"} == msgspec.json.decode("".join(call.arguments for call in calls))
    assert 1 == len({call.key for call in calls})
    assert [Finish] == [type(delta) for delta in said if isinstance(delta, Finish)]
