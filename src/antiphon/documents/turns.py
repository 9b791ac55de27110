"""Whose turn it is: parties one after another, so that none waits for all that another has brought."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque

import anyio


class Turns:
    """``count`` turns at a time, for parties in rotation, and for one party in the order in which it asked.

    While several parties wait, one that holds all turns but one is passed over.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._most = max(1, count - 1)
        self._held = Counter[str]()
        self._waiting: OrderedDict[str, deque[anyio.Event]] = OrderedDict()

    async def acquire(self, party: str) -> None:
        """Wait for a turn, until it comes or the caller is cancelled; it ends with `release`."""
        turn = anyio.Event()
        self._waiting.setdefault(party, deque()).append(turn)
        self._grant()
        is_mine = False
        try:
            await turn.wait()
            is_mine = True
        finally:
            if not is_mine:
                self._give_up(party, turn)

    def release(self, party: str) -> None:
        """End a turn."""
        self._free += 1
        self._held[party] -= 1
        if not self._held[party]:
            del self._held[party]
        self._grant()

    def _give_up(self, party: str, turn: anyio.Event) -> None:
        if turn.is_set():  # it came in the same moment
            self.release(party)
            return
        self._waiting[party].remove(turn)
        if not self._waiting[party]:
            del self._waiting[party]

    def _grant(self) -> None:
        while self._free and (party := self._next()) is not None:
            self._free -= 1
            self._held[party] += 1
            self._waiting[party].popleft().set()
            if self._waiting[party]:
                self._waiting.move_to_end(party)
            else:
                del self._waiting[party]

    def _next(self) -> str | None:
        """The party whose turn it is; None where none waits that may have one."""
        if len(self._waiting) == 1:
            return next(iter(self._waiting))
        return next((party for party in self._waiting if self._held[party] < self._most), None)
