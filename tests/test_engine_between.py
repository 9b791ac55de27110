"""What happens between the turns of a run: it is summed up, and gets the tools that a search found; it may be cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # a script is open

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.core.deltas import Call, Finish, Keepsake, Text, Thought
from antiphon.core.fold import fold
from antiphon.core.notes import TurnBroken, TurnEnded
from antiphon.core.offer import offer
from antiphon.core.settling import loaded
from antiphon.core.turn import Turn
from antiphon.engine.task import Equipment, Opening, Summed, Task
from antiphon.protocol.calls import ToolSearchCall, ToolSearchOutput, WebSearchCall
from antiphon.protocol.content import OutputText
from antiphon.protocol.items import Compaction, FunctionCall, Message, ReasoningItem
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.response import InputTokens, OutputTokens, Usage
from antiphon.protocol.tools import FunctionTool, NamespaceTool, ToolSearchTool
from antiphon.tools.tool_search import ToolSearch
from tests.playing import Dictionary, Run, asking
from tests.test_engine_resuming import Succession, check

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from antiphon.core.deltas import Delta
    from antiphon.protocol.items import OutputItem
    from antiphon.protocol.response import Response

pytestmark = pytest.mark.anyio

COST = Usage(
    input_tokens=100,
    input_tokens_details=InputTokens(cached_tokens=0, cache_write_tokens=0),
    output_tokens=10,
    output_tokens_details=OutputTokens(reasoning_tokens=0),
    total_tokens=110,
)
LOOKED = {"steps": [{"text": "I see."}], "outputs": 1, "usage": {"input_tokens": 3, "output_tokens": 1}}


class Summing:
    """Sums a turn up that has more items than ``most`` behind its last summary."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.seen: list[Turn] = []

    async def compact(self, turn: Turn) -> Summed | None:
        """The summary, which counts what it stands for."""
        await anyio.lowlevel.checkpoint()
        self.seen.append(turn)
        return Summed(f"sum of {len(turn.items)}", COST) if len(turn.items) > self._most else None


async def shown(turn: Turn) -> Turn:
    """The turn from its last summary on."""
    await anyio.lowlevel.checkpoint()
    last = max((at for at, item in enumerate(turn.items) if isinstance(item, Compaction)), default=0)
    return replace(turn, items=turn.items[last:])


