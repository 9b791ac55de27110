"""A finished response told again as a stream, from its items: each text in one delta."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from antiphon.core.calls import FUNCTION, OpenCall
from antiphon.core.drafts import told_whole
from antiphon.core.place import EndStatus, Place
from antiphon.core.prose import REASONING, REFUSAL, SUMMARY, TEXT
from antiphon.core.writing import OpenPart
from antiphon.protocol.calls import ApplyPatchCall, LocalShellCall, ShellCall, ToolSearchCall
from antiphon.protocol.computer import ComputerCall
from antiphon.protocol.content import MessagePart, OutputText, RefusalPart
from antiphon.protocol.events import Snapshot, SnapshotType
from antiphon.protocol.items import CustomToolCall, FunctionCall, Message, OutputItem, ReasoningItem

if TYPE_CHECKING:
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.response import Response


def retold(response: Response) -> list[StreamEvent]:
    """The events of a stream that ends with this response, which has ended. Raises ``ValueError`` if it has not."""
    number = count().__next__
    opening = replace(
        response,
        status="in_progress",
        completed_at=None,
        error=None,
        incomplete_details=None,
        output=[],
        service_tier="auto",
        usage=None,
    )
    end = _end(response)
    events: list[StreamEvent] = [
        Snapshot(type="response.created", response=opening, sequence_number=number()),
        Snapshot(type="response.in_progress", response=opening, sequence_number=number()),
    ]
    for index, item in enumerate(response.output):
        events += _item(item, Place(item.id, index, number))
    return [*events, Snapshot(type=end, response=response, sequence_number=number())]


def _end(response: Response) -> SnapshotType:
    match response.status:
        case "completed":
            return "response.completed"
        case "incomplete":
            return "response.incomplete"
        case "failed" | "cancelled":
            return "response.failed"
        case running:
            raise ValueError(f"a response that is {running} cannot be told to its end")


def _item(item: OutputItem, place: Place) -> list[StreamEvent]:
    match item:
        case Message():
            return _message(item, place)
        case ReasoningItem():
            return _thought(item, place)
        case FunctionCall():
            return _function_call(item, place)
        case CustomToolCall() | ShellCall() | LocalShellCall() | ApplyPatchCall() | ToolSearchCall() | ComputerCall():
            return [*told_whole(item, place), place.done(item)]
        case whole:  # what tools of the server did is shown by its end
            return [place.added(whole), place.done(whole)]


def _message(message: Message, place: Place) -> list[StreamEvent]:
    events = [place.added(replace(message, status="in_progress", content=[]))]
    status: EndStatus = "incomplete" if message.status == "incomplete" else "completed"
    for index, part in enumerate(message.content):
        events += _part(part, place, index, status=status)
    return [*events, place.done(message)]


def _part(part: MessagePart, place: Place, index: int, *, status: EndStatus) -> list[StreamEvent]:
    match part:
        case OutputText():
            text = OpenPart(TEXT, place, index)
            events = [text.open()]
            if part.text or part.logprobs:
                events.append(text.write(part.text, part.logprobs))
            events += [text.cite(annotation) for annotation in part.annotations]
            return events + text.close(status).events
        case RefusalPart():
            refusal = OpenPart(REFUSAL, place, index)
            return [refusal.open(), refusal.write(part.refusal, []), *refusal.close(status).events]
        case _:  # callers' parts, which no stream tells
            return []


def _thought(thought: ReasoningItem, place: Place) -> list[StreamEvent]:
    events = [place.added(ReasoningItem(id=thought.id, summary=[]))]
    status: EndStatus = "incomplete" if thought.status == "incomplete" else "completed"
    for index, part in enumerate(thought.summary):
        summary = OpenPart(SUMMARY, place, index)
        events += [summary.open(), summary.write(part.text, []), *summary.close(status).events]
    for index, raw in enumerate([] if thought.content is UNSET else thought.content):
        reasoning = OpenPart(REASONING, place, index)
        events += [reasoning.open(), reasoning.write(raw.text, []), *reasoning.close(status).events]
    return [*events, place.done(thought)]


def _function_call(item: FunctionCall, place: Place) -> list[StreamEvent]:
    call = OpenCall(FUNCTION, place, key=item.id, name=item.name, call_id=item.call_id)
    events = [place.added(replace(item, status="in_progress", arguments=""))]
    if item.arguments:
        events += call.write(item.arguments)
    return [*events, *FUNCTION.wrote_all(call), place.done(item)]
