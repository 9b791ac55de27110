"""The embedded way to draw: what is asked of the model, what becomes of its answers, and what is shown meanwhile."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING

import anyio
import pytest
from msgspec import UNSET
from PIL import Image

from antiphon.core.deltas import Finish, Refused, Text, Thought
from antiphon.documents.sketches import SOURCE
from antiphon.protocol.calls import SvgUsage
from antiphon.protocol.content import InputText, OutputText
from antiphon.protocol.items import Message
from antiphon.tools.image_generation import Unanswered
from tests.images_api import encoded, opened
from tests.tools.image_generation.studio import COMPLETED, GENERATING, HOUSE, Writer, drawing, settings, subject

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn
    from antiphon.documents import Documents
    from tests.tools.image_generation.studio import Told

SHAPES = '{"shapes":[{"kind":"rect","x":0,"y":0,"width":512,"height":512,"color":"#336699"}]}'

pytestmark = pytest.mark.anyio

BLUE, RED, GREEN = (0, 0, 255), (255, 0, 0), (0, 128, 0)
DOT = '<svg viewBox="0 0 512 512"><rect width="256" height="512" fill="#ff0000"/></svg>'
ROWS = "".join(f'<rect y="{y}" width="512" height="64" fill="rgb({y // 2},0,0)"/>\n' for y in range(0, 512, 32))
LONG = f'<svg viewBox="0 0 512 512">{ROWS}</svg>'


def colours(told: Told, *places: tuple[int, int]) -> list[object]:
    """The colours of a picture at some places."""
    picture = told.picture.convert("RGB")
    return [picture.getpixel(place) for place in places]


def said(turn: Turn, number: int) -> str:
    """What one message of a turn says."""
    item = turn.items[number]
    assert isinstance(item, Message)
    (part,) = item.content
    assert isinstance(part, InputText | OutputText)
    return part.text


def plain(colour: str, size: tuple[int, int] = (300, 200)) -> bytes:
    """A picture of one colour."""
    return encoded(Image.new("RGB", size, colour))


async def test_a_sketch_of_a_sketch_is_signed_once(documents: Documents) -> None:
    """A model that is asked to change one may describe it as it was described to it."""
    arguments = {"prompt": "a red house (a sketch, drawn as SVG by qwen) at night"}
    told = await drawing(documents, arguments=arguments, writer=Writer(HOUSE))
    assert "a red house at night (a sketch, drawn as SVG by qwen)" == told.item.revised_prompt


async def test_what_a_model_writes_is_drawn(documents: Documents) -> None:
    """Without any configuration; the item tells who drew, how, and what it cost."""
    writer = Writer(f"Of course!\n```svg\n{HOUSE}\n```\nHere you are.")
    told = await drawing(documents, writer=writer)
    item = told.item
    assert [GENERATING, COMPLETED] == told.names
    assert ("completed", "generate", "png", "1024x1024", "opaque", "auto") == (
        item.status,
        item.action,
        item.output_format,
        item.size,
        item.background,
        item.quality,
    )
    assert "a red house (a sketch, drawn as SVG by qwen)" == item.revised_prompt
    assert SvgUsage(model="qwen", input_tokens=10, output_tokens=5, reasoning_tokens=1, total_tokens=15) == (
        item.svg_usage
    )
    assert [BLUE, RED] == colours(told, (5, 5), (512, 512))
    assert (1024, 1024) == told.picture.size
    assert SOURCE in told.picture.info
    (turn,) = writer.turns
    assert said(turn, -1).startswith("Draw: a red house\n")
    assert ("qwen", 1500) == (turn.model, turn.max_output_tokens)
    assert writer.is_closed


@pytest.mark.parametrize(
    ("form", "name", "background"),
    [
        ("png", "PNG", "transparent"),
        ("webp", "WEBP", "transparent"),
        ("gif", "GIF", "transparent"),
        ("jpeg", "JPEG", "opaque"),
    ],
)
async def test_a_picture_has_the_format_and_size_that_were_asked_for(
    form: str, name: str, background: str, documents: Documents
) -> None:
    """And its transparency, where the format can; a quality has no effect."""
    tool = settings(output_format=form, size="300x200", background="transparent", output_compression=80, quality="low")
    told = await drawing(documents, tool=tool, writer=Writer(DOT))
    item = told.item
    assert (form, "300x200", background, "auto") == (item.output_format, item.size, item.background, item.quality)
    assert (name, (300, 200)) == (told.picture.format, told.picture.size)
    corner = told.picture.convert("RGBA").crop((299, 1, 300, 2)).tobytes()
    assert (0 if background == "transparent" else 255) == corner[3]


async def test_the_drawing_itself_can_be_had(documents: Documents) -> None:
    """As SVG: cleaned, and of the size that was asked for."""
    tool = settings(output_format="svg", partial_images=3)
    told = await drawing(documents, tool=tool, writer=Writer(LONG.replace("<rect", "<script>x</script><rect", 1)))
    assert told.content.startswith(b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512" width="1024"')
    assert b"script" not in told.content
    assert [GENERATING, COMPLETED] == told.names
    edited = await drawing(documents, tool=tool, subjects=[subject(told.content, is_default=True)])
    assert ("svg", "1024x1024", "edit") == (edited.item.output_format, edited.item.size, edited.item.action)
    laid = await drawing(documents, tool=tool, subjects=[subject(plain("blue"), is_default=True)])
    assert ("png", "300x200") == (laid.item.output_format, laid.item.size)


@pytest.mark.parametrize(
    ("size", "is_drawn"), [("4096x2048", True), ("4097x1", False), ("3000x3000", False), ("99999x99999", False)]
)
async def test_a_size_is_bounded(size: str, is_drawn: bool, documents: Documents) -> None:  # noqa: FBT001 - a parameter of the test
    """Before anything is written."""
    writer = Writer(HOUSE)
    told = await drawing(documents, tool=settings(size=size), writer=writer)
    assert is_drawn == (told.item.status == "completed") == bool(writer.turns)
    if not is_drawn:
        assert "image_too_large" == told.error[0]
        assert f"A picture of {size} pixels is too large" in told.output


@pytest.mark.parametrize("partials", [1, 2, 3])
async def test_a_drawing_is_shown_while_it_is_written(partials: int, documents: Documents) -> None:
    """As often as was asked for, each time with more on it, and before it is finished."""
    told = await drawing(documents, tool=settings(partial_images=partials), writer=Writer(LONG))
    assert [GENERATING, *map(str, range(partials)), COMPLETED] == told.names
    pictures = [opened(b64decode(glimpse.image)).convert("L") for glimpse in told.glimpses]
    assert {("1024x1024", "auto", "opaque", "png")} == {
        (glimpse.size, glimpse.quality, glimpse.background, glimpse.output_format) for glimpse in told.glimpses
    }
    whites = [picture.histogram()[255] for picture in [*pictures, told.picture.convert("L")]]
    assert whites == sorted(set(whites), reverse=True)
    assert 0 == whites[-1]


async def test_a_drawing_is_not_shown_where_nothing_is_to_be_seen(documents: Documents) -> None:
    """A drawing that has not begun, or has not gone on, is waited for."""
    words = "Let me think. " * 100
    comment = f"<!-- {words} -->"
    told = await drawing(
        documents,
        tool=settings(partial_images=3),
        writer=Writer(
            f'{words}<svg><rect width="99" height="99"/>{comment}{comment}<rect width="9" height="200"/></svg>'
        ),
    )
    assert [GENERATING, "0", COMPLETED] == told.names


async def test_a_drawing_that_fails_is_asked_for_once_more(documents: Documents) -> None:
    """With the reason; what both attempts cost is told together."""
    writer = Writer("I would rather write a poem.", HOUSE)
    told = await drawing(documents, writer=writer)
    assert "completed" == told.item.status
    assert said(writer.turns[1], -2) == "I would rather write a poem."
    assert "could not be drawn: There is no <svg> element in the answer." in said(writer.turns[1], -1)
    assert told.item.svg_usage is not UNSET
    assert (20, 30) == (told.item.svg_usage.input_tokens, told.item.svg_usage.total_tokens)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("no", "There is no <svg> element in the answer."),
        ("<svg><script>x</script></svg>", "There is no shape in it that could be drawn."),
        ("<svg>" + "<g><g a=''><g b=''>" * 12, "It is nested more than 32 levels deep."),
        ("", "There is no <svg> element in the answer."),
    ],
)
async def test_a_drawing_that_fails_to_the_last_is_a_failure(answer: str, fault: str, documents: Documents) -> None:
    """And is told as one: asked again, and asked for mere shapes, the model did no better."""
    told = await drawing(documents, writer=Writer(answer, answer, answer))
    assert ("server_error", f"What the model wrote could not be drawn: {fault}") == told.error
    assert [GENERATING] == told.names


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ([Refused("no")], "refused", "The model refused to draw this."),
        (
            [Text("<svg>"), Finish(reason="content_filter")],
            "moderation_blocked",
            "The drawing was stopped by a content filter.",
        ),
        (Unanswered("rate_limit_exceeded", "Too much to do."), "rate_limit_exceeded", "Too much to do."),
    ],
)
async def test_a_model_that_does_not_draw_is_told(
    answer: list[Delta] | Exception, code: str, message: str, documents: Documents
) -> None:
    """It is not asked again."""
    writer = Writer(answer)
    told = await drawing(documents, writer=writer)
    assert (code, message) == told.error
    assert 1 == len(writer.turns)


async def test_thoughts_are_no_drawing_and_usage_may_be_unknown(documents: Documents) -> None:
    """What a model thinks is passed over; what it does not count is not made up."""
    told = await drawing(documents, writer=Writer([Thought("<svg>"), Text(HOUSE), Finish()]))
    assert "completed" == told.item.status
    assert UNSET is told.item.svg_usage


@pytest.mark.parametrize(
    "endless",
    [
        "".join(f'<rect x="{number}" width="9" height="9"/>' for number in range(1000)),
        '<rect x="1" width="9" height="9"/>' * 1000,
        "</svg>" + "and so on " * 1000,
    ],
)
async def test_a_model_that_does_not_end_is_stopped(endless: str, documents: Documents) -> None:
    """What it drew sensibly is drawn."""
    writer = Writer(f'<svg><rect width="512" height="512" fill="#0000ff"/>{endless}')
    told = await drawing(documents, writer=writer)
    assert [BLUE] == colours(told, (1000, 1000))
    assert writer.said < 2500
    assert writer.is_closed


async def test_a_model_that_cannot_write_svg_lists_shapes(documents: Documents) -> None:
    """In a form that its backend holds it to; what it lists is drawn like any other drawing."""
    writer = Writer("no", "no", SHAPES)
    told = await drawing(documents, writer=writer)
    assert ("completed", "1024x1024") == (told.item.status, told.item.size)
    assert [False, False, True] == [turn.text is not None for turn in writer.turns]


async def test_a_drawing_of_one_color_is_drawn_again(documents: Documents) -> None:
    """Once: perhaps it shall be so."""
    spots = "".join(f'<circle cx="{x}" cy="9" r="5" fill="#000000"/>' for x in (9, 99, 199))
    writer = Writer(f"<svg>{spots}</svg>", f"<svg>{spots}</svg>")
    told = await drawing(documents, writer=writer)
    assert ("completed", 2) == (told.item.status, len(writer.turns))


async def test_a_model_that_says_too_much_is_stopped(documents: Documents) -> None:
    """Whatever it says."""
    writer = Writer(*["x" * 1_000_000] * 3, piece=20_000)
    told = await drawing(documents, writer=writer)
    assert "failed" == told.item.status
    assert writer.said <= 3 * 100_000


async def test_a_model_that_is_slow_is_stopped(documents: Documents) -> None:
    """When its time is over."""

    class Slow(Writer):
        async def ask(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
            yield [Text("<svg>")]
            await anyio.sleep_forever()

    told = await drawing(documents, {"backend": "svg", "timeout": 0.2}, writer=Slow())
    assert ("timeout", "The picture was not drawn in time.") == told.error


async def test_a_sketch_of_ours_is_drawn_anew(documents: Documents) -> None:
    """The model is given the drawing inside the picture, and its answer takes the picture's place."""
    first = await drawing(documents, tool=settings(size="300x200"))
    writer = Writer(HOUSE.replace("#ff0000", "#008000"))
    told = await drawing(documents, subjects=[subject(first.content, is_default=True)], writer=writer)
    wish = said(writer.turns[0], -1)
    assert '<rect x="128" y="128" width="256" height="256" fill="#ff0000"/>' in wish
    assert "with this change: a red house" in wish
    assert ("edit", "300x200") == (told.item.action, told.item.size)
    assert [GREEN] == colours(told, (150, 100))
    assert SOURCE in told.picture.info
    assert told.output.startswith("The picture was edited")


