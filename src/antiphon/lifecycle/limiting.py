"""Limiting: what a tenant may ask of a deployment, decided before anything is done for a request.

Of each kind of limit the most exact rule holds: one that names tenant and deployment, then tenant, then deployment,
then neither. A tenant is always counted by itself; a rule that names a deployment counts that one alone, any other
counts all of them together. What a response will cost is reserved and **settled** once it has ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from math import ceil
from typing import TYPE_CHECKING, Annotated, Literal

import anyio
import msgspec
from msgspec import Meta, Struct

from antiphon.core.estimate import estimate, text_tokens
from antiphon.core.quota import MINUTE
from antiphon.core.turn import Turn
from antiphon.lifecycle.meters import OwnMeter, SharedMeter, Spent
from antiphon.lifecycle.seating import OwnCounter, SharedCounter
from antiphon.lifecycle.tickets import SOON_SECONDS, Gate, Habit, Stake, Ticket, tokens
from antiphon.protocol.limit_faults import rate_exceeded, request_too_large, too_many_at_once
from antiphon.store import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from antiphon.core.quota import Reserved
    from antiphon.core.tally import Tally
    from antiphon.lifecycle import Caller
    from antiphon.lifecycle.meters import Meter
    from antiphon.lifecycle.seating import Tenure
    from antiphon.protocol.limit_faults import Level, Limited
    from antiphon.protocol.request import CreateResponse
    from antiphon.store.quotas import Quotas

log = logging.getLogger(__name__)

ANY = "*"
TELLING_SECONDS = 2.0
"""How often what is owed to shared limits is told."""
LAST_WORD_SECONDS = 3.0
SWEEP_SECONDS = MINUTE
LATER_SECONDS = 5.0
"""When to ask again where too many runs wait: nobody knows when one of them ends."""

Positive = Annotated[int, Meta(ge=1, le=10**12)]
Kind = Literal["requests_per_minute", "tokens_per_minute", "concurrent", "background", "storage_mib"]


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """``[[limits]]``: what each tenant may ask of a deployment, or of all together; what is not named has no limit."""

    tenant: str = ANY
    deployment: str = ANY
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None
    concurrent: Positive | None = None
    background: Positive | None = None
    storage_mib: Positive | None = None


class Bound(Struct, frozen=True):
    """A limit that holds for a request, and the deployment that is counted for it, or ``*`` for all."""

    limit: int
    scope: str


class Bounds(Struct, frozen=True):
    """All limits that hold for a tenant and a deployment."""

    requests: Bound | None = None
    tokens: Bound | None = None
    concurrent: Bound | None = None
    background: Bound | None = None


NONE = Bounds()


def fault(rules: Sequence[Rule], deployments: Sequence[str | None]) -> str | None:
    """What is wrong with rules, if anything is. ``deployments`` are the names of those that there are."""
    seen: set[tuple[str, str]] = set()
    for rule in rules:
        place = (rule.tenant, rule.deployment)
        if place in seen:
            return f"two rules are for tenant {rule.tenant!r} and deployment {rule.deployment!r}. Make them one."
        seen.add(place)
        if rule == Rule(rule.tenant, rule.deployment):
            return f"the rule for tenant {rule.tenant!r} and deployment {rule.deployment!r} limits nothing."
        if rule.storage_mib is not None and rule.deployment != ANY:
            return f"storage_mib belongs to a tenant, and the rule names the deployment {rule.deployment!r}."
        if rule.deployment != ANY and deployments and not {rule.deployment, ANY}.intersection(deployments):
            return f"a rule names the deployment {rule.deployment!r}, and there is none."
    return None


def bound(rules: Sequence[Rule], kind: Kind, *, tenant: str, deployment: str) -> Bound | None:
    """The limit of a kind that holds; None where there is none."""
    for pair in ((tenant, deployment), (tenant, ANY), (ANY, deployment), (ANY, ANY)):
        for rule in rules:
            limit = _limit(rule, kind)
            if limit is not None and (rule.tenant, rule.deployment) == pair:
                return Bound(limit, rule.deployment)
    return None


def _limit(rule: Rule, kind: Kind) -> int | None:
    match kind:
        case "requests_per_minute":
            return rule.requests_per_minute
        case "tokens_per_minute":
            return rule.tokens_per_minute
        case "concurrent":
            return rule.concurrent
        case "background":
            return rule.background
        case "storage_mib":
            return rule.storage_mib


class Place(Struct, frozen=True):
    """What counts together."""

    kind: str
    tenant: str
    scope: str

    @property
    def name(self) -> str:
        """Its name among all nodes."""
        return msgspec.json.encode([self.kind, self.tenant, self.scope]).decode()


class Limiting:
    """Admits requests, or refuses them. ``clock`` gives seconds, and only runs on.

    ``default`` is the deployment of a request that names none. With ``quotas`` the limits by the minute are shared with
    other nodes, with a ``tenure`` those of what runs at once. ``waiting`` counts the background runs of a limit.
    """

    def __init__(  # noqa: PLR0913 - the clock is passed in
        self,
        rules: Sequence[Rule] = (),
        *,
        gate: Gate | None = None,
        default: str | None = None,
        quotas: Quotas | None = None,
        tenure: Tenure | None = None,
        waiting: Callable[[str], Awaitable[int]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gate = gate or Gate(None)
        self._rules = rules
        self._default = default
        self._quotas = quotas
        self._tenure = tenure
        self._waiting = waiting
        self._clock = clock
        self._bounds: dict[tuple[str, str], Bounds] = {}
        self._named = frozenset(rule.deployment for rule in rules)
        self._meters: dict[Place, Meter] = {}
        self._counters: dict[Place, OwnCounter] = {}
        self._seats: dict[Place, SharedCounter] = {}
        self._habits: dict[Place, Habit] = {}
        self._low: dict[SharedMeter, None] = {}
        self._wanted = asyncio.Event()

    async def admit(self, request: CreateResponse, caller: Caller, deployment: str | None) -> Ticket:
        """Let a request in. What its ticket holds is free again once the ticket is left; see `Ticket`.

        Raises ``ApiError`` 429 where a limit is reached, and `StoreUnavailable`.
        """
        name = deployment or request.model or self._default or ""
        ticket = Ticket(name)
        bounds = self._bounds_of(caller.tenant, name) if self._rules else NONE
        try:
            self.gate.occupy(ticket)
            if request.background:
                await self._count_background(ticket, bounds, caller)
            else:
                await self._count_running(ticket, bounds, caller)
            if bounds.requests is not None:
                ticket.requests = await self._take(ticket, "requests", Stake(), bounds.requests, caller)
            if bounds.tokens is not None:
                ticket.tokens = await self._take(
                    ticket, "tokens", self._cost(request, bounds, caller), bounds.tokens, caller
                )
        except BaseException:
            ticket.refuse()
            raise
        return ticket

    def settle_late(self, tenant: str, reserved: Reserved | None, took: Tally) -> None:
        """Settle a background run that has ended, with what was reserved for it, wherever that was."""
        if reserved is None:
            return
        bounds = self._bounds_of(tenant, reserved.deployment)
        if bounds.tokens is None:
            return
        place = Place("tokens", tenant, bounds.tokens.scope)
        used = tokens(took.reading(reserved.estimated))
        self._meter(place, bounds.tokens.limit).settle(reserved.slot, used - reserved.tokens)
        self._habit(place).learn(used - reserved.estimated)

    async def run(self) -> None:
        """Ask for more of shared limits before it is missed, and tell what is owed to them, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._attend())
                if self._tenure is not None:
                    group.create_task(self._tenure.run())
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(LAST_WORD_SECONDS):
                if self._tenure is not None:
                    await _quietly(self._tenure.end())
                await self._tell(is_last=True)

    async def _attend(self) -> None:
        told = swept = self._clock()
        while True:
            wait = SWEEP_SECONDS if self._quotas is None else TELLING_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            while self._low:
                await _quietly(self._low.popitem()[0].refill())
            if self._clock() - told >= TELLING_SECONDS:
                await self._tell()
                told = self._clock()
            if self._clock() - swept >= SWEEP_SECONDS:
                self.sweep()
                swept = self._clock()

    async def _tell(self, *, is_last: bool = False) -> None:
        for meter in list(self._meters.values()):
            if isinstance(meter, SharedMeter):
                await _quietly(meter.tell(is_last=is_last))

    async def forget(self) -> None:
        """Erase what no node counts any more."""
        if self._quotas is not None:
            await self._quotas.sweep()
        if self._tenure is not None:
            await self._tenure.seating.sweep()

    def sweep(self) -> None:
        """Forget what counts nothing: tenants come and go. What is to be settled yet counts, however old it is."""
        for place in [place for place, counter in self._counters.items() if counter.is_idle]:
            del self._counters[place]
        for place in [place for place, meter in self._meters.items() if meter.is_idle and place not in self._counters]:
            del self._meters[place]
            self._habits.pop(place, None)
        for place in [place for place, seats in self._seats.items() if seats.is_idle]:
            self._seats.pop(place).forget()
        self._bounds.clear()

    @property
    def remembered(self) -> int:
        """How many tenants there is anything to remember of."""
        return len({place.tenant for place in (*self._meters, *self._counters, *self._seats)})

    def _bounds_of(self, tenant: str, deployment: str) -> Bounds:
        key = (tenant, deployment if deployment in self._named else ANY)
        found = self._bounds.get(key)
        if found is None:
            found = self._bounds[key] = Bounds(
                requests=bound(self._rules, "requests_per_minute", tenant=tenant, deployment=key[1]),
                tokens=bound(self._rules, "tokens_per_minute", tenant=tenant, deployment=key[1]),
                concurrent=bound(self._rules, "concurrent", tenant=tenant, deployment=key[1]),
                background=bound(self._rules, "background", tenant=tenant, deployment=key[1]),
            )
        return found

    async def _count_running(self, ticket: Ticket, bounds: Bounds, caller: Caller) -> None:
        if bounds.concurrent is None:
            return
        place, limit = Place("concurrent", caller.tenant, bounds.concurrent.scope), bounds.concurrent.limit
        if self._tenure is None:
            own = self._counter(place)
            if is_free := own.count < limit:
                ticket.occupy(own)
        else:
            shared = self._seats_of(place, limit, self._tenure)
            if is_free := await shared.take():
                ticket.hold(shared)
        if not is_free:
            raise too_many_at_once(ticket.subject, "concurrent responses", limit, wait=SOON_SECONDS)

    async def _count_background(self, ticket: Ticket, bounds: Bounds, caller: Caller) -> None:
        """Count what is queued or running, and what is about to be here."""
        if bounds.background is None or self._waiting is None:
            return
        place = Place("background", caller.tenant, bounds.background.scope)
        counter = self._counter(place)
        ticket.occupy(counter)
        if await self._waiting(place.name) + counter.count > bounds.background.limit:
            raise too_many_at_once(ticket.subject, "background runs", bounds.background.limit, wait=LATER_SECONDS)
        ticket.quota = place.name

    async def _take(self, ticket: Ticket, what: Limited, stake: Stake, bound: Bound, caller: Caller) -> Stake:
        place = Place(what, caller.tenant, bound.scope)
        meter = self._meter(place, bound.limit)
        if stake.amount > bound.limit:
            raise request_too_large(ticket.subject, bound.limit, stake.amount)
        try:
            slot = await meter.take(stake.amount)
        except Spent as miss:
            level = meter.level()
            levels: dict[Limited, Level] = {**ticket.levels(), what: level}
            raise rate_exceeded(
                what, ticket.subject, level, requested=stake.amount, wait=miss.wait, levels=levels
            ) from miss
        ticket.occupy(self._counter(place))
        return stake.of(meter, slot)

    def _cost(self, request: CreateResponse, bounds: Bounds, caller: Caller) -> Stake:
        """What a response will cost: its input by estimate, and what it may write, or what others had beside."""
        scope = "" if bounds.tokens is None else bounds.tokens.scope
        habit = self._habit(Place("tokens", caller.tenant, scope))
        estimated = ceil(estimate(Turn(items=request.input, instructions=request.instructions)))
        if request.tools:
            estimated += ceil(text_tokens(msgspec.json.encode(request.tools).decode()))
        if request.max_output_tokens is not None:
            return Stake(estimated + request.max_output_tokens, estimated, habit=habit)
        limit = 0 if bounds.tokens is None else bounds.tokens.limit
        return Stake(max(estimated, min(estimated + habit.surplus, limit)), estimated, habit=habit)

    def _meter(self, place: Place, limit: int) -> Meter:
        meter = self._meters.get(place)
        if meter is None:
            meter = self._meters[place] = (
                OwnMeter(limit, self._clock)
                if self._quotas is None
                else SharedMeter(place.name, limit, self._quotas, want=self._want, clock=self._clock)
            )
        return meter

    def _counter(self, place: Place) -> OwnCounter:
        return self._counters.setdefault(place, OwnCounter())

    def _seats_of(self, place: Place, limit: int, tenure: Tenure) -> SharedCounter:
        found = self._seats.get(place)
        if found is None:
            found = self._seats[place] = SharedCounter(place.name, limit, tenure)
        return found

    def _habit(self, place: Place) -> Habit:
        return self._habits.setdefault(place, Habit())

    def _want(self, meter: SharedMeter) -> None:
        self._low[meter] = None
        self._wanted.set()


async def _quietly(telling: Awaitable[None]) -> None:
    """What cannot be told now is told later."""
    try:
        await telling
    except StoreUnavailable as error:
        log.warning("limits not shared", extra={"action": "limits_not_shared", "error": str(error)})
