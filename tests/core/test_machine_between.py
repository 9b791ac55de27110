"""Steps of a machine that belong to no turn: it beats, is steered, is summed up, and tells what a search found."""

from __future__ import annotations

import pytest

from antiphon.core.deltas import Call, Finish, Text
from antiphon.core.machine import IllegalStep, Machine
from antiphon.core.notes import Compacted
from antiphon.protocol.calls import ToolSearchOutput, WebSearchCall
from antiphon.protocol.items import Compaction
from antiphon.protocol.tools import ShellTool
from tests.core.stage import ADDED, COST, DONE, NOW, names, opened


def test_a_beat_is_legal_while_the_response_is_in_progress_and_never_else() -> None:
    """Between turns, and while the model speaks."""
    machine = opened()
    assert ["in_progress"] == names(machine.beat())
    machine.feed([Text("So."), Finish()])
    assert ["in_progress"] == names(machine.beat())
    machine.complete(NOW)
    with pytest.raises(IllegalStep):
        machine.beat()
    with pytest.raises(IllegalStep):
        Machine(machine.response, new_id=str).beat()


def test_a_machine_that_is_steered_ends_incomplete() -> None:
    """Between turns alone; the reason is told."""
    machine = opened()
    with pytest.raises(IllegalStep):
        machine.steer()
    machine.feed([Text("So."), Finish()])
    before = machine.cut_short
    machine.steer()
    assert (False, True) == (before, machine.cut_short)
    assert ["incomplete"] == names(machine.complete(NOW))
    assert machine.response.incomplete_details is not None
    assert "steered" == machine.response.incomplete_details.reason
    with pytest.raises(IllegalStep):
        machine.steer()


def test_a_summary_is_an_item_of_its_own_and_is_paid() -> None:
    """Never within a turn, nor while a call waits; what is said goes on from it."""
    machine = opened(tools=("search",))
    with pytest.raises(IllegalStep):
        machine.compact("sealed", COST)
    machine.feed([Call("0", "search", "{}"), Finish(usage=COST)])
    with pytest.raises(IllegalStep):
        machine.compact("sealed", COST)
    (call,) = machine.waiting
    machine.answer(call, WebSearchCall(id=call.id))
    machine.take_notes()
    assert [ADDED, DONE] == names(machine.compact("sealed", COST))
    assert [Compacted(COST)] == machine.take_notes()
    assert isinstance(machine.said[-1], Compaction)
    machine.next_turn()
    machine.feed([Text("So."), Finish()])
    machine.complete(NOW)
    assert machine.response.usage is not None
    assert 2 * COST.total_tokens == machine.response.usage.total_tokens


@pytest.mark.parametrize("found", [[], [ShellTool()]])
def test_what_a_search_found_stands_behind_it(found: list[ShellTool]) -> None:
    """An item that is whole at once, though it may be empty."""
    machine = opened(tools=("search",))
    machine.feed([Call("0", "search", "{}"), Finish()])
    (call,) = machine.waiting
    assert [DONE, ADDED, DONE] == names(machine.answer(call, WebSearchCall(id=call.id), found=[*found]))
    assert ToolSearchOutput(id="tso_2", tools=[*found]) == machine.finished[-1]
