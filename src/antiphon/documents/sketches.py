"""Drawings in SVG become pictures: rasterised, laid over another picture where one is given, and encoded.

It is meant for a child process, and for documents that were cleaned: it trusts neither pictures nor their sizes, but
resvg with what it is given. The libraries are imported with the first drawing, for what they cost.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from antiphon.documents.nouns import READ_PIXELS

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from PIL.Image import Image as Picture

SOURCE = "antiphon:svg"
"""The key of the text in a PNG that holds the SVG it was made from."""
LONGEST_EDGE = 4096
MOST_PIXELS = 8_388_608

_READABLE = ("PNG", "JPEG", "WEBP", "GIF")
_ENOUGH_FONTS = 2_000
_FONT_FOLDERS = (
    *("/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/texmf/fonts/opentype", "/System/Library/Fonts"),
    *("/Library/Fonts", "~/.fonts", "~/.local/share/fonts", "~/Library/Fonts"),
)
_SANS = ("DejaVu Sans", "Liberation Sans", "Noto Sans", "Arial", "Helvetica", "Open Sans", "Roboto")
_SERIF = ("DejaVu Serif", "Liberation Serif", "Noto Serif", "Times New Roman", "Times", "FreeSerif")
_MONOSPACE = ("DejaVu Sans Mono", "Liberation Mono", "Noto Sans Mono", "Courier New", "Menlo", "FreeMono")

Edge = Annotated[int, Meta(ge=1, le=LONGEST_EDGE)]


class SketchOrder(Struct, frozen=True):
    """What is to be made of a clean SVG document: a picture of ``width`` by ``height`` pixels.

    ``compression`` is the quality of JPEG and WebP, 0 to 100. ``background``: ``transparent`` is kept where the format
    can, ``opaque`` and ``auto`` are white. ``covers``: the drawing takes the place of the picture beneath instead of
    lying on it; of use with a mask, outside of which the picture beneath stays.
    """

    svg: str
    width: Edge
    height: Edge
    format: Literal["png", "jpeg", "webp", "gif"] = "png"
    compression: Annotated[int, Meta(ge=0, le=100)] = 100
    background: Literal["transparent", "opaque", "auto"] = "auto"
    covers: bool = False


class Fonts(Struct, frozen=True):
    """The families that stand for the generic ones, and files that hold them where the system does not know them."""

    sans_serif: str | None = None
    serif: str | None = None
    monospace: str | None = None
    files: list[str] | None = None


NO_FONTS = Fonts()
"""Texts are left out."""


def sketch(order: SketchOrder, under: bytes | None, mask: bytes | None) -> bytes:
    """The encoded picture. Raises `ValueError` with words for the caller.

    ``under`` is a picture to draw on, fitted into the canvas; ``mask`` one whose transparent pixels say where ``under``
    may change. A PNG with nothing beneath carries its SVG, under the key `SOURCE`.
    """
    if order.width * order.height > MOST_PIXELS:
        raise ValueError(f"A drawing has at most {MOST_PIXELS} pixels.")
    drawn = _rasterised(order)
    if under is not None:
        beneath = _fitted(_opened(under), order)
        drawn = _laid(drawn, beneath, _opened(mask) if mask is not None else None, covers=order.covers)
    return _encoded(drawn, order, is_alone=under is None)


def _rasterised(order: SketchOrder) -> Picture:
    import resvg_py  # noqa: PLC0415 - a child pays for it with the first drawing, and the server never
    from PIL import Image  # noqa: PLC0415 - the same

    has_text = "<text" in order.svg
    fonts = _fonts() if has_text else NO_FONTS
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=order.svg,
            skip_system_fonts=not has_text,
            font_family=fonts.sans_serif,
            sans_serif_family=fonts.sans_serif,
            serif_family=fonts.serif,
            monospace_family=fonts.monospace,
            font_files=fonts.files,
        )
    except ValueError as error:
        raise ValueError("The drawing cannot be rasterised.") from error
    with Image.open(BytesIO(bytes(png)), formats=["PNG"]) as picture:
        drawn = picture.convert("RGBA")
    if drawn.size != (order.width, order.height):
        raise ValueError("The drawing does not have the size that it should have.")
    return drawn


def _opened(content: bytes) -> Picture:
    """A picture of a caller's, upright, with its transparency."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - a child pays for it with the first drawing

    try:
        with Image.open(BytesIO(content), formats=_READABLE) as picture:
            if picture.width * picture.height > READ_PIXELS:
                raise ValueError("The picture to draw on is too large.")
            upright = ImageOps.exif_transpose(picture)
            return upright.convert("RGBA")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError("The picture to draw on is too large.") from error
    except (OSError, SyntaxError) as error:  # what Pillow says of a broken picture
        raise ValueError("The picture to draw on cannot be read.") from error


