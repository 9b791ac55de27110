"""The place of a response that is not stored yet: its blobs and its row come to be together, or neither does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.lifecycle.shelf import CLEARING_SECONDS, PLANNED_SECONDS, Shelf, is_referenced
from antiphon.store import StoreUnavailable
from antiphon.store.blobs import Blobs, NoSuchBlob
from antiphon.store.erasing import Erasing
from tests.drawing import encoded, noise
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from antiphon.store import Database
    from tests.drawing import Shelves
    from tests.lifecycle.conftest import Clock

pytestmark = pytest.mark.anyio

CAT, DOG = noise("a cat"), noise("a dog")
SMALL = encoded(noise("small", side=8))


async def erased(shelves: Shelves) -> int:
    """How many plans a sweep works off."""
    return await shelves.erasing.erase(shelves.blobs)


async def is_there(shelves: Shelves, reference: str) -> bool:
    """Whether a blob of the tenant is there."""
    try:
        await shelves.shelf.content(reference, "a")
    except NoSuchBlob:
        return False
    return True


async def fail(shelf: Shelf, text: str, kept: list[str]) -> None:
    """Put something away for a response that comes to nothing."""
    async with shelf.fresh_board("a", "resp_1") as board:
        kept.append(await board.base64(text))
        raise ZeroDivisionError


async def test_what_fails_takes_its_blobs_along(shelves: Shelves, clock: Clock) -> None:
    """At once, and nothing is left to do."""
    kept: list[str] = []
    with pytest.raises(ZeroDivisionError):
        await fail(shelves.shelf, encoded(CAT), kept)
    assert is_referenced(kept[0], 0)
    assert not await is_there(shelves, kept[0])
    clock.now += 2 * PLANNED_SECONDS
    assert 0 == await erased(shelves)


async def test_a_cancellation_takes_its_blobs_along(shelves: Shelves) -> None:
    """Though whoever clears up is cancelled as well."""
    references: list[str] = []
    put = anyio.Event()

    async def work() -> None:
        async with shelves.shelf.fresh_board("a", "resp_1") as board:
            references.append(await board.base64(encoded(CAT)))
            put.set()
            await anyio.sleep_forever()

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await put.wait()
            group.cancel_scope.cancel()
    assert not await is_there(shelves, references[0])


async def test_what_is_left_by_a_process_that_was_killed_is_erased_later(shelves: Shelves, clock: Clock) -> None:
    """When its row cannot come any more."""
    fresh = shelves.shelf.fresh_board("a", "resp_1")
    board = await fresh.__aenter__()  # and never leaves
    reference = await board.base64(encoded(CAT))
    clock.now += PLANNED_SECONDS - 1
    assert 0 == await erased(shelves)
    assert await is_there(shelves, reference)
    clock.now += 1
    assert 1 == await erased(shelves)
    assert not await is_there(shelves, reference)


async def test_the_plan_is_there_before_the_first_blob(database: Database, clock: Clock) -> None:
    """Whoever is killed while the first is being written leaves something that knows of it."""
    planned: list[int] = []

    class Watched(Blobs):
        async def put(self, key: str, content: bytes, *, seconds: float = 60.0) -> None:
            planned.append(len(await database.fetch("SELECT key FROM erasures", {})))
            await super().put(key, content, seconds=seconds)

    shelf = Shelf(Watched("memory:"), Erasing(database, clock), clock)
    async with shelf.fresh_board("a", "resp_1") as board:
        await board.base64(SMALL)
        assert [] == await database.fetch("SELECT key FROM erasures", {})
        await board.base64(encoded(CAT))
        await board.base64(encoded(DOG))
    assert [1, 1] == planned


async def test_what_cannot_be_cleared_at_once_is_left_to_the_sweep(database: Database, clock: Clock) -> None:
    """And what went wrong first is what is told."""

    class Stubborn(Blobs):
        stubborn = True

        async def delete_under(self, prefix: str) -> None:
            if self.stubborn:
                raise StoreUnavailable(prefix)
            await super().delete_under(prefix)

    blobs = Stubborn("memory:")
    erasing = Erasing(database, clock)
    with pytest.raises(ZeroDivisionError):
        await fail(Shelf(blobs, erasing, clock), encoded(CAT), [])
    blobs.stubborn = False
    clock.now += PLANNED_SECONDS
    assert 1 == await erasing.erase(blobs)
    assert CLEARING_SECONDS < HANG_SECONDS


async def test_a_place_that_was_not_used_has_nothing_to_clear(shelves: Shelves, clock: Clock) -> None:
    """Neither now nor later."""
    with pytest.raises(ZeroDivisionError):
        await fail(shelves.shelf, SMALL, [])
    clock.now += 2 * PLANNED_SECONDS
    assert 0 == await erased(shelves)
