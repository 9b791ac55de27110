"""The screen that a model acts on: its measures, and what is shown of its past."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.image_size import Pixels
from antiphon.core.screen import (
    FARTHEST,
    NOT_SHOWN,
    Run,
    Screen,
    actions_of,
    in_words,
    last_run,
    last_screen,
    last_url,
    left_out,
    old_screens,
    places,
)
from antiphon.protocol.calls import WebSearchCall
from antiphon.protocol.computer import (
    Action,
    Click,
    ComputerCall,
    ComputerCallOutput,
    DoubleClick,
    Drag,
    Keypress,
    Move,
    Point,
    Screenshot,
    Scroll,
    Type,
    Wait,
)
from antiphon.protocol.content import ComputerScreenshot, InputImage, InputText
from antiphon.protocol.items import FunctionCall, FunctionCallOutput, Item, Message, ReasoningItem

HD, SMALL = Pixels(1920, 1080), Pixels(960, 540)
SIDES = st.integers(1, 5000) | st.sampled_from([1, 2, 999, 1000, 1001, 32_768])
PIXELS = st.builds(Pixels, SIDES, SIDES)
CLICK = Click(button="left", x=1, y=2)


@st.composite
def screens(draw: st.DrawFn) -> Screen:
    """A screen whose measures are known."""
    return Screen(draw(PIXELS), draw(st.none() | PIXELS), draw(st.sampled_from(["pixels", "thousandths"])))


@st.composite
def held(draw: st.DrawFn, screen: Screen) -> Point:
    """A place of the model's on the screen."""
    unit, edge = screen.unit, int(screen.coordinates == "thousandths")
    assert unit is not None
    return Point(x=draw(st.integers(0, unit.width - 1 + edge)), y=draw(st.integers(0, unit.height - 1 + edge)))


@given(st.data())
def test_every_place_on_the_screen_is_on_the_display(data: st.DataObject) -> None:
    """However either is measured, and however small it is; the corners are the corners."""
    screen = data.draw(screens())
    point = data.draw(held(screen))
    display = screen.display
    assert display is not None
    assert screen.holds(point)
    [there] = places(screen.to_display(Move(x=point.x, y=point.y)))
    assert 0 <= there.x < display.width
    assert 0 <= there.y < display.height
    assert [Point(x=0, y=0)] == places(screen.to_display(Move(x=0, y=0)))


@given(st.data())
def test_a_place_is_told_to_the_model_about_where_it_pointed(data: st.DataObject) -> None:
    """There and back it moves no farther than one step of the coarser scale."""
    screen = data.draw(screens())
    point = data.draw(held(screen))
    unit, display = screen.unit, screen.display
    assert unit is not None
    assert display is not None
    [back] = places(screen.to_picture(screen.to_display(Move(x=point.x, y=point.y))))
    assert screen.holds(back)
    assert abs(back.x - point.x) <= 1 + unit.width / display.width
    assert abs(back.y - point.y) <= 1 + unit.height / display.height


@given(st.data())
def test_a_place_of_the_clients_comes_back_about_where_it_was(data: st.DataObject) -> None:
    """The same the other way round."""
    screen = data.draw(screens())
    unit, display = screen.unit, screen.display
    assert unit is not None
    assert display is not None
    x, y = data.draw(st.integers(0, display.width - 1)), data.draw(st.integers(0, display.height - 1))
    [back] = places(screen.to_display(screen.to_picture(Move(x=x, y=y))))
    assert abs(back.x - x) <= 1 + display.width / unit.width
    assert abs(back.y - y) <= 1 + display.height / unit.height


@pytest.mark.parametrize("coordinates", ["pixels", "thousandths"])
def test_what_a_client_sends_may_lie_anywhere(coordinates: Literal["pixels", "thousandths"]) -> None:
    """Its history is not checked: no number is too large to be told."""
    screen = Screen(HD, SMALL, coordinates)
    [shown] = places(screen.to_picture(Move(x=10**400, y=-(10**400))))
    assert shown.x < 1000
    assert shown.y < 0


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (CLICK, Click(button="left", x=2, y=4)),
        (DoubleClick(x=1, y=2, keys=["CTRL"]), DoubleClick(x=2, y=4, keys=["CTRL"])),
        (Move(x=959, y=539), Move(x=1918, y=1078)),
        (Drag(path=[Point(x=0, y=0), Point(x=5, y=6)]), Drag(path=[Point(x=0, y=0), Point(x=10, y=12)])),
        (Scroll(x=1, y=2, scroll_x=-5, scroll_y=100), Scroll(x=2, y=4, scroll_x=-10, scroll_y=200)),
        (Type(text="a"), Type(text="a")),
        (Keypress(keys=["a"]), Keypress(keys=["a"])),
        (Wait(), Wait()),
        (Screenshot(), Screenshot()),
    ],
)
def test_every_action_is_scaled_as_a_whole(action: Action, expected: Action) -> None:
    """From the picture to the display, which is twice as large, and back; what has no place stays as it is."""
    screen = Screen(HD, SMALL)
    assert expected == screen.to_display(action)
    assert action == screen.to_picture(expected)


