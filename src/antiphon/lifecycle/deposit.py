"""Deposit: a blob and the row that leads to it, both or neither, whatever is killed or lost in between."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

import anyio

from antiphon.protocol.errors import body_too_slow
from antiphon.store import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Sequence

    from antiphon.store.blobs import Blobs
    from antiphon.store.erasing import Erasing

T = TypeVar("T")
log = logging.getLogger(__name__)

WRITING_SECONDS = 3600
"""How long a blob may take to arrive."""
PLANNED_SECONDS = 3 * WRITING_SECONDS
"""When a blob without a row is erased: its writer has given up long before, by the clock of any process."""
UNDOING_SECONDS = 20.0


class Deposit:
    """Writes blobs that rows lead to. ``now`` gives unix seconds."""

    def __init__(self, blobs: Blobs, erasing: Erasing, *, now: Callable[[], int]) -> None:
        self._blobs = blobs
        self._erasing = erasing
        self._now = now

    async def take(
        self,
        key: str,
        chunks: AsyncIterable[bytes],
        *,
        judge: Callable[[int], T],
        add: Callable[[T], Awaitable[None]],
    ) -> T:
        """Write a blob, let ``judge`` make its row from its size, or refuse it, and ``add`` the row; return that.

        Raises what the chunks, ``judge`` and ``add`` raise, and ``ApiError`` for what takes too long. Then the blob
        goes at once; where nobody knows whether the row was added, the plan that the row takes out decides.
        """
        await self._erasing.plan(key, due_at=self._now() + PLANNED_SECONDS)
        try:
            async with asyncio.timeout(WRITING_SECONDS):
                size = await self._blobs.write(key, chunks)
            row = judge(size)
        except TimeoutError as error:
            await self.erase([key])
            raise body_too_slow(WRITING_SECONDS) from error
        except BaseException:
            await self.erase([key])
            raise
        try:
            await add(row)
        except StoreUnavailable:  # it may have been added all the same
            raise
        except StoreError:
            await self.erase([key])
            raise
        return row

    async def erase(self, keys: Sequence[str]) -> None:
        """Erase blobs that have no row any more, now if that can be; otherwise the sweep does."""
        with anyio.move_on_after(UNDOING_SECONDS, shield=True):
            try:
                await self._erasing.carry_out(self._blobs, keys)
            except StoreUnavailable as error:
                log.warning("blobs not erased yet", extra={"action": "blobs_not_erased", "error": str(error)})
