"""The parts of the example of computer use that need no browser: the shop, the eyes, the film, words for actions."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any  # chat completions as JSON

import pytest
from openai.types.responses import computer_action as act
from PIL import Image, ImageDraw, ImageFont

from examples.computer_use import film, seeing, shop, steps
from examples.computer_use.film import Film, Frame
from tests.patient import get, post
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai.types.responses.computer_action import ComputerAction

ORDER = {"title": 'A "book" & more', "reader": "Ada <3", "address": "1 Quay", "card": "4711"}
FULL = seeing.Field((0, 0, 9, 9), is_empty=False, is_focused=False)
LOOK = {"type": "screenshot"}


@pytest.fixture(scope="module")
def library() -> Iterator[str]:
    """The pages that a book is ordered on."""
    with listening(shop.Shop) as url:
        yield url.removesuffix("/v1")


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    """The model that sees colours."""
    with listening(seeing.Eyes) as url:
        yield url


def png(picture: Image.Image) -> bytes:
    """A picture as it is sent."""
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def form(*, typed: str = "", yellow: bool = False, button: bool = True) -> Image.Image:
    """A page with a blue field, in which something may stand, and a button, at places of the test's own."""
    picture = Image.new("RGB", (640, 480), "white")
    pen = ImageDraw.Draw(picture)
    pen.rectangle((100, 50, 500, 100), seeing.FIELDS["blue"])
    pen.rectangle((116, 54, 496, 96), "#fff4c2" if yellow else "white")
    pen.text((170, 75), typed, "#24292f", ImageFont.load_default(20), anchor="lm")
    if button:
        pen.rectangle((300, 200, 399, 249), seeing.BUTTON)
    return picture


def ask(url: str, *pictures: Image.Image, most: int = 9, words: str = "") -> dict[str, Any]:
    """Ask the model for its next step, with a tool that takes so many actions; gives the message that it streams."""
    shown = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + b64encode(png(p)).decode()}}
        for p in pictures
    ]
    actions = {"type": "array", "minItems": 1, "maxItems": most, "items": {}}
    function = {"name": "computer", "description": words, "parameters": {"properties": {"actions": actions}}}
    body = {
        "messages": [
            {"role": "user", "content": 'Fill in: blue is "Moby-Dick".'},
            *([{"role": "user", "content": shown}] if shown else []),
        ],
        "tools": [{"type": "function", "function": function}],
        "stream": True,
    }
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "arguments": "", "finish_reason": None}
    for line in post(f"{url}/chat/completions", json=body).text.splitlines():
        if line.startswith("data: {"):
            choice = json.loads(line.removeprefix("data: "))["choices"][0]
            for key in ("content", "reasoning_content"):
                message[key] += choice["delta"].get(key, "")
            for call in choice["delta"].get("tool_calls", []):
                message["arguments"] += call["function"]["arguments"]
            message["finish_reason"] = choice["finish_reason"]
    return message


def test_the_shop_brings_answers_along_and_tells_of_all_of_them(library: str) -> None:
    """Each page shows what was typed, as text and not as HTML, and the number at the end is made of it."""
    assert "The Harbour Library" in get(library).text
    assert "input.blue" in get(f"{library}/shop.css").text
    delivery = post(f"{library}/delivery", data=ORDER).text
    assert "A &quot;book&quot; &amp; more" in delivery
    assert "Ada <3" not in delivery
    done = post(f"{library}/done", data=ORDER).text
    assert shop.shining(shop.order_number(ORDER)) in done
    assert shop.order_number(ORDER) != shop.order_number(ORDER | {"card": "4712"})
    assert shop.order_number(ORDER) != shop.order_number(ORDER | {"neighbour": "yes"})


@pytest.mark.parametrize(
    ("path", "answers"),
    [
        ("/delivery", {"title": "A"}),
        ("/done", ORDER | {"card": " "}),
        ("/nowhere", ORDER),
        ("/done", {"card": "4" * 20_000}),
    ],
)
def test_the_shop_takes_whole_forms_alone(library: str, path: str, answers: dict[str, str]) -> None:
    """What is missing, unknown or too long is an error of the client's."""
    assert post(library + path, data=answers).status_code in {400, 404}
    assert 404 == get(library + "/nowhere").status_code


def test_the_model_looks_before_it_acts(model: str) -> None:
    """Without a picture it asks for one, and does nothing else."""
    told = ask(model)
    assert [LOOK] == json.loads(told["arguments"])["actions"]
    assert "tool_calls" == told["finish_reason"]


@pytest.mark.parametrize("scale", [1, 0.75, 0.5])
def test_the_model_fills_in_what_is_empty_where_it_sees_it(model: str, scale: float) -> None:
    """It points in pixels of the picture that it was shown, however small that was made."""
    picture = form()
    small = picture.resize((round(640 * scale), round(480 * scale)), Image.Resampling.LANCZOS)
    click, typing = json.loads(ask(model, small)["arguments"])["actions"]
    assert (300 * scale, 75 * scale) == pytest.approx((click["x"], click["y"]), abs=2)
    assert {"type": "type", "text": "Moby-Dick"} == typing


def test_the_model_presses_what_is_green_when_all_is_filled_in(model: str) -> None:
    """That it was filled in it sees, and says."""
    told = ask(model, form(typed="Moby-Dick"))
    assert [{"type": "click", "button": "left", "x": 350, "y": 225}] == json.loads(told["arguments"])["actions"]
    assert "I see a blue field that is full, a green button." == told["reasoning_content"]


