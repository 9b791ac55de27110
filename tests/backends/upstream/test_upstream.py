"""The client over real sockets: how connections end, when it asks again, what it keeps and what it lets go."""

from __future__ import annotations

import base64
import ssl
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from antiphon.backends import UpstreamError, upstream
from antiphon.backends.upstream import Upstream, back_off
from antiphon.backends.upstream.wire import HELD_BYTES
from tests.backends.upstream.raw_server import CHUNKED, OK, Peer, answering, breaking, raw_server, resetting
from tests.patient import HANG_SECONDS
from tests.servers import NOBODYS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.backends.upstream.raw_server import Script

pytestmark = pytest.mark.anyio

PEM = Path(__file__).parent / "localhost.pem"  # a key that guards nothing, and its own certificate for "localhost"
BUSY = b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops."""
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


class Pauses(list[tuple[int, float | None]]):
    """What the client would have waited between two attempts."""

    async def __call__(self, attempt: int, retry_after: float | None) -> None:
        """Note it and wait no time."""
        self.append((attempt, retry_after))


@asynccontextmanager
async def connected(url: str, **settings: float) -> AsyncGenerator[Upstream, None]:
    """A client that is closed in the end; it does not ask twice unless told so."""
    client = Upstream(
        url,
        headers={"authorization": "Bearer K"},
        attempts=int(settings.get("attempts", 1)),
        connect_seconds=settings.get("connect_seconds", HANG_SECONDS),
        idle_seconds=settings.get("idle_seconds", HANG_SECONDS),
    )
    try:
        with anyio.fail_after(HANG_SECONDS):
            yield client
    finally:
        await client.aclose()


async def ask(client: Upstream) -> tuple[int, bytes]:
    """One whole exchange."""
    with await client.post("/x", b"{}") as reply:
        return reply.status, await reply.read(1 << 24)


async def test_a_body_is_read_as_it_arrives() -> None:
    """Each chunk reaches the reader while the server still writes."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED)
        for word in (b"one", b"two", b"three"):
            await peer.send(b"%x\r\n%b\r\n" % (len(word), word))
            await peer.server.step()
        await peer.send(b"0\r\n\r\n")
        await peer.gone()

    async with raw_server(script) as server, connected(server.url) as client:
        with await client.post("/x", b"{}") as reply:
            read = []
            while chunk := await reply.take():
                read.append(chunk)
                server.go_on()
        assert read == [b"one", b"two", b"three"]
        assert reply.headers == {"transfer-encoding": "chunked"}


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", "unavailable"),
        (b"HTTP/1.1 20", "server_error"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "server_error"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", "server_error"),
        (CHUNKED + b"9\r\nshort", "server_error"),
        (CHUNKED + b"5\r\nshort\r\n1", "server_error"),
        (CHUNKED + b"5\r\nshort\r\n", "server_error"),
        (CHUNKED + b"5\r\nshort\r\n0\r\n", "server_error"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "server_error"),
    ],
)
async def test_a_connection_that_ends_early_is_an_error(answer: bytes, fault: str) -> None:
    """At whatever point the server hangs up, the caller hears whose fault it was, and the log hears where."""
    async with raw_server(breaking(answer)) as server, connected(server.url) as client:
        with pytest.raises(UpstreamError) as broken:
            await ask(client)
        assert fault == broken.value.fault
        assert f"127.0.0.1:{server.port}" in (broken.value.detail or "")
        assert "127.0.0.1" not in str(broken.value)


