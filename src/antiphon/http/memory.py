"""What connections remember: the last response of each of their lanes, whether it is stored or not.

All connections of a process share one room for that, and for what their clients have sent that waits.
"""

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
ITEM_BYTES = 512
"""What an item takes beside its JSON."""

_encode = msgspec.json.Encoder().encode


class Size(Struct, frozen=True):
    """How much a history takes: its items, and about so many bytes."""

    items: int
    bytes: int


class _Stay(Struct, frozen=True):
    owner: Memory
    bytes: int


class Room:
    """``limit`` bytes for all connections together. Histories make room, those used longest ago first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._remembered = 0
        self._stays: dict[str, _Stay] = {}

    @property
    def taken(self) -> int:
        """The bytes that are taken."""
        return self._held + self._remembered

    def remember(self, id: str, size: int, owner: Memory) -> None:
        """Make room for the history of a response; one that is longer than the whole room is forgotten itself."""
        self.forget(id)
        self._stays[id] = _Stay(owner, size)
        self._remembered += size
        self._make_room(0)

    def use(self, id: str) -> None:
        """Note that a history is used."""
        stay = self._stays.pop(id, None)
        if stay is not None:
            self._stays[id] = stay

    def forget(self, id: str) -> None:
        """Take the history of a response out, if it is there."""
        stay = self._stays.pop(id, None)
        if stay is not None:
            self._remembered -= stay.bytes

    def hold(self, size: int) -> bool:
        """Make room for what waits; False where there is none, even without histories."""
        if self._held + size > self._limit:
            return False
        self._make_room(size)
        self._held += size
        return True

    def let_go(self, size: int) -> None:
        """Nothing of this size waits any more."""
        self._held -= size

    def _make_room(self, size: int) -> None:
        while self._stays and self.taken + size > self._limit:
            id = next(iter(self._stays))
            self._stays[id].owner.forget(id)


class Memory:
    """What one connection has in a room: the last response of each lane, and no more than ``limit`` bytes that wait."""

    def __init__(self, room: Room, limit: int) -> None:
        self._room = room
        self._limit = limit
        self._held = 0
        self._known: dict[str, History] = {}
        self._sizes: dict[str, Size] = {}
        self._lasts: dict[str | None, str] = {}
        self._ended: dict[str, None] = {}
        self.known: Mapping[str, History] = MappingProxyType(self._known)
        """The histories up to and with a response, by its id."""

    def keep(self, lane: str | None, id: str, history: History, *, parent: str | None, added: int) -> None:
        """Remember the newest response of a lane instead of the one before it.

        ``added``: the bytes that were sent for it and made, as a history shares its items with the one that it goes on
        from. See `weigh` for one that goes on from what is not remembered.
        """
        before = self._sizes.get(parent or "", Size(0, 0))
        items = len(history.items)
        fresh = max(items - before.items, 0)
        self.forget(self._lasts.pop(lane, ""))
        self._lasts[lane] = id
        self._known[id] = history
        self._remember(id, Size(items, before.bytes + added + fresh * ITEM_BYTES))

    def weigh(self, id: str, size: int) -> None:
        """Take the history of a response for as long as it was measured to be."""
        history = self._known.get(id)
        if history is not None:
            items = len(history.items)
            self._remember(id, Size(items, size + items * ITEM_BYTES))

    def _remember(self, id: str, size: Size) -> None:
        self._sizes[id] = size
        self._room.remember(id, size.bytes, self)

    def use(self, id: str) -> None:
        """Note that something goes on from a response."""
        self._room.use(id)

    def last(self, lane: str | None) -> str | None:
        """The newest response of a lane."""
        return self._lasts.get(lane)

    def forget(self, id: str) -> None:
        """Forget a response, if it is remembered."""
        self._known.pop(id, None)
        self._sizes.pop(id, None)
        self._room.forget(id)

    def hold(self, size: int) -> bool:
        """Take room for something that waits; False where there is none."""
        if self._held + size > self._limit or not self._room.hold(size):
            return False
        self._held += size
        return True

    def let_go(self, size: int) -> None:
        """Nothing of this size waits any more."""
        self._held -= size
        self._room.let_go(size)

    def leave(self) -> None:
        """The connection is closed: give all of its room back."""
        for id in list(self._known):
            self.forget(id)
        self.let_go(self._held)

    def end(self, id: str) -> None:
        """Note that a response has ended."""
        self._ended[id] = None
        if len(self._ended) > ENDED:
            del self._ended[next(iter(self._ended))]

    def has_ended(self, id: str) -> bool:
        """Whether a response of this connection has ended not long ago."""
        return id in self._ended


def measured(history: History) -> int:
    """The bytes of a history as JSON, encoded piece by piece, so that a thread that does it lets others run."""
    parts = (history.items, history.outputs.values(), history.thoughts.values())
    return sum(len(_encode(each)) for part in parts for each in part)
