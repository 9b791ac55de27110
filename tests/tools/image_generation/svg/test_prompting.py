"""What a model is told, and how it is noticed that it has lost its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.protocol.content import InputText, OutputText
from antiphon.protocol.items import Message
from antiphon.tools.image_generation.svg.cleaning import cleaned
from antiphon.tools.image_generation.svg.mending import found, mended
from antiphon.tools.image_generation.svg.prompting import (
    ENDLESS,
    Canvas,
    asked,
    asked_again,
    canvas_for,
    end_of_sense,
    turn,
)

if TYPE_CHECKING:
    from antiphon.protocol.items import Item

CANVAS = Canvas(512, 341)
STARS = "".join(f'<circle cx="{number}" cy="1" r="1"/>' for number in range(ENDLESS))


def texts(items: list[Item]) -> list[str]:
    """What was said, and by whom."""
    said: list[str] = []
    for item in items:
        assert isinstance(item, Message)
        (part,) = item.content
        assert isinstance(part, InputText | OutputText)
        said.append(f"{item.role}: {part.text}")
    return said


@pytest.mark.parametrize(
    ("size", "canvas"),
    [
        ((1024, 1024), Canvas(512, 512)),
        ((1536, 1024), CANVAS),
        ((1, 4096), Canvas(1, 512)),
        ((9, 16), Canvas(288, 512)),
    ],
)
def test_a_canvas_has_the_form_of_the_picture(size: tuple[int, int], canvas: Canvas) -> None:
    """Whatever its size."""
    assert canvas == canvas_for(*size)


def test_a_wish_stands_behind_examples_that_can_be_drawn() -> None:
    """The examples are good ones, and the wish names the canvas."""
    *examples, wish = texts(asked("a cat", CANVAS))
    drawings = [each for each in examples if each.startswith("assistant: ")]
    assert 2 * len(drawings) == len(examples)
    for drawing in drawings:
        assert cleaned(mended(found(drawing) or "")).view == (0, 0, 512, 512)
    assert 'user: Draw: a cat\nBegin with <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 341">.' == wish


def test_an_edit_shows_the_drawing_or_says_that_there_is_a_picture() -> None:
    """What a model that sees nothing can know of what it changes."""
    changed = texts(asked("add a cat", CANVAS, earlier="<svg>it</svg>"))[-1]
    added = texts(asked("a cat", CANVAS, lies_on_picture=True))[-1]
    assert changed.startswith(
        "user: Here is a drawing:\n<svg>it</svg>\n\nDraw it again, whole, with this change: add a cat"
    )
    assert added.startswith(
        "user: There is a picture on the canvas already. Draw only what is added to it, without a background: a cat"
    )


def test_a_second_attempt_knows_the_first() -> None:
    """And why it failed; an empty answer is shown as an empty drawing."""
    first = asked("a cat", CANVAS)
    again = texts(asked_again(first, "no", "It is bad."))
    assert texts(first) == again[:-2]
    assert [
        "assistant: no",
        "user: This could not be drawn: It is bad. Reply with one whole, simpler SVG document.",
    ] == again[-2:]
    assert "assistant: <svg/>" == texts(asked_again(first, "", "It is bad."))[-2]


def test_a_turn_is_bounded_and_offers_no_functions() -> None:
    """The model is to draw, and not for ever."""
    asking = turn(asked("a cat", CANVAS), CANVAS, model="m", tokens=99)
    assert ("m", 99, []) == (asking.model, asking.max_output_tokens, asking.functions)
    assert asking.instructions is not None
    assert "512 wide and 341 high" in asking.instructions
    assert "the middle is 256,170" in asking.instructions


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", None),
        ("no tags", None),
        (f"<svg>{STARS}", "<svg>" + STARS[: STARS.index('<circle cx="2"')]),
        (f"<svg>{STARS}<rect/><g/>", None),
        ("<svg>" + '<g x="1" y="2"><use href="#a1"/>' * 3, None),
        ("<svg>" + '<rect x="1" y="2" r="3"/>' * 2, None),
        ("<svg>" + '<rect x="1" y="2" r="3"/>' * 3, '<svg><rect x="1" y="2" r="3"/>'),
        ("<svg>{0}<g/>{0}<a/>{0}".format('<rect x="1" y="2" r="3"/>'), '<svg><rect x="1" y="2" r="3"/><g/>'),
    ],
)
def test_a_model_that_repeats_itself_is_noticed(said: str, kept: str | None) -> None:
    """What it said sensibly stays."""
    end = end_of_sense(said)
    assert kept == (None if end is None else said[:end])
