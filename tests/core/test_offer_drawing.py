"""The tool that draws: what the model is offered, under which name, and what it may choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal  # JSON

import msgspec
import pytest

from antiphon.core.offer import DrawingTool, Offer, offer
from antiphon.core.turn import Choice
from antiphon.protocol.calls import McpToolListing
from antiphon.protocol.errors import ApiError
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.tools import (
    FunctionTool,
    ImageGenerationTool,
    McpTool,
    Tool,
    ToolChoiceAllowed,
    ToolChoiceImageGeneration,
    WebSearchTool,
)

if TYPE_CHECKING:
    from antiphon.protocol.tools import ToolChoice

DRAW = ImageGenerationTool()
F = FunctionTool(name="f")
SERVER = McpTool(server_label="s", server_url="https://s.example/mcp")


def asked(*tools: Tool, choice: ToolChoice | None = None) -> CreateResponse:
    """A request with these tools."""
    return CreateResponse(model="m", tools=[*tools], tool_choice=choice)


def allowed(mode: str, *tools: dict[str, str]) -> ToolChoiceAllowed:
    """A choice among some tools."""
    return msgspec.convert({"type": "allowed_tools", "mode": mode, "tools": tools}, ToolChoiceAllowed)


def parameters(offered: Offer) -> dict[str, Any]:  # JSON
    """What the function that draws may be given."""
    [function] = [each for each in offered.functions if offered.drawing and each.name == offered.drawing.name]
    schema: dict[str, Any] = msgspec.json.decode(function.parameters)  # JSON
    return schema


def test_the_tool_that_draws_is_a_function_behind_those_of_the_client() -> None:
    """It is none of the tools that cannot run here; it is known by its place in the request."""
    offered = offer(asked(WebSearchTool(), F, DRAW))
    assert ["f", "image_generation"] == [function.name for function in offered.functions]
    assert DrawingTool("image_generation", DRAW, 2) == offered.drawing
    assert ["web_search"] == offered.unavailable


def test_without_the_tool_nothing_draws() -> None:
    """And a call of any name is heard, as the client's."""
    offered = offer(asked(F))
    assert (None, None) == (offered.drawing, offered.allowed)


def test_beside_the_tool_only_what_was_offered_is_heard() -> None:
    """A call by another name must not turn into a function of the client's."""
    offered = offer(asked(F, DRAW))
    assert frozenset({"f", "image_generation"}) == offered.allowed


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (["image_generation"], "image_generation_2"),
        (["image_generation", "image_generation_2"], "image_generation_3"),
        (["image_generation_2"], "image_generation"),
    ],
)
def test_where_the_client_has_its_name_the_tool_goes_by_another(taken: list[str], name: str) -> None:
    """Both can be called."""
    offered = offer(asked(DRAW, *(FunctionTool(name=each) for each in taken)))
    assert [*taken, name] == [function.name for function in offered.functions]
    assert frozenset({*taken, name}) == offered.allowed


def test_a_servers_tool_does_not_take_its_name() -> None:
    """Its tools are called by their server's name too, and by another where even that is taken."""
    draw = McpToolListing(name="generation", input_schema={"type": "object"})
    server = McpTool(server_label="image", server_url="https://s.example/mcp")
    offered = offer(asked(server, DRAW), {"image": [draw]})
    names = [function.name for function in offered.functions]
    assert "image_generation" == names[0]
    assert 2 == len(set(names))
    assert frozenset(names) == offered.allowed


def test_pictures_are_offered_by_their_numbers() -> None:
    """From 1 to as many as there are."""
    schema = parameters(offer(asked(DRAW), pictures=3))
    assert ["prompt", "images"] == list(schema["properties"])
    assert ["prompt"] == schema["required"]
    items = schema["properties"]["images"]["items"]
    assert {"type": "integer", "minimum": 1, "maximum": 3} == items


@pytest.mark.parametrize(
    ("action", "pictures", "has_images"),
    [("auto", 0, False), ("edit", 0, False), ("generate", 2, False), ("auto", 1, True), ("edit", 1, True)],
)
def test_pictures_are_offered_where_there_are_some_and_they_may_be_used(
    action: Literal["generate", "edit", "auto"], pictures: int, *, has_images: bool
) -> None:
    """Else the model only says what to draw, and is not told of changing anything."""
    offered = offer(asked(ImageGenerationTool(action=action)), pictures=pictures)
    assert has_images == ("images" in parameters(offered)["properties"])
    description = offered.functions[0].description
    assert description is not None
    assert has_images == ("change" in description)


def test_a_demand_for_the_tool_names_its_function() -> None:
    """By the name that it has here, and no other may be called."""
    offered = offer(asked(FunctionTool(name="image_generation"), DRAW, choice=ToolChoiceImageGeneration()))
    assert Choice("required", ["image_generation_2"]) == offered.choice
    assert frozenset({"image_generation_2"}) == offered.allowed


def test_a_demand_for_the_tool_without_the_tool_is_refused() -> None:
    """By its type."""
    with pytest.raises(ApiError, match="'image_generation' is not available") as raised:
        offer(asked(F, choice=ToolChoiceImageGeneration()))
    assert (400, "tool_choice") == (raised.value.status, raised.value.param)


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_the_tool_may_be_among_the_allowed_ones(mode: Literal["auto", "required"]) -> None:
    """In the order of the choice."""
    choice = allowed(mode, {"type": "image_generation"}, {"type": "function", "name": "f"})
    offered = offer(asked(F, FunctionTool(name="g"), DRAW, choice=choice))
    assert Choice(mode, ["image_generation", "f"]) == offered.choice
    assert frozenset({"image_generation", "f"}) == offered.allowed


def test_allowed_tools_without_the_tool_leave_it_out() -> None:
    """It is there, and may not be called; one that is not there counts for nothing."""
    choice = allowed("auto", {"type": "function", "name": "f"})
    assert frozenset({"f"}) == offer(asked(F, DRAW, choice=choice)).allowed
    assert frozenset[str]() == offer(asked(F, choice=allowed("auto", {"type": "image_generation"}))).allowed


def test_with_none_nothing_is_drawn() -> None:
    """Whatever the model tries."""
    offered = offer(asked(F, DRAW, choice="none"))
    assert (Choice("none"), frozenset[str]()) == (offered.choice, offered.allowed)


def test_with_required_the_tool_alone_is_enough() -> None:
    """It is something that can be called."""
    offered = offer(asked(DRAW, choice="required"))
    assert (Choice("required"), frozenset({"image_generation"})) == (offered.choice, offered.allowed)


@pytest.mark.parametrize(
    ("listed", "hands_over", "may_grow"),
    [({}, False, True), ({"s": []}, False, False), ({"s": []}, True, True)],
)
def test_it_is_known_whether_a_server_may_bring_more(
    listed: dict[str, list[McpToolListing]], *, hands_over: bool, may_grow: bool
) -> None:
    """One that has not been listed, or is listed by the upstream."""
    assert may_grow == offer(asked(SERVER), listed, hands_over=hands_over).may_grow
