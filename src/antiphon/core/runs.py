"""Runs: deltas that follow each other on one place, as a log holds them, without what they repeat.

A run of a kind is ``[tag, item id, output index, part, [delta, ...]]``, where *part* is the index of a content part or
of a summary part, or, for what a call carries, the type of its deltas.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

from msgspec import Raw, Struct

from antiphon.protocol.events import (
    ItemDelta,
    ItemDeltaType,
    ReasoningTextDelta,
    RefusalDelta,
    StreamEvent,
    SummaryTextDelta,
    TextDelta,
)

DeltaEvent = TextDelta | ReasoningTextDelta | RefusalDelta | SummaryTextDelta | ItemDelta
PartT = TypeVar("PartT", int, ItemDeltaType)


class Run(Struct, Generic[PartT], frozen=True, array_like=True):
    """Deltas of one kind on one place; each as JSON, as it was written."""

    item_id: str
    output_index: int
    part: PartT
    deltas: list[Raw]

    @abstractmethod
    def event(self, number: int, delta: str) -> StreamEvent:
        """The event that says this delta under this number."""


class TextRun(Run[int], frozen=True, array_like=True, tag="t"):
    """Pieces of an answer, without log-probabilities."""

    def event(self, number: int, delta: str) -> StreamEvent:
        """The event that says this delta under this number."""
        return TextDelta(
            content_index=self.part,
            delta=delta,
            item_id=self.item_id,
            logprobs=[],
            output_index=self.output_index,
            sequence_number=number,
        )


class ReasoningRun(Run[int], frozen=True, array_like=True, tag="r"):
    """Pieces of raw reasoning."""

    def event(self, number: int, delta: str) -> StreamEvent:
        """The event that says this delta under this number."""
        return ReasoningTextDelta(
            content_index=self.part,
            delta=delta,
            item_id=self.item_id,
            output_index=self.output_index,
            sequence_number=number,
        )


class RefusalRun(Run[int], frozen=True, array_like=True, tag="n"):
    """Pieces of a refusal."""

    def event(self, number: int, delta: str) -> StreamEvent:
        """The event that says this delta under this number."""
        return RefusalDelta(
            content_index=self.part,
            delta=delta,
            item_id=self.item_id,
            output_index=self.output_index,
            sequence_number=number,
        )


class SummaryRun(Run[int], frozen=True, array_like=True, tag="s"):
    """Pieces of a summary of reasoning."""

    def event(self, number: int, delta: str) -> StreamEvent:
        """The event that says this delta under this number."""
        return SummaryTextDelta(
            delta=delta,
            item_id=self.item_id,
            output_index=self.output_index,
            sequence_number=number,
            summary_index=self.part,
        )


class ItemRun(Run[ItemDeltaType], frozen=True, array_like=True, tag="c"):
    """Pieces of what a call carries."""

    def event(self, number: int, delta: str) -> StreamEvent:
        """The event that says this delta under this number."""
        return ItemDelta(
            type=self.part,
            delta=delta,
            item_id=self.item_id,
            output_index=self.output_index,
            sequence_number=number,
        )


AnyRun = TextRun | ReasoningRun | RefusalRun | SummaryRun | ItemRun
