"""A drawing as a list of shapes: whatever fits the schema is drawn, and what does not is refused."""

from __future__ import annotations

import msgspec
import pytest

from antiphon.backends.scripted.instance import instance
from antiphon.protocol.settings import FormatJsonSchema
from antiphon.tools.image_generation.svg import shapes
from antiphon.tools.image_generation.svg.cleaning import cleaned
from antiphon.tools.image_generation.svg.elements import Undrawable
from antiphon.tools.image_generation.svg.prompting import Canvas

CANVAS = Canvas(512, 256)
BOX = {"x": 10, "y": 20, "width": 40, "height": 30, "color": "#d9261c", "name": "it"}


def said(**shape: object) -> str:
    """One shape as a model says it."""
    return msgspec.json.encode({"shapes": [{**BOX, **shape}]}).decode()


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [
        ({"kind": "rect"}, '<rect x="10" y="20" width="40" height="30" fill="#d9261c"/>'),
        ({"kind": "ellipse"}, '<ellipse cx="30" cy="35" rx="20" ry="15" fill="#d9261c"/>'),
        ({"kind": "circle"}, '<ellipse cx="30" cy="35" rx="15" ry="15" fill="#d9261c"/>'),
        ({"kind": "triangle"}, '<polygon points="10,50 30,20 50,50" fill="#d9261c"/>'),
        ({"kind": "line"}, '<line x1="10" y1="20" x2="50" y2="50" stroke="#d9261c" stroke-width="6"/>'),
        ({"kind": "text", "text": "a<b"}, '<text x="10" y="50" font-size="30" fill="#d9261c">a&lt;b</text>'),
        ({"kind": "rect", "color": 'red"/><script>'}, '<rect x="10" y="20" width="40" height="30" fill="#888888"/>'),
        ({"kind": "rect", "width": 0, "height": -5}, '<rect x="10" y="20" width="1" height="1" fill="#d9261c"/>'),
    ],
)
def test_each_shape_fills_its_box(shape: dict[str, object], drawn: str) -> None:
    """What is drawn passes the cleaning, like any SVG that a model writes."""
    svg = shapes.written(f"Here it is: {said(**shape)} Done.", CANVAS)
    assert [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 256">',
        drawn,
        "</svg>",
    ] == svg.splitlines()
    assert cleaned(svg).content


@pytest.mark.parametrize("said", ["", "no", '{"shapes":[]}', '{"shapes":[{"kind":"star"}]}', "{" * 5000])
def test_what_is_no_list_of_shapes_is_refused(said: str) -> None:
    """With a reason that says so."""
    with pytest.raises(Undrawable, match="no list of shapes"):
        shapes.written(said, CANVAS)


def test_a_list_without_end_is_cut() -> None:
    """More shapes than a picture needs are not drawn."""
    many = msgspec.json.encode({"shapes": [{**BOX, "kind": "rect"}] * 500}).decode()
    assert shapes.MOST_SHAPES == shapes.written(many, CANVAS).count("<rect")


def test_a_model_is_held_to_the_form() -> None:
    """The turn brings a schema, and whatever fits it can be drawn."""
    turn = shapes.turn("a boat", CANVAS, model="m", tokens=99)
    assert turn.text is not None
    assert isinstance(turn.text.format, FormatJsonSchema)
    least = msgspec.json.encode(instance(turn.text.format.schema_)).decode()
    assert shapes.written(least, CANVAS).startswith("<svg")
    assert ("m", 99, True) == (turn.model, turn.max_output_tokens, "512 wide and 256 high" in (turn.instructions or ""))


def test_what_fills_the_canvas_lies_beneath() -> None:
    """Small models say the ground last."""
    ground = {**BOX, "kind": "rect", "x": 0, "y": 0, "width": 512, "height": 256, "color": "#ffffff"}
    listed = msgspec.json.encode({"shapes": [{**BOX, "kind": "circle"}, ground]}).decode()
    assert ["rect", "ellipse"] == [line.split()[0][1:] for line in shapes.written(listed, CANVAS).splitlines()[1:-1]]
