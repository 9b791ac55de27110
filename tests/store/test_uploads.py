"""Uploads: parts come only while one is pending, and it ends once, on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from msgspec.structs import replace

from antiphon.store import StoreUnavailable
from antiphon.store.blobs import Blobs, file_key, part_key
from antiphon.store.erasing import Erasing
from antiphon.store.files import FileRow, Files
from antiphon.store.uploads import (
    FORGOTTEN_SECONDS,
    GRACE_SECONDS,
    SWEPT_UPLOADS,
    PartRow,
    UploadClosed,
    UploadFull,
    UploadRow,
    Uploads,
)
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from antiphon.store import Database

pytestmark = pytest.mark.anyio

NOW = 1_000_000
CONTENDERS = 9


def row(id: str, *, tenant: str = "a") -> UploadRow:
    """An upload that differs from others by its id."""
    return UploadRow(
        id=id,
        tenant=tenant,
        filename="\N{SNOWMAN}.txt",
        purpose="batch",
        size=2**33,
        created_at=NOW,
        expires_at=NOW + 100,
        file_seconds=3600,
    )


def file(id: str) -> FileRow:
    """The file that an upload becomes."""
    return FileRow(id, "a", "name", "batch", "text/plain", size=2**33, created_at=NOW)


@pytest.fixture
def uploads(database: Database) -> Uploads:
    """No uploads."""
    return Uploads(database)


@pytest.fixture
def erasing(database: Database) -> Erasing:
    """Nothing to erase."""
    return Erasing(database, lambda: NOW)


async def add_part(uploads: Uploads, erasing: Erasing, upload: str, id: str, size: int = 5) -> None:
    """Add a part whose blob is whole, of 10 bytes or 3 parts at most."""
    await erasing.plan(part_key("a", upload, id), due_at=NOW + 1000)
    part = PartRow(id=id, upload=upload, tenant="a", size=size, created_at=NOW)
    await uploads.add_part(part, most_bytes=10, most_parts=3)


async def complete(uploads: Uploads, erasing: Erasing, upload: str, id: str) -> None:
    """Let an upload become a file whose blob is whole."""
    await erasing.plan(file_key("a", id), due_at=NOW + 1000)
    await uploads.complete(upload, file(id))


async def test_an_upload_is_found_as_it_began(uploads: Uploads) -> None:
    """By its owner alone."""
    await uploads.add(row("u1"))
    assert row("u1") == await uploads.find("u1", tenant="a")
    assert None is await uploads.find("u1", tenant="b")
    assert None is await uploads.find("u2", tenant="a")


async def test_parts_are_kept_by_their_upload(uploads: Uploads, erasing: Erasing) -> None:
    """With their sizes."""
    await uploads.add(row("u1"))
    await uploads.add(row("u2"))
    await add_part(uploads, erasing, "u1", "p1", 4)
    await add_part(uploads, erasing, "u1", "p2", 6)
    assert {"p1": 4, "p2": 6} == await uploads.parts("u1", tenant="a")
    assert {} == await uploads.parts("u2", tenant="a")
    assert {} == await uploads.parts("u1", tenant="b")


async def test_an_upload_holds_so_many_bytes_and_parts(uploads: Uploads, erasing: Erasing) -> None:
    """And no more."""
    for id in ("u1", "u2"):
        await uploads.add(row(id))
    await add_part(uploads, erasing, "u1", "p1", 5)
    with pytest.raises(UploadFull):
        await add_part(uploads, erasing, "u1", "p2", 6)
    await add_part(uploads, erasing, "u1", "p3", 5)
    for number in range(3):
        await add_part(uploads, erasing, "u2", f"p{number}", 1)
    with pytest.raises(UploadFull):
        await add_part(uploads, erasing, "u2", "p4", 1)


async def test_a_part_that_came_too_late_is_not_kept(uploads: Uploads) -> None:
    """Its blob may be gone."""
    await uploads.add(row("u1"))
    with pytest.raises(StoreUnavailable, match="too late"):
        await uploads.add_part(PartRow("p1", "u1", "a", size=1, created_at=NOW), most_bytes=10, most_parts=3)
    assert {} == await uploads.parts("u1", tenant="a")


async def test_a_complete_upload_is_a_file(database: Database, uploads: Uploads, erasing: Erasing) -> None:
    """Its parts go, and it takes nothing more."""
    await uploads.add(row("u1"))
    await add_part(uploads, erasing, "u1", "p1")
    await complete(uploads, erasing, "u1", "file-1")
    assert replace(row("u1"), status="completed") == await uploads.find("u1", tenant="a")
    assert file("file-1") == await Files(database).find("file-1", tenant="a", now=NOW)
    assert {} == await uploads.parts("u1", tenant="a")
    blobs = Blobs("memory:")
    await blobs.put(part_key("a", "u1", "p1"), b"x")
    assert 1 == await erasing.erase(blobs)
    assert [] == [*(await blobs._open("a")).list()]
    await expect_closed(uploads, erasing, "u1")


async def test_a_cancelled_upload_takes_nothing(uploads: Uploads, erasing: Erasing) -> None:
    """And its parts go."""
    await uploads.add(row("u1"))
    await add_part(uploads, erasing, "u1", "p1")
    await uploads.cancel("u1", tenant="a")
    assert replace(row("u1"), status="cancelled") == await uploads.find("u1", tenant="a")
    assert {} == await uploads.parts("u1", tenant="a")
    assert 1 == await erasing.erase(Blobs("memory:"))
    await expect_closed(uploads, erasing, "u1")


async def test_what_is_not_there_takes_nothing(uploads: Uploads, erasing: Erasing) -> None:
    """Somebody else's is not there either."""
    await uploads.add(row("u1", tenant="b"))
    await expect_closed(uploads, erasing, "u1")
    await expect_closed(uploads, erasing, "u0")


