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
    ComputerTool,
    ComputerUsePreviewTool,
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

    from antiphon.protocol.errors import ApiError
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
    kinds: set[str] = set()
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
            case ImageGenerationTool():
                _meet(tool.type, kinds, f"{place}.type", "tool type")
                _check_drawing(tool, place)
            case ComputerTool() | ComputerUsePreviewTool():
                _meet(_family(tool.type), kinds, f"{place}.type", "tool type")
            case _:
                pass


def check_choice(request: CreateResponse) -> None:
    """What the choice names is among the tools. Raises ``ApiError``."""
    match request.tool_choice:
        case ToolChoiceAllowed(mode="required", tools=[]):
            raise invalid_request(
                "Invalid 'tool_choice.tools': empty array. Expected an array with minimum length 1, but got an empty "
                "array instead.",
                param="tool_choice.tools",
                code="empty_array",
            )
        case _:
            pass
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


def _check_drawing(tool: ImageGenerationTool, at: str) -> None:
    """The settings fit together (Responses API reference, section 4.1)."""
    if tool.input_image_mask:
        check_image(tool.input_image_mask, f"{at}.input_image_mask")
    if tool.n not in {None, 1}:
        raise _misfit("The image generation tool draws one image a call: 'n' must be 1.", f"{at}.n")
    if tool.background == "transparent" and tool.output_format not in {None, "png", "webp", "gif", "svg"}:
        raise _misfit(
            f"Transparent background is not supported for output format '{tool.output_format}'.", f"{at}.background"
        )
    if tool.action == "generate" and tool.input_image_mask:
        raise _misfit("A mask needs an image to edit, and 'action' is 'generate'.", f"{at}.input_image_mask")
    if tool.output_format != "gif":
        return
    for name, is_given in (
        ("partial_images", bool(tool.partial_images)),
        ("input_image_mask", bool(tool.input_image_mask)),
        ("output_compression", tool.output_compression not in {None, 100}),
    ):
        if is_given:
            raise _misfit(f"'{name}' is not supported for output format 'gif'.", f"{at}.{name}")


def _misfit(message: str, param: str) -> ApiError:
    return invalid_request(message, param=param, code="invalid_value")


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
