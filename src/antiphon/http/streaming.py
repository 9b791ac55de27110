"""A run and its client: events as they come, or the response when it is whole; a client that leaves stops the model."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from antiphon.backends import UpstreamError
from antiphon.core.sse import FILLER_LENGTH, frames
from antiphon.http.exchange import SSE
from antiphon.http.faults import as_api_error
from antiphon.ids import letters

if TYPE_CHECKING:
    from antiphon.engine import Emit
    from antiphon.http.exchange import Exchange
    from antiphon.lifecycle import Lifecycle, Prepared
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.response import Response

FILLER = letters(FILLER_LENGTH)
HEADERS = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
DONE = b"data: [DONE]\n\n"


class Watched:
    """The emit of a stream: the first events bring the head of the answer, and each call is one write."""

    def __init__(self, exchange: Exchange, *, filler: str | None) -> None:
        self._exchange = exchange
        self._filler = filler

    async def emit(self, events: list[StreamEvent]) -> None:
        """Send events."""
        block = frames(events, self._filler)
        if not self._exchange.push(block):
            await self._write(block)

    async def _write(self, block: bytes) -> None:
        if not self._exchange.started:
            await self._exchange.start(200, SSE, HEADERS)
        await self._exchange.write(block)


async def discard(events: list[StreamEvent]) -> None:
    """The emit of a JSON answer: a stream that nobody watches."""


async def stream(
    exchange: Exchange, lifecycle: Lifecycle, prepared: Prepared, *, filler: str | None, end: bytes
) -> None:
    """Answer with server-sent events. Raises ``ApiError`` where nothing was sent yet."""
    response = await _run(exchange, lifecycle, prepared, Watched(exchange, filler=filler).emit)
    if response is not None:
        await exchange.write(end, more=False)


async def whole(exchange: Exchange, lifecycle: Lifecycle, prepared: Prepared) -> None:
    """Answer with the final response. Raises ``ApiError`` where there is none."""
    response = await _run(exchange, lifecycle, prepared, discard)
    if response is not None:
        await exchange.answer_with(response)


async def _run(exchange: Exchange, lifecycle: Lifecycle, prepared: Prepared, emit: Emit) -> Response | None:
    """The final response; None where the client left before it was whole."""
    run: asyncio.Task[Response] | None = None
    try:
        async with asyncio.TaskGroup() as group:
            run = group.create_task(lifecycle.perform(prepared, emit))  # each event wakes a short stack
            watch = group.create_task(exchange.left())
            watch.add_done_callback(partial(_cancel, run))
            run.add_done_callback(partial(_cancel, watch))
    except* UpstreamError:
        pass  # the run tells it again, and not in a group
    if run is None or run.cancelled():
        return None
    try:
        return run.result()
    except UpstreamError as error:
        raise as_api_error(error) from error


def _cancel(task: asyncio.Task[Response] | asyncio.Task[None], _ended: object) -> None:
    task.cancel()
