"""What a scripted model makes of a turn: its texts, and how many words they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.backends.upstream.retelling import retell
from antiphon.core.outputs import in_words
from antiphon.protocol.calls import ApplyPatchCallOutput, LocalShellCallOutput, ShellCallOutput, ToolSearchOutput
from antiphon.protocol.computer import ComputerCallOutput
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
        if isinstance(item, Message) and item.role == "user":
            found.clear()
        elif (output := _output(item, turn)) is not None:
            found.append(output)
    return found


def ends_with_output(turn: Turn) -> bool:
    """Tell whether the model is to read an output now: none of its own words and no user's stands behind it.

    The tools that the server found are no output: what the model reads of them stands with the call.
    """
    last = next((item for item in reversed(turn.items) if not _is_found(item)), None)
    return last is not None and _output(last, turn) is not None


def _is_found(item: Item) -> bool:
    return isinstance(item, ToolSearchOutput) and item.execution == "server"


def _output(item: Item, turn: Turn) -> str | None:
    """What came of a call, whoever answered it; None for any other item."""
    match item:
        case (
            FunctionCallOutput()
            | CustomToolCallOutput()
            | ShellCallOutput()
            | LocalShellCallOutput()
            | ApplyPatchCallOutput()
            | ComputerCallOutput()
            | ToolSearchOutput(execution="client")
        ):
            answer = retell(item, turn.outputs).answer
            return "" if answer is None else in_words(answer.output)
        case _ if item.id in turn.outputs and not isinstance(item, Message):
            return in_words(turn.outputs[item.id])
        case _:
            return None


def word_count(turn: Turn) -> int:
    """Count the words of the instructions, of all messages and outputs, and of the thoughts that are shown again."""
    thoughts = [thinking.text for thinking in turn.thoughts.values()]
    texts = [turn.instructions or "", *thoughts, *(_text(item, turn) for item in turn.items)]
    return sum(len(text.split()) for text in texts)


def _text(item: Item, turn: Turn) -> str:
    return _joined(item.content) if isinstance(item, Message) else _output(item, turn) or ""


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
