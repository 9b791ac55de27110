"""MCP servers that requests name: what a run begins with because of them, and who answers the calls of their tools."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import UNSET, Struct

from antiphon.core.approvals import Decision
from antiphon.core.calls import CallKind
from antiphon.core.mcp_calls import Asking
from antiphon.core.servers import is_covered, is_same, needs_approval
from antiphon.engine.task import Grant, Opening
from antiphon.protocol.calls import McpListTools, McpToolListing
from antiphon.protocol.errors import invalid_request
from antiphon.protocol.refusals import approval_without_server, no_such_connector
from antiphon.protocol.tools import McpTool
from antiphon.protocol.tools import Tool as RequestTool
from antiphon.tools import Tool, ToolServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from antiphon.core.offer import RemoteTool
    from antiphon.engine.task import Equipment
    from antiphon.lifecycle import Caller, Order
    from antiphon.lifecycle.approving import Approving
    from antiphon.protocol.items import Item, OutputItem
    from antiphon.protocol.request import CreateResponse
    from antiphon.store.approvals import Spending
    from antiphon.tools import ToolServers

    Listed = Mapping[str, list[McpToolListing]]


class Party(Struct, frozen=True):
    """Who is served: the tenant, the id of the response, and whether the model sees images."""

    tenant: str
    response: str
    sees_images: bool


class Reached(Struct, frozen=True):
    """Tools of MCP servers by the model's names for them: those that are called, and those that wait for consent."""

    tools: dict[str, Tool]
    asks: dict[str, CallKind]


class Remotes:
    """Connects requests with the servers that they name. ``connectors`` has URLs by the names of connectors."""

    def __init__(self, servers: ToolServers, approving: Approving, connectors: Mapping[str, str]) -> None:
        self._servers = servers
        self._approving = approving
        self._connectors = connectors

    def named(self, request: CreateResponse, party: Party) -> dict[str, ToolServer]:
        """The servers of a request, by label. Raises ``ApiError`` for one that cannot be meant; asks none of them."""
        named: dict[str, ToolServer] = {}
        for index, tool in enumerate(request.tools):
            if isinstance(tool, McpTool):
                named[tool.server_label] = self._server(tool, party, f"tools[{index}]")
        return named

    async def check(self, decided: Sequence[Decision], servers: Mapping[str, ToolServer], caller: Caller) -> None:
        """Raise ``ApiError`` unless every answer is to a request that was made here, and the first to it."""
        for decision in decided:
            if decision.request.server_label not in servers:
                raise approval_without_server(decision.request.server_label)
        urls = {label: server.url for label, server in servers.items()}
        await self._approving.check(decided, urls, tenant=caller.tenant)

    async def spend(self, decided: Sequence[Decision], party: Party) -> None:
        """Use answers up. Raises ``ApiError`` where one was used before, for another response."""
        ids = [decision.request.id for decision in decided]
        await self._approving.spend(ids, tenant=party.tenant, response=party.response)

    def spending(self, ids: Sequence[str], tenant: str, response: str) -> Spending:
        """What is kept of the answers that a response uses up."""
        return self._approving.spending(ids, tenant=tenant, response=response)

    def opening(
        self,
        known: Listed,
        *,
        servers: Mapping[str, ToolServer],
        decided: Sequence[Decision],
        party: Party,
        equip: Callable[[Sequence[OutputItem]], Equipment],
    ) -> Opening:
        """What a run begins with: the servers whose tools no ``known`` list names, and the approved calls."""
        return Opening(
            servers=[server for label, server in servers.items() if label not in known],
            granted=[Grant(each.request.id, each.request.arguments) for each in decided if each.answer.approve],
            equip=equip,
            spend=partial(self.spend, decided, party),
        )

    def granted(
        self, items: Sequence[Item], servers: Mapping[str, ToolServer], decided: Sequence[Decision]
    ) -> dict[str, Tool]:
        """Who makes the calls that were approved, by the ids of the requests."""
        known = listed(items)
        tools: dict[str, Tool] = {}
        for decision in decided:
            request = decision.request
            if decision.answer.approve:
                described = [each for each in known.get(request.server_label, []) if each.name == request.name]
                listing = described[0] if described else McpToolListing(name=request.name, input_schema={})
                tools[request.id] = servers[request.server_label].tool(listing, request.id)
        return tools

    def reached(self, remote: Mapping[str, RemoteTool], servers: Mapping[str, ToolServer], party: Party) -> Reached:
        """Who answers the calls of these tools: their servers, or a person first."""
        tools: dict[str, Tool] = {}
        asks: dict[str, CallKind] = {}
        for name, each in remote.items():
            label, listing = each.server.server_label, each.listing
            if needs_approval(each.server, listing):
                sign = self._approving.sign(tenant=party.tenant, label=label, url=servers[label].url, name=listing.name)
                asks[name] = Asking(label, listing.name, sign)
            else:
                tools[name] = servers[label].tool(listing)
        return Reached(tools, asks)

    def _server(self, tool: McpTool, party: Party, at: str) -> ToolServer:
        url = self._url(tool, at)
        try:
            return self._servers.server(
                tool, url=url, tenant=party.tenant, response=party.response, sees_images=party.sees_images
            )
        except ValueError as error:
            raise invalid_request(str(error), param=f"{at}.headers", code="invalid_value") from error

    def _url(self, tool: McpTool, at: str) -> str:
        match tool:
            case McpTool(server_url=str(url)):
                if not _is_web(url):
                    raise invalid_request(
                        "Invalid server_url: expected an http or https URL without a user name or a password.",
                        param=f"{at}.server_url",
                        code="invalid_value",
                    )
                return url
            case McpTool(connector_id=str(connector)):
                if connector not in self._connectors:
                    raise no_such_connector(connector, param=f"{at}.connector_id")
                return self._connectors[connector]
            case _:
                raise invalid_request(
                    "Tunnels are not available on this server. Name the MCP server by its 'server_url'.",
                    param=f"{at}.tunnel_id",
                    code="invalid_value",
                )


def outdated(request: CreateResponse, items: Sequence[Item], before: Sequence[RequestTool]) -> list[str]:
    """The labels of the servers whose lists among these items were made for something else.

    ``before`` are the tools of the response that the request goes on from. Of a history that the caller keeps nothing
    else is known than what stands in its lists.
    """
    lists = listed(items)
    named = {tool.server_label: tool for tool in before if isinstance(tool, McpTool)}
    anew: list[str] = []
    for tool in request.tools:
        if isinstance(tool, McpTool) and (label := tool.server_label) in lists:
            fits = is_same(tool, named[label]) if label in named else is_covered(tool, lists[label])
            if not fits:
                anew.append(label)
    return anew


def known_lists(order: Order, items: Sequence[Item]) -> dict[str, list[McpToolListing]]:
    """The lists among these items that do for the servers of a request, by label."""
    named = {tool.server_label for tool in order.request.tools if isinstance(tool, McpTool)}
    return {label: tools for label, tools in listed(items).items() if label in named and label not in order.anew}


def listed(items: Sequence[Item]) -> dict[str, list[McpToolListing]]:
    """The tools of servers as lists among these items have them, by label; the last list of a server counts."""
    return {item.server_label: item.tools for item in items if isinstance(item, McpListTools) and not _failed(item)}


def _failed(item: McpListTools) -> bool:
    return item.error is not UNSET and bool(item.error)


def _is_web(url: str) -> bool:
    """Whether a URL may be an MCP server's: of the web, with a host, and with nothing that must not be in one."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0 and "@" not in parts.netloc
