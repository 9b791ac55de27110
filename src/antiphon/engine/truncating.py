"""Truncation: a backend that leaves out the oldest items of a turn which is too long for its model.

It is for requests with ``truncation: "auto"``. How long is too long only the upstream knows for certain: what is known
of its window spares a question, and what it refuses is asked again, shorter.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING

from antiphon.backends import UpstreamError
from antiphon.core.cutting import dropped, shortened, with_fewer_screens, without_old_screens
from antiphon.core.estimate import estimate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.backends import Backend
    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn

log = logging.getLogger(__name__)

TRIES = 6
"""How often a refused turn is made shorter; after that less than a tenth of what could go is left."""
SHARE = 1 / 3
ANSWER_SHARE = 1 / 8
"""Of a window, for an answer whose length the request does not bound."""


class Truncating:
    """Asks another backend, for shorter turns if need be. ``window``: tokens that its model reads and writes at most.

    Old screenshots go first; with ``whole_steps``, which an upstream wants that knows the computer itself, only with
    the calls that they answer. What the other backend holds is let go of by whoever made it.
    """

    def __init__(self, backend: Backend, window: int | None = None, *, whole_steps: bool = False) -> None:
        self._backend = backend
        self._window = window
        self._whole_steps = whole_steps

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Ask, and ask again without the oldest items as long as the turn is refused as too long.

        Raises `UpstreamError`: the last refusal, where nothing can be left out any more.
        """
        async with AsyncExitStack() as stack:
            first, rest = await self._accepted(turn, stack)
            if first:
                yield first  # noqa: ASYNC119 - the engine reads under `aclosing`
            async for deltas in rest:
                yield deltas  # noqa: ASYNC119 - the same

    async def _accepted(self, turn: Turn, stack: AsyncExitStack) -> tuple[list[Delta], AsyncGenerator[list[Delta]]]:
        """What the model says first to as much of a turn as it takes, and what it says then; ``stack`` closes that."""
        asked, tries_left = self._fitting(turn), TRIES
        nothing: list[Delta] = []
        while True:
            heard = await stack.enter_async_context(aclosing(self._backend.stream(asked)))
            try:
                return await anext(heard, nothing), heard
            except UpstreamError as error:
                shorter = self._shorter(asked)
                if error.fault != "context_length_exceeded" or shorter is asked or not tries_left:
                    raise
            _tell(asked, shorter)
            asked, tries_left = shorter, tries_left - 1

    async def aclose(self) -> None:
        """There is nothing of its own to let go of."""

    def _fitting(self, turn: Turn) -> Turn:
        """The turn as it fits into the window with an answer, by what is known beforehand."""
        if self._window is None:
            return turn
        room = self._window - (turn.max_output_tokens or int(self._window * ANSWER_SHARE))
        shorter = turn
        if (excess := estimate(turn) - room) > 0 and not self._whole_steps:
            shorter = without_old_screens(turn, excess)
            excess = estimate(shorter) - room
        if excess > 0:
            shorter = shortened(shorter, excess)
        if shorter is not turn:
            _tell(turn, shorter)
        return shorter

    def _shorter(self, turn: Turn) -> Turn:
        """A refused turn with less in it; the same where nothing can be left out any more."""
        fewer = turn if self._whole_steps else with_fewer_screens(turn, 1 - SHARE)
        return dropped(turn, SHARE) if fewer is turn else fewer


def _tell(turn: Turn, shorter: Turn) -> None:
    kept = {id(item) for item in shorter.items}
    dropped_items = sum(id(item) not in kept for item in turn.items)
    log.info("context truncated", extra={"action": "context_truncated", "dropped": dropped_items})
