"""The second door: a hosted tool. It reports phases and returns an answer; it never makes an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from antiphon.core.turn import Output
from antiphon.protocol.items import OutputItem
from antiphon.protocol.response import ImageToolUsage
from antiphon.protocol.tools import Tool as RequestTool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from antiphon.core.calls import CallKind, OpenCall, Phase
    from antiphon.core.exchanges import Exchange
    from antiphon.protocol.calls import McpToolListing
    from antiphon.protocol.tools import McpTool

    Report = Callable[[Phase], Awaitable[None]]


class Answer(Struct, frozen=True):
    """The two faces of an answer: the finished *item* that the client sees, and the *output* that the model reads.

    A call that failed is an answer too: its item says ``failed`` and its output tells the model why. ``usage`` is what
    pictures cost, where they cost tokens. ``found`` are the tools that a search for tools found: the model may call
    them from then on.
    """

    item: OutputItem
    output: Output
    usage: ImageToolUsage | None = None
    found: list[RequestTool] | None = None


class Tool(Protocol):
    """A tool that the server runs."""

    kind: CallKind

    async def call(self, call: OpenCall, report: Report) -> Answer:
        """Run the call.

        ``report`` takes a phase's event name, such as ``response.web_search_call.searching``, or a `Glimpse`.
        """
        ...

    def repeats(self, call: OpenCall) -> bool:
        """Whether the call may be made again where nobody knows if it was made: it reads, or twice is as once."""
        ...

    def lost(self, call: OpenCall) -> Answer:
        """The answer to a call that was begun by a process that is gone, and that is not made again.

        Its item says that the outcome is unknown, and its output lets the model decide what to do.
        """
        ...


class Unlisted(Exception):
    """A server's tools could not be listed.

    ``status`` is the HTTP status that it answered, 424 where it answered none; the message is for the caller and holds
    nothing of what the server said. ``is_refused``: its URL leads where this server does not go.
    """

    def __init__(self, message: str, *, status: int = 424, is_refused: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.is_refused = is_refused


class ToolServer(Protocol):
    """A server of somebody else's whose tools a request names; what they are it tells when it is asked."""

    label: str
    url: str

    async def list(self) -> list[McpToolListing]:
        """Its tools that the request allows, as it describes them. Raises `Unlisted`."""
        ...

    def tool(self, listing: McpToolListing, approval_request_id: str | None = None) -> Tool:
        """One of its tools, ready to be called; of a call that a person approved, the id of the request."""
        ...


class ToolServers(Protocol):
    """Gives the servers that requests name. Connections to them live while ``run`` does."""

    async def run(self) -> None:
        """Be there for connections until cancelled; then close them all."""
        ...

    def server(self, tool: McpTool, *, url: str, tenant: str, response: str, sees_images: bool) -> ToolServer:
        """A server at a URL, as one tenant reaches it for one response. Nothing is asked of it yet.

        Raises ``ValueError``, with words for the caller, for headers that cannot be sent.
        """
        ...


class Audit(Protocol):
    """Keeps what is shared with servers of others."""

    async def begin(self, exchange: Exchange) -> int:
        """Keep, durably, that an exchange is about to begin; return its number."""
        ...

    async def end(self, number: int, outcome: str) -> None:
        """Keep how an exchange ended: ``completed``, or the kind of its error."""
        ...
