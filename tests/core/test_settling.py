"""What holds for a request in the end: its own settings and tools, and those that its conversation brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # settings are open

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.settling import loaded, settled
from antiphon.protocol.calls import ToolSearchOutput
from antiphon.protocol.items import AdditionalTools, ConfigurationUpdate, Item
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.settings import Reasoning, TextConfig
from antiphon.protocol.tools import (
    CustomTool,
    FunctionTool,
    McpTool,
    NamespaceTool,
    ShellTool,
    Tool,
    ToolSearchTool,
    WebSearchTool,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

F, G = FunctionTool(name="f"), FunctionTool(name="g")


def update(**settings: Any) -> ConfigurationUpdate:  # any setting
    """An update as a client sends it."""
    return msgspec.convert({"type": "configuration_update", **settings}, ConfigurationUpdate)


def brought(*tools: Tool) -> AdditionalTools:
    """Tools that an item brings."""
    return AdditionalTools(role="developer", tools=[*tools])


def asked(*items: Item, **settings: Any) -> CreateResponse:  # any setting
    """A request with these items in its input."""
    return CreateResponse(model="m", input=[*items], **settings)


def efforts(request: CreateResponse, history: Sequence[Item] = ()) -> str | None:
    """The effort that holds."""
    reasoning = settled(request, history).reasoning
    return None if reasoning is None else reasoning.effort


EFFORTS = st.none() | st.sampled_from(["low", "medium", "high"])


@given(st.lists(EFFORTS, max_size=3), EFFORTS, st.lists(EFFORTS, max_size=3))
def test_an_update_in_the_input_counts_more_than_the_request_and_one_before_less(
    before: list[str | None], own: str | None, now: list[str | None]
) -> None:
    """Of several the last that says anything."""
    history = [update(reasoning={"effort": effort} if effort else {}) for effort in before]
    items = [update(reasoning={"effort": effort} if effort else {}) for effort in now]
    own_setting = None if own is None else msgspec.convert({"effort": own}, Reasoning)
    said = [effort for effort in [*before, own, *now] if effort is not None]
    assert (said[-1] if said else None) == efforts(asked(*items, reasoning=own_setting), history)


def test_what_an_update_does_not_say_stays_as_it_is() -> None:
    """Setting by setting: an effort leaves the style of the summary, and a format the verbosity."""
    request = asked(
        update(reasoning={"effort": "high"}),
        reasoning=Reasoning(effort="low", summary="concise"),
        text=TextConfig(verbosity="low"),
    )
    before = [update(text={"verbosity": "high", "format": {"type": "json_object"}}, reasoning={"context": "all_turns"})]
    found = settled(request, before)
    assert found.reasoning is not None
    assert ("high", "concise", "all_turns") == (
        found.reasoning.effort,
        found.reasoning.summary,
        found.reasoning.context,
    )
    assert found.text is not None
    assert "low" == found.text.verbosity
    assert "json_object" == msgspec.to_builtins(found.text)["format"]["type"]


def test_without_updates_nothing_changes() -> None:
    """Least of all what was never said."""
    request = asked()
    assert request == settled(request, [])
    assert (None, None) == (settled(request, [update()]).reasoning, settled(request, [update()]).text)


def test_tools_of_items_come_after_the_requests_own() -> None:
    """First those of the input, then those of before; of two that are the same the first counts."""
    old, new = FunctionTool(name="f", description="old"), FunctionTool(name="f", description="new")
    request = asked(brought(G, new), tools=[F])
    assert [F, G, ShellTool()] == settled(request, [brought(old, ShellTool()), brought(ShellTool())]).tools
    assert [new, G] == settled(asked(brought(new)), [brought(old, G)]).tools


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (F, CustomTool(name="f")),
        (F, NamespaceTool(name="f", description="", tools=[F])),
        (McpTool(server_label="a", server_url="https://a"), McpTool(server_label="b", server_url="https://b")),
        (NamespaceTool(name="a", description="", tools=[F]), NamespaceTool(name="b", description="", tools=[F])),
        (WebSearchTool(), ShellTool()),
    ],
)
def test_tools_that_are_not_the_same_stand_side_by_side(first: Tool, second: Tool) -> None:
    """They differ in type, name or label."""
    assert [first, second] == settled(asked(brought(second, first, second), tools=[first]), []).tools


def test_the_same_server_and_namespace_count_once() -> None:
    """By their names, whatever else they say."""
    server, again = (McpTool(server_label="a", server_url=f"https://{host}") for host in "ab")
    space = NamespaceTool(name="a", description="", tools=[F])
    assert [server, space] == settled(asked(brought(again, space, space), tools=[server]), []).tools


def test_a_namespace_that_comes_in_parts_has_the_members_of_all() -> None:
    """Each once, the first of a name; its own words are those of the first part."""
    first = NamespaceTool(name="a", description="One.", tools=[F])
    again = NamespaceTool(name="a", description="Two.", tools=[FunctionTool(name="f", description="new"), G])
    third = NamespaceTool(name="a", description="Three.", tools=[CustomTool(name="f")])
    (found,) = settled(asked(brought(again), tools=[first]), [brought(third)]).tools
    assert NamespaceTool(name="a", description="One.", tools=[F, G, CustomTool(name="f")]) == found


def test_what_searches_found_is_loaded() -> None:
    """In their order."""
    found = [ToolSearchOutput(id=str(number), tools=[tool]) for number, tool in enumerate((G, F))]
    assert [G, F] == loaded([found[0], brought(ToolSearchTool()), found[1]])
    assert [] == loaded([])
