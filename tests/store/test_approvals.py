"""Approvals: an answer is spent by one response, wholly or not at all, on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.store import StoreUnavailable
from antiphon.store.approvals import SWEPT_APPROVALS, AlreadySpent, Approvals, Spending
from antiphon.store.jobs import Jobs
from antiphon.store.store import Store
from tests.patient import HANG_SECONDS
from tests.store.rows import OPENING, items, response
from tests.store.troubled import Troubled

if TYPE_CHECKING:
    from antiphon.store import Database

pytestmark = pytest.mark.anyio

CONTENDERS = 12


@pytest.fixture
def approvals(database: Database) -> Approvals:
    """No approval was spent yet."""
    return Approvals(database)


async def spend(
    approvals: Approvals, *ids: str, response: str = "r1", tenant: str = "a", expires_at: int = 1000
) -> None:
    """Spend these for a response."""
    await approvals.spend(Spending(list(ids), tenant, response, expires_at=expires_at, now_ms=1))


async def test_what_was_spent_is_known(approvals: Approvals) -> None:
    """Of those that are asked for, whatever they are called; and nothing is known of others."""
    odd = "'\"\\ \N{SNOWMAN}"
    await spend(approvals, "m1", "m2", odd)
    assert {"m1", odd} == await approvals.spent(["m3", "m1", odd, "m1"], tenant="a")
    assert set() == await approvals.spent([], tenant="a")


async def test_a_tenant_spends_nothing_of_another(approvals: Approvals) -> None:
    """The same id is another request there."""
    await spend(approvals, "m1", tenant="a")
    assert set() == await approvals.spent(["m1"], tenant="b")
    await spend(approvals, "m1", tenant="b", response="r2")
    assert {"m1"} == await approvals.spent(["m1"], tenant="b", response="r1")


async def test_a_response_may_spend_its_own_again(approvals: Approvals) -> None:
    """As a run does that another process takes over; to that response it was not spent."""
    await spend(approvals, "m1", response="r1")
    await spend(approvals, "m1", "m2", response="r1")
    assert set() == await approvals.spent(["m1", "m2"], tenant="a", response="r1")
    assert {"m1", "m2"} == await approvals.spent(["m1", "m2"], tenant="a", response="r2")


async def test_of_several_all_are_spent_or_none(approvals: Approvals) -> None:
    """One that was spent for another response is named, and the others stay unspent."""
    await spend(approvals, "m2", response="r1")
    with pytest.raises(AlreadySpent, match="'m2'") as refused:
        await spend(approvals, "m1", "m2", "m3", response="r2")
    assert "m2" == refused.value.id
    assert {"m2"} == await approvals.spent(["m1", "m2", "m3"], tenant="a")
    assert set() == await approvals.spent(["m2"], tenant="a", response="r1")


async def test_none_and_the_same_twice_can_be_spent(approvals: Approvals) -> None:
    """A list may be empty, and may repeat itself."""
    await spend(approvals)
    await spend(approvals, "m1", "m1")
    assert {"m1"} == await approvals.spent(["m1"], tenant="a")


async def test_of_many_that_spend_at_the_same_time_one_does(processes: list[Database]) -> None:
    """Each in an order of its own, from several processes: the winner has all, the others nothing."""
    shared = [Approvals(database) for database in processes]
    ids = [f"m{number}" for number in range(8)]
    winners: list[str] = []

    async def contend(number: int) -> None:
        turned = ids[number % 8 :] + ids[: number % 8]
        try:
            await spend(shared[number % len(shared)], *turned, f"own {number}", response=f"r{number}")
        except AlreadySpent:
            return
        winners.append(f"r{number}")

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(CONTENDERS):
                group.start_soon(contend, number)
    [winner] = winners
    assert set() == await shared[0].spent(ids, tenant="a", response=winner)
    owned = await shared[-1].spent([f"own {number}" for number in range(CONTENDERS)], tenant="a")
    assert {f"own {winner.removeprefix('r')}"} == owned


async def test_what_was_committed_unheard_may_be_spent_again(database: Database) -> None:
    """Whoever does not know whether a commit went through asks the same once more."""
    troubled = Troubled(database)
    approvals = Approvals(troubled)
    troubled.unheard = 1
    with pytest.raises(StoreUnavailable):
        await spend(approvals, "m1")
    await spend(approvals, "m1")
    with pytest.raises(AlreadySpent):
        await spend(approvals, "m1", response="r2")


async def test_the_sweep_forgets_what_expired(approvals: Approvals) -> None:
    """All of it, in however many transactions, and nothing else."""
    old = [f"m{number}" for number in range(SWEPT_APPROVALS + 1)]
    await spend(approvals, *old, expires_at=100)
    await spend(approvals, "young", expires_at=101)
    assert 0 == await approvals.sweep(99)
    assert len(old) == await approvals.sweep(100)
    assert {"young"} == await approvals.spent([*old, "young"], tenant="a")
    assert 0 == await approvals.sweep(100)


async def test_a_job_and_the_answers_that_it_uses_are_kept_together(database: Database, approvals: Approvals) -> None:
    """If one was used before, there is no job; and where there is a job, they are used."""
    jobs, store = Jobs(database), Store(database)
    first = Spending(["m1"], "a", "r1", expires_at=1000, now_ms=1)
    await jobs.enqueue(response("r1"), inputs=items("i1"), opening=OPENING, sealed="s", spending=first)
    assert {"m1"} == await approvals.spent(["m1"], tenant="a")
    second = Spending(["m1", "m2"], "a", "r2", expires_at=1000, now_ms=1)
    with pytest.raises(AlreadySpent):
        await jobs.enqueue(response("r2"), inputs=items("i2"), opening=OPENING, sealed="s", spending=second)
    assert set() == await approvals.spent(["m2"], tenant="a")
    assert None is await store.response("r2", tenant="a")
