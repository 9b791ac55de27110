"""Filing and uploading: whatever fails between a blob and its row, nothing is left that nothing leads to."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import anyio
import pytest

from antiphon.lifecycle import deposit
from antiphon.lifecycle.deposit import PLANNED_SECONDS
from antiphon.lifecycle.filing import Asked, Terms
from antiphon.protocol.errors import ApiError
from antiphon.protocol.files import CreateUpload
from antiphon.store import StoreUnavailable
from antiphon.store.blobs import MIB, Blobs
from antiphon.store.erasing import PUT_OFF_SECONDS
from antiphon.store.files import Files
from antiphon.store.uploads import FORGOTTEN_SECONDS
from tests.filing import NOW, OWNER, STRANGER, Cabinet, cabinet, filed
from tests.patient import HANG_SECONDS
from tests.store.troubled import Troubled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Sequence

    from antiphon.store import Database, Dialogue
    from antiphon.store.files import FileRow

pytestmark = pytest.mark.anyio

T = TypeVar("T")
WEEK = 7 * 86_400
UPLOAD = CreateUpload(filename="a", purpose="batch", bytes=10, mime_type="text/plain")


class Killed(BaseException):
    """The process ends here: nothing after it is done, whatever is meant to be done at last."""


class Fate:
    """When a process is killed: before or after so many steps. Then it does nothing any more."""

    def __init__(self, steps: int, *, after: bool) -> None:
        self._steps = steps
        self._after = after
        self.is_dead = False

    def before(self) -> None:
        """A step begins. Raises `Killed`."""
        if self.is_dead or (self._steps == 0 and not self._after):
            self.is_dead = True
            raise Killed

    def after(self) -> None:
        """A step is done. Raises `Killed`."""
        if self._steps == 0:
            self.is_dead = True
            raise Killed
        self._steps -= 1


class Doomed(Troubled):
    """A database of a process that is killed."""

    def __init__(self, database: Database, fate: Fate) -> None:
        super().__init__(database)
        self._fate = fate

    async def transaction(self, dialogue: Callable[[], Dialogue[T]]) -> T:
        """See `Database.transaction`."""
        self._fate.before()
        result = await super().transaction(dialogue)
        self._fate.after()
        return result


class Fragile(Blobs):
    """Blobs that are away, or those of a process that is killed, while another has them too."""

    def __init__(self, others: Blobs | None = None, fate: Fate | None = None) -> None:
        super().__init__("memory:")
        self.is_down = False
        self._fate = fate or Fate(-1, after=False)
        self._storage = None if others is None else others._storage

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """See `Blobs.write`."""
        self._begin()
        size = await super().write(key, chunks)
        self._fate.after()
        return size

    async def delete(self, keys: Sequence[str]) -> None:
        """See `Blobs.delete`."""
        self._begin()
        await super().delete(keys)
        self._fate.after()

    async def delete_under(self, prefix: str) -> None:
        """See `Blobs.delete_under`."""
        self._begin()
        await super().delete_under(prefix)
        self._fate.after()

    def _begin(self) -> None:
        self._fate.before()
        if self.is_down:
            raise StoreUnavailable("down")


async def content(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    """Chunks."""
    for chunk in chunks:
        yield chunk


async def create(kept_in: Cabinet) -> FileRow:
    """Keep a file of 10 bytes."""
    return await filed(kept_in.filing, content(b"01234", b"56789"))


async def swept(kept_in: Cabinet) -> list[str]:
    """What is left a week later, when the sweep has come by twice."""
    kept_in.now += WEEK
    for _ in range(2):
        await kept_in.files.sweep(kept_in.now)
        await kept_in.uploads.sweep(kept_in.now)
        await kept_in.erasing.erase(kept_in.blobs)
        kept_in.now += FORGOTTEN_SECONDS
    return await kept_in.left()


async def story(kept_in: Cabinet) -> None:
    """A file that comes and goes, and an upload that becomes one, which goes as well; one that is cancelled."""
    row = await create(kept_in)
    await kept_in.filing.delete(row.id, OWNER)
    upload = await kept_in.uploading.create(OWNER, UPLOAD)
    parts = [await kept_in.uploading.add_part(upload.id, OWNER, content(half)) for half in (b"01234", b"56789")]
    done = await kept_in.uploading.complete(upload.id, OWNER, part_ids=[each.id for each in parts], md5=None)
    await kept_in.filing.delete(done.file.id, OWNER)
    cancelled = await kept_in.uploading.create(OWNER, UPLOAD)
    await kept_in.uploading.add_part(cancelled.id, OWNER, content(b"x"))
    await kept_in.uploading.cancel(cancelled.id, OWNER)


STEPS = 30
"""Transactions and changes of blobs in that story."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_process_that_is_killed_at_any_step_leaves_nothing(*, after: bool) -> None:
    """Before a transaction or a change of a blob, and after: the sweep finds all, and no row is without its bytes."""
    deaths = 0
    for steps in range(2 * STEPS):
        async with cabinet() as alive:
            await alive.blobs.delete(["a/b"])  # it is open from now on
            fate = Fate(steps, after=after)
            with suppress(Killed):
                await story(Cabinet(Doomed(alive.database, fate), Fragile(alive.blobs, fate)))
                break
            deaths += 1
            await expect_whole(alive)
    assert STEPS == deaths


