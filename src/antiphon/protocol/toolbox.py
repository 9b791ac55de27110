"""The rules of a request's tools taken together, and of the choice among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.protocol.calls import ToolSearchOutput
from antiphon.protocol.errors import invalid_request, missing_parameter, mutually_exclusive, shown
from antiphon.protocol.items import AdditionalTools
from antiphon.protocol.media import check_image
from antiphon.protocol.strictness import strict_problem
from antiphon.protocol.tools import (
    AllowedTool,
    CustomTool,
    FunctionTool,
    ImageGenerationTool,
    McpTool,
    NamespaceTool,
    Tool,
    ToolChoice,
    ToolChoiceAllowed,
    ToolChoiceCustom,
    ToolChoiceFunction,
    ToolChoiceMcp,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.protocol.request import CreateResponse

Named = tuple[str, str]  # a type and what tells two tools of the type apart, if anything does

_FAMILIES = {
    "web_search_2025_08_26": "web_search",
    "web_search_preview": "web_search",
    "web_search_preview_2025_03_11": "web_search",
    "computer_use": "computer",
    "computer_use_preview": "computer",
}


def check_tools(tools: Sequence[Tool], at: str = "tools") -> None:
    """No name stands for two tools, and each tool is whole. Raises ``ApiError``."""
    names: set[str] = set()
    labels: set[str] = set()
    for index, tool in enumerate(tools):
        place = f"{at}[{index}]"
        match tool:
            case FunctionTool():
                _meet(tool.name, names, f"{place}.name", "tool name")
                _check_function(tool, place)
            case CustomTool(name=name):
                _meet(name, names, f"{place}.name", "tool name")
            case NamespaceTool(tools=inner):
                check_tools(inner, f"{place}.tools")
            case McpTool():
                _meet(tool.server_label, labels, f"{place}.server_label", "server_label")
                _check_server(tool, place)
            case ImageGenerationTool(input_image_mask=mask) if mask:
                check_image(mask, f"{place}.input_image_mask")
            case _:
                pass


def check_choice(request: CreateResponse) -> None:
    """What the choice names is among the tools. Raises ``ApiError``."""
    named = _named(_all_tools(request))
    for kind, name in _demanded(request.tool_choice):
        if (_family(kind), name) not in named:
            raise invalid_request(f"Tool choice '{shown(kind)}' not found in 'tools' parameter.", param="tool_choice")


def _meet(name: str, met: set[str], param: str, what: str) -> None:
    if name in met:
        raise invalid_request(
            f"Duplicate {what}: '{shown(name)}' stands more than once in 'tools'.", param=param, code="invalid_value"
        )
    met.add(name)


def _check_function(tool: FunctionTool, at: str) -> None:
    if tool.strict is not True or tool.parameters is None:
        return
    problem = strict_problem(tool.parameters)
    if problem is not None:
        raise invalid_request(
            f"Invalid schema for function '{tool.name}': {problem}",
            param=f"{at}.parameters",
            code="invalid_function_parameters",
        )


def _check_server(tool: McpTool, at: str) -> None:
    ways = {"server_url": tool.server_url, "connector_id": tool.connector_id, "tunnel_id": tool.tunnel_id}
    given = [name for name, way in ways.items() if isinstance(way, str)]
    if not given:
        raise missing_parameter(f"{at}.server_url")
    if len(given) > 1:
        raise mutually_exclusive(f"{at}.{given[0]}", f"{at}.{given[1]}")


def _all_tools(request: CreateResponse) -> list[Tool]:
    """The tools of the request and those that its input adds."""
    tools = list(request.tools)
    for item in request.input:
        match item:
            case AdditionalTools(tools=more) | ToolSearchOutput(tools=more):
                tools += more
            case _:
                pass
    return tools


def _named(tools: Sequence[Tool]) -> set[Named]:
    named: set[Named] = set()
    for tool in tools:
        match tool:
            case FunctionTool(name=name) | CustomTool(name=name):
                named.add((tool.type, name))
            case NamespaceTool(name=name, tools=inner):
                named |= {("namespace", name), *_named(inner)}
            case McpTool(server_label=label):
                named.add(("mcp", label))
            case _:
                named.add((_family(tool.type), ""))
    return named


def _demanded(choice: ToolChoice | None) -> list[Named]:
    """What a choice says is there."""
    match choice:
        case None | "none" | "auto" | "required":
            return []
        case ToolChoiceAllowed(tools=allowed):
            return [_allowed(tool) for tool in allowed]
        case ToolChoiceFunction(name=name) | ToolChoiceCustom(name=name):
            return [(choice.type, name)]
        case ToolChoiceMcp(server_label=label):
            return [("mcp", label)]
        case hosted:
            return [(hosted.type, "")]


def _allowed(tool: AllowedTool) -> Named:
    match tool:
        case AllowedTool(type="mcp", server_label=str(label)):
            return ("mcp", label)
        case AllowedTool(type="function" | "custom" | "namespace", name=str(name)):
            return (tool.type, name)
        case _:
            return (tool.type, "")


def _family(kind: str) -> str:
    return _FAMILIES.get(kind, kind)
