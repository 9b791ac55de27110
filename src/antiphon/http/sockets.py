"""The wire under a WebSocket: uvicorn's protocol, bounded in what it holds, with a short way for frames.

``websockets`` parses and masks; here is what a stranger must not be able to do with it. A frame that is too long is
refused by its header, fragments are joined as they come, pings are answered as fast as the answers are read, and a
handshake that is none is refused in the form of every error.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.server import ServerProtocol

from antiphon.http.exchange import SHORT_WAY, SWALLOWING_SECONDS
from antiphon.ids import random_hex
from antiphon.protocol.errors import invalid_request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any  # uvicorn's own signature

    from uvicorn.config import Config
    from uvicorn.server import ServerState
    from websockets.frames import Frame
    from websockets.http11 import Request, Response

FIRST_BYTES = 65_536
"""How long a message may be before the application has said what it takes."""
GOODBYE_SECONDS = 2.0
"""How long a client may take to answer a goodbye when the server stops."""
_SHORT, _MEDIUM = 126, 65_536
_encode = msgspec.json.Encoder().encode


class Handshake(ServerProtocol):
    """The protocol of one connection, whose refusals are JSON."""

    def reject(self, status: int, text: str) -> Response:
        """Refuse to open a connection (websockets)."""
        response = super().reject(status, text)
        response.body = _encode(invalid_request(text.partition("\n")[0]).body)
        for name in ("Content-Length", "Content-Type"):
            del response.headers[name]
        response.headers["Content-Length"] = str(len(response.body))
        response.headers["Content-Type"] = "application/json"
        response.headers["X-Request-Id"] = f"req_{random_hex(16)}"
        return response


class Sockets(WebSocketsSansIOProtocol):
    """One WebSocket connection. ``stopping`` is set when the server takes no more requests."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],  # uvicorn's own signature
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = Handshake(max_size=FIRST_BYTES, logger=self.logger)
        self.stopping = asyncio.Event()
        self._swallows = self._paused = False
        self._whole = bytearray()
        self._pong: list[bytes] = []

    # What the application has beside ASGI

    def admit(self, limit: int) -> None:
        """Take messages of so many bytes from now on; only before the first of them."""
        self.conn.max_message_size = limit
        self.conn.parser = self.conn.parse()  # the old one waits for a frame with the old limit
        next(self.conn.parser)

    def push(self, texts: Sequence[bytes]) -> bool:
        """Send messages, each a frame, in one write; False where the client has to read first."""
        if self._paused:
            return False
        if not self.close_sent and not self.transport.is_closing():
            if len(texts) == 1:
                self.transport.write(_head(len(texts[0])) + texts[0])
            else:
                self.transport.write(b"".join([part for text in texts for part in (_head(len(text)), text)]))
        return True

    async def drained(self, seconds: float) -> bool:
        """Wait until the client has read enough; False where it has read nothing for so many seconds."""
        left = self.transport.get_write_buffer_size()
        while self._paused:
            try:
                async with asyncio.timeout(seconds):
                    await self.writable.wait()
            except TimeoutError:
                before, left = left, self.transport.get_write_buffer_size()
                if left >= before:
                    return False
        return True

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    # The handshake

    def handle_events(self) -> None:
        """Take what was parsed; of a head that could not be, there is nothing (uvicorn)."""
        super().handle_events()
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse_head()

    def handle_connect(self, event: Request) -> None:
        """A handshake is there: nothing more is read before it is answered (uvicorn)."""
        super().handle_connect(event)
        if not self.close_sent:
            self.read_paused = True
            self.transport.pause_reading()
            self.scope["extensions"] = {**(self.scope.get("extensions") or {}), SHORT_WAY: {"line": self}}

    def _refuse_head(self) -> None:
        """The head of the handshake is longer than the parser takes, or unreadable."""
        self.close_sent = self.handshake_complete = True
        answer = b"".join(self.conn.data_to_send())
        if not answer:
            self.conn.send_response(self.conn.reject(400, "The head of the request cannot be read."))
            answer = b"".join(self.conn.data_to_send())
        self.transport.write(answer)
        self.transport.close()

    # Messages

    def handle_text(self, event: Frame) -> None:
        """A text message, or its first fragment (uvicorn)."""
        super().handle_text(event)
        self._whole = self._first(event)

    def handle_bytes(self, event: Frame) -> None:
        """A binary message, or its first fragment (uvicorn)."""
        super().handle_bytes(event)
        self._whole = self._first(event)

    def handle_cont(self, event: Frame) -> None:
        """A further fragment: a list of them would grow with empty ones (uvicorn)."""
        self._whole += event.data
        if event.fin:
            self.frames = [bytes(self._whole)]
            self._whole = bytearray()
            self.send_receive_event_to_app()

    def _first(self, event: Frame) -> bytearray:
        self.frames = []
        return bytearray() if event.fin else bytearray(event.data)

    # Control frames

    def handle_ping(self) -> None:
        """Answer a ping; while the client does not read, the last one alone (uvicorn; RFC 6455, 5.5.3)."""
        self._pong = self.conn.data_to_send()
        if not self._paused:
            self._send_pong()

    def pause_writing(self) -> None:
        """The client does not read what it was sent (asyncio)."""
        super().pause_writing()
        self._paused = True

    def resume_writing(self) -> None:
        """The client reads on (asyncio)."""
        super().resume_writing()
        self._paused = False
        self._send_pong()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed: whoever waits to write need not (asyncio)."""
        self._paused = False
        super().connection_lost(exc)

    def _send_pong(self) -> None:
        pong, self._pong = self._pong, []
        if pong and not self.transport.is_closing():
            self.transport.write(b"".join(pong))

    # The end

    def handle_parser_exception(self) -> None:
        """Say why the connection fails, and swallow what still comes: a reset would cut the reason off (uvicorn)."""
        if self._swallows:
            return
        close = self.conn.close_sent
        code, reason = (1006, "") if close is None else (close.code, close.reason)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.stop_keepalive()
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = self._swallows = True
        self.frames, self._whole = [], bytearray()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(SWALLOWING_SECONDS, self.transport.close)

    def shutdown(self) -> None:
        """The server stops: the application ends what it is doing, and closes (uvicorn)."""
        self.close_timeout = GOODBYE_SECONDS
        if self.handshake_complete and not self.close_sent:
            self.stopping.set()
        else:
            super().shutdown()


def _head(length: int) -> bytes:
    """What stands before a text of so many bytes (RFC 6455, section 5.2)."""
    if length < _SHORT:
        return b"\x81%c" % length
    if length < _MEDIUM:
        return b"\x81\x7e" + length.to_bytes(2)
    return b"\x81\x7f" + length.to_bytes(8)
