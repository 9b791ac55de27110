"""Calls while they are written, and the kinds of call: a client's function and a hosted tool differ only here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from antiphon.core.arguments import Arguments
from antiphon.core.place import EndStatus, Place
from antiphon.protocol.calls import (
    CodeInterpreterCall,
    FileSearchCall,
    ImageGenerationCall,
    McpCall,
    ShellCall,
    ToolSearchCall,
    WebSearchCall,
)
from antiphon.protocol.events import FunctionArgumentsDone, ItemDelta, ItemPhase, PartialImage, PhaseType, StreamEvent
from antiphon.protocol.items import FunctionCall, OutputItem
from antiphon.protocol.parts import ItemStatus

if TYPE_CHECKING:
    from collections.abc import Callable


class Glimpse(Struct, frozen=True):
    """A picture as far as it is drawn: its number from 0, the picture in base64, and what it is drawn as."""

    index: int
    image: str
    size: str
    quality: str
    background: str
    output_format: str


Phase: TypeAlias = PhaseType | Glimpse
"""What a hosted call may report before it is answered."""


class OpenCall:
    """A call: open while its arguments are written, and, if it is hosted, until its answer comes.

    ``arguments`` is the JSON text as far as it is written; ``status`` tells how the writing ended. What is written
    beyond `MOST_ARGUMENTS` is not listened to, and such a call is never completed. ``reading`` is what its kind keeps
    of the arguments, if it looks into them.
    """

    def __init__(self, kind: CallKind, place: Place, *, key: str, name: str, call_id: str) -> None:
        self.kind = kind
        self.place = place
        self.key = key
        self.name = name
        self.call_id = call_id
        self.status: ItemStatus = "in_progress"
        self.reading: Reading | None = None
        self._arguments = Arguments()

    @property
    def id(self) -> str:
        """The id of the call's item."""
        return self.place.id

    @property
    def arguments(self) -> str:
        """The arguments as far as they are written."""
        return self._arguments.text

    def open(self) -> list[StreamEvent]:
        """The call begins, without arguments."""
        if isinstance(self.kind, Late):
            return []
        return [self.place.added(self.kind.item(self)), *self.kind.began(self)]

    def write(self, arguments: str) -> list[StreamEvent]:
        """Append to the arguments."""
        taken = self._arguments.write(arguments)
        return self.kind.wrote(self, taken) if taken else []

    def recall(self, arguments: str) -> None:
        """The arguments were written whole, as a log remembers them."""
        self._arguments = Arguments(most=len(arguments))
        self._arguments.write(arguments)
        self.status = "completed"

    def close(self, status: EndStatus) -> list[StreamEvent]:
        """The arguments are whole, or cut short. A whole call without any has the empty object, as recorded."""
        events = self.write("{}") if status == "completed" and self._arguments.is_empty else []
        self.status = "incomplete" if self._arguments.is_cut else status
        return [*events, *self.kind.wrote_all(self)]

    def is_whole(self) -> bool:
        """Whether the arguments are a JSON value to which nothing can be added."""
        return self._arguments.is_whole()


class Reading(Protocol):
    """What a kind makes of the arguments of one call while they are written."""

    def item(self) -> OutputItem:
        """The item as far as it is told."""
        ...

    def wrote(self, arguments: str) -> list[StreamEvent]:
        """The events of a fragment of the arguments."""
        ...

    def wrote_all(self) -> list[StreamEvent]:
        """The events of the end of the arguments."""
        ...


class Late:
    """A kind whose calls begin with the first fragments that say what they are: it tells the beginning itself."""


class CallKind(Protocol):
    """How a call shows itself. ``hosted``: the server answers it; else the client does, and it is done when written."""

    prefix: str
    hosted: bool

    def item(self, call: OpenCall) -> OutputItem:
        """The item as far as the call is written."""
        ...

    def began(self, call: OpenCall) -> list[StreamEvent]:
        """The events right after the item was added."""
        ...

    def wrote(self, call: OpenCall, arguments: str) -> list[StreamEvent]:
        """The events of a fragment of the arguments."""
        ...

    def wrote_all(self, call: OpenCall) -> list[StreamEvent]:
        """The events of the end of the arguments."""
        ...


