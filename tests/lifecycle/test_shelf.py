"""The shelf: what is large is put away and comes back byte for byte, to its tenant alone, and nothing stays behind."""

from __future__ import annotations

from base64 import encodebytes
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest
from msgspec.structs import replace

from antiphon.lifecycle import filling, inlining
from antiphon.lifecycle import shelf as shelf_module
from antiphon.lifecycle.filling import MARK
from antiphon.lifecycle.shelf import LARGE, Shelf, is_referenced
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import ComputerScreenshot, InputFile, InputImage, InputText, OutputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.events import ItemAdded, ItemDone, PartialImage, Snapshot, TextDelta
from antiphon.protocol.items import CustomToolCallOutput, FunctionCall, FunctionCallOutput, Message
from antiphon.protocol.response import Response
from antiphon.protocol.tool_settings import ImageMask
from antiphon.protocol.tools import ImageGenerationTool, WebSearchTool
from antiphon.store import StoreUnavailable
from antiphon.store.blobs import Blobs, NoSuchBlob, response_prefix
from antiphon.store.erasing import Erasing
from tests.drawing import encoded, inlined, noise

if TYPE_CHECKING:
    from antiphon.lifecycle.shelf import Board
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.items import Item
    from antiphon.protocol.tools import Tool
    from antiphon.store import Database
    from tests.drawing import Shelves
    from tests.lifecycle.conftest import Clock

pytestmark = pytest.mark.anyio

CAT, DOG = noise("a cat"), noise("a dog")
SMALL = encoded(noise("small", side=8))


@pytest.fixture
def board(shelves: Shelves) -> Board:
    """The place of one response."""
    return shelves.shelf.board("a", "resp_1")


class Down(Blobs):
    """A storage that cannot be reached."""

    async def put(self, key: str, content: bytes, *, seconds: float = 60.0) -> None:
        """Fail."""
        await anyio.lowlevel.checkpoint()
        raise StoreUnavailable(key)


# Base64


async def test_what_is_large_is_put_away_under_its_content(board: Board, shelves: Shelves) -> None:
    """Alone, or in a data URL; the same content once."""
    assert LARGE < len(encoded(CAT))
    reference = await board.base64(encoded(CAT))
    assert reference.startswith(f"{MARK}resp_1/")
    assert f"data:image/png;base64,{reference}" == await board.base64(inlined(CAT))
    assert reference != await board.base64(encoded(DOG))
    assert CAT == await shelves.blobs.read(response_prefix("a", "resp_1") + reference.rpartition("/")[2])


@pytest.mark.parametrize(
    "text",
    [
        SMALL,
        inlined(noise("small", side=8)),
        f"https://p.example/{'a' * LARGE}",
        "!" * LARGE,
        f"data:image/png;base64,{'é' * LARGE}",
        encodebytes(CAT).decode(),
        "\n" + encoded(CAT),
        encoded(CAT[:-1])[:-2] + "x=" if encoded(CAT[:-1]).endswith("=") else encoded(CAT[:-2])[:-2] + "x=",
        "",
    ],
)
async def test_what_would_not_come_back_as_it_is_stays_where_it_is(board: Board, text: str) -> None:
    """What is small, what is no base64, and base64 that is written otherwise than it would be again."""
    assert text == await board.base64(text)
    assert not board.is_used


