"""Responses that draw, while their clients wait: what is kept, what is told again, and what the next one builds on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any  # JSON

import anyio
import pytest

from antiphon.engine.reins import Reins
from antiphon.lifecycle import Caller, patience
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.content import InputImage
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import Message
from antiphon.store import StoreUnavailable, sqlite
from antiphon.store.blobs import Blobs, NoSuchBlob, response_prefix
from tests.drawing import PAID, encoded, inlined, noise
from tests.lifecycle.stories import DRAW, THERE, Atelier, Scribe, drawing, drawn, expect_small_rows, swept
from tests.patient import HANG_SECONDS
from tests.store.troubled import Troubled
from tests.working import CALLER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

CAT, PHOTO = noise("a cat"), noise("a photo")
SHOWN: dict[str, Any] = {  # JSON
    "role": "user",
    "content": [{"type": "input_text", "text": "Draw!"}, {"type": "input_image", "image_url": inlined(PHOTO)}],
}
BLUE = {"role": "user", "content": "Make it blue!"}
STRANGER = Caller("stranger")


@pytest.fixture
async def troubled() -> AsyncGenerator[Troubled]:
    """An empty database, which may be told to fail."""
    opened = Troubled(await sqlite.connect("sqlite://"))
    yield opened
    await opened.aclose()


@pytest.fixture
async def atelier(troubled: Troubled) -> AsyncGenerator[Atelier]:
    """A process whose model draws a cat when it is first asked."""
    process = Atelier(troubled, Scribe(drawing("a cat"), THERE), Blobs("memory:"))
    yield process
    await process.shelves.aclose()


async def test_a_response_that_drew_is_told_again_as_it_was(atelier: Atelier, troubled: Troubled) -> None:
    """Picture and cost; meanwhile no row holds it."""
    response = await atelier.make()
    assert [encoded(CAT)] == [item.result for item in drawn(response)]
    assert PAID == response.tool_usage.image_gen
    assert response == await atelier.told(response.id)
    await expect_small_rows(troubled)
    with pytest.raises(ApiError, match="not found"):
        await atelier.told(response.id, STRANGER)


async def test_what_was_shown_is_listed_again_as_it_was(atelier: Atelier, troubled: Troubled) -> None:
    """And kept outside of its row."""
    response = await atelier.make(input=[SHOWN])
    page = await atelier.store.input_items(response.id, tenant="tenant", limit=9, order="asc", after=None)
    assert page is not None
    await expect_small_rows(troubled)
    listed = b'{"data":[%b]}' % b",".join(row.json for row in page.rows)
    assert inlined(PHOTO).encode() in await atelier.shelves.shelf.filled(listed, "tenant")


async def test_a_response_that_is_not_stored_leaves_nothing(atelier: Atelier, troubled: Troubled) -> None:
    """Neither rows nor blobs nor plans."""
    response = await atelier.make(input=[SHOWN], store=False)
    assert drawn(response)
    assert [] == await troubled.fetch("SELECT id FROM responses", {})
    assert 0 == await swept(troubled, atelier.shelves.blobs)


# An edit of what was drawn


@pytest.mark.parametrize(
    "points",
    [
        lambda _: "Make it blue!",
        lambda cat: [{"type": "image_generation_call", "id": cat}, BLUE],
        lambda cat: [{"type": "item_reference", "id": cat}, BLUE],
        lambda cat: [BLUE, {"type": "image_generation_call", "id": cat}],
    ],
)
@pytest.mark.parametrize("is_chained", [True, False])
async def test_a_drawing_is_what_an_edit_starts_from(
    atelier: Atelier,
    points: Any,  # JSON, by an id
    *,
    is_chained: bool,
) -> None:
    """By the chain, by its id, or by both; wherever it stands."""
    first = await atelier.make()
    [cat] = drawn(first)
    asked = points(cat.id)
    if not is_chained and isinstance(asked, str):
        return  # it says nothing of a drawing
    chain: dict[str, Any] = {"previous_response_id": first.id} if is_chained else {}  # JSON
    await atelier.make(input=asked, **chain)
    assert [CAT] == atelier.brush.wishes[-1].sources


async def test_a_drawing_to_which_the_request_points_counts_for_more_than_a_later_one(atelier: Atelier) -> None:
    """And what the person shows counts with it."""
    first = await atelier.make()
    [cat] = drawn(first)
    second = await atelier.make(previous_response_id=first.id, input=[SHOWN])
    pointer = {"type": "image_generation_call", "id": cat.id}
    await atelier.make(previous_response_id=second.id, input=[{"role": "user", "content": "That one."}, pointer])
    assert [CAT] == atelier.brush.wishes[-1].sources


async def test_a_drawing_that_is_sent_back_whole_needs_no_store(atelier: Atelier) -> None:
    """Its caller keeps the conversation."""
    item = {"type": "image_generation_call", "id": "ig_of_mine", "result": encoded(CAT), "status": "completed"}
    await atelier.make(input=[item, BLUE], store=False)
    assert [CAT] == atelier.brush.wishes[-1].sources


@pytest.mark.parametrize("kind", ["image_generation_call", "item_reference"])
@pytest.mark.parametrize("whose", ["nobody", "stranger"])
async def test_a_drawing_that_is_not_the_callers_is_not_there(atelier: Atelier, kind: str, whose: str) -> None:
    """Unknown and foreign are the same 404."""
    foreign = drawn(await atelier.make(caller=STRANGER))[0].id
    id = foreign if whose == "stranger" else "ig_unknown"
    with pytest.raises(ApiError) as raised:
        await atelier.prepare(input=[{"type": kind, "id": id}, BLUE])
    assert (404, f"Item with id '{id}' not found.") == (
        raised.value.status,
        raised.value.message.partition(" Items")[0],
    )


async def test_the_model_sees_what_was_drawn_before(atelier: Atelier) -> None:
    """Whole, though it lies elsewhere."""
    first = await atelier.make()
    await atelier.make(previous_response_id=first.id, tools=[])
    [shown] = [item for item in atelier.scribe.turns[-1].items if isinstance(item, ImageGenerationCall)]
    assert encoded(CAT) == shown.result


# What is deleted, and what is built on it


async def test_what_is_deleted_is_erased(atelier: Atelier, troubled: Troubled) -> None:
    """With its pictures, by the next sweep."""
    response = await atelier.make(input=[SHOWN])
    assert await atelier.store.delete(response.id, tenant="tenant")
    await atelier.store.sweep(0)
    assert 1 == await swept(troubled, atelier.shelves.blobs)
    prefix = response_prefix("tenant", response.id)
    for content in (CAT, PHOTO):
        with pytest.raises(NoSuchBlob):
            await atelier.shelves.blobs.read(prefix + digest(content))


def digest(content: bytes) -> str:
    """The name of a blob."""
    return sha256(content).hexdigest()


@pytest.mark.parametrize("is_chained", [True, False])
async def test_what_is_built_on_a_drawing_outlives_its_response(
    atelier: Atelier, troubled: Troubled, *, is_chained: bool
) -> None:
    """A chain needs it, and whoever points at it has it too."""
    first = await atelier.make()
    [cat] = drawn(first)
    pointed = [{"type": "image_generation_call", "id": cat.id}, BLUE]
    body: dict[str, Any] = {"previous_response_id": first.id} if is_chained else {"input": pointed}  # JSON
    second = await atelier.make(**body)
    await expect_small_rows(troubled)
    assert await atelier.store.delete(first.id, tenant="tenant")
    await atelier.store.sweep(0)
    await swept(troubled, atelier.shelves.blobs)
    await atelier.make(previous_response_id=second.id, input=[{"type": "image_generation_call", "id": cat.id}])
    assert [CAT] == atelier.brush.wishes[-1].sources
    assert second == await atelier.told(second.id)


async def test_what_was_stored_is_not_erased_by_its_plan(atelier: Atelier, troubled: Troubled) -> None:
    """However long ago it was made."""
    response = await atelier.make(input=[SHOWN])
    assert 0 == await swept(troubled, atelier.shelves.blobs)
    assert response == await atelier.told(response.id)


async def test_what_was_stored_though_nobody_was_told_so_is_not_erased(atelier: Atelier, troubled: Troubled) -> None:
    """The connection to the database broke behind the commit: the row decides."""
    blobs = atelier.shelves.blobs
    prepared = await atelier.prepare(input=[SHOWN])
    put, left = blobs.put, [CAT, PHOTO]

    async def unheard(key: str, content: bytes, *, seconds: float = 60.0) -> None:
        await put(key, content, seconds=seconds)
        if left and left.pop() and not left:
            troubled.unheard = 1

    blobs.put = unheard  # type: ignore[method-assign]  # a storage behind which the database falls silent
    response = await atelier.lifecycle.perform(prepared, deaf, reins=Reins())
    blobs.put = put  # type: ignore[method-assign]  # as it was
    assert [(response.id,)] == await troubled.fetch("SELECT id FROM responses", {})
    await swept(troubled, blobs)
    assert [encoded(CAT)] == [item.result for item in drawn(await atelier.told(response.id))]


async def test_what_could_not_be_stored_is_erased(atelier: Atelier, troubled: Troubled) -> None:
    """Once it is certain that it never comes."""
    blobs = atelier.shelves.blobs
    prepared = await atelier.prepare(input=[SHOWN])
    put = blobs.put

    async def away(key: str, content: bytes, *, seconds: float = 60.0) -> None:
        await put(key, content, seconds=seconds)
        troubled.is_away = True

    blobs.put = away  # type: ignore[method-assign]  # a storage behind which the database goes away
    response = await atelier.lifecycle.perform(prepared, deaf, reins=Reins())
    troubled.is_away = False
    assert "failed" == response.status
    assert [] == await troubled.fetch("SELECT id FROM responses", {})
    assert 1 == await swept(troubled, blobs)
    with pytest.raises(NoSuchBlob):
        await blobs.read(response_prefix("tenant", response.id) + digest(PHOTO))


async def deaf(_events: object) -> None:
    """Nobody listens."""


async def test_a_picture_of_the_input_is_seen_by_the_model_and_kept(atelier: Atelier) -> None:
    """In every later turn of the chain."""
    first = await atelier.make(input=[SHOWN])
    await atelier.make(previous_response_id=first.id, input="And now?")
    [message, *_] = atelier.scribe.turns[-1].items
    assert isinstance(message, Message)
    assert InputImage(image_url=inlined(PHOTO)) == message.content[1]


async def test_a_mask_is_used_and_not_told(atelier: Atelier, troubled: Troubled) -> None:
    """As recorded."""
    mask = noise("a mask")
    response = await atelier.make(input=[SHOWN], tools=[{**DRAW, "input_image_mask": {"image_url": inlined(mask)}}])
    [wish] = atelier.brush.wishes
    assert ([PHOTO], mask) == (wish.sources, wish.mask)
    assert inlined(mask) not in str(response.tools)
    await expect_small_rows(troubled)


async def test_a_storage_that_is_silent_is_no_reason_to_lose_a_response(
    troubled: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is kept in its rows, and nobody waits for longer than the end of a run may take."""
    monkeypatch.setattr(patience, "PUTTING_SECONDS", 0.1)
    photos = [noise(f"photo {number}") for number in range(14)]
    content = [{"type": "input_image", "image_url": inlined(photo)} for photo in photos]

    class Silent(Blobs):
        async def put(self, key: str, content: bytes, *, seconds: float = 60.0) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await anyio.sleep_forever()
            raise StoreUnavailable(key)

    process = Atelier(troubled, Scribe(drawing("a cat"), THERE), Silent("memory:"))
    with anyio.fail_after(HANG_SECONDS):
        response = await process.make(input=[{"role": "user", "content": content}])
        queued = await process.queue(input=[{"role": "user", "content": content}])
    assert "completed" == response.status
    assert response == await process.told(response.id)
    for id in (response.id, queued.response.id):
        page = await process.store.input_items(id, tenant=CALLER.tenant, limit=9, order="asc", after=None)
        assert page is not None
        assert all(inlined(photo).encode() in page.rows[0].json for photo in photos)
    await process.shelves.aclose()


async def test_a_storage_that_is_away_is_no_reason_to_lose_a_picture(troubled: Troubled) -> None:
    """It stays in its row."""

    class Down(Blobs):
        async def put(self, key: str, content: bytes, *, seconds: float = 60.0) -> None:
            raise StoreUnavailable(key)

    process = Atelier(troubled, Scribe(drawing("a cat"), THERE), Down("memory:"))
    response = await process.make(input=[SHOWN])
    assert response == await process.told(response.id)
    assert [encoded(CAT)] == [item.result for item in drawn(response)]
    await process.shelves.aclose()
