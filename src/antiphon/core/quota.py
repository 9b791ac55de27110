"""The arithmetic of limits by the minute: what is left of one, when there will be more, and what a node takes of it.

Time is cut into **slots**. What is taken counts in its slot, and a slot counts until no minute that began in it can
still last: so that in *every* span of 60 seconds, wherever it begins, no more is taken than the limit. What is given
back is given back to its slot, and what was used beyond what was taken is charged, even where nothing is left: then the
next wait longer.

Nodes that share a limit keep one window in the database, of coarse slots. Each takes **portions** of it for the slot
that runs and hands them out by itself; whatever it has not handed out when the slot ends goes back.
"""

from __future__ import annotations

from msgspec import Struct

MINUTE = 60
LOCAL_SECONDS = 1
SHARED_SECONDS = 10
MOST_SHARE = 8
"""A node that hands out much takes an eighth of a limit at a time; one that hands out little, a sixty-fourth."""
LEAST_SHARE = 64


class Window:
    """What was taken of ``limit`` lately. ``seconds``: how long a slot is; times are those of one clock.

    Where the clock is set back, what was taken counts as if it had been taken then: a minute longer, but no more.
    """

    def __init__(self, limit: int, *, seconds: int = LOCAL_SECONDS, taken: dict[int, int] | None = None) -> None:
        self.limit = limit
        self.seconds = seconds
        self.span = MINUTE // seconds + 1
        self.taken: dict[int, int] = dict(sorted((taken or {}).items()))
        self._sum = sum(self.taken.values())
        self._slot = max(self.taken, default=0)

    def slot(self, now: float) -> int:
        """The slot that runs; what no longer counts is dropped."""
        slot = int(now // self.seconds)
        if slot == self._slot:  # mostly nothing has changed
            return slot
        self._slot = slot
        if ahead := [at for at in self.taken if at > slot]:
            self.taken[slot] = self.taken.get(slot, 0) + sum(self.taken.pop(at) for at in ahead)
        while self.taken and (oldest := next(iter(self.taken))) <= slot - self.span:
            self._sum -= self.taken.pop(oldest)
        return slot

    def free(self, now: float) -> int:
        """How much may be taken now; below 0 where more was used than there was."""
        self.slot(now)
        return self.limit - self._sum

    def take(self, amount: int, now: float) -> int | None:
        """Take so much, all or nothing; the slot in which it counts, or None where there is not so much."""
        slot = self.slot(now)
        if self.limit - self._sum < amount:
            return None
        self._add(slot, amount)
        return slot

    def settle(self, slot: int, more: int, now: float) -> None:
        """Count more, or less, in a slot than was taken there. Where it does not count any more, this does not.

        A charge that comes late counts from now on.
        """
        current = self.slot(now)
        if more > 0:
            self._add(slot if slot in self.taken else current, more)
        elif slot in self.taken:
            self._add(slot, max(more, -self.taken[slot]))

    def wait(self, amount: int, now: float) -> float:
        """Seconds until so much is free, if nobody takes any; infinite where it is more than the limit."""
        free = self.free(now)
        if free >= amount:
            return 0.0
        for slot, taken in self.taken.items():
            free += taken
            if free >= amount:
                return (slot + self.span) * self.seconds - now
        return float("inf")

    def reset(self, now: float) -> float:
        """Seconds until the whole limit is free, if nobody takes any."""
        self.slot(now)
        last = next((slot for slot, taken in reversed(self.taken.items()) if taken), None)
        return 0.0 if last is None else (last + self.span) * self.seconds - now

    def _add(self, slot: int, amount: int) -> None:
        self.taken[slot] = self.taken.get(slot, 0) + amount
        self._sum += amount


class Reserved(Struct, frozen=True):
    """What was taken in a ``slot`` for a response of a ``deployment``, as it was asked for.

    Of the tokens so many are those of its input, by estimate.
    """

    deployment: str
    slot: int
    tokens: int
    estimated: int


class Grant(Struct, frozen=True):
    """What a node was given of a shared window: ``amount``, to hand out in ``slot``, which lasts ``lasts`` seconds.

    ``free`` is what the window has left, ``wait`` the seconds until there is what was needed, where nothing was given,
    and ``reset`` those until all of it is free.
    """

    slot: int
    amount: int
    lasts: float
    free: int
    wait: float
    reset: float


def grant(window: Window, needs: int, wants: int, now: float) -> Grant:
    """Take a portion of a shared window: as much of ``wants`` as there is, or nothing where ``needs`` is not there."""
    free, slot = window.free(now), window.slot(now)
    amount = min(max(wants, needs), free) if free >= needs else 0
    wait = window.wait(needs, now)
    if amount > 0:
        window.take(amount, now)
    lasts = (slot + 1) * window.seconds - now
    return Grant(slot, max(amount, 0), lasts, free=free - max(amount, 0), wait=wait, reset=window.reset(now))


class Portions:
    """What a node holds of a shared limit, and what it owes to it. Times are seconds of a clock that only runs on."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._least = max(1, limit // LEAST_SHARE)
        self._most = max(1, limit // MOST_SHARE)
        self._size = self._least
        self._slot = -1
        self._left = 0
        self._ends = 0.0
        self._owed: dict[int, int] = {}

    def left(self, now: float) -> int:
        """What may be handed out without asking."""
        if now >= self._ends and self._left:
            self._owe(self._slot, -self._left)
            self._left = 0
        return self._left

    def take(self, amount: int, now: float) -> int | None:
        """Hand out so much; the slot in which it counts, or None where it has to be asked for."""
        if self.left(now) < amount or now >= self._ends:
            return None
        self._left -= amount
        return self._slot

    def is_low(self, now: float) -> bool:
        """Whether it is time to ask for more."""
        return now < self._ends and 2 * self._left < self._size

    def wants(self, needs: int, now: float) -> int:
        """How much to ask for where so much is missing: twice as much as the last time, half of it in a new slot."""
        size = self._size // 2 if now >= self._ends else 2 * self._size
        self._size = min(max(size, self._least), self._most)
        return max(needs, self._size)

    def receive(self, given: Grant, sent: float) -> None:
        """Hold what was given to a question that was sent then: it lasts no longer than it does there."""
        if given.slot != self._slot:
            self._owe(self._slot, -self._left)
            self._left = 0
        self._slot = given.slot
        self._left += given.amount
        self._ends = sent + given.lasts

    def settle(self, slot: int, more: int, now: float) -> None:
        """Use more of a slot, or less, than was handed out; -1 is whatever slot runs when it is told."""
        if slot == self._slot and more <= self.left(now) and now < self._ends:
            self._left -= more
        else:
            self._owe(slot, more)

    def owed(self, now: float) -> dict[int, int]:
        """What is to be told, by slot, and forget it: more was used there than was taken, or less."""
        self.left(now)
        owed, self._owed = self._owed, {}
        return owed

    def let_go(self) -> None:
        """Hand out nothing more of what is held."""
        self._ends = 0.0

    def owe(self, owed: dict[int, int]) -> None:
        """Owe what could not be told."""
        for slot, more in owed.items():
            self._owe(slot, more)

    @property
    def is_owing(self) -> bool:
        """Whether there is anything to be told."""
        return bool(self._owed)

    def _owe(self, slot: int, more: int) -> None:
        if more:
            self._owed[slot] = self._owed.get(slot, 0) + more
