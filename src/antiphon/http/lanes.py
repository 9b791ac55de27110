"""A lane of a WebSocket: its creates one after the other, each with the successors that steers ask for."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from antiphon.backends import UpstreamError
from antiphon.core.sse import name as name_of
from antiphon.core.sse import written
from antiphon.http import watching
from antiphon.http.apart import read_apart
from antiphon.http.faults import as_api_error
from antiphon.http.memory import measured
from antiphon.http.steering import Run, required, with_steers
from antiphon.http.streaming import FILLER
from antiphon.protocol.errors import ApiError
from antiphon.protocol.frames import read_create, refused
from antiphon.protocol.refusals import server_error, store_away
from antiphon.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from antiphon.engine.running import Emit
    from antiphon.http.memory import Memory
    from antiphon.http.outlet import Outlet
    from antiphon.http.steering import Steer, Steering
    from antiphon.lifecycle import Caller, History
    from antiphon.lifecycle.lifecycle import Lifecycle
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.frames import ServerFrame
    from antiphon.protocol.reading import Received
    from antiphon.protocol.request import CreateResponse
    from antiphon.protocol.response import Response

log = logging.getLogger(__name__)

ITEM_DONE = "response.output_item.done"
"""After this event often comes the last one."""
_GONE_ON_FROM = ("completed", "incomplete")
_encode = msgspec.json.Encoder().encode


class Desk:
    """What the lanes of a connection share. ``closing``, once it is set, answers whatever is asked from then on.

    ``deployment`` and ``painter`` are what the handshake named: see `Lifecycle.prepare`. ``is_azure``: its path is one
    of Azure's, and so are the errors. ``admit`` raises ``ApiError`` where the caller may ask for nothing more.
    """

    def __init__(
        self, lifecycle: Lifecycle, caller: Caller, outlet: Outlet, *, memory: Memory, steering: Steering
    ) -> None:
        self.lifecycle = lifecycle
        self.caller = caller
        self.outlet = outlet
        self.memory = memory
        self.steering = steering
        self.deployment: str | None = None
        self.painter: str | None = None
        self.is_azure = False
        self.admit: Callable[[], Awaitable[None]] = _admitted
        self.closing: ApiError | None = None

    def refuse_if_closing(self) -> None:
        """Begin nothing more once the connection is to be closed. Raises ``ApiError``."""
        if self.closing is not None:
            raise self.closing

    async def refuse(self, error: ApiError, lane: str | None) -> None:
        """Tell what is wrong with a frame of a lane, in the words of the path."""
        await self.tell([refused(error.in_azure_words() if self.is_azure else error, lane)])

    async def tell(self, frames: Sequence[ServerFrame]) -> None:
        """Send frames that are no events."""
        if frames:
            await self.outlet.write([_encode(frame) for frame in frames])


async def _admitted() -> None:
    """Whoever was known at the handshake is known."""


class Create(Struct, frozen=True):
    """A create that is not begun, as it was sent; ``held``: the room that it takes in the memory, where it waits."""

    body: bytes
    held: int = 0


class Lane:
    """The creates of one ``stream_id``, or of none. ``waiting`` are those that are not begun."""

    def __init__(self, name: str | None, desk: Desk) -> None:
        self.name = name
        self.waiting: deque[Create] = deque()
        self._desk = desk

    async def refuse_all(self, error: ApiError) -> None:
        """Refuse what waits."""
        count = len(self.waiting)
        while self.waiting:
            self._next()
        for _ in range(count):
            await self._desk.refuse(error, self.name)

    def _next(self) -> bytes:
        create = self.waiting.popleft()
        self._desk.memory.let_go(create.held)
        return create.body

    async def answer(self) -> None:
        """Make the response that the first create asks for, and those that follow it by themselves."""
        try:
            ended = await self._first(*await self._received())
        except Exception as error:  # noqa: BLE001 - the edge of a create: whatever it is, the connection goes on
            refusal = worded(error)
            watching.failed(refusal)
            await self._desk.refuse(refusal, self.name)
            return
        while ended is not None:
            ended = await self._successor(ended)

    async def _received(self) -> tuple[Received, int]:
        """What was asked for, and in how many bytes; its frame is dropped with this one."""
        body = self._next()
        await self._desk.admit()  # again: it may have waited for long
        size = len(body)
        return await read_apart(read_create, body, size=size), size

    async def _first(self, received: Received, size: int) -> Run | None:
        """What a create asks for, after the steers that wait for it."""
        parent = received.request.previous_response_id
        steers = self._desk.steering.waiting(parent, self.name)
        try:
            return await self._perform(with_steers(received, steers) if steers else received, steers, size=size)
        except Exception:
            await self._forget(parent)
            raise

    async def _successor(self, run: Run) -> Run | None:
        """What goes on by itself where a response was steered."""
        try:
            self._desk.refuse_if_closing()
            return await self._perform(run.successor(), run.steers, size=0)
        except Exception as error:  # noqa: BLE001 - the same edge: nobody sent a create that could be refused
            log.info("no successor", extra={"action": "steer_failed", "response": run.id, "code": worded(error).code})
            await self._forget(run.id)
            await self._desk.tell(self._desk.steering.give_up(run.steers, "successor_creation_failed", self.name))
            return None

    async def _perform(self, received: Received, steers: list[Steer], *, size: int) -> Run | None:
        """Make one response; give it where a successor is to follow. Raises what comes before its first event.

        ``size``: the bytes in which it was asked for, beside the steers.
        """
        desk, request = self._desk, received.request
        parent, before = request.previous_response_id, desk.memory.last(self.name)
        desk.memory.use(parent or "")
        prepared = await desk.lifecycle.prepare(
            received, desk.caller, path_deployment=desk.deployment, painter=desk.painter, memory=desk.memory.known
        )
        del received
        size += sum(steer.size for steer in steers)
        unmeasured: list[History] = []

        def remember(response: Response, history: History) -> None:
            if response.status in _GONE_ON_FROM:
                if request.conversation is not None or (parent is not None and parent not in desk.memory.known):
                    unmeasured.append(history)
                added = size + _made(response, history)
                desk.memory.keep(self.name, response.id, history, parent=parent, added=added)

        run = Run(prepared.task.response.id, self.name, request)
        desk.steering.begin(run)
        try:
            emit = self._emit(request, run)
            response = await desk.lifecycle.perform(prepared, emit, reins=run.reins, remember=remember)
        finally:
            desk.steering.end(run)
            desk.memory.end(run.id)
        if unmeasured:
            desk.memory.weigh(run.id, await asyncio.to_thread(measured, unmeasured.pop()))
        desk.steering.commit(parent, steers)
        if before != parent and response.status in _GONE_ON_FROM:
            await desk.tell(desk.steering.give_up_waiting(before, self.name))
        return await self._follow_up(run, response, parent)

    async def _follow_up(self, run: Run, response: Response, parent: str | None) -> Run | None:
        """Decide what becomes of what was said into a response that has ended."""
        steering = self._desk.steering
        if response.status not in _GONE_ON_FROM:
            await self._forget(parent)
            await self._desk.tell(steering.give_up(run.steers, "successor_creation_failed", self.name))
            return None
        if not run.steers:
            return None
        stubs = required(response)
        if stubs:
            await self._desk.tell(steering.wait(run, stubs))
        return None if stubs else run

    def _emit(self, request: CreateResponse, run: Run) -> Emit:
        """The emit of a response: each event a frame, and each call one write."""
        options = request.stream_options
        filler = None if options is not None and options.include_obfuscation is False else FILLER
        outlet, name = self._desk.outlet, self.name
        tail = b"" if name is None else b',"stream_id":"%b"}' % name.encode()

        async def emit(events: Sequence[StreamEvent]) -> None:
            run.emissions += 1
            texts = [written(event, filler) for event in events]
            if tail:
                texts = [text[:-1] + tail for text in texts]
            lingers = len(texts) > 1 and name_of(events[-1]) == ITEM_DONE
            if not outlet.push(texts, lingers=lingers):
                await outlet.write(texts)

        return emit

    async def _forget(self, parent: str | None) -> None:
        """A continuation of the lane's last response has failed: nobody can go on from that one any more."""
        if parent is not None and self._desk.memory.last(self.name) == parent:
            self._desk.memory.forget(parent)
            await self._desk.tell(self._desk.steering.give_up_waiting(parent, self.name))


def _made(response: Response, history: History) -> int:
    """The bytes of what a response has added to its history by itself."""
    ids = [item.id for item in response.output]
    parts = [history.outputs.get(id) for id in ids], [history.thoughts.get(id) for id in ids]
    return len(_encode([response.output, parts]))


def worded(error: Exception) -> ApiError:
    """What the client of a failed create is told."""
    match error:
        case ApiError():
            return error
        case UpstreamError():
            return as_api_error(error)
        case StoreUnavailable():
            log.error("store unavailable", exc_info=error, extra={"action": "store_unavailable"})
            return store_away()
        case _:
            log.error("request failed", exc_info=error, extra={"action": "request_failed"})
            return server_error()
