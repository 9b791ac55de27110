"""Drawings as pictures: their sizes, formats and fonts, what lies beneath them, and masks."""

from __future__ import annotations

import os
import pwd
from io import BytesIO
from typing import TYPE_CHECKING, Any  # fields of an order

import pytest
from PIL import Image

from antiphon.documents import sketches
from antiphon.documents.sketches import SOURCE, SketchOrder, sketch
from tests.images_api import encoded, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

RED, BLUE, WHITE, NOTHING = (255, 0, 0, 255), (0, 0, 255, 255), (255, 255, 255, 255), (0, 0, 0, 0)
LEFT = '<rect width="50" height="100" fill="red"/>'


@pytest.fixture
def fonts(request: pytest.FixtureRequest) -> Iterator[None]:
    """The fonts of a machine are looked for anew, before a test and after it."""
    sketches._fonts.cache_clear()
    yield
    sketches._fonts.cache_clear()


def svg(inside: str = LEFT, width: int = 100, height: int = 100) -> str:
    """A document for a canvas."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="{width}" height="{height}" '
        f'font-family="sans-serif">{inside}</svg>'
    )


def order(inside: str = LEFT, width: int = 100, height: int = 100, **more: Any) -> SketchOrder:
    """What is to be drawn."""
    return SketchOrder(svg(inside, width, height), width, height, **more)


def pixels(content: bytes, *places: tuple[int, int]) -> list[tuple[int, ...]]:
    """The colours at some places."""
    picture = opened(content).convert("RGBA")
    return [tuple(picture.crop((x, y, x + 1, y + 1)).tobytes()) for x, y in places]


def plain(colour: str | tuple[int, ...], size: tuple[int, int] = (100, 100), form: str = "png") -> bytes:
    """A picture of one colour."""
    return encoded(Image.new("RGBA", size, colour), form)


@pytest.mark.parametrize(("form", "name"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("gif", "GIF")])
def test_a_drawing_becomes_a_picture(form: str, name: str) -> None:
    """In each format and size; white where nothing is drawn."""
    content = sketch(order(width=200, height=80, format=form, compression=90), None, None)
    assert (name, (200, 80)) == (opened(content).format, opened(content).size)
    red, white = pixels(content, (70, 40), (190, 40))
    assert all(abs(one - other) < 9 for one, other in zip(RED + WHITE, red + white, strict=True))


@pytest.mark.parametrize(("form", "seen"), [("png", NOTHING), ("webp", NOTHING), ("gif", NOTHING), ("jpeg", WHITE)])
def test_transparency_is_kept_where_the_format_can(form: str, seen: tuple[int, ...]) -> None:
    """JPEG cannot; nobody else is made opaque."""
    content = sketch(order(format=form, background="transparent"), None, None)
    (corner,) = pixels(content, (90, 50))
    assert (seen[3], seen if seen[3] else None) == (corner[3], corner if corner[3] else None)


def test_lossy_formats_are_smaller_where_they_may_lose_more() -> None:
    """Compression is the quality of the file."""
    shapes = "".join(
        f'<circle cx="{x}" cy="{x * 7 % 100}" r="9" fill="hsl({x * 9},80%,50%)"/>' for x in range(0, 99, 3)
    )
    for form in ("jpeg", "webp"):
        sizes = [len(sketch(order(shapes, format=form, compression=quality), None, None)) for quality in (100, 50, 0)]
        assert sizes == sorted(sizes, reverse=True)


def test_a_png_carries_its_drawing_unless_it_is_not_all() -> None:
    """What lies on a picture is not the drawing alone."""
    assert svg() == opened(sketch(order(), None, None)).info[SOURCE]
    assert SOURCE not in opened(sketch(order(), plain("blue"), None)).info


def test_a_drawing_lies_on_the_picture_beneath() -> None:
    """Where nothing is drawn the picture is seen; one of another form is fitted whole."""
    content = sketch(order(), plain("blue"), None)
    assert [RED, BLUE] == pixels(content, (10, 50), (90, 50))
    tall = sketch(order(""), plain("blue", (10, 40), "jpeg"), None)
    assert [WHITE, (0, 0, 254, 255), WHITE] == pixels(tall, (10, 50), (50, 50), (90, 50))


def test_a_covering_drawing_takes_the_place_of_the_picture() -> None:
    """Nothing of the picture shines through."""
    assert [RED, NOTHING] == pixels(
        sketch(order(covers=True, background="transparent"), plain("blue"), None), (10, 50), (90, 50)
    )


def test_a_mask_says_where_something_changes() -> None:
    """Where it is transparent the drawing counts, elsewhere the picture stays; it is scaled to the picture."""
    mask = Image.new("RGBA", (50, 50), "white")
    mask.paste((0, 0, 0, 0), (0, 0, 50, 25))
    for covers, corner in ((False, BLUE), (True, NOTHING)):
        content = sketch(order(covers=covers, background="transparent"), plain("blue"), encoded(mask))
        assert [RED, corner, BLUE, BLUE] == pixels(content, (10, 10), (90, 10), (10, 90), (90, 90))


@pytest.mark.parametrize(
    ("ordered", "under", "mask", "message"),
    [
        (SketchOrder(svg(), 4096, 4096), None, None, "A drawing has at most 8388608 pixels."),
        (SketchOrder("<svg", 9, 9), None, None, "The drawing cannot be rasterised."),
        (SketchOrder(svg(), 9, 9), None, None, "The drawing does not have the size that it should have."),
        (order(), b"no picture", None, "The picture to draw on cannot be read."),
        (order(), plain("blue")[:60], None, "The picture to draw on cannot be read."),
        (order(), plain("blue", (10, 10), "bmp"), None, "The picture to draw on cannot be read."),
        (order(), plain("blue", (8000, 7000), "gif"), None, "The picture to draw on is too large."),
        (order(), plain("blue"), b"no mask", "The picture to draw on cannot be read."),
        (
            order(),
            plain("blue"),
            plain("white"),
            "The mask has no transparent pixels, so it says nowhere what may change.",
        ),
    ],
)
def test_what_cannot_be_drawn_is_told(
    ordered: SketchOrder, under: bytes | None, mask: bytes | None, message: str
) -> None:
    """In words for the caller."""
    with pytest.raises(ValueError) as refused:
        sketch(ordered, under, mask)
    assert message == str(refused.value)


def test_a_picture_beneath_is_upright() -> None:
    """As its metadata say."""
    picture = Image.new("RGB", (100, 50), "blue")
    picture.paste((255, 0, 0), (0, 0, 50, 50))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    file = BytesIO()
    picture.save(file, "JPEG", exif=exif, quality=100)
    content = sketch(SketchOrder(svg("", 50, 100), 50, 100), file.getvalue(), None)
    (top, bottom) = pixels(content, (25, 20), (25, 80))
    assert top[0] > 200 > bottom[0]


def inked(font: str = "sans-serif") -> int:
    """How many dark pixels a word has."""
    content = sketch(order(f'<text x="5" y="60" font-size="40" font-family="{font}">Ham</text>'), None, None)
    return sum(opened(content).convert("L").histogram()[:128])


def test_words_are_written_with_the_fonts_that_there_are(fonts: None) -> None:
    """Whatever generic name they are written in."""
    assert all(inked(font) > 100 for font in ("sans-serif", "serif", "monospace"))


def test_words_are_written_without_any_fonts_installed(fonts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow carries a small one."""
    monkeypatch.setattr(sketches, "_FONT_FOLDERS", ("/nowhere",))
    assert all(inked(font) > 100 for font in ("sans-serif", "serif", "monospace"))


