"""``/responses`` over a WebSocket: the one place where it differs from server-sent events.

A connection carries creates in lanes, and the events of their responses as JSON text frames. Whatever is wrong with a
frame is told in an ``error`` frame, and the connection goes on. A client that leaves stops its models.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from starlette.routing import compile_path

from antiphon.http import watching
from antiphon.http.apart import read_apart
from antiphon.http.app import MOUNTS, check_api_version
from antiphon.http.exchange import SHORT_WAY, Exchange
from antiphon.http.lanes import Create, Desk, Lane
from antiphon.http.memory import Memory, Room
from antiphon.http.outlet import Outlet
from antiphon.http.steering import Steering
from antiphon.protocol import frames
from antiphon.protocol.errors import ApiError, rate_limited, shown, unknown_url
from antiphon.protocol.refusals import server_error, store_away
from antiphon.store import StoreUnavailable
from antiphon.telemetry import trail

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Message, Receive, Scope, Send

    from antiphon.http.auth import Auth
    from antiphon.http.outlet import Line
    from antiphon.lifecycle import Caller
    from antiphon.lifecycle.lifecycle import Lifecycle

log = logging.getLogger(__name__)

REFUSAL = "websocket.http.response"
"""The ASGI extension by which a handshake is refused in words."""
GOING_AWAY = 1001
RESTARTING = 1012
WINDING_UP_SECONDS = 60.0
"""How long responses may go on that run when a connection is to be closed."""

Ending = Literal["left", "stopped", "expired"]


class Terms(Struct, frozen=True, kw_only=True):
    """What a connection may do.

    ``message_bytes``: how long a frame may be, and how much may wait at a time. ``memory_bytes``: how much all
    connections may hold together of what waits and of what they remember. ``life_seconds``: how long one may be open.
    ``patience_seconds``: how long a client may read nothing. ``in_flight``: how many responses it makes at a time, and
    ``waiting`` how many more it may ask for. ``heartbeat_seconds``: after how long a silence a response says again that
    it is in progress, for clients that count only events; 0: never.
    """

    message_bytes: int
    memory_bytes: int = 256 * 1024 * 1024
    life_seconds: float = 3600.0
    patience_seconds: float = 60.0
    in_flight: int = 16
    waiting: int = 512
    heartbeat_seconds: float = 60.0


class WebSockets:
    """Answers the upgrade of ``GET /responses`` (ASGI). ``region``: see `Exchange`."""

    def __init__(self, lifecycle: Lifecycle, auth: Auth, terms: Terms, *, region: str | None = None) -> None:
        self._lifecycle = lifecycle
        self._auth = auth
        self._region = region
        self._terms = terms
        self._room = Room(terms.memory_bytes)
        self._paths = {route: compile_path(route)[0] for route in (mount + "/responses" for mount in MOUNTS)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a handshake, and all that comes over its connection."""
        exchange = Exchange({**scope, "method": "GET"}, receive, _refusing(scope, send), region=self._region)
        work = trail.current()
        work.request, work.client_request = exchange.request_id, exchange.client_request
        await receive()
        try:
            caller = await self._caller(exchange)
        except ApiError as error:
            log.info("request refused", extra={"action": "request_refused", "status": error.status, "code": error.code})
            await exchange.refuse(error)
            watching.handshake(exchange)
            return
        work.tenant, exchange.status = caller.tenant, HTTPStatus.SWITCHING_PROTOCOLS
        watching.handshake(exchange)
        line = _short_way(scope)
        await send({"type": "websocket.accept", "headers": exchange.names()})
        memory = Memory(self._room, self._terms.message_bytes)
        connection = Connection(self._lifecycle, caller, send, line=line, terms=self._terms, memory=memory)
        connection.desk.admit = partial(self._readmit, exchange.headers)
        connection.desk.deployment = exchange.params.get("deployment")
        connection.desk.is_azure = exchange.is_azure
        connection.desk.painter = exchange.headers.get("x-ms-oai-image-generation-deployment")
        try:
            await connection.live(receive)
        finally:
            memory.leave()

    async def _caller(self, exchange: Exchange) -> Caller:
        """Who asks. Raises ``ApiError`` where the connection is not to be opened."""
        for route, path in self._paths.items():
            if (match := path.match(exchange.path)) is not None:
                exchange.route, exchange.params = route, match.groupdict()
        if not exchange.route:
            raise unknown_url("GET", exchange.path)
        caller = await self._known(exchange.headers)
        if exchange.is_azure:
            check_api_version(exchange.query.get("api-version"))
        return caller

    async def _known(self, headers: Headers) -> Caller:
        try:
            return await self._auth.caller(headers)
        except StoreUnavailable as error:
            raise store_away() from error

    async def _readmit(self, headers: Headers) -> None:
        """Before what is asked for, and before it is begun: a key may be revoked by now. A token is not asked again."""
        if self._auth.is_revocable(headers):
            await self._known(headers)


