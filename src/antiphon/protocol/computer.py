"""The items of computer use: what a model does on a display, and what the display shows afterwards."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from antiphon.protocol.content import ComputerScreenshot
from antiphon.protocol.parts import CallId, Identified, ItemStatus, Tagged


class Point(Struct, frozen=True, kw_only=True):
    """A place on a display, in pixels from its upper left corner."""

    x: int
    y: int


class Click(Tagged, frozen=True, kw_only=True, tag="click"):
    """Press a mouse button."""

    button: Literal["left", "right", "wheel", "back", "forward"]
    x: int
    y: int
    keys: list[str] | UnsetType = UNSET


class DoubleClick(Tagged, frozen=True, kw_only=True, tag="double_click"):
    """Press the left button twice."""

    x: int
    y: int
    keys: list[str] | UnsetType = UNSET


class Drag(Tagged, frozen=True, kw_only=True, tag="drag"):
    """Drag along a path."""

    path: list[Point]
    keys: list[str] | UnsetType = UNSET


class Keypress(Tagged, frozen=True, kw_only=True, tag="keypress"):
    """Press keys together."""

    keys: list[str]


class Move(Tagged, frozen=True, kw_only=True, tag="move"):
    """Move the pointer."""

    x: int
    y: int
    keys: list[str] | UnsetType = UNSET


class Screenshot(Tagged, frozen=True, kw_only=True, tag="screenshot"):
    """Look at the display."""


class Scroll(Tagged, frozen=True, kw_only=True, tag="scroll"):
    """Scroll at a place, by pixels."""

    x: int
    y: int
    scroll_x: int
    scroll_y: int
    keys: list[str] | UnsetType = UNSET


class Type(Tagged, frozen=True, kw_only=True, tag="type"):
    """Type text."""

    text: str


class Wait(Tagged, frozen=True, kw_only=True, tag="wait"):
    """Wait a moment."""


Action = Click | DoubleClick | Drag | Keypress | Move | Screenshot | Scroll | Type | Wait


class SafetyCheck(Struct, frozen=True, kw_only=True):
    """A reason to ask a person before an action."""

    id: str
    code: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class ComputerCall(Identified, frozen=True, kw_only=True, tag="computer_call"):
    """The model asks for one action on a computer, or for several in a row."""

    status: ItemStatus = "completed"
    call_id: CallId
    pending_safety_checks: list[SafetyCheck] = []
    action: Action | UnsetType = UNSET
    actions: list[Action] | UnsetType = UNSET


class ComputerCallOutput(Identified, frozen=True, kw_only=True, tag="computer_call_output"):
    """What the computer shows afterwards. ``current_url``, the page's, may stand here or in the screenshot."""

    status: Literal["in_progress", "completed", "incomplete", "failed"] = "completed"
    call_id: CallId
    output: ComputerScreenshot
    current_url: str | UnsetType = UNSET
    acknowledged_safety_checks: list[SafetyCheck] | UnsetType = UNSET
