"""The turn loop with hosted tools: answers side by side, rounds, and where the loop ends."""

from __future__ import annotations

import anyio
import pytest
from msgspec.structs import replace

from antiphon.core.fold import fold
from antiphon.core.turn import Choice
from antiphon.core.writing import Shown
from antiphon.protocol.calls import SearchAction, WebSearchCall
from antiphon.protocol.items import FunctionCall, ReasoningItem
from antiphon.telemetry.figures import Figures
from antiphon.telemetry.trail import Trail, along
from tests.patient import HANG_SECONDS
from tests.playing import ASKED, Dictionary, Run, asking

pytestmark = pytest.mark.anyio


async def test_a_hosted_call_is_answered_and_the_model_goes_on() -> None:
    """The answer's item is for the client, its output for the model and the store."""
    run = Run(
        asking("antiphon"),
        {"steps": [{"text": "I see."}], "outputs": 1},
        tools={"look_up": Dictionary()},
        turn=replace(ASKED, outputs={"ws_earlier": "known"}),
    )
    response = await run.perform()
    search = WebSearchCall(id="ws_0", action=SearchAction(query="antiphon"))
    assert search == response.output[0]
    assert ["ws_0", "msg_2"] == [item.id for item in response.output]
    assert [*ASKED.items, search] == run.model.turns[1].items
    output = {"ws_0": "a song of call and response"}
    assert {"ws_earlier": "known", **output} == run.model.turns[1].outputs
    assert output == run.outputs
    phases = [name.rpartition(".")[2] for name in run.names if "web_search_call" in name]
    assert ["in_progress", "searching", "completed"] == phases


async def test_a_call_that_fails_is_an_answer_too() -> None:
    """The model is told why, and goes on."""
    run = Run(asking("spam"), {"steps": [{"text": "Oh."}], "outputs": 1}, tools={"look_up": Dictionary()})
    response = await run.perform()
    assert "completed" == response.status
    assert ["failed"] == [item.status for item in response.output if isinstance(item, WebSearchCall)]
    assert {"ws_0": "Nobody knows spam."} == run.outputs


async def test_every_call_is_counted_as_what_it_came_to() -> None:
    """Those that were answered, that failed, and that were cancelled before; under the kind of their item."""
    figures = Figures()
    with along(Trail(figures=figures)):
        for word in ("antiphon", "spam"):
            run = Run(asking(word), {"steps": [{"text": "So."}], "outputs": 1}, tools={"look_up": Dictionary()})
            await run.perform()
        async with anyio.create_task_group() as group:
            group.start_soon(Run(asking("duo"), tools={"look_up": Meeting()}).perform)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    outcomes = dict.fromkeys(("completed", "failed", "cancelled"), 1)
    assert {("web_search_call", outcome): count for outcome, count in outcomes.items()} == figures.tool_calls.values


async def test_model_and_tools_take_turns_until_the_model_has_spoken() -> None:
    """Each round sees all before it; usage is summed."""
    run = Run(
        asking("antiphon", usage={"input_tokens": 3, "output_tokens": 1}),
        asking("duo", "spam", after=1, usage={"input_tokens": 5, "output_tokens": 2}),
        {"steps": [{"text": "Done."}], "outputs": 3, "usage": {"input_tokens": 9, "output_tokens": 4}},
        tools={"look_up": Dictionary()},
    )
    response = await run.perform()
    assert [1, 2, 4] == [len(turn.items) for turn in run.model.turns]
    assert [0, 1, 3] == [len(turn.outputs) for turn in run.model.turns]
    assert response.usage is not None
    assert (17, 7, 24) == (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens)
    assert response == fold(run.emitted)


async def test_a_demanded_call_is_demanded_once() -> None:
    """The turns after it may answer."""
    turn = replace(ASKED, choice=Choice("required", ["look_up"]))
    run = Run(asking("duo"), {"steps": [{"text": "So."}], "outputs": 1}, tools={"look_up": Dictionary()}, turn=turn)
    await run.perform()
    assert [turn.choice, Choice("auto", ["look_up"])] == [turn.choice for turn in run.model.turns]


class Meeting(Dictionary):
    """A tool whose calls wait until two of them are there."""

    def __init__(self) -> None:
        self._here = 0
        self._both = anyio.Event()

    async def search(self, word: str) -> None:
        """Meet the other."""
        self._here += 1
        if self._here == 2:
            self._both.set()
        await self._both.wait()


async def test_hosted_calls_run_side_by_side_and_emit_in_order() -> None:
    """Numbers stay in order however the tools come to speak."""
    run = Run(asking("duo", "antiphon"), {"steps": [{"text": "So."}], "outputs": 2}, tools={"look_up": Meeting()})
    with anyio.fail_after(HANG_SECONDS):
        response = await run.perform()
    assert list(range(len(run.emitted))) == [event.sequence_number for event in run.emitted]
    assert ["duo", "antiphon"] == [
        item.action.query
        for item in response.output
        if isinstance(item, WebSearchCall) and isinstance(item.action, SearchAction)
    ]


async def test_a_call_for_the_client_ends_the_loop_with_the_hosted_ones_answered() -> None:
    """The client has something to do first."""
    reply = asking("duo")
    reply["steps"].append({"call": {"name": "ask_user", "arguments": {}}})
    run = Run(reply, tools={"look_up": Dictionary()})
    response = await run.perform()
    assert "completed" == response.status
    assert 1 == len(run.model.turns)
    assert [("ws_0", "completed"), ("fc_2", "completed")] == [
        (item.id, item.status) for item in response.output if isinstance(item, WebSearchCall | FunctionCall)
    ]


async def test_a_turn_that_was_cut_short_is_the_last() -> None:
    """Its whole calls are answered, but the model is not asked again, and the response is incomplete."""
    reply = asking("duo", finish="max_output_tokens")
    reply["steps"].append({"text": "And the"})
    run = Run(reply, tools={"look_up": Dictionary()})
    response = await run.perform()
    assert "incomplete" == response.status
    assert 1 == len(run.model.turns)
    assert {"ws_0": "two at once"} == run.outputs
    assert ["response.incomplete"] == run.terminal


async def test_what_may_be_called_and_shown_is_the_tasks_to_say() -> None:
    """A function that is not allowed is not called; thoughts are raw where they may be."""
    steps = [{"thought": "Hm."}, {"call": {"name": "ask_user"}}]
    response = await Run({"steps": steps}, allowed=frozenset({"look_up"}), shown=Shown(raw=True)).perform()
    (thought,) = response.output
    assert isinstance(thought, ReasoningItem)
    assert thought.content


class Picky(Dictionary):
    """A tool that breaks at one word, and takes its time with the others."""

    async def search(self, word: str) -> None:
        """Search."""
        if word == "spam":
            raise ZeroDivisionError(word)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()


async def test_a_tool_that_breaks_stops_no_other() -> None:
    """What the others did is told and kept; the response fails once they are done, and no number is missing."""
    run = Run(asking("spam", "duo"), tools={"look_up": Picky()})
    response = await run.perform()
    assert "failed" == response.status
    assert [("ws_0", "incomplete"), ("ws_2", "completed")] == [
        (item.id, item.status) for item in response.output if isinstance(item, WebSearchCall)
    ]
    assert {"ws_2": "two at once"} == run.outputs
    assert list(range(len(run.emitted))) == [event.sequence_number for event in run.emitted]
