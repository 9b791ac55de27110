"""The machine by example: every end of a response, and what is refused."""

from __future__ import annotations

from typing import Literal

import pytest

from antiphon.core.deltas import Call, Finish, Text, Thought
from antiphon.core.machine import IllegalStep
from antiphon.core.sse import name
from antiphon.protocol.calls import WebSearchCall
from antiphon.protocol.items import FunctionCall
from antiphon.protocol.response import IncompleteDetails, InputTokens, OutputTokens, ResponseError, Usage
from tests.core.stage import ADDED, COST, DONE, NOW, TEXT, function_call, message, names, opened, said


def test_a_response_is_completed() -> None:
    """With its output, its usage, and the time."""
    machine = opened()
    machine.feed([Text("Hi"), Finish(usage=COST)])
    assert ["completed"] == names(machine.complete(NOW + 1))
    response = machine.response
    assert ("completed", NOW + 1, COST, "default") == (
        response.status,
        response.completed_at,
        response.usage,
        response.service_tier,
    )
    assert [message("Hi")] == response.output
    assert machine.ended


def test_the_outcome_is_known_before_the_end_is_told() -> None:
    """So that it can be kept first."""
    machine = opened()
    machine.feed([Text("Hi"), Finish()])
    outcome = machine.outcome(NOW)
    machine.complete(NOW)
    assert outcome == machine.response


def test_a_response_whose_upstream_counted_nothing_cost_nothing() -> None:
    """Usage is always there at a good end."""
    machine = opened()
    machine.feed([Finish()])
    machine.complete(NOW)
    assert Usage(input_tokens=0, output_tokens=0, total_tokens=0) == machine.response.usage


def test_usage_is_the_sum_over_turns() -> None:
    """Every part of it; a turn that nobody counted adds nothing."""
    machine = opened(tools=("search",))
    for usage in (COST, None, COST):
        machine.feed([Call("0", "search", "{}"), Finish(usage=usage)])
        machine.answer(machine.calls[0], WebSearchCall(id=machine.calls[0].id))
        machine.next_turn()
    machine.feed([Text("Hi"), Finish()])
    machine.complete(NOW)
    assert (
        Usage(
            input_tokens=20,
            input_tokens_details=InputTokens(cached_tokens=8, cache_write_tokens=2),
            output_tokens=10,
            output_tokens_details=OutputTokens(reasoning_tokens=4),
            total_tokens=30,
        )
        == machine.response.usage
    )


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_what_was_cut_short_is_incomplete(reason: Literal["max_output_tokens", "content_filter"]) -> None:
    """The open part closes as usual, the item says so, and so does the terminal event."""
    machine = opened()
    events = machine.feed([Text("Once upo"), Finish(reason)])
    assert TEXT == names(events)
    assert machine.cut_short
    assert ["incomplete"] == names(machine.complete(NOW))
    response = machine.response
    assert ("incomplete", IncompleteDetails(reason=reason), None) == (
        response.status,
        response.incomplete_details,
        response.completed_at,
    )
    assert [message("Once upo", status="incomplete")] == response.output


def test_a_summary_that_was_cut_short_says_so() -> None:
    """Only here the wire has a status for the part."""
    machine = opened()
    events = machine.feed([Thought("Hm"), Finish("max_output_tokens")])
    (part_done,) = [event for event in events if name(event) == "response.reasoning_summary_part.done"]
    assert "incomplete" == part_done.status  # type: ignore[union-attr]  # found by its name


def test_a_call_that_was_cut_short_keeps_what_was_written() -> None:
    """And waits for no answer."""
    machine = opened(tools=("search",))
    machine.feed([Call("0", "f", '{"a'), Finish("max_output_tokens")])
    assert [] == machine.calls
    assert [function_call('{"a', status="incomplete")] == machine.finished


