"""Pictures: checked to the last byte, upright, of 8 bits, and no larger than asked."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat, PngImagePlugin

from antiphon.documents import Picture, Unreadable
from antiphon.documents.pictures import encoded, picture
from tests.documents.files import animation, chunk, noise, png, quarters, saved

GPS = 0x8825
MAKER = 0x010F


def drawn(found: Picture) -> Image.Image:
    """A picture as pixels."""
    image = Image.open(BytesIO(found.content))
    image.load()
    assert (found.width, found.height) == image.size
    assert found.media_type == Image.MIME[image.format or ""]
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    """How far two pictures are apart, 0 to 255, on the average."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def reason(content: bytes) -> str:
    """Why a picture is refused."""
    with pytest.raises(Unreadable) as caught:
        picture(content, side=2048)
    return caught.value.reason


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (saved(quarters(), "PNG"), "image/png"),
        (saved(quarters().convert("RGBA"), "PNG"), "image/png"),
        (saved(quarters().convert("LA"), "PNG"), "image/png"),
        (saved(quarters().quantize(4), "PNG"), "image/png"),
        (saved(quarters().convert("1"), "PNG"), "image/png"),
        (saved(quarters(), "JPEG"), "image/jpeg"),
        (saved(quarters(), "JPEG", progressive=True), "image/jpeg"),
        (saved(quarters().convert("L"), "JPEG"), "image/jpeg"),
        (saved(quarters(), "WEBP"), "image/webp"),
        (saved(quarters(), "WEBP", lossless=True), "image/webp"),
        (saved(quarters().quantize(4), "GIF"), "image/gif"),
    ],
)
def test_a_picture_that_is_fine_is_the_same_object(content: bytes, media_type: str) -> None:
    """Nothing is copied, nothing loses quality."""
    found = picture(content, side=160)
    assert content is found.content
    assert (media_type, 160, 80) == (found.media_type, found.width, found.height)


def test_a_photograph_with_a_second_picture_in_it_is_fine() -> None:
    """As telephones take them: one JPEG behind another is no animation."""
    content = saved(noise(80, 40), "MPO", save_all=True, append_images=[noise(80, 40)])
    found = picture(content, side=100)
    assert ("image/jpeg", True) == (found.media_type, found.content is content)
    assert "JPEG" == drawn(picture(content, side=40)).format


@pytest.mark.parametrize(
    ("kind", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/jpeg"), ("GIF", "image/png")]
)
def test_a_large_picture_is_scaled(kind: str, media_type: str) -> None:
    """In its proportions, and looks as it did."""
    original = quarters(1600, 800)
    found = picture(saved(original, kind), side=200)
    assert (media_type, 200, 100) == (found.media_type, found.width, found.height)
    assert difference(original.resize((200, 100)), drawn(found)) < 4


def test_a_thin_picture_keeps_a_pixel() -> None:
    """However thin."""
    assert (100, 1) == drawn(picture(saved(Image.new("L", (10_000, 2)), "PNG"), side=100)).size


@pytest.mark.slow
def test_a_large_png_of_a_photograph_becomes_a_jpeg() -> None:
    """What is handed on stays bearable; transparency stays in spite of it."""
    image = noise(2500, 1500, grain=1)
    assert "image/jpeg" == picture(saved(image, "PNG", compress_level=1), side=2000).media_type
    image.putalpha(128)
    assert "image/png" == encoded(image, is_photo=True).media_type


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "side"), [("JPEG", 200), ("PNG", 200), ("WEBP", 200), ("JPEG", 80)])
def test_a_picture_is_upright(orientation: int, kind: str, side: int) -> None:
    """All eight ways in which a camera can be held, at once with scaling too."""
    exif = Image.Exif()
    exif[0x0112], exif[MAKER] = orientation, "Maker"
    content = saved(quarters(), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    found = picture(content, side=side)
    expected = ImageOps.exif_transpose(Image.open(BytesIO(content)))
    expected.thumbnail((side, side))
    assert difference(expected, drawn(found)) < 6
    assert (orientation == 1 and side == 200) is (found.content is content)


def test_metadata_is_dropped_from_what_is_drawn_anew() -> None:
    """Where a picture was taken is nobody's business; nor are comments and profiles."""
    exif = Image.Exif()
    exif[MAKER] = "Maker"
    exif.get_ifd(GPS)[1] = "N"
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "somebody")
    for content in (
        saved(quarters(), "JPEG", exif=exif, comment=b"somebody", icc_profile=b"somebody"),
        saved(quarters(), "PNG", exif=exif, pnginfo=text),
    ):
        found = drawn(picture(content, side=100))
        assert {} == dict(found.getexif())
        assert b"somebody" not in picture(content, side=100).content
        assert not {"exif", "icc_profile", "comment", "Author"} & set(found.info)


