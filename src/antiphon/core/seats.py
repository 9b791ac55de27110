"""What a node holds of a limit of what goes on at once, which it shares with others: **seats**.

A node holds seats, takes them and leaves them by itself, and gives back what it has not needed lately. What one holds
no other does, whether it is taken or not: so all of them together never take more than the limit. While seats are
**scarce**, as some node has found none lately, the others give back at once what they have not taken.
"""

from __future__ import annotations

MOST_SPARE = 8
"""A node that needs more and more asks for an eighth of a limit more than it needs, at most."""


def allot(limit: int, *, others: int, own: int, taken: int, wants: int) -> int:
    """How many seats a node holds from now on, which held ``own``, where the others hold ``others``.

    What it holds it may keep, and what it has taken is taken, even beyond the limit: then nobody gets more before there
    are fewer.
    """
    return max(taken, min(wants, max(own, limit - others)))


class Seats:
    """What a node holds of ``limit``, and how much of it is ``taken``."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.taken = 0
        self._most = 0
        self._most_spare = limit // MOST_SPARE
        self._spare = min(1, self._most_spare)

    @property
    def is_free(self) -> bool:
        """Whether there is one to take. After a loss more may be taken than held."""
        return self.taken < self.held

    def take(self) -> None:
        """Take one that is free."""
        self.taken += 1
        self._most = max(self._most, self.taken)

    def leave(self) -> None:
        """Leave one that was taken."""
        self.taken -= 1

    def wants(self, *, is_scarce: bool) -> int:
        """How many to ask for where one is missing: with twice as many to spare as the last time."""
        spare = 0 if is_scarce else self._spare
        self._spare = min(2 * self._spare, self._most_spare)
        return max(self.held, min(self.taken + 1 + spare, self.limit))

    def shrink(self, *, is_scarce: bool) -> bool:
        """Keep as many as were taken at a time since this was done last; while seats are scarce, those that are now.

        Gives whether there is anything to give back.
        """
        keeps = self.taken if is_scarce else max(self._most, self.taken)
        self._most = self.taken
        if self.held <= keeps:
            return False
        self.held = keeps
        self._spare = max(self._spare // 2, min(1, self._most_spare))
        return True

    def receive(self, held: int) -> None:
        """Hold so many."""
        self.held = held

    def lose(self) -> None:
        """Hold none: this node was taken for dead. What is taken goes on."""
        self.held = 0
