"""Prose while it is written: an open item owns its events, and no object means that no item is open.

An item goes one way: ``open`` once, ``write`` any number of times, ``close`` once. Each step gives its events.
"""

from __future__ import annotations

from typing import Generic, Literal

from msgspec import UNSET, Struct, UnsetType

from antiphon.core.place import EndStatus, Place
from antiphon.core.prose import REASONING, REFUSAL, SUMMARY, TEXT, Closed, PartT_co, ProseKind, Written, cited
from antiphon.core.summing import Summing
from antiphon.protocol.content import Annotation, Logprob, OutputText, ReasoningText, RefusalPart, SummaryText
from antiphon.protocol.events import StreamEvent
from antiphon.protocol.items import Message, MessagePhase, OutputItem, ReasoningItem
from antiphon.protocol.settings import Summary as Style


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

    def __init__(self, place: Place, phase: MessagePhase | UnsetType = UNSET) -> None:
        self._place = place
        self._phase: MessagePhase | UnsetType = phase
        self._parts: list[OutputText | RefusalPart] = []
        self._open: OpenPart[OutputText | RefusalPart] | None = None

    def open(self) -> list[StreamEvent]:
        """The message begins, empty."""
        item = Message(id=self._place.id, status="in_progress", role="assistant", content=[], phase=self._phase)
        return [self._place.added(item)]

    def write(self, text: str, logprobs: list[Logprob]) -> list[StreamEvent]:
        """Append text."""
        part = self._open
        if part is not None and part.kind is TEXT:
            return [part.write(text, logprobs)]
        return self._write(TEXT, text, logprobs)

    def refuse(self, text: str) -> list[StreamEvent]:
        """Append refusal."""
        return self._write(REFUSAL, text, [])

    def cite(self, annotation: Annotation) -> list[StreamEvent]:
        """The text cites something; where none is open, there is nothing that could."""
        part = self._open
        return [part.cite(annotation)] if part is not None and part.kind is TEXT else []

    def close(self, status: EndStatus) -> Finished:
        """The message is finished, or cut short. One that holds nothing gets an empty part, as recorded."""
        events: list[StreamEvent] = []
        if self._open is None:
            self._open = OpenPart(TEXT, self._place, 0)
            events.append(self._open.open())
        events += self._close_part(status)
        item = Message(id=self._place.id, status=status, role="assistant", content=[*self._parts], phase=self._phase)
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


class Shown(Struct, frozen=True):
    """What is shown of thoughts: their ``raw`` text, or a ``summary`` of this style, or nothing."""

    raw: bool = False
    summary: Style | None = None


class WritingThought:
    """A reasoning item while it is written: parts of raw text or of a summary, at most one open, or nothing at all.

    What is thought is kept whole beside the item, whatever is shown of it.
    """

    def __init__(self, place: Place, shown: Shown) -> None:
        self._place = place
        self._shown = shown
        self._summing = Summing(shown.summary) if shown.summary is not None and not shown.raw else None
        self._thought: list[str] = []
        self._raw: list[ReasoningText] = []
        self._summary: list[SummaryText] = []
        self._open: OpenPart[ReasoningText] | OpenPart[SummaryText] | None = None
        self._part = 0

    @property
    def id(self) -> str:
        """The id of the item."""
        return self._place.id

    @property
    def text(self) -> str:
        """The thought as far as it is thought."""
        return "".join(self._thought)

    def open(self, sealed: str | UnsetType = UNSET) -> list[StreamEvent]:
        """The item begins, empty. ``sealed`` is what it carries of a thought that has not been thought."""
        return [self._place.added(ReasoningItem(id=self._place.id, summary=[], encrypted_content=sealed))]

    def keep(self, text: str) -> list[StreamEvent]:
        """Append to the thought what nobody is shown who does not see thoughts as they are."""
        if self._shown.raw:
            return self.write(text)
        self._thought.append(text)
        return []

    def write(self, text: str) -> list[StreamEvent]:
        """Append to the thought."""
        self._thought.append(text)
        if self._shown.raw:
            return [*self.enter(raw=True), *self.append(text)]
        if self._summing is None:
            return []
        events: list[StreamEvent] = []
        for piece in self._summing.feed(text):
            if piece.is_new_part:
                events += self.leave("completed")
            events += [*self.enter(raw=False), *self.append(piece.text)]
        return events

    def summarize(self, text: str, part: int) -> list[StreamEvent]:
        """Append to the summary that the upstream wrote itself, if one is shown; none is made here any more."""
        if self._shown.summary is None:
            return []
        ended = self.leave("completed") if part != self._part or self._summing is not None else []
        self._part = part
        self._summing = None
        return [*ended, *self.enter(raw=False), *self.append(text)]

    def enter(self, *, raw: bool) -> list[StreamEvent]:
        """Open a part of this kind, if none is open."""
        part = self._open
        if part is not None and (part.kind is REASONING) == raw:
            return []
        ended = self.leave("completed")
        if raw:
            self._open = OpenPart(REASONING, self._place, len(self._raw))
        else:
            self._open = OpenPart(SUMMARY, self._place, len(self._summary))
        return [*ended, self._open.open()]

    def append(self, text: str) -> list[StreamEvent]:
        """Append to the open part."""
        return [] if self._open is None else [self._open.write(text, [])]

    def leave(self, status: EndStatus) -> list[StreamEvent]:
        """Close the part that is open, if there is one."""
        if self._open is None:
            return []
        closed, self._open = self._open.close(status), None
        match closed.part:
            case ReasoningText() as raw:
                self._raw.append(raw)
            case summary:
                self._summary.append(summary)
        return closed.events

    def close(self, status: EndStatus, sealed: str | UnsetType = UNSET) -> Finished:
        """The thought is finished, or cut short. As recorded, the item does not say which."""
        return self._finished(self.leave(status), UNSET, sealed)

    def break_off(self) -> Finished:
        """The thought will be thought anew in another item; this one says so."""
        return self._finished(self.leave("incomplete"), "incomplete", UNSET)

    def _finished(
        self, events: list[StreamEvent], status: Literal["incomplete"] | UnsetType, sealed: str | UnsetType
    ) -> Finished:
        item = ReasoningItem(
            id=self._place.id,
            summary=self._summary,
            content=self._raw or UNSET,
            encrypted_content=sealed,
            status=status,
        )
        return Finished(self._place.output_index, item, [*events, self._place.done(item)])