async def test_another_picture_is_drawn_upon(documents: Documents) -> None:
    """It lies beneath; of several it is the first, and that is told."""
    writer = Writer(DOT)
    subjects = [subject(plain("blue"), is_default=True), subject(plain("green"), is_default=True)]
    told = await drawing(documents, subjects=subjects, writer=writer)
    assert "There is a picture on the canvas already." in said(writer.turns[0], -1)
    assert "300x200" == told.item.size
    assert [RED, BLUE] == colours(told, (100, 100), (290, 100))
    assert "a red house (a sketch, drawn as SVG by qwen, from the first of 2 pictures)" == told.item.revised_prompt
    assert SOURCE not in told.picture.info


@pytest.mark.parametrize("source", ["sketch", "svg", "picture"])
async def test_a_mask_bounds_what_changes(source: str, documents: Documents) -> None:
    """Outside of it every picture stays, also a drawing of ours."""
    mask = Image.new("RGBA", (64, 64), "white")
    mask.paste((0, 0, 0, 0), (0, 0, 64, 32))
    match source:
        case "sketch":
            content = (await drawing(documents, tool=settings(size="300x300"))).content
        case "svg":
            content = HOUSE.encode()
        case _:
            content = plain("blue", (300, 300))
    told = await drawing(
        documents,
        tool=settings(size="300x300"),
        subjects=[subject(content, is_default=True)],
        mask=subject(encoded(mask)),
        writer=Writer('<svg><rect width="512" height="512" fill="#008000"/></svg>'),
    )
    assert [GREEN, BLUE] == colours(told, (150, 10), (150, 290))
    assert [GREEN, RED if source != "picture" else BLUE] == colours(told, (150, 140), (150, 160))


