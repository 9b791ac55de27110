"""What a connection remembers: the last response of each of its lanes, whether it is stored or not."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.lifecycle import History

ENDED = 256
"""So many ids of ended responses are known by name, so that who steers one is told that it is over."""

_encode = msgspec.json.Encoder().encode


class Size(Struct, frozen=True):
    """How much a history takes: its items, and their bytes as JSON."""

    items: int
    bytes: int


class Memory:
    """The last response of each lane, no more than ``limit`` bytes of JSON together: the oldest go first.

    Histories of one chain share their items, so what a longer one adds is all that is measured.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[str, History] = {}
        self._sizes: dict[str, Size] = {}
        self._lasts: dict[str | None, str] = {}
        self._ended: dict[str, None] = {}
        self.known: Mapping[str, History] = MappingProxyType(self._known)
        """The histories up to and with a response, by its id."""

    def keep(self, lane: str | None, id: str, history: History, *, parent: str | None) -> None:
        """Remember the newest response of a lane instead of the one before it."""
        size = _size(history, self._sizes.get(parent or ""))
        self.forget(self._lasts.pop(lane, ""))
        self._known[id], self._sizes[id], self._lasts[lane] = history, size, id
        while self._sizes and sum(each.bytes for each in self._sizes.values()) > self._limit:
            self.forget(next(iter(self._sizes)))

    def last(self, lane: str | None) -> str | None:
        """The newest response of a lane."""
        return self._lasts.get(lane)

    def forget(self, id: str) -> None:
        """Forget a response, if it is remembered."""
        self._known.pop(id, None)
        self._sizes.pop(id, None)

    def end(self, id: str) -> None:
        """Note that a response has ended."""
        self._ended[id] = None
        if len(self._ended) > ENDED:
            del self._ended[next(iter(self._ended))]

    def has_ended(self, id: str) -> bool:
        """Whether a response of this connection has ended not long ago."""
        return id in self._ended


def _size(history: History, before: Size | None) -> Size:
    known = Size(0, 0) if before is None or before.items > len(history.items) else before
    fresh = history.items[known.items :]
    outputs = [history.outputs[item.id] for item in fresh if item.id in history.outputs]
    thoughts = [history.thoughts[item.id] for item in fresh if item.id in history.thoughts]
    return Size(len(history.items), known.bytes + len(_encode([fresh, outputs, thoughts])))