@pytest.mark.parametrize("start", [CHUNKED + b"3\r\none\r\n", b"HTTP/1.1 200 OK\r\n\r\none"])
async def test_a_reset_within_the_body_is_an_error(start: bytes) -> None:
    """A RST is never the end of a body, not even of one without a length."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(start)
        await peer.server.step()
        peer.reset()

    async with raw_server(script) as server, connected(server.url) as client:
        with await client.post("/x", b"{}") as reply:
            assert await reply.take() == b"one"
            server.go_on()
            with pytest.raises(UpstreamError) as broken:
                await reply.take()
        assert broken.value.fault == "server_error"


@pytest.mark.parametrize("tail", [b"0\r\n\r\n", b"0\r\nx-sum: 1\r\n\r\n"])
async def test_a_connection_that_ends_after_the_last_chunk_is_none(tail: bytes) -> None:
    """A server may hang up right after the end."""
    async with raw_server(breaking(CHUNKED + b"2\r\nok\r\n" + tail)) as server, connected(server.url) as client:
        assert await ask(client) == (200, b"ok")


async def test_a_body_may_end_with_the_connection() -> None:
    """Without a length, what came until the end is the body."""
    async with raw_server(breaking(b"HTTP/1.1 200 OK\r\n\r\nto the end")) as server, connected(server.url) as client:
        assert await ask(client) == (200, b"to the end")


async def test_a_connection_is_used_again() -> None:
    """Two requests in turn share a connection; after an answer with ``Connection: close`` there is a new one."""
    closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    script = answering(OK, CHUNKED + b"2\r\nok\r\n0\r\n\r\n", closing)
    async with raw_server(script) as server, connected(server.url) as client:
        for expected in (1, 1, 1, 2):
            assert await ask(client) == (200, b"ok")
            assert expected == len(server.peers)


async def test_the_last_used_connection_is_used_first() -> None:
    """The pool is a stack, so connections that are not needed grow old and go."""
    served: list[Peer] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            served.append(peer)
            await peer.send(OK)

    async with raw_server(script) as server, connected(server.url) as client:
        with await client.post("/x", b"1") as first, await client.post("/x", b"2") as second:
            await second.read(10)
            await first.read(10)
        await ask(client)
        assert [server.peers[0], server.peers[1], server.peers[0]] == served


async def test_a_dead_kept_connection_is_replaced_at_once() -> None:
    """A connection that dies under a request is no attempt: a fresh one is asked, without a pause."""

    async def dying(peer: Peer) -> None:
        await peer.request()
        await peer.send(OK)
        await peer.request()

    async with raw_server(dying, answering(OK)) as server, connected(server.url) as client:
        assert [(200, b"ok")] * 2 == [await ask(client), await ask(client)]
        assert (2, 3) == (len(server.peers), len(server.requests))


async def test_a_kept_connection_that_the_server_closes_is_forgotten() -> None:
    """The pool hears of the end of an idle connection without asking."""
    async with raw_server(breaking(OK)) as server, connected(server.url) as client:
        for expected in (1, 2, 3):
            assert await ask(client) == (200, b"ok")
            assert expected == len(server.requests) == len(server.peers)
        for wire in tuple(client._wires):
            wire.connection_lost(None)
        assert ({}, set()) == (client._idle, client._wires)


async def test_a_kept_connection_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unused connection is closed before a load balancer forgets it."""
    monkeypatch.setattr(upstream, "KEPT_SECONDS", 0.05)
    async with raw_server(answering(OK)) as server, connected(server.url) as client:
        await ask(client)
        await server.left.wait()
        client._sweep()
        assert (set(), None) == (client._wires, client._sweeper), "no connection, no timer"


async def test_leaving_early_closes_the_connection() -> None:
    """A caller that leaves in the middle stops the model, and its connection serves nobody else."""

    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"3\r\none\r\n")
        await peer.gone()

    async with raw_server(endless, answering(OK)) as server, connected(server.url) as client:
        with await client.post("/x", b"{}") as reply:
            assert await reply.take() == b"one"
        await server.left.wait()
        assert await ask(client) == (200, b"ok")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", CHUNKED, CHUNKED + b"3\r\none\r\n"])
async def test_a_cancelled_caller_closes_the_connection(said: bytes) -> None:
    """Cancelled while it waits for the head or for the body: the server sees the end."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(said)
        await peer.gone()

    async with raw_server(script) as server, connected(server.url) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, client)
            await server.asked.wait()
            group.cancel_scope.cancel()
        await server.left.wait()


async def test_a_caller_cancelled_while_connecting_closes_the_connection() -> None:
    """Cancelled in a TLS handshake that the server never answers: the server sees the end."""

    async def silent(peer: Peer) -> None:
        peer.server.asked.set()
        await peer.drained()

    async with raw_server(silent) as server, connected(server.url.replace("http:", "https:")) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, client)
            await server.asked.wait()
            group.cancel_scope.cancel()
        await server.left.wait()


async def test_a_connection_that_takes_too_long_is_a_timeout() -> None:
    """A handshake that is never answered ends after ``connect_seconds``."""

    async def silent(peer: Peer) -> None:
        await peer.drained()

    url = "https://127.0.0.1"
    async with raw_server(silent) as server, connected(f"{url}:{server.port}", connect_seconds=0.05) as client:
        with pytest.raises(UpstreamError) as slow:
            await ask(client)
        assert slow.value.fault == "timeout"
        await server.left.wait()


@pytest.mark.parametrize("said", [b"", CHUNKED + b"3\r\none\r\n"])
async def test_a_server_that_falls_silent_is_a_timeout(said: bytes) -> None:
    """No byte for ``idle_seconds``, before the head or within the body, ends the response and the connection."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(said)
        await peer.gone()

    async with raw_server(script) as server, connected(server.url, idle_seconds=0.05, attempts=3) as client:
        with pytest.raises(UpstreamError) as silent:
            await ask(client)
        assert silent.value.fault == "timeout"
        await server.left.wait()
        assert len(server.requests) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", NOBODYS], ids=["refused", "unknown"])