def test_the_model_does_one_thing_where_the_tool_takes_one(model: str) -> None:
    """It clicks, then sees by the field's ground that it did, and types."""
    (click,) = json.loads(ask(model, form(), most=1)["arguments"])["actions"]
    (typing,) = json.loads(ask(model, form(yellow=True), most=1)["arguments"])["actions"]
    assert ("click", "type") == (click["type"], typing["type"])


def test_the_model_points_in_thousandths_where_it_is_told_to(model: str) -> None:
    """As the description of the tool says."""
    click, _ = json.loads(ask(model, form(), words="Places are thousandths of the screen.")["arguments"])["actions"]
    assert (468, 156) == (click["x"], click["y"])


def test_the_model_scrolls_until_there_is_no_more_to_see(model: str) -> None:
    """Where scrolling changed nothing, it says so."""
    page = form(typed="Moby-Dick", button=False)
    (scroll,) = json.loads(ask(model, page)["arguments"])["actions"]
    assert ("scroll", 320) == (scroll["type"], scroll["scroll_y"])
    told = ask(model, page, page)
    assert ("stop", "") == (told["finish_reason"], told["arguments"])
    assert told["content"].startswith("I see nothing that I could do")


@pytest.mark.parametrize("number", ["123456", "178901", "111111", "987650"])
@pytest.mark.parametrize("size", [90, 45, 30])
def test_the_model_reads_the_number_that_shines(model: str, number: str, size: int) -> None:
    """It knows how digits look, and neither where they are nor how large."""
    drawn = Image.new("RGB", (80 * len(number) + 40, 164), "#22201c")
    pen = ImageDraw.Draw(drawn)
    for place, letter in enumerate(number):
        for bar, (left, top, width, height) in shop.SEGMENTS.items():
            x, y = 30 + 80 * place + left, 30 + top
            colour = seeing.LIT if bar in shop.DIGITS[int(letter)] else seeing.DIM
            pen.rectangle((x, y, x + width - 1, y + height - 1), colour)
    page = Image.new("RGB", (640, 480), "white")
    page.paste(
        drawn.resize((drawn.width * size // 104, drawn.height * size // 104), Image.Resampling.LANCZOS), (77, 203)
    )
    assert f"The number is {number}." == ask(model, page)["content"]


def test_a_film_has_a_frame_for_each_step(tmp_path: Path) -> None:
    """Rows of three, a ring where something was done, and a caption that is not longer than its place."""
    shot = png(Image.new("RGB", (1024, 768), "#8899aa"))
    made = Film()
    for number in range(7):
        made.add(Frame(shot, "click somewhere " * 20, [(512, 384)] * (number == 6)))
    made.save(tmp_path / "film.png")
    with Image.open(tmp_path / "film.png") as opened:
        strip = opened.convert("RGB")
    height = 300 + film.LINES * film.LINE + film.GAP // 2
    assert (3 * (film.WIDTH + film.GAP) + film.GAP, 3 * (height + film.GAP) + film.GAP) == strip.size
    last = strip.crop((film.GAP, film.GAP + 2 * (height + film.GAP), film.GAP + film.WIDTH, film.GAP + 3 * height))
    assert (0xE5, 0x00, 0x6D) == last.getpixel((200 - film.RING + 2, 150))
    assert (0x88, 0x99, 0xAA) == last.getpixel((200, 150)), "what was clicked is seen"
    assert all(
        film.lettering(film.LETTER).getlength(line) <= film.WIDTH
        for line in film.lines("word " * 90, film.lettering(film.LETTER))
    )


def test_a_film_without_frames_is_not_written(tmp_path: Path) -> None:
    """There was nothing to be seen."""
    Film().save(tmp_path / "film.png")
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "places", "action"),
    [
        ("click at 1, 2", [(1, 2)], act.Click(type="click", button="left", x=1, y=2)),
        (
            "wheel click at 1, 2 with ALT+A",
            [(1, 2)],
            act.Click(type="click", button="wheel", x=1, y=2, keys=["ALT", "A"]),
        ),
        ("double click at 1, 2", [(1, 2)], act.DoubleClick(type="double_click", x=1, y=2)),
        (
            "drag from 1, 2 to 5, 6",
            [(1, 2), (5, 6)],
            act.Drag(type="drag", path=[act.DragPath(x=1, y=2), act.DragPath(x=3, y=4), act.DragPath(x=5, y=6)]),
        ),
        ("press CTRL+A", [], act.Keypress(type="keypress", keys=["CTRL", "A"])),
        ("move to 1, 2", [(1, 2)], act.Move(type="move", x=1, y=2)),
        ("look", [], act.Screenshot(type="screenshot")),
        ("scroll left by 5 and down by 9", [(1, 2)], act.Scroll(type="scroll", x=1, y=2, scroll_x=-5, scroll_y=9)),
        ("scroll by nothing", [(1, 2)], act.Scroll(type="scroll", x=1, y=2, scroll_x=0, scroll_y=0)),
        ('type "two lines"', [], act.Type(type="type", text="two\nlines")),
        (f'type "{"o" * 48}..."', [], act.Type(type="type", text="o" * 99)),
        ("wait", [], act.Wait(type="wait")),
    ],
)
def test_an_action_is_told_in_words_and_places(
    words: str, places: list[tuple[int, int]], action: ComputerAction
) -> None:
    """A person reads what is to be done, and a film shows where."""
    assert words == steps.in_words(action)
    assert places == steps.places(action)
