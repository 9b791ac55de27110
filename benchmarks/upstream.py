"""A chat-completions upstream that says the next piece of a stream when the client has heard the one before.

It lives in the process of the load driver, so that streams run in lockstep: every piece costs the server between them
exactly one read and one write, whatever else the machine does, and nothing coalesces by luck.
"""

from __future__ import annotations

import asyncio
import re
import time

import httptools
import msgspec
from msgspec import Struct

MARK = re.compile(rb"speech-(\d+)\.")
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
CHUNK = (
    b'data: {"id":"chatcmpl-4f1d9e0c7b6a4d52a8c3e1f0b9d8c7a6","object":"chat.completion.chunk","created":1760000000,'
    b'"model":"bench","choices":[%b]%b}\n\n'
)
CHOICE = b'{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}'
USAGE = b'{"prompt_tokens":16,"completion_tokens":%d,"total_tokens":%d}'
BODY = (
    b'{"id":"chatcmpl-4f1d9e0c7b6a4d52a8c3e1f0b9d8c7a6","object":"chat.completion","created":1760000000,"model":"bench",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"%b"},"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":%b}'
)
CALL = b'{"tool_calls":[{"index":%d,"id":"call_%d_%d","type":"function","function":{"name":"%b","arguments":%b}}]}'
EVERYTHING = 1_000_000
"""A stride that is longer than any speech: all of it is said at once."""
TOKENS_AFTER_CALLS = 4


class Asked(Struct, frozen=True):
    """The part of a chat request that is read here."""

    stream: bool = False