async def test_a_server_that_is_not_there_is_asked_three_times(host: str) -> None:
    """Refused connections and unknown names are tried again with pauses, then reported as unavailable."""
    pauses = Pauses()
    async with aclosing(Upstream(f"http://{host}:1", headers={}, pause=pauses)) as client:
        with pytest.raises(UpstreamError) as absent:
            await ask(client)
    assert ("unavailable", [(1, None), (2, None)]) == (absent.value.fault, pauses)
    assert host not in str(absent.value)


@pytest.mark.parametrize(
    ("scripts", "paused"),
    [
        ([breaking(b""), answering(OK)], [(1, None)]),
        ([breaking(b""), resetting, answering(OK)], [(1, None), (2, None)]),
        ([answering(BUSY + b"\r\nbusy", OK)], [(1, None)]),
        ([answering(BUSY + b"retry-after: 2\r\n\r\nbusy", OK)], [(1, 2.0)]),
        ([answering(BUSY + b"retry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n\r\nbusy", OK)], [(1, None)]),
        ([breaking(b"HTTP/1.1 502 X\r\n\r\nuntil close"), answering(OK)], [(1, None)]),
        ([answering(b"HTTP/1.1 504 X\r\ncontent-length: 0\r\n\r\n", OK)], [(1, None)]),
    ],
    ids=range(7),
)
async def test_a_request_without_an_answer_is_sent_again(
    scripts: list[Script], paused: list[tuple[int, float | None]]
) -> None:
    """Before the first byte of a usable answer the client asks again, and waits as it was told."""
    pauses = Pauses()
    async with raw_server(*scripts) as server, aclosing(Upstream(server.url, headers={}, pause=pauses)) as client:
        with anyio.fail_after(HANG_SECONDS):
            assert await ask(client) == (200, b"ok")
        assert paused == pauses
        assert {server.requests[0]} == set(server.requests)
        assert server.requests[0].startswith(b"POST /x HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 500 X\r\ncontent-length: 4\r\n\r\noops", 500),
        (b"HTTP/1.1 429 X\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\noops", 429),
        (b"HTTP/1.1 302 X\r\nlocation: http://127.0.0.1/\r\ncontent-length: 4\r\n\r\noops", 302),
        (b"HTTP/1.1 503 X\r\nretry-after: 60\r\ncontent-length: 4\r\n\r\noops", 503),
    ],
)
async def test_other_answers_are_handed_out_at_once(answer: bytes, status: int) -> None:
    """What is the caller's to judge is a plain reply: no retry, no redirect."""
    async with raw_server(answering(answer)) as server, connected(server.url, attempts=3) as client:
        assert await ask(client) == (status, b"oops")
        assert len(server.requests) == 1


async def test_the_last_attempt_is_handed_out_whatever_it_is() -> None:
    """A server that stays busy has its own words handed out."""
    pauses = Pauses()
    async with (
        raw_server(answering(*[BUSY + b"\r\nbusy"] * 3)) as server,
        aclosing(Upstream(server.url, headers={}, attempts=3, pause=pauses)) as client,
    ):
        assert await ask(client) == (503, b"busy")
        assert (3, 2, 1) == (len(server.requests), len(pauses), len(server.peers))


async def test_after_the_head_nothing_is_sent_again() -> None:
    """A body that breaks off is an error, however many attempts are left."""
    async with raw_server(breaking(CHUNKED + b"3\r\none\r\n")) as server, connected(server.url, attempts=3) as client:
        with pytest.raises(UpstreamError):
            await ask(client)
        assert len(server.requests) == 1


async def test_the_pause_is_what_the_server_asked_for() -> None:
    """``Retry-After: 0`` is waited for, and takes no time."""
    with anyio.fail_after(2):  # half of the shortest pause of a server that asked for none
        await back_off(5, 0.0)
    with anyio.move_on_after(0.05) as waiting:
        await back_off(5, None)
    assert waiting.cancelled_caught


