"""Prose while it is written: an open item owns its events, and no object means that no item is open.

An item goes one way: ``open`` once, ``write`` any number of times, ``close`` once. Each step gives its events.
"""

from __future__ import annotations

from typing import Generic, Literal

from msgspec import UNSET, Struct, UnsetType

from antiphon.core.place import EndStatus, Place
from antiphon.core.prose import REASONING, REFUSAL, SUMMARY, TEXT, Closed, PartT_co, ProseKind, Written, cited
from antiphon.protocol.content import Annotation, Logprob, OutputText, ReasoningText, RefusalPart, SummaryText
from antiphon.protocol.events import StreamEvent
from antiphon.protocol.items import Message, OutputItem, ReasoningItem


class Finished(Struct, frozen=True):
    """A finished item and the events of its end, the last of which holds it whole."""

    output_index: int
    item: OutputItem
    events: list[StreamEvent]


class OpenPart(Generic[PartT_co]):
    """A part of prose while it is written."""

    def __init__(self, kind: ProseKind[PartT_co], place: Place, index: int) -> None:
        self.kind = kind
        self._place = place
        self._index = index
        self._pieces: list[str] = []
        self._logprobs: list[Logprob] = []
        self._annotations: list[Annotation] = []

    def open(self) -> StreamEvent:
        """The part begins, empty."""
        return self.kind.opened(self._place, self._index)

    def write(self, text: str, logprobs: list[Logprob]) -> StreamEvent:
        """Append a piece."""
        self._pieces.append(text)
        if logprobs:
            self._logprobs += logprobs
        return self.kind.wrote(self._place, self._index, text=text, logprobs=logprobs)

    def cite(self, annotation: Annotation) -> StreamEvent:
        """Append an annotation."""
        self._annotations.append(annotation)
        return cited(self._place, self._index, annotation=annotation, at=len(self._annotations) - 1)

    def close(self, status: EndStatus) -> Closed[PartT_co]:
        """The part is finished, or cut short."""
        written = Written("".join(self._pieces), self._logprobs, self._annotations)
        return self.kind.closed(self._place, self._index, written=written, status=status)


class WritingMessage:
    """A message while it is written: parts of text and of refusal, at most one of them open."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._parts: list[OutputText | RefusalPart] = []
        self._open: OpenPart[OutputText | RefusalPart] | None = None

    def open(self) -> list[StreamEvent]:
        """The message begins, empty."""
        return [self._place.added(Message(id=self._place.id, status="in_progress", role="assistant", content=[]))]

    def write(self, text: str, logprobs: list[Logprob]) -> list[StreamEvent]:
        """Append text."""
        part = self._open
        if part is not None and part.kind is TEXT:
            return [part.write(text, logprobs)]
        return self._write(TEXT, text, logprobs)

    def refuse(self, text: str) -> list[StreamEvent]:
        """Append refusal."""
        return self._write(REFUSAL, text, [])

    def close(self, status: EndStatus) -> Finished:
        """The message is finished, or cut short. One that holds nothing gets an empty part, as recorded."""
        events: list[StreamEvent] = []
        if self._open is None:
            self._open = OpenPart(TEXT, self._place, 0)
            events.append(self._open.open())
        events += self._close_part(status)
        item = Message(id=self._place.id, status=status, role="assistant", content=[*self._parts])
        return Finished(self._place.output_index, item, [*events, self._place.done(item)])

    def _write(
        self, kind: ProseKind[OutputText | RefusalPart], text: str, logprobs: list[Logprob]
    ) -> list[StreamEvent]:
        part = self._open
        if part is not None and part.kind is kind:
            return [part.write(text, logprobs)]
        events = self._close_part("completed")
        part = self._open = OpenPart(kind, self._place, len(self._parts))
        return [*events, part.open(), part.write(text, logprobs)]

    def _close_part(self, status: EndStatus) -> list[StreamEvent]:
        if self._open is None:
            return []
        closed, self._open = self._open.close(status), None
        self._parts.append(closed.part)
        return closed.events


class WritingThought:
    """A reasoning item while it is written: one part, of raw text or of summary."""

    def __init__(self, place: Place, *, raw: bool) -> None:
        self._place = place
        self._part: OpenPart[ReasoningText | SummaryText] = OpenPart(REASONING if raw else SUMMARY, place, 0)

    def open(self) -> list[StreamEvent]:
        """The item and its part begin, empty."""
        return [self._place.added(ReasoningItem(id=self._place.id, summary=[])), self._part.open()]

    def write(self, text: str) -> list[StreamEvent]:
        """Append a thought."""
        return [self._part.write(text, [])]

    def close(self, status: EndStatus) -> Finished:
        """The thought is finished, or cut short. As recorded, the item does not say which."""
        return self._finished(self._part.close(status), UNSET)

    def break_off(self) -> Finished:
        """The thought will be thought anew in another item; this one says so."""
        return self._finished(self._part.close("incomplete"), "incomplete")

    def _finished(
        self, closed: Closed[ReasoningText | SummaryText], status: Literal["incomplete"] | UnsetType
    ) -> Finished:
        item = ReasoningItem(
            id=self._place.id,
            summary=[closed.part] if isinstance(closed.part, SummaryText) else [],
            content=[closed.part] if isinstance(closed.part, ReasoningText) else UNSET,
            status=status,
        )
        return Finished(self._place.output_index, item, [*closed.events, self._place.done(item)])
