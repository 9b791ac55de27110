"""Filing: the files of callers, from the first byte to the last, and whose they are."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal, get_args

from msgspec import Struct

from antiphon.ids import letters
from antiphon.lifecycle.allowance import Allowance
from antiphon.lifecycle.deposit import Deposit
from antiphon.lifecycle.sniffing import IMAGES, SNIFFED_BYTES, sniff
from antiphon.protocol.errors import body_too_large, missing_parameter
from antiphon.protocol.file_faults import empty_file, no_such_cursor, not_for_vision, unknown_purpose
from antiphon.protocol.files import FilePurpose
from antiphon.protocol.refusals import file_not_found
from antiphon.store import UnknownCursor
from antiphon.store.blobs import MIB, NoSuchBlob, file_key
from antiphon.store.files import FileRow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence

    from antiphon.lifecycle import Caller
    from antiphon.lifecycle.allowance import Watch
    from antiphon.store.blobs import Blobs
    from antiphon.store.erasing import Erasing
    from antiphon.store.files import FilePage, Files

log = logging.getLogger(__name__)

NAME_CHARACTERS = 255
NAMELESS = "upload"
"""What a file is called that has no name, as the official clients do."""
PURPOSES = frozenset(get_args(FilePurpose))


class Terms(Struct, frozen=True):
    """What files and uploads may be: sizes in bytes, and the seconds in which an upload has to be complete."""

    most_file_bytes: int = 512 * MIB
    most_upload_bytes: int = 8 * 1024 * MIB
    part_bytes: int = 64 * MIB
    upload_seconds: int = 3600


class Asked(Struct, frozen=True):
    """What a caller wants a file to be, as far as it is known: a form may say it behind the file.

    ``expires_after`` is in seconds from when the file is whole; None: it is kept for good.
    """

    filename: str | None = None
    purpose: str | None = None
    expires_after: int | None = None


class Filing:
    """Keeps, finds and forgets files. ``now`` gives unix seconds. Every verb raises `StoreUnavailable`.

    ``allowance``: how much a tenant may keep; None: anything.
    """

    def __init__(
        self,
        files: Files,
        blobs: Blobs,
        erasing: Erasing,
        *,
        terms: Terms,
        now: Callable[[], int],
        allowance: Allowance | None = None,
    ) -> None:
        self.terms = terms
        self.allowance = allowance or Allowance([], files.bytes_kept)
        self._files = files
        self._blobs = blobs
        self._deposit = Deposit(blobs, erasing, now=now)
        self._now = now

    async def receive(
        self,
        caller: Caller,
        chunks: AsyncIterable[bytes],
        *,
        asked: Callable[[], Asked],
        limit: int | None = None,
        add: Callable[[FileRow], Awaitable[None]] | None = None,
    ) -> FileRow:
        """Keep a file that comes in chunks, and return its row.

        ``asked`` tells what is known so far, and all of it once the chunks have ended; ``limit`` is in bytes, and
        ``add`` keeps the row in another way than alone. Raises ``ApiError``, and what the chunks raise.
        """
        id = f"file-{letters(22)}"
        head = _Head(self.terms.most_file_bytes if limit is None else limit, asked)

        def judge(size: int) -> FileRow:
            return self._row(id, caller, asked(), media_type=head.media_type, size=size)

        if add is not None:  # what it is made of is kept already
            return await self._take(file_key(caller.tenant, id), head.passed(chunks), judge=judge, add=add)
        async with self.allowance.watching(caller) as watch:
            passed = head.passed(chunks, watch)
            return await self._take(file_key(caller.tenant, id), passed, judge=judge, add=self._files.add)

    async def _take(
        self,
        key: str,
        chunks: AsyncGenerator[bytes, None],
        *,
        judge: Callable[[int], FileRow],
        add: Callable[[FileRow], Awaitable[None]],
    ) -> FileRow:
        async with aclosing(chunks) as passed:
            return await self._deposit.take(key, passed, judge=judge, add=add)

    async def find(self, id: str, caller: Caller) -> FileRow:
        """The caller's file of this id. Raises ``ApiError`` 404."""
        found = await self._files.find(id, tenant=caller.tenant, now=self._now())
        if found is None:
            raise file_not_found(id)
        return found

    async def lookup(self, ids: Sequence[str], caller: Caller) -> dict[str, FileRow]:
        """The caller's files of these ids. Unknown ids are left out."""
        return await self._files.find_many(ids, tenant=caller.tenant, now=self._now())

    async def page(
        self,
        caller: Caller,
        *,
        purpose: str | None = None,
        limit: int,
        order: Literal["asc", "desc"] = "desc",
        after: str | None = None,
    ) -> FilePage:
        """A page of the caller's files, the newest first by default. Raises ``ApiError`` 400 for an unknown cursor."""
        try:
            return await self._files.page(
                tenant=caller.tenant, purpose=purpose, limit=limit, order=order, after=after, now=self._now()
            )
        except UnknownCursor as error:
            raise no_such_cursor(after or "") from error

    async def content(self, row: FileRow, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes of a file, in pieces, from ``start`` to before ``end``. Raises ``ApiError`` 404 if it is gone."""
        try:
            # What gives the pieces holds nothing between them.
            async for piece in self._blobs.stream(file_key(row.tenant, row.id), start=start, end=end):
                yield piece
        except NoSuchBlob as error:
            raise self._gone(row) from error

    async def read(self, row: FileRow) -> bytes:
        """All bytes of a file at once. Raises ``ApiError`` 404 if it is gone."""
        try:
            return await self._blobs.read(file_key(row.tenant, row.id))
        except NoSuchBlob as error:
            raise self._gone(row) from error

    async def delete(self, id: str, caller: Caller) -> None:
        """Forget a file and erase its bytes. Raises ``ApiError`` 404."""
        await self.find(id, caller)
        if not await self._files.delete(id, tenant=caller.tenant):
            raise file_not_found(id)
        await self._deposit.erase([file_key(caller.tenant, id)])

    def _row(self, id: str, caller: Caller, asked: Asked, *, media_type: str, size: int) -> FileRow:
        if asked.purpose is None:
            raise missing_parameter("purpose")
        check(asked, media_type)
        if not size:
            raise empty_file()
        now = self._now()
        return FileRow(
            id=id,
            tenant=caller.tenant,
            filename=clean_name(asked.filename or ""),
            purpose=asked.purpose,
            media_type=media_type,
            size=size,
            created_at=now,
            expires_at=None if asked.expires_after is None else now + asked.expires_after,
        )

    def _gone(self, row: FileRow) -> Exception:
        """A row without bytes: it was deleted meanwhile, or somebody has emptied the storage."""
        log.warning("content of a file is gone", extra={"action": "file_content_gone", "file": row.id})
        return file_not_found(row.id)


class _Head:
    """Looks at the first bytes of what passes, and stops what is too long or not what it is for."""

    def __init__(self, limit: int, asked: Callable[[], Asked]) -> None:
        self._limit = limit
        self._asked = asked
        self._first = b""

    @property
    def media_type(self) -> str:
        """What it is, by all that has passed."""
        return sniff(self._first)

    async def passed(self, chunks: AsyncIterable[bytes], watch: Watch | None = None) -> AsyncGenerator[bytes, None]:
        """Hand chunks on, as far as there is room. Raises ``ApiError``."""
        size = 0
        is_known = False
        async for chunk in chunks:
            size += len(chunk)
            if watch is not None:
                watch.count(len(chunk))
            if size > self._limit:
                raise body_too_large(self._limit)
            if not is_known:
                self._first += chunk[: SNIFFED_BYTES - len(self._first)]
                is_known = len(self._first) == SNIFFED_BYTES
                if is_known:
                    check(self._asked(), self.media_type)
            yield chunk
        if watch is not None:
            await watch.confirm()


def check(asked: Asked, media_type: str | None = None) -> None:
    """Raise ``ApiError`` where what is known so far of a file cannot be kept."""
    if asked.purpose is not None and asked.purpose not in PURPOSES:
        raise unknown_purpose(asked.purpose)
    if asked.purpose == "vision" and media_type is not None and media_type not in IMAGES:
        raise not_for_vision(media_type, [image.removeprefix("image/") for image in IMAGES])


def clean_name(name: str) -> str:
    """A file's name as it was given, without folders and control characters, and no longer than it may be."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(letter for letter in last if letter.isprintable() or letter == " ").strip()
    if not printable.strip("."):
        return NAMELESS
    stem, dot, extension = printable.rpartition(".")
    if len(printable) <= NAME_CHARACTERS or not stem or len(extension) >= NAME_CHARACTERS:
        return printable[:NAME_CHARACTERS]
    return stem[: NAME_CHARACTERS - len(dot + extension)] + dot + extension
