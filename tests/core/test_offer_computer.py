"""Computers among the tools: offered, chosen by any of their names, and not offered to who sees nothing."""

from __future__ import annotations

import pytest

from antiphon.core.client_calls import ComputerKind
from antiphon.core.offer import Computer, offer
from antiphon.core.turn import Choice
from antiphon.protocol.errors import ApiError
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.tools import (
    AllowedTool,
    ComputerTool,
    ComputerUsePreviewTool,
    FunctionTool,
    Tool,
    ToolChoice,
    ToolChoiceAllowed,
    ToolChoiceComputer,
    ToolChoiceComputerUse,
    ToolChoiceComputerUsePreview,
)
from tests.core.test_offer import allowed_tools

F = FunctionTool(name="f")
PREVIEW = ComputerUsePreviewTool(display_width=1024, display_height=768, environment="browser")
CHOICES: list[ToolChoice] = [ToolChoiceComputer(), ToolChoiceComputerUse(), ToolChoiceComputerUsePreview()]


def asked(*tools: Tool, choice: ToolChoice | None = None) -> CreateResponse:
    """A request with these tools."""
    return CreateResponse(model="m", tools=[*tools], tool_choice=choice)


@pytest.mark.parametrize("tool", [ComputerTool(), PREVIEW])
def test_a_computer_is_a_function_of_the_models(tool: ComputerTool | ComputerUsePreviewTool) -> None:
    """Under a name of its own, shown as what it is, and known to whoever checks its calls."""
    offered = offer(asked(F, tool))
    assert ["f", "computer"] == [function.name for function in offered.functions]
    assert (tool, Computer("computer", tool)) == (offered.functions[1].tool, offered.computer)
    assert isinstance(offered.clients["computer"], ComputerKind)
    assert [] == offered.unavailable
    named = offer(asked(FunctionTool(name="computer"), tool))
    assert Computer("computer_2", tool) == named.computer
    assert offer(asked(F)).computer is None


@pytest.mark.parametrize("tool", [ComputerTool(), PREVIEW])
@pytest.mark.parametrize("choice", CHOICES)
def test_a_computer_may_be_demanded_by_any_of_its_names(
    choice: ToolChoice, tool: ComputerTool | ComputerUsePreviewTool
) -> None:
    """Whichever of the tools it is."""
    offered = offer(asked(F, tool, choice=choice))
    assert (Choice("required", ["computer"]), frozenset({"computer"})) == (offered.choice, offered.allowed)


@pytest.mark.parametrize("name", ["computer", "computer_use", "computer_use_preview"])
def test_a_computer_may_be_among_the_allowed_tools(name: str) -> None:
    """By any of its names."""
    choice: ToolChoiceAllowed = allowed_tools("auto", AllowedTool(type=name))
    assert Choice("auto", ["computer"]) == offer(asked(F, PREVIEW, choice=choice)).choice
    assert Choice("auto", []) == offer(asked(F, choice=choice)).choice


@pytest.mark.parametrize("tool", [ComputerTool(), PREVIEW])
def test_who_sees_nothing_moves_no_computer(tool: ComputerTool | ComputerUsePreviewTool) -> None:
    """It is named as unavailable, and whoever demands it is refused."""
    offered = offer(asked(F, tool), is_blind=True)
    assert (["f"], [tool.type], None) == (
        [function.name for function in offered.functions],
        offered.unavailable,
        offered.computer,
    )
    for choice in CHOICES:
        with pytest.raises(ApiError, match="is not available on this server") as raised:
            offer(asked(F, tool, choice=choice), is_blind=True)
        assert (400, "tool_choice") == (raised.value.status, raised.value.param)
    with pytest.raises(ApiError, match=f"Tool '{tool.type}' is not available on this server."):
        offer(asked(tool, choice="required"), is_blind=True)


@pytest.mark.parametrize(("tool", "found"), [(ComputerTool(), PREVIEW), (PREVIEW, ComputerTool())])
def test_what_a_search_finds_is_no_second_computer(tool: Tool, found: Tool) -> None:
    """The calls of one are checked, and no other can be made."""
    offered = offer(asked(tool), loaded=[found, F])
    assert ["computer", "f"] == [function.name for function in offered.functions]
    assert tool == offered.functions[0].tool
    assert [found] == [function.tool for function in offer(asked(), loaded=[found]).functions]
    assert [] == offer(asked(), loaded=[found], is_blind=True).functions
