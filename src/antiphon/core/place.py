"""Where an item stands in its response, and the one counter that numbers every event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from antiphon.protocol.events import ItemAdded, ItemDone, ItemPhase, PhaseType, StreamEvent
from antiphon.protocol.items import OutputItem

EndStatus = Literal["completed", "incomplete"]

NewId = Callable[[str], str]
"""Gives a new id of a kind, which is named by its prefix."""

Counter = Callable[[], int]
"""The one source of sequence numbers: 0, 1, 2 ... without gaps."""


class Place:
    """Where an item stands: its id and its output index, with the counter that numbers its events."""

    def __init__(self, id: str, output_index: int, number: Counter) -> None:
        self.id = id
        self.output_index = output_index
        self.number = number

    def added(self, item: OutputItem) -> StreamEvent:
        """The item begins."""
        return ItemAdded(item=item, output_index=self.output_index, sequence_number=self.number())

    def phase(self, phase: PhaseType) -> StreamEvent:
        """The item goes on."""
        return ItemPhase(type=phase, item_id=self.id, output_index=self.output_index, sequence_number=self.number())

    def done(self, item: OutputItem) -> StreamEvent:
        """The item is finished."""
        return ItemDone(item=item, output_index=self.output_index, sequence_number=self.number())
