"""What a request's tools and its tool choice come to, for a model: functions, and how it may choose among them.

The tools of an MCP server are functions too, once the server has listed them, and so is the tool that draws. A tool
that cannot run here is not shown to the model; its type is named, so that the caller can be told. A choice that demands
such a tool is refused (Responses API reference, section 11, 25).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from antiphon.core.calls import CallKind
from antiphon.core.client_tools import ClientTool, client_tools, free_name, function_of, is_run_by_client, kinds_of
from antiphon.core.deferring import Deferred, deferred, not_loaded, search_function
from antiphon.core.drawing import drawing_function
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
    ComputerTool,
    ComputerUsePreviewTool,
    ImageGenerationTool,
    McpTool,
    Tool,
    ToolChoice,
    ToolChoiceAllowed,
    ToolChoiceApplyPatch,
    ToolChoiceComputer,
    ToolChoiceComputerUse,
    ToolChoiceComputerUsePreview,
    ToolChoiceCustom,
    ToolChoiceFunction,
    ToolChoiceHosted,
    ToolChoiceImageGeneration,
    ToolChoiceMcp,
    ToolChoiceShell,
    ToolSearchTool,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Listed = Mapping[str, Sequence[McpToolListing]]
    Named = tuple[str, str]  # a type and a name of its own, or a label


class RemoteTool(Struct, frozen=True):
    """A tool of an MCP server, and the tool of the request that brought the server."""

    server: McpTool
    listing: McpToolListing


class DrawingTool(Struct, frozen=True):
    """The tool that draws: the name under which the model knows it, its settings, and its place in the request."""

    name: str
    settings: ImageGenerationTool
    index: int


class SearchTool(Struct, frozen=True):
    """The search for tools that the server answers: its name for the model, its settings, and what it can load."""

    name: str
    settings: ToolSearchTool
    deferred: list[Deferred]


class Computer(Struct, frozen=True):
    """The computer that the client moves: the name under which the model knows it, and the tool."""

    name: str
    tool: ComputerTool | ComputerUsePreviewTool


class Offer(Struct, frozen=True):
    """What the model is offered, and the types of the tools that it is not.

    ``allowed`` names the only functions that may be called; None: every one. ``clients`` says how the calls of a
    client's tools are shown, where they are no plain functions. ``remote`` has the tools of MCP servers. Both go by the
    name under which the model knows a tool. ``handed_over`` are the tools that the upstream runs itself.
    ``may_grow``: a server has not said yet what it has, or a search may find more. ``drawing``, ``search`` and
    ``computer`` are the tools that draw, that look for tools, and that move a computer.
    """

    functions: list[Function]
    choice: Choice
    allowed: frozenset[str] | None
    unavailable: list[str]
    clients: dict[str, CallKind] = {}
    remote: dict[str, RemoteTool] = {}
    handed_over: list[Tool] = []
    may_grow: bool = False
    drawing: DrawingTool | None = None
    search: SearchTool | None = None
    computer: Computer | None = None


def offer(
    request: CreateResponse,
    listed: Listed | None = None,
    *,
    loaded: Sequence[Tool] = (),
    hands_over: bool = False,
    pictures: int = 0,
    is_blind: bool = False,
) -> Offer:
    """Read the tools and the choice of a request. Raises ``ApiError`` where the choice demands what cannot run here.

    ``listed`` has the tools of the servers by label, as far as they are known: what the choice demands of others may
    still turn up. ``loaded`` are the tools that searches in the conversation found. ``hands_over``: the upstream runs
    the tools of MCP servers itself. ``pictures``: how many stand in the conversation. ``is_blind``: the model
    is shown no screen, and can move no computer.
    """
    if not request.tools and not loaded and (request.tool_choice or "auto") == "auto":  # as usual
        return Offer([], Choice("auto"), None, [])
    listed = listed or {}
    servers = [tool for tool in request.tools if isinstance(tool, McpTool)]
    shown = _shown(request, {} if hands_over else listed, loaded, pictures, is_blind=is_blind)
    may_grow = shown.search is not None or any(hands_over or each.server_label not in listed for each in servers)
    chosen = _Choosing(request, shown, may_grow=may_grow).choice()
    kinds = kinds_of(shown.clients)
    allowed: frozenset[str] | None = None if chosen.names is None else frozenset(chosen.names)
    if chosen.mode == "none":
        allowed = frozenset()
    elif allowed is None and ((servers and not hands_over) or shown.drawing or shown.search or kinds):
        # a tool that was left out, or is called by another name, must not turn into a function of the client's
        allowed = frozenset(function.name for function in shown.functions)
    return Offer(
        shown.functions,
        chosen,
        allowed,
        unavailable=list(dict.fromkeys(tool.type for tool in request.tools if not _runs_here(tool, is_blind=is_blind))),
        clients=kinds,
        remote=shown.remote,
        handed_over=list(servers) if hands_over else [],
        may_grow=may_grow,
        drawing=shown.drawing,
        search=shown.search,
        computer=next((Computer(each.name, each.tool) for each in shown.clients if _is_computer(each.tool)), None),
    )


class _Shown(Struct, frozen=True):
    """What the model is shown: all functions, and what they stand for."""

    functions: list[Function]
    clients: list[ClientTool]
    remote: dict[str, RemoteTool]
    drawing: DrawingTool | None
    search: SearchTool | None


def _shown(request: CreateResponse, listed: Listed, loaded: Sequence[Tool], pictures: int, *, is_blind: bool) -> _Shown:
    """Each tool under a name of its own: the client's first, for they are called by the names that they have."""
    tools, named = request.tools, _named(request.tool_choice)
    clients = _with_one_computer(_in_sight(tools, loaded, named), is_blind=is_blind)
    functions = [function_of(client) for client in clients]
    search = _search(tools, loaded, {function.name for function in functions})
    if search is not None:
        functions.append(search_function(search.name, search.settings, search.deferred))
    drawing = _drawing(tools, {function.name for function in functions})
    if drawing is not None:
        functions.append(drawing_function(drawing.name, drawing.settings, pictures))
    remote = _remote(_shown_servers(tools, loaded, named), listed, {function.name for function in functions})
    functions += [_remote_function(name, tool) for name, tool in remote.items()]
    return _Shown(functions, clients, remote, drawing, search)


