"""Responses that draw in the background: logs without pictures, readers with them, and who takes over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

import anyio
import pytest

from antiphon.core.sse import frames
from antiphon.lifecycle import inlining
from antiphon.lifecycle.shelf import Board, Shelf
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.errors import ApiError
from antiphon.store import StoreUnavailable, sqlite
from antiphon.store.blobs import Blobs
from antiphon.worker import Terms
from tests.drawing import PAID, encoded, inlined, noise
from tests.lifecycle.stories import DRAW, THERE, Atelier, Scribe, drawing, drawn, expect_small_rows, swept
from tests.patient import HANG_SECONDS
from tests.store.troubled import Troubled
from tests.working import CALLER, a_moment, working

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from antiphon.core.turn import Turn
    from antiphon.lifecycle.background import Queued
    from antiphon.protocol.events import StreamEvent

pytestmark = pytest.mark.anyio

CAT, PHOTO, MASK = noise("a cat"), noise("a photo"), noise("a mask")
TOOLS: list[dict[str, Any]] = [  # JSON
    {**DRAW, "partial_images": 2, "input_image_mask": {"image_url": inlined(MASK)}}
]
SHOWN = {"role": "user", "content": [{"type": "input_image", "image_url": inlined(PHOTO)}]}
REPLIES = (drawing("a cat"), THERE)


@pytest.fixture
async def troubled() -> AsyncGenerator[Troubled]:
    """An empty database, which may be told to fail."""
    opened = Troubled(await sqlite.connect("sqlite://"))
    yield opened
    await opened.aclose()


class Watched(Shelf):
    """A shelf that notes what is handed to it: what a stream would have told at once."""

    def __init__(self, atelier: Atelier) -> None:
        parts = atelier.shelves
        super().__init__(parts.blobs, parts.erasing, lambda: 0)
        self.live: list[bytes] = []
        self._parts = parts

    def board(self, tenant: str, response: str) -> Board:
        """A place that notes."""
        live = self.live

        class Noting(Board):
            async def events(self, events: list[StreamEvent]) -> list[StreamEvent]:
                live.extend(frames([event]) for event in events)
                return await super().events(events)

        return Noting(self._parts.blobs, tenant, response)


async def followed(atelier: Atelier, queued: Queued, *, after: int = -1) -> bytes:
    """What a reader is told behind a number, to the end."""
    told: list[bytes] = []

    async def send(block: bytes) -> None:
        told.append(await atelier.background.shelf.filled(block, CALLER.tenant))

    with anyio.fail_after(HANG_SECONDS):
        assert await atelier.hub.follow(queued.seq, after=after, send=send)
    return b"".join(told)


async def test_readers_are_told_what_a_stream_would_have_told(troubled: Troubled) -> None:
    """Byte for byte, behind any number; no row holds a picture meanwhile, neither of the input nor of the output."""
    atelier = Atelier(troubled, Scribe(*REPLIES), Blobs("memory:"))
    watched = Watched(atelier)
    atelier.background.shelf = watched
    async with working(atelier):
        queued = await atelier.queue(input=[SHOWN], tools=TOOLS)
        told = await followed(atelier, queued)
        live = b"".join(watched.live)
        assert told.endswith(live)
        assert 4 == live.count(encoded(CAT).encode()[:100]) + live.count(b"partial_image_b64")
        for after in range(told.count(b"\n\n") - 1):
            rest = b"".join(each + b"\n\n" for each in told.split(b"\n\n")[after + 1 : -1])
            assert rest == await followed(atelier, queued, after=after)
    await expect_small_rows(troubled)
    response = await atelier.told(queued.response.id)
    assert ([encoded(CAT)], PAID) == ([item.result for item in drawn(response)], response.tool_usage.image_gen)
    assert ([PHOTO], MASK) == (atelier.brush.wishes[-1].sources, atelier.brush.wishes[-1].mask)
    await atelier.shelves.aclose()


async def begun(atelier: Atelier, queued: Queued) -> None:
    """Wait for the first picture to be told."""
    with anyio.fail_after(HANG_SECONDS):
        while not [item for item in drawn(await atelier.told(queued.response.id)) if item.result]:
            await a_moment()


async def test_a_response_is_told_as_far_as_it_has_come(troubled: Troubled) -> None:
    """With the pictures that are finished."""
    atelier = Atelier(troubled, Scribe(drawing("a cat"), {**drawing("a dog"), "outputs": 1}), Blobs("memory:"))
    atelier.brush.stuck_at = "a dog"
    async with working(atelier):
        queued = await atelier.queue(tools=[{**DRAW, "partial_images": 1}])
        await begun(atelier, queued)
        await expect_small_rows(troubled)
        cancelled = await atelier.background.cancel(queued.response.id, CALLER)
        assert encoded(CAT).encode() in cancelled
    response = await atelier.told(queued.response.id)
    assert "cancelled" == response.status
    assert encoded(CAT) == drawn(response)[0].result
    await atelier.shelves.aclose()


async def test_a_response_that_is_taken_over_goes_on_from_its_picture(troubled: Troubled) -> None:
    """It is not drawn again, the model of the other process is shown it, and it is told and paid once."""
    blobs = Blobs("memory:")

    class Waiting(Scribe):
        async def stream(self, turn: Turn) -> AsyncGenerator[Any]:  # a delta
            if len(self.turns) > 0:
                self.turns.append(turn)
                await anyio.sleep_forever()
            async for deltas in super().stream(turn):
                yield deltas

    first = Atelier(troubled, Waiting(*REPLIES), blobs, boot="one", terms=Terms(lease=1.0))
    second = Atelier(troubled, Scribe(*REPLIES), blobs, boot="two", terms=Terms(lease=1.0))
    async with working(first):
        queued = await first.queue(tools=TOOLS, input=[SHOWN])
        await begun(first, queued)
    async with working(second):
        told = await followed(second, queued)
        response = await second.ended(queued)
    assert ("completed", 1, 0) == (response.status, len(first.brush.wishes), len(second.brush.wishes))
    assert PAID == response.tool_usage.image_gen
    [turn] = second.scribe.turns
    seen = [item.result for item in turn.items if isinstance(item, ImageGenerationCall)]
    assert [encoded(CAT)] == seen == [item.result for item in drawn(response)]
    assert encoded(CAT).encode() in told
    await expect_small_rows(troubled)
    for atelier in (first, second):
        await atelier.shelves.aclose()


async def test_a_drawing_may_be_edited_in_the_background(troubled: Troubled) -> None:
    """The one that was meant when the request came, whoever performs it."""
    atelier = Atelier(troubled, Scribe(*REPLIES), Blobs("memory:"))
    first = await atelier.make()
    [cat] = drawn(first)
    later = await atelier.make(previous_response_id=first.id, input=[SHOWN])
    async with working(atelier):
        pointer = {"type": "image_generation_call", "id": cat.id}
        asked = [{"role": "user", "content": "Make it blue!"}, pointer]
        queued = await atelier.queue(previous_response_id=later.id, input=asked)
        await atelier.ended(queued)
    assert [CAT] == atelier.brush.wishes[-1].sources
    await atelier.shelves.aclose()


async def test_a_reader_of_another_tenant_is_filled_in_nothing(troubled: Troubled) -> None:
    """Though it had the job's number."""
    atelier = Atelier(troubled, Scribe(*REPLIES), Blobs("memory:"))
    async with working(atelier):
        queued = await atelier.queue()
        await atelier.ended(queued)
    found = await atelier.background.find(queued.response.id, CALLER)
    assert encoded(CAT).encode() not in await atelier.background.shelf.filled(found.response, "stranger")
    assert encoded(CAT).encode() in await atelier.background.shelf.filled(found.response, CALLER.tenant)
    await atelier.shelves.aclose()


