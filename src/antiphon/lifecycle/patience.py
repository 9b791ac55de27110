"""Patience: how long a response waits for the storage of blobs, whatever it has to put there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from antiphon.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

AT_ONCE = 8
"""Blobs of one response that are put away side by side."""

PUTTING_SECONDS = 4.0
"""How long it may take to put away all that comes together: the end of a run has to be kept in a few seconds more."""

PAUSE_SECONDS = 30.0
"""How long nothing is tried after that was not enough."""


class Patience:
    """One span of time for all that waits together.

    ``is_renewed``: what comes when nothing waits any more has a span of its own, but for a pause after a loss.
    """

    def __init__(self, *, is_renewed: bool) -> None:
        self._is_renewed = is_renewed
        self._places = asyncio.Semaphore(AT_ONCE)
        self._until: float | None = None
        self._again = 0.0
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[float]:
        """One of `AT_ONCE` places; gives the time of the loop at which it has to be done.

        Raises `StoreUnavailable` where there is no time left.
        """
        until = self._end()
        self._waiting += 1
        try:
            await self._enter(until)
            try:
                yield until
            finally:
                self._places.release()
        finally:
            self._waiting -= 1

    def lose(self) -> None:
        """It was in vain."""
        self._again = asyncio.get_running_loop().time() + PAUSE_SECONDS

    def _end(self) -> float:
        now = asyncio.get_running_loop().time()
        is_due = self._is_renewed and not self._waiting and now >= self._again
        if self._until is None or is_due:
            self._until = now + PUTTING_SECONDS
        return self._until

    async def _enter(self, until: float) -> None:
        if until <= asyncio.get_running_loop().time():
            raise StoreUnavailable(_LATE)
        try:
            async with asyncio.timeout_at(until):
                await self._places.acquire()
        except TimeoutError as error:
            raise StoreUnavailable(_LATE) from error


_LATE = "The storage of blobs takes too long for this response."