async def expect_closed(uploads: Uploads, erasing: Erasing, id: str) -> None:
    """Whatever is asked of an upload is refused."""
    with pytest.raises(UploadClosed):
        await add_part(uploads, erasing, id, "late")
    with pytest.raises(UploadClosed):
        await complete(uploads, erasing, id, "file-late")
    with pytest.raises(UploadClosed):
        await uploads.cancel(id, tenant="a")


async def test_where_the_file_cannot_be_kept_the_upload_stays(uploads: Uploads, erasing: Erasing) -> None:
    """Both or neither."""
    await uploads.add(row("u1"))
    await add_part(uploads, erasing, "u1", "p1")
    with pytest.raises(StoreUnavailable, match="too late"):
        await uploads.complete("u1", file("file-1"))
    assert row("u1") == await uploads.find("u1", tenant="a")
    assert {"p1": 5} == await uploads.parts("u1", tenant="a")


async def test_the_sweep_ends_what_expired_and_forgets_it_later(uploads: Uploads, erasing: Erasing) -> None:
    """Not before those that were in time have had time to complete it."""
    names = [f"u{number}" for number in range(SWEPT_UPLOADS + 1)]
    for id in names:
        await uploads.add(row(id))
    await add_part(uploads, erasing, "u0", "p1")
    over = NOW + 100 + GRACE_SECONDS
    assert 0 == await uploads.sweep(over - 1)
    assert len(names) == await uploads.sweep(over)
    assert replace(row("u0"), status="expired") == await uploads.find("u0", tenant="a")
    assert {} == await uploads.parts("u0", tenant="a")
    assert 0 == await uploads.sweep(over)
    assert len(names) == await erasing.erase(Blobs("memory:"))
    assert len(names) == await uploads.sweep(NOW + 100 + FORGOTTEN_SECONDS)
    assert None is await uploads.find("u0", tenant="a")


async def test_of_many_that_end_an_upload_one_does(processes: list[Database]) -> None:
    """Beside parts that come at the same time, from several processes: no part stays of an upload that has ended."""
    shared = [Uploads(database) for database in processes]
    erasing = Erasing(processes[0], lambda: NOW)
    await shared[0].add(row("u1"))
    winners: list[str] = []

    async def contend(number: int) -> None:
        uploads = shared[number % len(shared)]
        try:
            match number % 3:
                case 0:
                    await complete(uploads, erasing, "u1", f"file-{number}")
                    winners.append(f"file-{number}")
                case 1:
                    await uploads.cancel("u1", tenant="a")
                    winners.append("cancelled")
                case _:
                    await add_part(uploads, erasing, "u1", f"p{number}", 1)
        except UploadClosed:
            return

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(CONTENDERS):
                group.start_soon(contend, number)
    [winner] = winners
    ended = await shared[-1].find("u1", tenant="a")
    assert ended is not None
    assert ("cancelled" if winner == "cancelled" else "completed") == ended.status
    assert {} == await shared[-1].parts("u1", tenant="a")
    files = await Files(processes[-1]).page(tenant="a", limit=9, order="asc", now=NOW)
    assert ([] if winner == "cancelled" else [winner]) == [each.id for each in files.rows]
