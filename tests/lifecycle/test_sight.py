"""Sight: drawings and pictures of tools as a model is shown them, turn by turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from antiphon.core.turn import Turn
from antiphon.lifecycle.sight import Sight
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.content import InputImage, InputText
from antiphon.protocol.items import Message
from antiphon.store.blobs import response_prefix
from tests.drawing import encoded, inlined, noise

if TYPE_CHECKING:
    from antiphon.core.turn import Output
    from antiphon.protocol.items import Item
    from tests.drawing import Shelves

pytestmark = pytest.mark.anyio

CAT = noise("a cat")
DRAWN = ImageGenerationCall(id="ig_1", result=encoded(CAT))
WORDS = Message(role="user", content=[InputText(text="antiphon-blob:resp_1/ab")])


def turn(*items: Item, output: Output | None = None) -> Turn:
    """A turn with these items, and with what a hosted call said."""
    return Turn([*items], outputs={} if output is None else {"mcp_1": output})


async def test_a_model_that_sees_is_shown_drawings_from_wherever_they_lie(shelves: Shelves) -> None:
    """Those of this run are in the turn, earlier ones on the shelf; all else stays as it is."""
    kept = (await shelves.shelf.board("a", "resp_1").items([DRAWN]))[0]
    assert kept != DRAWN
    bare = ImageGenerationCall(id="ig_2")
    shown = await Sight(shelves.shelf, "a", sees=True).shown(turn(WORDS, kept, DRAWN, bare))
    assert turn(WORDS, DRAWN, DRAWN, bare) == shown


async def test_a_model_without_eyes_is_not(shelves: Shelves) -> None:
    """It is told of them."""
    kept = (await shelves.shelf.board("a", "resp_1").items([DRAWN]))[0]
    shown = await Sight(shelves.shelf, "a", sees=False).shown(turn(WORDS, kept, DRAWN))
    assert turn(WORDS, *[replace(DRAWN, result=UNSET)] * 2) == shown


async def test_pictures_of_tools_are_shown(shelves: Shelves) -> None:
    """Words and what lies elsewhere stay as they are."""
    told: Output = [InputText(text="Look."), InputImage(image_url=inlined(CAT)), InputImage(file_id="file-1")]
    kept = (await shelves.shelf.board("a", "resp_1").outputs([told]))[0]
    assert kept != told
    sight = Sight(shelves.shelf, "a", sees=True)
    assert turn(output=told) == await sight.shown(turn(output=kept))
    assert turn(output="words") == await sight.shown(turn(output="words"))


@pytest.mark.parametrize("tenant", ["a", "b"])
async def test_what_is_gone_or_somebody_elses_is_not_shown(shelves: Shelves, tenant: str) -> None:
    """A drawing is told without it, a picture in words: no upstream is sent a reference."""
    board = shelves.shelf.board("a", "resp_1")
    kept = (await board.items([DRAWN]))[0]
    output: Output = (await board.outputs([[InputImage(image_url=inlined(CAT))]]))[0]
    if tenant == "a":
        await shelves.blobs.delete_under(response_prefix("a", "resp_1"))
    shown = await Sight(shelves.shelf, tenant, sees=True).shown(turn(kept, output=output))
    gone: Output = [InputText(text="[A picture that is no longer kept.]")]
    assert turn(replace(DRAWN, result=UNSET), output=gone) == shown
