"""Fetching what callers name, from servers on loopback that the configuration permits, and from no other."""

from __future__ import annotations

import asyncio
import gzip
import socket
import subprocess
import sys
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from antiphon.outbound import MOST_REDIRECTS, Config, Outbound, OutboundError, Reason
from antiphon.outbound import courier as courier_module
from tests.patient import HANG_SECONDS
from tests.servers import NOBODYS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

PICTURE = b"\x89PNG" + bytes(range(256)) * 64
MIB = 1 << 20


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops."""
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


class Names(AbstractResolver):
    """A name server that gives another answer each time, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give the next answer."""
        assert family in {socket.AF_UNSPEC, socket.AF_INET}
        self.asked.append(host)
        addresses = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Site:
    """A web server on 127.0.0.1 and 127.0.0.2, what it was asked, and at which of the two."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.reached: list[str] = []
        self.port = 0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The URL of a path."""
        return f"http://{host}:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer by the path."""
        self.requests.append(request)
        assert request.transport is not None
        self.reached.append(request.transport.get_extra_info("sockname")[0])
        match request.path.split("/")[1:]:
            case ["picture"]:
                return web.Response(body=PICTURE, headers={"Content-Type": "Image/PNG; x=y"})
            case ["to"]:
                headers = {"Location": request.query["url"], "Set-Cookie": "a=b"}
                return web.Response(status=302, headers=headers)
            case ["hops", left]:
                location = f"../hops/{int(left) - 1}" if left != "1" else "/picture"
                return web.Response(status=307, headers={"Location": location})
            case ["coded", encoding]:
                return web.Response(body=await request.read() or CODED[encoding], headers=coded(encoding))
            case ["endless"]:
                return await self.endless(request, b"x" * 65536, pause=0)
            case ["drip"]:
                return await self.endless(request, b"x", pause=0.01)
            case ["announced"]:
                return await self.endless(request, b"x", pause=3600, length=100 * MIB)
            case ["silent"]:
                return await self.endless(request, b"x", pause=3600)
            case ["status", status]:
                return web.Response(status=int(status))
            case _:
                raise AssertionError(request.path)

    async def endless(
        self, request: web.Request, block: bytes, *, pause: float, length: int | None = None
    ) -> web.StreamResponse:
        """Write for ever."""
        response = web.StreamResponse()
        response.content_length = length
        await response.prepare(request)
        while True:
            await response.write(block)
            await asyncio.sleep(pause)


CODED = {
    "gzip": gzip.compress(PICTURE),
    "x-gzip": gzip.compress(PICTURE),
    "deflate": zlib.compress(PICTURE),
    "identity": PICTURE,
    "bomb": gzip.compress(bytes(64 * MIB)),
    "cut": gzip.compress(PICTURE)[:-9],
    "garbage": PICTURE,
    "two": gzip.compress(PICTURE) * 2,
    "br": PICTURE,
}


def coded(name: str) -> dict[str, str]:
    """The header of a body in `CODED`."""
    return {"Content-Encoding": "gzip" if name in {"bomb", "cut", "garbage", "two"} else name}


@asynccontextmanager
async def site() -> AsyncGenerator[Site, None]:
    """Serve at one port of two loopback addresses."""
    served = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", served.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        first = web.TCPSite(runner, "127.0.0.1", 0)
        await first.start()
        served.port = runner.addresses[0][1]
        await web.TCPSite(runner, "127.0.0.2", served.port).start()
        with anyio.fail_after(HANG_SECONDS):
            yield served
    finally:
        await runner.cleanup()


@asynccontextmanager
async def outbound(*allowed: str, names: Names | None = None, **seconds: float) -> AsyncGenerator[Outbound, None]:
    """A way out that is closed in the end."""
    way = Outbound(Config(allow_private=list(allowed)), resolver=names, **seconds)
    try:
        yield way
    finally:
        await way.aclose()


async def reason(way: Outbound, url: str, limit: int = MIB) -> Reason:
    """Why a URL is not fetched."""
    with pytest.raises(OutboundError) as refused:
        await way.fetch(url, limit=limit)
    assert "127.0.0" not in str(refused.value)
    return refused.value.reason


async def test_a_body_comes_with_its_media_type_and_its_url() -> None:
    """What was fetched, the type without parameters, and where it was after a redirect."""
    async with site() as server, outbound("127.0.0.1") as way:
        fetched = await way.fetch(server.url("/to?url=/picture%23part"), limit=len(PICTURE), accept="image/*")
        assert (PICTURE, "image/png", server.url("/picture")) == (fetched.content, fetched.media_type, fetched.url)


