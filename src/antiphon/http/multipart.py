"""Forms with a file (multipart/form-data, RFC 7578), read while they arrive: the file is never held as a whole.

Fields may stand before the file or behind it. What is malformed, or too much of anything, is refused where it is found.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from antiphon.http.exchange import UNREAD, ClientLeft
from antiphon.protocol.errors import ApiError, body_too_slow, missing_parameter
from antiphon.protocol.file_faults import expects_form, field_too_long, malformed_form, several_files

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.http.exchange import Exchange

MOST_PARTS = 64
FIELD_BYTES = 65_536
HEAD_BYTES = 8192
"""Of the headers of one part together."""
FORM_BYTES = 1024 * 1024
"""Of all of a form but its file, together."""
FORM_SECONDS = 3600
"""How long a form may take to arrive."""
SWALLOWING_SECONDS = 3.0


class Reader:
    """Takes a form apart, in whatever pieces it comes. It waits for nothing.

    ``file`` is the name of the part whose content is handed out; all others are ``fields``, of which the last value of
    a name counts. ``filename`` is set once the file begins, ``ended`` once the form is whole.
    """

    def __init__(self, boundary: bytes, *, file: str) -> None:
        """Raises ``ApiError`` for a boundary that is none."""
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self.ended = False
        self._file = file
        self._parts = 0
        self._others = 0
        self._part = _Part()
        self._in_file = False
        self._content: list[bytes] = []
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._part_content,
                    "on_part_end": self._part_end,
                    "on_end": self._end,
                },
                max_header_size=HEAD_BYTES,
            )
        except FormParserError as error:
            raise malformed_form("its boundary is too long") from error

    def feed(self, piece: bytes) -> bytes:
        """Take a piece of the body, and return what of the file was in it. Raises ``ApiError``."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise malformed_form("its parts cannot be told apart") from error
        content = b"".join(self._content)
        self._content.clear()
        self._others += len(piece) - len(content)
        if self._others > FORM_BYTES:
            raise malformed_form(f"it holds more than {FORM_BYTES} bytes beside its file")
        return content

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise malformed_form(f"it has more than {MOST_PARTS} parts")
        self._part = _Part()
        self._in_file = False

    def _header_name(self, piece: bytes, start: int, end: int) -> None:
        self._part.header_name(piece[start:end])

    def _header_value(self, piece: bytes, start: int, end: int) -> None:
        self._part.header_value(piece[start:end])

    def _header_end(self) -> None:
        self._part.header_end()

    def _headers_finished(self) -> None:
        name, filename = self._part.names()
        self._in_file = name == self._file
        if self._in_file:
            if self.filename is not None:
                raise several_files(self._file)
            self.filename = filename

    def _part_content(self, piece: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._content.append(piece[start:end])
        else:
            self._part.content(piece[start:end])

    def _part_end(self) -> None:
        if not self._in_file:
            name, value = self._part.field()
            self.fields[name] = value

    def _end(self) -> None:
        self.ended = True


class _Part:
    """One part of a form: its headers, and its value where it is a field."""

    def __init__(self) -> None:
        self._name = b""
        self._value = b""
        self._head_bytes = 0
        self._disposition = b""
        self._content = bytearray()

    def header_name(self, piece: bytes) -> None:
        """A piece of the name of a header."""
        self._name += self._counted(piece)

    def header_value(self, piece: bytes) -> None:
        """A piece of its value."""
        self._value += self._counted(piece)

    def header_end(self) -> None:
        """The header is whole."""
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def names(self) -> tuple[str, str]:
        """The name of the part, and that of the file in it. Raises ``ApiError``."""
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise malformed_form("a part has no name")
        return _text(options[b"name"]), _text(options.get(b"filename", b""))

    def content(self, piece: bytes) -> None:
        """A piece of the value of a field. Raises ``ApiError``."""
        self._content += piece
        if len(self._content) > FIELD_BYTES:
            raise field_too_long(FIELD_BYTES)

    def field(self) -> tuple[str, str]:
        """The name and the value of a field."""
        return self.names()[0], _text(bytes(self._content))

    def _counted(self, piece: bytes) -> bytes:
        self._head_bytes += len(piece)
        if self._head_bytes > HEAD_BYTES:
            raise malformed_form(f"the head of a part is longer than {HEAD_BYTES} bytes")
        return piece


class Form:
    """A form that is arriving: first the fields before the file, then its content, then what stands behind it."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], reader: Reader) -> None:
        self._pieces = pieces
        self._reader = reader
        self._first = b""
        self._deadline = time.monotonic() + FORM_SECONDS

    @property
    def fields(self) -> dict[str, str]:
        """The fields that have come so far, by name."""
        return self._reader.fields

    @property
    def is_whole(self) -> bool:
        """Whether all of it has come."""
        return self._reader.ended

    @property
    def filename(self) -> str:
        """What the file is called; empty where it has no name."""
        return self._reader.filename or ""

    async def open(self, file: str) -> None:
        """Read as far as the file. Raises ``ApiError``, for a form without one as well."""
        while self._reader.filename is None:
            if self._reader.ended:
                raise missing_parameter(file)
            self._first += await self._next()

    async def content(self) -> AsyncGenerator[bytes, None]:
        """The content of the file; then the form was read to its end. Raises ``ApiError``."""
        if self._first:
            yield self._first
        while not self._reader.ended:
            if chunk := await self._next():
                yield chunk

    async def swallow(self) -> None:
        """Take what still comes of a refused form, for a while, so that its sender hears why."""
        with suppress(TimeoutError, ApiError, ClientLeft):
            async with asyncio.timeout(SWALLOWING_SECONDS):
                async for _piece in self._pieces:
                    pass

    async def _next(self) -> bytes:
        if time.monotonic() > self._deadline:
            raise body_too_slow(FORM_SECONDS)
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration as error:
            raise malformed_form("it ends before its last boundary") from error
        return self._reader.feed(piece)


@asynccontextmanager
async def arriving(exchange: Exchange, *, file: str, limit: int) -> AsyncGenerator[Form, None]:
    """The form that a request brings, read as far as its file, which is ``limit`` bytes long at most.

    Raises ``ApiError``; and what is raised while the form is used goes on once its sender can hear it.
    """
    reader = Reader(_boundary(exchange), file=file)
    async with aclosing(exchange.pieces(limit + FORM_BYTES)) as pieces:
        form = Form(pieces, reader)
        try:
            await form.open(file)
            yield form
        except ApiError as error:
            if error.status not in UNREAD:
                await form.swallow()
            raise


def _boundary(exchange: Exchange) -> bytes:
    """What stands between the parts. Raises ``ApiError``."""
    sent = exchange.headers.get("content-type", "")
    media_type, options = parse_options_header(sent)
    if media_type != b"multipart/form-data":
        raise expects_form(sent.partition(";")[0].strip())
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise malformed_form("its boundary is missing")
    return boundary


def _text(sent: bytes) -> str:
    """Text of a form, which is UTF-8. Raises ``ApiError``."""
    try:
        return sent.decode()
    except UnicodeDecodeError as error:
        raise malformed_form("a field is not UTF-8") from error
