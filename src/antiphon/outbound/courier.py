"""One hop to a URL that a caller named, with aiohttp; imported with the first fetch, for what aiohttp costs."""

from __future__ import annotations

import logging
import socket
import zlib
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
from msgspec import Struct
from yarl import URL

from antiphon.outbound.reach import OutboundError

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

    from antiphon.outbound.reach import Reach

    Dialled = tuple[int, int, int, str, tuple[str | int, ...]]  # of `socket.getaddrinfo`

log = logging.getLogger(__name__)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SUCCESSES = range(200, 300)
_PLAIN = frozenset({"", "identity"})
_INFLATED = frozenset({"gzip", "x-gzip", "deflate"})
_ZLIB_OR_GZIP = 47  # of `zlib.decompressobj`: the header says which


class Found(Struct, frozen=True):
    """What one hop led to: a body, or another URL."""

    content: bytes
    media_type: str
    url: str
    moved_to: str | None


class Courier:
    """Dials what `Reach` permits. Nothing is shared by two hops: no connection, no cookie, no remembered address."""

    def __init__(
        self, reach: Reach, *, resolver: AbstractResolver | None, connect_seconds: float, idle_seconds: float
    ) -> None:
        """Needs a running loop. Without a ``resolver`` it has the system's, and closes it."""
        self._reach = reach
        self.resolver = resolver or aiohttp.DefaultResolver()
        self._closes_resolver = resolver is None
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds, sock_read=idle_seconds)

    async def aclose(self) -> None:
        """Let go of the resolver that is its own."""
        if self._closes_resolver:
            await self.resolver.close()

    async def fetch(self, url: str, *, limit: int, accept: str) -> Found:
        """Fetch one URL, following nothing. Raises `OutboundError`."""
        target = checked(url)
        refused: list[str] = []
        try:
            return await self._fetch(target, refused, limit=limit, accept=accept)
        except (TimeoutError, aiohttp.ServerTimeoutError) as error:
            raise OutboundError("timeout", "The server of the URL did not answer in time.") from error
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise explained(error, target, refused) from error

    async def _fetch(self, url: URL, refused: list[str], *, limit: int, accept: str) -> Found:
        headers = {"User-Agent": "antiphon", "Accept": accept, "Accept-Encoding": "identity"}
        async with (
            aiohttp.ClientSession(
                connector=self._connector(url, refused),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                auto_decompress=False,
                trust_env=False,
            ) as session,
            session.get(url, headers=headers, allow_redirects=False) as response,
        ):
            if response.status in _REDIRECTS and "Location" in response.headers:
                moved_to = _joined(url, response.headers["Location"])
                return Found(content=b"", media_type="", url=str(url), moved_to=moved_to)
            if response.status not in _SUCCESSES:
                raise OutboundError("bad_status", f"The server of the URL answered with status {response.status}.")
            content = await _read(response, limit)
            return Found(content=content, media_type=response.content_type, url=str(url), moved_to=None)

    def _connector(self, url: URL, refused: list[str]) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            resolver=self.resolver,
            use_dns_cache=False,
            force_close=True,
            socket_factory=partial(permitted_socket, self._reach, url.raw_host or "", refused),
        )


def permitted_socket(reach: Reach, host: str, refused: list[str], address: Dialled) -> socket.socket:
    """Make the socket for an address to which ``host`` has led. One that is refused goes to ``refused``.

    The check stands where the socket is made for the very address that is dialled, so that no spelling of a host, no
    second answer of a name server and no address that was remembered can come between. Raises `PermissionError`.
    """
    family, kind, proto, _, dialled = address
    ip, port = str(dialled[0]), int(dialled[1])
    if not reach.permits(ip, host=host, port=port):
        refused.append(ip)
        raise PermissionError(f"{ip} is not to be dialled")
    return socket.socket(family, kind, proto)


class _Body:
    """A body as it arrives: inflated where it is compressed, and never longer than ``limit`` bytes."""

    def __init__(self, encoding: str, limit: int) -> None:
        if encoding not in _PLAIN | _INFLATED:
            raise OutboundError("bad_encoding", "The body that the URL leads to is compressed in an unknown way.")
        self._limit = limit
        self._room = limit
        self._blocks: list[bytes] = []
        self._compressed = encoding in _INFLATED
        self._inflate = zlib.decompressobj(_ZLIB_OR_GZIP)

    def add(self, block: bytes) -> None:
        """Take a block as sent. Raises `OutboundError`."""
        plain = self._inflated(block) if self._compressed else block
        self._room -= len(plain)
        if self._room < 0:
            raise too_large(self._limit)
        self._blocks.append(plain)

    def whole(self) -> bytes:
        """Give the body after its last block. Raises `OutboundError` where a compressed one lacks its end."""
        if self._compressed and not self._inflate.eof:
            raise OutboundError("bad_encoding", "The body that the URL leads to is compressed and cut off.")
        return b"".join(self._blocks)

    def _inflated(self, block: bytes) -> bytes:
        """Inflate a block to at most one byte more than there is room for, which is enough to refuse it."""
        try:
            plain = self._inflate.decompress(block, self._room + 1)
        except zlib.error as error:
            raise OutboundError("bad_encoding", "The body that the URL leads to cannot be decompressed.") from error
        if self._inflate.unused_data:
            raise OutboundError("bad_encoding", "The body that the URL leads to goes on after its end.")
        return plain


def checked(url: str) -> URL:
    """Take a URL apart, once, for the checks and the request alike. Raises `OutboundError`."""
    if any(character.isspace() or not character.isprintable() for character in url):
        raise OutboundError("bad_url", "The URL holds a space or a control character.")
    try:
        target = URL(url)
        port = target.port
    except ValueError as error:
        raise OutboundError("bad_url", "The URL cannot be read.") from error
    if target.scheme not in {"http", "https"} or not target.host or not port:
        raise OutboundError("bad_url", "The URL is not an http or https one.")
    if target.user is not None or target.password is not None:
        raise OutboundError("bad_url", "The URL holds a user name or a password.")
    return target.with_fragment(None)


def _joined(url: URL, location: str) -> str:
    try:
        moved_to = url.join(URL(location))
    except ValueError as error:
        raise OutboundError("bad_redirect", "The URL leads to another that cannot be read.") from error
    if url.scheme == "https" and moved_to.scheme == "http":
        raise OutboundError("bad_redirect", "The URL leads from https to http.")
    return str(moved_to)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Read a body of at most ``limit`` bytes, as sent and as inflated."""
    if (response.content_length or 0) > limit:
        raise too_large(limit)
    body = _Body(response.headers.get("Content-Encoding", "").strip().lower(), limit)
    while block := await response.content.readany():
        body.add(block)
    return body.whole()


def too_large(limit: int) -> OutboundError:
    """The error of a body that is longer than its limit."""
    return OutboundError("too_large", f"The body that the URL leads to is longer than {limit} bytes.")


def explained(error: Exception, url: URL, refused: list[str]) -> OutboundError:
    """What a URL was not reached for, in words for the caller. What was refused is logged."""
    if refused:
        extra = {"action": "outbound_refused", "host": url.host, "port": url.port, "addresses": refused}
        log.warning("address refused", extra=extra)
        return OutboundError("refused_address", "The URL leads to an address that this server does not reach.")
    match error:
        case aiohttp.InvalidURL() | UnicodeError():
            return OutboundError("bad_url", "The URL cannot be read.")
        case _:
            return OutboundError("unreachable", "The server of the URL cannot be reached.")
