"""A computer as a function of a model: its schema is the set of actions, its words say how places are given."""

from __future__ import annotations

import json
from typing import Any, get_args  # JSON Schema is open

import msgspec
import pytest

from antiphon.core.action_reading import MOST_ACTIONS, read_actions
from antiphon.core.actions import Steps, written
from antiphon.core.computer_function import description, most_actions, parameters
from antiphon.core.image_size import Pixels
from antiphon.core.screen import Screen
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
from antiphon.protocol.tools import ComputerTool, ComputerUsePreviewTool

Schema = dict[str, Any]  # JSON Schema is open

PREVIEW = ComputerUsePreviewTool(display_width=1024, display_height=768, environment="browser")
XGA = Pixels(1024, 768)
ACTIONS: list[Action] = [
    Click(button="forward", x=1, y=2),
    Click(button="left", x=1, y=2, keys=["CTRL"]),
    DoubleClick(x=1, y=2),
    DoubleClick(x=1, y=2, keys=[]),
    Drag(path=[Point(x=1, y=2), Point(x=3, y=4)]),
    Drag(path=[Point(x=1, y=2), Point(x=3, y=4)], keys=["SHIFT"]),
    Keypress(keys=["CTRL", "a"]),
    Move(x=1, y=2),
    Move(x=1, y=2, keys=["ALT"]),
    Screenshot(),
    Scroll(x=1, y=2, scroll_x=0, scroll_y=-3),
    Scroll(x=1, y=2, scroll_x=0, scroll_y=-3, keys=["CTRL"]),
    Type(text="a"),
    Wait(),
]


def fits(value: object, schema: Schema) -> bool:
    """Whether a value fits a schema, as far as this function uses the language of schemas."""
    if "anyOf" in schema:
        return 1 == sum(fits(value, each) for each in schema["anyOf"])
    if "enum" in schema and value not in schema["enum"]:
        return False
    match schema["type"], value:
        case "object", dict():
            known, required = schema["properties"], set(schema["required"])
            assert schema["additionalProperties"] is False
            return required <= set(value) <= set(known) and all(fits(value[name], known[name]) for name in value)
        case "array", list():
            least, most = schema.get("minItems", 0), schema.get("maxItems", len(value))
            return least <= len(value) <= most and all(fits(each, schema["items"]) for each in value)
        case "integer", int():
            return not isinstance(value, bool)
        case "string", str():
            return True
        case _:
            return False


def schema(tool: ComputerTool | ComputerUsePreviewTool) -> Schema:
    """The schema of a tool's arguments."""
    decoded: Schema = msgspec.json.decode(parameters(tool))
    return decoded


@pytest.mark.parametrize("tool", [ComputerTool(), PREVIEW])
def test_every_action_of_the_api_fits_the_schema_and_no_other(tool: ComputerTool | ComputerUsePreviewTool) -> None:
    """Each is of exactly one of its shapes, and is read as it stands there."""
    assert set(get_args(Action)) == {type(action) for action in ACTIONS}
    assert len(get_args(Action)) == len(schema(tool)["properties"]["actions"]["items"]["anyOf"])
    for action in ACTIONS:
        arguments = {"actions": [msgspec.to_builtins(action)]}
        assert fits(arguments, schema(tool))
        assert [action] == read_actions(json.dumps(arguments), Screen(XGA, XGA, is_seen=True))


@pytest.mark.parametrize(
    "actions",
    [
        [],
        [{"type": "fly"}],
        [{"type": "click", "x": 1, "y": 2}],
        [{"type": "click", "button": "up", "x": 1, "y": 2}],
        [{"type": "move", "x": 1.5, "y": 2}],
        [{"type": "wait", "ms": 1}],
        [{"type": "drag", "path": [{"x": 1}]}],
    ],
)
def test_what_is_no_action_does_not_fit(actions: list[object]) -> None:
    """Nor does a call without any."""
    assert not fits({"actions": actions}, schema(ComputerTool()))


def test_every_member_of_an_action_is_in_the_schema() -> None:
    """With the same ones required."""
    shapes = {
        shape["properties"]["type"]["enum"][0]: shape
        for shape in schema(ComputerTool())["properties"]["actions"]["items"]["anyOf"]
    }
    for kind in get_args(Action):
        shape = shapes[kind.__struct_config__.tag]
        fields = msgspec.structs.fields(kind)
        assert {"type", *(field.name for field in fields)} == set(shape["properties"])
        assert {"type", *(field.name for field in fields if field.required)} == set(shape["required"])


def test_the_older_tool_gives_one_action_a_call() -> None:
    """The other as many as can be done at once."""
    assert (1, MOST_ACTIONS) == (most_actions(PREVIEW), most_actions(ComputerTool()))
    two = {"actions": [{"type": "wait"}] * 2}
    assert (False, True) == (fits(two, schema(PREVIEW)), fits(two, schema(ComputerTool())))
    assert "Give one action a call." in description(PREVIEW)
    assert "Actions of a call are done one after another." in description(ComputerTool())
    assert not fits({"actions": [{"type": "wait"}] * (MOST_ACTIONS + 1)}, schema(ComputerTool()))


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ("browser", "the user's browser"),
        ("windows", "the user's Windows computer"),
        ("mac", "the user's Mac"),
        ("linux", "the user's Linux computer"),
        ("ubuntu", "the user's Ubuntu computer"),
    ],
)
def test_the_model_is_told_what_it_moves(environment: str, what: str) -> None:
    """The newer tool does not say it."""
    tool = msgspec.convert({**msgspec.to_builtins(PREVIEW), "environment": environment}, ComputerUsePreviewTool)
    assert what in description(tool)
    assert "the user's computer" in description(ComputerTool())


@pytest.mark.parametrize(
    ("screen", "words"),
    [
        (None, "You have not seen the screen yet: begin with a screenshot alone."),
        (Screen(), "You have not seen the screen yet: begin with a screenshot alone."),
        (Screen(coordinates="thousandths"), "You have not seen the screen yet: begin with a screenshot alone."),
        (Screen(is_seen=True), "Places are pixels of the last screenshot, x from its left and y from its top."),
        (Screen(XGA), "The screen is 1024 pixels wide and 768 high"),
        (Screen(XGA, Pixels(512, 384), is_seen=True), "The screen is 512 pixels wide and 384 high"),
        (Screen(XGA, None, "thousandths"), "Places are thousandths of the screen"),
    ],
)
def test_the_model_is_told_how_places_are_given(screen: Screen | None, words: str) -> None:
    """As far as it is known before its turn."""
    assert words in description(ComputerTool(), screen)


def test_what_a_history_shows_of_a_call_fits_the_schema() -> None:
    """A model sees its own calls as it should write them."""
    for action in ACTIONS:
        assert fits({"actions": json.loads(written(Steps([action])))["actions"]}, schema(PREVIEW))
