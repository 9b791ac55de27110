"""A storage that is slow, silent or gone: nothing is lost, and nobody waits for long."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.lifecycle import patience
from antiphon.lifecycle.patience import AT_ONCE
from antiphon.lifecycle.shelf import PLANNED_SECONDS, Shelf, is_referenced
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.content import InputImage
from antiphon.protocol.events import ItemDone
from antiphon.protocol.items import Message
from antiphon.store import ResponseRow, StoreUnavailable, blobs
from antiphon.store.blobs import Blobs, NoSuchBlob, response_prefix
from antiphon.store.erasing import Erasing
from antiphon.store.store import Store
from tests.drawing import encoded, inlined, noise
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Generator

    from antiphon.protocol.items import Item
    from antiphon.store import Database
    from tests.drawing import Shelves
    from tests.lifecycle.conftest import Clock

pytestmark = pytest.mark.anyio

CAT, DOG = noise("a cat"), noise("a dog")
PICTURES = [noise(str(number)) for number in range(14)]


def shown(*pictures: bytes) -> list[Item]:
    """A message with pictures."""
    return [Message(id="msg_1", role="user", content=[InputImage(image_url=inlined(each)) for each in pictures])]


def urls(items: list[Item]) -> list[str]:
    """What became of them."""
    [message] = items
    assert isinstance(message, Message)
    return [str(part.image_url) for part in message.content if isinstance(part, InputImage)]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the operator was told."""
    return [vars(record)["action"] for record in caplog.records]


