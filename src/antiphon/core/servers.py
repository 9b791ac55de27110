"""What a request says of the tools of an MCP server: which the model may use, and which a person has to approve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from antiphon.protocol.tool_settings import McpApproval, McpToolFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.protocol.calls import McpToolListing
    from antiphon.protocol.tools import McpTool


def is_allowed(tool: McpTool, listing: McpToolListing) -> bool:
    """Whether the model may know of a tool of this server."""
    match tool.allowed_tools:
        case None:
            return True
        case list() as names:
            return listing.name in names
        case wanted:
            return _matches(wanted, listing)


def is_same(tool: McpTool, before: McpTool) -> bool:
    """Whether a list that was made for the one does for the other: the same tools of the same server."""
    return (tool.server_url, tool.connector_id, tool.allowed_tools) == (
        before.server_url,
        before.connector_id,
        before.allowed_tools,
    )


def is_covered(tool: McpTool, listings: Sequence[McpToolListing]) -> bool:
    """Whether a list has all the tools that a request names: one that was made for fewer is not enough."""
    names = tool.allowed_tools
    return not isinstance(names, list) or {listing.name for listing in listings}.issuperset(names)


def needs_approval(tool: McpTool, listing: McpToolListing) -> bool:
    """Whether a person has to approve each call of a tool: yes, unless the request says clearly that none is needed.

    What is named as ``always`` needs one, whatever is said of ``never``; so does what is named by neither.
    """
    match tool.require_approval:
        case "never":
            return False
        case McpApproval(always=always, never=never):
            return _names(always, listing) or not _names(never, listing)
        case _:
            return True


def is_read_only(listing: McpToolListing) -> bool:
    """Whether the server says of a tool that it changes nothing."""
    return listing.annotations is not UNSET and listing.annotations.get("read_only") is True


def _names(wanted: McpToolFilter | None | UnsetType, listing: McpToolListing) -> bool:
    """Whether a filter of approvals means a tool; an empty one means none."""
    if not isinstance(wanted, McpToolFilter):
        return False
    is_empty = wanted.read_only is None and not isinstance(wanted.tool_names, list)
    return not is_empty and _matches(wanted, listing)


def _matches(wanted: McpToolFilter, listing: McpToolListing) -> bool:
    if isinstance(wanted.tool_names, list) and listing.name not in wanted.tool_names:
        return False
    return wanted.read_only is None or wanted.read_only is is_read_only(listing)
