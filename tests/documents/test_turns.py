"""Whose turn it is: nobody waits for all that another has brought."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint

from antiphon.documents.turns import Turns
from tests.patient import HANG_SECONDS

pytestmark = pytest.mark.anyio


async def settled() -> None:
    """Whoever was given a turn has taken it, and whoever was cancelled is gone."""
    for _ in range(5):
        await checkpoint()


@pytest.mark.parametrize(
    ("count", "asked", "ended", "begun"),
    [
        (1, "aaaabb", "", "a"),
        (1, "aaaabb", "aabab", "aababa"),
        (1, "aaabc", "aabc", "aabca"),
        (2, "aaaa", "aa", "aaaa"),
        (2, "aaab", "a", "aab"),
        (2, "aaaabbb", "abb", "aabbb"),
        (2, "aaaabbb", "abbb", "aabbba"),
        (3, "aaaaab", "a", "aaab"),
        (3, "aaaaaabb", "aaab", "aaababa"),
    ],
)
async def test_parties_take_turns(count: int, asked: str, ended: str, begun: str) -> None:
    """So many at a time; one that holds all but one waits while another waits, and alone it may have all."""
    turns, order = Turns(count), list[str]()

    async def wait(party: str) -> None:
        await turns.acquire(party)
        order.append(party)

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for party in asked:
                group.start_soon(wait, party)
                await settled()
            for party in ended:
                turns.release(party)
                await settled()
            group.cancel_scope.cancel()
    assert begun == "".join(order)


async def test_jobs_of_a_party_come_in_their_order() -> None:
    """Nobody is overtaken."""
    turns, order = Turns(1), list[int]()

    async def wait(number: int) -> None:
        await turns.acquire("a")
        order.append(number)
        await checkpoint()
        turns.release("a")

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(wait, number)
                await checkpoint()
    assert list(range(20)) == order


async def test_a_turn_that_comes_to_one_who_leaves_goes_to_the_next() -> None:
    """In the moment in which its caller is cancelled by whatever knows of no scopes."""
    turns = Turns(1)
    with anyio.fail_after(HANG_SECONDS):
        await turns.acquire("a")
        leaving = turns.acquire("b")
        leaving.send(None)
        turns.release("a")
        with pytest.raises(asyncio.CancelledError):
            leaving.throw(asyncio.CancelledError())
        await turns.acquire("c")


async def test_one_who_leaves_does_not_take_others_of_its_party_along() -> None:
    """They wait on."""
    turns, order = Turns(1), list[str]()
    leaving = anyio.CancelScope()

    async def wait(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await turns.acquire("b")
            order.append(name)

    with anyio.fail_after(HANG_SECONDS):
        await turns.acquire("a")
        async with anyio.create_task_group() as group:
            group.start_soon(wait, "first", leaving)
            await settled()
            group.start_soon(wait, "second", anyio.CancelScope())
            await settled()
            leaving.cancel()
            await settled()
            turns.release("a")
    assert ["second"] == order


async def test_who_left_is_not_waited_for() -> None:
    """A party of which nobody waits has no place in the rotation."""
    turns = Turns(1)
    with anyio.fail_after(HANG_SECONDS):
        await turns.acquire("a")
        with anyio.move_on_after(0):
            await turns.acquire("b")
        turns.release("a")
        await turns.acquire("c")
