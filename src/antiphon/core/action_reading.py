"""What a model means to do on a screen, read from the arguments of its call and checked against the screen.

What a careless model writes is understood where it can mean one thing only. What cannot be done is told in words that
are for the model: it is asked again, and the client never hears of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.core.keys import keys_of
from antiphon.core.screen import places
from antiphon.protocol.computer import Action, Click, DoubleClick, Drag, Keypress, Move, Scroll, Type
from antiphon.protocol.places import is_array, is_object

if TYPE_CHECKING:
    from antiphon.core.screen import Screen
    from antiphon.protocol.places import Object, Sent

MOST_ACTIONS = 64
"""Actions of one call."""
MOST_TEXT = 20_000
"""Characters that one action types."""
MOST_POINTS = 1_000
"""Places along one drag."""
MOST_KEYS = 16
MOST_SCROLL = 100_000
"""Pixels of one scroll, in either direction."""
_SHOWN = 80
_SEVERAL = {
    "left_click": "click",
    "right_click": "click",
    "middle_click": "click",
    "key": "keypress",
    "doubleclick": "double_click",
    "mouse_move": "move",
}
_BUTTONS = {"right_click": "right", "middle_click": "wheel"}

_decode_json = msgspec.json.Decoder(dict[str, Any]).decode  # a model may write anything


class Undoable(Exception):
    """What a model wants cannot be done; the words are for the model."""


def read_actions(arguments: str, screen: Screen, *, most: int = MOST_ACTIONS) -> list[Action]:
    """The actions that a model means, at most so many, in pixels of the client's display. Raises `Undoable`."""
    written = _written(arguments)
    if not written:
        raise Undoable("There is no action in the call. Give at least one in 'actions'.")
    if len(written) > most:
        said = "one action" if most == 1 else f"{most} actions"
        raise Undoable(f"A call has at most {said}, and this one has {len(written)}. Call again with fewer.")
    return [screen.to_display(_action(each, f"actions[{index}]", screen)) for index, each in enumerate(written)]


def _written(arguments: str) -> list[Sent]:
    """The actions as they are written: in their list, alone, or as the arguments themselves."""
    try:
        members = _decode_json(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Undoable('The arguments are not JSON of the form {"actions": [{"type": ...}, ...]}.') from error
    for name in ("actions", "action"):
        value = members.get(name)
        if is_array(value):
            return value
        if is_object(value):
            return [value]
    return [members] if "type" in members or isinstance(members.get("action"), str) else []


def _action(written: Sent, at: str, screen: Screen) -> Action:
    if not is_object(written):
        raise Undoable(f"{at} is no object with a 'type'.")
    try:
        action = msgspec.convert(_tidied(written), Action)
    except msgspec.ValidationError as error:
        raise Undoable(f"{at}: {error}"[:400]) from error
    _check_size(action, at)
    _check_places(action, at, screen)
    return _with_keys(action, at)


def _tidied(written: Object) -> Object:
    """An action in the form of the API."""
    tidy = {key: value for key, value in written.items() if value is not None}
    kind = tidy.get("type", tidy.get("action"))
    if isinstance(kind, str):
        tidy["type"] = _SEVERAL.get(kind.lower(), kind.lower())
        if tidy["type"] == "click":
            tidy.setdefault("button", _BUTTONS.get(kind.lower(), "left"))
    place = tidy.get("coordinate", tidy.get("position"))
    if is_array(place) and len(place) == len("xy"):
        tidy["x"], tidy["y"] = place
    if tidy.get("type") == "scroll" and ("scroll_x" in tidy or "scroll_y" in tidy):
        tidy = {"scroll_x": 0, "scroll_y": 0, **tidy}
    if isinstance(tidy.get("keys"), str):
        tidy["keys"] = [tidy["keys"]]
    if is_array(path := tidy.get("path")):
        tidy["path"] = _points(path)
    for name in ("x", "y", "scroll_x", "scroll_y"):
        if name in tidy:
            tidy[name] = _whole(tidy[name])
    return tidy


def _points(written: list[Sent]) -> list[Sent]:
    return [_point(each) for each in written[: MOST_POINTS + 1]]  # more are refused unread


def _point(written: Sent) -> Sent:
    if is_array(written) and len(written) == len("xy"):
        written = dict(zip("xy", written, strict=True))
    return {key: _whole(value) for key, value in written.items()} if is_object(written) else written


def _whole(number: Sent) -> Sent:
    """A coordinate is a whole number; some models calculate fractions. One below 1 may be a share of the screen."""
    is_clear = isinstance(number, float) and (not number or 1 <= abs(number) <= MOST_SCROLL)
    return round(number) if is_clear else number


def _check_size(action: Action, at: str) -> None:
    match action:
        case Type(text=text) if len(text) > MOST_TEXT:
            raise Undoable(f"{at} types {len(text)} characters. Type at most {MOST_TEXT} at once.")
        case Drag(path=path) if not 2 <= len(path) <= MOST_POINTS:  # noqa: PLR2004 - from somewhere to somewhere
            raise Undoable(f"{at}: the path of a drag has 2 to {MOST_POINTS} places.")
        case Scroll(scroll_x=x, scroll_y=y) if max(abs(x), abs(y)) > MOST_SCROLL:
            raise Undoable(f"{at} scrolls too far. Scroll at most {MOST_SCROLL} pixels at once.")
        case Keypress(keys=[]):
            raise Undoable(f"{at} presses no key.")
        case _:
            pass


def _check_places(action: Action, at: str, screen: Screen) -> None:
    points = places(action)
    if points and not screen.is_seen and screen.display is None:
        raise Undoable('You have not seen the screen yet. Begin with the action {"type": "screenshot"} alone.')
    if points and not screen.is_measured:
        raise Undoable("It is not known how large the screen is, so no place on it can be given. Use the keyboard.")
    for point in points:
        if not screen.holds(point):
            place = f"({point.x}, {point.y})"
            raise Undoable(
                f"{at}: {place if len(place) <= _SHOWN else 'a place'} is not on the screen, {_extent(screen)}."
            )


def _extent(screen: Screen) -> str:
    unit = screen.unit
    if unit is None:
        return "which begins at (0, 0)"
    if screen.coordinates == "thousandths":
        return "whose coordinates go from 0 to 1000 in both directions"
    return f"which is {unit.width} pixels wide and {unit.height} high"


def _with_keys(action: Action, at: str) -> Action:
    """The same with the names that keys have in the API."""
    match action:
        case Keypress(keys=names):
            return msgspec.structs.replace(action, keys=_keys(names, at))
        case Click(keys=list(names)) | DoubleClick(keys=list(names)) | Drag(keys=list(names)):
            return msgspec.structs.replace(action, keys=_keys(names, at))
        case Move(keys=list(names)) | Scroll(keys=list(names)):
            return msgspec.structs.replace(action, keys=_keys(names, at))
        case _:
            return action


def _keys(names: list[str], at: str) -> list[str]:
    keys: list[str] = []
    for name in names:
        try:
            keys += keys_of(name)
        except KeyError as error:
            known = "Keys are single characters, or names such as CTRL, SHIFT, ALT, CMD, ENTER, TAB, ESC, ARROWDOWN, F5"
            raise Undoable(f"{at}: there is no key {repr(name[:_SHOWN])[:_SHOWN]}. {known}.") from error
    if len(keys) > MOST_KEYS:
        raise Undoable(f"{at} holds {len(keys)} keys down at once. Press at most {MOST_KEYS}.")
    return keys
