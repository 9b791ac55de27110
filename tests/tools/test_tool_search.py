"""The search for tools that the server answers: what it finds, and what the model is told."""

from __future__ import annotations

from itertools import count

import pytest

from antiphon.core.calls import OpenCall, Phase
from antiphon.core.deferring import Searching, deferred
from antiphon.core.place import Place
from antiphon.protocol.calls import ToolSearchCall
from antiphon.protocol.tools import CustomTool, FunctionTool, NamespaceTool
from antiphon.tools import Answer
from antiphon.tools.tool_search import ToolSearch

pytestmark = pytest.mark.anyio

LATE = FunctionTool(name="late", description="Comes late.", defer_loading=True)
NOTE = CustomTool(name="note", defer_loading=True)
SKY = NamespaceTool(name="sky", description="The sky.", tools=[LATE, NOTE])
PATHS = "late, note, sky, sky.late, sky.note"


def called(arguments: str) -> OpenCall:
    """A call with these arguments."""
    call = OpenCall(Searching(), Place("tsc_1", 0, count().__next__), key="0", name="tool_search", call_id="call_1")
    call.write(arguments)
    call.close("completed")
    return call


async def searched(arguments: str) -> Answer:
    """What comes of a search."""

    async def report(phase: Phase) -> None:
        raise AssertionError(phase)  # nothing of it is told before its end

    return await ToolSearch(deferred([LATE, NOTE, SKY])).call(called(arguments), report)


def paths(answer: Answer) -> object:
    """What was looked for, as the client is told."""
    assert isinstance(answer.item, ToolSearchCall)
    assert ("tsc_1", "server", None, "completed") == (
        answer.item.id,
        answer.item.execution,
        answer.item.call_id,
        answer.item.status,
    )
    return answer.item.arguments["paths"]


@pytest.mark.parametrize(
    ("arguments", "looked_for", "found"),
    [
        ('{"paths":["late"]}', ["late"], ["late"]),
        ('{"paths":"sky"}', ["sky"], ["sky"]),
        ('{"paths":["sky.note","late","late"]}', ["sky.note", "late"], ["sky", "late"]),
    ],
)
async def test_tools_are_found_by_their_paths(arguments: str, looked_for: list[str], found: list[str]) -> None:
    """Each once, in the order of the search; the model is told that they are there."""
    answer = await searched(arguments)
    assert looked_for == paths(answer)
    assert found == [tool.name for tool in answer.found or [] if isinstance(tool, FunctionTool | NamespaceTool)]
    assert f"Loaded, and ready to be called: {', '.join(looked_for)}." == answer.output


async def test_of_a_namespace_only_what_was_looked_for_is_found() -> None:
    """The others stay where they are."""
    (space,) = (await searched('{"paths":["sky.note"]}')).found or []
    assert isinstance(space, NamespaceTool)
    assert ["note"] == [tool.name for tool in space.tools]


@pytest.mark.parametrize(
    ("arguments", "looked_for", "unknown"),
    [
        ('{"paths":["moon","late"]}', ["moon", "late"], "moon"),
        ('{"paths":[]}', [], ""),
        ("{}", [], ""),
        ('{"paths":7}', [], ""),
        ("no json", [], ""),
        ("[" * 100_000, [], ""),
    ],
    ids=["unknown", "empty", "none", "wrong", "text", "deep"],
)
async def test_a_search_that_leads_nowhere_tells_the_model_where_it_could(
    arguments: str, looked_for: list[str], unknown: str
) -> None:
    """What it found besides is loaded all the same."""
    answer = await searched(arguments)
    assert looked_for == paths(answer)
    assert len(looked_for) - bool(unknown) == len(answer.found or [])
    assert isinstance(answer.output, str)
    assert answer.output.endswith(f"There is nothing to load at: {unknown}. Possible paths: {PATHS}.")


def test_a_search_may_be_made_again() -> None:
    """It only looks; what was lost would be incomplete."""
    search, call = ToolSearch(deferred([LATE])), called('{"paths":["late"]}')
    assert search.repeats(call)
    lost = search.lost(call)
    assert isinstance(lost.item, ToolSearchCall)
    assert ("incomplete", None) == (lost.item.status, lost.found)
