"""Kept connections to one origin."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from aiohttp import web

from antiphon.outbound import OutboundError, Reason
from antiphon.outbound import line as line_module
from antiphon.outbound.line import DRAINED_BYTES, NotSentError
from tests.outbound.test_outbound import Names, outbound
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.outbound.line import Line, Reply

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops."""
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


class Place:
    """A web server on 127.0.0.1 that knows which connection each request came by."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.connections: list[object] = []
        self.more = anyio.Event()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """The URL of a path."""
        return f"http://{host}:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer by the path."""
        self.requests.append(request)
        self.bodies.append(await request.read())
        assert request.transport is not None
        self.connections.append(request.transport.get_extra_info("peername"))
        match request.path:
            case "/to":
                return web.Response(status=307, headers={"Location": "/elsewhere", "Set-Cookie": "a=b"})
            case "/gzip":
                return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})
            case "/ends":
                return await self.stream(request, [b"first", b"last"])
            case "/long":
                return await self.stream(request, [b"first", b"x" * (100 * DRAINED_BYTES)])
            case "/silent":
                response = await self.stream(request, [b"first"], ends=False)
                await self.more.wait()
                return response
            case "/broken":
                await self.stream(request, [b"first"], ends=False)
                request.transport.abort()
                raise ConnectionResetError
            case path:
                return web.Response(text=path)

    async def stream(self, request: web.Request, blocks: list[bytes], *, ends: bool = True) -> web.StreamResponse:
        """Write blocks, each on its own."""
        response = web.StreamResponse()
        await response.prepare(request)
        for block in blocks:
            await response.write(block)
        if ends:
            await response.write_eof()
        return response


@asynccontextmanager
async def place() -> AsyncGenerator[Place, None]:
    """Serve."""
    served = Place()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", served.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.port = runner.addresses[0][1]
        with anyio.fail_after(HANG_SECONDS):
            yield served
    finally:
        served.more.set()
        await runner.cleanup()


@asynccontextmanager
async def line(
    server: Place, *allowed: str, host: str = "127.0.0.1", names: Names | None = None
) -> AsyncGenerator[Line]:
    """A line to a server."""
    async with outbound(*(allowed or ("127.0.0.1",)), names=names) as way:
        opened = await way.line(server.url(host=host))
        try:
            yield opened
        finally:
            await opened.aclose()


async def post(opened: Line, url: str, content: bytes = b"{}") -> Reply:
    """Send something."""
    return await opened.send("POST", url, headers=[("X-Key", "value")], content=content)


async def whole(reply: Reply) -> bytes:
    """A whole body."""
    content = b""
    while block := await reply.read():
        content += block
    await reply.aclose()
    return content


async def reason(opened: Line, url: str) -> tuple[Reason, bool]:
    """Why a request failed, and whether it was certainly not sent."""
    with pytest.raises(OutboundError) as refused:
        await post(opened, url)
    assert "127.0.0" not in str(refused.value)
    return refused.value.reason, isinstance(refused.value, NotSentError)


async def test_a_line_keeps_its_connection() -> None:
    """Ten requests go over one, and carry what was given and little else."""
    async with place() as server, line(server) as opened:
        for number in range(10):
            reply = await post(opened, server.url(f"/{number}"), b"asked")
            assert (200, f"/{number}".encode()) == (reply.status, await whole(reply))
        assert len(set(server.connections)) == 1
        assert [b"asked"] * 10 == server.bodies
        assert dict(server.requests[0].headers) == {
            "Host": f"127.0.0.1:{server.port}",
            "User-Agent": "antiphon",
            "Accept-Encoding": "identity",
            "X-Key": "value",
            "Content-Length": "5",
        }


async def test_an_answer_that_is_read_in_part_keeps_the_connection_if_its_end_is_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What remains is drained."""
    monkeypatch.setattr(line_module, "DRAINING_SECONDS", HANG_SECONDS)
    async with place() as server, line(server) as opened:
        for _ in range(3):
            reply = await post(opened, server.url("/ends"))
            assert (await reply.read()).startswith(b"first")
            await reply.aclose()
            await reply.aclose()
        assert len(set(server.connections)) == 1


@pytest.mark.parametrize("path", ["/long", "/silent"])
async def test_an_answer_whose_end_is_far_costs_its_connection(path: str) -> None:
    """Draining is bounded in bytes and in time."""
    async with place() as server, line(server) as opened:
        for _ in range(2):
            reply = await post(opened, server.url(path))
            assert (await reply.read()).startswith(b"first")
            await reply.aclose()
        assert len(set(server.connections)) == 2


async def test_an_answer_that_breaks_off_is_an_error() -> None:
    """In its middle, after the request was sent."""
    async with place() as server, line(server) as opened:
        reply = await post(opened, server.url("/broken"))
        with pytest.raises(OutboundError) as broken:
            await whole(reply)
        assert ("unreachable", False) == (broken.value.reason, isinstance(broken.value, NotSentError))
        await reply.aclose()


async def test_a_refused_address_is_not_dialled() -> None:
    """The check stands where the socket is made."""
    async with place() as server, line(server, "10.0.0.0/8") as opened:
        assert ("refused_address", True) == await reason(opened, server.url())
        assert [] == server.requests


async def test_an_address_that_changes_between_two_dials_is_checked_again() -> None:
    """A kept connection stays; a new one asks and checks anew."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    async with place() as server, line(server, "127.0.0.1", host="moves.example", names=names) as opened:
        await whole(await post(opened, server.url("/a", "moves.example")))
        await whole(await post(opened, server.url("/b", "moves.example")))
        assert ["moves.example"] == names.asked
        kept = await post(opened, server.url("/silent", "moves.example"))
        assert ("refused_address", True) == await reason(opened, server.url("/c", "moves.example"))
        await kept.aclose()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", "evil.example"])
async def test_another_origin_is_refused(host: str) -> None:
    """A line sends to its own host alone, and to its own port."""
    async with place() as server, line(server) as opened:
        assert ("bad_redirect", True) == await reason(opened, server.url(host=host))
        assert ("bad_redirect", True) == await reason(opened, "http://127.0.0.1:1/")
        assert ("bad_redirect", True) == await reason(opened, server.url().replace("http:", "https:"))
        assert ("bad_url", False) == await reason(opened, "file:///etc/passwd")


async def test_a_compressed_answer_is_refused() -> None:
    """It was asked for as it is."""
    async with place() as server, line(server) as opened:
        assert ("bad_encoding", False) == await reason(opened, server.url("/gzip"))


async def test_a_redirect_is_not_followed_and_a_cookie_not_kept() -> None:
    """Both are the sender's to look at."""
    async with place() as server, line(server) as opened:
        reply = await post(opened, server.url("/to"))
        assert (307, "/elsewhere") == (reply.status, reply.header("location"))
        assert ("Set-Cookie", "a=b") in reply.headers
        await whole(reply)
        await whole(await post(opened, server.url("/x")))
        assert "Cookie" not in server.requests[1].headers


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    """Nothing was sent."""
    async with outbound("127.0.0.1") as way, aclosing(await way.line("http://127.0.0.1:1/")) as opened:
        assert ("unreachable", True) == await reason(opened, "http://127.0.0.1:1/")


async def test_a_line_to_no_url_cannot_be_opened() -> None:
    """It is told before anything is dialled."""
    async with outbound() as way:
        with pytest.raises(OutboundError) as refused:
            await way.line("ftp://files.example/")
    assert refused.value.reason == "bad_url"
