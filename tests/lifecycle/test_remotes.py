"""The MCP servers of a request: which can be meant, and which lists do for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

import msgspec
import pytest

from antiphon.lifecycle.remotes import Party, Remotes, outdated
from antiphon.outbound import Config as OutboundConfig
from antiphon.outbound import Outbound
from antiphon.protocol.calls import McpListTools, McpToolListing
from antiphon.protocol.errors import ApiError
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.tools import McpTool
from antiphon.tools.mcp.config import Config
from antiphon.tools.mcp.servers import Servers

if TYPE_CHECKING:
    from antiphon.lifecycle.approving import Approving

LISTED = [
    McpListTools(
        id="mcpl_1",
        server_label="s",
        tools=[McpToolListing(name=name, input_schema={}) for name in ("read", "write")],
    )
]


def tool(**settings: Any) -> dict[str, Any]:  # JSON
    """A server as a request names it."""
    return {"type": "mcp", "server_label": "s", "server_url": "https://s.example/mcp", **settings}


def request(*tools: dict[str, Any]) -> CreateResponse:  # JSON
    """A request with these tools."""
    return msgspec.convert({"model": "m", "input": [], "tools": tools}, CreateResponse)


@pytest.fixture
def remotes(approving: Approving) -> Remotes:
    """Connects requests with servers; nothing is asked of any."""
    servers = Servers(Config(), Outbound(OutboundConfig()), audit=None)
    return Remotes(servers, approving, {"connector_gmail": "https://mail.example/mcp"})


def refusal(remotes: Remotes, *tools: dict[str, Any]) -> tuple[int, str | None]:  # JSON
    """The status and the parameter of what the caller is told."""
    with pytest.raises(ApiError) as raised:
        remotes.named(request(*tools), Party("a", "resp_1", sees_images=False))
    return raised.value.status, raised.value.error.param


@pytest.mark.anyio
@pytest.mark.parametrize(
    "url",
    [
        "",
        "s.example/mcp",
        "file:///etc/passwd",
        "ftp://s.example",
        "https://",
        "https:///mcp",
        "https://user:word@s.example/mcp",
        "https://s.example:0/mcp",
        "https://s.example:99999/mcp",
        "https://s.example/m cp",
        "https://s.example/\nmcp",
        "https://[::1/mcp",
        "javascript:alert(1)",
    ],
)
async def test_what_is_no_url_of_the_web_is_refused(remotes: Remotes, url: str) -> None:
    """Before anything is asked of anybody."""
    assert (400, "tools[0].server_url") == refusal(remotes, tool(server_url=url))


@pytest.mark.anyio
async def test_connectors_and_tunnels_are_refused_unless_they_lead_somewhere(remotes: Remotes) -> None:
    """By their places in the request."""
    bare = {"type": "mcp", "server_label": "s"}
    assert (400, "tools[1].connector_id") == refusal(
        remotes, tool(), {**bare, "server_label": "t", "connector_id": "connector_dropbox"}
    )
    assert (400, "tools[0].tunnel_id") == refusal(remotes, {**bare, "tunnel_id": f"tunnel_{'0' * 32}"})
    party = Party("a", "resp_1", sees_images=False)
    named = remotes.named(request({**bare, "connector_id": "connector_gmail"}), party)
    assert {"s": "https://mail.example/mcp"} == {label: server.url for label, server in named.items()}


@pytest.mark.anyio
async def test_headers_that_cannot_be_sent_are_refused(remotes: Remotes) -> None:
    """By their place."""
    assert (400, "tools[0].headers") == refusal(remotes, tool(headers={"Host": "other.example"}))


@pytest.mark.parametrize(
    ("before", "now", "anew"),
    [
        ({}, {}, []),
        ({"allowed_tools": ["read"]}, {"allowed_tools": ["read"]}, []),
        ({"allowed_tools": ["read"]}, {}, ["s"]),
        ({"allowed_tools": ["read"]}, {"allowed_tools": {"read_only": True}}, ["s"]),
        ({}, {"allowed_tools": ["read"]}, ["s"]),
        ({"allowed_tools": ["gone"]}, {"allowed_tools": ["gone"]}, []),
        ({}, {"server_url": "https://t.example/mcp"}, ["s"]),
        ({"server_label": "other"}, {"allowed_tools": ["read"]}, []),
        ({"server_label": "other"}, {"allowed_tools": ["late"]}, ["s"]),
    ],
)
def test_a_list_does_for_what_it_was_made_for(before: dict[str, Any], now: dict[str, Any], anew: list[str]) -> None:
    """The same tools of the same server; of a history that the caller keeps, for the tools that stand in it."""
    assert anew == outdated(request(tool(**now)), LISTED, [msgspec.convert(tool(**before), McpTool)])
