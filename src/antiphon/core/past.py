"""The past of a response: its log, read entry by entry, up to where the log ends.

What is half written there is written again into the same objects that wrote it first, so that they can close it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from antiphon.core.calls import FUNCTION, CallKind, ClientFunction, Lost, OpenCall
from antiphon.core.drafts import Told, draft_of, is_clients
from antiphon.core.notes import (
    CallAnswered,
    CallOpened,
    CallStarted,
    CallWritten,
    Compacted,
    FilterNoted,
    ListOpened,
    Note,
    ThoughtKept,
    TurnBroken,
    TurnEnded,
)
from antiphon.core.place import Place
from antiphon.core.tally import Unreported
from antiphon.core.turn import Output, Thinking
from antiphon.core.usage import drawn, total
from antiphon.core.verdicts import joined
from antiphon.core.writing import Shown, WritingMessage, WritingThought
from antiphon.protocol.calls import McpApprovalRequest, McpListTools, ToolSearchOutput
from antiphon.protocol.content import ReasoningText
from antiphon.protocol.events import (
    AnnotationAdded,
    CommandAdded,
    CommandDelta,
    CommandDone,
    ItemAdded,
    ItemDelta,
    ItemDone,
    PartAdded,
    PartDone,
    ReasoningTextDelta,
    RefusalDelta,
    Snapshot,
    StreamEvent,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryTextDelta,
    TextDelta,
)
from antiphon.protocol.items import Compaction, FunctionCall, Message, OutputItem, ReasoningItem
from antiphon.protocol.response import ImageToolUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.core.deltas import FinishReason
    from antiphon.protocol.response import ContentFilter, Response, Usage

Phase = Literal["new", "queued", "idle", "speaking", "broken", "ended"]
"""How far a response has come. It is ``broken`` where a log ends within a turn."""


class Past:
    """What the log tells, as far as it was heard: ``hear`` every entry from the first on.

    ``calls`` are those of the last turn, by item id; ``message``, ``thought`` and ``call`` are what is half written.
    ``lists`` are the lists of tools, by label, finished or not. ``has_spoken``: a turn of it has ended.
    """

    def __init__(self, kinds: Mapping[str, CallKind] | None = None) -> None:
        self._kinds = kinds or {}
        self._phase: Phase = "new"
        self._place: Place | None = None
        self.response: Response | None = None
        self.next_number = self.next_index = self.first_index = 0
        self.done: dict[int, OutputItem] = {}
        self.broken: dict[int, None] = {}  # its keys alone, as of `started`: an empty set takes four times as much
        self.usage: Usage | None = None
        self.drawn = ImageToolUsage()
        self.reason: FinishReason = "stop"
        self.filters: list[ContentFilter] = []
        self.turn_ended = False
        self.message: WritingMessage | None = None
        self.thought: WritingThought | None = None
        self.call: OpenCall | None = None
        self.calls: dict[str, OpenCall] = {}
        self.places: list[Place] = []
        self.outputs: dict[str, Output] = {}
        self.thoughts: dict[str, Thinking] = {}
        self.started: dict[str, None] = {}
        self.lists: dict[str, Place] = {}
        self.has_spoken = False
        self.hosted_calls = 0
        self.unreported: list[Unreported] = []

    @property
    def phase(self) -> Phase:
        """How far the response has come."""
        in_a_turn = not self.turn_ended and self.next_index > self.first_index
        return "broken" if self._phase == "idle" and in_a_turn else self._phase

    def hear(self, entry: StreamEvent | Note) -> None:
        """The next entry. Raises ``ValueError`` where one is missing before it."""
        match entry:
            case (
                ListOpened()
                | CallOpened()
                | CallWritten()
                | TurnEnded()
                | TurnBroken()
                | CallStarted()
                | CallAnswered()
                | ThoughtKept()
                | FilterNoted()
                | Compacted()
            ):
                self._note(entry)
            case event:
                if event.sequence_number != self.next_number:
                    raise ValueError(f"the log lacks event {self.next_number}")
                self.next_number += 1
                self._event(event)

    def _event(self, event: StreamEvent) -> None:
        match event:
            case Snapshot():
                self._snapshot(event.response)
            case ItemAdded():
                self._added(event.item, event.output_index)
            case ItemDone():
                self._done(event.item, event.output_index)
            case ItemDelta() if event.item_id in self.calls:
                _hear(self.calls[event.item_id], event)
            case CommandAdded() | CommandDelta() | CommandDone() if self.call is not None:
                _hear(self.call, event)
            case prose:
                self._prose(prose)

    def _prose(self, event: StreamEvent) -> None:
        """Write prose again. The events that are not named repeat others, or tell progress that is not kept."""
        match event:
            case TextDelta() if self.message is not None:
                self.message.write(event.delta, event.logprobs)
            case RefusalDelta() if self.message is not None:
                self.message.refuse(event.delta)
            case AnnotationAdded() if self.message is not None:
                self.message.cite(event.annotation)
            case SummaryPartAdded() | PartAdded(part=ReasoningText()) if self.thought is not None:
                self.thought.enter(raw=isinstance(event, PartAdded))
            case ReasoningTextDelta() | SummaryTextDelta() if self.thought is not None:
                self.thought.append(event.delta)
            case SummaryPartDone() | PartDone(part=ReasoningText()) if self.thought is not None:
                self.thought.leave("completed")
            case _:
                pass

    def _note(self, note: Note) -> None:
        match note:
            case ListOpened():
                listed = self.calls.pop(note.id)
                self.lists[listed.name] = listed.place
                self.call = None
                self.first_index = listed.place.output_index + 1
            case CallOpened():
                self.hosted_calls += 1
                call = self.calls[note.id]
                call.kind = self._kinds.get(note.name, call.kind)
                call.key, call.name, call.call_id = note.key, note.name, note.call_id
            case CallWritten():
                self.calls[note.id].recall(note.arguments)
                if self.call is self.calls[note.id]:
                    self.call = None
            case CallStarted():
                self.started[note.id] = None
            case CallAnswered():
                self.outputs[note.id] = note.output
                if note.usage is not None:
                    self.drawn = drawn(self.drawn, note.usage)
            case of_the_turn:
                self._note_of_turn(of_the_turn)

    def _note_of_turn(self, note: TurnEnded | TurnBroken | ThoughtKept | FilterNoted | Compacted) -> None:
        match note:
            case TurnEnded():
                self.turn_ended = self.has_spoken = True
                self.reason = note.reason
                self.usage = total(self.usage, note.usage)
                if note.usage is None:
                    self.unreported.append(Unreported(self.first_index, self.next_index))
                if note.reason != "stop":
                    self._cut_short()
            case TurnBroken():
                self.unreported.append(Unreported(self.first_index, note.items))
                self.broken |= dict.fromkeys(range(self.first_index, note.items))
                self.first_index = note.items
                self.calls = {id: call for id, call in self.calls.items() if call.place.output_index >= note.items}
            case ThoughtKept():
                self.thoughts[note.id] = note.thinking
            case FilterNoted():
                self.filters = joined(self.filters, note.filters)
            case compacted:
                self.usage = total(self.usage, compacted.usage)

    def _cut_short(self) -> None:
        """The turn ended before the model had said all: a client's call that is not completed was cut short."""
        for call in self.calls.values():
            item = self.done.get(call.place.output_index)
            if item is not None and is_clients(item) and item.status != "completed":
                call.status = "incomplete"

    def _snapshot(self, response: Response) -> None:
        self.response = response
        match response.status:
            case "queued":
                self._phase = "queued"
            case "in_progress":
                self._phase = "idle"
            case _:  # well or badly
                self._phase = "ended"

    def _added(self, item: OutputItem, index: int) -> None:
        if isinstance(item, Compaction | ToolSearchOutput):  # no model made it: it stands between turns, whole at once
            self._stands_between(Place(item.id, index, _unnumbered))
            return
        if self.turn_ended:
            self.turn_ended = False
            self.first_index = index
            self.calls = {}
        self._nothing_open()
        self.next_index = index + 1
        self._place = place = Place(item.id, index, _unnumbered)
        self.places.append(place)
        match item:
            case Message():
                self.message = WritingMessage(place, item.phase)
            case ReasoningItem():  # what it shows is known when its parts begin
                self.thought = WritingThought(place, Shown())
            case FunctionCall():
                kind = ClientFunction(item.name, item.namespace or None)
                self._called(OpenCall(kind, place, key=item.id, name=item.name, call_id=item.call_id))
            case _ if is_clients(item):
                told = Told(draft_of(item, place))
                self._called(OpenCall(told, place, key=item.id, name="", call_id=item.call_id or ""))
            case McpApprovalRequest():  # the client's, like a function: it must not be asked for twice
                self._called(OpenCall(FUNCTION, place, key=item.id, name=item.name, call_id=item.id))
            case hosted:  # a note behind it tells more
                label = hosted.server_label if isinstance(hosted, McpListTools) else ""
                self._called(OpenCall(Lost(hosted), place, key=item.id, name=label, call_id=""))

    def _stands_between(self, place: Place) -> None:
        is_between = self.turn_ended or self.next_index == self.first_index  # else an upstream made it in its turn
        self.places.append(place)
        self.next_index = place.output_index + 1
        if is_between:
            self.first_index = self.next_index

    def _called(self, call: OpenCall) -> None:
        self.call = self.calls[call.id] = call

    def _done(self, item: OutputItem, index: int) -> None:
        self.done[index] = item
        if index == self.next_index - 1:
            self._nothing_open()
        match item:
            case FunctionCall() if item.id in self.calls:
                self.calls[item.id].status = item.status
            case McpApprovalRequest() if item.id in self.calls:
                self.calls[item.id].status = "completed"
            case _ if is_clients(item) and item.id in self.calls:  # whole, though perhaps nobody could understand it
                self.calls[item.id].status = "completed"
            case _:
                pass

    def _nothing_open(self) -> None:
        self.message = self.thought = self.call = self._place = None


def _hear(call: OpenCall, event: ItemDelta | CommandAdded | CommandDelta | CommandDone) -> None:
    """A call was told further."""
    match call.kind, event:
        case Told(draft=draft), _:
            draft.hear(event)
        case _, ItemDelta(delta=delta):
            call.write(delta)
        case _:  # the commands of a shell of the server's, which only its answer shows
            pass


def _unnumbered() -> int:
    """The events that come of writing again are dropped: they have been told."""
    return 0
