"""The response as the sum of its events: what a stream says, read back, as far as it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.protocol.calls import ApplyPatchCall, CreateFile, ShellCall, UpdateFile
from antiphon.protocol.content import Annotation, Logprob, OutputText, ReasoningText, RefusalPart, SummaryText
from antiphon.protocol.events import (
    AnnotationAdded,
    CommandAdded,
    CommandDelta,
    ItemAdded,
    ItemDelta,
    ItemDone,
    PartAdded,
    ReasoningTextDelta,
    RefusalDelta,
    Snapshot,
    StreamEvent,
    SummaryPartAdded,
    SummaryTextDelta,
    TextDelta,
)
from antiphon.protocol.items import CustomToolCall, FunctionCall, Message, OutputItem, ReasoningItem
from antiphon.protocol.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from antiphon.core.notes import Note

Part = OutputText | RefusalPart | ReasoningText | SummaryText


def fold(events: Iterable[StreamEvent | Note]) -> Response | None:
    """The response that these events, from the first on, add up to; None where there are none.

    Before the terminal event the output holds the finished items and the open one, ``in_progress``, as far as it is
    written. The notes of a log are passed over.
    """
    response: Response | None = None
    items: dict[int, PartialItem] = {}
    for event in events:
        match event:
            case Snapshot():
                response = event.response
            case ItemAdded() | ItemDone():
                items[event.output_index] = PartialItem(event.item)
            case (
                PartAdded()
                | SummaryPartAdded()
                | TextDelta()
                | AnnotationAdded()
                | RefusalDelta()
                | ReasoningTextDelta()
                | SummaryTextDelta()
                | ItemDelta()
                | CommandAdded()
                | CommandDelta()
            ):
                items[event.output_index].hear(event)
            case _:  # the others repeat what these said, or tell progress that the response does not hold
                pass
    if response is None or response.status not in ("queued", "in_progress"):
        return response
    return replace(response, output=[item.item() for item in items.values()])


Piece = (
    PartAdded
    | SummaryPartAdded
    | TextDelta
    | AnnotationAdded
    | RefusalDelta
    | ReasoningTextDelta
    | SummaryTextDelta
    | ItemDelta
    | CommandAdded
    | CommandDelta
)


class PartialPart:
    """A part as far as it is written."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._pieces: list[str] = []
        self._logprobs: list[Logprob] = []
        self.annotations: list[Annotation] = []

    def append(self, text: str, logprobs: list[Logprob]) -> None:
        """A piece more."""
        self._pieces.append(text)
        self._logprobs += logprobs

    def part(self) -> Part:
        """The part as far as it came."""
        text = "".join(self._pieces)
        match self._part:
            case OutputText():
                return OutputText(text=text, annotations=self.annotations, logprobs=self._logprobs)
            case RefusalPart():
                return RefusalPart(refusal=text)
            case thought:
                return replace(thought, text=text)


class PartialItem:
    """An item as it was added or done, and what came after it was added."""

    def __init__(self, item: OutputItem) -> None:
        self._item = item
        self._parts: list[PartialPart] = []
        self._carried: list[str] = []
        self._commands: list[list[str]] = []

    def hear(self, event: Piece) -> None:
        """More of it."""
        match event:
            case PartAdded() | SummaryPartAdded():
                self._parts.append(PartialPart(event.part))
            case TextDelta():
                self._parts[-1].append(event.delta, event.logprobs)
            case AnnotationAdded():
                self._parts[-1].annotations.append(event.annotation)
            case RefusalDelta() | ReasoningTextDelta() | SummaryTextDelta():
                self._parts[-1].append(event.delta, [])
            case ItemDelta():
                self._carried.append(event.delta)
            case CommandAdded():
                self._commands.append([])
            case command:
                self._commands[command.command_index].append(command.delta)

    def item(self) -> OutputItem:
        """The item as far as it came."""
        parts = [part.part() for part in self._parts]
        match self._item:
            case Message() as message if parts:
                return replace(message, content=parts)
            case ReasoningItem() as thought if parts:
                raw = [part for part in parts if isinstance(part, ReasoningText)]
                summary = [part for part in parts if isinstance(part, SummaryText)]
                return replace(thought, summary=summary, **({"content": raw} if raw else {}))
            case FunctionCall() as call if self._carried:
                return replace(call, arguments="".join(self._carried))
            case CustomToolCall() as call if self._carried:
                return replace(call, input="".join(self._carried))
            case ApplyPatchCall(operation=CreateFile() | UpdateFile() as operation) as call if self._carried:
                return replace(call, operation=replace(operation, diff="".join(self._carried)))
            case ShellCall() as call if self._commands:
                action = replace(call.action, commands=["".join(command) for command in self._commands])
                return replace(call, action=action)
            case item:
                return item
