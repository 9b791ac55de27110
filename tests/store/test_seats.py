"""Seats on every engine: what nodes hold together, and what becomes of it when one of them is silent."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.lifecycle.seating import SharedCounter, Tenure
from antiphon.store import Statement
from antiphon.store.seats import Seated, Seating, Wish
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from antiphon.store import Database, Dialogue

pytestmark = pytest.mark.anyio

LIMIT = 10
LEASE = 60_000
NAME = '["concurrent","a","*"]'


def wish(node: str, number: int, wants: int, *, taken: int = 0, needs: int = 0, name: str = NAME) -> Wish:
    """What a node asks."""
    return Wish(node, name, LIMIT, number, taken=taken, wants=wants, needs=needs)


async def entered(database: Database, *nodes: str) -> Seating:
    """Seats among nodes that have entered."""
    seating = Seating(database, lease=LEASE)
    for node in nodes:
        await seating.enter(node)
    return seating


async def silence(database: Database, node: str) -> None:
    """Let the last sign of life of a node be too old."""
    await _do(database, "UPDATE seat_nodes SET until = 0 WHERE node = :node", {"node": node})


async def age(database: Database) -> None:
    """Let all that was told be long ago."""
    await _do(database, "UPDATE seats SET told_at = 0, refused_at = 0", {})


async def _do(database: Database, sql: str, params: dict[str, str | int | None]) -> None:
    def dialogue() -> Dialogue[None]:
        yield Statement(sql, params)

    await database.transaction(dialogue)


async def kept(database: Database) -> list[tuple[str, int]]:
    """What each node holds, as the database has it."""
    rows = await database.fetch("SELECT node, held FROM seats ORDER BY node", {})
    return [(str(node), int(str(held))) for node, held in rows]


async def test_a_node_gets_what_the_others_do_not_hold(database: Database) -> None:
    """And what it gives back another gets; limits are apart."""
    seating = await entered(database, "one", "two")
    assert Seated(7, 0, is_scarce=False) == await seating.ask(wish("one", 1, 7))
    assert Seated(3, 7, is_scarce=False) == await seating.ask(wish("two", 1, 5))
    assert Seated(4, 3, is_scarce=False) == await seating.ask(wish("one", 2, 4, taken=4))
    assert Seated(5, 4, is_scarce=False) == await seating.ask(wish("two", 2, 5))
    assert Seated(10, 0, is_scarce=False) == await seating.ask(wish("two", 3, 10, name="other"))


async def test_nodes_that_race_get_the_limit_and_no_more(processes: list[Database]) -> None:
    """However their questions fall, each of them twenty."""
    held: dict[str, int] = {}

    async def race(database: Database, node: str) -> None:
        seating = await entered(database, node)
        for number in range(1, 21):
            seated = await seating.ask(wish(node, number, held.get(node, 0) + 1))
            assert seated is not None
            held[node] = seated.held

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for index, database in enumerate(processes * 2):
                group.start_soon(race, database, f"n{index}")
    assert LIMIT == sum(held.values())


async def test_who_refuses_somebody_is_heard_by_those_that_hold(database: Database) -> None:
    """By their next sign of life, and by what they ask; its own want nobody hears."""
    seating = await entered(database, "one", "two")
    await seating.ask(wish("one", 1, LIMIT))
    assert frozenset() == await seating.beat("one")
    assert Seated(0, LIMIT, is_scarce=False) == await seating.ask(wish("two", 1, 1, needs=1))
    assert frozenset({NAME}) == await seating.beat("one")
    assert frozenset() == await seating.beat("two")
    assert Seated(9, 0, is_scarce=True) == await seating.ask(wish("one", 2, 9))
    await seating.ask(wish("two", 2, 1, needs=1))
    assert frozenset({NAME}) == await seating.beat("one")
    await age(database)
    assert frozenset() == await seating.beat("one")


async def test_what_a_silent_node_held_is_free(database: Database) -> None:
    """As soon as another asks; it is told that it was buried, and what it still tells changes nothing."""
    seating = await entered(database, "one", "two")
    await seating.ask(wish("one", 1, LIMIT))
    await silence(database, "one")
    assert Seated(LIMIT, 0, is_scarce=False) == await seating.ask(wish("two", 1, LIMIT))
    assert await seating.beat("one") is None
    assert await seating.ask(wish("one", 2, LIMIT)) is None
    assert [("two", LIMIT)] == await kept(database)


async def test_a_node_that_gives_a_sign_of_life_in_time_keeps_what_it_holds(database: Database) -> None:
    """A late one counts too, as long as nobody has buried it."""
    seating = await entered(database, "one", "two")
    await seating.ask(wish("one", 1, LIMIT))
    await silence(database, "one")
    assert frozenset() == await seating.beat("one")
    assert Seated(0, LIMIT, is_scarce=False) == await seating.ask(wish("two", 1, 1))


async def test_a_node_that_asks_late_does_not_bury_itself(database: Database) -> None:
    """What it is given then is its own, and is buried with it."""
    seating = await entered(database, "one", "two")
    await silence(database, "one")
    assert Seated(4, 0, is_scarce=False) == await seating.ask(wish("one", 1, 4))
    assert Seated(LIMIT, 0, is_scarce=False) == await seating.ask(wish("two", 1, LIMIT))
    assert await seating.beat("one") is None
    assert [("two", LIMIT)] == await kept(database)


async def test_what_was_asked_before_and_comes_later_changes_nothing(database: Database) -> None:
    """As the answer was not waited for."""
    seating = await entered(database, "one")
    await seating.ask(wish("one", 2, 3))
    await seating.ask(wish("one", 1, 9))
    assert [("one", 3)] == await kept(database)


async def test_what_is_taken_counts_beyond_the_limit(database: Database) -> None:
    """Of a node that was taken for dead, and is back."""
    seating = await entered(database, "back", "other")
    await seating.ask(wish("other", 1, LIMIT, taken=LIMIT))
    assert Seated(4, LIMIT, is_scarce=False) == await seating.ask(wish("back", 1, 4, taken=4))
    assert Seated(9, 4, is_scarce=False) == await seating.ask(wish("other", 2, 9, taken=9))
    assert Seated(9, 4, is_scarce=False) == await seating.ask(wish("other", 3, 10, taken=9))


async def test_a_node_that_stops_leaves_nothing(database: Database) -> None:
    """And the sweep forgets what died, and what nobody holds."""
    seating = await entered(database, "one", "two", "three")
    for node in ("one", "two", "three"):
        await seating.ask(wish(node, 1, 3))
    await seating.retire("one")
    assert [("three", 3), ("two", 3)] == await kept(database)
    await silence(database, "two")
    await seating.ask(wish("three", 2, 0))
    await seating.sweep()
    assert [("three", 0)] == await kept(database)
    await age(database)
    await seating.sweep()
    assert [] == await kept(database)
    assert [("three",)] == await database.fetch("SELECT node FROM seat_nodes", {})


async def test_responses_that_come_and_go_everywhere_are_never_too_many(processes: list[Database]) -> None:
    """On nodes that ask, give back and look beside it; and in the end all of it is free."""
    tenures = [Tenure(Seating(database, lease=LEASE), clock=time.monotonic) for database in processes * 2]
    counters = [SharedCounter(NAME, LIMIT, tenure) for tenure in tenures]
    running: list[int] = [0, 0]

    async def come_and_go(counter: SharedCounter) -> None:
        for _ in range(40):
            if await counter.take():
                running[0] += 1
                running[1] = max(running)
                await anyio.lowlevel.checkpoint()
                running[0] -= 1
                counter.leave()

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for counter in counters * 3:
                group.start_soon(come_and_go, counter)
            for tenure in tenures:
                group.start_soon(partial(tenure.look, is_thorough=True))
    assert 1 <= running[1] <= LIMIT
    for tenure in tenures:
        await tenure.end()
    assert [] == await kept(processes[0])