def test_a_hosted_call_that_was_cut_short_is_done_without_answer() -> None:
    """Nobody could answer half a call."""
    machine = opened(tools=("search",))
    events = machine.feed([Call("0", "search", '{"q'), Finish("max_output_tokens")])
    assert [ADDED, "web_search_call.in_progress", DONE] == names(events)
    assert [WebSearchCall(id="ws_0", status="incomplete")] == machine.finished


def test_of_interleaved_calls_that_were_cut_short_the_whole_ones_are_whole() -> None:
    """Wholeness is the call's own."""
    deltas = [Call("0", "f", '{"a"'), Call("1", "g", "{}"), Call("2", "h", '{"c')]
    _, items = said(*deltas, reason="max_output_tokens")
    assert [("fc_0", "incomplete"), ("fc_2", "completed"), ("fc_4", "incomplete")] == [
        (item.id, item.status) for item in items if isinstance(item, FunctionCall)
    ]


def test_a_failed_response_says_why_and_keeps_what_was_said() -> None:
    """The open item is closed as incomplete, then comes the one terminal event."""
    machine = opened()
    machine.feed([Text("Once upo")])
    error = ResponseError(code="server_error", message="It broke.")
    assert [*TEXT[3:], "failed"] == names(machine.fail(error))
    response = machine.response
    assert ("failed", error, None, None) == (
        response.status,
        response.error,
        response.usage,
        response.completed_at,
    )
    assert [message("Once upo", status="incomplete")] == response.output


def test_a_cancelled_response_keeps_what_was_said() -> None:
    """Finished items as they are, the open ones incomplete; usage as far as it was counted."""
    machine = opened(tools=("search",))
    machine.feed([Call("0", "search", "{}"), Finish(usage=COST)])
    machine.answer(machine.calls[0], WebSearchCall(id="ws_0"))
    machine.next_turn()
    machine.feed([Call("0", "f", '{"a'), Text("so")])
    assert "failed" == names(machine.cancel())[-1]
    response = machine.response
    assert ("cancelled", None, COST) == (response.status, response.error, response.usage)
    assert [
        WebSearchCall(id="ws_0"),
        function_call('{"a', at=2, status="incomplete"),
        message("so", id="msg_4", status="incomplete"),
    ] == response.output


def test_hosted_calls_that_nobody_answered_end_with_the_response() -> None:
    """They are done as incomplete."""
    machine = opened(tools=("search",))
    machine.feed([Call("0", "search", "{}"), Finish()])
    assert [DONE, "failed"] == names(machine.cancel())
    assert [WebSearchCall(id="ws_0", status="incomplete")] == machine.response.output


def test_a_terminal_state_never_changes() -> None:
    """No step is legal after the end."""
    machine = opened()
    machine.cancel()
    for step in (machine.start, machine.next_turn, machine.cancel, lambda: machine.complete(NOW)):
        with pytest.raises(IllegalStep):
            step()


def test_nothing_can_be_said_behind_the_finish() -> None:
    """Not even in the same read, of which then nothing is heard."""
    machine = opened()
    with pytest.raises(IllegalStep, match="nothing can be said"):
        machine.feed([Text("a"), Finish(), Text("b")])
    machine.feed([Text("c"), Finish()])
    assert [message("c")] == machine.finished


def test_the_model_is_not_asked_again_before_every_hosted_call_is_answered() -> None:
    """Nor is the response completed."""
    machine = opened(tools=("search",))
    machine.feed([Call("0", "search", "{}"), Finish()])
    for step in (machine.next_turn, lambda: machine.complete(NOW)):
        with pytest.raises(IllegalStep, match="still waits"):
            step()


def test_an_answer_has_the_id_of_its_call_and_comes_once() -> None:
    """Another id or a second answer is refused."""
    machine = opened(tools=("search",))
    machine.feed([Call("0", "search", "{}"), Finish()])
    call = machine.calls[0]
    with pytest.raises(IllegalStep, match="another id"):
        machine.answer(call, WebSearchCall(id="ws_9"))
    machine.answer(call, WebSearchCall(id=call.id))
    with pytest.raises(IllegalStep, match="does not wait"):
        machine.answer(call, WebSearchCall(id=call.id))
