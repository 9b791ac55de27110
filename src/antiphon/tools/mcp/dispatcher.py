"""The SDK's dispatcher, that gives a server no more than it may have; imported with the SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from mcp.shared.dispatcher import coerce_request_id
from mcp.shared.jsonrpc_dispatcher import JSONRPCDispatcher
from pydantic_core import to_json

from antiphon.tools.mcp.faults import current_facts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextvars import Context

    from mcp.client._transport import TransportStreams
    from mcp.shared.dispatcher import CallOptions, OnNotify, OnRequest
    from mcp.shared.message import MessageMetadata
    from mcp_types import JSONRPCNotification, JSONRPCRequest

    Raw = dict[str, Any]  # a result of the protocol, as it was sent

MOST_REQUESTS = 8
"""So many requests of a server's are answered at a time, and further ones never."""

FAREWELL_SECONDS = 5.0


class OnProgress:
    """What a call does with each progress notification: no task is made for it, for a server may send very many."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self.beat = beat

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        """Take a notification as the SDK gives it."""
        self.beat()


class Dispatcher(JSONRPCDispatcher):
    """Tells of answers and of its end, looks at the size of lists of tools, and bounds what a server can make it do."""

    def __init__(self, streams: TransportStreams, *, ended: Callable[[], None], answered: Callable[[], None]) -> None:
        super().__init__(*streams)
        self._ended = ended
        self._answered = answered
        self._asked = 0

    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,  # as the SDK has it
        opts: CallOptions | None = None,
        **related: Any,  # of the SDK alone
    ) -> Raw:
        """Send a request. Raises `Fault` for a list of tools that is too long, before anybody looks at each of them."""
        room = current_facts.get().room if method == "tools/list" else None
        if room is not None and room.instead is not None:
            raw, room.instead = room.instead, None
            return raw
        raw = await super().send_raw_request(method, params, opts, **related)
        if method == "tools/call":
            current_facts.get().result = raw
        return raw if room is None else room.take(raw, len(to_json(raw)))

    def _fan_out_closed(self) -> None:
        self._ended()  # before anyone who waits is told
        super()._fan_out_closed()

    async def _dispatch_request(
        self, req: JSONRPCRequest, metadata: MessageMetadata, on_request: OnRequest, sender_ctx: Context | None
    ) -> None:
        if self._asked < MOST_REQUESTS:
            self._asked += 1
            await super()._dispatch_request(req, metadata, on_request, sender_ctx)

    async def _handle_request(
        self,
        req: JSONRPCRequest,
        dctx: Any,  # a private type of the SDK's
        scope: anyio.CancelScope,
        on_request: OnRequest,
    ) -> None:
        try:
            await super()._handle_request(req, dctx, scope, on_request)
        finally:
            self._asked -= 1

    def _dispatch_notification(
        self, msg: JSONRPCNotification, metadata: MessageMetadata, on_notify: OnNotify, sender_ctx: Context | None
    ) -> None:
        """Take progress; nobody here listens to anything else."""
        match msg.params:
            case {"progressToken": str() | int() as token} if msg.method == "notifications/progress":
                pending = self._pending.get(coerce_request_id(token))
                if pending is not None and isinstance(pending.on_progress, OnProgress):
                    pending.on_progress.beat()
            case _:
                pass

    def _resolve_pending(self, request_id: int | str | None, outcome: Any) -> None:  # a result or an error
        if request_id is not None and coerce_request_id(request_id) in self._pending:
            self._answered()
        super()._resolve_pending(request_id, outcome)

    async def _final_write(
        self,
        write: Callable[[], Awaitable[None]],
        **how: Any,  # of the SDK alone: with a shield, and for some seconds
    ) -> None:
        """Send a last word on a request, such as that it is cancelled. Whoever cancels does not wait for it."""

        async def written() -> None:
            with anyio.move_on_after(FAREWELL_SECONDS):
                await write()

        if self._tg is not None:
            self._tg.start_soon(written)
