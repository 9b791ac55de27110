"""What a request's tools and its tool choice come to, for a model: functions, and how it may choose among them.

The tools of an MCP server are functions too, once the server has listed them, and so is the tool that draws. A tool
that cannot run here is not shown to the model; its type is named, so that the caller can be told. A choice that demands
such a tool is refused (Responses API reference, section 11, 25).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, Struct

from antiphon.core.drawing import drawing_function
from antiphon.core.echo import echoed_function
from antiphon.core.naming import digested_name, function_name
from antiphon.core.schemas import parameters
from antiphon.core.servers import is_allowed
from antiphon.core.turn import Choice, Function
from antiphon.protocol.calls import McpToolListing
from antiphon.protocol.errors import ApiError, invalid_request, shown
from antiphon.protocol.refusals import tool_unavailable
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.tools import (
    AllowedTool,
    FunctionTool,
    ImageGenerationTool,
    McpTool,
    Tool,
    ToolChoiceAllowed,
    ToolChoiceFunction,
    ToolChoiceImageGeneration,
    ToolChoiceMcp,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Listed = Mapping[str, Sequence[McpToolListing]]


class RemoteTool(Struct, frozen=True):
    """A tool of an MCP server, and the tool of the request that brought the server."""

    server: McpTool
    listing: McpToolListing


class DrawingTool(Struct, frozen=True):
    """The tool that draws: the name under which the model knows it, its settings, and its place in the request."""

    name: str
    settings: ImageGenerationTool
    index: int


class Offer(Struct, frozen=True):
    """What the model is offered, and the types of the tools that it is not.

    ``allowed`` names the only functions that may be called; None: every one. ``remote`` has the tools of MCP servers,
    by the name under which the model knows them. ``handed_over`` are the tools that the upstream runs itself.
    ``may_grow``: a server has not said yet what it has. ``drawing`` is the tool that draws, if there is one.
    """

    functions: list[Function]
    choice: Choice
    allowed: frozenset[str] | None
    unavailable: list[str]
    remote: dict[str, RemoteTool] = {}
    handed_over: list[Tool] = []
    may_grow: bool = False
    drawing: DrawingTool | None = None


def offer(
    request: CreateResponse, listed: Listed | None = None, *, hands_over: bool = False, pictures: int = 0
) -> Offer:
    """Read the tools and the choice of a request. Raises ``ApiError`` where the choice demands what cannot run here.

    ``listed`` has the tools of the servers by label, as far as they are known: what the choice demands of others may
    still turn up. ``hands_over``: the upstream runs the tools of MCP servers itself. ``pictures``: how many stand in
    the conversation.
    """
    listed = listed or {}
    servers = [tool for tool in request.tools if isinstance(tool, McpTool)]
    functions = [_function(tool) for tool in request.tools if isinstance(tool, FunctionTool)]
    drawing = _drawing(request.tools, {function.name for function in functions})
    if drawing is not None:
        functions.append(drawing_function(drawing.name, drawing.settings, pictures))
    remote = {} if hands_over else _remote(servers, listed, {function.name for function in functions})
    functions += [_remote_function(name, tool) for name, tool in remote.items()]
    may_grow = any(hands_over or each.server_label not in listed for each in servers)
    chosen = _Choosing(request, functions, remote, drawing, may_grow=may_grow).choice()
    allowed: frozenset[str] | None = None if chosen.names is None else frozenset(chosen.names)
    if chosen.mode == "none":
        allowed = frozenset()
    elif allowed is None and ((servers and not hands_over) or drawing):
        # a tool that was left out, or is called by another name, must not turn into a function of the client's
        allowed = frozenset(function.name for function in functions)
    return Offer(
        functions,
        chosen,
        allowed,
        unavailable=list(dict.fromkeys(tool.type for tool in request.tools if not _runs_here(tool))),
        remote=remote,
        handed_over=list(servers) if hands_over else [],
        may_grow=may_grow,
        drawing=drawing,
    )


def _runs_here(tool: Tool) -> bool:
    return isinstance(tool, FunctionTool | McpTool | ImageGenerationTool)


def _drawing(tools: list[Tool], taken: set[str]) -> DrawingTool | None:
    """The tool that draws; where a function of the client's has its name, it goes by another."""
    for index, tool in enumerate(tools):
        if isinstance(tool, ImageGenerationTool):
            names = ("image_generation", *(f"image_generation_{number}" for number in range(2, len(taken) + 3)))
            return DrawingTool(next(name for name in names if name not in taken), tool, index)
    return None


