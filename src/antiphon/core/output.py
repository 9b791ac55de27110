"""The output of a response: the one allocator of output indexes, and the items that are finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.core.place import Counter, Place

if TYPE_CHECKING:
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.items import OutputItem


class Output:
    """The items of a response. ``next_index`` is what the next one gets; ``done`` has the finished ones by index."""

    def __init__(self, next_index: int, done: dict[int, OutputItem], number: Counter) -> None:
        self.next_index = next_index
        self.done = done
        self.number = number

    def place(self, id: str) -> Place:
        """The place of a new item."""
        index = self.next_index
        self.next_index = index + 1
        return Place(id, index, self.number)

    def nowhere(self) -> Place:
        """The place of what is no item yet, and perhaps never will be."""
        return Place("", -1, self.number)

    def end(self, place: Place, item: OutputItem) -> StreamEvent:
        """An item is finished."""
        self.done[place.output_index] = item
        return place.done(item)

    def is_done(self, place: Place) -> bool:
        """Whether the item at this place is finished."""
        return place.output_index in self.done

    @property
    def finished(self) -> list[OutputItem]:
        """The finished items, in order."""
        return [self.done[index] for index in sorted(self.done)]
