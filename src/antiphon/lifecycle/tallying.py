"""Tallying: what a response took is counted once, with its row or, where it has none, in the book.

The book is written by the second: what a process that is killed had in it is lost, what one that stops has is not.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from antiphon.core.estimate import estimate
from antiphon.core.tally import DAY_SECONDS, Tally, counted, tally
from antiphon.store import Conflict, StoreUnavailable
from antiphon.store.usage import Charge, Sum

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from antiphon.core.tally import Ending, Outcome
    from antiphon.lifecycle import Prepared
    from antiphon.protocol.response import Usage
    from antiphon.store.usage import Usage as UsageStore

log = logging.getLogger(__name__)

PACE = 1.0
"""Seconds between two batches."""
LAST_TRIES = 5
LAST_PAUSE = 0.2
"""How often the last batch is tried, and seconds between."""


class Book:
    """What is to be counted that has no row of its own. ``now`` gives unix seconds.

    It is added up as it comes, so that it stays small while the database is away.
    """

    def __init__(self, usage: UsageStore, *, now: Callable[[], int]) -> None:
        self._usage = usage
        self.now = now
        self._node = secrets.token_hex(8)
        self._number = 0
        self._fresh = Sum()
        self._batch: list[Charge] = []
        self._something = asyncio.Event()

    @property
    def today(self) -> int:
        """The day, as tallies have it."""
        return self.now() // DAY_SECONDS

    def add(self, charge: Charge) -> None:
        """Count it, with the next batch."""
        self._fresh.add(charge)
        self._something.set()

    def aside(self, tenant: str, deployment: str, usage: Usage | None, *, estimated: tuple[int, int] = (0, 0)) -> None:
        """Count what a model was asked beside the turns of a response.

        ``estimated`` are the tokens of input and output where its upstream said nothing of them.
        """
        self.add(Charge(tenant, deployment, _told(usage, estimated, day=self.today, outcome="aside")))

    def bill(self, prepared: Prepared) -> Bill:
        """The bill of a response: it is written when it is left."""
        return Bill(self, prepared)

    async def run(self) -> None:
        """Write what is added, until cancelled."""
        while True:
            await self._something.wait()
            await asyncio.sleep(PACE)
            with suppress(StoreUnavailable):
                await self._write()

    async def aclose(self) -> None:
        """Write what is left."""
        for _ in range(LAST_TRIES):
            try:
                await self._write()
            except StoreUnavailable:
                await asyncio.sleep(LAST_PAUSE)
            else:
                return
        lost = len(self._batch) + len(self._fresh)
        log.error("usage not written", extra={"action": "usage_lost", "count": lost})

    async def _write(self) -> None:
        """Write the next batch; one that may have been written already is written again under its own number first."""
        self._something.clear()
        while self._batch or self._fresh:
            if not self._batch:
                self._number += 1
                self._batch, self._fresh = self._fresh.charges(), Sum()
            try:
                await self._usage.add(self._batch, node=self._node, number=self._number)
            except StoreUnavailable as error:
                log.warning("usage cannot be written", extra={"action": "usage_not_written", "error": str(error)})
                self._something.set()
                raise
            self._batch = []


class Bill:
    """What one response takes. Left without a row or an end, it is what is known of a run that nobody was told of."""

    __slots__ = ("_book", "_is_kept", "_prepared", "_tally")

    def __init__(self, book: Book, prepared: Prepared) -> None:
        self._book = book
        self._prepared = prepared
        self._tally: Tally | None = None
        self._is_kept = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count it, if it was not kept with a row."""
        if self._is_kept:
            return
        if self._tally is None and error is not None:
            is_left = isinstance(error, asyncio.CancelledError)
            self._tally = Tally(self._book.today, "cancelled" if is_left else "failed", unread=int(is_left))
            self._tally = self._read(self._tally)
        if self._tally is not None:
            self._book.add(Charge(self._prepared.caller.tenant, self._prepared.deployment.name, self._tally))

    @contextmanager
    def kept(self) -> Generator[None]:
        """Around keeping its row, with which it is counted: also by an earlier try that nobody heard the end of."""
        try:
            yield
        except Conflict:
            self._is_kept = True
            raise
        self._is_kept = True

    def ended(self, ending: Ending) -> Tally:
        """The response has ended, and took this."""
        self._tally = self._read(tally(ending, now=self._book.now()))
        return self._tally

    def took(self, usage: Usage | None, *, estimated: tuple[int, int]) -> None:
        """It took this, and that is all: see `Book.aside`."""
        self._tally = _told(usage, estimated, day=self._book.today, outcome="completed")

    def _read(self, tally: Tally) -> Tally:
        """With what the model was asked first, where nobody counted that."""
        return tally.reading(estimate(self._prepared.task.turn)) if tally.unread else tally


def _told(usage: Usage | None, estimated: tuple[int, int], *, day: int, outcome: Outcome) -> Tally:
    told = counted(usage, day=day, outcome=outcome)
    if usage is not None:
        return told
    return replace(told, estimated_input=estimated[0], estimated_output=estimated[1])
