"""The machine by example: each item's grammar, as recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import UNSET

from antiphon.core.deltas import Call, Finish, Refused, Text, Thought
from antiphon.core.machine import Machine
from antiphon.protocol.calls import SearchAction, WebSearchCall
from antiphon.protocol.content import Logprob, OutputText, ReasoningText, RefusalPart, SummaryText
from antiphon.protocol.items import FunctionCall, Message, ReasoningItem
from antiphon.protocol.response import Response
from tests.core.stage import ADDED, CALL, DONE, NOW, TEXT, function_call, message, names, opened, said

if TYPE_CHECKING:
    from antiphon.protocol.content import MessagePart


def test_a_response_begins_with_created_and_in_progress() -> None:
    """Both hold it empty and in progress, whatever it was before."""
    machine = Machine(Response(id="resp_0", created_at=NOW, model="m", status="queued"), new_id=str)
    events = machine.start()
    assert ["created", "in_progress"] == names(events)
    assert "in_progress" == machine.response.status
    assert not machine.ended


def test_text_is_a_message_with_one_part() -> None:
    """Added, part, deltas, done, part done, item done."""
    events, items = said(Text("Hel"), Text("lo"))
    assert [*TEXT[:3], "output_text.delta", *TEXT[3:]] == events
    assert [message("Hello")] == items


def test_log_probabilities_stay_with_their_text() -> None:
    """In the part that is kept, too."""
    a, b = Logprob(token="a", logprob=-1.0, bytes=[97]), Logprob(token="b", logprob=-2.0, bytes=[98])
    _, items = said(Text("a", [a]), Text("b", [b]))
    expected = OutputText(text="ab", logprobs=[a, b])
    assert [Message(id="msg_0", role="assistant", content=[expected])] == items


def test_a_turn_in_which_nothing_is_said_is_an_empty_message() -> None:
    """It has its part, but no delta."""
    events, items = said()
    assert [name for name in TEXT if name != "output_text.delta"] == events
    assert [message("")] == items


def test_empty_deltas_say_nothing() -> None:
    """They open no item and close none."""
    events, items = said(Thought(""), Text("a"), Refused(""), Text(""), Text("b"))
    assert [*TEXT[:3], "output_text.delta", *TEXT[3:]] == events
    assert [message("ab")] == items


def test_a_refusal_is_a_part_of_its_own_sort() -> None:
    """Added, part, deltas, done, part done, item done."""
    events, items = said(Refused("I "), Refused("won't."))
    refusal = ["content_part.added", "refusal.delta", "refusal.delta", "refusal.done", "content_part.done"]
    assert [ADDED, *refusal, DONE] == events
    assert [Message(id="msg_0", role="assistant", content=[RefusalPart(refusal="I won't.")])] == items


def test_text_and_refusal_share_a_message() -> None:
    """Each is a part, in order."""
    _, items = said(Text("Well, "), Refused("no."), Text("Or?"))
    parts: list[MessagePart] = [OutputText(text="Well, "), RefusalPart(refusal="no."), OutputText(text="Or?")]
    assert [Message(id="msg_0", role="assistant", content=parts)] == items


def test_a_thought_is_shown_as_a_summary() -> None:
    """Added, summary part, deltas, done, part done, item done."""
    events, items = said(Thought("Hm"), Thought("m."), Text("Yes."))
    assert [
        ADDED,
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        DONE,
        *TEXT,
    ] == events
    thought = ReasoningItem(id="rs_0", summary=[SummaryText(text="Hmm.")])
    assert [thought, message("Yes.", id="msg_1")] == items
    assert UNSET is thought.content


def test_a_raw_thought_is_shown_as_it_is_where_the_deployment_allows() -> None:
    """In the content of its item; the summary is empty."""
    events, items = said(Thought("Hmm."), Text("Yes."), raw=True)
    thinking = ["content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done"]
    assert [ADDED, *thinking, DONE, *TEXT] == events
    assert [
        ReasoningItem(id="rs_0", summary=[], content=[ReasoningText(text="Hmm.")]),
        message("Yes.", id="msg_1"),
    ] == items


def test_a_thought_after_text_is_an_item_of_its_own() -> None:
    """And so is the text after it."""
    _, items = said(Text("A"), Thought("b"), Text("C"))
    assert ["msg_0", "rs_1", "msg_2"] == [item.id for item in items]


def test_a_function_call_carries_its_arguments() -> None:
    """Added, deltas, done, item done; nothing of a message."""
    events, items = said(Call("0", "f", '{"a"'), Call("0", "", ":1}"))
    assert [*CALL[:2], "function_call_arguments.delta", *CALL[2:]] == events
    assert [function_call('{"a":1}')] == items


@pytest.mark.parametrize("arguments", ["", "{}"])
def test_a_call_without_arguments_has_the_empty_object(arguments: str) -> None:
    """One delta, whether the upstream sent it or not."""
    events, items = said(Call("0", "f", arguments))
    assert CALL == events
    assert [function_call("{}")] == items


def test_a_call_after_text_ends_the_message() -> None:
    """The model writes one item at a time."""
    events, items = said(Text("Let me see."), Call("0", "f", "{}"))
    assert TEXT + CALL == events
    assert ["msg_0", "fc_1"] == [item.id for item in items]


def test_parallel_calls_follow_each_other() -> None:
    """Each with its own id and call id, in the order in which they began."""
    events, items = said(Call("0", "f", "{}"), Call("1", "g", '{"b":2}'))
    assert CALL + CALL == events
    second = function_call('{"b":2}', name="g", at=2)
    assert [function_call("{}"), second] == items


def test_interleaved_calls_are_told_one_after_the_other() -> None:
    """What comes for the second waits until the first is whole."""
    machine = opened()
    events = machine.feed([Call("0", "f", '{"a":'), Call("1", "g", '{"b":')])
    assert [ADDED, "function_call_arguments.delta"] == names(events)
    events = machine.feed([Call("0", "", "1}"), Call("1", "", "2}")])
    delta, done = CALL[1:3]
    assert [delta, done, DONE, ADDED, delta, delta] == names(events)
    assert [done, DONE] == names(machine.feed([Finish()]))
    assert ['{"a":1}', '{"b":2}'] == [item.arguments for item in machine.finished if isinstance(item, FunctionCall)]


def test_what_is_said_in_the_middle_of_a_call_waits_for_its_end() -> None:
    """Text too, and in order."""
    _, items = said(Call("0", "f", '{"a":'), Text("so"), Call("0", "", "1}"), Text("!"))
    assert [function_call('{"a":1}'), message("so!", id="msg_2")] == items


@pytest.mark.parametrize("number", ["1", "1.5"])
def test_a_number_is_not_whole_while_a_digit_may_follow(number: str) -> None:
    """Odd arguments, but the model's."""
    _, items = said(Call("0", "f", number), Call("1", "g", "{}"), Call("0", "", "2"))
    assert [f"{number}2", "{}"] == [item.arguments for item in items if isinstance(item, FunctionCall)]


