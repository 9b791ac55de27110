"""A picture in words, for parts that see nothing: its size, its colour, and the text in it."""

from __future__ import annotations

import colorsys
from collections import Counter
from typing import TYPE_CHECKING

from PIL.Image import new as new_image

from antiphon.documents import seeing
from antiphon.documents.pictures import opened, shrunk

if TYPE_CHECKING:
    from PIL.Image import Image

TEXT = 4_000
_SAMPLED = 48
_MOSTLY = 0.5
_DARK, _LIGHT, _GREY = 0.2, 0.85, 0.15
_HUES = ("red", "orange", "yellow", "green", "green", "green", "cyan", "blue", "blue", "purple", "magenta", "pink")


def description(content: bytes) -> str:
    """As ``1240x1754 pixels, PNG, mostly white; text: "..."``. Raises `Unreadable`."""
    with opened(content) as image:
        width, height = image.size
        kind = {"JPEG": "JPEG", "MPO": "JPEG", "WEBP": "WebP"}.get(image.format or "", image.format or "")
        seen = _on_white(shrunk(image, seeing.SIDE))
    return f"{width}x{height} pixels, {kind}, {_colour(seen)}; {_text(seen)}"


def _on_white(image: Image) -> Image:
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = new_image("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def _colour(image: Image) -> str:
    """The colour that most of it has, if one does."""
    small = image.resize((_SAMPLED, _SAMPLED)).convert("RGB").tobytes()
    names = Counter(_named(*small[at : at + 3]) for at in range(0, len(small), 3))
    ((name, count),) = names.most_common(1)
    return f"mostly {name}" if count > _MOSTLY * names.total() else "of many colours"


def _named(red: int, green: int, blue: int) -> str:
    hue, lightness, _ = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    colourful = (max(red, green, blue) - min(red, green, blue)) / 255
    if colourful < _GREY:
        return "black" if lightness < _DARK else "white" if lightness > _LIGHT else "grey"
    return _HUES[round(hue * 12) % 12]


def _text(image: Image) -> str:
    if not seeing.is_there():
        return "text was not looked for"
    lines = seeing.lines(image)
    if not lines:
        return "no text was found"
    text = " / ".join(lines)
    return f'text: "{text if len(text) <= TEXT else text[:TEXT] + "..."}"'
