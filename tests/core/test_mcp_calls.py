"""Calls of MCP servers' tools while a model writes them: those that are made, and those that wait for an approval."""

from __future__ import annotations

from itertools import count

import pytest

from antiphon.core.calls import OpenCall
from antiphon.core.deltas import Call, Finish, FinishReason, Text
from antiphon.core.machine import Machine
from antiphon.core.mcp_calls import Asking, McpKind, arguments_delta
from antiphon.core.notes import CallOpened, CallWritten
from antiphon.core.place import Place
from antiphon.core.speech import Manner
from antiphon.protocol.calls import McpApprovalRequest, McpCall
from antiphon.protocol.events import ItemAdded, ItemDelta, ItemDone, McpArgumentsDone
from antiphon.protocol.response import Response
from tests.core.stage import ADDED, DONE, NOW, TEXT, message, names

PHASE, DELTA, WHOLE = "mcp_call.in_progress", "mcp_call_arguments.delta", "mcp_call_arguments.done"


def signed(id: str, arguments: str) -> str:
    """An id that knows the arguments."""
    return f"{id}({arguments})"


def opened(*, most_calls: int | None = None, is_parallel: bool = True) -> Machine:
    """A machine whose model may call a tool ``t`` at once, and ``a`` if a person approves."""
    numbers = count()
    machine = Machine(
        Response(id="resp_0", created_at=NOW, model="m", status="queued", parallel_tool_calls=is_parallel),
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        manner=Manner(
            kinds={"s__t": McpKind("s", "t"), "s__a": Asking("s", "a", signed)},
            allowed=frozenset({"s__t", "s__a"}),
            most_calls=most_calls,
        ),
    )
    machine.start()
    machine.next_turn()
    return machine


def test_a_call_tells_its_arguments_in_one_delta() -> None:
    """However they were written."""
    machine = opened()
    added, phase, *rest = machine.feed([Call("k", "s__t", '{"a":'), Call("k", arguments="1}"), Finish("stop")])
    assert [ADDED, PHASE, DELTA, WHOLE] == names([added, phase, *rest])
    assert isinstance(added, ItemAdded)
    blank = McpCall(id="mcp_0", status="in_progress", arguments="", name="t", server_label="s")
    assert blank == added.item
    match rest:
        case [ItemDelta(delta=delta, item_id="mcp_0"), McpArgumentsDone(arguments=arguments, item_id="mcp_0")]:
            assert ('{"a":1}', '{"a":1}') == (delta, arguments)
        case _:
            pytest.fail("the arguments are told once")


def test_a_whole_call_waits_for_its_server() -> None:
    """And is noted, so that a successor knows of it."""
    machine = opened()
    machine.feed([Call("k", "s__t", "{}"), Finish("stop")])
    (call,) = machine.waiting
    whole = McpCall(id="mcp_0", status="in_progress", arguments="{}", name="t", server_label="s")
    assert whole == call.kind.item(call)
    opening, writing, *_ = machine.take_notes()
    assert [CallOpened("mcp_0", "k", "s__t", "call_1"), CallWritten("mcp_0", "{}")] == [opening, writing]


def test_a_call_without_arguments_has_the_empty_object() -> None:
    """As recorded."""
    machine = opened()
    events = machine.feed([Call("k", "s__t"), Finish("stop")])
    assert [ADDED, PHASE, DELTA, WHOLE] == names(events)
    assert ["{}"] == [call.arguments for call in machine.waiting]


def test_a_call_that_is_cut_short_is_incomplete_and_not_made() -> None:
    """With the arguments as far as they were written."""
    machine = opened()
    events = machine.feed([Call("k", "s__t", '{"a'), Finish("max_output_tokens")])
    assert [ADDED, PHASE, DELTA, WHOLE, DONE] == names(events)
    cut = McpCall(id="mcp_0", status="incomplete", arguments='{"a', name="t", server_label="s")
    assert ([cut], []) == (machine.finished, machine.waiting)


def test_a_call_that_is_cut_short_before_its_arguments_has_no_delta() -> None:
    """There is nothing to tell."""
    events = opened().feed([Call("k", "s__t"), Finish("max_output_tokens")])
    assert [ADDED, PHASE, WHOLE, DONE] == names(events)
    assert not arguments_delta(Place("mcp_0", 0, count().__next__), "")