# Both or neither


async def test_what_was_queued_keeps_its_pictures(troubled: Troubled) -> None:
    """Its plan is gone with the commit; a request that waits long still has what it was shown."""
    atelier = Atelier(troubled, Scribe(*REPLIES), Blobs("memory:"))
    queued = await atelier.queue(input=[SHOWN], tools=TOOLS)
    assert 0 == await swept(troubled, atelier.shelves.blobs)
    async with working(atelier):
        await atelier.ended(queued)
    assert ([PHOTO], MASK) == (atelier.brush.wishes[-1].sources, atelier.brush.wishes[-1].mask)
    assert 0 == await swept(troubled, atelier.shelves.blobs)
    await atelier.shelves.aclose()


def behind_the_last(blobs: Blobs, count: int, then: Callable[[], None]) -> None:
    """Do something once so many blobs are there."""
    put, left = blobs.put, [None] * count

    async def watched(key: str, content: bytes, *, seconds: float = 60.0) -> None:
        await put(key, content, seconds=seconds)
        if left and left.pop() is None and not left:
            then()

    blobs.put = watched  # type: ignore[method-assign]  # a storage behind which something happens


async def test_what_was_queued_though_nobody_was_told_so_keeps_its_pictures(troubled: Troubled) -> None:
    """The connection broke behind the commit: somebody will perform it."""
    atelier = Atelier(troubled, Scribe(*REPLIES), Blobs("memory:"))

    def fall_silent() -> None:
        troubled.unheard = 1

    behind_the_last(atelier.shelves.blobs, 2, fall_silent)
    with pytest.raises(StoreUnavailable):
        await atelier.queue(input=[SHOWN], tools=TOOLS)
    assert 0 == await swept(troubled, atelier.shelves.blobs)
    async with working(atelier):
        with anyio.fail_after(HANG_SECONDS):
            while not atelier.brush.wishes:
                await a_moment()
    assert ([PHOTO], MASK) == (atelier.brush.wishes[-1].sources, atelier.brush.wishes[-1].mask)
    await atelier.shelves.aclose()