@pytest.mark.parametrize("lack", ["memory", "platform"])
def test_words_are_left_out_where_there_is_no_font(lack: str, fonts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shapes are drawn all the same."""

    def full(file: int, content: bytes) -> int:
        raise OSError("no room")

    monkeypatch.setattr(sketches, "_FONT_FOLDERS", ("/nowhere",))
    if lack == "memory":
        monkeypatch.setattr(os, "write", full)
    else:
        monkeypatch.setattr("sys.platform", "darwin")
    assert sketches.NO_FONTS == sketches._fonts()
    content = sketch(order(f'{LEFT}<text x="50" y="60">Ham</text>'), None, None)
    assert [RED] == pixels(content, (10, 50))


def test_a_user_without_a_home_has_fonts_too(fonts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may run as anybody."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(sketches, "_FONT_FOLDERS", ("~/fonts",))
    assert "Aileron" == sketches._fonts().sans_serif


def test_a_font_that_is_none_is_passed_over(
    fonts: None, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A broken file is no reason to draw nothing."""
    folder = tmp_path_factory.mktemp("fonts")
    (folder / "broken.ttf").write_bytes(b"no font")
    (folder / "notes.txt").write_text("no font either")
    monkeypatch.setattr(sketches, "_FONT_FOLDERS", (str(folder),))
    assert "Aileron" == sketches._fonts().sans_serif
