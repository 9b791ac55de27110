"""Tickets: what an admitted request holds of the limits, until its response has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from msgspec import Struct
from msgspec.structs import replace

from antiphon.core.quota import Reserved
from antiphon.core.tally import believed
from antiphon.lifecycle.meters import Meter
from antiphon.lifecycle.seating import OwnCounter
from antiphon.protocol.limit_faults import level_headers, overloaded

if TYPE_CHECKING:
    from types import TracebackType

    from antiphon.core.tally import Tally
    from antiphon.lifecycle.seating import Counter
    from antiphon.protocol.limit_faults import Level, Limited

FIRST_SURPLUS = 256
"""Tokens that a response is taken to cost beside what was sent, while nobody knows."""
HABIT = 8
"""Of how many responses the last one tells: what others cost is forgotten as slowly."""
SOON_SECONDS = 1.0


class Habit:
    """What responses cost beside the estimate of what was sent: what they write, and what was said before."""

    def __init__(self) -> None:
        self._surplus = float(FIRST_SURPLUS)

    @property
    def surplus(self) -> int:
        """In tokens."""
        return round(self._surplus)

    def learn(self, surplus: int) -> None:
        """One more has ended."""
        self._surplus += (max(0, surplus) - self._surplus) / HABIT


class Gate:
    """How many responses the process makes at a time: ``most``, or any number."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._counter = OwnCounter()

    def check(self) -> None:
        """Raise ``ApiError`` 503 where there is no place: before a body is read."""
        if self._most is not None and self._counter.count >= self._most:
            raise overloaded(wait=SOON_SECONDS)

    def occupy(self, ticket: Ticket) -> None:
        """Stake a place until a ticket is left. Raises ``ApiError`` 503."""
        self.check()
        ticket.occupy(self._counter)


class Stake(Struct, frozen=True):
    """So much of a limit, in a slot of its meter; ``estimated`` of it is the input, and ``habit`` learns the rest."""

    amount: int = 1
    estimated: int = 0
    habit: Habit | None = None
    meter: Meter | None = None
    slot: int = -1

    def of(self, meter: Meter, slot: int) -> Stake:
        """The same, taken."""
        return replace(self, meter=meter, slot=slot)

    def settle(self, amount: int) -> None:
        """So much it was in the end."""
        if self.meter is not None:
            self.meter.settle(self.slot, amount - self.amount)


class Ticket:
    """What a request holds. It is left once the response has ended: as a context manager, or by a stack.

    Left before its response was settled, it gives its tokens back; but where the client left, what was sent counts.
    ``subject`` is the deployment as it was asked for; ``quota`` names the limit that a background run counts for.
    """

    __slots__ = ("_is_settled", "_occupied", "quota", "requests", "subject", "tokens")

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.requests: Stake | None = None
        self.tokens: Stake | None = None
        self.quota: str | None = None
        self._occupied: list[Counter] = []
        self._is_settled = False

    def __enter__(self) -> Self:
        """The ticket itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Leave: nothing is held any more."""
        if self.tokens is not None and not self._is_settled:
            gone = kind is not None and issubclass(kind, asyncio.CancelledError)
            self.tokens.settle(self.tokens.estimated if gone else 0)
        self._is_settled = True
        self._leave()

    @property
    def reserved(self) -> Reserved | None:
        """What is reserved for whoever settles it elsewhere."""
        stake = self.tokens
        return None if stake is None else Reserved(self.subject, stake.slot, stake.amount, stake.estimated)

    def occupy(self, counter: OwnCounter) -> None:
        """Stake a place until it is left."""
        counter.count += 1
        self.hold(counter)

    def hold(self, counter: Counter) -> None:
        """Leave, once it is left, a place that was taken."""
        self._occupied.append(counter)

    def settle(self, took: Tally) -> None:
        """Count what a response has really taken."""
        self.settle_tokens(tokens(took))

    def settle_tokens(self, used: int) -> None:
        """Count so many tokens."""
        if self.tokens is not None and not self._is_settled:
            used = believed(used)
            self.tokens.settle(used)
            if self.tokens.habit is not None:
                self.tokens.habit.learn(used - self.tokens.estimated)
        self._is_settled = True

    def hand_over(self) -> None:
        """The response is queued: whoever performs it settles what is reserved."""
        self._is_settled = True

    def refuse(self) -> None:
        """Give all back: the request was not admitted."""
        for stake in (self.requests, self.tokens):
            if stake is not None:
                stake.settle(0)
        self._is_settled = True
        self._leave()

    def levels(self) -> dict[Limited, Level]:
        """What is left of the limits by the minute that hold."""
        levels: dict[Limited, Level] = {}
        if self.requests is not None and self.requests.meter is not None:
            levels["requests"] = self.requests.meter.level()
        if self.tokens is not None and self.tokens.meter is not None:
            levels["tokens"] = self.tokens.meter.level()
        return levels

    def headers(self, *, is_azure: bool) -> list[tuple[bytes, bytes]]:
        """The headers of the answer that tell it."""
        return level_headers(self.levels(), self.subject, is_azure=is_azure)

    def _leave(self) -> None:
        for counter in self._occupied:
            counter.leave()
        self._occupied.clear()


def tokens(took: Tally) -> int:
    """All tokens that a response took, counted or estimated."""
    return took.input_tokens + took.output_tokens + took.estimated_input + took.estimated_output
