"""The client's side of a load: a fixed number of requests over a fixed number of raw connections."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httptools
import msgspec
from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.upstream import Speech, Upstream

HEAD = (
    b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %b\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b"
)
CONNECT_SECONDS = 10.0
OK = 200


class BrokenAnswerError(Exception):
    """A server answered with an error, lost a token, or ended a stream without its last event."""


class ResponsesBody(Struct, frozen=True):
    """A request of the Responses API."""

    model: str
    input: str
    stream: bool
    store: bool
    previous_response_id: str | UnsetType = UNSET


class ChatMessage(Struct, frozen=True):
    """A message of a chat request."""

    content: str
    role: str = "user"


class ChatBody(Struct, frozen=True):
    """A request of the upstream's own dialect."""

    model: str
    messages: list[ChatMessage]
    stream: bool


class Dialect(Struct, frozen=True):
    """How a server is asked and its streams are read: the path, the words of a token's event and of the last one."""

    path: bytes
    token: bytes
    end: bytes


RESPONSES = Dialect(b"/v1/responses", b'response.output_text.delta"', b'response.completed"')
CHAT = Dialect(b"/v1/chat/completions", b'"delta":{"content":"', b"data: [DONE]")


class Load(Struct, frozen=True, kw_only=True):
    """What is asked of a server. ``stride`` tokens are said at a time; ``seconds`` is the deadline of it all."""

    requests: int
    concurrency: int
    tokens: int
    stride: int = 1
    stream: bool = True
    store: bool = True
    seconds: float = 120.0


WARM = Load(requests=256, concurrency=16, tokens=4)
"""What a new server is asked before it is measured."""


class Heard(Struct, frozen=True):
    """One answer: its tokens, the seconds to the first of them, and the body where it was not a stream."""

    tokens: int
    first: float
    body: bytes


class Line(asyncio.Protocol):
    """One connection to a server. It carries one request at a time."""

    _transport: asyncio.Transport
    _parser: httptools.HttpResponseParser
    _answer: asyncio.Future[Heard]

    def __init__(self, dialect: Dialect, key: str) -> None:
        self._dialect = dialect
        self._key = key.encode()
        self._speech: Speech | None = None
        self._streams = False
        self._bodies: list[bytes] = []
        self.open = True
        self.spoke = asyncio.Event()
        """Whether the first token of any stream has arrived."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport  # type: ignore[assignment]  # asyncio types it as the base of all transports

    def connection_lost(self, _exc: Exception | None) -> None:
        """Break the answer that is still awaited."""
        self.open = False
        if self._speech is not None and not self._answer.done():
            self._answer.set_exception(BrokenAnswerError("the server closed the connection in mid-answer"))

    def ask(self, body: bytes, speech: Speech, *, stream: bool) -> asyncio.Future[Heard]:
        """Send a request that is to be answered with the speech."""
        self._speech, self._streams = speech, stream
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._bodies.clear()
        self._window = b""
        self._tokens = 0
        self._first = 0.0
        self._ended = False
        self._asked = time.perf_counter()
        self._transport.write(HEAD % (self._dialect.path, self._key, len(body), body))
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Count the tokens of a stream, and let the upstream go on; keep a body that is not a stream."""
        if not self._streams:
            self._bodies.append(body)
            return
        window = self._window + body
        tokens = window.count(self._dialect.token)
        self._ended = self._ended or self._dialect.end in window
        self._window = window[1 - len(self._dialect.token) :]
        if tokens and self._speech is not None:
            self._first = self._first or time.perf_counter() - self._asked
            self._tokens += tokens
            self.spoke.set()
            self._speech.hear(tokens)

    def on_message_complete(self) -> None:
        """Give the answer, or say how it is broken."""
        body = b"".join(self._bodies)
        status = self._parser.get_status_code()
        self.open = self.open and self._parser.should_keep_alive()
        self._speech = None
        if self._answer.done():
            return
        if status != OK or (self._streams and not self._ended):
            text = f"status {status}, {self._tokens} tokens, {(body or self._window)[:400]!r}"
            self._answer.set_exception(BrokenAnswerError(text))
        else:
            self._answer.set_result(Heard(self._tokens, self._first, body))

    def abort(self) -> None:
        """Cut the connection and forget the answer."""
        self._speech = None
        self._transport.abort()


class Caller:
    """A client of one server, with the connections that it keeps open between loads."""

    def __init__(self, upstream: Upstream, *, port: int, dialect: Dialect = RESPONSES, key: str = "bench") -> None:
        self._upstream = upstream
        self._port = port
        self._dialect = dialect
        self._key = key
        self._idle: list[Line] = []

    async def run(self, load: Load) -> list[Heard]:
        """Ask everything that the load names and give the answers.

        Raises:
            BrokenAnswerError: where one answer is not whole, or the load has not ended in time.
        """
        answers: list[Heard] = []
        turns = iter(range(load.requests))
        try:
            async with asyncio.timeout(load.seconds), asyncio.TaskGroup() as group:
                for _ in range(load.concurrency):
                    group.create_task(self._ask_in_turn(load, turns, answers))
        except TimeoutError as error:
            raise BrokenAnswerError(f"{len(answers)} of {load.requests} answers came in {load.seconds} s") from error
        except ExceptionGroup as group:
            raise BrokenAnswerError(str(group.exceptions[0])) from group
        self._upstream.forget()
        return answers

    async def _ask_in_turn(self, load: Load, turns: Iterator[int], answers: list[Heard]) -> None:
        for _ in turns:
            speech = self._upstream.prepare(tokens=load.tokens, stride=load.stride)
            heard = await self.ask(speech, self.body(speech, stream=load.stream, store=load.store), stream=load.stream)
            if load.stream and heard.tokens != load.tokens:
                raise BrokenAnswerError(f"{heard.tokens} tokens arrived of {load.tokens}")
            answers.append(heard)

    async def ask(self, speech: Speech, body: bytes, *, stream: bool) -> Heard:
        """Ask one thing and give its answer."""
        line = await self.line()
        heard = await line.ask(body, speech, stream=stream)
        if line.open:
            self._idle.append(line)
        return heard

    async def line(self) -> Line:
        """Give an open connection that carries no request."""
        while self._idle:
            line = self._idle.pop()
            if line.open:
                return line
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            _, line = await loop.create_connection(lambda: Line(self._dialect, self._key), "127.0.0.1", self._port)
        return line

    def body(self, speech: Speech, *, stream: bool, store: bool, previous: str | None = None) -> bytes:
        """Write the request in the server's dialect."""
        if self._dialect is CHAT:
            return msgspec.json.encode(ChatBody("bench", [ChatMessage(speech.prompt)], stream))
        return msgspec.json.encode(ResponsesBody("bench", speech.prompt, stream, store, previous or UNSET))

    def close(self) -> None:
        """Close the connections that are kept."""
        for line in self._idle:
            line.abort()
        self._idle.clear()