class Connection:
    """One open WebSocket."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        caller: Caller,
        send: Send,
        *,
        line: Line | None,
        terms: Terms,
        memory: Memory,
    ) -> None:
        self._terms = terms
        self._stopping = asyncio.Event() if line is None else line.stopping
        self._stalled = asyncio.Event()
        self._outlet = Outlet(send, line, patience=terms.patience_seconds, stalled=self._stalled.set)
        self.desk = Desk(lifecycle, caller, self._outlet, memory=memory, steering=Steering(memory))
        self._lanes: dict[str | None, Lane] = {}
        self._working: dict[str | None, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(terms.in_flight)
        self._heartbeat: asyncio.TimerHandle | None = None
        if line is not None:
            line.admit(terms.message_bytes)

    async def live(self, receive: Receive) -> None:
        """Answer what comes until the client leaves, the server stops, or the time of the connection is over."""
        try:
            ending = await self._serve(receive)
        except asyncio.CancelledError:  # the time to drain is over, and this task ends here anyhow
            ending = "stopped"
        if ending == "expired":
            await self.desk.refuse(frames.life_over(self._terms.life_seconds), None)
            await self._outlet.close(GOING_AWAY, "The connection was open for as long as one may be.")
        elif ending == "stopped":
            await self._outlet.close(RESTARTING, "The server is shutting down.")

    async def _serve(self, receive: Receive) -> Ending:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(self._listen(group, receive))
            signals = [group.create_task(signal.wait()) for signal in (self._stopping, self._stalled)]
            await asyncio.wait((reader, *signals), timeout=self._terms.life_seconds, return_when="FIRST_COMPLETED")
            ending = self._ending(reader)
            if ending != "left":
                await self._wind_up(ending, reader)
                ending = self._ending(reader) if reader.done() else ending
            for task in (reader, *signals, *self._working.values()):
                task.cancel()
            if self._heartbeat is not None:
                self._heartbeat.cancel()
        return ending

    def _ending(self, reader: asyncio.Task[None]) -> Ending:
        if reader.done() or self._stalled.is_set():
            return "left"
        return "stopped" if self._stopping.is_set() else "expired"

    async def _wind_up(self, ending: Ending, reader: asyncio.Task[None]) -> None:
        """Take no more creates, and let the responses end that are being made, as long as somebody is there."""
        stops = server_error("The server is shutting down. Please try again.", status=503)
        self.desk.closing = stops if ending == "stopped" else frames.life_over(self._terms.life_seconds)
        for lane in self._lanes.values():
            await lane.refuse_all(self.desk.closing)
        loop = asyncio.get_running_loop()
        until = loop.time() + WINDING_UP_SECONDS
        while self._working and not reader.done() and loop.time() < until:
            tasks = (reader, *self._working.values())
            await asyncio.wait(tasks, timeout=until - loop.time(), return_when="FIRST_COMPLETED")

    async def _listen(self, group: asyncio.TaskGroup, receive: Receive) -> None:
        """Hear one message after the other. Nothing of one is held here while the next is waited for."""
        while await self._hear(group, receive):
            pass

    async def _hear(self, group: asyncio.TaskGroup, receive: Receive) -> bool:
        """Hear one message; False where it was the client's last."""
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return False
        lane: str | None = None
        try:
            text = _text(message)
            message.clear()
            envelope = await read_apart(frames.read_envelope, text, size=len(text))
            lane = envelope.lane
            await self.desk.admit()
            match envelope.type:
                case "response.create":
                    self._queue(group, lane, text)
                case "response.steer":
                    await self._steer(text)
                case "response.inject":
                    await self._inject(text)
        except ApiError as error:
            await self.desk.refuse(error, lane)
        return True

    def _queue(self, group: asyncio.TaskGroup, name: str | None, text: bytes) -> None:
        """Put a create into its lane, and set the lane to work. Raises ``ApiError`` where it cannot wait there."""
        self.desk.refuse_if_closing()
        lane = self._lanes.get(name)
        if lane is None:
            if name is not None and len(self._lanes.keys() - {None}) == frames.MOST_LANES:
                raise frames.too_many_lanes()
            lane = self._lanes[name] = Lane(name, self.desk)
        has_to_wait = name in self._working or self._room.locked()
        held = len(text) if has_to_wait else 0
        waiting = sum(len(lane.waiting) for lane in self._lanes.values())
        if waiting == self._terms.waiting or not self.desk.memory.hold(held):
            raise rate_limited("this WebSocket connection", retry_after=1)
        lane.waiting.append(Create(text, held))
        if name not in self._working:
            self._working[name] = group.create_task(self._work(lane))
        self._keep_beating(group)

    def _keep_beating(self, group: asyncio.TaskGroup) -> None:
        """Look now and then at what is in flight: one timer a connection, and none for a connection that is idle."""
        seconds = self._terms.heartbeat_seconds
        if self._heartbeat is None and seconds:
            self._heartbeat = asyncio.get_running_loop().call_later(seconds, self._beat, group)

    def _beat(self, group: asyncio.TaskGroup) -> None:
        self._heartbeat = None
        for run in self.desk.steering.silent():
            group.create_task(run.reins.beat())
        if self._working:
            self._keep_beating(group)

    async def _work(self, lane: Lane) -> None:
        """Answer the creates of a lane in their order. Nothing can come between the last of them and the end."""
        try:
            while lane.waiting:
                await self._answer(lane)
        finally:
            del self._working[lane.name]

    async def _answer(self, lane: Lane) -> None:
        """Answer the next create of a lane once there is a place for it, unless it was refused by then."""
        async with self._room:
            if lane.waiting:
                with watching.create():
                    await lane.answer()

    async def _steer(self, text: bytes) -> None:
        steering = self.desk.steering
        frame = await read_apart(frames.read_steer, text, size=len(text))
        del text
        await self.desk.tell([await steering.take(frame)])
        steering.pull(frame.previous_response_id)

    async def _inject(self, text: bytes) -> None:
        frame = await read_apart(frames.read_inject, text, size=len(text))
        del text
        has_ended = self.desk.memory.has_ended(frame.response_id)
        message = "has ended" if has_ended else "does not wait for any input on this connection"
        error = frames.InjectError(
            code="response_already_completed" if has_ended else "response_not_found",
            message=f"Response '{shown(frame.response_id)}' {message}. Send it with the next response.create.",
        )
        number = self.desk.steering.number()
        failed = frames.InjectFailed(
            sequence_number=number, response_id=frame.response_id, input=frame.input, error=error
        )
        await self.desk.tell([failed])


def _short_way(scope: Scope) -> Line | None:
    extensions: dict[str, dict[str, Line]] = scope.get("extensions") or {}
    return extensions.get(SHORT_WAY, {}).get("line")


def _text(message: Message) -> bytes:
    long: bytes | None = message.get(SHORT_WAY)
    text: str | None = message.get("text")
    if long is not None:
        return long
    if text is None:
        raise frames.binary_frame()
    return text.encode()


def _refusing(scope: Scope, send: Send) -> Send:
    """Send the answer of an HTTP request as the refusal of a handshake."""
    in_words = REFUSAL in (scope.get("extensions") or {})

    async def refuse(message: Message) -> None:
        if in_words:
            await send({**message, "type": f"websocket.{message['type']}"})
        elif not message.get("more_body", True):
            await send({"type": "websocket.close"})

    return refuse