async def test_exactly_what_is_large_is_put_away(board: Board) -> None:
    """From a number of characters on, those of the header not counted."""
    large, smaller = encoded(bytes(LARGE * 3 // 4)), encoded(bytes(LARGE * 3 // 4 - 3))
    assert (LARGE, LARGE - 4) == (len(large), len(smaller))
    assert is_referenced(await board.base64(large), 0)
    assert not is_referenced(await board.base64(f"data:image/png;base64,{smaller}"), len("data:image/png;base64,"))


async def test_a_storage_that_is_down_loses_nothing(
    database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The base64 stays in the row, and the operator is told."""
    shelf = Shelf(Down("memory:"), Erasing(database, clock), clock)
    async with shelf.fresh_board("a", "resp_1") as board:
        assert encoded(CAT) == await board.base64(encoded(CAT))
    assert ["blob_not_kept"] == [vars(record)["action"] for record in caplog.records]


async def test_content_is_read_wherever_it_lies(shelves: Shelves, board: Board) -> None:
    """Inline, in a data URL of any spelling, and on the shelf."""
    for text in (encoded(CAT), inlined(CAT), await board.base64(inlined(CAT)), await board.base64(encoded(CAT))):
        assert CAT == await shelves.shelf.content(text, "a")
    assert CAT == await shelves.shelf.content("DATA:image/png;BASE64," + encodebytes(CAT).decode(), "a")


async def test_a_reference_is_made_whole(shelves: Shelves, board: Board) -> None:
    """Byte for byte; what holds none is given back."""
    for text in (encoded(CAT), inlined(CAT), inlined(CAT, "image/x;a=b")):
        assert text == await shelves.shelf.whole(await board.base64(text), "a")
    assert "https://p.example" == await shelves.shelf.whole("https://p.example", "a")


async def test_large_content_is_worked_on_in_a_thread(
    shelves: Shelves, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And comes back as it was."""
    monkeypatch.setattr(inlining, "THREADED", 10)
    reference = await board.base64(inlined(CAT))
    assert inlined(CAT) == await shelves.shelf.whole(reference, "a")
    assert inlined(DOG) == await shelf_module.inlined(DOG, "image/png")


async def test_what_is_neither_base64_nor_there_cannot_be_read(shelves: Shelves, board: Board) -> None:
    """A blob that is gone, of another tenant, or never was."""
    reference = await board.base64(encoded(CAT))
    with pytest.raises(ValueError, match="base64"):
        await shelves.shelf.content("A", "a")
    for tenant, text in (("b", reference), ("a", reference[:-1] + ("0" if reference[-1] != "0" else "1"))):
        with pytest.raises(NoSuchBlob):
            await shelves.shelf.content(text, tenant)
        with pytest.raises(NoSuchBlob):
            await shelves.shelf.whole(text, tenant)


# Items, events, responses


def shown(picture: str) -> list[Item]:
    """Every item that can hold a picture, with one."""
    part = InputImage(image_url=f"data:image/png;base64,{picture}", detail="low")
    return [
        Message(id="msg_1", role="user", content=[InputText(text="Look."), part, InputFile(file_data=picture)]),
        FunctionCallOutput(id="fco_1", call_id="c", output=[part, InputImage(file_id="file-1")]),
        CustomToolCallOutput(id="cto_1", call_id="c", output=[part]),
        ComputerCallOutput(
            id="cuo_1", call_id="c", output=ComputerScreenshot(image_url=f"data:image/png;base64,{picture}")
        ),
        ImageGenerationCall(id="ig_1", result=picture, size="1x1"),
    ]


HELD = [
    FunctionCallOutput(id="fco_1", call_id="c", output="words"),
    ComputerCallOutput(id="cuo_1", call_id="c", output=ComputerScreenshot(file_id="file-1")),
    ImageGenerationCall(id="ig_1"),
    FunctionCall(call_id="c", name="f", arguments="{}"),
]


@pytest.mark.parametrize("item", [*shown(encoded(CAT)), *shown(SMALL), *HELD])
async def test_an_item_comes_back_byte_for_byte(shelves: Shelves, board: Board, item: Item) -> None:
    """And takes no room in its row meanwhile."""
    before = msgspec.json.encode(item)
    kept = msgspec.json.encode((await board.items([item]))[0])
    assert len(kept) < LARGE
    page = b'{"object":"list","data":[%b]}'
    assert page % before == await shelves.shelf.filled(page % kept, "a")


async def test_several_pictures_of_one_row_come_back_each_in_its_place(shelves: Shelves, board: Board) -> None:
    """Beside words that look like references, which are told as they are."""
    reference = await board.base64(encoded(CAT))
    words = f"It lies at {reference}"
    item = Message(
        id="msg_1",
        role="user",
        content=[
            InputText(text=words),
            InputImage(image_url=inlined(CAT)),
            InputText(text=reference),
            InputImage(image_url=inlined(DOG)),
        ],
    )
    told = b'{"data":[%b]}'
    kept = msgspec.json.encode((await board.items([item]))[0])
    assert told % msgspec.json.encode(item) == await shelves.shelf.filled(told % kept, "a")


async def test_another_tenant_is_filled_in_nothing(
    shelves: Shelves, board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither is a blob that is gone; the operator is told."""
    kept = msgspec.json.encode((await board.items([ImageGenerationCall(id="ig_1", result=encoded(CAT))]))[0])
    empty = b'{"data":[%b]}' % msgspec.json.encode(ImageGenerationCall(id="ig_1", result=""))
    assert empty == await shelves.shelf.filled(b'{"data":[%b]}' % kept, "b")
    await shelves.blobs.delete_under(response_prefix("a", "resp_1"))
    assert empty == await shelves.shelf.filled(b'{"data":[%b]}' % kept, "a")
    assert ["blob_missing"] * 2 == [vars(record)["action"] for record in caplog.records]


async def test_an_answer_that_would_be_too_long_is_refused(
    shelves: Shelves, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words that say what to do; and one that is not is told."""
    page = b'{"data":[%b]}' % msgspec.json.encode(
        ImageGenerationCall(id="ig_1", result=await board.base64(encoded(CAT)))
    )
    monkeypatch.setattr(filling, "MOST_BYTES", len(page) + len(encoded(CAT)))
    assert encoded(CAT).encode() in await shelves.shelf.filled(page, "a")
    monkeypatch.setattr(filling, "MOST_BYTES", len(page) + len(encoded(CAT)) - 1)
    with pytest.raises(ApiError, match="ask for fewer items") as refused:
        await shelves.shelf.filled(page, "a")
    assert 400 == refused.value.status


def events(picture: str) -> list[StreamEvent]:
    """Every event that can hold a picture, with one."""
    item = ImageGenerationCall(id="ig_1", result=picture)
    said = Message(id="msg_1", role="assistant", content=[OutputText(text="Here.")])
    response = Response(id="resp_1", created_at=0, model="m", status="completed", output=[said, item])
    return [
        PartialImage(
            partial_image_b64=picture, partial_image_index=0, item_id="ig_1", output_index=0, sequence_number=1
        ),
        ItemDone(item=item, output_index=1, sequence_number=2),
        ItemDone(item=said, output_index=0, sequence_number=3),
        Snapshot(type="response.completed", response=response, sequence_number=4),
        Snapshot(type="response.completed", response=replace(response, output=[said]), sequence_number=4),
        Snapshot(type="response.created", response=replace(response, output=[]), sequence_number=0),
    ]


async def test_events_come_back_byte_for_byte(shelves: Shelves, board: Board) -> None:
    """As a block of a stream, in which several of them stand."""

    def block(told: list[StreamEvent]) -> bytes:
        return b"".join(b"event: x\ndata: %b\n\n" % msgspec.json.encode(event) for event in told)

    kept = block(await board.events(events(encoded(CAT))))
    assert len(kept) < LARGE
    assert block(events(encoded(CAT))) == await shelves.shelf.filled(kept, "a")


async def test_events_that_hold_nothing_large_are_given_back(board: Board) -> None:
    """Deltas must cost nothing."""
    added = ItemAdded(item=ImageGenerationCall(id="ig_1"), output_index=0, sequence_number=2)
    delta = TextDelta(content_index=0, delta="a", logprobs=[], item_id="msg_1", output_index=0, sequence_number=3)
    told: list[StreamEvent] = [added, delta]
    assert told is await board.events(told)


async def test_what_was_put_away_is_not_put_away_again(shelves: Shelves) -> None:
    """By whoever goes on with the response: it stays as it was told."""
    first, second = shelves.shelf.board("a", "resp_1"), shelves.shelf.board("a", "resp_1")
    kept = await first.events(events(encoded(CAT)))
    assert kept == await second.events(kept)
    assert not second.is_used


async def test_what_a_model_read_is_put_away_too(shelves: Shelves, board: Board) -> None:
    """The pictures of it; words and what lies elsewhere stay."""
    assert "words" == (await board.outputs(["words"]))[0]
    kept = (
        await board.outputs([[InputText(text="a"), InputImage(image_url=inlined(CAT)), InputImage(file_id="file-1")]])
    )[0]
    assert isinstance(kept, list)
    text, picture, file = kept
    assert (InputText(text="a"), InputImage(file_id="file-1")) == (text, file)
    assert isinstance(picture, InputImage)
    assert isinstance(picture.image_url, str)
    assert inlined(CAT) == await shelves.shelf.whole(picture.image_url, "a")


async def test_the_mask_of_a_drawing_is_put_away(shelves: Shelves, board: Board) -> None:
    """Of all tools nothing else."""
    mask = ImageMask(image_url=inlined(CAT))
    tools: list[Tool] = [WebSearchTool(), ImageGenerationTool(), ImageGenerationTool(input_image_mask=mask)]
    kept = await board.tools(tools)
    assert tools[:2] == kept[:2]
    match kept[2]:
        case ImageGenerationTool(input_image_mask=ImageMask(image_url=str(url))):
            assert CAT == await shelves.shelf.content(url, "a")
            assert len(url) < LARGE
        case other:
            raise AssertionError(other)


# From one response to another


async def test_what_is_shown_again_outlives_where_it_was_shown_first(shelves: Shelves) -> None:
    """A later response keeps its own: the first one may be deleted any day."""
    item = Message(id="msg_1", role="user", content=[InputImage(image_url=inlined(CAT))])
    first = (await shelves.shelf.board("a", "resp_1").items([item]))[0]
    second = (await shelves.shelf.board("a", "resp_2").items([first]))[0]
    await shelves.blobs.delete_under(response_prefix("a", "resp_1"))
    told = b'{"data":[%b]}'
    assert told % msgspec.json.encode(item) == await shelves.shelf.filled(told % msgspec.json.encode(second), "a")


async def test_what_is_gone_cannot_be_kept_again(shelves: Shelves) -> None:
    """Its reference stays, and leads nowhere."""
    reference = await shelves.shelf.board("a", "resp_1").base64(encoded(CAT))
    other = shelves.shelf.board("b", "resp_2")
    assert reference == await other.base64(reference)
    assert not other.is_used
