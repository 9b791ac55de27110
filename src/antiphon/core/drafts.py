"""The items of a client's calls while their streams tell them: what is told so far, and the events that tell it.

A draft knows what was told, not what the model wrote: so it can be written by a model's arguments
(`antiphon.core.argument_reading`), by a log that is read again (`Told`), and by a finished item that is told once more.
Field sets and order of the events: recorded traffic, sections 1 to 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeGuard

from msgspec.structs import replace

from antiphon.protocol.calls import (
    ApplyPatchCall,
    ContainerReference,
    DeleteFile,
    ExecAction,
    LocalShellCall,
    ShellAction,
    ShellCall,
    ToolSearchCall,
)
from antiphon.protocol.computer import ComputerCall
from antiphon.protocol.events import (
    CommandAdded,
    CommandDelta,
    CommandDone,
    CustomInputDone,
    DiffDone,
    ItemDelta,
    ItemDeltaType,
    StreamEvent,
)
from antiphon.protocol.items import CustomToolCall

if TYPE_CHECKING:
    from antiphon.core.calls import OpenCall
    from antiphon.core.place import Place
    from antiphon.protocol.items import OutputItem
    from antiphon.protocol.parts import ItemStatus

ClientItem = CustomToolCall | ShellCall | LocalShellCall | ApplyPatchCall | ToolSearchCall | ComputerCall


class Draft(Protocol):
    """An item as far as it is told."""

    def item(self, status: ItemStatus) -> OutputItem:
        """The item, with this status or the nearest that its type has."""
        ...

    def hear(self, event: StreamEvent) -> None:
        """An event told more of it; one that tells nothing new is passed over."""
        ...

    def close(self) -> list[StreamEvent]:
        """The events of the end of what is written, before the item is done."""
        ...


class CustomDraft:
    """A call of a custom tool: free text."""

    def __init__(self, blank: CustomToolCall, place: Place) -> None:
        self._blank = blank
        self._place = place
        self._pieces: list[str] = []

    def item(self, status: ItemStatus) -> OutputItem:
        """The call with its text."""
        return replace(self._blank, status=status, input="".join(self._pieces))

    def write(self, text: str) -> list[StreamEvent]:
        """Append to the text."""
        if not text:
            return []
        self._pieces.append(text)
        return [_delta(self._place, "response.custom_tool_call_input.delta", text)]

    def hear(self, event: StreamEvent) -> None:
        """Text was told."""
        if isinstance(event, ItemDelta):
            self._pieces.append(event.delta)

    def close(self) -> list[StreamEvent]:
        """The text whole."""
        place = self._place
        return [
            CustomInputDone(
                input="".join(self._pieces),
                item_id=place.id,
                output_index=place.output_index,
                sequence_number=place.number(),
            )
        ]


class ShellDraft:
    """A call of a shell: commands, one written at a time."""

    def __init__(self, blank: ShellCall, place: Place) -> None:
        self._blank = blank
        self._place = place
        self._commands: list[str] = []
        self._open: list[str] | None = None

    @property
    def begun(self) -> int:
        """How many commands were begun."""
        return len(self._commands) + (self._open is not None)

    def item(self, status: ItemStatus) -> OutputItem:
        """The call with its commands, and with its limits once they are set."""
        commands = [*self._commands, *([] if self._open is None else ["".join(self._open)])]
        return replace(self._blank, status=status, action=replace(self._blank.action, commands=commands))

    def limit(self, action: ShellAction) -> None:
        """The limits, which no event of their own tells."""
        self._blank = replace(self._blank, action=action)

    def begin(self) -> list[StreamEvent]:
        """A command begins."""
        ended = self.end()
        self._open = []
        place, number = self._place, self._place.number()
        index = len(self._commands)
        return [
            *ended,
            CommandAdded(command="", command_index=index, output_index=place.output_index, sequence_number=number),
        ]

    def write(self, text: str) -> list[StreamEvent]:
        """Append to the command."""
        if self._open is None or not text:
            return []
        self._open.append(text)
        place, number = self._place, self._place.number()
        index = len(self._commands)
        return [CommandDelta(delta=text, command_index=index, output_index=place.output_index, sequence_number=number)]

    def end(self) -> list[StreamEvent]:
        """The command is whole, if one is open."""
        if self._open is None:
            return []
        command, self._open = "".join(self._open), None
        self._commands.append(command)
        place, number = self._place, self._place.number()
        index = len(self._commands) - 1
        return [
            CommandDone(command=command, command_index=index, output_index=place.output_index, sequence_number=number)
        ]

    def hear(self, event: StreamEvent) -> None:
        """Something of a command was told."""
        match event:
            case CommandAdded():
                self.begin()
            case CommandDelta():
                self.write(event.delta)
            case CommandDone():
                self.end()
            case _:
                pass

    def close(self) -> list[StreamEvent]:
        """The last command is whole."""
        return self.end()


class PatchDraft:
    """A call that changes a file: what is done to which file is known when it begins, the diff is written."""

    def __init__(self, blank: ApplyPatchCall, place: Place) -> None:
        self._blank = blank
        self._place = place
        self._pieces: list[str] = []

    def item(self, status: ItemStatus) -> OutputItem:
        """The call with its diff. The type has no word for a call that was cut short: it stays in progress."""
        operation = self._blank.operation
        if not isinstance(operation, DeleteFile):
            operation = replace(operation, diff="".join(self._pieces))
        return replace(self._blank, status="completed" if status == "completed" else "in_progress", operation=operation)

    def write(self, text: str) -> list[StreamEvent]:
        """Append to the diff."""
        if not text or isinstance(self._blank.operation, DeleteFile):
            return []
        self._pieces.append(text)
        return [_delta(self._place, "response.apply_patch_call_operation_diff.delta", text)]

    def hear(self, event: StreamEvent) -> None:
        """More of the diff was told."""
        if isinstance(event, ItemDelta):
            self._pieces.append(event.delta)

    def close(self) -> list[StreamEvent]:
        """The diff whole, if there can be one."""
        if isinstance(self._blank.operation, DeleteFile):
            return []
        place = self._place
        return [
            DiffDone(
                diff="".join(self._pieces),
                item_id=place.id,
                output_index=place.output_index,
                sequence_number=place.number(),
            )
        ]


class WholeDraft:
    """A call that no event of its own tells: it is blank until it is done."""

    def __init__(self, blank: LocalShellCall | ToolSearchCall | ComputerCall) -> None:
        self._blank: LocalShellCall | ToolSearchCall | ComputerCall = blank

    def item(self, status: ItemStatus) -> OutputItem:
        """The call."""
        return replace(self._blank, status=status)

    def hear(self, event: StreamEvent) -> None:
        """Nothing tells of it."""

    def close(self) -> list[StreamEvent]:
        """Nothing."""
        return []


class Told:
    """A client's call of which only a log tells. Its events are heard; its arguments are not known."""

    prefix = ""
    hosted = False

    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    def item(self, call: OpenCall) -> OutputItem:
        """The item as far as it was told."""
        return self.draft.item(call.status)

    def began(self, call: OpenCall) -> list[StreamEvent]:
        """Nothing: it was told."""
        return []

    def wrote(self, call: OpenCall, arguments: str) -> list[StreamEvent]:
        """Nothing: nobody writes to it any more."""
        return []

    def wrote_all(self, call: OpenCall) -> list[StreamEvent]:
        """What is still to be told."""
        return self.draft.close()