async def test_a_drawing_that_is_too_long_to_show_is_drawn_upon(documents: Documents) -> None:
    """Like any other picture."""
    long = "".join(f'<rect y="{y % 512}" width="512" height="9" fill="#0000ff"/>' for y in range(0, 2560, 8))
    long = f'<rect width="1" height="1" fill="#ff0000"/>{long}'  # one color alone would be drawn again
    first = await drawing(documents, tool=settings(size="300x300"), writer=Writer(f"<svg>{long}</svg>", piece=20_000))
    writer = Writer(DOT)
    told = await drawing(documents, subjects=[subject(first.content, is_default=True)], writer=writer)
    assert "There is a picture on the canvas already." in said(writer.turns[0], -1)
    assert [RED, BLUE] == colours(told, (100, 100), (290, 100))


@pytest.mark.parametrize("content", [b"no picture", plain("blue")[:70], b"<svg><script/></svg>"])
async def test_a_picture_that_cannot_be_read_is_told(content: bytes, documents: Documents) -> None:
    """The model is not even asked."""
    writer = Writer()
    told = await drawing(documents, subjects=[subject(content, is_default=True)], writer=writer)
    assert "invalid_image" == told.error[0]
    assert told.error[1].startswith("The picture to edit cannot be read: ")
    assert [] == writer.turns


async def test_a_mask_that_allows_nothing_is_told(documents: Documents) -> None:
    """The model could do nothing about it, but is asked like after any failure."""
    told = await drawing(
        documents,
        subjects=[subject(plain("blue"), is_default=True)],
        mask=subject(plain("white")),
        writer=Writer(DOT, DOT, SHAPES),
    )
    assert "no transparent pixels" in told.error[1]