async def expect_whole(alive: Cabinet) -> None:
    """Every file has its bytes; and once they are deleted, nothing is left after the sweep."""
    page = await alive.filing.page(OWNER, limit=9)
    for row in page.rows:
        assert b"0123456789" == await alive.filing.read(row)
        await alive.filing.delete(row.id, OWNER)
    assert [] == await swept(alive)


async def test_what_was_planned_is_erased_when_its_writer_must_have_given_up() -> None:
    """Not before: it may write still."""
    fate = Fate(1, after=False)
    async with cabinet() as alive:
        await alive.blobs.delete(["a/b"])
        with pytest.raises(Killed):
            await create(Cabinet(Doomed(alive.database, fate), Fragile(alive.blobs, fate)))
        assert ["1 erasures"] == await alive.left()
        alive.now += PLANNED_SECONDS - 1
        assert 0 == await alive.erasing.erase(alive.blobs)
        alive.now += 1
        assert 1 == await alive.erasing.erase(alive.blobs)


async def test_a_storage_that_is_down_keeps_nothing_and_forgets_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What is deleted is gone for its owner, and its bytes go when the storage is back."""
    blobs = Fragile()
    async with cabinet(blobs) as kept_in:
        row = await create(kept_in)
        blobs.is_down = True
        with pytest.raises(StoreUnavailable):
            await create(kept_in)
        await kept_in.filing.delete(row.id, OWNER)
        assert {} == await kept_in.filing.lookup([row.id], OWNER)
        assert "blobs_not_erased" in [getattr(record, "action", None) for record in caplog.records]
        blobs.is_down = False
        kept_in.now += PLANNED_SECONDS + PUT_OFF_SECONDS
        assert 2 == await kept_in.erasing.erase(blobs)
        assert [] == await kept_in.left()


async def test_a_row_that_was_committed_unheard_keeps_its_bytes() -> None:
    """The caller is told that it failed, and what nobody knows is not decided by guessing."""
    async with cabinet() as alive:
        troubled = Troubled(alive.database)
        kept_in = Cabinet(troubled, alive.blobs)

        async def add(row: FileRow) -> None:
            troubled.unheard = 1
            await kept_in.files.add(row)

        with pytest.raises(StoreUnavailable):
            await kept_in.filing.receive(OWNER, content(b"0123456789"), asked=_asked, add=add)
        alive.now += WEEK
        assert 0 == await alive.erasing.erase(alive.blobs)
        await expect_whole(alive)


def _asked() -> Asked:
    return Asked("a", "batch")


async def test_a_file_that_comes_for_too_long_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However steadily it comes."""
    monkeypatch.setattr(deposit, "WRITING_SECONDS", 0.05)

    async def endless() -> AsyncGenerator[bytes, None]:
        yield b"x"
        await anyio.sleep_forever()

    async with cabinet() as kept_in:
        with pytest.raises(ApiError) as refused, anyio.fail_after(HANG_SECONDS):
            await filed(kept_in.filing, endless())
        assert 408 == refused.value.status
        assert [] == await kept_in.left()


async def test_a_file_that_is_no_image_is_refused_at_its_beginning() -> None:
    """Not when all of it has come."""
    taken: list[int] = []

    async def pieces() -> AsyncGenerator[bytes, None]:
        for number in range(100):
            taken.append(number)
            yield bytes(4096)

    async with cabinet() as kept_in:
        with pytest.raises(ApiError, match="application/octet-stream"):
            await filed(kept_in.filing, pieces(), filename="a.png", purpose="vision")
        assert len(taken) < 4
        assert [] == await kept_in.left()


