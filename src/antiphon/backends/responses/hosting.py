"""Hears the items that the upstream's own tools made, where it was handed any: the lists, calls and requests of MCP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from antiphon.backends import UpstreamError
from antiphon.backends.responses.events import ItemHead
from antiphon.backends.responses.shapes import without_nulls
from antiphon.core.deltas import Began, Made
from antiphon.protocol.calls import McpApprovalRequest, McpCall, McpListTools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.core.deltas import Delta

HostedItem = McpListTools | McpCall | McpApprovalRequest

TYPES = frozenset({"mcp_list_tools", "mcp_call", "mcp_approval_request"})


class Hosted:
    """The items of one turn, as far as they have begun and are not made."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def begin(self, item: Raw) -> list[Delta]:
        """An item begins."""
        begun = _read(item)
        self._open.add(begun.id)
        return [Began(begun)]

    def end(self, item: Raw) -> list[Delta]:
        """An item is finished; one whose beginning was never told begins here."""
        made = _read(item)
        begun: list[Delta] = [] if self.is_open(made.id) else [Began(made)]
        self._open.discard(made.id)
        return [*begun, Made(made)]

    def is_open(self, id: str) -> bool:
        """Whether this item has begun and is not made."""
        return id in self._open

    def settle(self, output: Sequence[Raw]) -> list[Delta]:
        """The response has ended: what was never told to be finished is taken from its output."""
        late = [item for item in output if msgspec.json.decode(item, type=ItemHead).id in self._open]
        return [delta for item in late for delta in self.end(item)]


def _read(item: Raw) -> HostedItem:
    """Read an item; a null means that the key is absent, but for one within a schema."""
    try:
        keys = without_nulls(msgspec.json.decode(item, type=dict[str, object]))
        if "tools" in keys:
            tools = msgspec.convert(keys["tools"], list[dict[str, object]])
            keys["tools"] = [without_nulls(tool) for tool in tools]
        read: HostedItem = msgspec.convert(keys, HostedItem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamError(
            "server_error", "The model's server sent an item that is none of the API's.", detail=str(error)
        ) from error
    return read
