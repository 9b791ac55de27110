"""``[mcp]``: how this server speaks to the MCP servers that requests name."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Positive = Annotated[int, Meta(ge=1)]


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[mcp]``: servers of others whose tools requests name, and how much time and room they are given.

    ``audit`` keeps what is shared with MCP servers. ``connectors`` maps a ``connector_id`` to the URL of its server.
    A call may be silent for ``call_seconds``, which each progress notification begins anew, and lasts
    ``longest_call_seconds`` at most; all pages of a listing take ``list_seconds``. A process keeps at most
    ``connections``, each for ``idle_seconds`` after its last use. An answer is at most ``max_result_mib`` MiB long,
    and a server has at most ``max_tools`` tools.
    """

    audit: bool = False
    connectors: dict[str, str] = {}
    call_seconds: Positive = 60
    longest_call_seconds: Positive = 600
    list_seconds: Positive = 30
    connections: Positive = 100
    idle_seconds: Positive = 300
    max_result_mib: Positive = 8
    max_tools: Positive = 1000