@pytest.mark.parametrize(
    "screen", [Screen(), Screen(HD), Screen(picture=SMALL), Screen(HD, HD), Screen(None, None, "thousandths")]
)
def test_where_there_is_nothing_to_scale_an_action_stays_as_it_is(screen: Screen) -> None:
    """One of the measures is unknown, or both are the same."""
    scroll = Scroll(x=1, y=2, scroll_x=3, scroll_y=4)
    assert scroll == screen.to_display(scroll) == screen.to_picture(scroll)


def test_thousandths_scale_places_and_not_the_ways_of_scrolling() -> None:
    """These are told in pixels of the picture."""
    scroll = Scroll(x=500, y=1000, scroll_x=0, scroll_y=100)
    assert Scroll(x=960, y=1079, scroll_x=0, scroll_y=100) == Screen(HD, None, "thousandths").to_display(scroll)
    assert Scroll(x=960, y=1079, scroll_x=0, scroll_y=200) == Screen(HD, SMALL, "thousandths").to_display(scroll)


def test_the_edge_of_a_display_of_a_thousand_pixels_is_its_last_pixel() -> None:
    """Though its pixels are as many as its thousandths, of which there is one more."""
    thousand = Screen(Pixels(1000, 1000), None, "thousandths")
    assert Move(x=999, y=999) == thousand.to_display(Move(x=1000, y=1000))
    assert Move(x=999, y=0) == thousand.to_display(Move(x=999, y=0))


@pytest.mark.parametrize(
    ("screen", "x", "y", "expected"),
    [
        (Screen(HD, SMALL), 959, 539, True),
        (Screen(HD, SMALL), 960, 539, False),
        (Screen(HD, SMALL), 959, 540, False),
        (Screen(HD, SMALL), -1, 0, False),
        (Screen(HD, SMALL), 0, -1, False),
        (Screen(HD), 1919, 1079, True),
        (Screen(HD, SMALL, "thousandths"), 1000, 1000, True),
        (Screen(HD, SMALL, "thousandths"), 1001, 0, False),
        (Screen(Pixels(1, 1)), 0, 0, True),
        (Screen(Pixels(1, 1)), 0, 1, False),
        (Screen(), FARTHEST - 1, 0, True),
        (Screen(), FARTHEST, 0, False),
        (Screen(), 0, FARTHEST, False),
        (Screen(), -1, 0, False),
    ],
)
def test_a_screen_holds_what_is_within_its_measures(screen: Screen, x: int, y: int, *, expected: bool) -> None:
    """The picture's before the display's; where neither is known, no more than any display has."""
    assert expected is screen.holds(Point(x=x, y=y))


@pytest.mark.parametrize(
    ("screen", "expected"),
    [
        (Screen(), True),
        (Screen(HD, None, "thousandths"), True),
        (Screen(None, SMALL, "thousandths"), False),
    ],
)
def test_parts_of_an_unknown_whole_are_no_places(screen: Screen, *, expected: bool) -> None:
    """Pixels are themselves."""
    assert expected is screen.is_measured


# The past of a screen


def user(*parts: InputText | InputImage) -> Message:
    """What a user says."""
    return Message(role="user", content=[*(parts or [InputText(text="Go on.")])])


def call(key: str, *actions: Action) -> ComputerCall:
    """A call of a computer."""
    return ComputerCall(id=f"cu_{key}", call_id=key, actions=[*(actions or [CLICK])])


def output(key: str, file: str = "file-1") -> ComputerCallOutput:
    """What the screen shows afterwards."""
    return ComputerCallOutput(id=f"cuo_{key}", call_id=key, output=ComputerScreenshot(file_id=file))


def thought(id: str) -> ReasoningItem:
    """A thought."""
    return ReasoningItem(id=id, summary=[])


def test_a_call_of_either_tool_has_its_actions() -> None:
    """One, several or none."""
    assert [CLICK, Wait()] == actions_of(call("a", CLICK, Wait()))
    assert [CLICK] == actions_of(ComputerCall(call_id="a", action=CLICK))
    assert [] == actions_of(ComputerCall(call_id="a"))


def test_the_last_screenshot_shows_the_screen() -> None:
    """Whatever pictures the user has sent since."""
    picture = InputImage(image_url="data:image/png;base64,AA==")
    items: list[Item] = [user(picture), call("a"), output("a", "file-1"), call("b"), output("b", "file-2")]
    assert ComputerScreenshot(file_id="file-2") == last_screen(items)
    assert ComputerScreenshot(file_id="file-2") == last_screen([*items, user(picture)])


def test_before_the_first_screenshot_the_users_last_picture_shows_the_screen() -> None:
    """Of several the last of the last message that has one."""
    one, two = InputImage(file_id="file-1"), InputImage(file_id="file-2")
    said = Message(role="assistant", content=[])
    assert two == last_screen([user(one), user(one, two, InputText(text="a")), user(), said])
    assert one == last_screen([user(two), user(one)])
    assert last_screen([user(), said]) is None


