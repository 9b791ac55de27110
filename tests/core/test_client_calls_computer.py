"""Calls of a computer: told when they are whole, as one action or as several, with what a person is asked first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.core.actions import Steps, written
from antiphon.core.client_calls import ComputerKind
from antiphon.core.deltas import Call, Finish, Text
from antiphon.core.fold import fold
from antiphon.core.machine import Machine
from antiphon.core.replay import replayed
from antiphon.core.speech import Manner
from antiphon.protocol.computer import Action, Click, ComputerCall, SafetyCheck, Type, Wait
from antiphon.protocol.events import ItemAdded, ItemDone
from antiphon.protocol.items import OutputItem
from antiphon.protocol.response import Response
from tests.core.stage import ADDED, DONE, NOW, TEXT, names

if TYPE_CHECKING:
    from antiphon.core.deltas import FinishReason
    from antiphon.protocol.events import StreamEvent

CLICK = Click(button="left", x=1, y=2)
ASK = SafetyCheck(id="", code="sensitive_domain", message="Ask.")
FOREIGN = SafetyCheck(id="cu_sc_theirs", code="malicious_instructions")


def machine(*, is_single: bool = False) -> Machine:
    """A machine whose model may speak, and may move a computer."""
    ids = {"call": "call_1", "cu": "cu_0a"}
    made = Machine(
        Response(id="resp_0", created_at=NOW, model="m", status="queued"),
        new_id=lambda prefix: ids.get(prefix, f"{prefix}_0"),
        manner=Manner(kinds={"computer": ComputerKind(is_single=is_single)}),
    )
    made.start()
    made.next_turn()
    return made


def told(
    *fragments: str, is_single: bool = False, reason: FinishReason = "stop"
) -> tuple[list[StreamEvent], OutputItem]:
    """What a machine tells of one call that is written in these fragments, and its item."""
    stage = machine(is_single=is_single)
    events = stage.feed([*(Call("0", "computer", fragment) for fragment in fragments), Finish(reason)])
    (item,) = stage.finished
    return events, item


def steps(*actions: Action, checks: list[SafetyCheck] | None = None) -> str:
    """The arguments of a call."""
    return written(Steps([*actions], checks or []))


def test_a_call_begins_and_ends_at_once() -> None:
    """With all its actions from the beginning, in progress and then completed."""
    arguments = steps(CLICK, Type(text="a"))
    events, item = told(arguments[:9], arguments[9:])
    expected = ComputerCall(id="cu_0a", call_id="call_1", actions=[CLICK, Type(text="a")])
    assert expected == item
    assert [ADDED, DONE] == names(events)
    begun = [event.item for event in events if isinstance(event, ItemAdded)]
    assert [ComputerCall(id="cu_0a", call_id="call_1", status="in_progress", actions=expected.actions)] == begun


def test_with_the_older_tool_a_call_has_one_action() -> None:
    """And no list."""
    _, item = told(steps(CLICK), is_single=True)
    assert ComputerCall(id="cu_0a", call_id="call_1", action=CLICK) == item


@pytest.mark.parametrize("is_single", [True, False])
def test_checks_have_ids_of_the_servers(*, is_single: bool) -> None:
    """Each its own, the same at the beginning and at the end; one that has an id keeps it."""
    events, item = told(steps(CLICK, checks=[ASK, FOREIGN, *[ASK] * 16]), is_single=is_single)
    assert isinstance(item, ComputerCall)
    ids = [check.id for check in item.pending_safety_checks]
    assert ["cu_sc_0a0", "cu_sc_theirs", "cu_sc_0a2"] == ids[:3]
    assert len(set(ids)) == 18
    assert all(
        check.message == "Ask." for check in item.pending_safety_checks if check is not FOREIGN and check.message
    )
    shown = [event.item for event in events if isinstance(event, ItemAdded | ItemDone)]
    assert [item.pending_safety_checks] * 2 == [
        one.pending_safety_checks for one in shown if isinstance(one, ComputerCall)
    ]


@pytest.mark.parametrize("arguments", ["", "{}", '{"actions":[]}', "click", '{"actions":[{"type":"click"}]}', "\ud800"])
def test_a_call_that_says_nothing_to_do_is_never_completed(arguments: str) -> None:
    """No client is asked to do nothing."""
    events, item = told(arguments)
    assert ComputerCall(id="cu_0a", call_id="call_1", status="incomplete") == item
    assert [ADDED, DONE] == names(events)


@pytest.mark.parametrize("arguments", [steps(CLICK), steps(CLICK)[:-3]])
def test_a_call_that_is_cut_short_has_no_actions(arguments: str) -> None:
    """Though all of them may be there: the model had not come to its end."""
    _, item = told(arguments, reason="max_output_tokens")
    assert ComputerCall(id="cu_0a", call_id="call_1", status="incomplete") == item


def test_a_log_that_ends_within_a_call_goes_on() -> None:
    """The call is done as it was told, and nobody is to make it."""
    stage = machine()
    events = [*stage.feed([Text("So."), Call("0", "computer", steps(CLICK, checks=[ASK])), Finish()])]
    [whole] = [item for item in stage.finished if isinstance(item, ComputerCall)]
    added = next(index for index, event in enumerate(events) if isinstance(event, ItemAdded) and event.output_index)
    opening = machine_log()
    successor = replayed([*opening, *events[: added + 1]], new_id=str)
    assert [DONE] == names(successor.resume())
    [_, item] = successor.finished
    assert isinstance(item, ComputerCall)
    assert ("incomplete", whole.actions, whole.pending_safety_checks) == (
        item.status,
        item.actions,
        item.pending_safety_checks,
    )
    assert [*TEXT, ADDED] == names(events[: added + 1])


def machine_log() -> list[StreamEvent]:
    """What the beginning of a response leaves in its log."""
    fresh = Machine(Response(id="resp_0", created_at=NOW, model="m", status="queued"), new_id=str)
    return fresh.start()


def test_a_client_that_reads_along_knows_the_call() -> None:
    """The fold of the events is the response."""
    stage = machine()
    events = [*machine_log(), *stage.feed([Call("0", "computer", steps(CLICK, Wait(), checks=[ASK])), Finish()])]
    events += stage.complete(NOW)
    assert stage.response == fold(events)
    assert "completed" == stage.response.status