async def test_files_are_found_read_and_looked_up_by_their_owner() -> None:
    """And by nobody else."""
    async with cabinet() as kept_in:
        row = await create(kept_in)
        assert row == await kept_in.filing.find(row.id, OWNER)
        assert {row.id: row} == await kept_in.filing.lookup([row.id, "file-unknown"], OWNER)
        assert {} == await kept_in.filing.lookup([row.id], STRANGER)
        assert b"0123456789" == await kept_in.filing.read(row)
        assert b"345" == b"".join([piece async for piece in kept_in.filing.content(row, start=3, end=6)])
        assert (NOW, "text/plain", 10) == (row.created_at, row.media_type, row.size)
        await kept_in.filing.delete(row.id, OWNER)
        with pytest.raises(ApiError, match="No such File object"):
            await kept_in.filing.read(row)


class Late(Files):
    """Files of which another always deletes one first."""

    async def delete(self, id: str, *, tenant: str) -> bool:
        """See `Files.delete`."""
        await super().delete(id, tenant=tenant)
        return await super().delete(id, tenant=tenant)


async def test_of_two_that_delete_a_file_one_does() -> None:
    """The other hears that there is none."""
    async with cabinet() as kept_in:
        row = await create(kept_in)

        kept_in.filing._files = Late(kept_in.database)
        with pytest.raises(ApiError, match="No such File object"):
            await kept_in.filing.delete(row.id, OWNER)


async def test_an_upload_that_ends_while_a_part_comes_does_not_keep_it() -> None:
    """Nor a file that is joined meanwhile; the one who is late hears why."""
    async with cabinet() as kept_in:
        upload = await kept_in.uploading.create(OWNER, UPLOAD)
        part = await kept_in.uploading.add_part(upload.id, OWNER, content(b"0123456789"))

        async def cancelling() -> AsyncGenerator[bytes, None]:
            yield b"x"
            await kept_in.uploading.cancel(upload.id, OWNER)

        with pytest.raises(ApiError, match="cancelled"):
            await kept_in.uploading.add_part(upload.id, OWNER, cancelling())
        assert part.id
        assert [] == await swept(kept_in)


async def test_of_two_that_complete_an_upload_one_does() -> None:
    """And there is one file."""
    async with cabinet() as kept_in:
        upload = await kept_in.uploading.create(OWNER, UPLOAD)
        part = await kept_in.uploading.add_part(upload.id, OWNER, content(b"0123456789"))
        refused: list[str] = []

        async def complete() -> None:
            try:
                await kept_in.uploading.complete(upload.id, OWNER, part_ids=[part.id], md5=None)
            except ApiError as error:
                refused.append(error.message)

        with anyio.fail_after(HANG_SECONDS):
            await asyncio.gather(*(complete() for _ in range(4)))
        assert [f"Upload '{upload.id}' is completed and cannot be changed."] * 3 == refused
        left = await kept_in.left()
        assert ["1 files", "1 uploads"] == left[:2]
        assert 3 == len(left), "what the others joined is gone at once"
        assert 1 == len((await kept_in.filing.page(OWNER, limit=9)).rows)
        await expect_whole(kept_in)


async def test_a_part_that_an_upload_has_no_room_for_is_gone_at_once() -> None:
    """As nobody may name it."""
    async with cabinet(terms=Terms(part_bytes=10)) as kept_in:
        upload = await kept_in.uploading.create(OWNER, UPLOAD)
        for _ in range(3):
            await kept_in.uploading.add_part(upload.id, OWNER, content(b"0123456789"))
        before = await kept_in.left()
        with pytest.raises(ApiError):
            await kept_in.uploading.add_part(upload.id, OWNER, content(b"0123456789"))
        assert before == await kept_in.left()


async def test_an_upload_whose_parts_are_lost_is_told() -> None:
    """As the server's fault; one that is forgotten meanwhile is not there."""
    async with cabinet() as kept_in:
        upload = await kept_in.uploading.create(OWNER, UPLOAD)
        part = await kept_in.uploading.add_part(upload.id, OWNER, content(b"0123456789"))
        await kept_in.blobs.delete([key for key in await kept_in.left() if "/" in key])
        with pytest.raises(ApiError) as lost:
            await kept_in.uploading.complete(upload.id, OWNER, part_ids=[part.id], md5=None)
        assert 500 == lost.value.status


async def test_a_long_upload_is_joined_as_it_came() -> None:
    """Across the borders of parts and pieces."""
    async with cabinet() as kept_in:
        halves = [bytes([number]) * (MIB - number) for number in range(4)]
        asked = CreateUpload(filename="a", purpose="batch", bytes=sum(map(len, halves)), mime_type="text/plain")
        upload = await kept_in.uploading.create(OWNER, asked)
        parts = [await kept_in.uploading.add_part(upload.id, OWNER, content(half)) for half in halves]
        done = await kept_in.uploading.complete(upload.id, OWNER, part_ids=[each.id for each in parts], md5=None)
        assert b"".join(halves) == await kept_in.filing.read(done.file)
