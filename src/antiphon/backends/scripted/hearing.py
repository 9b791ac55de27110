"""What a scripted model makes of a turn: its texts, and how many words they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.core.outputs import in_words
from antiphon.protocol.content import InputText, OutputText, RefusalPart
from antiphon.protocol.items import CustomToolCallOutput, FunctionCallOutput, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from antiphon.core.turn import Turn
    from antiphon.protocol.content import MessagePart
    from antiphon.protocol.items import Item


def last_user_text(turn: Turn) -> str:
    """Give the text of the last message of a user's, empty if there is none."""
    messages = (item for item in reversed(turn.items) if isinstance(item, Message) and item.role == "user")
    return next((_joined(message.content) for message in messages), "")


def outputs(turn: Turn) -> list[str]:
    """Give the outputs of calls that came after the last user message, oldest first."""
    found: list[str] = []
    for item in turn.items:
        match item:
            case Message(role="user"):
                found.clear()
            case FunctionCallOutput() | CustomToolCallOutput():
                found.append(item.output if isinstance(item.output, str) else _joined(item.output))
            case _ if item.id in turn.outputs:
                found.append(in_words(turn.outputs[item.id]))
            case _:
                pass
    return found


def ends_with_output(turn: Turn) -> bool:
    """Tell whether the model is to read an output now: none of its own words and no user's stands behind it."""
    match turn.items[-1] if turn.items else None:
        case None | Message():
            return False
        case FunctionCallOutput() | CustomToolCallOutput():
            return True
        case item:
            return item.id in turn.outputs


def word_count(turn: Turn) -> int:
    """Count the words of the instructions, of all messages and of all outputs."""
    texts = [turn.instructions or "", *(_text(item, turn) for item in turn.items)]
    return sum(len(text.split()) for text in texts)


def _text(item: Item, turn: Turn) -> str:
    match item:
        case Message():
            return _joined(item.content)
        case FunctionCallOutput() | CustomToolCallOutput():
            return item.output if isinstance(item.output, str) else _joined(item.output)
        case _:
            return in_words(turn.outputs.get(item.id, ""))


def _joined(parts: Iterable[MessagePart]) -> str:
    texts: list[str] = []
    for part in parts:
        match part:
            case InputText() | OutputText():
                texts.append(part.text)
            case RefusalPart():
                texts.append(part.refusal)
            case _:
                pass
    return "\n".join(texts)
