"""MCP: the tools of remote servers that requests name, through the official SDK over connections of our own.

The SDK is imported with the first connection, for what it costs: nothing but `connection` and `wire` knows it.
"""

from __future__ import annotations

from antiphon.tools.mcp.config import Config
from antiphon.tools.mcp.headers import checked_headers
from antiphon.tools.mcp.servers import Server, Servers

__all__ = ["Config", "Server", "Servers", "checked_headers"]
