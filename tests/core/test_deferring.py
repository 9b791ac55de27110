"""Tools that wait for a search: what can be loaded, what is left, and what the model is offered of it."""

from __future__ import annotations

from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from antiphon.core.calls import OpenCall
from antiphon.core.deferring import Searching, deferred, not_loaded, search_function
from antiphon.core.offer import Offer, offer
from antiphon.core.place import Place
from antiphon.core.turn import Choice
from antiphon.protocol.calls import McpToolListing, ToolSearchCall
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.tools import (
    AllowedTool,
    CustomTool,
    FunctionTool,
    McpTool,
    NamespaceTool,
    ShellTool,
    Tool,
    ToolChoice,
    ToolChoiceAllowed,
    ToolChoiceCustom,
    ToolChoiceFunction,
    ToolChoiceMcp,
    ToolSearchTool,
)

LATE = FunctionTool(name="late", description="Comes  late.\nVery.", defer_loading=True)
NOTE = CustomTool(name="note", defer_loading=True)
EARLY = FunctionTool(name="early")
SKY = NamespaceTool(name="sky", description="The sky.", tools=[replace(LATE, name="stars"), EARLY, NOTE])
SERVER = McpTool(server_label="s", server_url="https://s.example", defer_loading=True, headers={"a": "secret"})
ALL: list[Tool] = [LATE, NOTE, EARLY, SKY, SERVER]
LISTED = {"s": [McpToolListing(name="look", input_schema={"type": "object"})]}


def offered(*tools: Tool, loaded: list[Tool] | None = None, choice: ToolChoice | None = None) -> Offer:
    """What a model is offered of these tools and a search."""
    request = CreateResponse(model="m", tools=[*tools, ToolSearchTool()], tool_choice=choice)
    return offer(request, LISTED, loaded=loaded or [])


def names(found: Offer) -> list[str]:
    """The names of the functions."""
    return [function.name for function in found.functions]


def test_a_path_leads_to_a_function_a_namespace_one_of_its_members_or_a_server() -> None:
    """In the order of the tools; of a namespace only what is deferred."""
    found = {each.path: each for each in deferred(ALL)}
    assert ["late", "note", "sky", "sky.stars", "sky.note", "s"] == list(found)
    assert "Comes late. Very." == found["late"].description
    sky, stars = found["sky"].tool, found["sky.stars"].tool
    assert isinstance(sky, NamespaceTool)
    assert isinstance(stars, NamespaceTool)
    assert [["stars", "note"], ["stars"]] == [[tool.name for tool in space.tools] for space in (sky, stars)]
    assert "secret" not in str(msgspec.json.encode(found["s"].tool))
    assert [] == deferred([EARLY, ToolSearchTool(), NamespaceTool(name="n", description="", tools=[EARLY])])


def test_a_long_description_is_cut() -> None:
    """One line of it has to do."""
    (found,) = deferred([replace(LATE, description="word " * 100)])
    assert 120 == len(found.description)
    assert found.description.endswith("…")


@given(st.lists(st.sampled_from(["late", "note", "sky", "sky.stars", "sky.note", "s"]), unique=True))
def test_what_was_loaded_is_offered_and_the_search_goes_when_nothing_is_left(paths: list[str]) -> None:
    """A tool is shown as soon as it was found, in whatever order; nothing is offered that was not."""
    loadable = {each.path: each.tool for each in deferred(ALL)}
    loaded = [loadable[path] for path in paths]
    found = offered(*ALL, loaded=loaded)
    singles = {
        "sky": {"sky__stars", "sky__note"},
        "sky.stars": {"sky__stars"},
        "sky.note": {"sky__note"},
        "s": {"s__look"},
    }
    expected = {"early", "sky__early"}.union(*(singles.get(path, {path}) for path in paths))
    left = {"late", "note", "sky__stars", "sky__note", "s__look"} - expected
    assert expected | ({"tool_search"} if left else set()) == set(names(found))
    assert len(names(found)) == len(set(names(found)))
    waiting = [] if found.search is None else [each.path for each in found.search.deferred]
    assert waiting == [each.path for each in not_loaded(deferred(ALL), loaded)]
    assert bool(left) == found.may_grow == bool(waiting)
    assert frozenset(names(found)) == found.allowed


