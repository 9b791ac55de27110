"""Counting what runs at once for all nodes: seldom asked for, never too many, and healed after every fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.lifecycle import Caller, seating
from antiphon.lifecycle.limiting import Limiting, Rule
from antiphon.lifecycle.seating import LEASE_SECONDS, OwnCounter, SharedCounter, Tenure
from antiphon.protocol.errors import ApiError
from antiphon.protocol.request import CreateResponse
from antiphon.store import Statement, StoreUnavailable
from antiphon.store.seats import Seating, Wish
from tests.patient import HANG_SECONDS
from tests.store.troubled import Troubled

if TYPE_CHECKING:
    from antiphon.lifecycle.tickets import Ticket
    from antiphon.store import Database, Dialogue
    from antiphon.store.seats import Seated
    from tests.lifecycle.conftest import Clock

pytestmark = pytest.mark.anyio

NAME = '["concurrent","a","*"]'
ASKED = CreateResponse(model="m")
FEW = 4


def tenure(database: Database, clock: Clock) -> Tenure:
    """One more node."""
    return Tenure(Seating(database, lease=round(LEASE_SECONDS * 1000)), clock=clock)


def counter(database: Database, clock: Clock, *, limit: int = FEW) -> SharedCounter:
    """What a node of its own counts."""
    return SharedCounter(NAME, limit, tenure(database, clock))


async def take(counter: SharedCounter, times: int) -> int:
    """Take so many, or as many as there are."""
    return sum([await counter.take() for _ in range(times)])


async def held(database: Database) -> int:
    """What all nodes hold, as the database has it."""
    [(held,)] = await database.fetch("SELECT CAST(coalesce(sum(held), 0) AS BIGINT) FROM seats", {})
    return int(str(held))


async def scarce(database: Database) -> bool:
    """Whether somebody has found no seat."""
    return bool(await database.fetch("SELECT node FROM seats WHERE refused_at > 0", {}))


async def silence(database: Database) -> None:
    """Let the last sign of life of every node be too old."""

    def dialogue() -> Dialogue[None]:
        yield Statement("UPDATE seat_nodes SET until = 0")

    await database.transaction(dialogue)


def test_a_process_counts_for_itself() -> None:
    """Where nobody else does."""
    own = OwnCounter()
    own.count += 1
    assert not own.is_idle
    own.leave()
    assert own.is_idle


async def test_nodes_that_race_run_the_limit_at_once_and_no_more(database: Database, clock: Clock) -> None:
    """And who is refused may come as soon as another has left."""
    nodes, taken = [counter(database, clock, limit=20) for _ in range(3)], list[int]()

    async def race(node: SharedCounter) -> None:
        taken.append(await take(node, 12))

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for node in nodes:
                group.start_soon(race, node)
    assert 20 == sum(taken)


async def test_what_comes_and_goes_asks_nobody(database: Database, clock: Clock) -> None:
    """A node keeps what it needs: a thousand responses, forty at once, ask the database some times."""
    watched = Troubled(database)
    node = counter(watched, clock, limit=100)
    for _ in range(25):
        assert 40 == await take(node, 40)
        for _ in range(40):
            node.leave()
    assert watched.transactions < 20


async def test_what_is_not_needed_goes_back(database: Database, clock: Clock) -> None:
    """From one thorough look to the next but one; then the node need not be heard any more."""
    node = tenure(database, clock)
    counted = SharedCounter(NAME, FEW, node)
    assert 3 == await take(counted, 3)
    counted.leave()
    await node.look(is_thorough=False)
    await node.look(is_thorough=True)
    assert 3 == await held(database)
    await node.look(is_thorough=True)
    assert 2 == await held(database)
    for _ in range(2):
        counted.leave()
    assert not counted.is_idle
    for _ in range(2):
        await node.look(is_thorough=True)
    assert 0 == await held(database)
    assert counted.is_idle


async def test_what_another_lacks_goes_back_at_once(database: Database, clock: Clock) -> None:
    """The node that has it hears of it with its next sign of life."""
    node, other = tenure(database, clock), counter(database, clock)
    counted = SharedCounter(NAME, FEW, node)
    assert FEW == await take(counted, FEW)
    for _ in range(FEW - 1):
        counted.leave()
    assert not await other.take()
    await node.look(is_thorough=False)
    assert not await other.take()  # for a moment it is not asked again
    clock.now += 1
    assert FEW - 1 == await take(other, FEW)


async def test_a_client_that_goes_from_node_to_node_is_served(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where only one may run at a time: what was left on one node is soon free on the other."""
    monkeypatch.setattr(seating, "FULL_SECONDS", 0.0)
    nodes = [tenure(database, clock) for _ in range(2)]
    counters = [SharedCounter(NAME, 1, node) for node in nodes]
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for node in nodes:
                group.start_soon(node.run)
            for counted in counters * 5:
                await served(counted)
                assert 1 == await held(database)
                counted.leave()
            group.cancel_scope.cancel()


