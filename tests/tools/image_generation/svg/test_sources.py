"""The drawing inside a picture of ours."""

from __future__ import annotations

import zlib
from io import BytesIO
from struct import pack

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from antiphon.documents.sketches import SOURCE, SketchOrder, sketch
from antiphon.tools.image_generation.svg.cleaning import Drawing
from antiphon.tools.image_generation.svg.sources import drawing_in, is_svg

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8" width="8" height="8"><rect width="4"/></svg>'
DRAWING = Drawing(content='<rect width="4"/>', view=(0, 0, 8, 8))


def png(text: str, *, key: str = SOURCE, zipped: bool = False) -> bytes:
    """A PNG with a text."""
    texts, file = PngInfo(), BytesIO()
    texts.add_itxt("Comment", "hello")
    texts.add_itxt(key, text, lang="en", tkey="x", zip=zipped)
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=texts)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return pack(">I", len(content)) + kind + content + pack(">I", zlib.crc32(kind + content))


HEAD = b"\x89PNG\r\n\x1a\n"
BROKEN = HEAD + chunk(b"iTXt", SOURCE.encode() + b"\0\1\0\0\0no deflate")
BOMB = HEAD + chunk(b"iTXt", SOURCE.encode() + b"\0\1\0\0\0" + zlib.compress(b"<svg>" + bytes(100_000_000)))


def test_a_sketch_carries_its_drawing() -> None:
    """What was drawn can be read out of the picture that came of it."""
    assert DRAWING == drawing_in(sketch(SketchOrder(SVG, 8, 8), None, None))


@pytest.mark.parametrize(
    "content", [png(SVG), png(SVG, zipped=True), SVG.encode(), b"<?xml version='1.0'?>" + SVG.encode()]
)
def test_a_drawing_is_found(content: bytes) -> None:
    """Compressed or not, in a picture or as a text."""
    assert DRAWING == drawing_in(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        HEAD,
        HEAD + b"\xff\xff\xff\xffiTXt",
        HEAD + chunk(b"IDAT", b"") * 2000,
        png("hello"),
        png("<svg/>"),
        png(SVG, key="other"),
        BROKEN,
        BOMB,
        SVG.replace("<rect", " " * 64_000 + "<rect").encode(),
        b"\xff\xd8\xff" + SVG.encode() + bytes(9),
    ],
)
def test_other_pictures_have_none(content: bytes) -> None:
    """Broken ones, foreign ones, and those that were made to hurt."""
    assert drawing_in(content) is None


def test_a_drawing_of_others_is_cleaned() -> None:
    """Anybody may have put it there."""
    assert DRAWING == drawing_in(png(SVG.replace("<rect", "<script>x</script><image href='http://x'/><rect")))


def test_texts_are_told_from_pictures() -> None:
    """By their first bytes."""
    assert [True, False, False] == [is_svg(content) for content in (SVG.encode(), png(SVG), b"hello")]