def is_clients(item: OutputItem) -> TypeGuard[ClientItem]:
    """Whether it is a call, other than of a function, that the client answers."""
    match item:
        case ShellCall():
            return not isinstance(item.environment, ContainerReference)
        case ToolSearchCall():
            return item.execution == "client"
        case CustomToolCall() | LocalShellCall() | ApplyPatchCall() | ComputerCall():
            return True
        case _:
            return False


def draft_of(item: ClientItem, place: Place) -> Draft:
    """The draft of an item that was added as this one."""
    match item:
        case CustomToolCall():
            return CustomDraft(item, place)
        case ShellCall():
            return ShellDraft(item, place)
        case ApplyPatchCall():
            return PatchDraft(item, place)
        case whole:
            return WholeDraft(whole)


def told_whole(item: ClientItem, place: Place) -> list[StreamEvent]:
    """The events of a finished call that is told again, all but the last."""
    match item:
        case CustomToolCall():
            text = CustomDraft(replace(item, input=""), place)
            return [place.added(text.item("in_progress")), *text.write(item.input), *text.close()]
        case ShellCall():
            action = ShellAction(commands=[])
            shell = ShellDraft(replace(item, action=action), place)
            events = [place.added(shell.item("in_progress"))]
            for command in item.action.commands:
                events += [*shell.begin(), *shell.write(command), *shell.end()]
            return events
        case ApplyPatchCall():
            patch = PatchDraft(item, place)
            diff = "" if isinstance(item.operation, DeleteFile) else item.operation.diff
            return [place.added(patch.item("in_progress")), *patch.write(diff), *patch.close()]
        case LocalShellCall():
            return [place.added(replace(item, status="in_progress", action=ExecAction(command=[])))]
        case ComputerCall():
            return [place.added(replace(item, status="in_progress"))]
        case search:
            return [place.added(replace(search, status="in_progress", arguments={}))]


def _delta(place: Place, type_: ItemDeltaType, text: str) -> StreamEvent:
    return ItemDelta(
        type=type_, delta=text, item_id=place.id, output_index=place.output_index, sequence_number=place.number()
    )
