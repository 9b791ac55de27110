"""What the model does on the screen: in words for a person, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openai.types.responses.computer_action import ComputerAction
    from openai.types.responses.response_computer_tool_call import Action

LONGEST = 48
"""Letters of a text that are shown of it."""


def in_words(action: Action | ComputerAction) -> str:
    """Say what an action does."""
    match action.type:
        case "click":
            button = "" if action.button == "left" else f"{action.button} "
            return f"{button}click at {action.x}, {action.y}{_held(action.keys)}"
        case "double_click":
            return f"double click at {action.x}, {action.y}{_held(action.keys)}"
        case "drag":
            (x, y), (to_x, to_y) = places(action)
            return f"drag from {x}, {y} to {to_x}, {to_y}{_held(action.keys)}"
        case "move":
            return f"move to {action.x}, {action.y}{_held(action.keys)}"
        case "scroll":
            ways = {"right": action.scroll_x, "left": -action.scroll_x, "down": action.scroll_y, "up": -action.scroll_y}
            return f"scroll {' and '.join(f'{way} by {far}' for way, far in ways.items() if far > 0) or 'by nothing'}"
        case "keypress":
            return f"press {'+'.join(action.keys)}"
        case "type":
            return f'type "{_short(action.text)}"'
        case "screenshot":
            return "look"
        case "wait":
            return "wait"


def places(action: Action | ComputerAction) -> list[tuple[int, int]]:
    """Give where an action takes place: once, for a drag twice, or not at all."""
    match action.type:
        case "click" | "double_click" | "move" | "scroll":
            return [(action.x, action.y)]
        case "drag":
            return [(point.x, point.y) for point in (action.path[0], action.path[-1])]
        case _:
            return []


def _held(keys: list[str] | None) -> str:
    return f" with {'+'.join(keys)}" if keys else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
