"""An MCP server of the official SDK in a process of its own, which counts what comes to it.

It speaks streamable HTTP at ``/mcp``, and says at ``/counts`` what it has counted.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, get_args

import msgspec
import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations
from msgspec import Struct

from tests.tools.mcp.serving import Era, Front, Seen, answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

TOOL = "add"
ARGUMENTS = '{"a":1,"b":2}'


class Counts(Struct, frozen=True, kw_only=True):
    """What came to the server so far: connections of TCP, and messages of two methods."""

    connections: int
    lists: int
    calls: int

    def since(self, before: Counts) -> Counts:
        """What came after ``before``."""
        return Counts(
            connections=self.connections - before.connections,
            lists=self.lists - before.lists,
            calls=self.calls - before.calls,
        )


def application(era: Era) -> ASGIApp:
    """Give a server with one small tool, for clients of an era."""
    seen = Seen()
    server = MCPServer("bench", log_level="CRITICAL")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    front = Front(server.streamable_http_app(), seen, era)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/mcp":
            await front(scope, receive, send)
            return
        counts = Counts(
            connections=len(set(seen.connections)), lists=seen.times("tools/list"), calls=seen.times("tools/call")
        )
        content = msgspec.json.encode(counts)
        await answer(send, 200, {"content-type": "application/json", "content-length": str(len(content))}, content)

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--era", choices=get_args(Era), default="newest")
    chosen = parser.parse_args()
    uvicorn.run(application(chosen.era), host="127.0.0.1", port=chosen.port, log_config=None, lifespan="on")
