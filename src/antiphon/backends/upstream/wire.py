"""One HTTP/1.1 connection to a model server, over `httptools`: requests out, one response after another in.

What arrived is delivered before the end is: `Inbox.take` drains first, then looks whether the response is complete or
the connection broken. No timer is armed for a read: a `Wire` notes when its last byte came, and `Wire.expire` compares.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import httptools

from antiphon.backends import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HELD_BYTES = 256 * 1024  # above this much unread body a connection is read no further
HEAD_BYTES = 64 * 1024  # of a response's head, interim 1xx heads included


class UnansweredError(UpstreamError):
    """Nothing of an answer has arrived: the request may be sent again."""


class Inbox:
    """One response, between the socket that fills it and the one coroutine that reads it."""

    __slots__ = ("_loop", "_parts", "_resume", "_waiter", "ended", "error", "headed", "headers", "held", "status")

    def __init__(self, loop: asyncio.AbstractEventLoop, resume: Callable[[], None]) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.headed = False
        self.held = 0  # bytes
        self.ended = False
        self.error: UpstreamError | None = None
        self._loop = loop
        self._parts: list[bytes] = []
        self._resume = resume
        self._waiter: asyncio.Future[None] | None = None

    def put(self, block: bytes) -> None:
        """Add a piece of the body."""
        self._parts.append(block)
        self.held += len(block)

    def wake(self) -> None:
        """Let the reader look again."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def fail(self, error: UpstreamError) -> None:
        """Break the response off: the reader gets what arrived, then ``error``."""
        self.error = error
        self.wake()

    async def head(self) -> None:
        """Wait for the head. Raises `UpstreamError` where none comes."""
        while not self.headed:
            if self.error is not None:
                raise self.error
            await self._wait()

    async def take(self) -> bytes:
        """Wait for body bytes and give all that arrived, ``b""`` at the end. Raises `UpstreamError` at a break."""
        while not self._parts:
            if self.error is not None:
                raise self.error
            if self.ended:
                return b""
            await self._wait()
        block = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        if self.held > HELD_BYTES:
            self._resume()
        self.held = 0
        return block

    @property
    def is_over(self) -> bool:
        """Whether the response has ended and all of it was taken."""
        return self.ended and not self._parts

    def _wait(self) -> asyncio.Future[None]:
        self._waiter = waiter = self._loop.create_future()
        return waiter


class Wire(asyncio.Protocol):
    """One connection. It fills the inbox of the response that it is reading; between two responses it has none."""

    __slots__ = (
        "_head_size",
        "_inbox",
        "_loop",
        "_lost",
        "_parser",
        "_paused",
        "_reusable",
        "_transport",
        "_until_close",
        "last",
        "peer",
    )

    def __init__(self, peer: str, lost: Callable[[Wire], None]) -> None:
        self.peer = peer
        self.last = 0.0  # loop time of the last byte, or of the request
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._inbox: Inbox | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._head_size = 0
        self._paused = False
        self._reusable = True
        self._until_close = False

    def send(self, request: list[bytes]) -> Inbox:
        """Send a whole request. A connection that died unnoticed says so through the inbox."""
        self._inbox = inbox = Inbox(self._loop, self._resume)
        self._head_size = 0
        self.last = self._loop.time()
        if self._transport.is_closing():
            self.fail("connection closed before the request was sent")
        else:
            self._transport.writelines(request)
        return inbox

    def abort(self) -> None:
        """Close at once. An inbox that is still being filled hears no more."""
        self._inbox = None
        self._reusable = False
        self._transport.abort()

    def fail(self, why: str) -> None:
        """End the response, if one is being read, and the connection."""
        inbox = self._inbox
        self.abort()
        if inbox is None:
            return
        detail = f"{self.peer}: {why}"
        if self._head_size == 0:
            inbox.fail(UnansweredError("unavailable", "The model server closed the connection.", detail=detail))
        else:
            inbox.fail(UpstreamError("server_error", "The model server broke off its answer.", detail=detail))

    @property
    def reusable(self) -> bool:
        """The response has ended, nothing follows it, and all of the request was sent."""
        settled = self._inbox is None and self._reusable and not self._transport.is_closing()
        return settled and self._transport.get_write_buffer_size() == 0

    def expire(self, now: float, *, idle: float) -> None:
        """Give up a response of which no byte has come for ``idle`` seconds, unless nobody reads it."""
        if self._inbox is not None and not self._paused and now - self.last > idle:
            detail = f"{self.peer}: no byte for {idle:g} s"
            self._inbox.fail(UpstreamError("timeout", "The model server did not answer in time.", detail=detail))
            self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to parse (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)  # asyncio types the callback for pipes too
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived and wake the reader once (asyncio)."""
        inbox, parser = self._inbox, self._parser
        if inbox is None or parser is None:  # bytes that answer no request
            self.abort()
            return
        self.last = self._loop.time()
        if not inbox.headed:
            self._head_size += len(data)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fail(f"not HTTP/1.1: {error}")
        if self._inbox is inbox:
            self._bound(inbox)
        inbox.wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the response: completely where only the connection's end could end it (asyncio)."""
        self._lost(self)
        if self._until_close and exc is None:
            self.on_message_complete()
        else:
            self.fail(f"connection lost: {exc or 'closed by the peer'}")
        self._parser = None  # it holds this object's methods: the circle ends here

    # After `on_message_complete` there is no inbox: further calls of these mean a second response, which is not read.

    def on_message_begin(self) -> None:
        """Note a response that nobody asked for (httptools)."""
        self._reusable = self._reusable and self._inbox is not None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; a repeated one is joined by commas, a trailer is dropped (httptools)."""
        inbox = self._inbox
        if inbox is not None and not inbox.headed:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            inbox.headers[key] = f"{inbox.headers[key]}, {text}" if key in inbox.headers else text

    def on_headers_complete(self) -> None:
        """Take the head; an interim one (1xx) is skipped (httptools)."""
        inbox, parser = self._inbox, self._parser
        if inbox is None or parser is None:
            return
        inbox.status = parser.get_status_code()
        if inbox.status < HTTPStatus.OK:
            inbox.headers.clear()
            return
        inbox.headed = True
        self._until_close = _ends_with_connection(inbox.status, inbox.headers)
        self._reusable = parser.should_keep_alive()  # False where only the connection's end ends the body
        if inbox.headers.get("content-encoding", "identity") != "identity":
            self.fail("a compressed answer, though identity was asked for")

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body (httptools)."""
        if self._inbox is not None:
            self._inbox.put(body)

    def on_message_complete(self) -> None:
        """End the response and let go of its inbox (httptools)."""
        inbox = self._inbox
        if inbox is not None and inbox.headed:
            self._inbox = None
            inbox.ended = True
            inbox.wake()

    def _bound(self, inbox: Inbox) -> None:
        """Keep an unfinished response within its memory."""
        if not inbox.headed and self._head_size > HEAD_BYTES:
            self.fail(f"a head of more than {HEAD_BYTES} bytes")
        elif inbox.held > HELD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self.last = self._loop.time()
            self._transport.resume_reading()


def _ends_with_connection(status: int, headers: Mapping[str, str]) -> bool:
    """Whether only the end of the connection ends the body (RFC 9112, section 6.3)."""
    if status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        return False
    if "transfer-encoding" in headers:
        return not headers["transfer-encoding"].lower().endswith("chunked")
    return "content-length" not in headers