async def test_a_request_tells_nothing_but_what_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five headers, no cookie that a redirect set, no proxy and no password of the environment."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with site() as server, outbound("127.0.0.1") as way:
        await way.fetch(server.url("/to?url=/picture"), limit=MIB, accept="image/*")
        for request in server.requests:
            assert dict(request.headers) == {
                "Host": f"127.0.0.1:{server.port}",
                "User-Agent": "antiphon",
                "Accept": "image/*",
                "Accept-Encoding": "identity",
                "Connection": "close",
            }
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "localhost",
        "LOCALHOST.",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "0",
        "0.0.0.0",  # noqa: S104 - an address to be refused
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[::127.0.0.1]",
        "[fe80::1%25lo]",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ],
)
async def test_no_spelling_of_a_private_address_is_dialled(host: str) -> None:
    """However a caller writes it, the server behind it is not asked."""
    async with site() as server, outbound() as way:
        assert await reason(way, f"http://{host}:{server.port}/picture") in {
            "refused_address",
            "bad_url",
            "unreachable",
        }
        assert server.requests == []


async def test_a_name_that_leads_to_a_private_address_is_refused() -> None:
    """The name is public, its address is not."""
    async with site() as server, outbound(names=Names(["127.0.0.1"])) as way:
        assert await reason(way, server.url("/picture", "www.example.com")) == "refused_address"
        assert server.requests == []


async def test_the_address_that_is_checked_is_the_address_that_is_dialled() -> None:
    """A name server that changes its mind is asked once, and its one answer is both checked and dialled."""
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    async with site() as server, outbound("127.0.0.2", names=names) as way:
        assert PICTURE == (await way.fetch(server.url("/picture", "rebinding.example"), limit=MIB)).content
        assert (["rebinding.example"], ["127.0.0.2"]) == (names.asked, server.reached)


async def test_a_name_that_is_bound_anew_for_a_redirect_is_refused() -> None:
    """Each hop asks and checks again."""
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    async with site() as server, outbound("127.0.0.2", names=names) as way:
        assert await reason(way, server.url("/to?url=/picture", "rebinding.example")) == "refused_address"
        assert (2, ["127.0.0.2"]) == (len(names.asked), server.reached)


@pytest.mark.parametrize("answer", [["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]])
async def test_of_several_addresses_only_permitted_ones_are_dialled(answer: list[str]) -> None:
    """A private address among others is passed over."""
    async with site() as server, outbound("127.0.0.2", names=Names(answer)) as way:
        await way.fetch(server.url("/picture", "mixed.example"), limit=MIB)
        assert server.reached == ["127.0.0.2"]


async def test_a_host_may_be_permitted_by_its_name() -> None:
    """The operator's word counts for the name wherever it leads, and for no other name."""
    async with site() as server, outbound("files.corp", names=Names(["127.0.0.1"])) as way:
        assert PICTURE == (await way.fetch(server.url("/picture", "Files.Corp."), limit=MIB)).content
        assert await reason(way, server.url("/picture", "other.corp")) == "refused_address"


async def test_a_redirect_to_a_private_address_is_refused() -> None:
    """A permitted server cannot send the request on to one that is not."""
    async with site() as server, site() as victim, outbound(f"127.0.0.1:{server.port}") as way:
        for url in (victim.url("/picture"), f"//127.0.0.2:{server.port}/picture", "http://169.254.169.254/latest"):
            assert await reason(way, str(URL(server.url("/to")).with_query(url=url))) == "refused_address"
        assert victim.requests == []
        assert set(server.reached) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("ftp://files.example/x", "bad_url"),
        ("file:///etc/passwd", "bad_url"),
        ("http://user:secret@127.0.0.1/", "bad_url"),
        ("http://127.0.0.1:99999/", "bad_redirect"),
        ("http://[::1/", "bad_redirect"),
    ],
)
async def test_a_redirect_is_checked_like_a_url(location: str, expected: Reason) -> None:
    """No other scheme, no password, no nonsense."""
    async with site() as server, outbound("127.0.0.1") as way:
        assert expected == await reason(way, str(URL(server.url("/to")).with_query(url=location)))


def test_a_redirect_from_https_to_http_is_refused() -> None:
    """What was asked in private is not answered in public."""
    with pytest.raises(OutboundError) as refused:
        courier_module._joined(URL("https://a.example/x"), "http://a.example/x")
    assert refused.value.reason == "bad_redirect"
    assert courier_module._joined(URL("http://a.example/x"), "https://b.example/") == "https://b.example/"
    assert courier_module._joined(URL("https://a.example/x"), "/y") == "https://a.example/y"


async def test_redirects_have_an_end() -> None:
    """Five are followed, six are not."""
    async with site() as server, outbound("127.0.0.1") as way:
        assert PICTURE == (await way.fetch(server.url(f"/hops/{MOST_REDIRECTS}"), limit=MIB)).content
        assert await reason(way, server.url(f"/hops/{MOST_REDIRECTS + 1}")) == "too_many_redirects"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "picture.png",
        "//example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "gopher://example.com/",
        "http:///x",
        "http://",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://:secret@example.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:x/",
        "http://exam ple.com/",
        "http://example.com/\r\nHost: x",
        "http://example.com/\t",
        " http://example.com/",
        "http://example.com/\0",
        "http://[::1/",
        "http://" + "a" * 64 + ".example/",
    ],
)
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    """Only http and https, a host, a port that exists, no password and no white space."""
    async with outbound() as way:
        assert await reason(way, url) == "bad_url"