def test_damaged_metadata_is_no_damage_to_a_picture() -> None:
    """It cannot say how the picture was held, so it is upright."""
    content = saved(quarters(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert content is picture(content, side=200).content
    content = saved(quarters(), "PNG", exif=b"Exif\0\0nothing of the kind")
    assert content is picture(content, side=200).content


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    """Models read no other."""
    found = drawn(picture(animation(kind), side=100))
    assert difference(Image.new("RGB", (40, 20), "red"), found) < 3
    assert not getattr(found, "is_animated", False)


def test_the_frames_of_a_bomb_are_not_read() -> None:
    """A hundred thousand of them cost as much as one."""
    frame = b"\x21\xf9\x04\x00\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
    content = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\x00\x00\xff\xff\xff" + frame * 100_000 + b"\x3b"
    assert "image/png" == picture(content, side=10).media_type


def test_cmyk_comes_out_as_rgb() -> None:
    """Printers' pictures."""
    found = drawn(picture(saved(quarters().convert("CMYK"), "JPEG"), side=200))
    assert ("RGB", True) == (found.mode, difference(quarters(), found) < 25)


def test_sixteen_bits_come_out_as_eight() -> None:
    """Grey and coloured, with the same shades."""
    grey = Image.new("L", (2, 1))
    grey.putdata([0, 128])
    found = drawn(picture(png(2, 1, bits=16, pixels=b"\0" + struct.pack(">2H", 0, 128 * 257)), side=9))
    assert ("L", [0, 128]) == (found.mode, list(found.tobytes()))
    pixel = b"\0" + struct.pack(">3H", 0xFFFF, 0x8080, 0)
    content = png(1, 1, bits=16, colour=2, pixels=pixel)
    found = drawn(picture(content, side=9))
    assert ("RGB", [255, 128, 0]) == (found.mode, list(found.tobytes()))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_with_transparency_comes_out_as_rgba(kind: str) -> None:
    """What was clear stays clear."""
    image = quarters().quantize(4)
    clear = image.getpixel((0, 0))
    found = drawn(picture(saved(image, kind, transparency=clear), side=200)).convert("RGBA")
    assert [0, 255] == [found.getpixel(place)[3] for place in ((1, 1), (159, 79))]  # type: ignore[index]  # of RGBA


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO", "PPM", "TGA", "PCX", "EPS", "PDF", "JPEG2000", "ICNS"])
def test_other_formats_are_no_images(kind: str) -> None:
    """Those that Pillow could open too."""
    assert "not_an_image" == reason(saved(quarters().resize((64, 64)), kind))


@pytest.mark.parametrize("content", [b"x", b"%PDF-1.7", b"<svg/>", b"\0" * 1000, b"8BPS\0\1" + bytes(100), b"RIFF1234"])
def test_what_is_no_image_is_told(content: bytes) -> None:
    """By its first bytes."""
    assert "not_an_image" == reason(content)


def test_nothing_is_told() -> None:
    """An empty file is another mistake than a wrong one."""
    assert "empty" == reason(b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95])
def test_a_picture_that_is_cut_off_is_damaged(kind: str, part: float) -> None:
    """Wherever it ends, whether or not it must be scaled."""
    content = saved(noise(640, 480, grain=2), kind)
    content = content[: int(part * len(content))]
    assert "image_parse_error" == reason(content)
    with pytest.raises(Unreadable, match="damaged or cut off"):
        picture(content, side=100)


def test_a_progressive_picture_that_is_cut_off_is_damaged() -> None:
    """Though what there is of it could be shown."""
    content = saved(noise(640, 480, grain=2), "JPEG", progressive=True)
    assert "image_parse_error" == reason(content[: len(content) // 2])


@pytest.mark.parametrize("start", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBP"])
def test_a_start_that_promises_a_picture_is_damaged(start: bytes) -> None:
    """What follows is none."""
    assert "image_parse_error" == reason(start + b"no picture at all")


def webp(kind: bytes, header: bytes) -> bytes:
    """The beginning of a WebP."""
    return b"RIFF\x64\0\0\0WEBP" + kind + b"\x0a\0\0\0" + header + bytes(80)


@pytest.mark.parametrize(
    "content",
    [
        png(50_000, 50_000),
        png(16_385, 1),
        png(8_000, 8_000),
        b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff" + b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0\x3b",
        webp(b"VP8X", b"\0\0\0\0\xff\xff\xff\xff\xff\xff"),
        webp(b"VP8L", b"\x2f\xff\xff\xff\x0f"),
        saved(Image.new("L", (16_400, 16)), "JPEG"),
    ],
    ids=["png", "edge", "pixels", "gif", "webp", "lossless", "jpeg"],
)
def test_a_picture_that_says_it_is_huge_is_not_decoded(content: bytes) -> None:
    """Its header is enough."""
    assert "image_too_large" == reason(content)


def test_a_lossy_webp_says_its_size() -> None:
    """The most that it can say is an edge that is still borne."""
    assert "image_parse_error" == reason(webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a\xff\x3f\x01\0"))


def test_a_frame_beyond_the_edge_of_its_picture_is_no_way_around() -> None:
    """A small GIF may hold a frame that is huge."""
    frame = b"\x2c\0\0\0\0" + struct.pack("<HH", 65_535, 65_535) + b"\0\x02\x02\x44\x01\x00"
    assert reason(b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\x00\x00\xff\xff\xff" + frame + b"\x3b") in {
        "image_too_large",
        "image_parse_error",
    }


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_that_inflates_without_end_is_not_inflated(kind: bytes) -> None:
    """The picture around it is refused, or read without it."""
    bomb = zlib.compress(bytes(300_000_000), 9)
    start = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[kind]
    content = png(1, 1, pixels=b"\0\0", extra=chunk(kind, start + bomb))
    with pytest.raises(Unreadable) as caught:
        picture(content, side=9)
    assert "image_parse_error" == caught.value.reason


def test_pixels_beyond_the_end_are_not_inflated() -> None:
    """A picture of one pixel, and a hundred million that it does not have."""
    assert 1 == picture(png(1, 1, pixels=bytes(100_000_000)), side=9).width
