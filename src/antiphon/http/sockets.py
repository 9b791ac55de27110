"""The wire under a WebSocket: uvicorn's protocol, bounded in what it holds, with a short way for frames.

``websockets`` shakes hands and says goodbye; `antiphon.http.unframing` reads. Here is what a stranger must not be able
to do: in one turn of the loop so many frames are read and no more, one message waits at a time, small frames are
counted, pings are answered as fast as the answers are read, and a handshake that is none is refused in the form of
every error.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.server import ServerProtocol

from antiphon.http import unframing
from antiphon.http.exchange import SHORT_WAY, SWALLOWING_SECONDS
from antiphon.http.unframing import Broken, Heard, Unframing
from antiphon.ids import random_hex
from antiphon.protocol.errors import invalid_request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any  # uvicorn's own signature; ASGI messages are open

    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
    from uvicorn.config import Config
    from uvicorn.server import ServerState
    from websockets.http11 import Request, Response

FIRST_BYTES = 65_536
"""How long a message may be before the application has said what it takes."""
GOODBYE_SECONDS = 2.0
"""How long a client may take to answer a goodbye when the server stops."""
FRAMES_A_TURN = 128
"""So many frames of a connection are read in one turn of the loop, and what is left in the next ones."""
SMALL_A_SECOND = 1000
"""So many control frames and tiny fragments may come in a second; who sends more is no client."""
LINGERING_TURNS = 4
"""The end of a response follows its last item so many turns of the loop later, where nothing is stored."""
LONG = 65_536
"""A message of more bytes is handed on as it is."""
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
        self._frames = Unframing(FIRST_BYTES)
        self._is_busy = False
        self._counted, self._counted_since = 0, 0.0
        self._pong: bytes | None = None
        self._lingering = b""

    # What the application has beside ASGI

    def admit(self, limit: int) -> None:
        """Take messages of so many bytes from now on; only before the first of them."""
        self._frames.limit = limit

    def push(self, texts: Sequence[bytes], *, lingers: bool = False) -> bool:
        """Send messages, each a frame, in one write; False where the client has to read first.

        What ``lingers`` is sent with what follows, if that follows in the next few turns of the loop, and else by
        itself: a write costs more than everything else that is done for a short message.
        """
        if self._paused:
            return False
        if len(texts) == 1 and not lingers and not self._lingering and len(texts[0]) < LONG:
            if not self.close_sent and not self.transport.is_closing():
                self.transport.write(_head(len(texts[0])) + texts[0])
            return True
        parts = [part for text in texts for part in (_head(len(text)), text)]
        if self._lingering:
            parts.insert(0, self._lingering)
            self._lingering = b""
        if lingers:
            self._lingering = b"".join(parts)
            self.loop.call_soon(self._linger, LINGERING_TURNS)
        else:
            self._write(parts)
        return True

    def _linger(self, turns: int) -> None:
        if turns and self._lingering:
            self.loop.call_soon(self._linger, turns - 1)
        else:
            self._flush()

    def _flush(self) -> None:
        lingering, self._lingering = self._lingering, b""
        if lingering:
            self._write([lingering])

    def _write(self, parts: list[bytes]) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        if len(parts[-1]) > LONG:  # not copied once more
            self.transport.writelines(parts)
        else:
            self.transport.write(b"".join(parts))

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

    # What is read, so much of it in one turn of the loop: others have turns as well

    def data_received(self, arrived: bytes) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - passed by place
        """Read what arrived: the handshake, then frames (asyncio)."""
        if not self.handshake_initiated:
            super().data_received(arrived)
        elif not self._swallows:
            self._frames.feed(arrived)
            if self._is_busy:
                self._pause()
            else:
                self._read_on()

    async def receive(self) -> ASGIReceiveEvent:
        """The next message; while one waits to be taken, nothing more is read (uvicorn)."""
        message = await self.queue.get()
        self._go_on()
        return message

    def _go_on(self) -> None:
        self._is_busy = self._frames.has_unread
        if self._is_busy:
            self.loop.call_soon(self._read_on)
        else:
            self._resume()

    def _read_on(self) -> None:
        if self._swallows or self.transport.is_closing():
            return
        try:
            is_done = self._read_frames()
        except Broken as fault:
            self.conn.fail(fault.code, str(fault))
            self.handle_parser_exception()
            return
        if self._pong is not None and not self._paused:
            self._send_pong()
        if not is_done:
            self._pause()
            self._go_on()
        elif not self._is_busy:
            self._resume()

    def _read_frames(self) -> bool:
        """Read frames, up to the next message; False where there may be more of them."""
        self._is_busy = False
        for _ in range(FRAMES_A_TURN):
            heard = self._frames.next()
            if heard is None:
                return True
            if heard.is_small:
                self._count()
            self._take(heard)
            if self._is_busy or self._swallows:
                return True
        return False

    def _take(self, heard: Heard) -> None:
        match heard.opcode:
            case unframing.TEXT | unframing.BINARY if not self.close_sent:
                self._is_busy = True
                self._hand_on(heard)
            case unframing.PING:
                self._pong = heard.payload
            case unframing.PONG:
                self.handle_pong(Frame(Opcode.PONG, heard.payload))
            case unframing.CLOSE:
                self._part(Frame(Opcode.CLOSE, heard.payload))
            case _:  # a fragment; or a message to an application that has said goodbye
                pass

    def _hand_on(self, heard: Heard) -> None:
        """Queue a message. A text is given as it came: to decode and encode a long one would keep others waiting."""
        message: Any = {"type": "websocket.receive"}  # ASGI has no word for a text that is not decoded
        message["bytes" if heard.opcode == unframing.BINARY else SHORT_WAY] = heard.payload
        self.queue.put_nowait(message)

    def _count(self) -> None:
        """Count what costs more than it says. Raises `Broken` where there is too much of it."""
        now = self.loop.time()
        if now - self._counted_since > 1:
            self._counted_since, self._counted = now, 0
        self._counted += 1
        if self._counted > SMALL_A_SECOND:
            raise Broken(CloseCode.POLICY_VIOLATION, f"More than {SMALL_A_SECOND} small frames in a second.")

    def _part(self, close: Frame) -> None:
        """The client says goodbye, or answers ours. Raises `Broken`."""
        try:
            self.conn.recv_frame(close)
        except ProtocolError as error:
            raise Broken(CloseCode.PROTOCOL_ERROR, str(error)) from error
        except UnicodeDecodeError as error:
            raise Broken(CloseCode.INVALID_DATA, "The reason of a close is UTF-8.") from error
        self._swallows = True
        self.handle_close(close)

    def _pause(self) -> None:
        if not self.read_paused and not self.transport.is_closing():
            self.read_paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self.read_paused and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()

    # What is written

    async def send(self, message: ASGISendEvent) -> None:
        """Accept, refuse or close the connection (uvicorn)."""
        self._flush()
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True  # a refusal completes it as well; else it would be logged as an error
            self._go_on()

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
        """Answer the last ping alone, and only while the client reads (RFC 6455, 5.5.3)."""
        pong, self._pong = self._pong, None
        if pong is not None and not self.transport.is_closing():
            self.transport.write(b"\x8a%c%b" % (len(pong), pong))

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
        self._frames = Unframing(0)
        self._resume()
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
