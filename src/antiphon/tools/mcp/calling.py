"""One tool of an MCP server, and what a call of it says to the client and to the model."""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Literal, Protocol

import anyio
import msgspec
from anyio import CancelScope

from antiphon.core.mcp_calls import McpKind
from antiphon.protocol.calls import McpCall, McpHttpError, McpProtocolError, McpToolExecutionError
from antiphon.protocol.content import InputText
from antiphon.protocol.parts import Json
from antiphon.tools import Answer
from antiphon.tools.mcp import results
from antiphon.tools.mcp.faults import CALL_TIMED_OUT, Fault, outcome
from antiphon.tools.mcp.headers import redacted

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from antiphon.core.calls import CallKind, OpenCall
    from antiphon.core.turn import Output
    from antiphon.protocol.calls import McpToolListing
    from antiphon.tools import Report
    from antiphon.tools.mcp.config import Config
    from antiphon.tools.mcp.faults import Error
    from antiphon.tools.mcp.servers import Server

    Arguments = dict[str, Any]  # what a model wrote for a schema that is open

INVALID_PARAMS = -32602
UNKNOWN_OUTCOME = -32000
SECONDS_BETWEEN_REPORTS = 1.0
SHORTEST_IN_RESULTS = 8
"""Characters of a secret that is looked for in results, where a shorter one may be a word."""
DEEPEST = 200
"""So deep arguments may be nested: the SDK can write no more than some 250 levels, and would end the session."""


class Progress(Protocol):
    """How a call gets on."""

    @property
    def is_late(self) -> bool:
        """Whether its time is over."""
        ...

    def beat(self) -> None:
        """Take a notification of progress."""
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
            answer = self._unfit(call, "The arguments are not a JSON object.")
        else:
            if _is_deep(call.arguments, arguments):
                answer = self._unfit(call, f"The arguments are nested more than {DEEPEST} levels deep.")
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
        group = anyio.create_task_group()
        pulse = _Pulse(report, group, self._server.config)
        answers: list[Answer] = []
        async with self._server.audited(asked) as note, group:
            answers.append(await self._answer(call, arguments, pulse))
            item = answers[0].item
            note.outcome = outcome(item.error if isinstance(item, McpCall) else None)
        if pulse.error is not None:
            raise pulse.error
        return answers[0]

    async def _answer(self, call: OpenCall, arguments: Arguments, pulse: _Pulse) -> Answer:
        with pulse.scope:
            try:
                raw = await self._server.call(self._listing.name, arguments, pulse)
            except Fault as fault:
                return self._not_made(call, fault.failing.error)
            finally:
                pulse.end()
            return self._made(call, results.read(raw))
        return self._not_made(call, CALL_TIMED_OUT.error)

    def _unfit(self, call: OpenCall, message: str) -> Answer:
        return self._failed(call, McpProtocolError(code=INVALID_PARAMS, message=message), message)

    def _made(self, call: OpenCall, result: results.Result) -> Answer:
        secrets = self._server.secrets
        if result.is_error:
            error = McpToolExecutionError(content=results.error_content(result, secrets))
            return self._failed(call, error, results.error_text(result, secrets))
        item = self._item(call, "completed", output=self._hiding(results.for_client(result)))
        match results.for_model(result, sees_images=self._server.sees_images):
            case str(text):
                return Answer(item=item, output=self._hiding(text))
            case parts:
                hidden = [
                    InputText(text=self._hiding(part.text)) if isinstance(part, InputText) else part for part in parts
                ]
                return Answer(item=item, output=hidden)

    def _hiding(self, text: str) -> str:
        """A result without what the caller gave the server in confidence: results are kept."""
        return redacted(text, [secret for secret in self._server.secrets if len(secret) >= SHORTEST_IN_RESULTS])

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


def _is_deep(text: str, arguments: Arguments) -> bool:
    if text.count("{") + text.count("[") <= DEEPEST:
        return False
    level: list[Json] = [arguments]
    for _ in range(DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
    return bool(level)


def _inside(value: Json) -> list[Json]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []


class _Pulse:
    """Progress notifications: each begins the permitted silence anew, and now and then one is told to the client.

    They come in a task of the connection's, which may end at any time. What is told is numbered, so it is told in the
    tasks of the call, which waits for them.
    """

    def __init__(self, report: Report, group: TaskGroup, config: Config) -> None:
        self._report = report
        self._group = group
        self._context = copy_context()
        self._silence = config.call_seconds
        self._latest = anyio.current_time() + config.longest_call_seconds
        self._told_at = float("-inf")
        self._is_telling = False
        self._is_over = False
        self.scope = CancelScope(deadline=anyio.current_time() + config.call_seconds)
        self.error: Exception | None = None
        """Why something could not be told to the client."""

    @property
    def is_late(self) -> bool:
        """Whether the time of the call is over."""
        return anyio.current_time() >= self.scope.deadline

    def beat(self) -> None:
        """Take a notification."""
        if self._is_over:
            return
        now = anyio.current_time()
        self.scope.deadline = min(now + self._silence, self._latest)
        if self._is_telling or now - self._told_at < SECONDS_BETWEEN_REPORTS:
            return
        self._told_at = now
        self._is_telling = True
        self._context.run(self._group.start_soon, self._tell)

    def end(self) -> None:
        """Nothing more is told after what is being told."""
        self._is_over = True

    async def _tell(self) -> None:
        try:
            if not self._is_over:
                await self._report("response.mcp_call.in_progress")
        except Exception as error:  # noqa: BLE001 - raised again by the call, once its end is kept
            self.error = error
        finally:
            self._is_telling = False
