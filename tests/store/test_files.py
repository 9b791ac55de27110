"""Files: whose they are, how they are listed, and that no blob outlives what leads to it, on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from antiphon.store import Conflict, StoreUnavailable, UnknownCursor
from antiphon.store.blobs import Blobs, file_key, response_prefix
from antiphon.store.erasing import ERASED_AT_ONCE, PUT_OFF_SECONDS, Erasing
from antiphon.store.files import SWEPT_FILES, FileRow, Files
from antiphon.store.store import Store
from tests.store.rows import items, response
from tests.store.troubled import Troubled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from antiphon.store import Database
    from antiphon.store.files import FilePage

pytestmark = pytest.mark.anyio

NOW = 1_000_000


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        """The time."""
        return self.now


class Failing(Blobs):
    """Blobs that cannot be deleted while ``is_down``."""

    is_down = False

    async def delete(self, keys: Sequence[str]) -> None:
        """See `Blobs.delete`."""
        if self.is_down:
            raise StoreUnavailable("down")
        await super().delete(keys)


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture
def files(database: Database) -> Files:
    """No files."""
    return Files(database)


@pytest.fixture
def erasing(database: Database, clock: Clock) -> Erasing:
    """Nothing to erase."""
    return Erasing(database, clock)


@pytest.fixture
async def blobs() -> AsyncIterator[Failing]:
    """No blobs."""
    made = Failing("memory:")
    await made.put("x/other", b"x")
    yield made
    await made.aclose()


def row(id: str, *, tenant: str = "a", purpose: str = "user_data", expires_at: int | None = None) -> FileRow:
    """A file that differs from others by its id."""
    return FileRow(
        id=id,
        tenant=tenant,
        filename=f"{id}'\"\N{SNOWMAN}.txt",
        purpose=purpose,
        media_type="text/plain",
        size=2**33,
        created_at=NOW,
        expires_at=expires_at,
    )


async def keep(files: Files, erasing: Erasing, *rows: FileRow) -> None:
    """Keep files in this order."""
    for each in rows:
        await erasing.plan(file_key(each.tenant, each.id), due_at=NOW + 1000)
        await files.add(each)


async def left(blobs: Blobs) -> list[str]:
    """The keys of all blobs but the one that belongs to nobody here."""
    storage = await blobs._open("a")
    return sorted(blob["path"] for found in storage.list() for blob in found if blob["path"] != "x/other")


def ids(page: FilePage) -> list[str]:
    """The ids on a page."""
    return [each.id for each in page.rows]


async def test_a_file_is_found_as_it_was_kept(files: Files, erasing: Erasing) -> None:
    """By its owner, under its id."""
    await keep(files, erasing, row("file-1"), row("file-2", expires_at=NOW + 1))
    assert row("file-1") == await files.find("file-1", tenant="a", now=NOW)
    assert row("file-2", expires_at=NOW + 1) == await files.find("file-2", tenant="a", now=NOW)


async def test_what_is_unknown_foreign_or_expired_is_not_there(files: Files, erasing: Erasing) -> None:
    """And nobody can tell which it is."""
    await keep(files, erasing, row("file-1"), row("file-2", expires_at=NOW), row("file-3", tenant="b"))
    for id in ("file-0", "file-2", "file-3", "", "'\0"):
        assert None is await files.find(id, tenant="a", now=NOW)
    wanted = ["file-3", "file-1", "file-2", "file-1", "nothing"]
    assert {"file-1": row("file-1")} == await files.find_many(wanted, tenant="a", now=NOW)
    assert {} == await files.find_many([], tenant="a", now=NOW)


async def test_an_id_is_taken_once_by_each_tenant(files: Files, erasing: Erasing) -> None:
    """The second that would have it is refused, and its blob is erased later."""
    await keep(files, erasing, row("file-1"), row("file-1", tenant="b"))
    with pytest.raises(Conflict):
        await keep(files, erasing, row("file-1"))


async def test_a_file_is_added_only_while_its_blob_is_sure_to_be_there(files: Files, erasing: Erasing) -> None:
    """Not where nothing was planned, and not where the plan was carried out."""
    with pytest.raises(StoreUnavailable, match="too late"):
        await files.add(row("file-1"))
    await erasing.plan(file_key("a", "file-1"), due_at=0)
    await erasing.erase(Blobs("memory:"))
    with pytest.raises(StoreUnavailable, match="too late"):
        await files.add(row("file-1"))
    assert None is await files.find("file-1", tenant="a", now=NOW)


async def test_files_are_listed_in_the_order_in_which_they_were_kept(files: Files, erasing: Erasing) -> None:
    """Forwards and backwards, page after page, each once; expired and foreign ones are left out."""
    names = [f"file-{number}" for number in range(7)]
    await keep(files, erasing, row("file-x", tenant="b"), *map(row, names[:4]), row("file-old", expires_at=NOW))
    await keep(files, erasing, *map(row, names[4:]))
    for order, expected in (("asc", names), ("desc", names[::-1])):
        seen: list[str] = []
        more = True
        while more:
            page = await files.page(
                tenant="a",
                limit=3,
                order="asc" if order == "asc" else "desc",
                after=seen[-1] if seen else None,
                now=NOW,
            )
            seen += ids(page)
            more = page.has_more
        assert expected == seen


async def test_a_full_last_page_has_no_more(files: Files, erasing: Erasing) -> None:
    """A client does not ask in vain; an empty list has none as well."""
    await keep(files, erasing, row("file-1"), row("file-2"))
    page = await files.page(tenant="a", limit=2, order="asc", now=NOW)
    assert (["file-1", "file-2"], False) == (ids(page), page.has_more)
    empty = await files.page(tenant="b", limit=2, order="desc", now=NOW)
    assert ([], False) == (ids(empty), empty.has_more)


async def test_files_of_one_purpose_are_listed(files: Files, erasing: Erasing) -> None:
    """And none where there is none of it."""
    await keep(files, erasing, row("file-1"), row("file-2", purpose="vision"), row("file-3"))
    page = await files.page(tenant="a", purpose="vision", limit=9, order="desc", now=NOW)
    assert ["file-2"] == ids(page)
    assert [] == ids(await files.page(tenant="a", purpose="batch", limit=9, order="asc", now=NOW))


@pytest.mark.parametrize("after", ["file-9", "file-foreign"])
async def test_a_page_begins_after_a_file_of_the_tenants(files: Files, erasing: Erasing, after: str) -> None:
    """Any other is refused."""
    await keep(files, erasing, row("file-1"), row("file-foreign", tenant="b"))
    with pytest.raises(UnknownCursor):
        await files.page(tenant="a", limit=2, order="asc", after=after, now=NOW)


async def test_a_page_may_begin_after_a_file_that_expired_meanwhile(files: Files, erasing: Erasing) -> None:
    """As long as the sweep has not come by, its place is known."""
    await keep(files, erasing, row("file-1", expires_at=NOW), row("file-2"))
    assert ["file-2"] == ids(await files.page(tenant="a", limit=2, order="asc", after="file-1", now=NOW))


async def test_a_deleted_file_leaves_its_blob_to_be_erased(files: Files, erasing: Erasing, blobs: Failing) -> None:
    """By its owner alone; once."""
    await keep(files, erasing, row("file-1"), row("file-1", tenant="b"))
    for tenant in ("a", "b"):
        await blobs.put(file_key(tenant, "file-1"), b"x")
    assert not await files.delete("file-1", tenant="c")
    assert await files.delete("file-1", tenant="a")
    assert not await files.delete("file-1", tenant="a")
    assert 1 == await erasing.erase(blobs)
    assert [file_key("b", "file-1")] == await left(blobs)
    assert 0 == await erasing.erase(blobs)


async def test_the_sweep_removes_what_expired(files: Files, erasing: Erasing, blobs: Failing) -> None:
    """In however many transactions, and their blobs in however many batches; and nothing else."""
    old = [row(f"file-{number}", expires_at=NOW) for number in range(SWEPT_FILES + 1)]
    young = [row("file-young", expires_at=NOW + 1), row("file-kept")]
    await keep(files, erasing, *old, *young)
    for each in (*old, *young):
        await blobs.put(file_key("a", each.id), b"x")
    assert 0 == await files.sweep(NOW - 1)
    assert len(old) == await files.sweep(NOW)
    assert len(old) > ERASED_AT_ONCE
    assert len(old) == await erasing.erase(blobs)
    assert sorted(file_key("a", each.id) for each in young) == await left(blobs)


async def test_what_is_planned_is_erased_when_it_is_due(erasing: Erasing, blobs: Failing, clock: Clock) -> None:
    """A writer that was killed leaves its blob until then; of two plans the earlier counts."""
    await blobs.put("a/files/b", b"half")
    await erasing.plan("a/files/b", due_at=NOW + 10)
    await erasing.plan("a/files/b", due_at=NOW + 100)
    assert 0 == await erasing.erase(blobs)
    clock.now += 10
    assert 1 == await erasing.erase(blobs)
    assert [] == await left(blobs)


async def test_what_cannot_be_erased_is_put_off(erasing: Erasing, blobs: Failing, clock: Clock) -> None:
    """The storage's trouble is told, nothing is forgotten, and others have their turn meanwhile."""
    await blobs.put("a/files/b", b"x")
    await erasing.plan("a/files/b", due_at=0)
    blobs.is_down = True
    with pytest.raises(StoreUnavailable, match="down"):
        await erasing.erase(blobs)
    blobs.is_down = False
    assert 0 == await erasing.erase(blobs)
    clock.now += PUT_OFF_SECONDS
    assert 1 == await erasing.erase(blobs)
    assert [] == await left(blobs)


