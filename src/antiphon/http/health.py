"""Health: whether the store takes writes, found out when somebody asks, and once a second at most."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from antiphon.store import StoreUnavailable

if TYPE_CHECKING:
    from antiphon.store.jobs import Jobs

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
"""How long an answer holds."""

PATIENCE = 3.0
"""Seconds that a write may take, and for which one that succeeded outweighs those that did not."""


class Health:
    """Asks the store by a small write of its own. ``boot`` names this process."""

    def __init__(self, jobs: Jobs, boot: str) -> None:
        self._jobs = jobs
        self._boot = boot
        self._turnstile = asyncio.Lock()
        self._looked = -FRESH_SECONDS
        self._written = time.monotonic()
        self.is_leaving = self.is_closing = False

    def leave(self) -> None:
        """The process is about to stop: it is not ready any more, though all is answered as before."""
        self.is_leaving = True

    def close(self) -> None:
        """Nothing new is begun from now on."""
        self.is_leaving = self.is_closing = True

    async def is_fine(self) -> bool:
        """Whether responses can be kept now."""
        async with self._turnstile:
            if time.monotonic() - self._looked > FRESH_SECONDS:
                await self._look()
                self._looked = time.monotonic()
        return self._looked - self._written < PATIENCE

    async def _look(self) -> None:
        name = f"health of {self._boot}"
        try:
            async with asyncio.timeout(PATIENCE):
                await self._jobs.take_chore(name, self._boot, period=0)
                await self._jobs.leave_chore(name, self._boot)
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("not healthy", extra={"action": "not_healthy", "error": str(error)})
        else:
            self._written = time.monotonic()
