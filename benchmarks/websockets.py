"""WebSockets: what a turn costs beside the same turn over server-sent events, and what an idle connection holds."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.driver import CONNECT_SECONDS, RESPONSES, WARM, BrokenAnswerError, Heard, Load
from benchmarks.upstream import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.samples import Samples
    from benchmarks.stage import Running, Stage
    from benchmarks.upstream import Speech

SSE, SOCKET = "server-sent events", "websocket"
IDLE = 1_000
OPENING = 50
"""Idle connections are opened so many at a time."""
SWITCHED = b"HTTP/1.1 101 "
KEY = b"MDEyMzQ1Njc4OWFiY2RlZg=="
HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer bench\r\nconnection: Upgrade\r\n"
    b"upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: %b\r\n\r\n"
)
NO_MASK = bytes(4)
"""A mask that changes nothing: the server has to apply it all the same."""
SHORT, MEDIUM = 126, 65_536

TURN = Load(requests=256, concurrency=16, tokens=16, stride=EVERYTHING, store=False)
TOKENS = Load(requests=128, concurrency=32, tokens=128, store=False)
LOADS = {"websocket-turn": (TURN, 1), "websocket-event": (TOKENS, 128)}


class Create(Struct, frozen=True, tag_field="type", tag="response.create"):
    """A request as a frame."""

    model: str
    input: str
    store: bool


class Socket(asyncio.Protocol):
    """One WebSocket. It carries one turn at a time, and hears tokens as `benchmarks.driver.Line` does."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._speech: Speech | None = None
        self._answer: asyncio.Future[Heard] | None = None
        self._window = b""
        self._asked = self._first = 0.0
        self._tokens = 0
        self.open = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the connection."""
        self._transport = transport  # type: ignore[assignment]  # asyncio types it as the base of all transports
        self._transport.write(HANDSHAKE % (RESPONSES.path, KEY))

    def connection_lost(self, _exc: Exception | None) -> None:
        """Break the turn that is still awaited."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BrokenAnswerError("the server closed the WebSocket in mid-turn"))

    def ask(self, body: bytes, speech: Speech) -> asyncio.Future[Heard]:
        """Send a create that is to be answered with the speech."""
        self._speech, self._window, self._tokens, self._first = speech, b"", 0, 0.0
        self._answer = asyncio.get_running_loop().create_future()
        self._asked = time.perf_counter()
        self._transport.write(framed(body))
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Count the tokens, and let the upstream go on."""
        if not self.open.is_set():
            if data.startswith(SWITCHED):
                self.open.set()
            return
        window = self._window + data
        tokens = window.count(RESPONSES.token)
        ended = RESPONSES.end in window
        self._window = window[1 - len(RESPONSES.token) :]
        if tokens and self._speech is not None:
            self._first = self._first or time.perf_counter() - self._asked
            self._tokens += tokens
            self._speech.hear(tokens)
        if ended and self._answer is not None and not self._answer.done():
            self._answer.set_result(Heard(self._tokens, self._first, b""))

    def abort(self) -> None:
        """Cut the connection."""
        self._answer = None
        self._transport.abort()


def framed(text: bytes) -> bytes:
    """Give a text as one frame of a client's."""
    length = len(text)
    if length < SHORT:
        return b"\x81%c%b%b" % (0x80 | length, NO_MASK, text)
    if length < MEDIUM:
        return b"\x81\xfe%b%b%b" % (length.to_bytes(2), NO_MASK, text)
    return b"\x81\xff%b%b%b" % (length.to_bytes(8), NO_MASK, text)


async def connected(port: int) -> Socket:
    """Give an open WebSocket."""
    async with asyncio.timeout(CONNECT_SECONDS):
        _, socket = await asyncio.get_running_loop().create_connection(Socket, "127.0.0.1", port)
        await socket.open.wait()
    return socket


async def turns(stage: Stage, running: Running, load: Load) -> None:
    """Put a load on WebSockets, each of which carries one turn after the other.

    Raises:
        BrokenAnswerError: where one turn is not whole, or the load has not ended in time.
    """
    sockets = [await connected(running.port) for _ in range(load.concurrency)]
    left = iter(range(load.requests))
    try:
        async with asyncio.timeout(load.seconds), asyncio.TaskGroup() as group:
            for socket in sockets:
                group.create_task(in_turn(stage, socket, load, left))
    except TimeoutError as error:
        raise BrokenAnswerError(f"the turns did not end in {load.seconds} s") from error
    except ExceptionGroup as broken:
        raise BrokenAnswerError(str(broken.exceptions[0])) from broken
    finally:
        for socket in sockets:
            socket.abort()
        stage.upstream.forget()


async def in_turn(stage: Stage, socket: Socket, load: Load, left: Iterator[int]) -> None:
    """Ask on one WebSocket until everything is asked."""
    for _ in left:
        speech = stage.upstream.prepare(tokens=load.tokens, stride=load.stride)
        heard = await socket.ask(msgspec.json.encode(Create("bench", speech.prompt, load.store)), speech)
        if heard.tokens != load.tokens:
            raise BrokenAnswerError(f"{heard.tokens} tokens arrived of {load.tokens}")


class Beside:
    """CPU of the same load both ways, in turn, on one server."""

    def __init__(self, name: str) -> None:
        self._load, self._per = LOADS[name]

    async def run(self, stage: Stage, rounds: int) -> Samples:
        """Measure microseconds for each turn, or for each token of it. The round before the first is not counted."""
        samples: Samples = {SSE: [], SOCKET: []}
        running = stage["antiphon"]
        for turn in range(-1, rounds):
            for name in sorted(samples, reverse=turn % 2 == 0):
                before = running.server.cpu_seconds()
                if name == SSE:
                    await running.caller.run(self._load)
                else:
                    await turns(stage, running, self._load)
                spent = (running.server.cpu_seconds() - before) * 1e6 / self._load.requests / self._per
                samples[name] += [spent] if turn >= 0 else []
        return samples


async def idle_sockets(stage: Stage, rounds: int) -> Samples:
    """Measure by how many megabytes a new, warm server grows for so many WebSockets that say nothing."""
    samples: Samples = {"opened": [], "after a turn on each": []}
    for _ in range(max(1, rounds // 3)):
        async with stage.another("antiphon") as running:
            await running.caller.run(WARM)
            before = running.server.memory().proportional
            sockets: list[Socket] = []
            while len(sockets) < IDLE:
                sockets += [await connected(running.port) for _ in range(OPENING)]
            samples["opened"].append((running.server.memory().proportional - before) / 1e6)
            for socket in sockets:
                await in_turn(stage, socket, TURN, iter([0]))
            samples["after a turn on each"].append((running.server.memory().proportional - before) / 1e6)
            for socket in sockets:
                socket.abort()
            stage.upstream.forget()
    return samples
