"""Uploads: files that come in parts, each part with a blob of its own until all are joined."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, convert

from antiphon.store import Statement, StoreError, files
from antiphon.store.blobs import part_key, upload_prefix
from antiphon.store.erasing import due, written
from antiphon.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.store import Database, Dialogue, Params
    from antiphon.store.files import FileRow

SWEPT_UPLOADS = 50
"""Uploads that one transaction of the sweep ends: bounds how long a save waits behind it."""
GRACE_SECONDS = 3600
"""How long the parts of an upload that expired stay: the last request that was in time may still join them."""
FORGOTTEN_SECONDS = 86_400
"""How long it is known of an upload that it has ended."""

UploadStatus = Literal["pending", "completed", "cancelled", "expired"]


class UploadClosed(StoreError):
    """The upload is not pending any more, or there is none: it takes nothing."""


class UploadFull(StoreError):
    """The upload holds more parts than it can ever need."""


class UploadRow(Struct, frozen=True):
    """One upload as it is kept. ``size`` is what was announced, in bytes; times are Unix seconds.

    ``file_seconds`` is how long the file will be kept, from when it is whole; None: for good.
    """

    id: str
    tenant: str
    filename: str
    purpose: str
    size: int
    created_at: int
    expires_at: int
    file_seconds: int | None = None
    status: UploadStatus = "pending"


class PartRow(Struct, frozen=True):
    """One part, its size in bytes, and when it came."""

    id: str
    upload: str
    tenant: str
    size: int
    created_at: int


class Uploads:
    """Uploads, each the property of a tenant: what is not yours is not there. Every verb raises `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = queries(database.engine)

    async def add(self, row: UploadRow) -> None:
        """Begin an upload. Raises `Conflict` where the id is taken."""
        columns: Params = {
            "tenant": row.tenant,
            "id": row.id,
            "filename": row.filename,
            "purpose": row.purpose,
            "bytes": row.size,
            "created_at": row.created_at,
            "expires_at": row.expires_at,
            "file_seconds": row.file_seconds,
        }
        await self._database.transaction(partial(_run, Statement(self._sql["add_upload"], columns)))

    async def find(self, id: str, *, tenant: str) -> UploadRow | None:
        """The upload of this id as it was left; None where there is no such upload."""
        rows = await self._database.fetch(self._sql["upload"], {"id": id, "tenant": tenant})
        for found in convert(rows, list[tuple[str, str, str, str, int, int, int, int | None, UploadStatus]]):
            return UploadRow(*found)
        return None

    async def parts(self, id: str, *, tenant: str) -> dict[str, int]:
        """The sizes of an upload's parts, by their ids."""
        rows = await self._database.fetch(self._sql["parts"], {"id": id, "tenant": tenant})
        return dict(convert(rows, list[tuple[str, int]]))

    async def add_part(self, row: PartRow, *, most_bytes: int, most_parts: int) -> None:
        """Keep a part whose blob is whole, and was planned (`Erasing.plan`).

        Raises `UploadClosed`, and `UploadFull` where the upload would hold more than so many bytes or parts.
        """
        await self._database.transaction(
            partial(_add_part, self._sql, row, most_bytes=most_bytes, most_parts=most_parts)
        )

    async def complete(self, id: str, file: FileRow) -> None:
        """Keep the file that an upload has become, and let the parts go: both, or neither. Raises `UploadClosed`."""
        await self._database.transaction(partial(_complete, self._sql, id, file))

    async def cancel(self, id: str, *, tenant: str) -> None:
        """End an upload, and let its parts go. Raises `UploadClosed`."""
        await self._database.transaction(partial(_end, self._sql, tenant, id, status="cancelled"))

    async def sweep(self, now: int) -> int:
        """End what expired at ``now`` (Unix seconds) or before, and return how many; forget what ended long ago."""
        buried = 0
        while count := await self._database.transaction(partial(_expire, self._sql, now)):
            buried += count
        return buried


def _run(statement: Statement) -> Dialogue[None]:
    yield statement


def _add_part(sql: Mapping[str, str], row: PartRow, *, most_bytes: int, most_parts: int) -> Dialogue[None]:
    of: Params = {"tenant": row.tenant, "id": row.upload}
    if not (yield Statement(sql["hold_pending_upload"], of)):
        raise UploadClosed(row.upload)
    rows = yield Statement(sql["parts_so_far"], of)
    [(count, size)] = convert(rows, list[tuple[int, int]])
    if count + 1 > most_parts or size + row.size > most_bytes:
        raise UploadFull(row.upload)
    yield from written(sql, part_key(row.tenant, row.upload, row.id))
    part: Params = {"tenant": row.tenant, "upload": row.upload, "id": row.id, "bytes": row.size}
    yield Statement(sql["add_part"], part)


def _complete(sql: Mapping[str, str], id: str, file: FileRow) -> Dialogue[None]:
    yield from _end(sql, file.tenant, id, status="completed")
    yield from files.add(sql, file)


def _end(sql: Mapping[str, str], tenant: str, id: str, *, status: UploadStatus) -> Dialogue[None]:
    """End a pending upload, and leave its parts to be erased. Raises `UploadClosed`."""
    of: Params = {"tenant": tenant, "id": id}
    if not (yield Statement(sql["end_upload"], of | {"status": status})):
        raise UploadClosed(id)
    yield Statement(sql["erase_parts"], of)
    yield due(sql, [upload_prefix(tenant, id)])


def _expire(sql: Mapping[str, str], now: int) -> Dialogue[int]:
    """End a few uploads whose time is over, or forget them; return how many these were."""
    times: Params = {"now": now - GRACE_SECONDS, "forgotten": now - FORGOTTEN_SECONDS, "limit": SWEPT_UPLOADS}
    rows = convert((yield Statement(sql["expired_uploads"], times)), list[tuple[str, str, UploadStatus]])
    for tenant, id, status in rows:
        if status == "pending":
            yield from _end(sql, tenant, id, status="expired")
        else:
            yield Statement(sql["forget_upload"], {"tenant": tenant, "id": id})
    return len(rows)
