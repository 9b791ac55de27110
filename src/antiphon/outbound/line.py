"""Kept connections to the origin of one URL, for one owner; imported with the first line, for what aiohttp costs.

A line never sends to another host, follows nothing, and has no cookie and no remembered address.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

import aiohttp
import anyio

from antiphon.outbound.courier import checked, explained, permitted_socket
from antiphon.outbound.reach import OutboundError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from aiohttp.abc import AbstractResolver
    from yarl import URL

    from antiphon.outbound.courier import Dialled
    from antiphon.outbound.reach import Reach

MOST_CONNECTIONS = 100
# Shorter than the five seconds after which most servers close: what is sent while they do may have arrived or not.
KEPT_SECONDS = 4.0
DRAINED_BYTES = 64 * 1024
DRAINING_SECONDS = 0.05

_PLAIN = frozenset({"", "identity"})
_refused: ContextVar[list[str]] = ContextVar("refused addresses of a request that is being sent")


class NotSentError(OutboundError):
    """A request that was certainly not delivered: its server was never reached."""


class Reply:
    """An answer: how it begins, and its body as it arrives. Whoever has it closes it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._is_closed = False
        self.status = response.status
        self.headers = list(response.headers.items())

    def header(self, name: str) -> str:
        """The value of a header, whatever its spelling; empty where there is none."""
        return self._response.headers.get(name, "")

    async def read(self) -> bytes:
        """Read what has arrived of the body, or wait for more; empty at its end. Raises `OutboundError`."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise OutboundError("unreachable", "The server of the URL broke off its answer.") from error

    async def aclose(self) -> None:
        """Keep the connection if the answer's end is near; else close it."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if not self._response.content.at_eof():
                await self._drain()
        finally:
            if self._response.content.at_eof():
                self._response.release()
            else:
                self._response.close()

    async def _drain(self) -> None:
        room = DRAINED_BYTES
        with anyio.move_on_after(DRAINING_SECONDS):
            try:
                while room > 0 and (block := await self._response.content.readany()):
                    room -= len(block)
            except (aiohttp.ClientError, OSError):
                self._response.close()


class Line:
    """Sends requests to one origin over connections that it keeps. Time-outs but that of dialling are the sender's."""

    def __init__(self, url: str, reach: Reach, *, resolver: AbstractResolver, connect_seconds: float) -> None:
        """Needs a running loop; the resolver is not its own. Raises `OutboundError` for what is no URL."""
        self._url = checked(url)
        self._sent_to = url, self._url
        self._reach = reach
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=resolver,
                use_dns_cache=False,
                limit=MOST_CONNECTIONS,
                keepalive_timeout=KEPT_SECONDS,
                socket_factory=self._socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("Accept", "Content-Type"),
            headers={"User-Agent": "antiphon", "Accept-Encoding": "identity"},
        )

    async def aclose(self) -> None:
        """Close all its connections."""
        await self._session.close()

    async def send(self, method: str, url: str, *, headers: Iterable[tuple[str, str]], content: bytes) -> Reply:
        """Send a request and wait for the beginning of its answer.

        Raises `OutboundError`, and `NotSentError` where the request was certainly not delivered.
        """
        target = self._target(url)
        refused: list[str] = []
        token = _refused.set(refused)
        try:
            response = await self._session.request(
                method, target, headers=list(headers), data=content or None, allow_redirects=False
            )
        except aiohttp.ConnectionTimeoutError as error:
            raise NotSentError("timeout", "The server of the URL did not answer in time.") from error
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, UnicodeError) as error:
            reason = explained(error, target, refused)
            raise NotSentError(reason.reason, str(reason)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise explained(error, target, refused) from error
        finally:
            _refused.reset(token)
        return _uncompressed(response)

    def _target(self, url: str) -> URL:
        """Take a URL apart, unless it is the one of the last request, which has been found good."""
        if url == self._sent_to[0]:
            return self._sent_to[1]
        target = checked(url)
        if _origin(target) != _origin(self._url):
            raise NotSentError("bad_redirect", "The URL leads to another server.")
        self._sent_to = url, target
        return target

    def _socket(self, address: Dialled) -> socket.socket:
        return permitted_socket(self._reach, self._url.raw_host or "", _refused.get(), address)


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.raw_host, url.port


def _uncompressed(response: aiohttp.ClientResponse) -> Reply:
    if response.headers.get("Content-Encoding", "").strip().lower() not in _PLAIN:
        response.close()
        raise OutboundError("bad_encoding", "The server compressed an answer that it was asked to send as it is.")
    return Reply(response)
