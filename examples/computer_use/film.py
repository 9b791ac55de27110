"""What happened on the screen as one picture: a film strip of small screenshots with what was done on each."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.ImageFont import FreeTypeFont

COLUMNS = 3
WIDTH = 400
"""Of a frame, in pixels; its height follows."""
GAP = 18
LINE = 21
LINES = 2
"""A caption has no more; it ends in dots where it is longer."""
LETTER = 15
RING, TAG = 14, 9
"""The radius of the ring around a place, and that of its number, in pixels."""
COLOURS = 256
PAPER, INK, MARK = "#1b1f24", "#e6e8eb", "#e5006d"


class Frame(NamedTuple):
    """A screenshot, what was done on it, and where, in its pixels."""

    screenshot: bytes
    caption: str
    marks: Sequence[tuple[int, int]] = ()


class Film:
    """The frames so far."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []

    def add(self, frame: Frame) -> None:
        """Put a frame to the others."""
        self._frames.append(frame)

    def save(self, path: Path) -> None:
        """Write them all as one PNG, from left to right and from top to bottom. Without a frame, write nothing."""
        if self._frames:
            strip(self._frames).quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
                path, "PNG", optimize=True
            )


def strip(frames: Sequence[Frame]) -> Image.Image:
    """Lay frames out: rows of ``COLUMNS``, each frame ``WIDTH`` wide with ``LINES`` of caption below."""
    shots = [shown(frame) for frame in frames]
    columns, rows = min(COLUMNS, len(shots)), -(-len(shots) // COLUMNS)
    height = max(shot.height for shot in shots) + LINES * LINE + GAP // 2
    paper = Image.new("RGB", (columns * (WIDTH + GAP) + GAP, rows * (height + GAP) + GAP), PAPER)
    pen, font = ImageDraw.Draw(paper), lettering(LETTER)
    for number, (shot, frame) in enumerate(zip(shots, frames, strict=True)):
        row, column = divmod(number, COLUMNS)
        left, top = GAP + column * (WIDTH + GAP), GAP + row * (height + GAP)
        paper.paste(shot, (left, top))
        for index, line in enumerate(lines(f"{number + 1}  {frame.caption}", font)):
            pen.text((left, top + shot.height + GAP // 2 + index * LINE), line, fill=INK, font=font)
    return paper


def shown(frame: Frame) -> Image.Image:
    """Give the screenshot of a frame, made small, with a ring wherever something was done."""
    with Image.open(io.BytesIO(frame.screenshot)) as opened:
        full = opened.convert("RGB")
    scale = WIDTH / full.width
    small = full.resize((WIDTH, round(full.height * scale)), Image.Resampling.LANCZOS)
    pen, font = ImageDraw.Draw(small), lettering(TAG + 2)
    for number, (x, y) in enumerate(frame.marks, 1):
        centre, corner = (x * scale, y * scale), (x * scale + RING, y * scale - RING)
        pen.circle(centre, RING, outline="white", width=5)
        pen.circle(centre, RING - 1, outline=MARK, width=3)
        pen.circle(corner, TAG, fill=MARK, outline="white")
        pen.text(corner, str(number), fill="white", font=font, anchor="mm")
    return small


def lines(text: str, font: FreeTypeFont) -> list[str]:
    """Break a caption into the lines that it has room for."""
    broken = [""]
    for word in text.split(" "):
        longer = f"{broken[-1]} {word}" if broken[-1] else word
        if font.getlength(longer) <= WIDTH:
            broken[-1] = longer
        else:
            broken.append(word)
    kept = broken[:LINES]
    if len(broken) > LINES or font.getlength(kept[-1]) > WIDTH:
        while font.getlength(f"{kept[-1]} ...") > WIDTH:
            kept[-1] = kept[-1][:-1]
        kept[-1] += " ..."
    return kept


def lettering(size: int) -> FreeTypeFont:
    """Give the letters that Pillow brings along."""
    font = ImageFont.load_default(size)
    if isinstance(font, ImageFont.ImageFont):
        raise TypeError("Pillow was built without FreeType, and cannot write captions.")
    return font
