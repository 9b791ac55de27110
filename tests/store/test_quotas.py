"""Shared limits, on every engine: what nodes take of one together, and what they give back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio
import pytest
from msgspec.structs import replace

from antiphon.lifecycle.meters import SharedMeter, Spent
from antiphon.store import Cost, Statement
from antiphon.store.files import Files
from antiphon.store.jobs import Jobs
from antiphon.store.quotas import Asking, Quotas
from tests.patient import HANG_SECONDS
from tests.store.rows import OPENING, items, response

if TYPE_CHECKING:
    from antiphon.core.quota import Grant
    from antiphon.store import Database, Dialogue

pytestmark = pytest.mark.anyio

LIMIT = 1000
NAME = '["requests","a","*"]'


def meters(processes: list[Database], *, limit: int = LIMIT) -> list[SharedMeter]:
    """A node for each process; where one alone may open the database, two in it."""
    opened = processes if len(processes) > 1 else processes * 2
    wanted: list[SharedMeter] = []
    return [SharedMeter(NAME, limit, Quotas(database), want=wanted.append, clock=time.monotonic) for database in opened]


async def drain(meter: SharedMeter, amounts: list[int]) -> list[int]:
    """Take as much as there is, and give what was taken."""
    taken: list[int] = []
    for amount in amounts:
        try:
            await meter.take(amount)
        except Spent:
            continue
        taken.append(amount)
    return taken


async def free(database: Database, *, limit: int = LIMIT) -> int:
    """What is left of the limit, as the database has it."""
    return (await Quotas(database).ask(Asking(NAME, limit))).free


async def test_nodes_that_race_take_the_limit_and_no_more(processes: list[Database]) -> None:
    """All of it is handed out, whoever is faster; and who is refused is told when to come again."""
    nodes, taken = meters(processes), list[int]()

    async def race(meter: SharedMeter) -> None:
        taken.extend(await drain(meter, [1, 2, 3] * 400))

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for node in nodes:
                group.start_soon(race, node)
    assert LIMIT - 3 * len(nodes) <= sum(taken) <= LIMIT
    with pytest.raises(Spent) as refused:
        await nodes[0].take(LIMIT)
    assert 0 < refused.value.wait <= 71


async def test_most_requests_ask_nobody(database: Database) -> None:
    """A node that hands out a thousand asks for them some twenty times."""
    asked: list[Asking] = []

    class Counted(Quotas):
        """Shared limits that are watched."""

        async def ask(self, asking: Asking) -> Grant:
            """Note what is asked."""
            asked.append(asking)
            return await super().ask(asking)

    meter = SharedMeter(NAME, 8 * LIMIT, Counted(database), want=lambda _: None, clock=time.monotonic)
    assert [1] * LIMIT == await drain(meter, [1] * LIMIT)
    assert len(asked) <= 20


async def test_what_a_node_has_not_used_it_gives_back(processes: list[Database]) -> None:
    """On its last word at once, and so what it used counts alone."""
    first, second = meters(processes)[:2]
    await first.take(10)
    assert await free(processes[0]) < LIMIT - 10
    await first.tell(is_last=True)
    assert LIMIT - 10 == await free(processes[0])
    await second.take(990)
    assert 0 == await free(processes[0])


async def test_a_node_that_is_lost_costs_its_portion(processes: list[Database]) -> None:
    """Which is an eighth of the limit at most: the others have the rest."""
    lost, other = meters(processes)[:2]
    await lost.take(1)
    assert sum(await drain(other, [1] * LIMIT)) >= LIMIT * 7 // 8 - 1


async def test_what_is_settled_adds_up(processes: list[Database]) -> None:
    """Less than was reserved is free again for all, and more is charged, even beyond the limit."""
    first, second = meters(processes)[:2]
    slot = await first.take(600)
    first.settle(slot, -500)
    await first.tell(is_last=True)
    assert LIMIT - 100 == await free(processes[0])
    slot = await second.take(900)
    second.settle(slot, 300)
    await second.tell(is_last=True)
    assert -300 == await free(processes[0])


async def test_limits_are_apart(database: Database) -> None:
    """One that is used up leaves another as it was; the sweep forgets none that counts."""
    quotas = Quotas(database)
    assert 10 == (await quotas.ask(Asking("one", 10, needs=10, wants=10))).amount
    assert 0 == (await quotas.ask(Asking("one", 10, needs=1, wants=1))).amount
    assert 10 == (await quotas.ask(Asking("other", 10, needs=1, wants=10))).amount
    await quotas.sweep()
    assert 0 == (await quotas.ask(Asking("one", 10, needs=1, wants=1))).amount


async def test_old_slots_are_forgotten(database: Database) -> None:
    """By whoever asks, and of limits that nobody asks for by the sweep."""

    def age() -> Dialogue[None]:
        for name in ("one", "other"):
            for slot in (-1, 5):
                values = "INSERT INTO quotas (name, slot, taken) VALUES (:name, :slot, 10)"
                yield Statement(values, {"name": name, "slot": slot})

    await database.transaction(age)
    quotas = Quotas(database)
    assert 10 == (await quotas.ask(Asking("one", 10, needs=10, wants=10))).amount
    await quotas.sweep()
    assert [("one",)] == await database.fetch("SELECT DISTINCT name FROM quotas", {})
    assert [] == await database.fetch("SELECT name FROM quotas WHERE slot = 5", {})
    await quotas.ask(Asking("other", 10, needs=10, wants=10))


async def test_what_a_clock_that_was_ahead_has_written_counts_from_now_on(database: Database) -> None:
    """As on a server that took over from another: it is not counted twice, and not for long."""

    def ahead() -> Dialogue[None]:
        values = "INSERT INTO quotas (name, slot, taken) VALUES ('one', 9000000000, 7)"
        yield Statement(values)

    await database.transaction(ahead)
    quotas = Quotas(database)
    given, refused = [await quotas.ask(Asking("one", 10, needs=3, wants=3)) for _ in range(2)]
    assert (3, 0, 0) == (given.amount, given.free, refused.amount)
    assert 0 < refused.wait <= 70
    assert [(10,)] == await database.fetch("SELECT CAST(sum(taken) AS BIGINT) FROM quotas WHERE slot > 0", {})
    assert [] == await database.fetch("SELECT slot FROM quotas WHERE slot = 9000000000 AND taken > 0", {})


async def test_background_runs_count_until_they_end(database: Database) -> None:
    """Queued and running, each for the limit that it names; one that names none counts for none."""
    jobs, quotas = Jobs(database), Quotas(database)
    for number, quota in enumerate(["q", "q", "other", None]):
        row = replace(response(f"r{number}"), cost=Cost("m", quota=quota))
        await jobs.enqueue(row, inputs=items(f"i{number}"), opening=OPENING, sealed="s")
    assert (2, 1) == (await quotas.background_runs("q"), await quotas.background_runs("other"))
    claims = await jobs.claim("boot", limit=1)
    assert 2 == await quotas.background_runs("q")
    await database.transaction(lambda: _end(claims[0].seq))
    assert 1 == await quotas.background_runs("q")


async def test_a_tenant_that_keeps_nothing_keeps_no_byte(database: Database) -> None:
    """The sum of no rows is a number."""
    assert 0 == await Files(database).bytes_kept("a")


def _end(seq: int) -> Dialogue[None]:
    yield Statement("UPDATE jobs SET state = 'ended' WHERE response = :seq", {"seq": seq})
