"""Looking at one picture or document: what models of each kind are given in its place."""

from __future__ import annotations

from base64 import b64decode, encodebytes
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from PIL import Image

from antiphon.lifecycle import Caller, Deployment
from antiphon.lifecycle.describing import Describing
from antiphon.lifecycle.looking import Looking
from antiphon.protocol.content import ComputerScreenshot, InputFile, InputImage, InputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import Message
from tests.drawing import encoded, inlined, noise
from tests.lifecycle.gallery import open_gallery
from tests.playing import Model

if TYPE_CHECKING:
    from antiphon.lifecycle.looking import Part, Visible
    from antiphon.protocol.content import MessagePart
    from tests.drawing import Shelves

pytestmark = pytest.mark.anyio

CALLER = Caller("a")
SEES = Deployment("sees", Model())
BLIND = Deployment("blind", Model(), vision=False)
PAGES = Deployment("pages", Model(), shows_pages=True)
PNG = noise("seen", side=40)
TEXT = InputFile(file_data=encoded(b"Plain words."), filename="w.txt")
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj "
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>endobj\ntrailer<</Root 1 0 R>>"
)


async def seen(
    shelves: Shelves, part: MessagePart, deployment: Deployment = SEES, *, draws: bool = False
) -> list[Part]:
    """What a model is given of a message with one part."""
    [message] = await shelves.seeing.seen([Message(role="user", content=[part])], deployment, CALLER, draws=draws)
    assert isinstance(message, Message)
    return [*message.content]


def size(part: Part) -> tuple[int, int]:
    """Width and height of a picture, in pixels."""
    match part:
        case InputImage(image_url=str(url)):
            return Image.open(BytesIO(content(url))).size
        case other:
            raise AssertionError(other)


def content(url: str) -> bytes:
    """What stands in a data URL."""
    return b64decode(url.partition(",")[2])


async def test_a_picture_that_fits_is_shown_as_it_is(shelves: Shelves) -> None:
    """The very part: a large picture is not held twice."""
    part = InputImage(image_url=inlined(PNG), detail="high")
    [shown] = await seen(shelves, part)
    assert part is shown


async def test_a_picture_is_shown_as_every_server_reads_it(shelves: Shelves) -> None:
    """However its caller writes it: some break base64 into lines, and not every server takes that."""
    whole = inlined(PNG)
    for url in (
        f"data:image/png;base64,{encodebytes(PNG).decode()}",
        whole.replace(";base64,", ";BASE64,"),
        whole.replace("image/png", "image/PNG"),
    ):
        assert [InputImage(image_url=whole)] == await seen(shelves, InputImage(image_url=url))


async def test_a_picture_is_called_what_it_is(shelves: Shelves) -> None:
    """Whatever its caller says, and wherever it lies."""
    [wrong] = await seen(shelves, InputImage(image_url=inlined(PNG, "image/gif")))
    assert InputImage(image_url=inlined(PNG)) == wrong
    large = noise("large")
    url = await shelves.shelf.board("a", "resp_1").base64(inlined(large))
    assert [InputImage(image_url=inlined(large))] == await seen(shelves, InputImage(image_url=url))


