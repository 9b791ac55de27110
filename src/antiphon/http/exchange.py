"""One HTTP request and its answer, over raw ASGI: nothing here costs anything per event."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from io import BytesIO
from time import perf_counter
from typing import TYPE_CHECKING, Any  # ASGI scopes and messages are open

import anyio
import msgspec
from starlette.datastructures import Headers, QueryParams

from antiphon.ids import random_hex
from antiphon.protocol.errors import ApiError, body_too_large, body_too_slow, invalid_request, unsupported_content_type
from antiphon.telemetry import trail

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from starlette.types import Receive, Scope, Send

SHORT_WAY = "antiphon.short_way"
"""The ASGI extension of a server with a short way to its socket: ``push``, see `Exchange.push`."""
JSON = b"application/json"
ECHO_CHARACTERS = 128
UNREAD = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
BODY_SECONDS = 120
"""How long a body may take to arrive."""
PIECE_SECONDS = 60
"""How long the next piece of a body may take that is read in pieces."""
SWALLOWING_SECONDS = 3.0
SSE = b"text/event-stream; charset=utf-8"
_PRINTABLE = frozenset(map(chr, range(0x21, 0x7F)))
_encode = msgspec.json.Encoder().encode


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


class Exchange:
    """A request that is being answered. ``is_azure``: the path is one of Azure's, and so are the errors.

    ``region``: where this server says that it stands, to callers who speak Azure's dialect. ``client_request`` is what
    the client calls its request, empty where that cannot be told again. ``status`` and ``is_stream`` tell what was
    answered so far, and ``route`` is the pattern that the path fits.
    """

    __slots__ = (
        *("_began", "_region", "_send", "_uuid", "client_request", "extra", "headers", "is_azure", "is_stream"),
        *("method", "params", "path", "push", "receive", "request_id", "route", "scope", "started", "status"),
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, region: str | None = None) -> None:
        self.scope = scope
        self._region = region
        self.receive = receive
        self._send = send
        self._began = perf_counter()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.is_azure = self.path.startswith("/openai/")
        self.headers = Headers(scope=scope)
        token = random_hex(16)
        self._uuid = f"{token[:8]}-{token[8:12]}-{token[12:16]}-{token[16:20]}-{token[20:]}"
        self.request_id = self._uuid if self.is_azure else f"req_{token}"
        theirs = self.headers.get("x-ms-client-request-id", "")
        self.client_request = theirs if len(theirs) <= ECHO_CHARACTERS and _PRINTABLE.issuperset(theirs) else ""
        self.started = self.is_stream = False
        self.status = 0
        self.route = ""
        self.push: Callable[[bytes], bool] = _no_way
        """Send a piece of the answer now; False where it has to be written, which may wait."""
        self.params: Mapping[str, str] = {}
        self.extra: list[tuple[bytes, bytes]] = []

    @property
    def query(self) -> QueryParams:
        """The query string."""
        return QueryParams(self.scope["query_string"])

    async def body(self, limit: int) -> bytes:
        """The whole body, refused as soon as it is longer than ``limit`` bytes or turns out not to be JSON."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise unsupported_content_type(media_type)
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise invalid_request("Compressed request bodies are not supported.", code="unsupported_content_encoding")
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > limit:
            raise body_too_large(limit)
        return await self._read(limit)

    async def pieces(self, limit: int) -> AsyncGenerator[bytes, None]:
        """The body in pieces, read from the socket as fast as they are taken.

        It is refused as soon as it is longer than ``limit`` bytes, says that it will be, or stops arriving.
        """
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise invalid_request("Compressed request bodies are not supported.", code="unsupported_content_encoding")
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length[:20]) > limit:
            raise body_too_large(limit)
        size, more = 0, True
        while more:
            try:
                async with asyncio.timeout(PIECE_SECONDS):
                    message = await self.receive()
            except TimeoutError as error:
                raise body_too_slow(PIECE_SECONDS) from error
            if message["type"] == "http.disconnect":
                raise ClientLeft
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise body_too_large(limit)
            more = message.get("more_body", False)
            yield piece

    async def _read(self, limit: int) -> bytes:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await self._whole(limit)
        except TimeoutError as error:
            raise body_too_slow(BODY_SECONDS) from error

    async def _whole(self, limit: int) -> bytes:
        room = BytesIO()  # gives all that it holds without a second copy
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            chunk: bytes = message.get("body", b"")
            if room.tell() + len(chunk) > limit:
                raise body_too_large(limit)
            room.write(chunk)
            if not message.get("more_body", False):
                return room.getvalue()

    def add_header(self, name: str, values: list[str]) -> None:
        """Name something in a header of the answer. What a caller wrote may be in it: only printable ASCII goes out."""
        text = ", ".join("".join(letter for letter in value if letter in _PRINTABLE)[:64] for value in values[:32])
        self.extra.append((name.encode(), text.encode()))

    async def left(self) -> None:
        """Wait until the client closes the connection. Only after the body was read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def start(self, status: int, media_type: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the head of the answer."""
        self.started = True
        self.status = status
        if media_type is SSE:
            self.is_stream = True
            if (figures := trail.current().figures) is not None:
                figures.streams.add()
        await self._send({
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", media_type), *headers, *self.extra, *self._standing()],
        })
        self.push = self.scope.get("extensions", {}).get(SHORT_WAY, {}).get("push", _no_way)

    async def write(self, chunk: bytes, *, more: bool = True) -> None:
        """Send a piece of the answer, the last one if no more follows."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def answer(self, body: bytes, *, status: int = 200) -> None:
        """Answer with JSON."""
        await self.start(status, JSON, [(b"content-length", b"%d" % len(body))])
        await self.write(body, more=False)

    async def answer_with(self, value: Any, *, status: int = 200) -> None:  # whatever msgspec can encode
        """Answer with a struct."""
        await self.answer(_encode(value), status=status)

    async def refuse(self, error: ApiError) -> None:
        """Answer with an error, in the words that the path's clients know."""
        worded = error.in_azure_words() if self.is_azure else error
        self.extra += [(name.encode(), value.encode()) for name, value in worded.headers.items()]
        if worded.status in UNREAD:
            self.extra.append((b"connection", b"close"))
            await self._refuse_body(worded.status, _encode(worded.body))
        else:
            await self.answer_with(worded.body, status=worded.status)

    def names(self) -> list[tuple[bytes, bytes]]:
        """The headers by which a request is known on both sides."""
        names = [(b"x-request-id", self.request_id.encode()), (b"apim-request-id", self._uuid.encode())]
        if self._region is not None and self.is_azure:
            names.append((b"x-ms-region", self._region.encode()))
        if self.client_request:
            names.append((b"x-ms-client-request-id", self.client_request.encode()))
        return names

    async def _refuse_body(self, status: int, answer: bytes) -> None:
        """Answer at once, and swallow what still comes for a while: a reset would cut off the answer as well."""
        await self.start(status, JSON, [(b"content-length", b"%d" % len(answer))])
        await self.write(answer)
        with anyio.move_on_after(SWALLOWING_SECONDS):
            while (await self.receive()).get("more_body", False):
                pass
        await self.write(b"", more=False)

    def _standing(self) -> list[tuple[bytes, bytes]]:
        """The headers of every answer (recorded)."""
        return [
            (b"openai-version", b"2020-10-01"),
            (b"openai-processing-ms", b"%d" % ((perf_counter() - self._began) * 1000)),
            (b"x-content-type-options", b"nosniff"),
            *self.names(),
        ]


def _no_way(_chunk: bytes) -> bool:
    return False
