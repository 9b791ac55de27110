"""The routes of ``/files``: a file comes in a form and leaves as it came."""

from __future__ import annotations

import logging
import re
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote

import anyio
import msgspec
from msgspec import Meta, Struct

from antiphon.http.exchange import ClientLeft
from antiphon.http.multipart import arriving
from antiphon.lifecycle.filing import Asked, check
from antiphon.lifecycle.sniffing import IMAGES, OCTETS, TEXT
from antiphon.protocol.faults import refusal
from antiphon.protocol.file_faults import range_not_satisfiable
from antiphon.protocol.files import FileDeleted, FileForm, FileList, FileObject
from antiphon.protocol.reading import read_query

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from antiphon.http.app import Answer
    from antiphon.http.exchange import Exchange
    from antiphon.http.multipart import Form
    from antiphon.lifecycle import Caller
    from antiphon.lifecycle.filing import Filing
    from antiphon.protocol.parts import Json
    from antiphon.store.files import FileRow

log = logging.getLogger(__name__)

SHOWN_TYPES = frozenset({*IMAGES, "application/pdf", TEXT})
"""What is told to be what it is; a browser might do things with others."""
SENDING_SECONDS = 120
"""How long a client may take for a piece of a file."""
FIELDS = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Listing(Struct, frozen=True):
    """The query of a list of files."""

    purpose: str | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 10_000
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None


class Files:
    """Answers the routes of ``/files``."""

    def __init__(self, filing: Filing) -> None:
        self._filing = filing

    def routes(self) -> dict[str, Mapping[str, Answer]]:
        """The paths, and what answers each of their methods."""
        return {
            "/files": {"POST": self.create, "GET": self.list_all},
            "/files/{id}": {"GET": self.retrieve, "DELETE": self.delete},
            "/files/{id}/content": {"GET": self.content},
        }

    async def create(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /files``: the form holds one ``file``, its ``purpose``, and perhaps when it expires."""
        async with arriving(exchange, file="file", limit=self._filing.terms.most_file_bytes) as form:
            check(_asked(form))
            async with aclosing(form.content()) as chunks:
                row = await self._filing.receive(caller, chunks, asked=lambda: _asked(form))
        if ignored := [name for name in form.fields if name not in FIELDS]:
            exchange.add_header("x-ignored-params", ignored)
            log.warning(
                "parts of a form had no effect",
                extra={"action": "form_without_effect", "file": row.id, "ignored": ascii(ignored)[:1000]},
            )
        await exchange.answer_with(file_object(row))

    async def list_all(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /files``: the newest first by default."""
        asked = read_query(exchange.query.multi_items(), Listing)
        page = await self._filing.page(
            caller, purpose=asked.purpose, limit=asked.limit, order=asked.order, after=asked.after
        )
        files = [file_object(row) for row in page.rows]
        first, last = (files[0].id, files[-1].id) if files else (None, None)
        await exchange.answer_with(FileList(data=files, first_id=first, last_id=last, has_more=page.has_more))

    async def retrieve(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /files/{id}``."""
        await exchange.answer_with(file_object(await self._filing.find(exchange.params["id"], caller)))

    async def delete(self, exchange: Exchange, caller: Caller) -> None:
        """``DELETE /files/{id}``."""
        id = exchange.params["id"]
        await self._filing.delete(id, caller)
        await exchange.answer_with(FileDeleted(id=id))

    async def content(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /files/{id}/content``: the bytes of a file, or one range of them."""
        row = await self._filing.find(exchange.params["id"], caller)
        start, end = _range(exchange.headers.get("range", ""), row.size)
        async with aclosing(self._filing.content(row, start=start, end=end)) as pieces:
            first = await anext(pieces, b"")  # it is there, before anything is promised
            await _start(exchange, row, start, end)
            await _send(exchange, first, pieces)


def file_object(row: FileRow) -> FileObject:
    """A file as clients see it."""
    return msgspec.convert(
        {
            "id": row.id,
            "bytes": row.size,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "filename": row.filename,
            "purpose": row.purpose,
        },
        FileObject,
    )


def _asked(form: Form) -> Asked:
    """What the fields say, as far as they have come; once all have, they must say all. Raises ``ApiError``."""
    if not form.is_whole:
        return Asked(form.filename, form.fields.get("purpose"))
    fields = _read(form.fields)
    return Asked(form.filename, fields.purpose, None if fields.expires_after is None else fields.expires_after.seconds)


def _read(fields: Mapping[str, str]) -> FileForm:
    """The fields of a form, whose names may say where they belong: ``expires_after[seconds]``. Raises ``ApiError``."""
    value: dict[str, Json] = {}
    inner: dict[str, Json] = {}
    for name, text in fields.items():
        outer, bracket, key = name.partition("[")
        if bracket and outer == "expires_after":
            inner[key.removesuffix("]")] = text
            value[outer] = inner
        elif not bracket:
            value[name] = text
    try:
        return msgspec.convert(value, FileForm, strict=False)
    except msgspec.ValidationError as error:
        raise refusal(error, value, FileForm) from error


def _range(sent: str, size: int) -> tuple[int, int]:
    """The first byte that is asked for and the one behind the last. What is no single range has no effect.

    Raises ``ApiError`` 416 (RFC 9110, section 14).
    """
    match = _RANGE.fullmatch(sent.strip())
    if match is None or not any(match.groups()):
        return 0, size
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return 0, size
    if start >= size:
        raise range_not_satisfiable(size)
    return start, end


async def _start(exchange: Exchange, row: FileRow, start: int, end: int) -> None:
    """The head of an answer with the bytes of a file."""
    media_type = row.media_type if row.media_type in SHOWN_TYPES else OCTETS
    ascii_name = re.sub(r"[^ !#-\[\]-~]|%", "_", row.filename)
    disposition = f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(row.filename, safe='')}"
    headers = [
        (b"content-length", b"%d" % (end - start)),
        (b"content-disposition", disposition.encode()),
        (b"accept-ranges", b"bytes"),
    ]
    is_whole = end - start == row.size
    if not is_whole:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, row.size)))
    status = HTTPStatus.OK if is_whole else HTTPStatus.PARTIAL_CONTENT
    await exchange.start(status, media_type.encode(), headers)


async def _send(exchange: Exchange, first: bytes, pieces: AsyncGenerator[bytes, None]) -> None:
    """Send the bytes of a file as fast as they are read, until the client leaves or reads no more."""
    is_stuck = False
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            await exchange.left()
            group.cancel_scope.cancel()

        group.start_soon(watch)
        piece: bytes | None = first
        while piece is not None and not is_stuck:
            with anyio.move_on_after(SENDING_SECONDS) as patience:
                await exchange.write(piece)
            is_stuck = patience.cancelled_caught
            piece = await anext(pieces, None)
        if not is_stuck:
            await exchange.write(b"", more=False)
        group.cancel_scope.cancel()
    if is_stuck:
        raise ClientLeft
