"""What goes out to a server of somebody else's, as an audit tells it: never a header, never a credential."""

from __future__ import annotations

from msgspec import Struct


class Exchange(Struct, frozen=True):
    """One exchange with an MCP server, as it is about to begin.

    ``response`` is the id of the response that it is for. A listing of tools has no ``tool``; a call has its
    ``arguments`` as JSON text, and the id of the request by which a person approved it, if one did.
    """

    tenant: str
    response: str
    server_label: str
    server_url: str
    tool: str | None = None
    arguments: str | None = None
    approval_request_id: str | None = None
