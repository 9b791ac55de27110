"""The HTTP/1.1 client to the operator's model servers: a pool of connections, and when to ask again.

Why it is our own: `docs/adr/0007-upstream-http-client.md`. Its rules:

* A request is sent again only while nothing of an answer has arrived, or where the answer is a 502, 503 or 504; after a
  head was handed out, never.
* A connection that is not left exactly at the end of its response is aborted at once, which is what stops a model.
* Nothing is armed for a read: one timer looks at all connections.

A proxy named by the environment (``HTTPS_PROXY``) is not supported, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import quote, unquote, urlsplit

from antiphon.backends import UpstreamError
from antiphon.backends.upstream.wire import Inbox, UnansweredError, Wire
from antiphon.telemetry import trail

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from urllib.parse import SplitResult

log = logging.getLogger(__name__)

NOT_TRUSTED = "The model server could not be trusted."
KEPT_SECONDS = 30.0  # an unused connection is given up before the usual NAT and load balancer forget it
RETRIED = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
LONGEST_RETRY_AFTER = 5.0  # seconds; an upstream that asks for more has its answer passed on
_PATH = "/%:@!$&'()*+,;=~-._"


async def back_off(attempt: int, retry_after: float | None) -> None:
    """Wait before the next attempt: as long as the upstream asked (seconds), else 0.25 to 8 s, growing and jittered."""
    longest = min(8.0, 0.5 * 2 ** (attempt - 1))
    jittered = random.uniform(longest / 2, longest)  # noqa: S311 - spreads the load, keeps no secret
    await asyncio.sleep(jittered if retry_after is None else retry_after)


class Reply:
    """A response whose head has arrived, and a context: leaving before the body's end closes the connection.

    ``headers`` has lower-case names. The body is read once, with `read` or with ``take``, which waits for bytes and
    gives all that arrived, ``b""`` at the end, and raises `UpstreamError` at a break.
    """

    __slots__ = ("_inbox", "_release", "_wire", "headers", "status", "take")

    def __init__(self, wire: Wire, inbox: Inbox, *, release: Callable[[Wire], None]) -> None:
        """``release`` has the connection back."""
        self.status = inbox.status
        self.headers = inbox.headers
        self.take = inbox.take
        self._inbox = inbox
        self._wire = wire
        self._release = release

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._release(self._wire)

    @property
    def is_over(self) -> bool:
        """Whether the whole body was taken."""
        return self._inbox.is_over

    async def read(self, limit: int) -> bytes:
        """Read the whole body. Raises `UpstreamError` where it breaks off or is longer than ``limit`` bytes."""
        blocks: list[bytes] = []
        size = 0
        while block := await self.take():
            blocks.append(block)
            size += len(block)
            if size > limit:
                detail = f"the body is longer than {limit} bytes"
                raise UpstreamError("server_error", "The model server's answer is too long.", detail=detail)
        return b"".join(blocks)


class _Target(NamedTuple):
    """A base URL, taken apart."""

    host: str
    port: int
    host_header: str
    secure: bool
    path: str
    query: str
    authorization: str | None


class Upstream:
    """A model server, behind a pool of connections that are used last in, first out.

    ``base_url`` is http or https; its path is put before each request's path, its query is kept, and ``user:password@``
    becomes Basic authorization. ``headers`` go with each request. ``idle_seconds`` is the longest silence within a
    response, kept to within a quarter; ``attempts`` counts the first. ``pause`` waits between two attempts.
    Certificates are checked against the system's trust store. Raises `ValueError` for a URL or header that is none.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        connect_seconds: float = 10.0,
        idle_seconds: float = 600.0,
        attempts: int = 3,
        pause: Callable[[int, float | None], Awaitable[None]] = back_off,
    ) -> None:
        self._target = target = _parse(base_url)
        own = {"host": target.host_header, "user-agent": "antiphon", "accept-encoding": "identity"}
        own |= {"content-type": "application/json"}
        own |= {} if target.authorization is None else {"authorization": target.authorization}
        self._headers = own | {name.lower(): value for name, value in headers.items()}
        self._lines = _lines(self._headers)
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._attempts = attempts
        self._pause = pause
        self._tls = _trust() if target.secure else None
        self._wires: set[Wire] = set()
        self._idle: dict[Wire, None] = {}  # in order of use
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def post(self, path: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Send a request and wait for the head of its response, which is to be read in a ``with``.

        ``headers`` replace those of the same name. A status that is not retried, or no more, is a plain reply. Raises
        `UpstreamError`: ``unavailable`` (no connection, or closed without an answer), ``timeout``, ``server_error``
        (broken off, or no HTTP).
        """
        return await self._answered(self._request(path, body, headers or {}))

    async def aclose(self) -> None:
        """Close all connections; a response that is still being read breaks off."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        self._closed = True
        for wire in tuple(self._wires):
            wire.fail("closed by this server")
        await asyncio.sleep(0)  # the sockets close in the loop's next turn

    def _request(self, path: str, body: bytes, headers: Mapping[str, str]) -> list[bytes]:
        target = self._target
        path, _, query = path.partition("?")
        queries = "&".join(part for part in (target.query, quote(query, safe=_PATH + "?")) if part)
        line = f"POST {target.path}{quote(path, safe=_PATH)}{'?' if queries else ''}{queries} HTTP/1.1\r\n"
        known = trail.current().lines(but=self._headers)
        own = {name.lower(): value for name, value in headers.items()}
        lines = _lines(self._headers | own) if own else self._lines
        return [b"%b%b%bcontent-length: %d\r\n\r\n" % (line.encode("ascii"), lines, known, len(body)), body]

    async def _answered(self, request: list[bytes]) -> Reply:
        """Ask until there is an answer that may be handed out."""
        for attempt in range(1, self._attempts):
            try:
                reply = await self._ask(request)
            except UnansweredError as error:
                log.warning("upstream unanswered", extra={"action": "upstream_unanswered", "detail": error.detail})
                await self._pause(attempt, None)
                continue
            if reply.status not in RETRIED:
                return reply
            retry_after = _retry_after(reply)
            if (retry_after or 0.0) > LONGEST_RETRY_AFTER:
                return reply
            with reply:
                log.warning("upstream busy", extra={"action": "upstream_busy", "status": reply.status})
            await self._pause(attempt, retry_after)
        return await self._ask(request)

    async def _ask(self, request: list[bytes]) -> Reply:
        """Ask once; a kept connection that turns out to be dead does not count."""
        if self._idle:
            try:
                return await self._exchange(self._idle.popitem()[0], request)
            except UnansweredError as error:
                log.debug("stale connection", extra={"action": "upstream_stale", "detail": error.detail})
        return await self._exchange(await self._connect(), request)

    async def _exchange(self, wire: Wire, request: list[bytes]) -> Reply:
        inbox = wire.send(request)
        try:
            await inbox.head()
        except BaseException:
            wire.abort()
            raise
        return Reply(wire, inbox, release=self._release)

    async def _connect(self) -> Wire:
        target = self._target
        peer = f"{target.host}:{target.port}"
        wire = Wire(peer, self._forget)
        try:
            async with asyncio.timeout(self._connect_seconds):
                await asyncio.get_running_loop().create_connection(
                    lambda: wire, target.host, target.port, ssl=self._tls
                )
        except TimeoutError as error:
            detail = f"{peer}: not connected within {self._connect_seconds:g} s"
            raise UpstreamError("timeout", "The model server did not answer in time.", detail=detail) from error
        except ssl.SSLError as error:
            detail = f"{peer}: {error}"
            raise UpstreamError("unavailable", NOT_TRUSTED, detail=detail) from error
        except OSError as error:
            detail = f"{peer}: {error}"
            raise UnansweredError("unavailable", "The model server cannot be reached.", detail=detail) from error
        if self._closed:
            wire.abort()
            raise UpstreamError("unavailable", "The server is stopping.")
        self._wires.add(wire)
        if self._sweeper is None:
            self._sweep()
        return wire

    def _release(self, wire: Wire) -> None:
        if wire.reusable:
            self._idle[wire] = None
        else:
            wire.abort()

    def _forget(self, wire: Wire) -> None:
        self._wires.discard(wire)
        self._idle.pop(wire, None)

    def _sweep(self) -> None:
        """Look at every connection, and come again as long as there is one."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for wire in tuple(self._wires):
            wire.expire(now, idle=self._idle_seconds)
        for wire in [wire for wire in self._idle if now - wire.last > KEPT_SECONDS]:
            self._forget(wire)
            wire.abort()
        period = min(self._idle_seconds, KEPT_SECONDS) / 4
        self._sweeper = loop.call_later(period, self._sweep) if self._wires else None


def _retry_after(reply: Reply) -> float | None:
    """Read ``Retry-After`` in seconds; a date counts as absent."""
    try:
        return max(0.0, float(reply.headers["retry-after"]))
    except (KeyError, ValueError):
        return None


def _lines(headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if len(lines.splitlines()) != len(headers) or "\0" in lines:
        raise ValueError("a header holds a line break or a control character")
    return lines.encode("latin-1")


def _parse(base_url: str) -> _Target:
    url = urlsplit(base_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError(f"not an http or https URL: {url._replace(netloc=url.hostname or '').geturl()}")
    secure = url.scheme == "https"
    host = url.hostname if ":" in url.hostname else url.hostname.encode("idna").decode("ascii")
    port = url.port or (443 if secure else 80)
    named = f"[{host}]" if ":" in host else host
    return _Target(
        host=host,
        port=port,
        host_header=named if url.port is None else f"{named}:{port}",
        secure=secure,
        path=quote(url.path.rstrip("/"), safe=_PATH),
        query=quote(url.query, safe=_PATH + "?"),
        authorization=_basic(url),
    )


def _basic(url: SplitResult) -> str | None:
    if url.username is None:
        return None
    words = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return "Basic " + base64.b64encode(words.encode()).decode("ascii")


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
