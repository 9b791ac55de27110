"""How a part of prose shows itself while it is written: text, refusal, raw reasoning, and a summary of reasoning.

The four differ only in the events of three steps: a part begins, a piece is appended, the part ends.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from msgspec import UNSET, Struct

from antiphon.core.place import EndStatus, Place
from antiphon.protocol.content import Annotation, Logprob, OutputText, ReasoningText, RefusalPart, SummaryText
from antiphon.protocol.events import (
    AnnotationAdded,
    PartAdded,
    PartDone,
    ReasoningTextDelta,
    ReasoningTextDone,
    RefusalDelta,
    RefusalDone,
    StreamEvent,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryTextDelta,
    SummaryTextDone,
    TextDelta,
    TextDone,
)

ProsePart = OutputText | RefusalPart | ReasoningText | SummaryText
PartT_co = TypeVar("PartT_co", bound=ProsePart, covariant=True)


class Written(Struct, frozen=True):
    """All that was appended to a part."""

    text: str
    logprobs: list[Logprob]
    annotations: list[Annotation]


class Closed(Struct, Generic[PartT_co], frozen=True):
    """A finished part and the events of its end."""

    part: PartT_co
    events: list[StreamEvent]


class ProseKind(Protocol[PartT_co]):
    """The events of one kind of part; ``index`` is the part's place in its item."""

    def opened(self, place: Place, index: int) -> StreamEvent:
        """The part begins, empty."""
        ...

    def wrote(self, place: Place, index: int, *, text: str, logprobs: list[Logprob]) -> StreamEvent:
        """A piece is appended."""
        ...

    def closed(self, place: Place, index: int, *, written: Written, status: EndStatus) -> Closed[PartT_co]:
        """The part is finished, or cut short."""
        ...


class TextKind:
    """Text of a message."""

    def opened(self, place: Place, index: int) -> StreamEvent:
        """The part begins, empty."""
        return _part_added(place, index, OutputText(text=""))

    def wrote(self, place: Place, index: int, *, text: str, logprobs: list[Logprob]) -> StreamEvent:
        """A piece is appended."""
        return TextDelta(
            content_index=index,
            delta=text,
            item_id=place.id,
            logprobs=logprobs,
            output_index=place.output_index,
            sequence_number=place.number(),
        )

    def closed(self, place: Place, index: int, *, written: Written, status: EndStatus) -> Closed[OutputText]:
        """The part is finished; what was cut short looks the same."""
        part = OutputText(text=written.text, annotations=written.annotations, logprobs=written.logprobs)
        done = TextDone(
            content_index=index,
            item_id=place.id,
            logprobs=part.logprobs,
            output_index=place.output_index,
            sequence_number=place.number(),
            text=part.text,
        )
        return Closed(part, [done, _part_done(place, index, part)])


class RefusalKind:
    """Refusal in a message. The wire has no log-probabilities for it."""

    def opened(self, place: Place, index: int) -> StreamEvent:
        """The part begins, empty."""
        return _part_added(place, index, RefusalPart(refusal=""))

    def wrote(self, place: Place, index: int, *, text: str, logprobs: list[Logprob]) -> StreamEvent:
        """A piece is appended."""
        return RefusalDelta(
            content_index=index,
            delta=text,
            item_id=place.id,
            output_index=place.output_index,
            sequence_number=place.number(),
        )

    def closed(self, place: Place, index: int, *, written: Written, status: EndStatus) -> Closed[RefusalPart]:
        """The part is finished; what was cut short looks the same."""
        part = RefusalPart(refusal=written.text)
        done = RefusalDone(
            content_index=index,
            item_id=place.id,
            output_index=place.output_index,
            refusal=part.refusal,
            sequence_number=place.number(),
        )
        return Closed(part, [done, _part_done(place, index, part)])


class ReasoningKind:
    """Raw reasoning in a reasoning item."""

    def opened(self, place: Place, index: int) -> StreamEvent:
        """The part begins, empty."""
        return _part_added(place, index, ReasoningText(text=""))

    def wrote(self, place: Place, index: int, *, text: str, logprobs: list[Logprob]) -> StreamEvent:
        """A piece is appended."""
        return ReasoningTextDelta(
            content_index=index,
            delta=text,
            item_id=place.id,
            output_index=place.output_index,
            sequence_number=place.number(),
        )

    def closed(self, place: Place, index: int, *, written: Written, status: EndStatus) -> Closed[ReasoningText]:
        """The part is finished; what was cut short looks the same."""
        part = ReasoningText(text=written.text)
        done = ReasoningTextDone(
            content_index=index,
            item_id=place.id,
            output_index=place.output_index,
            sequence_number=place.number(),
            text=part.text,
        )
        return Closed(part, [done, _part_done(place, index, part)])


class SummaryKind:
    """The summary in a reasoning item."""

    def opened(self, place: Place, index: int) -> StreamEvent:
        """The part begins, empty."""
        return SummaryPartAdded(
            item_id=place.id,
            output_index=place.output_index,
            part=SummaryText(text=""),
            sequence_number=place.number(),
            summary_index=index,
        )

    def wrote(self, place: Place, index: int, *, text: str, logprobs: list[Logprob]) -> StreamEvent:
        """A piece is appended."""
        return SummaryTextDelta(
            delta=text,
            item_id=place.id,
            output_index=place.output_index,
            sequence_number=place.number(),
            summary_index=index,
        )

    def closed(self, place: Place, index: int, *, written: Written, status: EndStatus) -> Closed[SummaryText]:
        """The part is finished; only here the wire says that it was cut short."""
        part = SummaryText(text=written.text)
        done = SummaryTextDone(
            item_id=place.id,
            output_index=place.output_index,
            sequence_number=place.number(),
            summary_index=index,
            text=part.text,
        )
        part_done = SummaryPartDone(
            item_id=place.id,
            output_index=place.output_index,
            part=part,
            sequence_number=place.number(),
            summary_index=index,
            status="incomplete" if status == "incomplete" else UNSET,
        )
        return Closed(part, [done, part_done])


TEXT = TextKind()
REFUSAL = RefusalKind()
REASONING = ReasoningKind()
SUMMARY = SummaryKind()


def cited(place: Place, index: int, *, annotation: Annotation, at: int) -> StreamEvent:
    """The text cites something, as the annotation number ``at`` of its part."""
    return AnnotationAdded(
        annotation=annotation,
        annotation_index=at,
        content_index=index,
        item_id=place.id,
        output_index=place.output_index,
        sequence_number=place.number(),
    )


def _part_added(place: Place, index: int, part: OutputText | RefusalPart | ReasoningText) -> StreamEvent:
    return PartAdded(
        content_index=index,
        item_id=place.id,
        output_index=place.output_index,
        part=part,
        sequence_number=place.number(),
    )


def _part_done(place: Place, index: int, part: OutputText | RefusalPart | ReasoningText) -> StreamEvent:
    return PartDone(
        content_index=index,
        item_id=place.id,
        output_index=place.output_index,
        part=part,
        sequence_number=place.number(),
    )
