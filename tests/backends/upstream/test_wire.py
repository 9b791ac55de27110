"""One connection: every response, cut at every byte and ended at every byte."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from antiphon.backends import UpstreamError
from antiphon.backends.upstream.wire import HEAD_BYTES, HELD_BYTES, Inbox, UnansweredError, Wire
from tests.patient import HANG_SECONDS

pytestmark = pytest.mark.anyio

BODY = b'data: {"a":1}\n\ndata: [DONE]\n\n'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
REPLIES = {
    "content-length": HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "chunked": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY) - 5, BODY[5:]),
    "chunk extension and trailer": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n%x;x=y\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(BODY), BODY),
    "interim heads": b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    + HEAD
    + b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
}
UNTIL_CLOSE = [HEAD + b"\r\n" + BODY, HEAD + b"Transfer-Encoding: identity\r\n\r\n" + BODY]


class Line(asyncio.Transport):
    """A transport that keeps what is written and says whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reading = True
        self.aborted = False
        self.unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep the bytes."""
        self.written += bytes(data)

    def pause_reading(self) -> None:
        """Read no more."""
        self.reading = False

    def resume_reading(self) -> None:
        """Read again."""
        self.reading = True

    def is_closing(self) -> bool:
        """Whether it was aborted."""
        return self.aborted

    def get_write_buffer_size(self) -> int:
        """How many bytes the network has not taken yet."""
        return self.unsent

    def abort(self) -> None:
        """Close."""
        self.aborted = True


def connected() -> tuple[Wire, Line]:
    """A connection, and the line that it is on."""
    wire, line = Wire("model:80", lambda _: None), Line()
    wire.connection_made(line)
    return wire, line


def asking() -> tuple[Wire, Line, Inbox]:
    """A connection on which a request was sent."""
    wire, line = connected()
    return wire, line, wire.send([b"POST / HTTP/1.1\r\n\r\n"])


async def body_of(inbox: Inbox) -> bytes:
    """Read a response to its end."""
    with anyio.fail_after(HANG_SECONDS):
        await inbox.head()
        blocks = b""
        while block := await inbox.take():
            blocks += block
        return blocks


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
async def test_a_response_cut_in_two_at_any_byte_is_the_same(reply: bytes) -> None:
    """Where the network cuts a response changes nothing."""
    for cut in range(1, len(reply)):
        wire, line, inbox = asking()
        wire.data_received(reply[:cut])
        wire.data_received(reply[cut:])
        assert (200, BODY) == (inbox.status, await body_of(inbox)), cut
        assert "text/event-stream" == inbox.headers["content-type"]
        assert len(inbox.headers) == 2, "interim heads and trailers are no headers"
        assert wire.reusable
        assert not line.aborted


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
async def test_a_response_that_comes_byte_by_byte_is_the_same(reply: bytes) -> None:
    """Single bytes make the same body, whether it is read meanwhile or afterwards."""
    wire, _, inbox = asking()
    for at in range(len(reply)):
        wire.data_received(reply[at : at + 1])
    assert await body_of(inbox) == BODY

    wire, _, inbox = asking()
    read: list[bytes] = []
    async with anyio.create_task_group() as group:

        async def reader() -> None:
            read.append(await body_of(inbox))

        group.start_soon(reader)
        for at in range(len(reply)):
            wire.data_received(reply[at : at + 1])
            await asyncio.sleep(0)
    assert read == [BODY]


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES.keys())
@pytest.mark.parametrize("exc", [None, ConnectionResetError()], ids=["closed", "reset"])
async def test_a_connection_that_ends_at_any_byte_never_passes_for_a_complete_response(
    reply: bytes, exc: Exception | None
) -> None:
    """A body that was cut off is an error after its last byte; before the first byte, the request may be sent again."""
    for cut in range(len(reply)):
        wire, _, inbox = asking()
        if cut:
            wire.data_received(reply[:cut])
        wire.connection_lost(exc)
        with pytest.raises(UpstreamError) as broken:
            await body_of(inbox)
        assert ("unavailable" if cut == 0 else "server_error") == broken.value.fault, cut
        assert (cut == 0) == (type(broken.value) is UnansweredError)


@pytest.mark.parametrize("reply", UNTIL_CLOSE, ids=["no length", "not chunked"])
async def test_a_body_without_a_length_ends_with_the_connection(reply: bytes) -> None:
    """The end of the connection is the end of the body, cut anywhere; a reset is not."""
    for cut in range(len(reply) - len(BODY), len(reply)):
        wire, _, inbox = asking()
        wire.data_received(reply[:cut])
        wire.data_received(reply[cut:])
        assert not wire.reusable
        wire.connection_lost(None)
        assert await body_of(inbox) == BODY
    wire, _, inbox = asking()
    wire.data_received(reply)
    wire.connection_lost(ConnectionResetError())
    with pytest.raises(UpstreamError) as broken:
        await body_of(inbox)
    assert broken.value.fault == "server_error"


async def test_bytes_that_came_with_the_end_are_read_after_it() -> None:
    """A reader that was busy while the response completed and the connection closed still gets every byte."""
    wire, _, inbox = asking()
    wire.data_received(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
    await inbox.head()
    assert await inbox.take() == b"one"
    wire.data_received(b"3\r\ntwo\r\n")
    wire.data_received(b"5\r\nthree\r\n0\r\n\r\n")
    wire.connection_lost(None)
    assert [b"twothree", b""] == [await inbox.take(), await inbox.take()]


async def test_what_arrived_before_a_break_is_read_before_the_error() -> None:
    """The reader hears of a broken connection only after the last byte that came over it."""
    wire, _, inbox = asking()
    wire.data_received(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\nt")
    wire.connection_lost(None)
    await inbox.head()
    assert await inbox.take() == b"onet"
    with pytest.raises(UpstreamError):
        await inbox.take()


@pytest.mark.parametrize(
    "second",
    [REPLIES["content-length"], b"H", b"garbage\r\n\r\n", b"\x00\xff"],
    ids=["a whole response", "one byte", "words", "binary"],
)
async def test_bytes_after_the_response_change_nothing_but_spoil_the_connection(second: bytes) -> None:
    """A second response that nobody asked for is not read, in the same segment or in the next."""
    wire, _, inbox = asking()
    wire.data_received(REPLIES["chunked"] + second)
    assert await body_of(inbox) == BODY
    assert not wire.reusable

    wire, line, inbox = asking()
    wire.data_received(REPLIES["chunked"])
    wire.data_received(second)
    assert await body_of(inbox) == BODY
    assert line.aborted
    assert not wire.reusable


@pytest.mark.parametrize(
    "reply",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nxyz",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nnot-a-size\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
        HEAD + b"X-Long: " + b"x" * HEAD_BYTES,
        HEAD + b"X-Long: 1\r\n" * (HEAD_BYTES // 11),
        b"HTTP/1.1 102 Processing\r\n\r\n" * (HEAD_BYTES // 27 + 1),
    ],
    ids=range(12),
)
async def test_what_is_not_an_http_response_is_the_servers_error(reply: bytes) -> None:
    """Garbage, endless heads and contradictions end the response and the connection, and none is asked for again."""
    wire, line, inbox = asking()
    for at in range(0, len(reply), 1000):
        wire.data_received(reply[at : at + 1000])
    with pytest.raises(UpstreamError) as broken:
        await body_of(inbox)
    assert ("server_error", UpstreamError) == (broken.value.fault, type(broken.value))
    assert line.aborted
    assert "garbage" not in str(broken.value)


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_ends_with_its_head(status: int) -> None:
    """204 and 304 have no body and no length, and keep the connection."""
    wire, _, inbox = asking()
    wire.data_received(b"HTTP/1.1 %d X\r\n\r\n" % status)
    assert (b"", True) == (await body_of(inbox), wire.reusable)


async def test_a_connection_that_the_server_will_close_is_not_used_again() -> None:
    """``Connection: close`` and HTTP/1.0 end the connection with the response."""
    for start in (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", b"HTTP/1.0 200 OK\r\n"):
        wire, _, inbox = asking()
        wire.data_received(start + b"Content-Length: 2\r\n\r\nok")
        assert (b"ok", False) == (await body_of(inbox), wire.reusable)


async def test_a_repeated_header_is_joined_and_names_are_lower_case() -> None:
    """A field that comes twice is one value, as RFC 9110 reads it."""
    wire, _, inbox = asking()
    wire.data_received(b"HTTP/1.1 200 OK\r\nX-Warn: a\r\nCONTENT-LENGTH: 0\r\nx-warn: b\r\n\r\n")
    assert {"x-warn": "a, b", "content-length": "0"} == inbox.headers


async def test_a_slow_reader_stops_the_reading() -> None:
    """Above the budget the connection is read no further, until the reader has taken what there is."""
    wire, line, inbox = asking()
    wire.data_received(HEAD + b"Content-Length: %d\r\n\r\n" % (2 * HELD_BYTES + 1))
    reading = []
    for size in (HELD_BYTES, 1):
        wire.data_received(b"x" * size)
        reading.append(line.reading)
    wire.expire(wire.last + 1000, idle=600)
    wire.last = last = wire.last - 1000
    assert HELD_BYTES + 1 == len(await inbox.take())
    assert wire.last >= last + 1000, "the time in which nobody read is not the server's silence"
    for size in (HELD_BYTES - 1, 1):
        reading.append(line.reading)
        wire.data_received(b"y" * size)
    reading.append(line.reading)
    assert HELD_BYTES == len(await body_of(inbox))
    assert [True, False, True, True, True] == reading
    assert wire.reusable


async def test_a_silent_server_is_given_up() -> None:
    """No byte for the idle time is a time-out; a byte starts it anew."""
    wire, line, inbox = asking()
    wire.data_received(HEAD)
    wire.expire(wire.last + 599, idle=600)
    assert not line.aborted
    wire.expire(wire.last + 601, idle=600)
    with pytest.raises(UpstreamError) as silent:
        await body_of(inbox)
    assert ("timeout", True) == (silent.value.fault, line.aborted)


async def test_a_request_on_a_closing_connection_says_so_at_once() -> None:
    """A kept connection that is on its way down leaves the request unanswered and unsent."""
    wire, line = connected()
    line.abort()
    inbox = wire.send([b"POST / HTTP/1.1\r\n\r\n"])
    with pytest.raises(UnansweredError):
        await inbox.head()
    assert line.written == b""


async def test_an_answer_before_the_request_was_sent_spoils_the_connection() -> None:
    """A server that answers early may not read the rest, so the next request would be read as part of it."""
    wire, line, inbox = asking()
    line.unsent = 1
    wire.data_received(REPLIES["content-length"])
    assert (BODY, False) == (await body_of(inbox), wire.reusable)


async def test_the_end_of_a_connection_is_told_to_its_owner() -> None:
    """Whoever keeps connections hears of each one that ends."""
    lost: list[Wire] = []
    wire = Wire("model:80", lost.append)
    wire.connection_made(Line())
    wire.connection_lost(None)
    assert lost == [wire]
