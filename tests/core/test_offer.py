"""Tools and their choice: what a model is offered, what is named as unavailable, what is refused."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from antiphon.core.offer import offer
from antiphon.core.turn import Choice
from antiphon.protocol.errors import ApiError
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.tools import (
    AllowedTool,
    ApplyPatchTool,
    CodeInterpreterTool,
    CustomTool,
    FunctionTool,
    LocalShellTool,
    NamespaceTool,
    ShellTool,
    Tool,
    ToolChoice,
    ToolChoiceAllowed,
    ToolChoiceApplyPatch,
    ToolChoiceCustom,
    ToolChoiceFunction,
    ToolChoiceHosted,
    ToolChoiceShell,
    WebSearchTool,
)

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
F, G = FunctionTool(name="f", parameters=SCHEMA), FunctionTool(name="g", parameters=None)
SEARCH = WebSearchTool()


def asked(*tools: Tool, choice: ToolChoice | None = None) -> CreateResponse:
    """A request with these tools."""
    return CreateResponse(model="m", tools=[*tools], tool_choice=choice)


def refusal(request: CreateResponse) -> tuple[int, str, str | None]:
    """What a caller is told: status, words and parameter."""
    with pytest.raises(ApiError) as raised:
        offer(request)
    return raised.value.status, raised.value.message, raised.value.param


def allowed_tools(mode: str, *tools: AllowedTool) -> ToolChoiceAllowed:
    """A choice among some tools."""
    return msgspec.convert(
        {"type": "allowed_tools", "mode": mode, "tools": msgspec.to_builtins(tools)}, ToolChoiceAllowed
    )


def test_functions_are_offered_as_they_are_echoed() -> None:
    """With a schema always, and strict as decided."""
    described = FunctionTool(name="h", description="Helps.", parameters={}, strict=False)
    f, g, h = offer(asked(F, G, described)).functions
    assert ("f", SCHEMA, True, None) == (f.name, msgspec.json.decode(f.parameters), f.strict, f.description)
    empty = {"type": "object", "properties": {}}
    assert ("g", empty, False) == (g.name, msgspec.json.decode(g.parameters), g.strict)
    assert ("h", empty, False, "Helps.") == (h.name, msgspec.json.decode(h.parameters), h.strict, h.description)


def test_tools_that_cannot_run_here_are_named_once() -> None:
    """The request goes on without them."""
    offered = offer(asked(SEARCH, F, CodeInterpreterTool(container="cntr_1"), SEARCH))
    assert ["web_search", "code_interpreter"] == offered.unavailable
    assert ["f"] == [function.name for function in offered.functions]


@pytest.mark.parametrize("choice", [None, "auto"])
def test_where_nothing_is_demanded_the_model_decides(choice: ToolChoice | None) -> None:
    """Every function may be called."""
    offered = offer(asked(F, choice=choice))
    assert (Choice("auto"), None) == (offered.choice, offered.allowed)


def test_with_none_nothing_may_be_called() -> None:
    """Whatever the model tries."""
    offered = offer(asked(F, choice="none"))
    assert (Choice("none"), frozenset[str]()) == (offered.choice, offered.allowed)


def test_with_required_something_must_be_called() -> None:
    """Any function."""
    offered = offer(asked(F, G, choice="required"))
    assert (Choice("required"), None) == (offered.choice, offered.allowed)


def test_a_named_function_is_the_only_one() -> None:
    """It must be called, and no other may be."""
    offered = offer(asked(F, G, choice=ToolChoiceFunction(name="g")))
    assert (Choice("required", ["g"]), frozenset({"g"})) == (offered.choice, offered.allowed)


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (ToolChoiceCustom(name="f"), "f_2"),
        (ToolChoiceShell(), "shell"),
        (ToolChoiceApplyPatch(), "apply_patch"),
        (ToolChoiceFunction(name="h"), "n__h"),
    ],
)
def test_a_tool_of_any_type_may_be_demanded(choice: ToolChoice, name: str) -> None:
    """By the name under which the model knows it."""
    space = NamespaceTool(name="n", description="", tools=[FunctionTool(name="h")])
    offered = offer(asked(F, CustomTool(name="f"), ShellTool(), ApplyPatchTool(), space, choice=choice))
    assert (Choice("required", [name]), frozenset({name})) == (offered.choice, offered.allowed)
    assert name in {function.name for function in offered.functions}


def test_allowed_tools_may_be_of_any_type() -> None:
    """By type alone where they have no name; a namespace stands for all its members."""
    space = NamespaceTool(name="n", description="", tools=[FunctionTool(name="h"), CustomTool(name="c")])
    tools: list[Tool] = [F, CustomTool(name="c"), ShellTool(), LocalShellTool(), ApplyPatchTool(), space]
    wanted = [AllowedTool(type=kind) for kind in ("local_shell", "apply_patch", "shell")]
    named = [AllowedTool(type="custom", name="c"), AllowedTool(type="namespace", name="n")]
    offered = offer(asked(*tools, choice=allowed_tools("auto", *wanted, *named)))
    assert ["local_shell", "apply_patch", "shell", "c", "n__h", "n__c"] == offered.choice.names
    assert frozenset(offered.choice.names or []) == offered.allowed


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_of_allowed_tools_those_that_are_functions_here_may_be_called(mode: str) -> None:
    """In the order of the choice; hosted ones and unknown names do not count."""
    choice = allowed_tools(
        mode,
        AllowedTool(type="web_search"),
        AllowedTool(type="function", name="g"),
        AllowedTool(type="mcp", name="f"),
        AllowedTool(type="function", name="unknown"),
    )
    offered = offer(asked(F, G, SEARCH, choice=choice))
    assert mode == offered.choice.mode
    assert (["g"], frozenset({"g"})) == (offered.choice.names, offered.allowed)


def test_where_none_of_the_allowed_tools_is_here_the_model_may_call_nothing() -> None:
    """It answers in words."""
    offered = offer(asked(F, choice=allowed_tools("auto", AllowedTool(type="web_search"))))
    assert (Choice("auto", []), frozenset[str]()) == (offered.choice, offered.allowed)


def test_a_demand_for_allowed_tools_that_are_not_here_is_refused() -> None:
    """The first of them is named."""
    choice = allowed_tools("required", AllowedTool(type="web_search"), AllowedTool(type="mcp"))
    assert (400, "Tool 'web_search' is not available on this server.", "tool_choice") == refusal(
        asked(F, choice=choice)
    )
    nothing = asked(F, choice=allowed_tools("required"))
    assert (400, "Tool 'allowed_tools' is not available on this server.", "tool_choice") == refusal(nothing)


def test_a_demand_without_functions_is_refused() -> None:
    """Because there are no tools, or none that can run here."""
    message = "Tool choice 'required' must be specified with 'tools' parameter."
    assert (400, message, "tool_choice") == refusal(asked(choice="required"))
    message = "Tool 'web_search' is not available on this server."
    assert (400, message, "tool_choice") == refusal(asked(SEARCH, choice="required"))


DEMANDS: list[dict[str, str]] = [
    {"type": str(kind.__struct_config__.tag)}
    for kind in get_args(ToolChoice)
    if isinstance(kind, type) and issubclass(kind, ToolChoiceHosted)
]


@pytest.mark.parametrize("demand", DEMANDS, ids=lambda demand: demand["type"])
def test_a_demand_for_a_tool_that_cannot_run_here_is_refused(demand: dict[str, str]) -> None:
    """By its type."""
    choice: ToolChoice = msgspec.convert(demand, ToolChoice)
    message = f"Tool '{demand['type']}' is not available on this server."
    assert (400, message, "tool_choice") == refusal(asked(F, choice=choice))
