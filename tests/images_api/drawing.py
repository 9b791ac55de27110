"""Pictures out of words, always the same for the same words: shapes whose places and colours are the words' hash."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Sequence

Size = tuple[int, int]

SHAPES = 6
COARSEST = 5
"""So often an unfinished picture is halved and doubled again, less each time that it is shown."""


def drawn(prompt: str, size: Size, *, transparent: bool = False) -> Image.Image:
    """A picture of a prompt."""
    seed = hashlib.sha512(prompt.encode()).digest()
    picture = Image.new("RGBA", size, (0, 0, 0, 0) if transparent else (seed[0], seed[1], seed[2], 255))
    _shape(picture, seed)
    return picture


def edited(prompt: str, pictures: Sequence[Image.Image], mask: Image.Image | None, size: Size | None) -> Image.Image:
    """The first picture with the shapes of a prompt on it and the others in its corner, where the mask is transparent.

    Raises ``ValueError`` for a mask of another size than the first picture.
    """
    first = pictures[0].convert("RGBA")
    changed = first.copy()
    for other in pictures[1:]:
        small = other.convert("RGBA").resize((max(1, first.width // 4), max(1, first.height // 4)))
        changed.alpha_composite(small)
    _shape(changed, hashlib.sha512(prompt.encode()).digest())
    if mask is not None:
        if mask.size != first.size:
            raise ValueError("the mask has another size")
        changed = Image.composite(changed, first, ImageChops.invert(mask.convert("RGBA").getchannel("A")))
    return changed if size is None else changed.resize(size)


def blurred(picture: Image.Image, step: int) -> Image.Image:
    """A picture as it is before it is finished; each step is sharper than the one before."""
    part = 2 ** max(1, COARSEST - step)
    small = picture.resize((max(1, picture.width // part), max(1, picture.height // part)))
    return small.resize(picture.size, Image.Resampling.NEAREST)


def encoded(picture: Image.Image, form: str = "png", quality: int = 100) -> bytes:
    """A picture's file."""
    file = BytesIO()
    match form:
        case "jpeg":
            picture.convert("RGB").save(file, "JPEG", quality=quality)
        case "webp":
            picture.save(file, "WEBP", quality=quality)
        case "svg":  # it cannot, and says so by its bytes
            picture.save(file, "PNG")
        case _:
            picture.save(file, form.upper())
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    """A file's picture, wholly read."""
    picture = Image.open(BytesIO(content))
    picture.load()
    return picture


def _shape(picture: Image.Image, seed: bytes) -> None:
    pen = ImageDraw.Draw(picture)
    for number in range(SHAPES):
        kind, x, y, edge, red, green, blue = seed[8 + 7 * number : 15 + 7 * number]
        left, top = x * picture.width // 320, y * picture.height // 320
        right, bottom = left + (edge + 64) * picture.width // 640, top + (edge + 64) * picture.height // 640
        draw = (pen.rectangle, pen.ellipse)[kind % 2]
        draw((left, top, right, bottom), fill=(red, green, blue, 255))
