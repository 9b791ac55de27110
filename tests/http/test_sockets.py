"""Tests of the wire under a WebSocket by itself: what it reads in one turn of the loop, and what it writes at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any  # ASGI messages are open

import pytest
import uvicorn
from uvicorn.server import ServerState

from antiphon.http.exchange import SHORT_WAY
from antiphon.http.sockets import FRAMES_A_TURN, LINGERING_TURNS, LONG, Sockets
from antiphon.http.unframing import CLOSE, CONTINUATION, PING, TEXT
from tests.http.talking import framed
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.anyio
HANDSHAKE = (
    b"GET /responses HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
SWITCHED = b"HTTP/1.1 101 "
MANY = 100


class Wire(asyncio.Transport):
    """A socket of nobody's: it notes what is done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_read = True
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Note one write."""
        self.written.append(bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Note one write."""
        self.written.append(b"".join(list_of_data))

    def pause_reading(self) -> None:
        """Read no more; asked of an open socket alone."""
        assert not self.is_closed
        self.is_read = False

    def resume_reading(self) -> None:
        """Read on; asked of an open socket alone."""
        assert not self.is_closed
        self.is_read = True

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.is_closed

    def close(self) -> None:
        """Close."""
        self.is_closed = True


class Ear:
    """An application that accepts, and hears only what it is told to hear."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.listens = asyncio.Event()
        self._receive: Receive | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept, and stay."""
        await receive()
        await send({"type": "websocket.accept"})
        scope["extensions"][SHORT_WAY]["line"].admit(10_000_000)
        self._receive = receive
        self.listens.set()
        await asyncio.Event().wait()

    async def hear(self) -> Any:
        """The next message."""
        assert self._receive is not None
        async with asyncio.timeout(HANG_SECONDS):
            return await self._receive()


async def opened() -> tuple[Sockets, Ear]:
    """A connection, and who hears at its other end."""
    ear = Ear()
    config = uvicorn.Config(ear, interface="asgi3", lifespan="off", log_config=None)
    config.load()
    sockets = Sockets(config, ServerState(), {}, asyncio.get_running_loop())
    sockets.connection_made(ear.wire)
    sockets.data_received(HANDSHAKE)
    async with asyncio.timeout(HANG_SECONDS):
        await ear.listens.wait()
    assert ear.wire.written.pop().startswith(SWITCHED)
    return sockets, ear


async def test_so_many_frames_are_read_in_a_turn_and_no_more() -> None:
    """Others have their turns in between; nothing more is read from the socket until all is taken in."""
    sockets, ear = await opened()
    rest = framed(CONTINUATION, b"x" * 100, fin=False) * (3 * FRAMES_A_TURN)
    sockets.data_received(framed(TEXT, fin=False) + rest + framed(CONTINUATION))
    for _ in range(3):
        assert (0, False) == (sockets.queue.qsize(), ear.wire.is_read)
        await asyncio.sleep(0)
    assert 300 * FRAMES_A_TURN == len((await ear.hear())[SHORT_WAY])
    assert ear.wire.is_read
    sockets.connection_lost(None)


async def test_one_message_waits_to_be_heard() -> None:
    """The next ones stay where they are, and the socket is not read while they do."""
    sockets, ear = await opened()
    sockets.data_received(framed(TEXT, b"1"))
    assert (1, True) == (sockets.queue.qsize(), ear.wire.is_read)
    sockets.data_received(framed(TEXT, b"2") + framed(TEXT, b"3") + b"\x81")
    assert (1, False) == (sockets.queue.qsize(), ear.wire.is_read)
    assert [b"1", b"2", b"3"] == [(await ear.hear())[SHORT_WAY] for _ in range(3)]
    await asyncio.sleep(0)
    assert ear.wire.is_read
    sockets.data_received(framed(TEXT, b"4")[1:])
    assert b"4" == (await ear.hear())[SHORT_WAY]
    sockets.connection_lost(None)


async def test_nothing_is_heard_after_a_goodbye() -> None:
    """Whatever comes with it or after it, and however much."""
    sockets, ear = await opened()
    sockets.data_received(framed(CLOSE, (1000).to_bytes(2)) + framed(TEXT, b"x") + framed(PING) * (2 * FRAMES_A_TURN))
    sockets.data_received(framed(CLOSE) + framed(TEXT, b"x"))
    assert (1000, 0) == ((await ear.hear())["code"], sockets.queue.qsize())
    assert ([b"\x88\x02\x03\xe8"], True) == (ear.wire.written, ear.wire.is_closed)
    sockets.connection_lost(None)


async def test_what_lingers_is_sent_with_what_follows() -> None:
    """A write is dear: the last item of a response and its end are one."""
    sockets, ear = await opened()
    assert sockets.push([b"a", b"b"], lingers=True)
    await asyncio.sleep(0)
    assert [] == ear.wire.written
    assert sockets.push([b"c"])
    for _ in range(LINGERING_TURNS + 2):
        await asyncio.sleep(0)
    assert [b"\x81\x01a\x81\x01b\x81\x01c"] == ear.wire.written
    sockets.connection_lost(None)


async def test_what_lingers_is_sent_where_nothing_follows() -> None:
    """A few turns of the loop later; and at once where the connection is closed."""
    sockets, ear = await opened()
    assert sockets.push([b"a"], lingers=True)
    for _ in range(LINGERING_TURNS + 2):
        await asyncio.sleep(0)
    assert [b"\x81\x01a"] == ear.wire.written
    assert sockets.push([b"b"], lingers=True)
    await sockets.send({"type": "websocket.close", "code": 1001, "reason": ""})
    assert [b"\x81\x01a", b"\x81\x01b", b"\x88\x02\x03\xe9"] == ear.wire.written
    assert sockets.push([b"c"])
    assert sockets.push([b"c", b"d"])
    assert 3 == len(ear.wire.written)
    sockets.connection_lost(None)


async def test_a_client_that_does_not_read_is_sent_nothing_more() -> None:
    """Neither messages nor answers to its pings; the last of these when it reads on."""
    sockets, ear = await opened()
    sockets.pause_writing()
    assert not sockets.push([b"a"])
    sockets.data_received(framed(PING, b"1") + framed(PING, b"2"))
    assert [] == ear.wire.written
    sockets.resume_writing()
    assert [b"\x8a\x012"] == ear.wire.written
    sockets.connection_lost(None)


async def test_a_long_message_is_one_write() -> None:
    """Its head and its text, which is not copied."""
    sockets, ear = await opened()
    assert sockets.push([b"x" * (LONG + 1)])
    assert [b"\x81\x7f" + (LONG + 1).to_bytes(8) + b"x" * (LONG + 1)] == ear.wire.written
    sockets.connection_lost(None)


async def test_messages_to_who_has_said_goodbye_are_dropped() -> None:
    """The answer to the goodbye is still heard, and ends the connection."""
    sockets, ear = await opened()
    sockets.data_received(framed(TEXT, b"1"))
    sockets.data_received(framed(TEXT, b"2"))
    await sockets.send({"type": "websocket.close", "code": 1012, "reason": ""})
    await asyncio.sleep(0)
    sockets.data_received(framed(TEXT, b"3") * MANY + framed(CLOSE, (1012).to_bytes(2)))
    assert ear.wire.is_closed
    sockets.connection_lost(None)
