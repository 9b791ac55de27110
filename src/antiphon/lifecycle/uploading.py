"""Uploading: a file that comes in parts, each kept by itself, and joined when all are there."""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from antiphon.ids import random_hex
from antiphon.lifecycle.deposit import Deposit
from antiphon.lifecycle.filing import Asked, check, clean_name
from antiphon.protocol.errors import body_too_large
from antiphon.protocol.file_faults import (
    empty_file,
    repeated_part,
    unknown_part,
    upload_closed,
    upload_full,
    upload_not_found,
    upload_too_large,
    wrong_digest,
    wrong_size,
)
from antiphon.protocol.refusals import server_error
from antiphon.store.blobs import NoSuchBlob, part_key, upload_prefix
from antiphon.store.files import FileRow
from antiphon.store.uploads import PartRow, UploadClosed, UploadFull, UploadRow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence

    from antiphon.lifecycle import Caller
    from antiphon.lifecycle.allowance import Watch
    from antiphon.lifecycle.filing import Filing
    from antiphon.protocol.errors import ApiError
    from antiphon.protocol.files import CreateUpload
    from antiphon.store.blobs import Blobs
    from antiphon.store.erasing import Erasing
    from antiphon.store.uploads import Uploads

MOST_PARTS = 10_000


class Completed(Struct, frozen=True):
    """An upload that is complete, and the file that it has become."""

    upload: UploadRow
    file: FileRow


class Uploading:
    """Takes uploads from their beginning to a file. ``now`` gives unix seconds. Raises `StoreUnavailable`."""

    def __init__(
        self, uploads: Uploads, filing: Filing, blobs: Blobs, erasing: Erasing, *, now: Callable[[], int]
    ) -> None:
        self._uploads = uploads
        self._filing = filing
        self._blobs = blobs
        self._deposit = Deposit(blobs, erasing, now=now)
        self._now = now
        self.terms = filing.terms

    async def create(self, caller: Caller, asked: CreateUpload) -> UploadRow:
        """Begin an upload. Raises ``ApiError``."""
        if asked.bytes > self.terms.most_upload_bytes:
            raise upload_too_large(asked.bytes, self.terms.most_upload_bytes)
        check(Asked(asked.filename, asked.purpose))
        await self._filing.allowance.check(caller, asked.bytes)
        now = self._now()
        row = UploadRow(
            id=f"upload_{random_hex(16)}",
            tenant=caller.tenant,
            filename=clean_name(asked.filename),
            purpose=asked.purpose,
            size=asked.bytes,
            created_at=now,
            expires_at=now + self.terms.upload_seconds,
            file_seconds=None if asked.expires_after is None else asked.expires_after.seconds,
        )
        await self._uploads.add(row)
        return row

    async def add_part(self, id: str, caller: Caller, chunks: AsyncIterable[bytes]) -> PartRow:
        """Keep a part of an upload. Raises ``ApiError``, and what the chunks raise."""
        upload = await self._pending(id, caller)
        part = f"part_{random_hex(16)}"

        def judge(size: int) -> PartRow:
            if not size:
                raise empty_file()
            return PartRow(id=part, upload=id, tenant=caller.tenant, size=size, created_at=self._now())

        # A part that is sent again, as its answer was lost, is another part: there is room for all of them twice.
        most_bytes = 2 * upload.size + self.terms.part_bytes
        add = partial(self._uploads.add_part, most_bytes=most_bytes, most_parts=MOST_PARTS)
        key = part_key(caller.tenant, id, part)
        async with (
            self._filing.allowance.watching(caller) as watch,
            aclosing(_bounded(chunks, self.terms.part_bytes, watch)) as bounded,
        ):
            try:
                return await self._deposit.take(key, bounded, judge=judge, add=add)
            except UploadClosed as error:
                raise await self._closed(id, caller) from error
            except UploadFull as error:
                raise upload_full(id) from error

    async def complete(self, id: str, caller: Caller, *, part_ids: Sequence[str], md5: str | None) -> Completed:
        """Join parts, in the order in which they are named, to a file. Raises ``ApiError``."""
        upload = await self._pending(id, caller)
        await self._check_parts(upload, part_ids)
        asked = Asked(upload.filename, upload.purpose, upload.file_seconds)
        keys = [part_key(caller.tenant, id, part) for part in part_ids]
        async with aclosing(self._joined(keys, md5)) as joined:
            try:
                file = await self._filing.receive(
                    caller, joined, asked=lambda: asked, limit=upload.size, add=partial(self._uploads.complete, id)
                )
            except (UploadClosed, NoSuchBlob) as error:  # another request was faster
                raise await self._closed(id, caller) from error
        await self._deposit.erase([upload_prefix(caller.tenant, id)])
        return Completed(replace(upload, status="completed"), file)

    async def cancel(self, id: str, caller: Caller) -> UploadRow:
        """End an upload, and erase its parts. Raises ``ApiError``."""
        upload = await self._pending(id, caller)
        try:
            await self._uploads.cancel(id, tenant=caller.tenant)
        except UploadClosed as error:
            raise await self._closed(id, caller) from error
        await self._deposit.erase([upload_prefix(caller.tenant, id)])
        return replace(upload, status="cancelled")

    async def check_pending(self, id: str, caller: Caller) -> None:
        """Raise ``ApiError`` unless the upload takes parts: before its part has come."""
        await self._pending(id, caller)

    async def _check_parts(self, upload: UploadRow, part_ids: Sequence[str]) -> None:
        sizes = await self._uploads.parts(upload.id, tenant=upload.tenant)
        seen: set[str] = set()
        for part in part_ids:
            if part not in sizes:
                raise unknown_part(part)
            if part in seen:
                raise repeated_part(part)
            seen.add(part)
        if (size := sum(sizes[part] for part in part_ids)) != upload.size:
            raise wrong_size(announced=upload.size, got=size)

    async def _joined(self, keys: Sequence[str], md5: str | None) -> AsyncGenerator[bytes, None]:
        """The bytes of all parts. Raises ``ApiError`` at their end where they are not what their digest says."""
        digest = hashlib.md5(usedforsecurity=False)
        for key in keys:
            async for piece in self._blobs.stream(key):  # it holds nothing between its pieces
                if md5 is not None:
                    digest.update(piece)
                yield piece
        if md5 is not None and digest.hexdigest() != md5.lower():
            raise wrong_digest()

    async def _pending(self, id: str, caller: Caller) -> UploadRow:
        upload = await self._uploads.find(id, tenant=caller.tenant)
        if upload is None:
            raise upload_not_found(id)
        if upload.status != "pending":
            raise upload_closed(id, upload.status)
        if upload.expires_at <= self._now():
            raise upload_closed(id, "expired")
        return upload

    async def _closed(self, id: str, caller: Caller) -> ApiError:
        """Why an upload takes nothing more that was pending a moment ago."""
        upload = await self._uploads.find(id, tenant=caller.tenant)
        if upload is None:
            return upload_not_found(id)
        if upload.status == "pending":  # somebody has emptied the storage
            return server_error("The parts of this upload are lost. Please begin another.")
        return upload_closed(id, upload.status)


async def _bounded(chunks: AsyncIterable[bytes], limit: int, watch: Watch) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise body_too_large(limit)
        watch.count(len(chunk))
        yield chunk
    await watch.confirm()
