"""What a request's tools and its tool choice come to, for a model: functions, and how it may choose among them.

A tool that cannot run here is not shown to the model; its type is named, so that the caller can be told. A choice that
demands such a tool is refused (Responses API reference, section 11, 25).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from antiphon.core.echo import echoed_function
from antiphon.core.turn import Choice, Function
from antiphon.protocol.errors import ApiError, invalid_request
from antiphon.protocol.refusals import tool_unavailable
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.tools import (
    AllowedTool,
    FunctionTool,
    Tool,
    ToolChoiceAllowed,
    ToolChoiceFunction,
)


class Offer(Struct, frozen=True):
    """What the model is offered, and the types of the tools that it is not.

    ``allowed`` names the only functions that may be called; None: every one.
    """

    functions: list[Function]
    choice: Choice
    allowed: frozenset[str] | None
    unavailable: list[str]


def offer(request: CreateResponse) -> Offer:
    """Read the tools and the choice of a request. Raises ``ApiError`` where the choice demands what cannot run here."""
    functions = [_function(tool) for tool in request.tools if isinstance(tool, FunctionTool)]
    unavailable = list(dict.fromkeys(tool.type for tool in request.tools if not isinstance(tool, FunctionTool)))
    choice = _choice(request, functions)
    allowed: frozenset[str] | None = None if choice.names is None else frozenset(choice.names)
    if choice.mode == "none":
        allowed = frozenset()
    return Offer(functions, choice, allowed, unavailable)


def _function(tool: FunctionTool) -> Function:
    whole = echoed_function(tool)
    parameters = whole.parameters or {"type": "object", "properties": {}}
    return Function(
        name=whole.name,
        parameters=Raw(msgspec.json.encode(parameters)),
        description=whole.description,
        strict=whole.strict is True,
    )


def _choice(request: CreateResponse, functions: list[Function]) -> Choice:
    match request.tool_choice:
        case None | "auto":
            return Choice("auto")
        case "none":
            return Choice("none")
        case "required":
            if not functions:
                raise _nothing_to_call(request.tools)
            return Choice("required")
        case ToolChoiceFunction(name=name):
            return Choice("required", [name])
        case ToolChoiceAllowed() as allowed:
            return _allowed(allowed, functions)
        case demanded:
            raise tool_unavailable(demanded.type, param="tool_choice")


def _allowed(allowed: ToolChoiceAllowed, functions: list[Function]) -> Choice:
    known = {function.name for function in functions}
    names = [tool.name for tool in allowed.tools if isinstance(tool.name, str) and _is_known(tool, known)]
    if not names and allowed.mode == "required":
        raise tool_unavailable(allowed.tools[0].type if allowed.tools else "allowed_tools", param="tool_choice")
    return Choice(allowed.mode, names)


def _is_known(tool: AllowedTool, functions: set[str]) -> bool:
    return tool.type == "function" and tool.name in functions


def _nothing_to_call(tools: list[Tool]) -> ApiError:
    if tools:
        return tool_unavailable(tools[0].type, param="tool_choice")
    return invalid_request("Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice")
