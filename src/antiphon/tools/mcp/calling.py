"""One tool of an MCP server, and what a call of it says to the client and to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import anyio
import msgspec
from anyio import CancelScope

from antiphon.core.mcp_calls import McpKind
from antiphon.protocol.calls import McpCall, McpHttpError, McpProtocolError, McpToolExecutionError
from antiphon.tools import Answer
from antiphon.tools.mcp import results
from antiphon.tools.mcp.faults import CALL_TIMED_OUT, Fault, outcome

if TYPE_CHECKING:
    from antiphon.core.calls import CallKind, OpenCall
    from antiphon.core.turn import Output
    from antiphon.protocol.calls import McpToolListing
    from antiphon.tools import Report
    from antiphon.tools.mcp.faults import Error
    from antiphon.tools.mcp.servers import Server

    Arguments = dict[str, Any]  # what a model wrote for a schema that is open

INVALID_PARAMS = -32602
UNKNOWN_OUTCOME = -32000
SECONDS_BETWEEN_REPORTS = 1.0


class Progress(Protocol):
    """Takes the progress notifications of a call, as the SDK gives them."""

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        """Take one."""
        ...


class RemoteTool:
    """A tool of a server's; a call of it is made once, or certainly not at all."""

    def __init__(self, server: Server, listing: McpToolListing, approval_request_id: str | None) -> None:
        self.kind: CallKind = McpKind(server.label, listing.name, approval_request_id)
        self._approval_request_id = approval_request_id
        self._server = server
        self._listing = listing

    async def call(self, call: OpenCall, report: Report) -> Answer:
        """Call the tool, within the server's time. Never raises for what the server does."""
        try:
            arguments = msgspec.json.decode(call.arguments, type=dict[str, Any])  # the tool's schema is open
        except (msgspec.DecodeError, RecursionError):
            error = McpProtocolError(code=INVALID_PARAMS, message="The arguments are not a JSON object.")
            answer = self._failed(call, error, error.message)
        else:
            answer = await self._audited(call, arguments, report)
        item = answer.item
        is_failed = isinstance(item, McpCall) and item.error is not None
        await report("response.mcp_call.failed" if is_failed else "response.mcp_call.completed")
        return answer

    def repeats(self, call: OpenCall) -> bool:
        """Whether the server says that the tool only reads, or that twice is as once."""
        hints = self._listing.annotations or {}
        return hints.get("read_only") is True or hints.get("idempotent") is True

    def lost(self, call: OpenCall) -> Answer:
        """The call was begun, and nobody knows whether it reached the server."""
        message = "The outcome of this call is unknown: the server that made it stopped before the answer came."
        error = McpProtocolError(code=UNKNOWN_OUTCOME, message=message)
        advice = "It may have taken effect. Decide whether to check, to call again, or to tell the user."
        return self._failed(call, error, f"{message} {advice}")

    async def _audited(self, call: OpenCall, arguments: Arguments, report: Report) -> Answer:
        asked = self._server.exchange(
            tool=self._listing.name, arguments=call.arguments, approval_request_id=self._approval_request_id
        )
        async with self._server.audited(asked) as note:
            answer = await self._answer(call, arguments, report)
            note.outcome = outcome(answer.item.error if isinstance(answer.item, McpCall) else None)
        return answer

    async def _answer(self, call: OpenCall, arguments: Arguments, report: Report) -> Answer:
        config = self._server.config
        with CancelScope(deadline=anyio.current_time() + config.call_seconds) as scope:
            pulse = _Pulse(report, scope, silence=config.call_seconds, longest=config.longest_call_seconds)
            try:
                raw = await self._server.call(self._listing.name, arguments, pulse.beat)
            except Fault as fault:
                return self._not_made(call, fault.failing.error)
            finally:
                await pulse.end()
            return self._made(call, results.read(raw))
        return self._not_made(call, CALL_TIMED_OUT.error)

    def _made(self, call: OpenCall, result: results.Result) -> Answer:
        secrets = self._server.secrets
        if result.is_error:
            error = McpToolExecutionError(content=results.error_content(result, secrets))
            return self._failed(call, error, results.error_text(result, secrets))
        item = self._item(call, "completed", output=results.for_client(result))
        return Answer(item=item, output=results.for_model(result, sees_images=self._server.sees_images))

    def _not_made(self, call: OpenCall, error: McpProtocolError | McpHttpError) -> Answer:
        match error:
            case McpProtocolError(code=code, message=message):
                error = McpProtocolError(code=code, message=results.error_message(message, self._server.secrets))
            case McpHttpError():
                pass
        return self._failed(call, error, error.message)

    def _failed(self, call: OpenCall, error: Error, message: str) -> Answer:
        output: Output = f"The call of this tool failed: {message}" if message else "The call of this tool failed."
        return Answer(item=self._item(call, "failed", error=error), output=output)

    def _item(
        self,
        call: OpenCall,
        status: Literal["completed", "failed"],
        *,
        output: str | None = None,
        error: Error | None = None,
    ) -> McpCall:
        return McpCall(
            id=call.id,
            status=status,
            approval_request_id=self._approval_request_id,
            arguments=call.arguments,
            error=error,
            name=self._listing.name,
            output=output,
            server_label=self._server.label,
        )


class _Pulse:
    """Progress notifications: each begins the permitted silence anew, and now and then one is told to the client."""

    def __init__(self, report: Report, scope: CancelScope, *, silence: float, longest: float) -> None:
        self._report = report
        self._scope = scope
        self._silence = silence
        self._latest = anyio.current_time() + longest
        self._told_at = float("-inf")
        self._telling = anyio.Lock()
        self._is_over = False

    async def beat(self, progress: float, total: float | None, message: str | None) -> None:
        """Take a notification. It comes in a task of the SDK's."""
        now = anyio.current_time()
        if self._is_over:
            return
        self._scope.deadline = min(now + self._silence, self._latest)
        if now - self._told_at < SECONDS_BETWEEN_REPORTS:
            return
        self._told_at = now
        async with self._telling:
            if not self._is_over:
                await self._report("response.mcp_call.in_progress")

    async def end(self) -> None:
        """Nothing is told after this."""
        self._is_over = True
        if self._telling.locked():
            async with self._telling:
                pass
