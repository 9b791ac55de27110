"""Reins: what somebody outside of a run can do to it while it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Reins:
    """Held by whoever has one run made; they hang loose before it begins and after it has ended.

    ``is_watched``: somebody sees what is emitted. ``is_steered``: the run shall end at the next thing that the model
    says, as something else was said to it.
    """

    def __init__(self, *, is_watched: bool = True) -> None:
        self.is_watched = is_watched
        self.is_steered = False
        self._say: Callable[[], Awaitable[None]] | None = None

    def steer(self) -> None:
        """End the run as ``incomplete`` with the reason ``steered``, as soon as its model says anything."""
        self.is_steered = True

    async def beat(self) -> None:
        """Tell that the run goes on, with an event of the response: what it began with, or that it is in progress."""
        if self._say is not None:
            await self._say()

    def tie(self, say: Callable[[], Awaitable[None]]) -> None:
        """A run begins; ``say`` makes it tell that it goes on."""
        self._say = say

    def drop(self) -> None:
        """The run ends."""
        self._say = None