def test_what_a_client_found_besides_leaves_what_waits() -> None:
    """A tool of any type may come back with the output of a search."""
    assert deferred(ALL) == not_loaded(deferred(ALL), [ShellTool(), FunctionTool(name="new")])


def test_without_a_search_nothing_waits() -> None:
    """Nobody could find it."""
    found = offer(CreateResponse(model="m", tools=ALL), LISTED)
    assert {"late", "note", "early", "sky__stars", "sky__early", "sky__note", "s__look"} == set(names(found))
    assert None is found.search


def test_a_clients_search_hides_what_it_may_find() -> None:
    """The client answers it, with any tools; the server looks for nothing."""
    request = CreateResponse(model="m", tools=[LATE, EARLY, ToolSearchTool(execution="client")])
    found = offer(request)
    assert (["early", "tool_search"], None) == (names(found), found.search)
    assert ["early", "late", "new", "tool_search"] == sorted(
        names(offer(request, loaded=[LATE, FunctionTool(name="new", defer_loading=True)]))
    )


def test_a_search_whose_name_is_taken_goes_by_another() -> None:
    """The client's functions keep theirs."""
    found = offered(FunctionTool(name="tool_search"), LATE)
    assert ["tool_search", "tool_search_2"] == names(found)
    assert found.search is not None
    assert "tool_search_2" == found.search.name


def test_the_search_names_what_it_can_load() -> None:
    """Its one argument is a list of those paths."""
    function = search_function("look", ToolSearchTool(description="Loads."), deferred([LATE, replace(NOTE)]))
    schema = msgspec.json.decode(function.parameters)
    assert ["late", "note"] == schema["properties"]["paths"]["items"]["enum"]
    assert "Loads.\n- late: Comes late. Very.\n- note" == function.description
    assert "by their paths" in (search_function("look", ToolSearchTool(), []).description or "")


def allowed_tools(mode: str, *tools: AllowedTool) -> ToolChoiceAllowed:
    """A choice among some tools."""
    return msgspec.convert(
        {"type": "allowed_tools", "mode": mode, "tools": msgspec.to_builtins(tools)}, ToolChoiceAllowed
    )


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (ToolChoiceFunction(name="late"), "late"),
        (ToolChoiceCustom(name="note"), "note"),
        (ToolChoiceMcp(server_label="s"), "s__look"),
    ],
)
def test_a_tool_that_is_demanded_needs_no_search(choice: ToolChoice, name: str) -> None:
    """It is shown, and it alone may be called."""
    found = offered(LATE, NOTE, SERVER, choice=choice)
    assert (Choice("required", [name]), frozenset({name})) == (found.choice, found.allowed)
    assert name in names(found)


def test_a_choice_among_some_tools_may_name_what_waits_and_the_search() -> None:
    """What is named is shown; the search may be called where it is named."""
    late, space = AllowedTool(type="function", name="late"), AllowedTool(type="namespace", name="sky")
    found = offered(*ALL, choice=allowed_tools("auto", late, space))
    assert Choice("auto", ["late", "sky__stars", "sky__early", "sky__note"]) == found.choice
    assert set(found.choice.names or []) <= set(names(found))
    search = offered(*ALL, choice=allowed_tools("required", AllowedTool(type="tool_search")))
    assert Choice("required", ["tool_search"]) == search.choice
    assert "late" not in names(search)
    server = offered(*ALL, choice=allowed_tools("auto", AllowedTool(type="mcp", server_label="s")))
    assert Choice("auto", ["s__look"]) == server.choice


def test_a_search_tells_nothing_before_its_end() -> None:
    """Its item alone, as recorded."""
    call = OpenCall(Searching(), Place("tsc_1", 0, count().__next__), key="0", name="tool_search", call_id="c")
    assert 1 == len(call.open())
    assert [] == call.write('{"paths":["a"]}')
    assert [] == call.close("completed")
    item = call.kind.item(call)
    assert isinstance(item, ToolSearchCall)
    assert ("server", None, {}, "in_progress") == (item.execution, item.call_id, item.arguments, item.status)