@pytest.mark.parametrize("status", [204, 206, 299])
async def test_any_success_is_a_body(status: int) -> None:
    """Two hundreds are taken."""
    async with site() as server, outbound("127.0.0.1") as way:
        assert (await way.fetch(server.url(f"/status/{status}"), limit=0)).content == b""


@pytest.mark.parametrize("status", [300, 302, 304, 401, 404, 500])
async def test_any_other_status_is_an_error(status: int) -> None:
    """A redirect without a place to go included."""
    async with site() as server, outbound("127.0.0.1") as way:
        assert await reason(way, server.url(f"/status/{status}")) == "bad_status"


async def test_a_body_over_the_limit_is_refused() -> None:
    """By its announced length before it arrives, and while it arrives where it announced none."""
    async with site() as server, outbound("127.0.0.1") as way:
        assert await reason(way, server.url("/announced")) == "too_large"
        assert await reason(way, server.url("/picture"), len(PICTURE) - 1) == "too_large"
        assert await reason(way, server.url("/endless"), 8 * MIB) == "too_large"


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "identity"])
async def test_a_body_that_was_compressed_all_the_same_is_inflated(encoding: str) -> None:
    """A server that ignores what it was asked for is understood."""
    async with site() as server, outbound("127.0.0.1") as way:
        url = server.url(f"/coded/{encoding}")
        assert PICTURE == (await way.fetch(url, limit=len(PICTURE))).content
        assert await reason(way, url, len(PICTURE) - 1) == "too_large"


async def test_a_bomb_does_not_go_off() -> None:
    """64 MiB in 64 KiB are inflated to the limit and no further."""
    async with site() as server, outbound("127.0.0.1") as way:
        assert len(CODED["bomb"]) < MIB
        assert await reason(way, server.url("/coded/bomb")) == "too_large"


def test_a_bomb_is_inflated_to_one_byte_over_the_limit() -> None:
    """What zlib gives at once never exceeds the room that is left by more than what proves it."""
    assert len(courier_module._Body("gzip", MIB)._inflated(CODED["bomb"])) == MIB + 1


@pytest.mark.parametrize("name", ["cut", "garbage", "two", "br"])
async def test_a_body_that_cannot_be_inflated_is_an_error(name: str) -> None:
    """Cut off, not compressed at all, more than one, or compressed in a way that is not known."""
    async with site() as server, outbound("127.0.0.1") as way:
        assert await reason(way, server.url(f"/coded/{name}")) == "bad_encoding"


async def test_a_slow_drip_ends() -> None:
    """A server that sends a byte now and then is bounded by the whole time."""
    async with site() as server, outbound("127.0.0.1", total_seconds=0.2) as way:
        assert await reason(way, server.url("/drip")) == "timeout"


async def test_a_silent_server_ends() -> None:
    """A server that says nothing more is bounded by the idle time."""
    async with site() as server, outbound("127.0.0.1", idle_seconds=0.05) as way:
        assert await reason(way, server.url("/silent")) == "timeout"


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    """A refused connection, and a name that nobody has: it is too long for one, which is known without a network."""
    async with outbound("127.0.0.1") as way:
        assert await reason(way, "http://127.0.0.1:1/") == "unreachable"
        assert await reason(way, f"http://{NOBODYS}/") == "unreachable"


async def test_a_way_out_can_be_used_after_it_was_closed() -> None:
    """Closing lets go of what is held; a later fetch opens it again."""
    async with site() as server, outbound("127.0.0.1") as way:
        for _ in range(2):
            assert PICTURE == (await way.fetch(server.url("/picture"), limit=MIB)).content
            await way.aclose()


def test_a_start_does_not_pay_for_fetching() -> None:
    """Configuration and construction import no HTTP client."""
    code = "import sys; from antiphon.outbound import *; Outbound(Config()); sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=HANG_SECONDS).returncode == 0
