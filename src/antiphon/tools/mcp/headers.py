"""What a caller gives for its MCP server: which headers may be sent there, and how they are kept out of errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import UNSET

from antiphon.protocol.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from antiphon.protocol.tools import McpTool

MOST_HEADERS = 64
MOST_BYTES = 32 * 1024
SHORTEST_SECRET = 4
REDACTED = "<redacted>"

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OURS = frozenset({
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "keep-alive",
    "accept",
    "accept-encoding",
    "content-type",
    "mcp-method",
    "mcp-name",
    "mcp-session-id",
    "mcp-protocol-version",
    "last-event-id",
})


def checked_headers(tool: McpTool) -> dict[str, str]:
    """The headers that every request to the tool's server carries, its authorization among them.

    Raises `ValueError`, in words for the caller, for what cannot be sent. The message holds no value.
    """
    headers = dict(tool.headers or {})
    seen: set[str] = set()
    for position, (name, value) in enumerate(headers.items(), start=1):
        if not _TOKEN.fullmatch(name):  # not repeated: it may be a secret in the wrong place
            raise ValueError(f"The name of header {position} is no name of a header.")
        _check(name, value)
        if name.lower() in seen:
            raise ValueError(f"The header '{shown(name)}' is given twice.")
        seen.add(name.lower())
    if tool.authorization is not UNSET and tool.authorization is not None:
        if "authorization" in seen:
            raise ValueError("The authorization is given twice, in 'headers' and in 'authorization'.")
        headers["Authorization"] = _bearer(tool.authorization)
    if len(headers) > MOST_HEADERS:
        raise ValueError(f"There are more than {MOST_HEADERS} headers.")
    if sum(len(name) + len(value) for name, value in headers.items()) > MOST_BYTES:
        raise ValueError(f"The headers are longer than {MOST_BYTES} bytes.")
    return headers


def secrets_in(headers: Iterable[str]) -> list[str]:
    """What may not appear in any error, of the values of headers: each whole, and without its scheme. Longest first."""
    found = {part for value in headers for part in (value.strip(), value.strip().rpartition(" ")[2])}
    return sorted((secret for secret in found if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text without any of the secrets."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return text


def _check(name: str, value: str) -> None:
    if name.lower() in _OURS or name.lower().startswith("proxy-"):
        raise ValueError(f"The header '{shown(name)}' belongs to the connection and cannot be set.")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"The value of the header '{shown(name)}' holds characters that cannot be sent.")


def _bearer(authorization: str) -> str:
    if not _VALUE.fullmatch(authorization):
        raise ValueError("The authorization holds characters that cannot be sent.")
    return authorization if authorization.lower().startswith("bearer ") else f"Bearer {authorization}"
