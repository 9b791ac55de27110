"""Plans to erase the blobs of responses: a response that is stored takes its own out, and none is made behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from antiphon.store.blobs import Blobs, NoSuchBlob, response_prefix
from antiphon.store.erasing import Erasing
from tests.store.rows import OPENING, items, response

if TYPE_CHECKING:
    from antiphon.store import Database
    from antiphon.store.jobs import Jobs
    from antiphon.store.store import Store

pytestmark = pytest.mark.anyio

DUE = 100
KEY = response_prefix("a", "r1") + "blob"


async def planned(database: Database, blobs: Blobs) -> bool:
    """Plan that the blobs of a response are erased, and put one there."""
    await blobs.put(KEY, b"picture")
    return await Erasing(database, lambda: 0).plan_response("a", "r1", due_at=DUE)


async def is_kept(database: Database, blobs: Blobs) -> bool:
    """Whether the blob is there when all that was planned is done."""
    await Erasing(database, lambda: DUE).erase(blobs)
    try:
        await blobs.read(KEY)
    except NoSuchBlob:
        return False
    return True


async def test_what_is_never_stored_is_erased(database: Database) -> None:
    """When it is due, and not before; a plan that is made again is put off."""
    blobs = Blobs("memory:")
    assert await planned(database, blobs)
    assert await Erasing(database, lambda: 0).plan_response("a", "r1", due_at=DUE)
    assert 0 == await Erasing(database, lambda: DUE - 1).erase(blobs)
    assert not await is_kept(database, blobs)


@pytest.mark.parametrize("has_blobs", [True, False])
async def test_a_response_that_is_stored_keeps_its_blobs(database: Database, store: Store, *, has_blobs: bool) -> None:
    """If it says that it has some; its plan is gone with the same commit."""
    blobs = Blobs("memory:")
    await planned(database, blobs)
    await store.save(replace(response("r1"), has_blobs=has_blobs), inputs=items("i"), outputs=[])
    assert has_blobs == await is_kept(database, blobs)


async def test_a_response_that_is_queued_keeps_its_blobs(database: Database, jobs: Jobs) -> None:
    """From the moment on in which it waits."""
    blobs = Blobs("memory:")
    await planned(database, blobs)
    row = replace(response("r1"), status="queued", has_blobs=True)
    await jobs.enqueue(row, inputs=[], opening=OPENING, sealed="sealed")
    assert await is_kept(database, blobs)


async def test_nothing_is_planned_for_what_is_stored_already(database: Database, store: Store) -> None:
    """Whoever stores it once more was not told of the first time; another tenant's is another."""
    blobs = Blobs("memory:")
    await store.save(replace(response("r1"), has_blobs=True), inputs=[], outputs=[])
    assert not await planned(database, blobs)
    assert await Erasing(database, lambda: 0).plan_response("b", "r1", due_at=DUE)
    assert await is_kept(database, blobs)


async def test_the_blobs_of_a_response_go_with_it(database: Database, store: Store) -> None:
    """With the sweep after it was deleted, and not earlier."""
    blobs = Blobs("memory:")
    await planned(database, blobs)
    await store.save(replace(response("r1"), has_blobs=True), inputs=[], outputs=[])
    assert await store.delete("r1", tenant="a")
    await store.sweep(0)
    assert not await is_kept(database, blobs)
