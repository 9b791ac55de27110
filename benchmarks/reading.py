"""Readers of many streams at a steady rate: each event must follow the one before, each token says when it was said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import httptools
import msgspec
from msgspec import Struct

from benchmarks.driver import CONNECT_SECONDS, OK, BrokenAnswerError
from benchmarks.upstream import microseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.upstream import Upstream

POST = (
    b"POST /v1/responses HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
)
GET = b"GET /v1/responses/%b?stream=true HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
NUMBER = re.compile(rb'"sequence_number":(\d+)')
STAMP = re.compile(rb'"delta":" (\d+)"')
END = b"event: response.completed\n"


class Streams(Struct, frozen=True, kw_only=True):
    """So many streams at once, each of so many tokens, so many a second. ``seconds`` is the deadline of it all."""

    streams: int
    tokens: int
    rate: float = 50.0
    background: bool = False
    seconds: float = 90.0


class Body(Struct, frozen=True):
    """A streamed request."""

    model: str
    input: str
    background: bool
    stream: bool = True


class Token(Struct, frozen=True):
    """When a token was said and heard, in microseconds."""

    said: int
    heard: int


class Read(Struct, frozen=True):
    """One whole stream: when it was asked for, its events, and its tokens."""

    asked: int
    events: int
    tokens: list[Token]

    @property
    def first(self) -> float:
        """The milliseconds to the first token."""
        return (self.tokens[0].heard - self.asked) / 1e3


def lateness(reads: list[Read]) -> list[float]:
    """Give how late tokens came, in ms and in order: those that were said when all streams spoke already."""
    began = max(read.tokens[0].heard for read in reads)
    ended = min(read.tokens[-1].said for read in reads)
    tokens = [token for read in reads for token in read.tokens]
    steady = [token for token in tokens if began <= token.said <= ended] or tokens
    return sorted((token.heard - token.said) / 1e3 for token in steady)


Amid = Callable[[], Awaitable[None]]
"""What is done once every stream has spoken, while they go on."""


class Reader(asyncio.Protocol):
    """One connection, with one request whose stream is read to its end."""

    _transport: asyncio.Transport

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Read] = asyncio.get_running_loop().create_future()
        self._rest = b""
        self._next = 0
        self._tokens: list[Token] = []
        self._ended = False
        self.spoke = asyncio.Event()
        """Whether the first token has arrived."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = transport  # type: ignore[assignment]  # asyncio types it as the base of all transports
        self._asked = microseconds()
        self._transport.write(self._request)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Break the answer that is still awaited."""
        self._break("the server closed the connection in mid-answer")

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Take the whole events of what arrived."""
        now = microseconds()
        whole, _, self._rest = (self._rest + body).rpartition(b"\n\n")
        for number in NUMBER.findall(whole):
            if int(number) != self._next:
                self._break(f"event {int(number)} followed event {self._next - 1}")
            self._next += 1
        said = STAMP.findall(whole)
        if said:
            self._tokens += [Token(int(time), now) for time in said]
            self.spoke.set()
        self._ended = self._ended or END in whole

    def on_message_complete(self) -> None:
        """Give the stream, or say how it is broken."""
        status = self._parser.get_status_code()
        if status != OK or not self._ended:
            self._break(f"status {status}, {self._next} events, {self._rest[:400]!r}")
        if not self._answer.done():
            self._answer.set_result(Read(self._asked, self._next, self._tokens))

    async def read(self) -> Read:
        """Wait for the end of the stream. Raises `BrokenAnswerError` where it is not whole."""
        try:
            return await self._answer
        finally:
            self.spoke.set()  # nobody waits for a stream that is over
            self._transport.abort()

    def _break(self, why: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(BrokenAnswerError(why))


async def connected(port: int, request: bytes) -> Reader:
    """Send a request on a connection of its own."""
    async with asyncio.timeout(CONNECT_SECONDS):
        _, reader = await asyncio.get_running_loop().create_connection(lambda: Reader(request), "127.0.0.1", port)
    return reader


async def read_streams(
    upstream: Upstream, ports: Sequence[int], load: Streams, *, amid: Amid | None = None
) -> list[Read]:
    """Ask these servers in turn for all streams of a load at once, and read them to their ends.

    Raises:
        BrokenAnswerError: where a number or a token is missing, or the load has not ended in time.
    """
    requests = [posted(upstream, load, place) for place in range(load.streams)]
    try:
        async with asyncio.timeout(load.seconds), asyncio.TaskGroup() as group:
            readers = [await connected(ports[at % len(ports)], request) for at, request in enumerate(requests)]
            reading = [group.create_task(reader.read()) for reader in readers]
            for reader in readers if amid else []:
                await reader.spoke.wait()
            if amid is not None:
                await amid()
    except TimeoutError as error:
        raise BrokenAnswerError(f"the streams did not end in {load.seconds} s") from error
    except ExceptionGroup as group:
        raise BrokenAnswerError(str(group.exceptions[0])) from group
    upstream.forget()
    reads = [task.result() for task in reading]
    for read in reads:
        if len(read.tokens) != load.tokens:
            raise BrokenAnswerError(f"{len(read.tokens)} tokens arrived of {load.tokens}")
    return reads


def posted(upstream: Upstream, load: Streams, place: int) -> bytes:
    """Write the request of one stream; the streams' tokens are spread over the time between two of one."""
    speech = upstream.pace(tokens=load.tokens, rate=load.rate, delay=place / load.streams / load.rate)
    body = msgspec.json.encode(Body("bench", speech.prompt, load.background))
    return POST % (len(body), body)


async def replay(port: int, id: str) -> Read:
    """Read the stream of a response that was kept, from its first event on. Raises `BrokenAnswerError`."""
    reader = await connected(port, GET % id.encode())
    async with asyncio.timeout(60):
        return await reader.read()
