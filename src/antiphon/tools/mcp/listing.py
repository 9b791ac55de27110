"""How long a list of tools may be, over all its pages; and what of a page can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from antiphon.tools.mcp.faults import NO_ANSWER, Failing, Fault, http_error, too_large

if TYPE_CHECKING:
    from antiphon.tools.mcp.config import Config

    Raw = dict[str, Any]  # a result of the protocol, as it was sent

LONGEST_DESCRIPTION = 10_000
MOST_PAGES = 100


class Room:
    """What the rest of a listing may still take: so many tools, and so many bytes."""

    def __init__(self, config: Config) -> None:
        self._most_tools = self._tools = config.max_tools
        self._most_bytes = self._bytes = config.max_result_mib << 20
        self.raw: Raw = {}
        """The page that was taken last, as it was sent."""
        self.instead: Raw | None = None
        """What the SDK is given, once, for asking for that page again."""

    def take(self, raw: Raw, size: int) -> Raw:
        """Take a page of so many bytes. Raises `Fault` where there is no room for it."""
        self.raw = raw
        match raw.get("tools"):
            case [*tools]:
                self._tools -= len(tools)
            case _:
                pass
        self._bytes -= size
        if self._tools < 0:
            raise unusable(f"The MCP server has more than {self._most_tools} tools.")
        if self._bytes < 0:
            raise Fault(too_large(self._most_bytes))
        return raw


def unusable(message: str) -> Fault:
    """The fault of a list that cannot be used."""
    return Fault(Failing(error=http_error(NO_ANSWER, message)))
