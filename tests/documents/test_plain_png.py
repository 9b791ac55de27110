"""Plain PNGs: what is passed without being opened is whole, and opens; all else is left to whoever opens pictures."""

from __future__ import annotations

import tracemalloc
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from antiphon.documents.plain_png import plain_size
from tests.documents.files import chunk, noise, quarters, saved

SIDE = 2000
MARK = b"\x89PNG\r\n\x1a\n"
END = chunk(b"IEND", b"")
GREY = b"\x08\0\0\0\0"


def header(width: int = 4, height: int = 3, kind: bytes = b"\x08\x02\x00\x00\x00") -> bytes:
    """The first part of a PNG, of RGB if nothing else is said."""
    return MARK + chunk(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + kind)


def rows(height: int = 3, *, filtered: int = 0, width: int = 4) -> bytes:
    """So many rows of RGB, as they stand in a PNG before they are compressed."""
    return (bytes([filtered]) + b"abc" * width) * height


def pixels(content: bytes) -> bytes:
    """A part that holds compressed rows."""
    return chunk(b"IDAT", content)


def is_whole(content: bytes) -> bool:
    """Whether it is passed."""
    return plain_size(content, side=SIDE) is not None


WHOLE = header() + pixels(zlib.compress(rows())) + END


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("image", [quarters(), noise(300, 200), Image.new("RGB", (1280, 800))], ids=["4", "noise", "0"])
def test_a_screenshot_is_whole(image: Image.Image, mode: str) -> None:
    """In colours and in grey, however well it is compressed."""
    assert is_whole(saved(image.convert(mode), "PNG"))


def test_pixels_may_lie_in_several_parts() -> None:
    """Wherever they are cut; also where a part is empty, or holds nothing but the end of the stream."""
    content = zlib.compress(rows())
    for cut in range(len(content) + 1):
        assert is_whole(header() + pixels(content[:cut]) + pixels(content[cut:]) + END)


def test_colours_and_a_date_change_nothing() -> None:
    """They stand before the pixels, and are as long as they should be."""
    lengths = {b"sRGB": 1, b"gAMA": 4, b"cHRM": 32, b"pHYs": 9, b"sBIT": 3, b"tIME": 7}
    plain = b"".join(chunk(kind, bytes(length)) for kind, length in lengths.items())
    assert is_whole(header() + plain + pixels(zlib.compress(rows())) + END)
    assert not is_whole(header() + pixels(zlib.compress(rows())) + plain + END)
    for kind, length in lengths.items():
        for other in (length - 1, length + 1):
            assert not is_whole(header() + chunk(kind, bytes(other)) + pixels(zlib.compress(rows())) + END)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        MARK,
        header() + END,
        header() + pixels(b"") + END,
        WHOLE + b"\0",
        WHOLE.replace(MARK, b"\x89PNG\r\n\x1a\r"),
        header() + pixels(zlib.compress(rows(2))) + END,
        header() + pixels(zlib.compress(rows(4))) + END,
        header() + pixels(zlib.compress(rows()) + b"\0") + END,
        header() + pixels(zlib.compress(rows())) + pixels(b"\0") + END,
        header() + pixels(zlib.compress(rows())[:-1]) + END,
        header() + pixels(zlib.compress(rows())[:-4] + b"\0\0\0\0") + END,
        header() + pixels(zlib.compress(rows(2) + rows(1, filtered=5))) + END,
        header() + pixels(zlib.compress(rows())) + chunk(b"tEXt", b"Comment\0Hello") + END,
        header() + pixels(zlib.compress(rows())),
        header() + pixels(zlib.compress(rows())) + chunk(b"IEND", b"\0"),
        header(0, 0) + pixels(zlib.compress(b"")) + END,
        header(kind=b"\x08\x02\x00\x00\x01") + pixels(zlib.compress(rows())) + END,
        header(kind=b"\x08\x03\x00\x00\x00") + pixels(zlib.compress(rows())) + END,
        header(2, kind=b"\x10\x02\x00\x00\x00") + pixels(zlib.compress(rows())) + END,
    ],
)
def test_what_is_not_flawless_is_left_to_others(content: bytes) -> None:
    """Cut off, too long, damaged, or of another kind."""
    assert is_whole(WHOLE)
    assert not is_whole(content)


def test_what_changes_how_a_picture_is_seen_is_left_to_others() -> None:
    """A text may hold an orientation, and so may its own part; transparency and frames are drawn anew."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "Hello")
    for other in (
        saved(quarters(), "PNG", pnginfo=text),
        saved(quarters().quantize(4), "PNG"),
        saved(quarters(), "PNG", transparency=(0, 0, 0)),
        saved(quarters(), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"),
    ):
        assert not is_whole(other)


def test_what_is_large_is_left_to_others() -> None:
    """By its longer edge, which is to be shortened, by its pixels, and by its parts: each takes time."""
    assert (4, 3) == plain_size(WHOLE, side=4)
    assert plain_size(WHOLE, side=3) is None
    assert is_whole(header() + chunk(b"IDAT", b"") * 4000 + pixels(zlib.compress(rows())) + END)
    assert not is_whole(header() + chunk(b"IDAT", b"") * 4094 + pixels(zlib.compress(rows())) + END)
    for width in (4096, 4097):
        content = zlib.compress((b"\0" + bytes(width)) * 4096)
        size = plain_size(header(width, 4096, GREY) + pixels(content) + END, side=5000)
        assert ((width, 4096) if width == 4096 else None) == size


def test_what_is_long_is_left_to_others() -> None:
    """Codes can be made so that each byte of them takes long, whatever comes of it."""
    for height, is_passed in ((2040, True), (2060, False)):
        content = zlib.compress((b"\0" + bytes(2047)) * height, 0)
        size = plain_size(header(2047, height, GREY) + pixels(content) + END, side=5000)
        assert is_passed == (size is not None)


def test_what_follows_the_last_row_is_not_gathered() -> None:
    """However much it is, and in however many parts: it is given up at the first of them."""
    content = header() + pixels(zlib.compress(rows())) + pixels(bytes(50_000)) * 60 + END
    tracemalloc.start()
    try:
        assert not is_whole(content)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_rows_beyond_the_last_are_not_inflated() -> None:
    """A stream that goes on for ever is given up at its first piece too many."""
    assert not is_whole(header() + pixels(zlib.compress(b"\0" * 100_000_000)) + END)


@given(st.data())
def test_what_is_passed_opens(data: st.DataObject) -> None:
    """Bytes of a PNG are changed anywhere, with its sums made right again, and what is passed is a picture still."""
    head, compressed = bytearray(header()), bytearray(zlib.compress(rows(), data.draw(st.sampled_from([0, 9]))))
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.sampled_from([head, compressed]))
        at = data.draw(st.integers(len(MARK) + 8 if place is head else 0, len(place) - 1))
        place[at] = data.draw(st.integers(0, 255))
    kind, held = (
        data.draw(st.sampled_from([b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"sBIT", b"tIME"])),
        st.binary(max_size=33),
    )
    more = chunk(kind, data.draw(held)) if data.draw(st.booleans()) else b""
    content = MARK + chunk(b"IHDR", bytes(head[len(MARK) + 8 : -4])) + more + pixels(bytes(compressed)) + END
    if is_whole(content):
        Image.open(BytesIO(content)).load()