def test_white_space_after_whole_arguments_is_not_said() -> None:
    """The call is closed by then."""
    events, items = said(Call("0", "f", "{}"), Text("so"), Call("0", "", "\n"))
    assert CALL + TEXT == events
    assert [function_call("{}"), message("so", id="msg_2")] == items


def test_arguments_nested_for_ever_are_never_whole_and_harm_nobody() -> None:
    """What waits behind them is told when the model has spoken."""
    depth = "[" * 50_000
    _, items = said(Call("0", "f", depth), Text("so"))
    assert [function_call(depth), message("so", id="msg_2")] == items


def test_without_parallel_calls_the_second_is_not_said() -> None:
    """Nor are its further arguments."""
    deltas = [Call("0", "f", "{}"), Call("1", "g", "{"), Call("1", "", "}")]
    events, items = said(*deltas, parallel_tool_calls=False)
    assert CALL == events
    assert [function_call("{}")] == items


def test_without_parallel_calls_each_turn_may_have_one() -> None:
    """The next turn begins anew."""
    machine = opened(parallel_tool_calls=False, tools=("search",))
    machine.feed([Call("0", "search", "{}"), Finish()])
    machine.answer(machine.calls[0], WebSearchCall(id="ws_0"))
    machine.next_turn()
    machine.feed([Call("0", "f", "{}"), Finish()])
    assert ["ws_0", "fc_2"] == [item.id for item in machine.finished]


def test_a_call_that_is_not_allowed_is_not_said() -> None:
    """Nor are its further arguments; what else is said stands."""
    _, items = said(Text("a"), Call("0", "g", "{"), Call("0", "", "}"), Text("b"), allowed={"f"})
    assert [message("ab")] == items
    _, items = said(Call("0", "g", "{}"), allowed={"f"})
    assert [message("")] == items


def test_a_hosted_call_waits_for_its_answer() -> None:
    """It is in progress at once, goes through phases, and is done with its answer."""
    machine = opened(tools=("search",))
    events = machine.feed([Call("0", "search", '{"q":"x"}'), Finish()])
    assert [ADDED, "web_search_call.in_progress"] == names(events)
    (call,) = machine.calls
    assert '{"q":"x"}' == call.arguments
    assert ["web_search_call.searching"] == names(machine.phase(call, "response.web_search_call.searching"))
    assert ["web_search_call.completed"] == names(machine.phase(call, "response.web_search_call.completed"))
    item = WebSearchCall(id=call.id, action=SearchAction(query="x"))
    assert [DONE] == names(machine.answer(call, item))
    assert [item] == machine.finished


def test_hosted_calls_are_answered_in_any_order() -> None:
    """The output keeps the order in which they were made."""
    machine = opened(tools=("search",))
    machine.feed([Call("0", "search", "{}"), Call("1", "search", "{}"), Finish()])
    for call in reversed(machine.calls):
        machine.answer(call, WebSearchCall(id=call.id))
    assert ["ws_0", "ws_2"] == [item.id for item in machine.finished]
