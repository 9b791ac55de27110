"""What can go wrong with an MCP server, in words that are ours alone, and what is known of one exchange with it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any  # what servers send is open

from msgspec import Struct

from antiphon.protocol.calls import McpHttpError, McpProtocolError, McpToolExecutionError

if TYPE_CHECKING:
    import anyio

    from antiphon.tools.mcp.listing import Room

    Error = McpProtocolError | McpHttpError | McpToolExecutionError

NO_ANSWER = 424  # where a server gave no status: what the request depends on has failed
TIMED_OUT = 408


class Failing(Struct, frozen=True):
    """How an exchange failed.

    ``is_refused``: the URL leads where this server does not go. ``is_unsent``: the request certainly took no effect.
    ``is_broken``: the connection is of no more use.
    """

    error: McpProtocolError | McpHttpError
    is_refused: bool = False
    is_unsent: bool = False
    is_broken: bool = False

    @property
    def is_worth_another(self) -> bool:
        """Whether the same over a new connection may do, and cannot have been done already."""
        return self.is_unsent and self.is_broken and not self.is_refused and self.error.code != TIMED_OUT


class Fault(Exception):
    """An exchange with an MCP server failed."""

    def __init__(self, failing: Failing) -> None:
        super().__init__(failing.error.message)
        self.failing = failing


class Facts:
    """What the transport has seen of an exchange. ``scope`` is cancelled as soon as the exchange has failed.

    ``room`` is what a list of tools may take. ``taken`` is how many bytes of events came, and ``resumed`` how often
    the SDK asked for the rest of them. ``result`` is what a call gave, as it was sent.
    """

    def __init__(self, scope: anyio.CancelScope | None = None, room: Room | None = None) -> None:
        self.scope = scope
        self.room = room
        self.taken = 0
        self.resumed = 0
        self.failing: Failing | None = None
        self.result: dict[str, Any] | None = None  # what servers send is open
        self.status: int | None = None
        self.is_sent = False
        self.is_cut = False
        self.is_session_lost = False
        self.told_error = False

    def fail(self, failing: Failing) -> None:
        """End the exchange with the first failure that is known."""
        self.failing = self.failing or failing
        if self.scope is not None:
            self.scope.cancel()


current_facts: ContextVar[Facts] = ContextVar("what is known of the exchange that a request belongs to")


def http_error(code: int, message: str) -> McpHttpError:
    """The error of a server that did not answer, or not in the protocol."""
    return McpHttpError(code=code, message=message)


def status_error(status: int) -> McpHttpError:
    """The error of a server that answered with an HTTP status alone."""
    return McpHttpError(code=status, message=f"The MCP server answered with status {status}.")


NOT_MCP = Failing(error=http_error(NO_ANSWER, "The MCP server's answer is not one of the protocol."), is_broken=True)
CUT_OFF = Failing(error=http_error(NO_ANSWER, "The MCP server's answer was cut off."))
CONNECTION_LOST = Failing(error=http_error(NO_ANSWER, "The connection to the MCP server was lost."), is_broken=True)
CALL_TIMED_OUT = Failing(error=http_error(TIMED_OUT, "The MCP server did not answer in time."))
ASKS_BACK = Failing(error=http_error(NO_ANSWER, "The MCP server asks for input that this server cannot give."))


def too_large(limit: int) -> Failing:
    """The failing of an answer over the limit of so many bytes."""
    return Failing(error=http_error(NO_ANSWER, f"The MCP server's answer is longer than {limit} bytes."))


def outcome(error: Error | str | None) -> str:
    """How an audit calls the end of an exchange."""
    match error:
        case None:
            return "completed"
        case McpHttpError(code=code):
            return f"http_error {code}"
        case McpProtocolError(code=code):
            return f"mcp_protocol_error {code}"
        case McpToolExecutionError():
            return "mcp_tool_execution_error"
        case str():
            return "error"
