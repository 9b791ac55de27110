"""The HTTP client under the SDK: requests go over a `Line`, with the caller's headers, and answers have limits.

The SDK turns whatever happens to a request into an error that says little, and a client that raises ends the whole
session. So this one does not raise: it answers in the server's place, and tells the `Facts` of the exchange why. The
SDK runs every request in the context of its sender, which is how the facts are found.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

import anyio
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
    from collections.abc import AsyncIterator, Callable

    from antiphon.outbound.line import Line, Reply

log = logging.getLogger(__name__)

NOTICE_SECONDS = 5.0
"""So long a server may take for what has no answer: the SDK sends nothing else meanwhile."""
MOST_RESUMPTIONS = 3

_ID = "antiphon.id"
_IS_NOTICE = "antiphon.is_notice"
_JSON = "application/json"
_EVENTS = "text/event-stream"
_SUCCESSES = range(200, 300)
_NOTHING = frozenset({202, 204})
_LOST = frozenset({404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD = frozenset({307, 308})
_MOST_OF_AN_ERROR = 64 * 1024
_DROPPED = frozenset({"host", "accept-encoding", "connection", "user-agent", "content-length"})
_SESSION = "Mcp-Session-Id"
_ACCEPTED = 202
_NO_SESSION = frozenset({-32600, -32000})  # so the SDKs for Python and TypeScript refuse a session


class _Envelope(Struct):
    jsonrpc: Literal["2.0"]
    id: int | str | None = None


class _Error(Struct):
    code: int
    message: str


class _Refusal(Struct):
    error: _Error
    id: int | str | None = None


class Wire(httpx2.AsyncClient):
    """Carries the SDK's requests. ``is_older``: by the older transport, whose answers all come in one stream.

    ``stuck`` is called where the server does not even take a notification. Nothing is raised but a cancellation: one
    answer must not end the session of others.

    It is the client and not a transport below one, for merging headers and cookies that there are none of takes as long
    as sending.
    """

    def __init__(
        self, line: Line, headers: dict[str, str], *, limit: int, is_older: bool, stuck: Callable[[], None]
    ) -> None:
        super().__init__(transport=httpx2.AsyncBaseTransport(), trust_env=False)
        self.is_older = is_older
        self.limit = limit
        self.since_answer = 0
        """How many bytes came in the one stream since it brought an answer."""
        self._line = line
        self._headers_of_caller = list(headers.items())
        self._stuck = stuck
        self._is_stuck = False

    def answered(self) -> None:
        """An answer to a request of ours has come."""
        self.since_answer = 0

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
        is_notice = "method" not in json or "id" not in json
        extensions = {_ID: json.get("id"), _IS_NOTICE: is_notice}
        return httpx2.Request(method, url, headers=given, content=content, extensions=extensions)

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        **others: Any,  # nobody but the caller authorizes, and redirects are followed here
    ) -> httpx2.Response:
        """Send a request, unless the exchange that it belongs to never reached the server."""
        facts = current_facts.get()
        notice = request.extensions.get(_IS_NOTICE)
        response = await (self._noticed(request, facts) if notice else self._response(request, facts))
        response.request = request
        if not stream:
            await response.aread()
        return response

    async def _noticed(self, request: httpx2.Request, facts: Facts) -> httpx2.Response:
        """Send what has no answer: a notification, or an answer of ours. For the SDK, the server always takes it."""
        if not (self._is_stuck or _is_unsent(facts)):
            with anyio.move_on_after(NOTICE_SECONDS) as scope:
                try:
                    await (await self._followed(request, Facts())).aclose()
                except Exception as error:  # noqa: BLE001 - see the class
                    _log_broken(error)
            if scope.cancelled_caught:
                self._is_stuck = True
                self._stuck()
        return httpx2.Response(_ACCEPTED)

    async def _response(self, request: httpx2.Request, facts: Facts) -> httpx2.Response:
        failing: Failing | None = facts.failing if _is_unsent(facts) else None
        if failing is not None:
            return httpx2.Response(failing.error.code)
        if request.method == "GET" and not self.is_older and self._is_unwanted(request, facts):
            return httpx2.Response(405)
        try:
            reply = await self._followed(request, facts)
            return await self._answered(reply, request, facts)
        except OutboundError as error:
            facts.fail(failing_of(error))
        except Exception as error:  # noqa: BLE001 - see the class
            _log_broken(error)
            facts.fail(NOT_MCP)
        return self._unanswered(request, NO_ANSWER)

    def _is_unwanted(self, request: httpx2.Request, facts: Facts) -> bool:
        """Whether a GET is for a stream that nobody asked for, or once too often for the rest of an answer."""
        if "last-event-id" not in request.headers:
            return True
        facts.resumed += 1
        if facts.resumed > MOST_RESUMPTIONS:
            facts.fail(CUT_OFF)
        return facts.resumed > MOST_RESUMPTIONS

    def _unanswered(self, request: httpx2.Request, status: int) -> httpx2.Response:
        """What the SDK is told of a failure. Of any at a message, its older transport would die."""
        return httpx2.Response(_ACCEPTED if self.is_older and request.method == "POST" else status)

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
        was_sent = facts.is_sent
        facts.is_sent = True  # from now on: the session may end before the answer
        try:
            reply = await self._line.send(method, url, headers=headers, content=content)
        except NotSentError:
            facts.is_sent = was_sent
            raise
        facts.is_cut = False
        facts.status = reply.status
        return reply

    async def _answered(self, reply: Reply, request: httpx2.Request, facts: Facts) -> httpx2.Response:
        if reply.status not in _SUCCESSES:
            return await self._refused(reply, request, facts)
        if reply.status in _NOTHING or request.method == "DELETE" or (self.is_older and request.method == "POST"):
            await reply.aclose()
            return httpx2.Response(reply.status)
        kind = reply.header("Content-Type").partition(";")[0].strip().lower()
        headers = {"Content-Type": kind}
        if session := reply.header(_SESSION):
            headers[_SESSION] = await _plain(reply, session)
        if kind == _EVENTS:
            endless = self.is_older and request.method == "GET"
            stream = _Endless(reply, facts, self) if endless else _Events(reply, facts, self.limit)
            return httpx2.Response(reply.status, headers=headers, stream=stream)
        content = await _read(reply, self.limit)
        if kind != _JSON or not _answers(content, request.extensions.get(_ID)):
            facts.fail(NOT_MCP)
            return httpx2.Response(NO_ANSWER)
        return httpx2.Response(reply.status, headers=headers, content=content)

    async def _refused(self, reply: Reply, request: httpx2.Request, facts: Facts) -> httpx2.Response:
        content = await _read(reply, _MOST_OF_AN_ERROR, cuts=True)
        refusal = _refusal(content)
        facts.told_error = refusal is not None
        facts.is_session_lost = self._is_session_lost(reply.status, content, refusal, request)
        if self.is_older and request.method == "POST":  # the SDK would let its sender wait for ever
            lost = facts.is_session_lost
            facts.fail(Failing(error=status_error(reply.status), is_unsent=lost, is_broken=lost))
            return self._unanswered(request, reply.status)
        headers = [("Content-Type", _JSON)] if facts.told_error else []
        return httpx2.Response(reply.status, headers=headers, content=content if facts.told_error else b"")

    def _is_session_lost(self, status: int, content: bytes, refusal: _Refusal | None, request: httpx2.Request) -> bool:
        """Whether the server knows the session no more. Some say so with 400 and in words, of no request at all."""
        if self.is_older:
            return status in _LOST
        if _SESSION not in request.headers:
            return False
        if status != 400:  # noqa: PLR2004 - a status
            return status in _LOST
        if refusal is None:
            return b"session" in content.lower()
        told = refusal.error
        return refusal.id is None and told.code in _NO_SESSION and "session" in told.message.lower()


class _Events(httpx2.AsyncByteStream):
    """A stream of events that end with an answer, as far as the limit of the whole exchange."""

    def __init__(self, reply: Reply, facts: Facts, limit: int) -> None:
        self._reply = reply
        self._facts = facts
        self._limit = limit

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
        self._count(len(block))
        return block

    def _count(self, length: int) -> None:
        self._facts.taken += length
        if self._facts.taken > self._limit:
            self._facts.fail(too_large(self._limit))
            raise httpx2.StreamError("the answer is too large")


class _Endless(_Events):
    """The one stream of the older transport: nobody's answer in particular, and all of them."""

    def __init__(self, reply: Reply, facts: Facts, wire: Wire) -> None:
        super().__init__(reply, facts, wire.limit)
        self._wire = wire

    def _count(self, length: int) -> None:
        """Count what comes. Who sends so much without an answer to anything, is left."""
        self._wire.since_answer += length
        if self._wire.since_answer > self._limit:
            raise httpx2.StreamError("there are too many events and no answer")


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


def _refusal(content: bytes) -> _Refusal | None:
    """The error of the protocol that a body is, if it is one."""
    try:
        return msgspec.json.decode(content, type=_Refusal)
    except (msgspec.DecodeError, RecursionError):
        return None


async def _plain(reply: Reply, value: str) -> str:
    """The value of a header that is sent back to the server. Raises `OutboundError` where it cannot be."""
    if value.isascii() and value.isprintable():
        return value
    await reply.aclose()
    raise OutboundError("bad_encoding", "The server names its session with characters that cannot be sent.")


def _is_unsent(facts: Facts) -> bool:
    return facts.failing is not None and facts.failing.is_unsent


def _log_broken(error: Exception) -> None:
    # What it says may hold what the server said: its kind has to do.
    log.debug("answer not usable", extra={"action": "mcp_answer_not_usable", "kind": type(error).__name__})


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