@pytest.mark.parametrize(
    ("inside", "beside", "expected"),
    [
        ("https://a.example/", "", "https://a.example/"),
        ("", "https://b.example/", "https://b.example/"),
        ("https://a.example/", "https://b.example/", "https://a.example/"),
        ("", "", None),
    ],
)
def test_the_page_is_told_in_either_place(inside: str, beside: str, expected: str | None) -> None:
    """Of two that differ the screenshot's own counts."""
    screenshot = ComputerScreenshot(file_id="file-1", current_url=inside)
    shown = ComputerCallOutput(call_id="a", output=screenshot, current_url=beside)
    assert expected == last_url([call("a"), shown, user()])


def test_the_page_of_an_earlier_screenshot_is_not_that_of_the_last() -> None:
    """Where the client has left it out, nobody knows it."""
    screenshot = ComputerScreenshot(file_id="file-1", current_url="https://a.example/")
    items: list[Item] = [call("a"), ComputerCallOutput(call_id="a", output=screenshot)]
    assert last_url([*items, call("b"), output("b")]) is None
    assert last_url([user()]) is None


@pytest.mark.parametrize(("most", "old"), [(0, ["a", "b", "c"]), (1, ["a", "b"]), (3, []), (9, [])])
def test_old_screens_are_all_but_the_newest(most: int, old: list[str]) -> None:
    """The oldest first."""
    items: list[Item] = [item for key in "abc" for item in (call(key), output(key))]
    assert old == [item.call_id for item in old_screens([user(), *items, user()], most)]


def test_an_old_screenshot_is_told_in_words() -> None:
    """Its call stays, and so does all else."""
    items: list[Item] = [
        user(),
        call("a"),
        output("a"),
        call("b"),
        output("b"),
        FunctionCallOutput(call_id="a", output=""),
    ]
    expected = [*items[:2], FunctionCallOutput(id="cuo_a", call_id="a", output=NOT_SHOWN), *items[3:]]
    assert expected == in_words(items, {"a"})
    assert items == in_words(items, {"b-"})


def test_a_call_is_left_out_with_its_output_and_what_led_to_it() -> None:
    """All thoughts right before it."""
    gone: list[Item] = [thought("1"), thought("2"), call("a"), output("a")]
    stays: list[Item] = [user(), thought("3"), call("b"), output("b")]
    assert [user(), *stays[1:]] == left_out([user(), *gone, *stays[1:]], {"a"})
    assert [*gone, *stays] == left_out([*gone, *stays], {"c"})


def test_of_several_calls_in_a_row_each_is_left_out_by_itself() -> None:
    """The thought that led to all of them stays as long as one of them does."""
    items: list[Item] = [thought("1"), call("a"), call("b"), output("a"), output("b")]
    assert [] == left_out(items, {"a", "b"})
    assert [items[0], items[1], items[3]] == left_out(items, {"b"})
    assert [items[0], items[2], items[4]] == left_out(items, {"a"})
    other: list[Item] = [thought("1"), call("a"), FunctionCall(call_id="f", name="f", arguments="{}"), output("a")]
    assert [other[0], other[2]] == left_out(other, {"a"})


def test_a_thought_that_led_to_something_else_stays() -> None:
    """A message or a search stands between it and the call, or it belongs to the next call."""
    said = Message(role="assistant", content=[])
    search = WebSearchCall(id="ws_1")
    for between in (said, search):
        items: list[Item] = [thought("1"), between, thought("2"), call("a"), output("a"), thought("3"), call("b")]
        assert [items[0], between, *items[5:]] == left_out(items, {"a"})
    apart: list[Item] = [thought("1"), call("a"), thought("2"), call("b"), output("a"), output("b")]
    assert [*apart[2:4], apart[5]] == left_out(apart, {"a"})


def test_what_is_done_in_a_row_is_one_run() -> None:
    """With what the screen showed each time; whatever the model says or looks up in between."""
    one, two = ComputerScreenshot(file_id="one"), ComputerScreenshot(file_id="two")
    said = Message(role="assistant", content=[])
    items: list[Item] = [user(), call("a"), output("a", "one"), said, call("b"), output("b", "two"), call("c")]
    assert Run([CLICK], ["a", "b", "c"], [one, two]) == last_run(items)
    assert Run([Wait()], ["d"], [one]) == last_run([*items, call("d", Wait()), output("d", "one")])
    assert Run([CLICK], ["d"], [two]) == last_run([*items, user(), call("d"), output("d", "two")])
    assert Run() == last_run([*items, user()])
    assert Run() == last_run([])


def test_another_call_ends_a_run() -> None:
    """A function's between two, and another action beside it, whose screen is none of the run's."""
    one = ComputerScreenshot(file_id="one")
    function = FunctionCall(call_id="f", name="f", arguments="{}")
    said = FunctionCallOutput(call_id="f", output="Fine.")
    items: list[Item] = [user(), call("a"), output("a", "one"), function, said, call("b"), output("b", "one")]
    assert Run([CLICK], ["b"], [one]) == last_run(items)
    beside: list[Item] = [call("a"), call("b", Wait()), output("a", "two"), output("b", "one")]
    assert Run([Wait()], ["b"], [one]) == last_run(beside)