async def test_what_could_not_be_queued_leaves_nothing(troubled: Troubled) -> None:
    """After its time."""
    atelier = Atelier(troubled, Scribe(*REPLIES), Blobs("memory:"))

    def go_away() -> None:
        troubled.is_away = True

    behind_the_last(atelier.shelves.blobs, 2, go_away)
    with pytest.raises(StoreUnavailable):
        await atelier.queue(input=[SHOWN], tools=TOOLS)
    troubled.is_away = False
    assert [] == await troubled.fetch("SELECT id FROM responses", {})
    assert 1 == await swept(troubled, atelier.shelves.blobs)
    await atelier.shelves.aclose()


async def test_a_job_whose_painter_is_gone_fails(troubled: Troubled) -> None:
    """The operator has taken it out of the configuration: the caller is told."""
    blobs = Blobs("memory:")
    first, second = (Atelier(troubled, Scribe(*REPLIES), blobs, boot=name) for name in ("one", "two"))
    queued = await first.queue()
    refused: list[str | None] = []

    def choose(*_names: str | None) -> str:
        refused.append(None)
        raise LookupError("*")

    second.shelves.easel.choose = choose  # type: ignore[method-assign]  # a studio without deployments
    async with working(second):
        response = await second.ended(queued)
    assert response.error
    assert "The image generation deployment '*' does not exist." == response.error.message
    assert "failed" == response.status
    with pytest.raises(ApiError, match="does not exist"):
        await second.prepare()
    assert refused
    for atelier in (first, second):
        await atelier.shelves.aclose()


async def test_a_storage_that_is_away_leaves_pictures_in_the_log(
    troubled: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost, and readers are told the same."""
    monkeypatch.setattr(inlining, "THREADED", 10)

    class Down(Blobs):
        async def put(self, key: str, content: bytes, *, seconds: float = 60.0) -> None:
            await anyio.lowlevel.checkpoint()
            raise StoreUnavailable(key)

    atelier = Atelier(troubled, Scribe(*REPLIES), Down("memory:"))
    async with working(atelier):
        queued = await atelier.queue(input=[SHOWN])
        told = await followed(atelier, queued)
    assert encoded(CAT).encode() in told
    response = await atelier.told(queued.response.id)
    assert encoded(CAT) == drawn(response)[0].result
    await atelier.shelves.aclose()
