"""Files of callers: what is known of each, beside the blob with its bytes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, convert
from msgspec.json import encode

from antiphon.store import Statement, UnknownCursor
from antiphon.store.blobs import file_key
from antiphon.store.erasing import due, written
from antiphon.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from antiphon.store import Database, Dialogue, Params, Row

SWEPT_FILES = 100
"""Files that one transaction of the sweep removes: bounds how long a save waits behind it."""
FIRST, LAST = -1, 2**63 - 1
"""Places before and behind all files."""


class FileRow(Struct, frozen=True):
    """One file as it is kept. ``size`` is in bytes, times are Unix seconds; without an end it is kept for good.

    ``media_type`` is what its first bytes say.
    """

    id: str
    tenant: str
    filename: str
    purpose: str
    media_type: str
    size: int
    created_at: int
    expires_at: int | None = None


class FilePage(Struct, frozen=True):
    """A part of a list, in the order that was asked for."""

    rows: list[FileRow]
    has_more: bool


class Files:
    """Files, each the property of a tenant: what is not yours, and what has expired, is not there.

    Every verb raises `StoreUnavailable`. ``now`` is in Unix seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = queries(database.engine)

    async def add(self, row: FileRow) -> None:
        """Keep a file whose blob is whole and was planned (`Erasing.plan`). Raises `Conflict` where the id is taken."""
        await self._database.transaction(partial(add, self._sql, row))

    async def find(self, id: str, *, tenant: str, now: int) -> FileRow | None:
        """The file of this id; None where there is no such file."""
        return (await self.find_many([id], tenant=tenant, now=now)).get(id)

    async def find_many(self, ids: Sequence[str], *, tenant: str, now: int) -> dict[str, FileRow]:
        """The files of these ids. Unknown ids are left out."""
        wanted: Params = {"ids": encode(ids).decode(), "tenant": tenant, "now": now}
        rows = await self._database.fetch(self._sql["files_named"], wanted)
        return {row.id: row for row in _files(rows)}

    async def page(
        self,
        *,
        tenant: str,
        purpose: str | None = None,
        limit: int,
        order: Literal["asc", "desc"],
        after: str | None = None,
        now: int,
    ) -> FilePage:
        """A page of a tenant's files, of one purpose or of all; ``asc`` is oldest first.

        Raises `UnknownCursor` where ``after`` is not the id of a file of the tenant's.
        """
        place = await self._place(after, tenant)
        window: Params = {"tenant": tenant, "purpose": purpose, "limit": limit + 1, "now": now}
        if order == "asc":
            rows = await self._database.fetch(
                self._sql["oldest_files"], window | {"after": FIRST if place is None else place}
            )
        else:
            rows = await self._database.fetch(
                self._sql["newest_files"], window | {"after": LAST if place is None else place}
            )
        return FilePage(rows=_files(rows[:limit]), has_more=len(rows) > limit)

    async def delete(self, id: str, *, tenant: str) -> bool:
        """Remove a file, and leave its blob to be erased; False where there is no such file."""
        gone = Statement(self._sql["delete_file"], {"id": id, "tenant": tenant})
        return await self._database.transaction(partial(_bury, self._sql, gone)) > 0

    async def bytes_kept(self, tenant: str) -> int:
        """The bytes of a tenant's files, and of the parts of its uploads."""
        rows = await self._database.fetch(self._sql["bytes_kept"], {"tenant": tenant})
        [(count,)] = convert(rows, list[tuple[int]])
        return count

    async def sweep(self, now: int) -> int:
        """Remove what expired at ``now`` or before, in small transactions, and return how many; blobs go later."""
        expired = Statement(self._sql["expire_files"], {"now": now, "limit": SWEPT_FILES})
        buried = 0
        while count := await self._database.transaction(partial(_bury, self._sql, expired)):
            buried += count
        return buried

    async def _place(self, after: str | None, tenant: str) -> int | None:
        if after is None:
            return None
        rows = await self._database.fetch(self._sql["file_place"], {"id": after, "tenant": tenant})
        for (place,) in convert(rows, list[tuple[int]]):
            return place
        raise UnknownCursor(after)


def add(sql: Mapping[str, str], row: FileRow) -> Dialogue[None]:
    """Keep a file, and its blob with it."""
    yield from written(sql, file_key(row.tenant, row.id))
    columns: Params = {
        "tenant": row.tenant,
        "id": row.id,
        "filename": row.filename,
        "purpose": row.purpose,
        "media_type": row.media_type,
        "bytes": row.size,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }
    yield Statement(sql["add_file"], columns)


def _bury(sql: Mapping[str, str], removal: Statement) -> Dialogue[int]:
    """Remove files, leave their blobs to be erased, and return how many they were."""
    gone = convert((yield removal), list[tuple[str, str]])
    if gone:
        yield due(sql, [file_key(tenant, id) for tenant, id in gone])
    return len(gone)


def _files(rows: list[Row]) -> list[FileRow]:
    return [
        FileRow(id, tenant, filename, purpose, media_type, size=size, created_at=created_at, expires_at=expires_at)
        for id, tenant, filename, purpose, media_type, size, created_at, expires_at in convert(
            rows, list[tuple[str, str, str, str, str, int, int, int | None]]
        )
    ]
