"""Every point before and after a commit or a notification: a process ends there once, and nothing is lost by it.

A lone server on SQLite and a pair of processes on PostgreSQL are played with side by side: most of it is waiting.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import chain
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.chaos import scenarios
from tests.chaos.fleet import EXPECTED, Fleet, fleet
from tests.chaos.scenarios import Scene
from tests.chaos.stage import SHORT, asking_postgres, asking_sqlite, calling, config
from tests.patient import STORY_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
    from pathlib import Path

    from tests.chaos.stage import Ask
    from tests.servers import PostgresServer

    Scenario = Callable[[Scene], Coroutine[None, None, None]]

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

PLAYS = 3

EVERYWHERE: dict[Scenario, list[str]] = {
    scenarios.work: ["enqueue", "claim", "append", "start_call", "finish", "beat"],
    scenarios.cancel: ["end"],
    scenarios.stop: ["release", "retire"],
    scenarios.kill: ["reclaim"],
    scenarios.delete: ["delete_response"],
    scenarios.sweep: [
        *("take_chore", "outdate_buried", "erase", "forget", "forget_exchanges", "forget_approvals"),
        *("expire_responses", "settle", "expire_files", "expire", "leave_chore"),
    ],
}
SQLITE: dict[Scenario, list[str]] = {scenarios.kill: ["retire_all", "free_conversations"]}
POSTGRES: dict[Scenario, list[str]] = {
    scenarios.work: ["notify_queued", "notify_written"],
    scenarios.cancel: ["notify_ended"],
    scenarios.sweep: ["add_sealing_key", "forget_slots", "forget_seats"],
}
"""What is committed or told in each scenario, on every engine and on one of them."""


LONE, PAIR = (EVERYWHERE, SQLITE), (EVERYWHERE, POSTGRES)


def points(*tables: dict[Scenario, list[str]]) -> set[str]:
    """All points of these tables."""
    names = chain.from_iterable(chain.from_iterable(table.values()) for table in tables)
    return {f"{name}.{side}" for name in names for side in ("before", "after")}


def cases(*tables: dict[Scenario, list[str]]) -> list[tuple[Scenario, str]]:
    """What is committed or told, and the scenario that comes to it."""
    return [(scenario, name) for table in tables for scenario, names in table.items() for name in names]


@contextmanager
def on_postgres(server: PostgresServer, folder: Path) -> Iterator[tuple[Fleet, Ask]]:
    """An API node and a worker on PostgreSQL."""
    url = server.url
    with fleet("api", "worker", config=text(url), folder=folder) as nodes:
        yield nodes, asking_postgres(server, url)


@contextmanager
def on_sqlite(folder: Path) -> Iterator[tuple[Fleet, Ask]]:
    """A server on a SQLite file."""
    file = folder / "store.db"
    with fleet("serve", config=text(f"sqlite://{file}"), folder=folder) as nodes:
        yield nodes, asking_sqlite(file)


def text(url: str) -> str:
    """Short runs, a short lease, and no patience with runs when a worker stops."""
    return config(url, turns=SHORT, words=10, pace=100, background="lease_seconds = 1\ndrain_seconds = 0")


@pytest.fixture(scope="session")
def pair(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Ask]]:
    """Two processes on PostgreSQL that many tests end, one after the other."""
    with on_postgres(postgres_server, tmp_path_factory.mktemp("pair")) as made:
        yield made


@pytest.fixture(scope="session")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Ask]]:
    """A server on SQLite that many tests end, one after the other."""
    with on_sqlite(tmp_path_factory.mktemp("lone")) as made:
        yield made


@asynccontextmanager
async def scene(made: tuple[Fleet, Ask]) -> AsyncGenerator[Scene]:
    """A scene on a fleet; what was made in it is held against the oracles at the end."""
    nodes, ask = made
    async with calling(nodes, Random(0)) as caller:  # noqa: S311 - it chooses a node
        began = Scene(nodes, caller, ask)
        yield began
        await began.check()
    assert {code for node in nodes.nodes for code in node.codes} <= EXPECTED


async def crash(made: tuple[Fleet, Ask], scenario: Scenario, name: str) -> None:
    """Let a process end before something is committed, and one after it, in a scenario that comes true all the same.

    What was begun before the first end may leave nothing to do for the second: then the scenario is played again.
    """
    async with asyncio.timeout(STORY_SECONDS), scene(made) as here:
        here.fleet.points.arm(f"{name}.before", f"{name}.after")
        for _ in range(PLAYS):
            if here.fleet.points.armed():
                await scenario(here)
        await scenarios.until(lambda: not here.fleet.points.armed(), what="nobody came to the point")


@pytest.mark.parametrize(
    ("scenario", "name"), [pytest.param(*case, id=case[1]) for case in cases(EVERYWHERE, SQLITE, POSTGRES)]
)
async def test_any_process_may_end_at_any_point(
    lone: tuple[Fleet, Ask], pair: tuple[Fleet, Ask], scenario: Scenario, name: str
) -> None:
    """Before or after any commit or notification.

    A lone server has lost nothing when it is started again, and a node or a worker is made up for by the others.
    """
    played = [(made, tables) for made, tables in ((lone, LONE), (pair, PAIR)) if (scenario, name) in cases(*tables)]
    assert played
    async with asyncio.TaskGroup() as group:
        for made, _ in played:
            group.create_task(crash(made, scenario, name))


async def test_the_points_are_all_that_there_are(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Whoever adds a commit or a notification adds its points here."""
    folders = [tmp_path / "lone", tmp_path / "pair"]
    for folder in folders:
        folder.mkdir()
    with on_sqlite(folders[0]) as lone, on_postgres(postgres_server, folders[1]) as pair:
        async with asyncio.TaskGroup() as group:
            for made in (lone, pair):
                group.create_task(play(made))
        for tables, (nodes, _) in ((LONE, lone), (PAIR, pair)):
            await reaches(nodes, points(*tables))
            assert points(*tables) == nodes.points.reached()


async def reaches(nodes: Fleet, expected: set[str]) -> None:
    """Wait until all of these points are reached: the last of them are behind what clients and the database tell."""
    with suppress(AssertionError):  # which of them are not, the test tells
        await scenarios.until(lambda: expected <= nodes.points.reached(), what="points are not reached")


async def play(made: tuple[Fleet, Ask]) -> None:
    """Every scenario, and nobody ends but who is told to."""
    async with asyncio.timeout(STORY_SECONDS), scene(made) as here:
        for scenario in EVERYWHERE:
            await scenario(here)
