"""Meters of limits by the minute: one that this process has for itself, and one that it shares with other nodes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from antiphon.core.quota import Portions, Window
from antiphon.protocol.limit_faults import Level
from antiphon.store.quotas import Asking

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.core.quota import Grant
    from antiphon.store.quotas import Quotas

    Clock = Callable[[], float]

SPENT_SECONDS = 1.0
"""How long it is believed that there is nothing left, while the database is not asked."""


class Spent(Exception):
    """There is not so much left; there will be in ``wait`` seconds, if nobody takes any."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"nothing is left for {wait} s")
        self.wait = wait


class Meter(Protocol):
    """What counts against one limit. What is taken counts in a slot, see `antiphon.core.quota`."""

    @property
    def limit(self) -> int:
        """How much there is by the minute."""
        ...

    async def take(self, amount: int) -> int:
        """Take so much, and return the slot. Raises `Spent`; where the limit is shared, `StoreUnavailable`."""
        ...

    def settle(self, slot: int, more: int) -> None:
        """Count more in a slot, or less, than was taken."""
        ...

    def level(self) -> Level:
        """What is left, as far as it is known here."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether nothing would be lost with it."""
        ...


class OwnMeter:
    """Counts for this process alone. ``clock`` only runs on."""

    def __init__(self, limit: int, clock: Clock) -> None:
        self.limit = limit
        self._window = Window(limit)
        self._clock = clock

    async def take(self, amount: int) -> int:
        """See `Meter`; nothing is waited for."""
        now = self._clock()
        slot = self._window.take(amount, now)
        if slot is None:
            raise Spent(self._window.wait(amount, now))
        return slot

    def settle(self, slot: int, more: int) -> None:
        """See `Meter`."""
        self._window.settle(slot, more, self._clock())

    def level(self) -> Level:
        """See `Meter`."""
        now = self._clock()
        return Level(self.limit, self._window.free(now), self._window.reset(now))

    @property
    def is_idle(self) -> bool:
        """See `Meter`."""
        return self._window.free(self._clock()) == self.limit


class SharedMeter:
    """Counts for all nodes, by portions that this one takes from the database and hands out.

    ``want`` is called where it is time to ask for more, and somebody calls `refill` then; who finds nothing waits for
    an answer. ``clock`` only runs on.
    """

    def __init__(
        self, name: str, limit: int, quotas: Quotas, *, want: Callable[[SharedMeter], None], clock: Clock
    ) -> None:
        self.limit = limit
        self._name = name
        self._quotas = quotas
        self._want = want
        self._clock = clock
        self._portions = Portions(limit)
        self._turnstile = asyncio.Lock()
        self._free, self._reset, self._known = limit, 0.0, 0.0
        self._missed, self._spent_until, self._back_at = 0, 0.0, 0.0

    async def take(self, amount: int) -> int:
        """See `Meter`: mostly nothing is waited for."""
        while True:
            now = self._clock()
            slot = self._portions.take(amount, now)
            if slot is not None:
                if self._portions.is_low(now) and now >= self._spent_until:
                    self._want(self)
                return slot
            await self._fill(amount)

    async def refill(self) -> None:
        """Ask for more before it is missed."""
        async with self._turnstile:
            now = self._clock()
            if self._portions.is_low(now) and now >= self._spent_until:
                await self._ask(1, self._portions.wants(1, now))

    async def tell(self, *, is_last: bool = False) -> None:
        """Tell what is owed, if anything is; with the last word all that it holds is given back."""
        async with self._turnstile:
            if is_last:
                self._portions.let_go()
            self._portions.left(self._clock())
            if self._portions.is_owing:
                await self._ask(0, 0)

    def settle(self, slot: int, more: int) -> None:
        """See `Meter`; it is told later."""
        self._portions.settle(slot, more, self._clock())

    def level(self) -> Level:
        """See `Meter`."""
        now = self._clock()
        remaining = self._free + self._portions.left(now)
        return Level(self.limit, remaining, max(0.0, self._reset - (now - self._known)))

    @property
    def is_idle(self) -> bool:
        """See `Meter`."""
        now = self._clock()
        return not self._portions.left(now) and not self._portions.is_owing and now > self._known + self._reset

    async def _fill(self, amount: int) -> None:
        """Get what is missing of so much. Raises `Spent`."""
        async with self._turnstile:
            now = self._clock()
            needs = amount - self._portions.left(now)
            if needs <= 0:  # somebody else has asked meanwhile
                return
            if needs >= self._missed and now < self._spent_until:
                raise Spent(max(self._back_at - now, 0.001))
            given = await self._ask(needs, self._portions.wants(needs, now))
            if not given.amount:
                raise Spent(given.wait)

    async def _ask(self, needs: int, wants: int) -> Grant:
        sent = self._clock()
        owed = self._portions.owed(sent)
        try:
            given = await self._quotas.ask(Asking(self._name, self.limit, needs, wants, owed))
        except BaseException:  # nobody knows whether it was told: what is given back twice would be taken twice
            self._portions.owe({slot: more for slot, more in owed.items() if more > 0})
            raise
        self._portions.receive(given, sent)
        self._free, self._reset, self._known = given.free, given.reset, sent
        if needs and not given.amount:
            self._missed, self._spent_until = needs, sent + min(given.wait, SPENT_SECONDS)
            self._back_at = sent + given.wait
        return given