async def test_a_blob_may_be_erased_twice(database: Database, clock: Clock, blobs: Failing) -> None:
    """As the process was killed before it could say that it had."""
    troubled = Troubled(database)
    erasing = Erasing(troubled, clock)
    await blobs.put("a/files/b", b"x")
    await erasing.plan("a/files/b", due_at=0)
    await erasing.plan("a/responses/r/", due_at=0)
    troubled.is_away = True
    with pytest.raises(StoreUnavailable):
        await erasing.carry_out(blobs, ["a/files/b", "a/responses/r/"])
    assert [] == await left(blobs)
    troubled.is_away = False
    assert 2 == await erasing.erase(blobs)


async def test_the_blobs_of_a_response_go_when_it_is_erased(
    database: Database, erasing: Erasing, blobs: Failing
) -> None:
    """Not while anything alive was built on it; and of a response without blobs nothing is looked for."""
    store = Store(database)
    await store.save(replace(response("r1"), has_blobs=True), inputs=items("i1"), outputs=[])
    await store.save(response("r2", after="r1"), inputs=items("i2"), outputs=[])
    await store.save(replace(response("r3", expires_at=9000), has_blobs=True), inputs=[], outputs=[])
    for id in ("r1", "r2", "r3"):
        await blobs.put(f"{response_prefix('a', id)}picture.1", b"x")
    await store.delete("r1", tenant="a")
    await store.sweep(0)
    assert 0 == await erasing.erase(blobs)
    await store.delete("r2", tenant="a")
    await store.sweep(0)
    assert 1 == await erasing.erase(blobs)
    expected = sorted(f"{response_prefix('a', id)}picture.1" for id in ("r2", "r3"))
    assert expected == await left(blobs)
    await store.sweep(9000)
    assert 1 == await erasing.erase(blobs)
