"""The HTTP client under the SDK: requests go over a `Line`, with the caller's headers, and answers have limits.

The SDK turns whatever happens to a request into an error that says little, and a client that raises ends the whole
session. So this one does not raise: it answers in the server's place, and tells the `Facts` of the exchange why. The
SDK runs every request in the context of its sender, which is how the facts are found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import httpx2
import msgspec
from msgspec import Struct

from antiphon.outbound import MOST_REDIRECTS, OutboundError
from antiphon.outbound.line import NotSentError
from antiphon.tools.mcp.faults import (
    CUT_OFF,
    NO_ANSWER,
    NOT_MCP,
    TIMED_OUT,
    Facts,
    Failing,
    current_facts,
    http_error,
    status_error,
    too_large,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from antiphon.outbound.line import Line, Reply

_ID = "antiphon.id"
_JSON = "application/json"
_EVENTS = "text/event-stream"
_SUCCESSES = range(200, 300)
_NOTHING = frozenset({202, 204})
_LOST = frozenset({404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD = frozenset({307, 308})
_MOST_OF_AN_ERROR = 64 * 1024
_DROPPED = frozenset({"host", "accept-encoding", "connection", "user-agent", "content-length"})
_PASSED = ("Content-Type", "Mcp-Session-Id")


class _Envelope(Struct):
    jsonrpc: Literal["2.0"]
    id: int | str | None = None


class _Error(Struct):
    code: int
    message: str


class _Refusal(Struct):
    error: _Error


class Wire(httpx2.AsyncClient):
    """Carries the SDK's requests. ``is_older``: by the older transport, whose answers all come in one stream.

    It is the client and not a transport below one, for merging headers and cookies that there are none of takes as long
    as sending.
    """

    def __init__(self, line: Line, headers: dict[str, str], *, limit: int, is_older: bool) -> None:
        super().__init__(transport=httpx2.AsyncBaseTransport(), trust_env=False)
        self._line = line
        self._headers_of_caller = list(headers.items())
        self._limit = limit
        self._is_older = is_older

    def build_request(
        self,
        method: str,
        url: httpx2.URL | str,
        *,
        json: Any = None,  # a message of the protocol
        headers: Any = None,  # whatever `httpx2.Headers` takes
        **others: Any,  # nothing else is ever given
    ) -> httpx2.Request:
        """Make a request of the SDK's."""
        given = dict(httpx2.Headers(headers)) if headers is not None else {}
        if json is None:
            return httpx2.Request(method, url, headers=given)
        given.setdefault("content-type", _JSON)
        content = msgspec.json.encode(json)
        return httpx2.Request(method, url, headers=given, content=content, extensions={_ID: json.get("id")})

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        **others: Any,  # nobody but the caller authorizes, and redirects are followed here
    ) -> httpx2.Response:
        """Send a request, unless the exchange that it belongs to never reached the server."""
        response = await self._response(request, current_facts.get())
        response.request = request
        if not stream:
            await response.aread()
        return response

    async def _response(self, request: httpx2.Request, facts: Facts) -> httpx2.Response:
        if facts.failing is not None and facts.failing.is_unsent:
            return httpx2.Response(facts.failing.error.code)
        if request.method == "GET" and not self._is_older and "last-event-id" not in request.headers:
            return httpx2.Response(405)  # a stream for what nobody asked is not wanted
        try:
            reply = await self._followed(request, facts)
            return await self._answered(reply, request, facts)
        except OutboundError as error:
            facts.fail(failing_of(error))
            return httpx2.Response(NO_ANSWER)

    async def _followed(self, request: httpx2.Request, facts: Facts) -> Reply:
        """Send a request wherever its server leads on to, on its own origin, with the same method."""
        headers = [pair for pair in request.headers.multi_items() if pair[0] not in _DROPPED] + self._headers_of_caller
        content = await request.aread()
        url = request.url
        for _ in range(MOST_REDIRECTS):
            reply = await self._sent(request.method, str(url), headers, content, facts=facts)
            location = reply.header("Location")
            if not location or reply.status not in (_REDIRECTS if request.method == "GET" else _SAME_METHOD):
                return reply
            await reply.aclose()
            url = url.join(location)
        raise OutboundError("too_many_redirects", "The MCP server leads on too often.")

    async def _sent(
        self, method: str, url: str, headers: list[tuple[str, str]], content: bytes, *, facts: Facts
    ) -> Reply:
        try:
            reply = await self._line.send(method, url, headers=headers, content=content)
        except OutboundError as error:
            facts.is_sent = facts.is_sent or not isinstance(error, NotSentError)
            raise
        facts.is_sent = True
        facts.is_cut = False
        facts.status = reply.status
        return reply

    async def _answered(self, reply: Reply, request: httpx2.Request, facts: Facts) -> httpx2.Response:
        headers = [(name, value) for name in _PASSED if (value := reply.header(name))]
        kind = reply.header("Content-Type").partition(";")[0].strip().lower()
        if reply.status not in _SUCCESSES:
            return await self._refused(reply, request, facts)
        if reply.status in _NOTHING or (self._is_older and request.method == "POST"):
            await reply.aclose()
            return httpx2.Response(reply.status, headers=headers)
        if kind == _EVENTS:
            return httpx2.Response(reply.status, headers=headers, stream=self._events(reply, request, facts))
        content = await _read(reply, self._limit)
        if kind != _JSON or not _answers(content, request.extensions.get(_ID)):
            return self._unfit(request, facts)
        return httpx2.Response(reply.status, headers=headers, content=content)

    def _unfit(self, request: httpx2.Request, facts: Facts) -> httpx2.Response:
        if request.method != "DELETE":
            facts.fail(NOT_MCP)
        return httpx2.Response(NO_ANSWER)

    def _events(self, reply: Reply, request: httpx2.Request, facts: Facts) -> _Events:
        endless = self._is_older and request.method == "GET"
        return _Events(reply, facts, limit=None if endless else self._limit)

    async def _refused(self, reply: Reply, request: httpx2.Request, facts: Facts) -> httpx2.Response:
        content = await _read(reply, _MOST_OF_AN_ERROR, cuts=True)
        facts.told_error = _is(content, _Refusal)
        facts.is_session_lost = self._is_session_lost(reply.status, content, request)
        if self._is_older and request.method == "POST":  # the SDK would let its sender wait for ever
            lost = facts.is_session_lost
            facts.fail(Failing(error=status_error(reply.status), is_unsent=lost, is_broken=lost))
        headers = [("Content-Type", _JSON)] if facts.told_error else []
        return httpx2.Response(reply.status, headers=headers, content=content if facts.told_error else b"")

    def _is_session_lost(self, status: int, content: bytes, request: httpx2.Request) -> bool:
        """Whether the server knows the session no more. Some say so with 400 and in words."""
        if self._is_older:
            return status in _LOST
        if "mcp-session-id" not in request.headers:
            return False
        return status in _LOST or (status == 400 and b"session" in content.lower())  # noqa: PLR2004 - a status