class ClientFunction:
    """A function that the client runs, under the name that the model knows unless it has one of its own."""

    prefix = "fc"
    hosted = False

    def __init__(self, name: str | None = None, namespace: str | None = None) -> None:
        self._name = name
        self._namespace: str | UnsetType = UNSET if namespace is None else namespace

    def item(self, call: OpenCall) -> OutputItem:
        """A function call."""
        return FunctionCall(
            id=call.id,
            status=call.status,
            arguments=call.arguments,
            call_id=call.call_id,
            name=call.name if self._name is None else self._name,
            namespace=self._namespace,
        )

    def began(self, call: OpenCall) -> list[StreamEvent]:
        """Nothing but the item itself."""
        return []

    def wrote(self, call: OpenCall, arguments: str) -> list[StreamEvent]:
        """A delta for each fragment."""
        return [
            ItemDelta(
                type="response.function_call_arguments.delta",
                delta=arguments,
                item_id=call.id,
                output_index=call.place.output_index,
                sequence_number=call.place.number(),
            )
        ]

    def wrote_all(self, call: OpenCall) -> list[StreamEvent]:
        """The arguments whole."""
        return [
            FunctionArgumentsDone(
                arguments=call.arguments,
                item_id=call.id,
                output_index=call.place.output_index,
                sequence_number=call.place.number(),
            )
        ]


FUNCTION = ClientFunction()


class Quiet:
    """A kind of call that says nothing while it is written: what it shows is its item."""

    def began(self, call: OpenCall) -> list[StreamEvent]:
        """Nothing."""
        return []

    def wrote(self, call: OpenCall, arguments: str) -> list[StreamEvent]:
        """Nothing."""
        return []

    def wrote_all(self, call: OpenCall) -> list[StreamEvent]:
        """Nothing."""
        return []


class Silent(Quiet):
    """A hosted tool that does not show its arguments while they are written: searches and images."""

    hosted = True

    def __init__(self, prefix: str, blank: Callable[[OpenCall], OutputItem], began: PhaseType) -> None:
        self.prefix = prefix
        self._blank = blank
        self._began: PhaseType = began

    def item(self, call: OpenCall) -> OutputItem:
        """The blank item: what came of the call is in its answer alone; without one it is unfinished for ever."""
        blank = self._blank(call)
        return unfinished(blank, "") if call.status == "incomplete" else blank

    def began(self, call: OpenCall) -> list[StreamEvent]:
        """The call is in progress."""
        return [phase_event(call, self._began)]


class Lost(Quiet):
    """A hosted call of which only its item is known: whoever answered it runs no more. It is never answered."""

    prefix = ""
    hosted = True

    def __init__(self, item: OutputItem) -> None:
        self._item = item

    def item(self, call: OpenCall) -> OutputItem:
        """The item as it was added, but unfinished for ever."""
        return unfinished(self._item, call.arguments)


def unfinished(item: OutputItem, arguments: str) -> OutputItem:
    """An item that nobody will finish, with the word for that which its type has, if it has one."""
    match item:
        case FileSearchCall() | WebSearchCall() | CodeInterpreterCall() | ShellCall() | ToolSearchCall():
            return replace(item, status="incomplete")
        case McpCall():
            return replace(item, status="incomplete", arguments=arguments)
        case ImageGenerationCall():
            return replace(item, status="failed", result="")  # clients read it as text whatever the status is
        case _:
            return item


def phase_event(call: OpenCall, phase: Phase) -> StreamEvent:
    """A hosted call goes on."""
    place = call.place
    match phase:
        case Glimpse():
            return PartialImage(
                background=phase.background,
                output_format=phase.output_format,
                partial_image_b64=phase.image,
                partial_image_index=phase.index,
                quality=phase.quality,
                size=phase.size,
                item_id=place.id,
                output_index=place.output_index,
                sequence_number=place.number(),
            )
        case _:
            return ItemPhase(
                type=phase, item_id=place.id, output_index=place.output_index, sequence_number=place.number()
            )
