"""The tool that moves a computer, as a function that any model can call: its schema is the set of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import Raw

from antiphon.core.action_reading import MOST_ACTIONS
from antiphon.core.schemas import object_schema
from antiphon.protocol.tools import ComputerUsePreviewTool

if TYPE_CHECKING:
    from antiphon.core.screen import Screen
    from antiphon.protocol.tools import ComputerTool

Schema: TypeAlias = dict[str, object]

NAME = "computer"
"""What models call it, whichever of the two tools it is, and how its calls are told to them again."""

_NUMBER: Schema = {"type": "integer"}
_KEYS: Schema = {"type": "array", "items": {"type": "string"}}
_PLACE: Schema = {"x": _NUMBER, "y": _NUMBER}
_HELD: Schema = {"keys": {**_KEYS, "description": "Keys that are held down meanwhile, if any."}}
_BUTTON: Schema = {"type": "string", "enum": ["left", "right", "wheel", "back", "forward"]}
_WORDS = (
    "Uses the user's {what} as a person would: with its mouse and its keyboard. You are shown the screen afterwards.\n"
    "{extent}\n"
    "click, double_click and move take a place; drag goes along a path; scroll goes by pixels, down and right if they "
    'are positive; type types text where the cursor is; keypress presses keys together, such as ["CTRL", "A"] or '
    '["ENTER"]; wait waits a moment; screenshot looks again. {count}'
)
_ENVIRONMENTS = {
    "browser": "browser",
    "windows": "Windows computer",
    "mac": "Mac",
    "linux": "Linux computer",
    "ubuntu": "Ubuntu computer",
}


def most_actions(tool: ComputerTool | ComputerUsePreviewTool) -> int:
    """How many actions a call may have."""
    return 1 if isinstance(tool, ComputerUsePreviewTool) else MOST_ACTIONS


def parameters(tool: ComputerTool | ComputerUsePreviewTool) -> Raw:
    """The arguments: a list of actions, each of one of the documented shapes."""
    actions = {"type": "array", "minItems": 1, "maxItems": most_actions(tool), "items": {"anyOf": _shapes()}}
    return Raw(msgspec.json.encode(object_schema({"actions": actions}, "actions")))


def description(tool: ComputerTool | ComputerUsePreviewTool, screen: Screen | None = None) -> str:
    """What the function does, and how places on the screen are given as far as it is known."""
    return _WORDS.format(
        what=_ENVIRONMENTS[tool.environment] if isinstance(tool, ComputerUsePreviewTool) else "computer",
        extent=_extent(screen),
        count="Give one action a call." if most_actions(tool) == 1 else "Actions of a call are done one after another.",
    )


def _extent(screen: Screen | None) -> str:
    if screen is None or (not screen.is_seen and screen.display is None):
        return "You have not seen the screen yet: begin with a screenshot alone."
    unit = screen.unit
    if unit is None:
        return "Places are pixels of the last screenshot, x from its left and y from its top."
    if screen.coordinates == "thousandths":
        return "Places are thousandths of the screen: x from 0 (left) to 1000 (right), y from 0 (top) to 1000 (bottom)."
    return f"The screen is {unit.width} pixels wide and {unit.height} high: x counts from the left, y from the top."


def _shapes() -> list[Schema]:
    return [
        _shape("click", {"button": _BUTTON, **_PLACE}, _HELD),
        _shape("double_click", _PLACE, _HELD),
        _shape("drag", {"path": {"type": "array", "items": object_schema(_PLACE, "x", "y")}}, _HELD),
        _shape("keypress", {"keys": _KEYS}),
        _shape("move", _PLACE, _HELD),
        _shape("screenshot", {}),
        _shape("scroll", {**_PLACE, "scroll_x": _NUMBER, "scroll_y": _NUMBER}, _HELD),
        _shape("type", {"text": {"type": "string"}}),
        _shape("wait", {}),
    ]


def _shape(kind: str, needed: Schema, optional: Schema | None = None) -> Schema:
    return object_schema({"type": {"type": "string", "enum": [kind]}, **needed, **(optional or {})}, "type", *needed)