def _runs_here(tool: Tool, *, is_blind: bool) -> bool:
    if is_blind and _is_computer(tool):
        return False
    return isinstance(tool, McpTool | ImageGenerationTool | ToolSearchTool) or is_run_by_client(tool)


def _is_computer(tool: Tool) -> TypeGuard[ComputerTool | ComputerUsePreviewTool]:
    return isinstance(tool, ComputerTool | ComputerUsePreviewTool)


def _with_one_computer(clients: list[ClientTool], *, is_blind: bool) -> list[ClientTool]:
    """The tools with one computer at most, the first: what a search finds may be another."""
    computers = [each for each in clients if _is_computer(each.tool)]
    dropped = computers if is_blind else computers[1:]
    return [each for each in clients if each not in dropped]


def _in_sight(tools: list[Tool], loaded: Sequence[Tool], named: set[Named]) -> list[ClientTool]:
    """The client's tools that the model is shown: those that wait for a search, once one has found them.

    What the choice names needs none.
    """
    found = {client.key for client in client_tools(loaded)}
    every = client_tools([*tools, *loaded])
    if not _searches(tools):
        return [replace(client, is_deferred=False) for client in every]
    plain = [replace(client, is_deferred=False) if _family(client) & named else client for client in every]
    return [client for client in plain if not client.is_deferred or client.key in found]


def _family(client: ClientTool) -> set[Named]:
    """What a choice may call a tool: by its own name, or by that of its namespace."""
    return {(client.tool.type, client.key[2]), ("namespace", client.namespace or "")}


def _named(choice: ToolChoice | None) -> set[Named]:
    """The tools that a choice names."""
    match choice:
        case ToolChoiceFunction(name=name) | ToolChoiceCustom(name=name):
            return {(choice.type, name)}
        case ToolChoiceMcp(server_label=label):
            return {(choice.type, label)}
        case ToolChoiceAllowed(tools=tools):
            return {(tool.type, name) for tool in tools for name in (tool.name, tool.server_label) if name}
        case _:
            return set()