class Silent(Blobs):
    """A storage that takes a few blobs, and then has no answer."""

    def __init__(self, takes: int = 0) -> None:
        super().__init__("memory:")
        self.takes = takes
        self.asked = 0
        self.is_asked = anyio.Event()

    async def put(self, key: str, content: bytes, *, seconds: float = 60.0) -> None:
        """See `Blobs.put`."""
        self.asked += 1
        self.is_asked.set()
        if self.takes > 0:
            self.takes -= 1
            await super().put(key, content, seconds=seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await anyio.sleep_forever()
        raise StoreUnavailable("silent")


async def test_pictures_are_put_away_side_by_side(database: Database, clock: Clock) -> None:
    """A few at a time: what takes a second each does not take a second for each."""

    class Crowded(Blobs):
        here = peak = 0
        full = anyio.Event()

        async def put(self, key: str, content: bytes, *, seconds: float = 60.0) -> None:
            self.here += 1
            self.peak = max(self.peak, self.here)
            if self.here == AT_ONCE:
                self.full.set()
            await self.full.wait()
            self.here -= 1
            await super().put(key, content, seconds=seconds)

    crowded = Crowded("memory:")
    shelf = Shelf(crowded, Erasing(database, clock), clock)
    with anyio.fail_after(HANG_SECONDS):
        async with shelf.fresh_board("a", "resp_1") as board:
            kept = urls(await board.items(shown(*PICTURES)))
    assert AT_ONCE == crowded.peak
    assert [inlined(each) for each in PICTURES] == [await shelf.whole(url, "a") for url in kept]


async def test_the_same_picture_is_put_away_once(database: Database, clock: Clock) -> None:
    """However often it is shown."""
    storage = Silent(takes=9)
    async with Shelf(storage, Erasing(database, clock), clock).fresh_board("a", "resp_1") as board:
        kept = urls(await board.items(shown(CAT, CAT, CAT, DOG)))
    assert (2, 2) == (storage.asked, len(set(kept)))


async def test_what_is_not_put_away_in_time_stays_where_it_is(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All that comes later as well, without another try; and the operator is told once."""
    monkeypatch.setattr(patience, "PUTTING_SECONDS", 1.5)
    storage = Silent(takes=3)
    await storage.delete(["a/b"])  # it is open from now on
    shelf = Shelf(storage, Erasing(database, clock), clock)
    with anyio.fail_after(HANG_SECONDS):
        async with shelf.fresh_board("a", "resp_1") as board:
            kept = urls(await board.items(shown(*PICTURES)))
            asked = storage.asked
            late = await board.outputs([[InputImage(image_url=inlined(CAT))]])
    assert 3 == len([url for url in kept if url not in {inlined(each) for each in PICTURES}])
    assert [inlined(each) for each in PICTURES] == [await shelf.whole(url, "a") for url in kept]
    assert ([[InputImage(image_url=inlined(CAT))]], asked) == (late, storage.asked)
    assert ["blob_not_kept"] == told(caplog)


@contextmanager
def deaf(monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """The URL of a storage that takes connections, and says nothing until this ends."""
    monkeypatch.setattr(blobs, "_RETRIES", {"max_retries": 0})
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "tests")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"s3://bucket?endpoint=http://127.0.0.1:{listener.getsockname()[1]}&region=x&allow_http=true"


async def test_a_real_storage_that_takes_connections_and_is_silent_holds_up_nothing(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what is stored at once, nor the log of a run, which tries no more for a while."""
    monkeypatch.setattr(patience, "PUTTING_SECONDS", 0.2)
    drawing = ImageGenerationCall(id="ig_1", result=encoded(CAT))
    with deaf(monkeypatch) as url, anyio.fail_after(HANG_SECONDS):
        storage = Blobs(url)
        shelf = Shelf(storage, Erasing(database, clock), clock)
        async with shelf.fresh_board("a", "resp_1") as board:
            assert [inlined(CAT), inlined(DOG)] == urls(await board.items(shown(CAT, DOG)))
        run = shelf.board("a", "resp_2")
        for _ in range(100):
            event = ItemDone(item=drawing, output_index=1, sequence_number=2)
            assert [event] == await run.events([event])
        await storage.aclose()


async def test_what_was_kept_before_and_cannot_be_read_now_holds_up_nothing(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as it was."""
    monkeypatch.setattr(patience, "PUTTING_SECONDS", 1.5)

    class Unread(Blobs):
        async def read(self, key: str) -> bytes:
            await anyio.sleep_forever()
            raise NoSuchBlob(key)

    storage = Unread("memory:")
    await storage.delete(["a/b"])  # it is open from now on
    shelf = Shelf(storage, Erasing(database, clock), clock)
    with anyio.fail_after(HANG_SECONDS):
        reference = await shelf.board("a", "resp_1").base64(encoded(CAT))
        assert is_referenced(reference, 0)
        async with shelf.fresh_board("a", "resp_2") as board:
            assert reference == await board.base64(reference)


# What may come to be later


async def test_what_may_come_to_be_later_is_left_to_the_plan(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A response that comes to nothing clears up at once only what is certain."""
    monkeypatch.setattr(patience, "PUTTING_SECONDS", 0.5)
    storage = Silent(takes=1)
    await storage.delete(["a/b"])  # it is open from now on
    erasing = Erasing(database, clock)
    shelf = Shelf(storage, erasing, clock)

    async def fail() -> None:
        async with shelf.fresh_board("a", "resp_1") as board:
            await board.items(shown(CAT, DOG))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    clock.now += PLANNED_SECONDS - 1
    assert 0 == await erasing.erase(storage)
    clock.now += 1
    assert 1 == await erasing.erase(storage)


def row(id: str, now: int) -> ResponseRow:
    """A response that is stored, with blobs."""
    return ResponseRow(
        id=id,
        tenant="a",
        status="in_progress",
        model="m",
        created_at=now,
        expires_at=now + 1000,
        response=b"{}",
        has_blobs=True,
    )


async def test_what_a_run_puts_away_stays_with_its_response(shelves: Shelves, database: Database, clock: Clock) -> None:
    """No plan is made for it."""
    await Store(database).save(row("resp_1", clock.now), inputs=[], outputs=[])
    reference = await shelves.shelf.board("a", "resp_1").base64(encoded(CAT))
    clock.now += 2 * PLANNED_SECONDS
    assert 0 == await shelves.erasing.erase(shelves.blobs)
    assert CAT == await shelves.shelf.content(reference, "a")


async def test_what_a_run_puts_away_for_a_response_that_is_gone_is_erased(shelves: Shelves, clock: Clock) -> None:
    """It was deleted and swept meanwhile, on another node."""
    reference = await shelves.shelf.board("a", "resp_1").base64(encoded(CAT))
    clock.now += PLANNED_SECONDS
    assert 1 == await shelves.erasing.erase(shelves.blobs)
    with pytest.raises(NoSuchBlob):
        await shelves.shelf.content(reference, "a")


async def test_a_run_that_is_cancelled_while_it_puts_something_away_leaves_nothing(
    database: Database, clock: Clock
) -> None:
    """As it is when its response is deleted."""
    storage = Silent()
    erasing = Erasing(database, clock)
    board = Shelf(storage, erasing, clock).board("a", "resp_1")
    with anyio.fail_after(HANG_SECONDS):
        async with asyncio.TaskGroup() as group:
            putting = group.create_task(board.base64(encoded(CAT)))
            await storage.is_asked.wait()
            putting.cancel()
    assert putting.cancelled()
    assert [(response_prefix("a", "resp_1"),)] == await database.fetch("SELECT key FROM erasures", {})


async def test_a_database_that_is_away_behind_a_blob_loses_no_picture(database: Database, clock: Clock) -> None:
    """The blob is there: that is enough."""

    class Away(Erasing):
        async def plan_response(self, tenant: str, id: str, *, due_at: int) -> bool:
            raise StoreUnavailable(f"{tenant} {id} {due_at}")

    shelf = Shelf(Blobs("memory:"), Away(database, clock), clock)
    assert CAT == await shelf.content(await shelf.board("a", "resp_1").base64(encoded(CAT)), "a")
