"""The last resort: a drawing as a list of shapes in JSON, which a backend can hold a model to. Pure.

A small model loses its way in SVG; a list whose form it cannot leave always comes to a picture.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from antiphon.core.turn import Turn
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Message
from antiphon.protocol.settings import FormatJsonSchema, TextConfig
from antiphon.tools.image_generation.svg.elements import Undrawable

if TYPE_CHECKING:
    from antiphon.tools.image_generation.svg.prompting import Canvas

MOST_SHAPES = 40
MOST_WORDS = 60
GROUND = 0.8
"""A shape that fills this part of the canvas is the ground, whenever it is said."""

_COLORS = re.compile(r"#[0-9A-Fa-f]{6}|#[0-9A-Fa-f]{3}|[A-Za-z]{3,20}")
_GREY = "#888888"

Kind = Literal["rect", "circle", "ellipse", "triangle", "line", "text"]

INSTRUCTIONS = (
    "You draw pictures as a list of shapes in JSON. The canvas is {width} wide and {height} high: x grows to the right "
    "and y downwards. Each shape has the name of what it shows, a kind, the corner x,y of the box that it fills, the "
    "box's width and height, and a color such as #d9261c. List what is behind first: the background, the ground, the "
    "things, their details. Draw what is asked for in 6 to 16 shapes."
)


class Shape(Struct, frozen=True):
    """A shape that fills a box of the canvas."""

    kind: Kind
    x: float
    y: float
    width: float
    height: float
    color: str = _GREY
    name: str = ""
    text: str = ""


class Shapes(Struct, frozen=True):
    """A drawing, what is behind first."""

    shapes: Annotated[list[Shape], Meta(min_length=1)]


def turn(prompt: str, canvas: Canvas, *, model: str, tokens: int) -> Turn:
    """The turn of a model that lists shapes."""
    return Turn(
        items=[Message(role="user", content=[InputText(text=f"Draw: {prompt}")])],
        model=model,
        instructions=INSTRUCTIONS.format(width=canvas.width, height=canvas.height),
        text=TextConfig(format=FormatJsonSchema(name="drawing", schema_=_schema(canvas), strict=True)),
        max_output_tokens=tokens,
    )


def written(said: str, canvas: Canvas) -> str:
    """The shapes as SVG. Raises `Undrawable` where there are none."""
    start = said.find("{")
    try:
        drawing = _decode(said[max(start, 0) : said.rfind("}") + 1])
    except (msgspec.DecodeError, RecursionError) as error:
        raise Undrawable("The answer is no list of shapes.") from error
    whole = GROUND * canvas.width * canvas.height
    behind_first = sorted(drawing.shapes[:MOST_SHAPES], key=lambda shape: shape.width * shape.height < whole)
    drawn = "\n".join(_element(shape) for shape in behind_first)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {canvas.width} {canvas.height}">\n{drawn}\n</svg>'


def _schema(canvas: Canvas) -> dict[str, object]:
    def number(most: int) -> dict[str, object]:
        return {"type": "integer", "minimum": 0, "maximum": most}

    properties = {
        "name": {"type": "string", "maxLength": 30},
        "kind": {"type": "string", "enum": ["rect", "circle", "ellipse", "triangle", "line", "text"]},
        "x": number(canvas.width),
        "y": number(canvas.height),
        "width": number(canvas.width),
        "height": number(canvas.height),
        "color": {"type": "string", "pattern": "^#[0-9a-f]{6}$"},
        "text": {"type": "string", "maxLength": MOST_WORDS},
    }
    shape = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    shapes = {"type": "array", "items": shape, "minItems": 3, "maxItems": 16}
    return {"type": "object", "properties": {"shapes": shapes}, "required": ["shapes"], "additionalProperties": False}


def _element(shape: Shape) -> str:
    x, y, width, height = shape.x, shape.y, max(shape.width, 1), max(shape.height, 1)
    color = shape.color if _COLORS.fullmatch(shape.color) else _GREY
    match shape.kind:
        case "rect":
            return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{color}"/>'
        case "circle" | "ellipse":
            rx, ry = width / 2, height / 2
            if shape.kind == "circle":
                rx = ry = min(rx, ry)
            return f'<ellipse cx="{x + width / 2:g}" cy="{y + height / 2:g}" rx="{rx:g}" ry="{ry:g}" fill="{color}"/>'
        case "triangle":
            corners = f"{x:g},{y + height:g} {x + width / 2:g},{y:g} {x + width:g},{y + height:g}"
            return f'<polygon points="{corners}" fill="{color}"/>'
        case "line":
            end = f'x2="{x + width:g}" y2="{y + height:g}"'
            return f'<line x1="{x:g}" y1="{y:g}" {end} stroke="{color}" stroke-width="6"/>'
        case "text":
            size, words = min(height, 64), escape(shape.text[:MOST_WORDS])
            return f'<text x="{x:g}" y="{y + size:g}" font-size="{size:g}" fill="{color}">{words}</text>'


_decode = msgspec.json.Decoder(Shapes, strict=False).decode