@pytest.mark.parametrize(
    ("side", "detail", "expected"), [(64, "auto", 64), (2048, "low", 512), (64, "low", 64), (2048, "high", 600)]
)
async def test_a_picture_is_no_larger_than_a_model_takes(
    shelves: Shelves, side: int, detail: str, expected: int
) -> None:
    """Its longer edge, in pixels; less where low detail is enough."""
    picture = BytesIO()
    Image.new("RGB", (600, 300), "red").save(picture, "png")
    part = InputImage(image_url=inlined(picture.getvalue()))
    part = replace(part, detail=detail)
    [shown] = await seen(shelves, part, replace(SEES, image_side=side))
    assert (expected, expected // 2) == size(shown)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no picture at all", "invalid_image_format"),
        (PNG[: len(PNG) // 2], "image_parse_error"),
    ],
)
async def test_a_picture_that_cannot_be_read_is_refused(shelves: Shelves, content: bytes, code: str) -> None:
    """By the codes of the official packages."""
    with pytest.raises(ApiError) as raised:
        await seen(shelves, InputImage(image_url=inlined(content)))
    assert (400, "input", code) == (raised.value.status, raised.value.param, raised.value.code)


async def test_a_model_without_eyes_is_shown_no_picture(shelves: Shelves) -> None:
    """Unless something draws, for which it may be meant; then the model is told that there is one."""
    with pytest.raises(ApiError, match="'blind' cannot see images"):
        await seen(shelves, InputImage(image_url=inlined(PNG)), BLIND)
    [told] = await seen(shelves, InputImage(image_url=inlined(PNG)), BLIND, draws=True)
    assert InputText(text="[An image of 40x40 pixels. You cannot see it; the tool that draws can.]") == told


async def test_a_model_without_eyes_is_told_what_another_sees(shelves: Shelves) -> None:
    """Where the operator says so; also where something draws."""
    eyes = Deployment("eyes", Model({"steps": [{"text": "Noise."}]}))
    shelves.seeing.describing = Describing(shelves.documents, eyes)
    told = InputText(text="[An image, which you cannot see. The model 'eyes' describes it so: Noise.]")
    for draws in (False, True):
        assert [told] == await seen(shelves, InputImage(image_url=inlined(PNG)), BLIND, draws=draws)


async def test_a_url_is_fetched_for_a_model_that_cannot_see_it(shelves: Shelves) -> None:
    """Somebody has to look; here the way to it is closed."""
    async with open_gallery() as (gallery, _):
        with pytest.raises(ApiError, match="Error while downloading an image") as raised:
            await seen(shelves, InputImage(image_url=gallery.url("a")), BLIND, draws=True)
        assert "failed_to_download_image" == raised.value.code
        assert [] == gallery.asked


# Documents


async def test_a_document_is_read_here(shelves: Shelves) -> None:
    """With marks that can be cited, under its name or as a file."""
    assert [InputText(text="[w.txt: text]\nPlain words.\n\n[end of w.txt]")] == await seen(shelves, TEXT)
    [told] = await seen(shelves, InputFile(file_data=encoded(b"Plain words.")))
    assert InputText(text="[file: text]\nPlain words.\n\n[end of file]") == told


@pytest.mark.parametrize(
    ("deployment", "detail", "pictures"), [(PAGES, "auto", 1), (PAGES, "low", 0), (SEES, "auto", 0), (BLIND, "auto", 0)]
)
async def test_pages_are_shown_where_a_model_sees(
    shelves: Shelves, deployment: Deployment, detail: str, pictures: int
) -> None:
    """And where it is known that it does; else it is given the text alone."""
    part = InputFile(file_data=encoded(PDF), filename="p.pdf")
    told = await seen(shelves, replace(part, detail=detail), deployment)
    assert pictures == len([each for each in told if isinstance(each, InputImage)])
    assert "[p.pdf, page 1 of 1]" in "".join(each.text for each in told if isinstance(each, InputText))


async def test_a_model_that_reads_documents_is_handed_their_content(shelves: Shelves) -> None:
    """From wherever it lies."""
    reads = replace(SEES, read_files=False)
    data = f"data:application/octet-stream;base64,{TEXT.file_data}"
    assert [replace(TEXT, file_data=data)] == await seen(shelves, TEXT, reads)
    [pdf] = await seen(shelves, InputFile(file_data=encoded(PDF)), reads)
    assert InputFile(file_data=inlined(PDF, "application/pdf"), filename="file") == pdf


async def test_a_picture_among_documents_is_a_picture(shelves: Shelves) -> None:
    """Whatever it is called."""
    [shown] = await seen(shelves, InputFile(file_data=encoded(PNG), filename="scan.pdf"))
    assert InputImage(image_url=inlined(PNG)) == shown


async def test_a_document_that_cannot_be_read_is_refused(shelves: Shelves) -> None:
    """By its name."""
    with pytest.raises(ApiError, match=r"The file 'x\.bin' cannot be read") as raised:
        await seen(shelves, InputFile(file_data=encoded(bytes(range(256))), filename="x.bin"))
    assert (400, "unsupported_file") == (raised.value.status, raised.value.code)


@pytest.mark.parametrize(
    ("part", "deployment", "is_one"),
    [
        (InputImage(image_url="https://p.example"), SEES, False),
        (InputImage(image_url="https://p.example"), BLIND, True),
        (InputImage(image_url="https://p.example"), replace(SEES, fetch_images=True), True),
        (InputImage(image_url="DATA:image/png;base64,AAAA"), SEES, True),
        (InputImage(file_id="file-1"), SEES, True),
        (ComputerScreenshot(image_url="https://p.example"), SEES, False),
        (TEXT, SEES, True),
    ],
)
async def test_what_a_model_sees_for_itself_is_left_alone(
    shelves: Shelves, part: Visible, deployment: Deployment, *, is_one: bool
) -> None:
    """A URL alone; all else is looked at here."""
    assert is_one == Looking(shelves.seeing, deployment, CALLER, draws=False).concerns(part)
