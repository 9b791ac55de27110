"""The routes of ``/uploads``: a file that comes in parts."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from antiphon.http.files import file_object
from antiphon.http.multipart import arriving
from antiphon.protocol.files import CompleteUpload, CreateUpload, UploadObject, UploadPart
from antiphon.protocol.reading import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.http.app import Answer
    from antiphon.http.exchange import Exchange
    from antiphon.lifecycle import Caller
    from antiphon.lifecycle.uploading import Uploading
    from antiphon.store.files import FileRow
    from antiphon.store.uploads import UploadRow

BODY_BYTES = 4 * 1024 * 1024
"""Of a body of JSON: the ids of all parts that an upload may have."""


class Uploads:
    """Answers the routes of ``/uploads``."""

    def __init__(self, uploading: Uploading) -> None:
        self._uploading = uploading

    def routes(self) -> dict[str, Mapping[str, Answer]]:
        """The paths, and what answers each of their methods."""
        return {
            "/uploads": {"POST": self.create},
            "/uploads/{id}/parts": {"POST": self.add_part},
            "/uploads/{id}/complete": {"POST": self.complete},
            "/uploads/{id}/cancel": {"POST": self.cancel},
        }

    async def create(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /uploads``: say what will come."""
        asked = read(await exchange.body(BODY_BYTES), CreateUpload)
        await exchange.answer_with(_upload(await self._uploading.create(caller, asked)))

    async def add_part(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /uploads/{id}/parts``: a form with one part as ``data``."""
        id = exchange.params["id"]
        await self._uploading.check_pending(id, caller)
        limit = self._uploading.terms.part_bytes
        async with arriving(exchange, file="data", limit=limit) as form, aclosing(form.content()) as chunks:
            part = await self._uploading.add_part(id, caller, chunks)
        await exchange.answer_with(UploadPart(id=part.id, created_at=part.created_at, upload_id=id))

    async def complete(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /uploads/{id}/complete``: join the parts that are named to a file."""
        asked = read(await exchange.body(BODY_BYTES), CompleteUpload)
        done = await self._uploading.complete(exchange.params["id"], caller, part_ids=asked.part_ids, md5=asked.md5)
        await exchange.answer_with(_upload(done.upload, done.file))

    async def cancel(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /uploads/{id}/cancel``: it takes nothing more."""
        await exchange.answer_with(_upload(await self._uploading.cancel(exchange.params["id"], caller)))


def _upload(row: UploadRow, file: FileRow | None = None) -> UploadObject:
    """An upload as clients see it."""
    return UploadObject(
        id=row.id,
        bytes=row.size,
        created_at=row.created_at,
        expires_at=row.expires_at,
        filename=row.filename,
        purpose=row.purpose,
        status=row.status,
        file=None if file is None else file_object(file),
    )
