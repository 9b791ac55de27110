"""A run and its client: events as they come, or the response when it is whole.

A client that leaves stops the model, but not what runs in the background.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct

from antiphon.backends import UpstreamError
from antiphon.core.sse import FILLER_LENGTH, frames
from antiphon.core.telling import retold
from antiphon.engine.reins import Reins
from antiphon.http.exchange import SSE, ClientLeft
from antiphon.http.faults import as_api_error
from antiphon.ids import letters
from antiphon.lifecycle.filling import told_apart

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from antiphon.http.exchange import Exchange
    from antiphon.lifecycle import Prepared
    from antiphon.lifecycle.lifecycle import Lifecycle
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.response import Response

    Fill = Callable[[bytes], Awaitable[bytes]]


class Follow(Protocol):
    """Sends the events of a job as they come; True where the terminal event was the last of them."""

    def __call__(self, *, send: Callable[[bytes], Awaitable[None]]) -> Coroutine[None, None, bool]:
        """See `antiphon.store.hub.Hub.follow`."""
        ...


T = TypeVar("T")

FILLER = letters(FILLER_LENGTH)
HEADERS = [(b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]
DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"


class Heartbeat(Struct, frozen=True):
    """How often a silent stream shows that it lives, in seconds; 0 is never.

    A comment is enough for connections. Some clients count only events: for them the response says again that it is in
    progress.
    """

    comment_seconds: float = 15.0
    event_seconds: float = 60.0


class Terms(Struct, frozen=True):
    """How streams are sent: with which heartbeat, and what ends them after the terminal event."""

    heartbeat: Heartbeat = Heartbeat()
    end: bytes = b""


class Watched:
    """The emit of a stream: the first events bring the head of the answer, and each call is one write.

    ``emissions`` counts the calls.
    """

    __slots__ = ("_exchange", "_filler", "emissions")

    def __init__(self, exchange: Exchange, *, filler: str | None) -> None:
        self.emissions = 0
        self._exchange = exchange
        self._filler = filler

    async def emit(self, events: list[StreamEvent]) -> None:
        """Send events."""
        self.emissions += 1
        block = frames(events, self._filler)
        if not self._exchange.push(block):
            await self._write(block)

    async def _write(self, block: bytes) -> None:
        if not self._exchange.started:
            await self._exchange.start(200, SSE, HEADERS)
        await self._exchange.write(block)


class Pulse:
    """Keeps a stream alive while nothing is said in it."""

    __slots__ = ("_exchange", "_heartbeat")

    def __init__(self, exchange: Exchange, heartbeat: Heartbeat) -> None:
        self._exchange = exchange
        self._heartbeat = heartbeat

    async def beat(self, watched: Watched, reins: Reins) -> None:
        """Beat until cancelled. What the run holds back until its model is heard is told at the first beat."""
        step = min((each for each in _seconds(self._heartbeat) if each > 0), default=0.0)
        heard, silent = 0, 0.0
        while step:
            await asyncio.sleep(step)
            silent = silent + step if watched.emissions == heard else 0.0
            heard = watched.emissions
            if not silent:
                continue
            if not self._exchange.started or 0 < self._heartbeat.event_seconds <= silent:
                await reins.beat()
                heard, silent = watched.emissions, 0.0
            elif self._heartbeat.comment_seconds:
                await self._exchange.write(COMMENT)

    async def comment(self) -> None:
        """Send comments until cancelled, whatever else is sent."""
        while self._heartbeat.comment_seconds:
            await asyncio.sleep(self._heartbeat.comment_seconds)
            await self._exchange.write(COMMENT)


def _seconds(heartbeat: Heartbeat) -> tuple[float, float]:
    return heartbeat.comment_seconds, heartbeat.event_seconds


async def discard(events: list[StreamEvent]) -> None:
    """The emit of a JSON answer: a stream that nobody watches."""


async def stream(
    exchange: Exchange, lifecycle: Lifecycle, prepared: Prepared, *, filler: str | None, terms: Terms
) -> None:
    """Answer with server-sent events. Raises ``ApiError`` where nothing was sent yet."""
    watched, reins = Watched(exchange, filler=filler), Reins()
    pulse = Pulse(exchange, terms.heartbeat).beat(watched, reins)
    response = await _run(exchange, lifecycle.perform(prepared, watched.emit, reins=reins), pulse)
    if response is not None:
        await exchange.write(terms.end, more=False)


async def whole(exchange: Exchange, lifecycle: Lifecycle, prepared: Prepared) -> None:
    """Answer with the final response. Raises ``ApiError`` where there is none."""
    response = await _run(exchange, lifecycle.perform(prepared, discard))
    if response is not None:
        await exchange.answer_with(response)


async def attended(exchange: Exchange, work: Coroutine[None, None, T]) -> T:
    """What comes of work that is given up where its client leaves. Raises `ClientLeft`, and what the work raises."""
    task = await _while_there(exchange, work)
    if task.cancelled():
        raise ClientLeft
    return task.result()


async def follow(exchange: Exchange, events: Follow, *, filled: Fill, terms: Terms) -> None:
    """Answer with the events of a background response; a client that leaves stops nothing.

    ``filled`` fills in the pictures that lie elsewhere. What ends before its terminal event, as this process stops, has
    no end mark: the client goes on elsewhere.
    """
    await exchange.start(200, SSE, HEADERS)

    async def send(block: bytes) -> None:
        for piece in told_apart(block):
            whole = await filled(piece)
            if not exchange.push(whole):
                await exchange.write(whole)

    followed = await _while_there(exchange, events(send=send), Pulse(exchange, terms.heartbeat).comment())
    if not followed.cancelled():
        await exchange.write(terms.end if followed.result() else b"", more=False)


async def retell(exchange: Exchange, response: Response, *, after: int, end: bytes) -> None:
    """Answer with the events behind number ``after`` that a finished response would have had."""
    await exchange.start(200, SSE, HEADERS)
    told = frames([event for event in retold(response) if event.sequence_number > after])
    await exchange.write(told + end, more=False)


async def _run(
    exchange: Exchange, performance: Coroutine[None, None, Response], pulse: Coroutine[None, None, None] | None = None
) -> Response | None:
    """The final response; None where the client left before it was whole."""
    run = await _while_there(exchange, performance, pulse)
    if run.cancelled():
        return None
    try:
        return run.result()
    except UpstreamError as error:
        raise as_api_error(error) from error


async def _while_there(
    exchange: Exchange, work: Coroutine[None, None, T], beside: Coroutine[None, None, None] | None = None
) -> asyncio.Task[T]:
    """Do something until it is done or the client has left, and then it is cancelled; give its task, which is over.

    What goes on ``beside`` it ends with it.
    """
    started: list[asyncio.Task[T]] = []
    with suppress(BaseExceptionGroup):  # the task tells it again, and not in a group
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)  # each event wakes a short stack
            started.append(task)
            watch = group.create_task(exchange.left())
            watch.add_done_callback(partial(_cancel, task))
            task.add_done_callback(partial(_cancel, watch))
            if beside is not None:
                task.add_done_callback(partial(_cancel, group.create_task(beside)))
    return started[0]


def _cancel(task: asyncio.Task[object], _ended: object) -> None:
    task.cancel()