def _fitted(picture: Picture, order: SketchOrder) -> Picture:
    """The whole picture, as large as the canvas lets it be, in its middle."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - imported already

    canvas = (order.width, order.height)
    if picture.size == canvas:
        return picture
    return ImageOps.pad(picture, canvas, method=Image.Resampling.LANCZOS, color=(0, 0, 0, 0))


def _laid(drawn: Picture, beneath: Picture, mask: Picture | None, *, covers: bool) -> Picture:
    from PIL import Image, ImageChops  # noqa: PLC0415 - imported already

    changed = drawn if covers else Image.alpha_composite(beneath, drawn)
    if mask is None:
        return changed
    kept = mask.getchannel("A").resize(beneath.size)
    if kept.getextrema()[0] == 255:  # noqa: PLR2004 - wholly opaque
        raise ValueError("The mask has no transparent pixels, so it says nowhere what may change.")
    return Image.composite(changed, beneath, ImageChops.invert(kept))


def _encoded(drawn: Picture, order: SketchOrder, *, is_alone: bool) -> bytes:
    from PIL import Image  # noqa: PLC0415 - imported already
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415 - the same

    if order.background != "transparent" or order.format == "jpeg":
        drawn = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")
    file = BytesIO()
    match order.format:
        case "png":
            texts = PngInfo()
            if is_alone:
                texts.add_itxt(SOURCE, order.svg, zip=True)
            drawn.save(file, "PNG", pnginfo=texts)
        case "gif":
            drawn.save(file, "GIF")
        case lossy:
            drawn.save(file, lossy.upper(), quality=order.compression)
    return file.getvalue()


@cache
def _fonts() -> Fonts:
    """The families of this machine that stand for the generic ones, or the small font that Pillow carries."""
    families = {family: None for font in _font_files() if (family := _family(font))}
    anything = next(iter(families), None)
    if anything is None:
        return _own_font()
    sans = _first(_SANS, families) or anything
    return Fonts(
        sans_serif=sans, serif=_first(_SERIF, families) or sans, monospace=_first(_MONOSPACE, families) or sans
    )


def _first(names: Sequence[str], families: Container[str]) -> str | None:
    return next((name for name in names if name in families), None)


def _font_files() -> Iterator[Path]:
    names = (
        Path(place) / name
        for folder in _FONT_FOLDERS
        for place, _, names in os.walk(_expanded(folder))
        for name in names
        if name.lower().endswith((".ttf", ".otf", ".ttc"))
    )
    return islice(names, _ENOUGH_FONTS)


def _expanded(folder: str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError:  # a user without a home
        return Path(folder)


def _family(file: Path) -> str | None:
    from PIL import ImageFont  # noqa: PLC0415 - a child pays for it with the first text

    try:
        return ImageFont.truetype(file, 12).getname()[0]
    except (OSError, ValueError):
        return None


def _own_font() -> Fonts:
    """The font that Pillow carries, as a file in memory; none where there can be no such file."""
    from PIL import ImageFont  # noqa: PLC0415 - a child pays for it with the first text

    font = ImageFont.load_default(12)
    if sys.platform != "linux" or not isinstance(font, ImageFont.FreeTypeFont):
        return NO_FONTS
    file = os.memfd_create("font")  # open as long as the process lives
    try:
        os.write(file, font.font_bytes)
    except OSError:  # a child that may not write so much
        os.close(file)
        return NO_FONTS
    family = font.getname()[0]
    return Fonts(sans_serif=family, serif=family, monospace=family, files=[f"/proc/self/fd/{file}"])
