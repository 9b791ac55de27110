"""Usage where processes are killed: a run that another takes over is counted once."""

from __future__ import annotations

import asyncio
import signal
from random import Random
from typing import TYPE_CHECKING

import pytest

from antiphon.store import postgres
from antiphon.store.usage import Usage
from tests.chaos.fleet import fleet
from tests.chaos.stage import SHORT, calling, config
from tests.patient import STORY_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from antiphon.store.usage import Charge
    from tests.chaos.clients import Reader
    from tests.chaos.fleet import Fleet
    from tests.servers import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

RUNS = 6
KILLS = 4


async def test_a_run_that_is_taken_over_is_counted_once(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """However often its worker dies, whatever it was about to write."""
    url = postgres_server.url
    text = config(url, turns=SHORT, words=10, pace=20, background="lease_seconds = 1")
    with fleet("api", "worker", "worker", config=text, folder=tmp_path) as nodes:
        async with asyncio.timeout(STORY_SECONDS), calling(nodes, Random(0)) as caller:  # noqa: S311 - it chooses a node
            readers = [caller.reader(id=await caller.queue(f"do it {number}")) for number in range(RUNS)]
            await asyncio.gather(kill(nodes, readers), *(reader.read() for reader in readers))
        assert nodes.logs("jobs_taken_over")
    assert all(b"event: response.completed" in reader.blocks[-1] for reader in readers)
    charges = await used(url)  # of two days, where it becomes midnight meanwhile
    assert {"completed"} == {each.tally.outcome for each in charges}
    assert RUNS == sum(each.tally.requests for each in charges)


async def kill(nodes: Fleet, readers: list[Reader]) -> None:
    """Kill workers in turn, each later in a run than the one before."""
    for number, reader in enumerate(readers[:KILLS]):
        await reader.hears(6 + 6 * number)
        await asyncio.to_thread(nodes.of("worker")[number % 2].restart, signal.SIGKILL)


async def used(url: str) -> list[Charge]:
    """What was used."""
    database = await postgres.connect(url)
    try:
        return await Usage(database).read()
    finally:
        await database.aclose()