class Deciding:
    """A model that says what ``decide`` makes of a turn, and notes the turns that it was asked."""

    def __init__(self, decide: Callable[[Turn], list[Delta]]) -> None:
        self.turns: list[Turn] = []
        self._decide = decide

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Speak, a delta at a time."""
        self.turns.append(turn)
        for delta in [*self._decide(turn), Finish()]:
            await anyio.lowlevel.checkpoint()
            yield [delta]

    async def aclose(self) -> None:
        """There is nothing to let go of."""


def asks_once(turn: Turn) -> list[Delta]:
    """Look a word up where nobody has yet, as far as it can see."""
    knows = any(isinstance(item, Compaction | WebSearchCall) for item in turn.items)
    return [Text("I "), Text("see.")] if knows else [Call("0", "look_up", '{"word":"duo"}')]


def seeks(turn: Turn) -> list[Delta]:
    """Call for the weather; look for the function where there is none."""
    if any(function.name == "weather" for function in turn.functions):
        return [Call("0", "weather", "{}")]
    return [Call("0", "tool_search", '{"paths":["weather"]}')]


def seeks_twice(turn: Turn) -> list[Delta]:
    """Look for two things at once."""
    if len(turn.items) > 1:
        return [Text("So.")]
    return [Call(path, "tool_search", json.dumps({"paths": [path]})) for path in ("weather", "stars")]


def kinds(items: Sequence[object]) -> list[str]:
    """The types of items."""
    return [str(getattr(item, "__struct_config__").tag) for item in items]  # noqa: B009 - any item's


def summed(run: Run, most: int, **settings: Any) -> Summing:  # of a task
    """Let a run be summed up."""
    summing = Summing(most)
    run.task = replace(run.task, show=shown, compact=summing.compact, **settings)
    return summing


async def test_a_conversation_is_summed_up_before_the_first_turn() -> None:
    """The model is shown the summary in its place; what it cost is paid."""
    run = Run({"steps": [{"text": "Hi."}], "usage": {"input_tokens": 3, "output_tokens": 1}})
    summed(run, 0)
    response = await run.perform()
    assert ["compaction", "message"] == kinds(response.output)
    assert [["compaction"]] == [kinds(turn.items) for turn in run.model.turns]
    assert response.usage is not None
    assert (103, 11) == (response.usage.input_tokens, response.usage.output_tokens)
    assert response == fold(run.emitted)
    names = ["created", "in_progress", "output_item.added", "output_item.done", "output_item.added"]
    assert names == [name.removeprefix("response.") for name in run.names[:5]]


async def test_a_conversation_is_summed_up_between_turns() -> None:
    """After the answers of the tools, with them in it."""
    run = Run(tools={"look_up": Dictionary()})
    model = Deciding(asks_once)
    summing = summed(run, 1, backend=model)
    response = await run.perform()
    assert ["web_search_call", "compaction", "message"] == kinds(response.output)
    assert [1, 2] == [len(turn.items) for turn in summing.seen]
    assert [["message"], ["compaction"]] == [kinds(turn.items) for turn in model.turns]
    assert response == fold(run.emitted)


async def test_a_summary_that_cannot_be_had_is_a_plain_error_before_anything_is_told() -> None:
    """Afterwards the response fails."""

    async def broken(_turn: Turn) -> Summed | None:
        raise UpstreamError("server_error", "No.")

    run = Run({"steps": [{"text": "Hi."}]})
    run.task = replace(run.task, compact=broken)
    with pytest.raises(UpstreamError):
        await run.perform()
    assert [] == run.names

    calls = iter([None])

    async def breaks_later(_turn: Turn) -> Summed | None:
        for none in calls:
            return none
        raise UpstreamError("server_error", "No.")

    later = Run(asking("duo"), LOOKED, tools={"look_up": Dictionary()})
    later.task = replace(later.task, compact=breaks_later)
    response = await later.perform()
    assert ("failed", ["web_search_call"]) == (response.status, kinds(response.output))


async def test_who_asked_to_sum_up_gets_a_summary_and_no_answer() -> None:
    """The model is not asked."""
    run = Run({"steps": [{"text": "Hi."}]})
    summed(run, 0, purpose="compact")
    response = await run.perform()
    assert ("completed", ["compaction"]) == (response.status, kinds(response.output))
    assert [] == run.model.turns
    assert response == fold(run.emitted)


async def test_who_asked_to_prepare_gets_a_response_and_nobody_is_asked() -> None:
    """Neither the model nor a tool nor a server with tools; it costs nothing."""
    run = Run({"steps": [{"text": "Hi."}]})
    summing = summed(run, 0, purpose="prepare")
    response = await run.perform()
    assert ("completed", []) == (response.status, response.output)
    assert [[], []] == [run.model.turns, summing.seen]
    assert response.usage is not None
    assert 0 == response.usage.total_tokens
    assert ["response.created", "response.in_progress", "response.completed"] == run.names
    assert run.is_kept_first


class Shortened(Succession):
    """Processes that make one response and sum it up."""

    def __init__(self, *, most: int = 1, **settings: Any) -> None:  # of a task
        self.summings: list[Summing] = []
        self.asked: list[Deciding] = []
        self.most = most
        self._settings = settings
        super().__init__()

    def _task(self) -> Task:
        self.summings.append(Summing(self.most))
        task = super()._task()
        self.asked.append(Deciding(asks_once))
        return replace(task, backend=self.asked[-1], show=shown, compact=self.summings[-1].compact, **self._settings)


async def cut_at(succession: Succession, at: int) -> Response:
    """Live once, forget all from an emission on, and live again to the end."""
    await succession.go_on()
    succession.emissions = succession.emissions[: 1 + at % len(succession.emissions)]
    succession.log = [entry for emission in succession.emissions for entry in emission]
    if TERMINAL_NAMES & {getattr(entry, "type", "") for entry in succession.log}:  # of events alone
        return succession.kept[-1]
    return check(succession, await succession.go_on())


TERMINAL_NAMES = {"response.completed", "response.incomplete", "response.failed"}


@settings(max_examples=40)
@given(st.integers(0, 60))
async def test_a_run_that_is_summed_up_may_be_cut_anywhere(at: int) -> None:
    """Each summary is made once, and every turn behind it is shown it."""
    succession = Shortened()
    response = await cut_at(succession, at)
    assert "completed" == response.status
    assert 1 == sum(isinstance(item, Compaction) for item in response.output)
    last = [turn for model in succession.asked for turn in model.turns][-1]
    assert ["compaction"] == kinds(last.items)


@settings(max_examples=20)
@given(st.integers(0, 20))
async def test_a_run_that_only_sums_up_may_be_cut_anywhere(at: int) -> None:
    """It is not summed up twice."""
    response = await cut_at(Shortened(most=0, purpose="compact"), at)
    assert ("completed", ["compaction"]) == (response.status, kinds(response.output))


async def test_a_summary_after_a_broken_turn_is_shown_to_the_model() -> None:
    """The turn that broke was the second; its successor sums up before it asks anew."""
    succession = Shortened(most=99)
    await succession.go_on()
    ended = [at for at, each in enumerate(succession.emissions) if any(isinstance(e, TurnEnded) for e in each)]
    succession.emissions = succession.emissions[: ended[1] - 1]  # in the midst of the second
    succession.log = [entry for emission in succession.emissions for entry in emission]
    succession.most = 1
    response = check(succession, await succession.go_on())
    assert 1 == len(succession.noted(TurnBroken))
    assert ["web_search_call", "message", "compaction", "message"] == kinds(response.output)
    [turn] = succession.asked[-1].turns
    assert ["compaction"] == kinds(turn.items)


# Searches for tools

WEATHER = FunctionTool(name="weather", parameters={"type": "object", "properties": {}}, defer_loading=True)
STARS = NamespaceTool(name="stars", description="The sky.", tools=[replace(WEATHER, name="chart")])


def searching(task: Task, model: Deciding, *tools: Any) -> Task:  # of a request
    """A task that is offered these tools as the server offers them."""
    request = CreateResponse(model="m", tools=[*tools, ToolSearchTool()])

    def equip(made: Sequence[OutputItem]) -> Equipment:
        offered = offer(request, loaded=loaded(made))
        search = {} if offered.search is None else {offered.search.name: ToolSearch(offered.search.deferred)}
        return Equipment(offered.functions, offered.choice, offered.allowed, tools=search, clients=offered.clients)

    async def spend() -> None:
        """Nothing was approved."""

    return replace(task, backend=model, opening=Opening([], [], equip, spend))


async def test_what_a_search_finds_is_there_in_the_next_turn() -> None:
    """The model is shown the function, and calls it; the search is offered as long as anything is left."""
    run, model = Run(), Deciding(seeks)
    run.task = searching(run.task, model, WEATHER, STARS)
    response = await run.perform()
    call, output, weather = response.output
    assert isinstance(call, ToolSearchCall)
    assert ("server", None, "completed", {"paths": ["weather"]}) == (
        call.execution,
        call.call_id,
        call.status,
        call.arguments,
    )
    assert isinstance(output, ToolSearchOutput)
    assert ["weather"] == [tool.name for tool in output.tools if isinstance(tool, FunctionTool)]
    assert isinstance(weather, FunctionCall)
    assert ("weather", "weather") == (weather.name, weather.namespace)
    assert [["tool_search"], ["weather", "tool_search"]] == [
        [function.name for function in turn.functions] for turn in model.turns
    ]
    assert response == fold(run.emitted)


async def test_a_search_goes_when_nothing_is_left_to_find() -> None:
    """And what was loaded is not loaded again."""
    run, model = Run(), Deciding(seeks)
    run.task = searching(run.task, model, WEATHER)
    await run.perform()
    assert [["tool_search"], ["weather"]] == [[function.name for function in turn.functions] for turn in model.turns]


async def test_a_tool_that_waits_for_a_search_cannot_be_called_before() -> None:
    """A model that guesses its name is not heard."""
    run = Run()
    run.task = searching(run.task, Deciding(lambda _turn: [Call("0", "weather", "{}"), Text("Hm.")]), WEATHER)
    response = await run.perform()
    assert ["message"] == kinds(response.output)


async def test_two_searches_at_once_load_what_both_found() -> None:
    """In the order in which they were answered."""
    run, model = Run(), Deciding(seeks_twice)
    run.task = searching(run.task, model, WEATHER, STARS)
    response = await run.perform()
    assert {"weather", "stars__chart"} == {function.name for function in model.turns[1].functions}
    assert sorted(kinds(response.output)) == ["message", *["tool_search_call"] * 2, *["tool_search_output"] * 2]
    assert response == fold(run.emitted)


class Seeking(Succession):
    """Processes that make one response with a search for tools."""

    def _task(self) -> Task:
        return searching(super()._task(), Deciding(seeks), WEATHER, STARS)


@settings(max_examples=40)
@given(st.integers(0, 60))
async def test_a_run_with_a_search_may_be_cut_anywhere(at: int) -> None:
    """A search that was not answered is made again, one that was is not; what it found is there."""
    succession = Seeking()
    response = await cut_at(succession, at)
    assert "completed" == response.status
    assert ["tool_search_call", "tool_search_output", "function_call"] == [
        kind for kind, item in zip(kinds(response.output), response.output, strict=True) if is_whole(item)
    ]


def is_whole(item: OutputItem) -> bool:
    """Whether an item was not broken off."""
    return getattr(item, "status", "completed") == "completed"  # of the items that have one


def thinks_on(turn: Turn) -> list[Delta]:
    """Think and look a word up, then think on, and say what is left of the first thought."""
    if len(turn.items) == 1:
        return [Thought("Hm, "), Thought("hm."), Keepsake("signature", "sig"), Call("0", "look_up", '{"word":"duo"}')]
    kept = [f"{each.text} {each.token} {each.model}" for each in turn.thoughts.values()]
    return [Thought("So."), Text(" / ".join(kept))]


class Thinking(Succession):
    """Processes that make one response of a model that thinks."""

    def _task(self) -> Task:
        return replace(super()._task(), backend=Deciding(thinks_on), thinker="thinker", seal=lambda kept: kept.text)


@settings(max_examples=40)
@given(st.integers(0, 60))
async def test_a_run_of_a_model_that_thinks_may_be_cut_anywhere(at: int) -> None:
    """The model is given back what it thought in the turns that ended, and nothing of one that broke."""
    response = await cut_at(Thinking(), at)
    assert "completed" == response.status
    message = response.output[-1]
    assert isinstance(message, Message)
    assert [OutputText(text="Hm, hm. sig thinker")] == message.content
    thoughts = [item for item in response.output if isinstance(item, ReasoningItem) and item.status != "incomplete"]
    assert {"Hm, hm.", "So."} == {item.encrypted_content for item in thoughts}


async def test_a_run_without_hosted_tools_ends_with_its_turn() -> None:
    """Nothing comes between."""
    run = Run({"steps": [{"text": "Hi."}]})
    summing = summed(run, 99)
    response = await run.perform()
    assert 1 == len(summing.seen)
    assert [Message] == [type(item) for item in response.output]