def chunked(payload: bytes) -> bytes:
    """Give one chunk of HTTP's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def token(number: int) -> bytes:
    """Give the text of a token, the size of a short English word."""
    return b" tok%03d" % (number % 1000)


def said(text: bytes) -> bytes:
    """Give the upstream chunk that says a text."""
    return chunked(CHUNK % (CHOICE % (b'{"content":"%b"}' % text, b"null"), b',"usage":null'))


def stamp() -> bytes:
    """Give the text of a token that says when it was said, in microseconds of the clock that `microseconds` reads."""
    return b" %d" % microseconds()


def microseconds() -> int:
    """Read the clock of this process: who says a token and who hears it are one."""
    return time.monotonic_ns() // 1000


ROLE = chunked(CHUNK % (CHOICE % (b'{"role":"assistant","content":""}', b"null"), b',"usage":null'))
STOP = chunked(CHUNK % (CHOICE % (b"{}", b'"stop"'), b',"usage":null'))
CALLS_END = chunked(CHUNK % (CHOICE % (b"{}", b'"tool_calls"'), b',"usage":null'))
DONE = chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"
SPOKEN = [said(token(number)) for number in range(1000)]


class Speech:
    """What the upstream says in one turn: ``tokens`` of them, ``stride`` at a time.

    ``held`` speeches stop after the first stride: their streams stay open and idle. ``prompt`` is what a request has to
    say to be answered with this speech.
    """

    def __init__(self, key: int, *, tokens: int, stride: int, held: bool) -> None:
        self.prompt = f"Give me speech-{key}."
        self._tokens = tokens
        self._stride = stride
        self._held = held
        self._said = 0
        self._heard = 0
        self._ended = False
        self._transport: asyncio.Transport | None = None

    def open(self, transport: asyncio.Transport) -> None:
        """Begin the stream with its first stride."""
        self._transport = transport
        transport.write(HEAD + ROLE + self._further())

    def whole(self, transport: asyncio.Transport) -> None:
        """Give the speech as one JSON body."""
        text = b"".join(token(number) for number in range(self._tokens))
        body = BODY % (text, self._cost())
        transport.write(JSON_HEAD % (len(body), body))

    def hear(self, tokens: int) -> None:
        """Note that the client has heard further tokens; say the next stride when it has heard all."""
        self._heard += tokens
        if self._heard == self._said and not self._held and not self._ended and self._transport is not None:
            self._transport.write(self._further())

    def _further(self) -> bytes:
        first, self._said = self._said, min(self._said + self._stride, self._tokens)
        pieces = [SPOKEN[number % 1000] for number in range(first, self._said)]
        if not pieces or self._stride >= self._tokens:
            self._ended = True
            last = CHUNK % (b"", b',"usage":' + self._cost())
            pieces += [STOP, chunked(last), DONE]
        return b"".join(pieces)

    def _cost(self) -> bytes:
        return USAGE % (self._tokens, self._tokens + 16)


class Paced(Speech):
    """A speech at a steady rate, whoever hears it: each token is a time stamp, and the first comes after ``delay``.

    A token that the clock was late for is said at once, and its stamp says when that was.
    """

    def __init__(self, key: int, *, tokens: int, rate: float, delay: float) -> None:
        super().__init__(key, tokens=tokens, stride=1, held=False)
        self._period = 1 / rate
        self._delay = delay

    def open(self, transport: asyncio.Transport) -> None:
        """Begin the stream, and say its tokens at their times."""
        self._transport = transport
        transport.write(HEAD + ROLE)
        self._say_at(asyncio.get_running_loop().time() + self._delay)

    def hear(self, tokens: int) -> None:
        """A steady speech goes on by itself."""

    def _say_at(self, time: float) -> None:
        asyncio.get_running_loop().call_at(time, self._say, time)

    def _say(self, time: float) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._said == self._tokens:
            self._transport.write(self._further())
            return
        self._said += 1
        self._transport.write(said(stamp()))
        self._say_at(time + self._period)


class Calls(Struct, frozen=True, kw_only=True):
    """Which calls a speech asks for: so many rounds, one after the other, each of so many calls side by side."""

    rounds: int
    abreast: int = 1
    name: str
    arguments: str


class Calling(Speech):
    """A speech that asks for calls first, each round in a turn of its own, and says its tokens in the turn after."""

    def __init__(self, key: int, calls: Calls) -> None:
        super().__init__(key, tokens=TOKENS_AFTER_CALLS, stride=EVERYTHING, held=False)
        self._calls = calls
        self._round = 0

    def open(self, transport: asyncio.Transport) -> None:
        """Ask for the calls of the next round; say the speech after the last."""
        if self._round == self._calls.rounds:
            super().open(transport)
            return
        self._round += 1
        name, arguments = self._calls.name.encode(), msgspec.json.encode(self._calls.arguments)
        calls = [CALL % (place, self._round, place, name, arguments) for place in range(self._calls.abreast)]
        pieces = [chunked(CHUNK % (CHOICE % (call, b"null"), b',"usage":null')) for call in calls]
        last = chunked(CHUNK % (b"", b',"usage":' + self._cost()))
        transport.write(HEAD + ROLE + b"".join([*pieces, CALLS_END, last, DONE]))


class Line(asyncio.Protocol):
    """One connection from the server under measurement."""

    _transport: asyncio.Transport

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._parser = httptools.HttpRequestParser(self)
        self._bodies: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport  # type: ignore[assignment]  # asyncio types it as the base of all transports
        self._upstream.lines.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget the connection."""
        self._upstream.lines.discard(self)

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body from the parser."""
        self._bodies.append(body)

    def on_message_complete(self) -> None:
        """Answer with the speech that the request names last: the newest message stands at the end."""
        body = b"".join(self._bodies)
        self._bodies.clear()
        keys = MARK.findall(body)
        if not keys:
            self._transport.write(JSON_HEAD % (2, b"{}"))
            return
        speech = self._upstream.speeches[int(keys[-1])]
        if msgspec.json.decode(body, type=Asked).stream:
            speech.open(self._transport)
        else:
            speech.whole(self._transport)


class Upstream:
    """The scripted upstream: it knows every speech that has not been forgotten, by its key."""

    def __init__(self) -> None:
        self.speeches: dict[int, Speech] = {}
        self.lines: set[Line] = set()
        self._key = 0

    def prepare(self, *, tokens: int, stride: int = 1, held: bool = False) -> Speech:
        """Write a new speech and give it."""
        self._key += 1
        speech = self.speeches[self._key] = Speech(self._key, tokens=tokens, stride=stride, held=held)
        return speech

    def pace(self, *, tokens: int, rate: float, delay: float = 0.0) -> Speech:
        """Write a new speech of ``rate`` tokens a second, and give it."""
        self._key += 1
        speech = self.speeches[self._key] = Paced(self._key, tokens=tokens, rate=rate, delay=delay)
        return speech

    def call(self, calls: Calls) -> Speech:
        """Write a new speech that asks for these calls, and give it."""
        self._key += 1
        speech = self.speeches[self._key] = Calling(self._key, calls)
        return speech

    def forget(self) -> None:
        """Forget every speech: the load that asked for them is over."""
        self.speeches.clear()

    async def listen(self, port: int = 0) -> asyncio.Server:
        """Listen on a port of the loopback; 0 takes a free one."""
        return await asyncio.get_running_loop().create_server(lambda: Line(self), "127.0.0.1", port, backlog=2048)

    def close(self) -> None:
        """Cut every connection."""
        for line in self.lines:
            line.abort()