def _function(tool: FunctionTool) -> Function:
    whole = echoed_function(tool)
    schema = whole.parameters or {"type": "object", "properties": {}}
    return Function(
        name=whole.name,
        parameters=Raw(msgspec.json.encode(schema)),
        description=whole.description,
        strict=whole.strict is True,
    )


def _remote(servers: list[McpTool], listed: Listed, taken: set[str]) -> dict[str, RemoteTool]:
    """The tools that the model may use; one whose name a function of the client's has already goes by another."""
    remote: dict[str, RemoteTool] = {}
    for server in servers:
        for listing in listed.get(server.server_label, []):
            name = function_name(server.server_label, listing.name)
            if name in taken:
                name = digested_name(server.server_label, listing.name)
            if is_allowed(server, listing) and name not in taken:
                taken.add(name)
                remote[name] = RemoteTool(server, listing)
    return remote


def _remote_function(name: str, tool: RemoteTool) -> Function:
    description = "" if tool.listing.description is UNSET else tool.listing.description
    if tool.server.server_description:
        description = f"{description}\n\n({tool.server.server_label}: {tool.server.server_description})".lstrip()
    return Function(name=name, parameters=parameters(tool.listing.input_schema), description=description or None)


class _Choosing:
    """The choice of a request among its functions. ``may_grow``: a server has not said yet what it has."""

    def __init__(
        self,
        request: CreateResponse,
        functions: list[Function],
        remote: dict[str, RemoteTool],
        drawing: DrawingTool | None,
        *,
        may_grow: bool,
    ) -> None:
        self._request = request
        self._functions = functions
        self._remote = remote
        self._drawing = drawing
        self._may_grow = may_grow

    def choice(self) -> Choice:
        match self._request.tool_choice:
            case None | "auto":
                return Choice("auto")
            case "none":
                return Choice("none")
            case "required":
                if not self._functions and not self._may_grow:
                    raise _nothing_to_call(self._request.tools)
                return Choice("required")
            case ToolChoiceFunction(name=name):
                return Choice("required", [name])
            case ToolChoiceMcp() as demanded:
                return Choice("required", self._demanded(demanded))
            case ToolChoiceImageGeneration() if self._drawing is not None:
                return Choice("required", [self._drawing.name])
            case ToolChoiceAllowed() as allowed:
                return self._allowed(allowed)
            case demanded:
                raise tool_unavailable(demanded.type, param="tool_choice")

    def _demanded(self, demanded: ToolChoiceMcp) -> list[str]:
        tool = demanded.name if isinstance(demanded.name, str) else None
        names = self._of_server(demanded.server_label, tool)
        if not names and not self._may_grow:
            what = demanded.server_label if tool is None else f"{demanded.server_label}.{tool}"
            raise invalid_request(f"Tool choice '{shown(what)}' not found in 'tools' parameter.", param="tool_choice")
        return names

    def _allowed(self, allowed: ToolChoiceAllowed) -> Choice:
        names = [name for tool in allowed.tools for name in self._names(tool)]
        if not names and allowed.mode == "required" and not self._may_grow:
            raise tool_unavailable(allowed.tools[0].type if allowed.tools else "allowed_tools", param="tool_choice")
        return Choice(allowed.mode, names)

    def _names(self, tool: AllowedTool) -> list[str]:
        match tool:
            case AllowedTool(type="function", name=str(name)):
                return [function.name for function in self._functions if function.name == name]
            case AllowedTool(type="mcp", server_label=str(label)):
                return self._of_server(label, tool.name if isinstance(tool.name, str) else None)
            case AllowedTool(type="image_generation") if self._drawing is not None:
                return [self._drawing.name]
            case _:
                return []

    def _of_server(self, label: str, tool: str | None) -> list[str]:
        """The names of a server's tools for the model, or of one of them."""
        return [
            name
            for name, remote in self._remote.items()
            if remote.server.server_label == label and tool in {None, remote.listing.name}
        ]


def _nothing_to_call(tools: list[Tool]) -> ApiError:
    if tools:
        return tool_unavailable(tools[0].type, param="tool_choice")
    return invalid_request("Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice")