async def served(counter: SharedCounter) -> None:
    """Come again until there is a seat."""
    while not await counter.take():
        pass


async def test_who_finds_none_waits_a_little_for_what_is_about_to_be_left(database: Database, clock: Clock) -> None:
    """On its own node, too."""
    one, other = counter(database, clock, limit=2), counter(database, clock, limit=2)
    assert await one.take()
    assert await other.take()
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(take, other, 1)
            while not await scarce(database):
                await anyio.lowlevel.checkpoint()
            other.leave()
    assert 2 == await held(database)
    assert not await other.take()


async def test_a_node_alone_refuses_without_waiting(database: Database, clock: Clock) -> None:
    """Nobody else holds anything, so there is nothing to wait for; and for a moment nothing is asked."""
    watched = Troubled(database)
    node = counter(watched, clock)
    await take(node, FEW)
    asked = watched.transactions
    assert not await node.take()
    assert not await node.take()
    assert asked + 1 == watched.transactions
    clock.now += 1
    assert not await node.take()
    assert asked + 2 == watched.transactions


async def test_who_was_taken_for_dead_is_back_as_another(database: Database, clock: Clock) -> None:
    """What runs there goes on and counts, beyond the limit; nobody gets more before there are fewer."""
    lost, node = counter(database, clock), tenure(database, clock)
    counted = SharedCounter(NAME, FEW, node)
    assert 2 == await take(lost, 2)
    await silence(database)
    assert FEW == await take(counted, FEW)
    clock.now += round(LEASE_SECONDS)
    assert not await lost.take()
    assert FEW + 2 == await held(database)
    for _ in range(3):
        counted.leave()
        await node.look(is_thorough=False)
        clock.now += 1
    assert await lost.take()
    assert FEW == await held(database)


async def test_a_node_that_is_buried_while_it_asks_asks_again(database: Database, clock: Clock) -> None:
    """It believed that it lives, and learns otherwise by the answer; so does every limit that it counts."""
    node = tenure(database, clock)
    counted, another = SharedCounter(NAME, FEW, node), SharedCounter("another", FEW, node)
    assert 1 == await take(counted, 1)
    assert 1 == await take(another, 1)
    await silence(database)
    await Seating(database, lease=1).sweep()
    assert await counted.take()
    assert 2 == await held(database)
    await node.look(is_thorough=False)
    assert 3 == await held(database)


