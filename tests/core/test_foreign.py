"""Items of tools that an upstream runs itself, and lists that are still open: what the machine makes of them."""

from __future__ import annotations

import pytest

from antiphon.core.deltas import Began, Finish, Made, Text, Went, Wrote
from antiphon.core.machine import IllegalStep, Machine
from antiphon.core.transcript import added
from antiphon.protocol.calls import McpApprovalRequest, McpApprovalResponse, McpCall, McpListTools
from antiphon.protocol.response import Response
from tests.core.stage import NOW, names, opened

LIST = McpListTools(id="mcpl_u", server_label="s", tools=[])
CALL = McpCall(id="mcp_u", server_label="s", name="n", arguments="", status="in_progress")
ADDED, DONE = "output_item.added", "output_item.done"


def test_items_of_the_upstreams_own_are_passed_on_in_their_order() -> None:
    """With the upstream's ids, between what the model says; arguments are told whole before the last phase."""
    machine = opened()
    events = machine.feed([
        Text("So."),
        Began(CALL),
        Went("mcp_u", "response.mcp_call.in_progress"),
        Wrote("mcp_u", '{"a":'),
        Wrote("mcp_u", "1}"),
        Went("mcp_u", "response.mcp_call.completed"),
        Made(McpCall(id="mcp_u", server_label="s", name="n", arguments='{"a":1}', status="completed", output="Yes.")),
        Finish(),
    ])
    arguments = ["mcp_call_arguments.delta"] * 2 + ["mcp_call_arguments.done"]
    told = [ADDED, "mcp_call.in_progress", *arguments, "mcp_call.completed", DONE]
    assert told == names(events)[-len(told) :]
    assert ["msg_0", "mcp_u"] == [item.id for item in machine.finished]


def test_several_may_be_open_and_what_stays_open_is_broken_off() -> None:
    """As unfinished, with the arguments as far as they came."""
    machine = opened()
    machine.feed([Began(LIST), Began(CALL), Began(CALL), Wrote("mcp_u", '{"a'), Finish()])
    listed, call = machine.finished
    assert LIST == listed
    assert isinstance(call, McpCall)
    assert ("incomplete", '{"a') == (call.status, call.arguments)


def test_an_item_that_is_only_told_when_it_is_made_is_added_first() -> None:
    """And nothing is told of one that never began, or is finished."""
    machine = opened()
    assert [ADDED, DONE] == names(machine.feed([Made(LIST)]))
    assert [] == machine.feed([Wrote("mcpl_u", "x")])
    assert [] == machine.feed([Went("mcp_other", "response.mcp_call.completed")])


def test_no_turn_begins_while_a_list_is_open() -> None:
    """Nor does the response end well."""
    machine = Machine(Response(id="resp_0", created_at=NOW, model="m", status="queued"), new_id=str)
    machine.start()
    machine.open_list("s")
    for step in (machine.next_turn, lambda: machine.complete(NOW), lambda: machine.open_list("s")):
        with pytest.raises(IllegalStep):
            step()
    machine.close_list("s", [])
    machine.next_turn()


def test_an_answer_that_is_sent_again_is_heard_once_and_a_changed_one_is_another() -> None:
    """Whatever ids a client gives to them."""
    request = McpApprovalRequest(id="mcpr_1", arguments="{}", name="n", server_label="s")
    answer = McpApprovalResponse(id="mine", approval_request_id="mcpr_1", approve=True)
    other = McpApprovalResponse(id="mine", approval_request_id="mcpr_2", approve=True)
    assert [other] == [said.item for said in added([request, answer], [request, answer, other], {})]
