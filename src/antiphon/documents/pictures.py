"""Pictures of callers, with Pillow: checked to the last byte, and made such that every model reads them."""

from __future__ import annotations

import struct
import warnings
import zlib
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, PngImagePlugin

from antiphon.documents.nouns import READ_PIXELS, Picture, Unreadable
from antiphon.documents.sniffing import sniffed
from antiphon.protocol.picture_faults import LONGEST_SIDE

if TYPE_CHECKING:
    from collections.abc import Generator

LONGEST_PNG = 3 * 1024 * 1024
"""A picture without transparency whose PNG is longer is handed on as JPEG: upstreams bound what they take."""
QUALITY = 90
_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}
_READ_BY_ALL = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
_SEE_THROUGH = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BIT_DEPTH_AT = 24  # of a PNG's header
_BITS = 8

Image.MAX_IMAGE_PIXELS = READ_PIXELS
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 1024 * 1024


def picture(content: bytes, *, side: int) -> Picture:
    """A whole, upright picture of 8 bits, its longer edge at most ``side`` pixels. Raises `Unreadable`.

    Where nothing needs to change, its content is the same object. An animation is its first frame. What is drawn anew
    has lost its metadata.
    """
    with opened(content) as image:
        media_type, size = Image.MIME[image.format or ""], image.size
        if not _is_fine(image, content, side):
            return _redrawn(image, side)
        if image.format in {"JPEG", "MPO"}:
            image.draft("L", (1, 1))  # an eighth of the luminance; all of the file is read nonetheless
            media_type = "image/jpeg"
        image.load()
        return Picture(content, media_type, *size)


@contextmanager
def opened(content: bytes) -> Generator[Image.Image]:
    """A picture whose header was read and whose size is bearable; its pixels are decoded when they are asked for.

    Raises `Unreadable`, also for what Pillow says of it within the block.
    """
    if not content:
        raise Unreadable("empty", "The image is empty.")
    media_type = sniffed(content)
    if media_type not in _FORMATS:
        raise Unreadable("not_an_image", "The file is not a PNG, JPEG, WebP or GIF image.")
    if media_type == "image/webp":
        _check_size(_webp_size(content))  # its canvas is allocated when it is opened
    try:
        with _quiet(), Image.open(BytesIO(content), formats=[_FORMATS[media_type]]) as image:
            _check_size(image.size)
            yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise Unreadable("image_parse_error", "The image cannot be read: it is damaged or cut off.") from error


@contextmanager
def _quiet() -> Generator[None]:
    """No warnings of damaged metadata; those of bombs are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def encoded(image: Image.Image, *, is_photo: bool, quality: int = QUALITY) -> Picture:
    """An image of mode L, RGB or RGBA as JPEG or PNG, without metadata."""
    image.info.clear()
    if not is_photo or image.mode == "RGBA":
        content = _saved(image, "PNG", compress_level=4)
        if image.mode == "RGBA" or len(content) <= LONGEST_PNG:
            return Picture(content, "image/png", *image.size)
    return Picture(_saved(image, "JPEG", quality=quality), "image/jpeg", *image.size)


def smaller(image: Image.Image, *, quality: int) -> Picture:
    """An image of mode L or RGB as PNG or JPEG, whichever is smaller: text is the one, a photograph the other."""
    pictures = [
        Picture(_saved(image, "PNG", compress_level=4), "image/png", *image.size),
        Picture(_saved(image, "JPEG", quality=quality), "image/jpeg", *image.size),
    ]
    return min(pictures, key=lambda one: len(one.content))


def plain(image: Image.Image) -> Image.Image:
    """An image in mode L, RGB or RGBA."""
    if image.mode in _SEE_THROUGH or "transparency" in image.info:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode.startswith("I"):  # 16 bits
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """An image in mode L, RGB or RGBA, its longer edge at most ``side`` pixels."""
    if max(image.size) <= side:
        return plain(image)
    size = _fitted(image.size, side)
    image.draft(None, (2 * size[0], 2 * size[1]))  # of a JPEG, decode no more than the quality needs
    return plain(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)


def _redrawn(image: Image.Image, side: int) -> Picture:
    turn = _UPRIGHT.get(_orientation(image))
    is_photo = image.format in {"JPEG", "MPO"} or (image.format == "WEBP" and image.mode == "RGB")
    drawn = shrunk(image, side)
    return encoded(drawn.transpose(turn) if turn is not None else drawn, is_photo=is_photo)


def _is_fine(image: Image.Image, content: bytes, side: int) -> bool:
    return (
        max(image.size) <= side
        and image.mode in _READ_BY_ALL
        and "transparency" not in image.info
        and not (image.format == "PNG" and content[_BIT_DEPTH_AT] > _BITS)
        and (image.format == "MPO" or not getattr(image, "is_animated", False))  # of formats that have frames
        and _orientation(image) not in _UPRIGHT
    )


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, EOFError, struct.error):
        return 1  # a picture with damaged metadata is a picture


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    longer = max(size)
    return max(1, round(size[0] * side / longer)), max(1, round(size[1] * side / longer))


def _check_size(size: tuple[int, int]) -> None:
    if max(size) > LONGEST_SIDE or size[0] * size[1] > READ_PIXELS:
        raise _too_large()


def _too_large() -> Unreadable:
    most = f"at most {READ_PIXELS // 1_000_000} megapixels, and {LONGEST_SIDE} pixels along an edge"
    return Unreadable("image_too_large", f"The image is too large: {most}.")


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height by the header of a WebP; (0, 0) where it is none, which Pillow will tell."""
    match content[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
        case b"VP8L":
            bits = int.from_bytes(content[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            return int.from_bytes(content[26:28], "little") & 0x3FFF, int.from_bytes(content[28:30], "little") & 0x3FFF
        case _:
            return 0, 0


def _saved(image: Image.Image, kind: str, *, quality: int = QUALITY, compress_level: int = 4) -> bytes:
    room = BytesIO()
    image.save(room, kind, quality=quality, compress_level=compress_level)
    return room.getvalue()
