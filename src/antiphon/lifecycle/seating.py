"""Counters of what runs at once: one that this process has for itself, and one that it shares with other nodes."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from antiphon.core.seats import Seats
from antiphon.store import StoreUnavailable
from antiphon.store.seats import Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.store.seats import Seated, Seating

    Clock = Callable[[], float]

log = logging.getLogger(__name__)

LEASE_SECONDS = 15.0
"""How long a node that gives no sign of life holds its seats."""
BEAT_SECONDS = 0.5
"""How often one that holds any gives one, and hears which of them others lack."""
BEATS_A_LOOK = 4
"""After so many it gives back what it has not needed meanwhile."""
AWAY_SECONDS = 2.0
"""How long the database is let alone where it did not answer."""
GIVING_SECONDS = 0.02
"""How soon one that is left goes back where others lack it."""
PAUSES = (0.03, 0.07)
"""How long somebody waits for one that another node may be about to give back."""
FULL_SECONDS = 0.25
"""How long it is believed that no seat is free, while the database is not asked."""


class Counter(Protocol):
    """Counts what runs at once."""

    def leave(self) -> None:
        """One more has ended."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost with it."""
        ...


class OwnCounter:
    """Counts for this process alone."""

    def __init__(self) -> None:
        self.count = 0

    def leave(self) -> None:
        """See `Counter`."""
        self.count -= 1

    @property
    def is_idle(self) -> bool:
        """See `Counter`."""
        return not self.count


class Tenure:
    """The life of this process among those that share seats: it holds them as long as its signs of life are heard.

    One that was taken for dead comes back as another. ``clock`` only runs on.
    """

    def __init__(self, seating: Seating, *, clock: Clock) -> None:
        self.seating = seating
        self.clock = clock
        self.node = ""
        self.counters: dict[str, SharedCounter] = {}
        self._number = 0
        self._ends = 0.0
        self._turnstile = asyncio.Lock()
        self._lacked = asyncio.Event()

    @property
    def lasts(self) -> bool:
        """Whether it is certain that nobody has taken it for dead."""
        return self.clock() < self._ends

    def next_number(self) -> int:
        """A number above all before."""
        self._number += 1
        return self._number

    async def confirm(self) -> None:
        """Be known as alive, if that is not certain. Raises `StoreUnavailable`."""
        if not self.lasts:
            await self.beat()

    async def beat(self) -> None:
        """Give a sign of life. Raises `StoreUnavailable`."""
        async with self._turnstile:
            sent = self.clock()
            scarce = await self.seating.beat(self.node) if self.node else None
            if scarce is None:
                await self._begin()
            else:
                self._ends = sent + LEASE_SECONDS
                for name in scarce & self.counters.keys():
                    self.counters[name].hear_scarce()

    async def _begin(self) -> None:
        """Be a new node. What ran goes on, and is told anew."""
        self.node, self._ends = "", 0.0
        for counter in self.counters.values():
            counter.lose()
        node, sent = secrets.token_hex(8), self.clock()
        await self.seating.enter(node)
        self.node, self._ends = node, sent + LEASE_SECONDS

    def hurry(self) -> None:
        """Something was left that others lack."""
        self._lacked.set()

    async def run(self) -> None:
        """Give signs of life while seats are held, and give back what is not needed, until cancelled."""
        beats = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._lacked.wait()
                    await asyncio.sleep(GIVING_SECONDS)
            self._lacked.clear()
            beats += 1
            try:
                await self.look(is_thorough=beats % BEATS_A_LOOK == 0)
            except StoreUnavailable as error:
                log.warning("limits not shared", extra={"action": "limits_not_shared", "error": str(error)})
                await asyncio.sleep(AWAY_SECONDS)

    async def look(self, *, is_thorough: bool) -> None:
        """Give a sign of life, and what is to spare; what few others lack at once, the rest where this is thorough.

        Raises `StoreUnavailable`.
        """
        if any(not counter.is_idle for counter in self.counters.values()):
            await self.beat()
            for counter in list(self.counters.values()):
                await counter.tell(is_thorough=is_thorough)

    async def end(self) -> None:
        """Give everything back. Raises `StoreUnavailable`."""
        node, self.node, self._ends = self.node, "", 0.0
        if node:
            await self.seating.retire(node)


class SharedCounter:
    """Counts for all nodes, by the seats that this one holds; who finds none that is free waits for the database."""

    def __init__(self, name: str, limit: int, tenure: Tenure) -> None:
        self._name = name
        self._tenure = tenure
        self._seats = Seats(limit)
        self._turnstile = asyncio.Lock()
        self._is_untold = False
        self._full_until = self._scarce_until = 0.0
        tenure.counters[name] = self

    async def take(self) -> bool:
        """Take a seat; False where there is none. Raises `StoreUnavailable`."""
        while not self._has_free():
            async with self._turnstile:
                if self._has_free():  # somebody else has asked meanwhile, or left one
                    continue
                if self._tenure.clock() < self._full_until or not await self._grow():
                    return False
        self._seats.take()
        return True

    def leave(self) -> None:
        """See `Counter`."""
        self._seats.leave()
        if self._is_scarce:
            self._tenure.hurry()

    async def tell(self, *, is_thorough: bool) -> None:
        """Give back what is to spare, and tell what could not be told. Raises `StoreUnavailable`."""
        async with self._turnstile:
            is_scarce = self._is_scarce
            if (is_thorough or is_scarce) and self._seats.shrink(is_scarce=is_scarce):
                self._is_untold = True
            if self._is_untold:
                await self._ask(self._seats.held)

    def hear_scarce(self) -> None:
        """Another node lacks a seat."""
        self._scarce_until = self._tenure.clock() + 2 * BEAT_SECONDS

    def lose(self) -> None:
        """Nothing is held any more; what is taken is to be told."""
        self._seats.lose()
        self._is_untold = self._seats.taken > 0

    def forget(self) -> None:
        """It is idle, and nobody asks for it."""
        del self._tenure.counters[self._name]

    @property
    def is_idle(self) -> bool:
        """See `Counter`."""
        return not (self._seats.taken or self._seats.held or self._is_untold or self._turnstile.locked())

    def _has_free(self) -> bool:
        return self._seats.is_free and self._tenure.lasts

    @property
    def _is_scarce(self) -> bool:
        return self._tenure.clock() < self._scarce_until

    async def _grow(self) -> bool:
        """Hold one that is free. Where there is none, it is not asked again at once."""
        for pause in (*PAUSES, None):
            others = await self._ask(self._seats.wants(is_scarce=self._is_scarce), needs=1)
            if self._has_free():
                return True
            if not others or pause is None:
                break
            await asyncio.sleep(pause)
            if self._has_free():
                return True
        self._full_until = self._tenure.clock() + FULL_SECONDS
        return False

    async def _ask(self, wants: int, *, needs: int = 0) -> int:
        """Hold so many, or as many as there are; after a loss as a new node. How many the others hold."""
        await self._tenure.confirm()
        self._is_untold = True
        while True:
            node, seats = self._tenure.node, self._seats
            number, needed = self._tenure.next_number(), needs and seats.taken + needs
            wish = Wish(node, self._name, seats.limit, number, taken=seats.taken, wants=wants, needs=needed)
            seated = await self._tenure.seating.ask(wish)
            if node != self._tenure.node:  # it was lost meanwhile, and so was what it was given
                continue
            if seated is not None:
                self._receive(seated)
                return seated.others
            await self._tenure.beat()

    def _receive(self, seated: Seated) -> None:
        self._seats.receive(seated.held)
        self._is_untold = False
        if seated.is_scarce:
            self.hear_scarce()
