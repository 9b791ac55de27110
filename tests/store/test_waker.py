"""The waker: what one says the others hear, in few messages, and nothing depends on it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.store import LONGEST_MESSAGE, sqlite
from antiphon.store.waker import WORDS, Waker
from tests.patient import HANG_SECONDS
from tests.store.conftest import POOLED
from tests.store.ether import Ether, Station
from tests.store.troubled import Troubled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.store import Database
    from antiphon.store.waker import Word

pytestmark = pytest.mark.anyio


class Ears:
    """What a process heard, in order, and an event for the next word."""

    def __init__(self, waker: Waker) -> None:
        self.heard: list[tuple[Word, list[int]]] = []
        self._next = anyio.Event()
        for word in WORDS:
            waker.listen(word, lambda jobs, word=word: self._hear(word, jobs))  # type: ignore[misc]  # a default is no type

    def _hear(self, word: Word, jobs: list[int]) -> None:
        self.heard.append((word, jobs))
        self._next.set()

    async def next(self) -> tuple[Word, list[int]]:
        """Wait for a word, and forget it."""
        while not self.heard:
            self._next = anyio.Event()
            await self._next.wait()
        return self.heard.pop(0)


@asynccontextmanager
async def running(*wakers: Waker) -> AsyncGenerator[None, None]:
    """Carry words meanwhile; begins once all of them listen."""
    async with anyio.create_task_group() as group:
        for waker in wakers:
            group.start_soon(waker.run)
        await anyio.wait_all_tasks_blocked()
        yield
        group.cancel_scope.cancel()


async def test_a_word_is_heard_here_at_once_unless_it_is_known_here() -> None:
    """Whoever listens, and with all the jobs."""
    waker = Waker(Station(Ether()), "me")
    ears, others = Ears(waker), Ears(waker)
    waker.say("queued", [3, 1])
    waker.say("written", [1], here=False)
    waker.say("ended", iter([2]))
    assert [("queued", [3, 1]), ("ended", [2])] == ears.heard == others.heard


async def test_where_there_is_no_other_process_nothing_is_carried() -> None:
    """And everything is heard."""
    database = Troubled(await sqlite.connect("sqlite://"))
    waker = Waker(database, "me")
    assert waker.is_heard
    database.is_away = True
    async with running(waker):
        waker.say("queued", [1])
        await anyio.wait_all_tasks_blocked()
    assert waker.is_heard
    assert not database.refused.is_set()
    await database.aclose()


async def test_what_is_said_meanwhile_is_carried_in_one_message_a_word() -> None:
    """Each job once."""
    ether = Ether()
    waker, other = Waker(Station(ether), "me"), Waker(Station(ether), "you")
    ears = Ears(other)
    async with running(waker, other):
        for jobs in ([3, 1], [2], [1, 2]):
            waker.say("written", jobs, here=False)
        waker.say("ended", [7])
        waker.say("queued", [])
        await anyio.wait_all_tasks_blocked()
    assert ["me written 1 2 3", "me ended 7"] == ether.said
    assert [("written", [1, 2, 3]), ("ended", [7])] == ears.heard


async def test_many_jobs_are_carried_in_several_messages() -> None:
    """None is longer than it may be, however large the numbers are."""
    ether = Ether()
    waker, other = Waker(Station(ether), "0123456789abcdef"), Waker(Station(ether), "you")
    ears = Ears(other)
    jobs = list(range(2**63 - 1000, 2**63))
    async with running(waker, other):
        waker.say("written", jobs, here=False)
        await anyio.wait_all_tasks_blocked()
    assert 1 < len(ether.said)
    assert all(len(message) <= LONGEST_MESSAGE for message in ether.said)
    assert jobs == [job for _, some in ears.heard for job in some]


async def test_a_process_does_not_hear_itself_twice() -> None:
    """It was told already, or knew."""
    ether = Ether()
    waker = Waker(Station(ether), "me")
    ears = Ears(waker)
    async with running(waker):
        waker.say("written", [1], here=False)
        waker.say("queued", [2])
        await anyio.wait_all_tasks_blocked()
    assert 2 == len(ether.said)
    assert [("queued", [2])] == ears.heard


async def test_where_messages_may_be_lost_anything_may_have_been_said() -> None:
    """And a message that nobody understands does no harm."""
    ether = Ether()
    waker = Waker(Station(ether), "me")
    ears = Ears(waker)
    async with running(waker):
        for heard in ether.listeners:
            heard("")
        assert [(word, []) for word in WORDS] == ears.heard
        for message in ("you unheard-of 1", "you written 1 x -2 ² 3 ", "you  written 5", "me written 6"):
            for heard in ether.listeners:
                heard(message)
    assert [("written", [1, 3])] == ears.heard[len(WORDS) :]


async def test_what_cannot_be_said_is_not_said_again() -> None:
    """The next word is carried: the others look by themselves."""
    ether = Ether()
    station = Station(ether)
    waker, other = Waker(station, "me"), Waker(Station(ether), "you")
    ears = Ears(other)
    async with running(waker, other):
        station.is_away = True
        waker.say("queued", [1])
        await anyio.wait_all_tasks_blocked()
        station.is_away = False
        waker.say("queued", [2])
        await anyio.wait_all_tasks_blocked()
    assert [("queued", [2])] == ears.heard


async def test_who_hears_nothing_knows_it() -> None:
    """It has to look; it is heard all the same."""
    ether = Ether()
    deaf, other = Waker(Station(ether, is_deaf=True), "me"), Waker(Station(ether), "you")
    ears = Ears(other)
    async with running(deaf, other):
        assert not deaf.is_heard
        assert other.is_heard
        deaf.say("ended", [1])
        other.say("ended", [2])
        await anyio.wait_all_tasks_blocked()
    assert [("ended", [1]), ("ended", [2])] == sorted(ears.heard)


async def test_processes_of_one_database_hear_each_other(processes: list[Database], engine: str) -> None:
    """Where there are several, unless a pooler stands between."""
    wakers = [Waker(database, f"boot {number}".replace(" ", "-")) for number, database in enumerate(processes)]
    ears = [Ears(waker) for waker in wakers]
    with anyio.fail_after(HANG_SECONDS):
        async with running(*wakers):
            wakers[-1].say("queued", [1])
            assert ("queued", [1]) == await ears[-1].next()
            if engine == "postgres":
                await all_hear_the_first(wakers, ears)
            assert [engine != POOLED] * len(wakers) == [waker.is_heard for waker in wakers]


async def all_hear_the_first(wakers: list[Waker], ears: list[Ears]) -> None:
    """Once they listen."""
    while not all(waker.is_heard for waker in wakers):
        await anyio.lowlevel.checkpoint()
    wakers[0].say("written", [5, 4], here=False)
    for each in ears[1:]:
        while await each.next() != ("written", [4, 5]):
            pass
