"""What a model means to do on a screen: what is understood, what is refused and in which words."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.action_reading import (
    MOST_ACTIONS,
    MOST_KEYS,
    MOST_POINTS,
    MOST_SCROLL,
    MOST_TEXT,
    Undoable,
    read_actions,
)
from antiphon.core.actions import Steps, steps_of, written
from antiphon.core.image_size import Pixels
from antiphon.core.screen import FARTHEST, Screen, places
from antiphon.protocol.computer import (
    Action,
    Click,
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
from tests.patient import a_million_rounds, takes_at_most

XGA = Pixels(1024, 768)
SCREEN = Screen(XGA, XGA, is_seen=True)
LONGEST = 500
"""Characters of what a model is told."""
PATH = [Point(x=1, y=2), Point(x=3, y=4)]


def read(written: object, screen: Screen = SCREEN) -> Action:
    """The one action that is written like this."""
    [action] = read_actions(json.dumps({"actions": [written]}), screen)
    return action


def refusal(arguments: str, screen: Screen = SCREEN, *, most: int = MOST_ACTIONS) -> str:
    """What a model is told of a call that cannot be made."""
    with pytest.raises(Undoable) as raised:
        read_actions(arguments, screen, most=most)
    assert len(str(raised.value)) <= LONGEST
    return str(raised.value)


def refused(written: object, screen: Screen = SCREEN) -> str:
    """What a model is told of one action."""
    return refusal(json.dumps({"actions": [written]}), screen)


@pytest.mark.parametrize(
    ("written", "action"),
    [
        ({"type": "click", "button": "wheel", "x": 1, "y": 2}, Click(button="wheel", x=1, y=2)),
        ({"type": "click", "button": "back", "x": 0, "y": 0}, Click(button="back", x=0, y=0)),
        ({"type": "click", "button": "left", "x": 1, "y": 2, "keys": []}, Click(button="left", x=1, y=2, keys=[])),
        ({"type": "double_click", "x": 1, "y": 2, "keys": ["shift"]}, DoubleClick(x=1, y=2, keys=["SHIFT"])),
        ({"type": "drag", "path": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}, Drag(path=PATH)),
        (
            {"type": "drag", "path": [{"x": 1, "y": 2}, {"x": 3, "y": 4}], "keys": ["alt"]},
            Drag(path=PATH, keys=["ALT"]),
        ),
        ({"type": "keypress", "keys": ["ctrl", "a"]}, Keypress(keys=["CTRL", "a"])),
        ({"type": "move", "x": 1023, "y": 767, "keys": ["ctrl"]}, Move(x=1023, y=767, keys=["CTRL"])),
        ({"type": "screenshot"}, Screenshot()),
        (
            {"type": "scroll", "x": 1, "y": 2, "scroll_x": -3, "scroll_y": 4, "keys": ["ctrl"]},
            Scroll(x=1, y=2, scroll_x=-3, scroll_y=4, keys=["CTRL"]),
        ),
        ({"type": "type", "text": "é\n"}, Type(text="é\n")),
        ({"type": "wait"}, Wait()),
    ],
)
def test_every_action_of_the_api_is_read(written: object, action: Action) -> None:
    """As it is, but for the names of its keys."""
    assert action == read(written)


@pytest.mark.parametrize(
    ("written", "action"),
    [
        ({"type": "CLICK", "x": 1, "y": 2}, Click(button="left", x=1, y=2)),
        ({"type": "click", "x": 1, "y": 2, "button": None, "keys": None}, Click(button="left", x=1, y=2)),
        ({"type": "left_click", "coordinate": [1, 2]}, Click(button="left", x=1, y=2)),
        ({"type": "right_click", "position": [1, 2]}, Click(button="right", x=1, y=2)),
        ({"action": "left_click", "coordinate": [1, 2]}, Click(button="left", x=1, y=2)),
        ({"type": "move", "action": "click", "x": 1, "y": 2}, Move(x=1, y=2)),
        ({"type": "middle_click", "x": 1, "y": 2}, Click(button="wheel", x=1, y=2)),
        ({"type": "right_click", "x": 1, "y": 2, "button": "back"}, Click(button="back", x=1, y=2)),
        ({"type": "doubleClick", "x": 1.4, "y": 1.6}, DoubleClick(x=1, y=2)),
        ({"type": "mouse_move", "x": 0.0, "y": 2.0}, Move(x=0, y=2)),
        ({"type": "key", "keys": "ctrl+shift+t"}, Keypress(keys=["CTRL", "SHIFT", "t"])),
        ({"type": "scroll", "x": 1, "y": 2, "scroll_y": 9}, Scroll(x=1, y=2, scroll_x=0, scroll_y=9)),
        ({"type": "scroll", "x": 1, "y": 2, "scroll_x": -9.5}, Scroll(x=1, y=2, scroll_x=-10, scroll_y=0)),
        ({"type": "drag", "path": [[1, 2], [3.2, 4]]}, Drag(path=PATH)),
        ({"type": "drag", "path": [{"x": 1, "y": 2.1}, [3, 4]]}, Drag(path=PATH)),
        ({"type": "wait", "ms": 1000, "why": ["?"]}, Wait()),
    ],
)
def test_what_can_mean_one_thing_only_is_understood(written: object, action: Action) -> None:
    """Other names, arrays for places, fractions, and what is left out or too much."""
    assert action == read(written)


@pytest.mark.parametrize(
    "arguments",
    [
        '{"actions":[{"type":"wait"}]}',
        '{"actions":{"type":"wait"}}',
        '{"action":{"type":"wait"}}',
        '{"action":[{"type":"wait"}]}',
        '{"actions":null,"action":{"type":"wait"}}',
        '{"type":"wait"}',
        '{"action":"wait"}',
        '{"actions":[{"action":"wait"}]}',
        '{"action":"Wait","type":null}',
        ' {"actions" : [ {"type":"wait"} ] , "thought":"..."} ',
    ],
)
def test_the_actions_stand_in_a_list_or_alone(arguments: str) -> None:
    """Or they are the arguments themselves."""
    assert [Wait()] == read_actions(arguments, SCREEN)


def test_actions_are_told_in_pixels_of_the_display() -> None:
    """Whatever the model points in."""
    click = '{"type":"click","x":500,"y":250}'
    assert [Click(button="left", x=1000, y=500)] == read_actions(click, Screen(Pixels(2048, 1536), XGA, is_seen=True))
    thousandths = Screen(XGA, None, "thousandths", is_seen=True)
    assert [Click(button="left", x=512, y=192)] == read_actions(click, thousandths)


NO_JSON = 'The arguments are not JSON of the form {"actions": [{"type": ...}, ...]}.'
NO_ACTION = "There is no action in the call. Give at least one in 'actions'."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", NO_JSON),
        ("click 1 2", NO_JSON),
        ("null", NO_JSON),
        ('[{"type":"wait"}]', NO_JSON),
        ('{"actions":[{"type":"wait"}', NO_JSON),
        ("[" * 1_000_000, NO_JSON),
        ('{"actions":' + "[" * 1_000_000, NO_JSON),
        ("\ud800", NO_JSON),
        ('{"type":"type","text":"\ud800"}', NO_JSON),
        (r'{"type":"type","text":"\ud800"}', NO_JSON),
        ('{"type":"move","x":NaN,"y":1}', NO_JSON),
        ('{"type":"move","x":Infinity,"y":1}', NO_JSON),
        ('{"type":"move","x":1e400,"y":1}', NO_JSON),
        ("{}", NO_ACTION),
        ('{"actions":[]}', NO_ACTION),
        ('{"actions":"wait"}', NO_ACTION),
        ('{"action":3}', NO_ACTION),
    ],
)
def test_arguments_without_actions_are_refused(arguments: str, words: str) -> None:
    """However they are broken."""
    assert words == refusal(arguments)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (3, "actions[0] is no object with a 'type'."),
        (["wait"], "actions[0] is no object with a 'type'."),
        ({}, "actions[0]: Object missing required field `type`"),
        ({"type": 5}, "actions[0]: Expected `str`, got `int` - at `$.type`"),
        ({"type": ["click"]}, "actions[0]: Expected `str`, got `list` - at `$.type`"),
        ({"type": "fly"}, "actions[0]: Invalid value 'fly' - at `$.type`"),
        ({"type": "click", "x": 1}, "actions[0]: Object missing required field `y`"),
        ({"type": "click", "coordinate": [1, 2, 3]}, "actions[0]: Object missing required field `x`"),
        ({"type": "click", "x": "1", "y": 2}, "actions[0]: Expected `int`, got `str` - at `$.x`"),
        ({"type": "click", "x": True, "y": 2}, "actions[0]: Expected `int`, got `bool` - at `$.x`"),
        ({"type": "click", "x": 0.53, "y": 0.2}, "actions[0]: Expected `int`, got `float` - at `$.x`"),
        ({"type": "move", "x": 1, "y": 1e300}, "actions[0]: Expected `int`, got `float` - at `$.y`"),
        ({"type": "scroll", "x": 1, "y": 2}, "actions[0]: Object missing required field `scroll_x`"),
        ({"type": "drag", "path": "ab"}, "actions[0]: Expected `array`, got `str` - at `$.path`"),
        ({"type": "drag", "path": [[1, 2], 3]}, "actions[0]: Expected `object`, got `int` - at `$.path[1]`"),
        ({"type": "drag", "path": []}, f"actions[0]: the path of a drag has 2 to {MOST_POINTS} places."),
        ({"type": "drag", "path": [[1, 2]]}, f"actions[0]: the path of a drag has 2 to {MOST_POINTS} places."),
        ({"type": "drag", "path": [[1, 2]] * (MOST_POINTS + 1)}, f"the path of a drag has 2 to {MOST_POINTS} places."),
        ({"type": "drag", "path": [[1, 2], [3, 768]]}, "actions[0]: (3, 768) is not on the screen"),
        (
            {"type": "type", "text": "a" * (MOST_TEXT + 1)},
            f"actions[0] types {MOST_TEXT + 1} characters. Type at most {MOST_TEXT} at once.",
        ),
        (
            {"type": "scroll", "x": 1, "y": 2, "scroll_y": -MOST_SCROLL - 1},
            f"actions[0] scrolls too far. Scroll at most {MOST_SCROLL} pixels at once.",
        ),
        ({"type": "scroll", "x": 1, "y": 2, "scroll_x": MOST_SCROLL + 1}, "actions[0] scrolls too far."),
        ({"type": "keypress", "keys": []}, "actions[0] presses no key."),
        ({"type": "keypress", "keys": ["hyper"]}, "actions[0]: there is no key 'hyper'. Keys are single characters"),
        ({"type": "click", "x": 1, "y": 2, "keys": ["hyper"]}, "actions[0]: there is no key 'hyper'."),
        ({"type": "keypress", "keys": [None]}, "actions[0]: Expected `str`, got `null` - at `$.keys[0]`"),
        (
            {"type": "keypress", "keys": ["a"] * (MOST_KEYS + 1)},
            f"actions[0] holds {MOST_KEYS + 1} keys down at once. Press at most {MOST_KEYS}.",
        ),
        (
            {"type": "click", "x": 1024, "y": 2},
            "actions[0]: (1024, 2) is not on the screen, which is 1024 pixels wide and 768 high.",
        ),
        ({"type": "click", "x": 1, "y": -1}, "actions[0]: (1, -1) is not on the screen"),
        ({"type": "click", "x": 1023.7, "y": 1}, "actions[0]: (1024, 1) is not on the screen"),
        ({"type": "click", "x": 10**4000, "y": 1}, "actions[0]: a place is not on the screen"),
    ],
)
def test_what_cannot_be_done_is_told_in_words(written: object, words: str) -> None:
    """What is wrong, where, and what may stand there."""
    assert words in refused(written)


@pytest.mark.parametrize("odd", ["\U000e0001" * 1000, "\0" * 100_000, "'" * 100, "a" * 1_000_000])
def test_what_a_model_is_told_is_short(odd: str) -> None:
    """However long and however odd that is which is quoted."""
    assert "there is no key" in refused({"type": "keypress", "keys": [odd]})
    assert refused({"type": odd})
    assert refused({"type": "click", "x": 1, "y": 1, "button": odd})
    assert refused({"type": "drag", "path": [[1, 2], {odd: 1}]})


def test_the_largest_that_can_be_done_is_done() -> None:
    """Each limit may be reached."""
    assert Type(text="a" * MOST_TEXT) == read({"type": "type", "text": "a" * MOST_TEXT})
    assert Drag(path=PATH[:1] * MOST_POINTS) == read({"type": "drag", "path": [[1, 2]] * MOST_POINTS})
    far = Scroll(x=1, y=2, scroll_x=-MOST_SCROLL, scroll_y=MOST_SCROLL)
    written: dict[str, object] = {"type": "scroll", "coordinate": [1, 2], "scroll_x": -MOST_SCROLL}
    assert far == read({**written, "scroll_y": float(MOST_SCROLL)})
    assert Keypress(keys=["a"] * MOST_KEYS) == read({"type": "keypress", "keys": ["a"] * MOST_KEYS})
    waits = json.dumps({"actions": [{"type": "wait"}] * MOST_ACTIONS})
    assert [Wait()] * MOST_ACTIONS == read_actions(waits, SCREEN)


def test_a_call_has_so_many_actions() -> None:
    """One with the older tool."""
    three = json.dumps({"actions": [{"type": "wait"}] * 3})
    words = "A call has at most {}, and this one has 3. Call again with fewer."
    assert words.format("2 actions") == refusal(three, most=2)
    assert words.format("one action") == refusal(three, most=1)


def test_of_several_actions_that_which_is_wrong_is_named() -> None:
    """And nothing of the others is done."""
    assert "actions[1]: Invalid value 'fly'" in refusal('{"actions":[{"type":"wait"},{"type":"fly"}]}')


def test_who_has_not_seen_the_screen_points_nowhere() -> None:
    """Unless its measures are known; what has no place may be done."""
    click = {"type": "click", "x": 1, "y": 2}
    words = 'You have not seen the screen yet. Begin with the action {"type": "screenshot"} alone.'
    for screen in (Screen(), Screen(coordinates="thousandths")):
        assert words == refused(click, screen)
        assert Screenshot() == read({"type": "screenshot"}, screen)
        assert Type(text="a") == read({"type": "type", "text": "a"}, screen)
    assert Click(button="left", x=1, y=2) == read(click, Screen(XGA))


def test_a_screen_of_unknown_measures_begins_at_its_corner() -> None:
    """Its pixels may be pointed at nevertheless, as far as any display goes; its thousandths may not."""
    seen = Screen(is_seen=True)
    assert Move(x=FARTHEST - 1, y=0) == read({"type": "move", "x": FARTHEST - 1, "y": 0}, seen)
    words = f"actions[0]: ({FARTHEST}, 0) is not on the screen, which begins at (0, 0)"
    assert words in refused({"type": "move", "x": FARTHEST, "y": 0}, seen)
    unmeasured = Screen(coordinates="thousandths", is_seen=True)
    assert "It is not known how large the screen is" in refused({"type": "move", "x": 1, "y": 0}, unmeasured)


def test_thousandths_go_up_to_a_thousand() -> None:
    """And no farther."""
    screen = Screen(XGA, XGA, "thousandths", is_seen=True)
    assert Move(x=1023, y=767) == read({"type": "move", "x": 1000, "y": 1000}, screen)
    words = "(1001, 0) is not on the screen, whose coordinates go from 0 to 1000 in both directions."
    assert words in refused({"type": "move", "x": 1001, "y": 0}, screen)


@pytest.mark.parametrize(
    "arguments",
    [
        '{"type":"drag","path":[' + "[1,2]," * 500_000 + "[1,2]]}",
        '{"actions":[' + '{"type":"wait"},' * 200_000 + '{"type":"wait"}]}',
        '{"type":"keypress","keys":[' + '"a",' * 1_000_000 + '"a"]}',
        '{"type":"type","text":"' + "a" * 4_000_000 + '"}',
        '{"type":"move","x":' + "9" * 1_000_000 + ',"y":1}',
        '{"type":"move","x":' + "[" * 1_000_000 + ',"y":1}',
    ],
)
def test_megabytes_are_refused_in_no_time(arguments: str) -> None:
    """Nothing is read again and again."""
    assert takes_at_most(300, lambda: refusal(arguments), a_million_rounds)


NUMBERS = st.integers() | st.floats() | st.integers(-1, 1100)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=5) | st.sampled_from(["ctrl+a", "left", "click"])
VALUES: st.SearchStrategy[object] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
PLACES = st.fixed_dictionaries({"x": NUMBERS, "y": NUMBERS}) | st.lists(NUMBERS, min_size=2, max_size=2)
NAMES = ["click", "double_click", "drag", "keypress", "move", "screenshot", "scroll", "type", "wait"]
MEMBERS: dict[str, st.SearchStrategy[object]] = {
    "type": st.sampled_from([*NAMES, "left_click", "KEY", "fly"]),
    "x": st.integers(0, 1100) | VALUES,
    "y": st.integers(0, 1100) | VALUES,
    "scroll_x": NUMBERS,
    "scroll_y": VALUES,
    "button": st.sampled_from(["left", "right", "up"]) | VALUES,
    "keys": st.lists(st.sampled_from(["ctrl", "a", "ctrl+a", "hyper"]) | st.text(max_size=3), max_size=3) | VALUES,
    "path": st.lists(PLACES, max_size=3) | VALUES,
    "text": st.text(max_size=5) | VALUES,
    "coordinate": PLACES | VALUES,
}
ACTIONS = st.fixed_dictionaries({}, optional=MEMBERS)
ARGUMENTS = (
    st.fixed_dictionaries({}, optional={"actions": st.lists(ACTIONS | VALUES, max_size=3), "action": ACTIONS | VALUES})
    | ACTIONS
    | VALUES
)
PIXELS = st.builds(Pixels, st.integers(1, 1200), st.integers(1, 1200))
SCREENS = st.builds(
    Screen,
    st.none() | PIXELS,
    st.none() | PIXELS,
    st.sampled_from(["pixels", "thousandths"]),
    is_seen=st.booleans(),
)


@given(ARGUMENTS, SCREENS, st.integers(1, 3))
def test_whatever_a_model_writes_can_be_done_or_is_refused_in_short(
    written_: object, screen: Screen, most: int
) -> None:
    """What is read are actions of the API that the client's display holds, and that are read again as they are."""
    expect_doable(json.dumps(written_), screen, most)


@given(st.text(max_size=30), SCREENS)
def test_whatever_text_comes_nothing_else_is_raised(text: str, screen: Screen) -> None:
    """Not even for what is no text."""
    expect_doable(text, screen, 1)
    expect_doable(f'{{"type":"type","text":"{text}"}}', screen, 1)


def expect_doable(arguments: str, screen: Screen, most: int) -> None:
    """The actions are on the display, or the refusal is short."""
    try:
        actions = read_actions(arguments, screen, most=most)
    except Undoable:
        assert refusal(arguments, screen, most=most)
        return
    assert 1 <= len(actions) <= most
    assert Steps(actions) == steps_of(written(Steps(actions)))
    display = screen.display or screen.picture or Pixels(FARTHEST, FARTHEST)
    for place in [place for action in actions for place in places(action)]:
        assert 0 <= place.x < display.width
        assert 0 <= place.y < display.height


@given(st.lists(ACTIONS, min_size=1, max_size=3))
def test_reading_is_done_once(actions: list[dict[str, object]]) -> None:
    """What was read is read as itself."""
    with suppress(Undoable):
        read = read_actions(json.dumps({"actions": actions}), SCREEN)
        assert read == read_actions(written(Steps(read)), SCREEN)