def test_an_approved_call_names_the_request_that_it_was_approved_by() -> None:
    """Its tool goes by the id of the request."""
    machine = opened()
    machine.feed([Finish("stop")])
    machine.allow(Manner(grants={"mcpr_1": McpKind("s", "a", "mcpr_1")}, allowed=frozenset()))
    events = machine.grant([Call("mcpr_1", "mcpr_1", '{"a":1}')])
    assert [ADDED, PHASE, DELTA, WHOLE] == names(events)
    (call,) = machine.waiting
    item = call.kind.item(call)
    assert isinstance(item, McpCall)
    assert ("mcpr_1", "a", '{"a":1}') == (item.approval_request_id, item.name, item.arguments)


def test_a_request_for_an_approval_is_told_whole() -> None:
    """Under an id that is made of its arguments; nothing of it is shown while it is written."""
    machine = opened()
    assert not machine.feed([Call("k", "s__a", '{"a":')])
    added, done = machine.feed([Call("k", arguments="1}"), Finish("stop")])
    request = McpApprovalRequest(id='mcpr_1({"a":1})', arguments='{"a":1}', name="a", server_label="s")
    assert isinstance(added, ItemAdded)
    assert isinstance(done, ItemDone)
    assert (request, request) == (added.item, done.item)
    assert ([request], []) == (machine.finished, machine.waiting)
    assert (0, 0) == (added.output_index, done.output_index)


def test_a_request_for_an_approval_without_arguments_has_the_empty_object() -> None:
    """A person reads what will be sent."""
    machine = opened()
    machine.feed([Call("k", "s__a"), Finish("stop")])
    assert [McpApprovalRequest(id="mcpr_1({})", arguments="{}", name="a", server_label="s")] == machine.finished


def test_nothing_is_told_when_a_request_for_an_approval_begins() -> None:
    """Whoever asks: there is no event for it."""
    asking = Asking("s", "a", signed)
    call = OpenCall(asking, Place("", -1, count().__next__), key="k", name="s__a", call_id="call_0")
    assert ([], [], []) == (asking.began(call), asking.wrote(call, "{"), asking.wrote_all(call))


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_nobody_is_asked_to_approve_half_of_a_call(reason: FinishReason) -> None:
    """One that is cut short leaves no trace, and takes no place in the output."""
    machine = opened()
    events = machine.feed([Call("k", "s__a", '{"a'), Finish(reason)])
    assert [ADDED, DONE] == [name for name in names(events) if name in {ADDED, DONE}]
    assert ([message("", id="msg_1", status="incomplete")], []) == (machine.finished, machine.calls)


def test_what_is_said_before_and_after_a_request_keeps_its_place() -> None:
    """A request takes its place when it is whole, and the words behind it wait for that."""
    machine = opened()
    events = machine.feed([
        Text("First."),
        Call("k", "s__a", "{"),
        Text("Last."),
        Call("k", arguments="}"),
        Finish("stop"),
    ])
    assert [*TEXT, ADDED, DONE, *TEXT] == names(events)
    assert ["message", "mcp_approval_request", "message"] == [
        str(item.__struct_config__.tag) for item in machine.finished
    ]


def test_one_turn_may_ask_for_several_approvals() -> None:
    """And make a call beside."""
    machine = opened()
    machine.feed([Call("k", "s__a", "{}"), Call("l", "s__t", "{}"), Call("m", "s__a", '{"b":2}'), Finish("stop")])
    assert ["mcpr_1({})", 'mcpr_5({"b":2})'] == [
        item.id for item in machine.finished if isinstance(item, McpApprovalRequest)
    ]
    assert ["t"] == [item.name for call in machine.waiting if isinstance(item := call.kind.item(call), McpCall)]


def test_requests_for_approval_do_not_count_as_calls_of_the_server() -> None:
    """The bound of calls is one of those that are made."""
    machine = opened(most_calls=1)
    machine.feed([Call("k", "s__a", "{}"), Call("l", "s__t", "{}"), Call("m", "s__t", "{}"), Finish("stop")])
    assert (1, 1) == (len(machine.finished), len(machine.waiting))


def test_without_parallel_calls_a_turn_asks_for_one_approval() -> None:
    """The second call is not said."""
    machine = opened(is_parallel=False)
    machine.feed([Call("k", "s__a", "{}"), Call("l", "s__a", "{}"), Finish("stop")])
    assert ["mcpr_1({})"] == [item.id for item in machine.finished]


def test_without_parallel_calls_a_request_that_is_dropped_was_the_one_call() -> None:
    """Nobody approves half a call, and none comes in its place."""
    machine = opened(is_parallel=False)
    machine.feed([Call("k", "s__a", ""), Text("So"), Call("l", "s__t", ""), Finish("max_output_tokens")])
    assert ["message"] == [str(item.__struct_config__.tag) for item in machine.finished]
