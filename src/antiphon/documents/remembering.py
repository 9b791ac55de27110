"""What was read before: a chain that shows the same file in each turn has it read once."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """Values under keys, at most ``limit`` bytes of them; what was not asked for the longest goes first.

    ``now`` is a clock in seconds.
    """

    def __init__(self, limit: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._now = now
        self._taken = 0
        self._kept: OrderedDict[tuple[object, ...], tuple[Value, int, float]] = OrderedDict()

    def recall(self, key: tuple[object, ...]) -> Value | None:
        """The value of a key, None where there is none, or no more."""
        found = self._kept.get(key)
        if found is None:
            return None
        value, _, until = found
        if self._now() >= until:
            self._forget(key)
            return None
        self._kept.move_to_end(key)
        return value

    def keep(self, key: tuple[object, ...], value: Value, *, size: int, seconds: float = math.inf) -> None:
        """Remember a value of so many bytes for so long, if it is not larger than all that may be kept."""
        self._forget(key)
        if size > self._limit:
            return
        self._kept[key] = (value, size, self._now() + seconds)
        self._taken += size
        while self._taken > self._limit:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: tuple[object, ...]) -> None:
        _, size, _ = self._kept.pop(key, (None, 0, 0.0))
        self._taken -= size
