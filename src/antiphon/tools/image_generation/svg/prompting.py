"""What a language model is told so that it draws: short, always the same, and with examples. Pure.

The words and examples are for small models: a model of 1.5 billion parameters copies the manner of the examples, so the
examples have a ground, things side by side, parts that are named in comments, and words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.core.turn import Turn
from antiphon.protocol.content import InputText, OutputText
from antiphon.protocol.items import Message
from antiphon.tools.image_generation.svg.cleaning import CANVAS

if TYPE_CHECKING:
    from antiphon.protocol.items import Item

MOST_SHOWN = 12_000
"""Characters of a drawing that a model is shown to change, or of an answer that it is shown again."""
ENDLESS = 24
KINDS_OF_ENDLESS = 2
"""So many tags in a row, of so few kinds, differ in numbers alone: a model that says them has lost its way."""

INSTRUCTIONS = """\
You draw pictures as SVG code. Reply with one SVG document and nothing else.
The canvas is {width} wide and {height} high: x grows to the right, y grows downwards, the middle is {x},{y}.
Name each thing in a comment and draw it out of 2 to 8 filled shapes (rect, circle, ellipse, polygon, path) in the \
colours that it has. Draw what is behind first: the background, the ground, the things, their details. Things stand \
side by side. Write words with <text>. Draw only what was asked for, each thing once, then stop with </svg>."""

_EXAMPLES = (
    (
        "a brown dog beside a red ball in the park",
        """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512">
<!-- sky, grass -->
<rect x="0" y="0" width="512" height="512" fill="#8fd3ff"/>
<rect x="0" y="350" width="512" height="162" fill="#5cb85c"/>
<!-- dog: body, legs, head, ears, eyes, nose -->
<ellipse cx="170" cy="320" rx="95" ry="60" fill="#8b5a2b"/>
<rect x="100" y="350" width="26" height="75" fill="#7a4a21"/>
<rect x="210" y="350" width="26" height="75" fill="#7a4a21"/>
<circle cx="260" cy="240" r="58" fill="#8b5a2b"/>
<ellipse cx="212" cy="235" rx="18" ry="42" fill="#5a3516"/>
<ellipse cx="308" cy="235" rx="18" ry="42" fill="#5a3516"/>
<circle cx="242" cy="228" r="8" fill="#111111"/>
<circle cx="280" cy="228" r="8" fill="#111111"/>
<ellipse cx="261" cy="262" rx="13" ry="9" fill="#111111"/>
<!-- ball -->
<circle cx="410" cy="385" r="42" fill="#d9261c"/>
</svg>""",
    ),
    (
        "a white shop with a sign that says TEA, and a tree, at night",
        """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512">
<!-- night sky, street -->
<rect x="0" y="0" width="512" height="512" fill="#1b2a49"/>
<rect x="0" y="400" width="512" height="112" fill="#555555"/>
<!-- moon -->
<circle cx="430" cy="80" r="40" fill="#fdf3c0"/>
<!-- shop: wall, roof, door, window, sign, word -->
<rect x="60" y="220" width="240" height="180" fill="#f5f5f5"/>
<polygon points="40,220 180,120 320,220" fill="#444c5c"/>
<rect x="90" y="300" width="60" height="100" fill="#7a4a21"/>
<rect x="190" y="310" width="80" height="60" fill="#ffd93b"/>
<rect x="100" y="235" width="160" height="50" fill="#2e7d32"/>
<text x="180" y="272" font-size="36" text-anchor="middle" fill="#ffffff">TEA</text>
<!-- tree: trunk, leaves -->
<rect x="400" y="310" width="30" height="90" fill="#6b4423"/>
<circle cx="415" cy="270" r="70" fill="#2f8f3a"/>
</svg>""",
    ),
)
MOST_COPIES = 3
NUMBERS_OF_SHAPE = 3
"""A shape with so many numbers that is drawn so often is seen but once."""
FEW_SHAPES = 3
_FILLS = re.compile(r'fill="([^"]+)"')
_DIGITS = re.compile(r"[-\d.]+")
_TAG = re.compile(r"<\w[^<>]*>")


class Canvas(Struct, frozen=True):
    """What is drawn on, in units of the drawing."""

    width: int
    height: int


def canvas_for(width: int, height: int) -> Canvas:
    """The canvas of a picture of so many pixels: of its form, with a longer edge of `CANVAS` units."""
    longer = max(width, height)
    return Canvas(max(1, round(CANVAS * width / longer)), max(1, round(CANVAS * height / longer)))


def asked(prompt: str, canvas: Canvas, *, earlier: str | None = None, lies_on_picture: bool = False) -> list[Item]:
    """What opens the talk: the examples, and the wish; ``earlier`` is the SVG of a drawing that is to be changed."""
    if earlier is not None:
        wish = f"Here is a drawing:\n{earlier}\n\nDraw it again, whole, with this change: {prompt}"
    elif lies_on_picture:
        wish = (
            "There is a picture on the canvas already. Draw only what is added to it, without a background: " + prompt
        )
    else:
        wish = f"Draw: {prompt}"
    size = f'Begin with <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {canvas.width} {canvas.height}">.'
    examples = [said for asked, drawing in _EXAMPLES for said in (_user(f"Draw: {asked}"), _assistant(drawing))]
    return [*examples, _user(f"{wish}\n{size}")]


def asked_again(items: list[Item], said: str, fault: str) -> list[Item]:
    """The same after an answer that could not be drawn, with the reason."""
    wish = f"This could not be drawn: {fault} Reply with one whole, simpler SVG document."
    return [*items, _assistant(said[:MOST_SHOWN] or "<svg/>"), _user(wish)]


def turn(items: list[Item], canvas: Canvas, *, model: str, tokens: int) -> Turn:
    """The turn of a model that draws."""
    told = INSTRUCTIONS.format(width=canvas.width, height=canvas.height, x=canvas.width // 2, y=canvas.height // 2)
    return Turn(items=items, model=model, instructions=told, max_output_tokens=tokens)


def end_of_sense(said: str) -> int | None:
    """Where a model has lost its way: it draws the same shapes again, or nothing but the same with other numbers.

    None where it has not.
    """
    tags = list(_TAG.finditer(said, max(0, len(said) - 200 * ENDLESS)))[-ENDLESS:]
    if not tags:
        return None
    last = tags[-1][0]
    again = [tag for tag in tags if tag[0] == last]
    if len(again) == MOST_COPIES and len(_DIGITS.findall(last)) >= NUMBERS_OF_SHAPE:
        return again[1].start()
    if len(tags) < ENDLESS or len({_DIGITS.sub("0", tag[0]) for tag in tags}) > KINDS_OF_ENDLESS:
        return None
    return tags[KINDS_OF_ENDLESS].start()


def is_of_one_color(drawing: str) -> bool:
    """Whether nothing can be told from anything else: several shapes, and one fill."""
    fills = _FILLS.findall(drawing)
    return len(fills) >= FEW_SHAPES and len(set(fills)) == 1


def _user(text: str) -> Message:
    return Message(role="user", content=[InputText(text=text)])


def _assistant(text: str) -> Message:
    return Message(role="assistant", content=[OutputText(text=text)])