def _shown_servers(tools: list[Tool], loaded: Sequence[Tool], named: set[Named]) -> list[McpTool]:
    servers = [tool for tool in tools if isinstance(tool, McpTool)]
    if not _searches(tools):
        return servers
    found = {tool.server_label for tool in loaded if isinstance(tool, McpTool)}
    found |= {name for kind, name in named if kind == "mcp"}
    return [server for server in servers if not server.defer_loading or server.server_label in found]


def _search(tools: list[Tool], loaded: Sequence[Tool], taken: set[str]) -> SearchTool | None:
    """The search that the server answers, where there is anything left to look for."""
    searches = _searches(tools)
    waiting = not_loaded(deferred(tools), loaded)
    is_asked = any(search.execution != "client" for search in searches)
    return SearchTool(free_name("tool_search", taken), searches[0], waiting) if is_asked and waiting else None


def _searches(tools: list[Tool]) -> list[ToolSearchTool]:
    return [tool for tool in tools if isinstance(tool, ToolSearchTool)]


def _drawing(tools: list[Tool], taken: set[str]) -> DrawingTool | None:
    """The tool that draws; where a function of the client's has its name, it goes by another."""
    for index, tool in enumerate(tools):
        if isinstance(tool, ImageGenerationTool):
            return DrawingTool(free_name("image_generation", taken), tool, index)
    return None


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

    def __init__(self, request: CreateResponse, shown: _Shown, *, may_grow: bool) -> None:
        self._request = request
        self._functions = shown.functions
        self._clients = shown.clients
        self._remote = shown.remote
        self._drawing = shown.drawing
        self._search = shown.search
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
            case ToolChoiceFunction(name=name) | ToolChoiceCustom(name=name) as named:
                return Choice("required", self._client(named.type, name, named.namespace) or [name])
            case ToolChoiceMcp() as demanded:
                return Choice("required", self._demanded(demanded))
            case ToolChoiceAllowed() as allowed:
                return self._allowed(allowed)
            case demanded:
                names = self._of_type(demanded)
                if not names:
                    raise tool_unavailable(demanded.type, param="tool_choice")
                return Choice("required", names)

    def _of_type(self, demanded: ToolChoiceHosted) -> list[str]:
        """The tool that has no name of its own, if it is there."""
        match demanded:
            case ToolChoiceShell() | ToolChoiceApplyPatch():
                return self._client(demanded.type)
            case ToolChoiceComputer() | ToolChoiceComputerUse() | ToolChoiceComputerUsePreview():
                return self._computers
            case ToolChoiceImageGeneration() if self._drawing is not None:
                return [self._drawing.name]
            case _:
                return []

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
            case AllowedTool(type="function" | "custom", name=str(name)):
                return self._client(tool.type, name)
            case AllowedTool(type="namespace", name=str(name)):
                return [client.name for client in self._clients if client.namespace == name]
            case AllowedTool(type="mcp", server_label=str(label)):
                return self._of_server(label, tool.name if isinstance(tool.name, str) else None)
            case AllowedTool(type="image_generation") if self._drawing is not None:
                return [self._drawing.name]
            case AllowedTool(type="computer" | "computer_use" | "computer_use_preview"):
                return self._computers
            case AllowedTool(type="tool_search") if self._search is not None:
                return [self._search.name]
            case _:
                return self._client(tool.type)

    def _client(self, kind: str, name: str | None = None, namespace: str | None | UnsetType = UNSET) -> list[str]:
        """The names for the model of the client's tools of a type and, if they are given, of a name and a namespace.

        Without a namespace one that is in none goes before those that are.
        """
        found = [
            client
            for client in self._clients
            if client.tool.type == kind
            and (name is None or client.key[2] == name)
            and (not namespace or client.namespace == namespace)
        ]
        if name is not None:
            found = [client for client in found if client.namespace is None] or found
        return [client.name for client in found]

    @property
    def _computers(self) -> list[str]:
        return [client.name for client in self._clients if _is_computer(client.tool)]

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