class _Events(httpx2.AsyncByteStream):
    """A stream of events, as far as its limit. Without a limit, it is nobody's answer in particular."""

    def __init__(self, reply: Reply, facts: Facts, *, limit: int | None) -> None:
        self._reply = reply
        self._facts = facts
        self._limit = limit
        self._taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The blocks. The end is reached only where no event was the answer: who has it, reads no further."""
        while block := await self._read():
            yield block

    async def aclose(self) -> None:
        """Keep the connection, if the end is near."""
        await self._reply.aclose()

    async def _read(self) -> bytes:
        try:
            block = await self._reply.read()
        except OutboundError as error:
            self._facts.is_cut = True
            raise httpx2.StreamError("the answer was cut off") from error
        self._facts.is_cut = not block
        self._taken += len(block)
        if self._limit is not None and self._taken > self._limit:
            self._facts.fail(too_large(self._limit))
            raise httpx2.StreamError("the answer is too large")
        return block


async def _read(reply: Reply, limit: int, *, cuts: bool = False) -> bytes:
    """Read a body of at most ``limit`` bytes; what is longer is cut, or an error."""
    content = bytearray()
    try:
        while len(content) <= limit and (block := await reply.read()):
            content += block
    finally:
        await reply.aclose()
    if len(content) > limit and not cuts:
        raise OutboundError("too_large", too_large(limit).error.message)
    return bytes(content)


def _answers(content: bytes, id: int | str | None) -> bool:
    """Whether a message is the answer to the request of this id. For any other, the SDK would wait on."""
    try:
        envelope = msgspec.json.decode(content, type=_Envelope)
    except (msgspec.DecodeError, RecursionError):
        return False
    return str(envelope.id) == str(id)


def _is(content: bytes, shape: type[Struct]) -> bool:
    try:
        msgspec.json.decode(content, type=shape)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def failing_of(error: OutboundError) -> Failing:
    """What a URL that was not reached means for an exchange."""
    is_unsent = isinstance(error, NotSentError)
    match error.reason:
        case "refused_address":
            message = "The URL of the MCP server leads to an address that this server does not reach."
            return Failing(error=http_error(NO_ANSWER, message), is_refused=True, is_unsent=is_unsent, is_broken=True)
        case "timeout":
            return Failing(
                error=http_error(TIMED_OUT, "The MCP server did not answer in time."),
                is_unsent=is_unsent,
                is_broken=True,
            )
        case "too_large":
            return Failing(error=http_error(NO_ANSWER, str(error)))
        case "unreachable" if not is_unsent:
            return CUT_OFF
        case "bad_redirect":
            message = "The MCP server sends requests on to another server, where they are not sent."
            return Failing(error=http_error(NO_ANSWER, message), is_unsent=is_unsent)
        case "bad_encoding":
            return NOT_MCP
        case _:
            message = "The MCP server cannot be reached."
            return Failing(error=http_error(NO_ANSWER, message), is_unsent=is_unsent, is_broken=True)