class Held(Seating):
    """Seats whose first answer waits."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, lease=round(LEASE_SECONDS * 1000))
        self.asked, self.open = anyio.Event(), anyio.Event()

    async def ask(self, wish: Wish) -> Seated | None:
        """Answer, once that is allowed."""
        seated = await super().ask(wish)
        self.asked.set()
        await self.open.wait()
        return seated


async def test_what_was_given_to_a_node_that_was_lost_meanwhile_is_not_held(database: Database, clock: Clock) -> None:
    """The answer is of its last life; it asks again, and others that wait with it have theirs of that."""
    held_back = Held(database)
    node = Tenure(held_back, clock=clock)
    counted = SharedCounter(NAME, FEW, node)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(take, counted, 1)
            await held_back.asked.wait()
            group.start_soon(take, counted, 1)
            await silence(database)
            await Seating(database, lease=1).sweep()
            await node.beat()
            assert 0 == await held(database)
            held_back.open.set()
    assert 2 == await held(database)


async def test_while_the_database_is_away_what_is_held_is_taken(database: Database, clock: Clock) -> None:
    """Until the lease is over, as nobody knows then who has it."""
    away = Troubled(database)
    node = counter(away, clock, limit=100)
    assert await node.take()
    away.is_away = True
    assert await node.take()
    with pytest.raises(StoreUnavailable):
        await take(node, 10)
    clock.now += round(LEASE_SECONDS)
    node.leave()
    with pytest.raises(StoreUnavailable):
        await node.take()
    away.is_away = False
    assert await node.take()


async def test_what_nobody_heard_of_is_told_again(database: Database, clock: Clock) -> None:
    """A seat that was given, and whose giving was not heard, is given back."""
    troubled = Troubled(database)
    node = tenure(troubled, clock)
    counted = SharedCounter(NAME, FEW, node)
    await node.beat()
    troubled.unheard = 1
    with pytest.raises(StoreUnavailable):
        await counted.take()
    assert 1 == await held(database)
    await node.look(is_thorough=False)
    assert 0 == await held(database)
    troubled.unheard = 1
    with pytest.raises(StoreUnavailable):
        await node.beat()
    assert await counted.take()


async def test_a_node_goes_on_giving_signs_of_life_after_a_fault(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And gives back what it owes then."""
    monkeypatch.setattr(seating, "BEAT_SECONDS", 0.0)
    monkeypatch.setattr(seating, "AWAY_SECONDS", 0.0)
    troubled = Troubled(database)
    node = tenure(troubled, clock)
    counted = SharedCounter(NAME, FEW, node)
    assert await counted.take()
    counted.leave()
    troubled.is_away = True
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(node.run)
            await troubled.refused.wait()
            troubled.is_away = False
            while await held(database):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()


def limiting(database: Database, clock: Clock) -> Limiting:
    """The limits of one more node."""
    return Limiting([Rule(concurrent=1)], tenure=tenure(database, clock), clock=clock)


async def admit(node: Limiting, tenant: str = "a") -> Ticket:
    """Let a request in."""
    return await node.admit(ASKED, Caller(tenant), None)


async def test_a_limit_of_what_runs_at_once_holds_on_all_nodes(database: Database, clock: Clock) -> None:
    """Of each tenant by itself; a process that stops leaves what it held to the others."""
    one, other = limiting(database, clock), limiting(database, clock)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(one.run)
            ticket = await admit(one)
            with pytest.raises(ApiError) as refused:
                await admit(other)
            assert (429, "1000") == (refused.value.status, refused.value.headers["retry-after-ms"])
            await admit(other, "b")
            ticket.__exit__(None, None, None)
            group.cancel_scope.cancel()
    clock.now += 1
    await admit(other)


async def test_a_tenant_that_runs_nothing_is_forgotten(database: Database, clock: Clock) -> None:
    """Here and, by the sweep, in the database."""
    node = tenure(database, clock)
    limits = Limiting([Rule(concurrent=1)], tenure=node, clock=clock)
    ticket = await admit(limits)
    limits.sweep()
    assert 1 == limits.remembered
    ticket.__exit__(None, None, None)
    for _ in range(2):
        await node.look(is_thorough=True)
    limits.sweep()
    assert (0, {}) == (limits.remembered, node.counters)
    await limits.forget()