async def test_a_long_body_arrives_whole_at_a_slow_reader() -> None:
    """Back-pressure holds the server, and no byte is lost by it."""
    block = bytes(range(256)) * 256
    size = 8 * HELD_BYTES

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            await peer.send(block)
        await peer.gone()

    async with raw_server(script) as server, connected(server.url) as client:
        with await client.post("/x", b"{}") as reply:
            body = b""
            while chunk := await reply.take():
                body += chunk
                await anyio.lowlevel.checkpoint()
        assert body == block * (size // len(block))
        assert len(server.peers) == 1


async def test_a_body_over_the_limit_is_an_error() -> None:
    """``read`` keeps no more than it was allowed to."""
    async with raw_server(answering(OK)) as server, connected(server.url) as client:
        with await client.post("/x", b"{}") as reply, pytest.raises(UpstreamError) as long:
            await reply.read(1)
        assert long.value.fault == "server_error"


async def test_closing_breaks_off_what_runs_and_connects_no_more() -> None:
    """``aclose`` closes kept connections and running responses; a later request is refused."""

    async def endless(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\nuntil close")
        await peer.gone()

    async with raw_server(endless) as server, connected(server.url, attempts=3) as client:
        with await client.post("/x", b"{}") as reply:
            assert await reply.take() == b"until close"
            await client.aclose()
            with pytest.raises(UpstreamError) as closed:
                await reply.take()
        assert closed.value.fault == "server_error"
        await server.left.wait()
        with pytest.raises(UpstreamError) as refused:
            await ask(client)
        assert refused.value.fault == "unavailable"


async def test_a_request_says_what_it_should() -> None:
    """The base URL's path and query, Basic authorization, the length, and headers that replace others by name."""
    async with raw_server(answering(OK)) as server:
        url = f"http://us%40er:p%3Aw@127.0.0.1:{server.port}/openai/v1/?api-version=2026-01-01"
        async with aclosing(Upstream(url, headers={"X-Team": "a", "X-Kept": "b"})) as client:
            with await client.post("/images/edits?n=1", b"{..}", headers={"x-team": "c", "Content-Type": "a/b"}):
                head, _, body = server.requests[0].partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        assert line == "POST /openai/v1/images/edits?api-version=2026-01-01&n=1 HTTP/1.1"
        assert dict(field.split(": ") for field in fields) == {
            "host": f"127.0.0.1:{server.port}",
            "user-agent": "antiphon",
            "accept-encoding": "identity",
            "content-type": "a/b",
            "authorization": "Basic " + base64.b64encode(b"us@er:p:w").decode(),
            "x-team": "c",
            "x-kept": "b",
            "content-length": "4",
        }
        assert body == b"{..}"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://[::1]/v1", "[::1]"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://models.example", "models.example"),
        ("https://bücher.example:444", "xn--bcher-kva.example:444"),
    ],
)
def test_the_host_header_is_the_url_s(url: str, host: str) -> None:
    """IPv6 in brackets, names beyond ASCII encoded, the port where the URL names it."""
    assert f"host: {host}\r\n".encode() in b"".join(Upstream(url, headers={})._request("/", b"", {}))


@pytest.mark.parametrize(
    "url", ["ftp://h/", "h:80", "http://", "//h", "http://h:99999", "http://a..b", "http://u:secret@"]
)
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    """A mistake in the configuration is told at the start, without the password in it."""
    with pytest.raises(ValueError) as refused:
        Upstream(url, headers={})
    assert "secret" not in str(refused.value)


def test_a_header_with_a_line_break_is_refused() -> None:
    """A key that was read with its line's end cannot split the request."""
    for value in ("K\r\nx: y", "K\n", "K\r", "K\0"):
        with pytest.raises(ValueError):
            Upstream("http://h", headers={"authorization": value})


async def test_https_is_checked_against_the_trust_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that is trusted and names the host is accepted; unknown or for another host, it is not."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(PEM)
    names: list[str | None] = []
    tls.sni_callback = lambda _, name, __: names.append(name)
    async with raw_server(answering(OK, OK), tls=tls) as server, AsyncExitStack() as stack:
        unknown = await stack.enter_async_context(connected(f"https://localhost:{server.port}"))
        monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
        trusting = await stack.enter_async_context(connected(f"https://localhost:{server.port}"))
        other = await stack.enter_async_context(connected(f"https://127.0.0.1:{server.port}"))
        assert await ask(trusting) == (200, b"ok")
        assert await ask(trusting) == (200, b"ok")
        assert names == ["localhost"]
        for client in (unknown, other):
            with pytest.raises(UpstreamError) as untrusted:
                await ask(client)
            assert untrusted.value.fault == "unavailable"
            assert "CERTIFICATE_VERIFY_FAILED" in (untrusted.value.detail or "")
