"""Chaos with a fixed seed: a hundred clients read a hundred runs, and whatever takes part is killed again and again."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import Counter
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import anyio.to_thread
import pytest

from tests.chaos.fleet import EXPECTED, Fleet, fleet
from tests.chaos.oracles import check_all_told, check_effects, check_told, tell
from tests.chaos.scenarios import until
from tests.chaos.stage import asking_postgres, asking_sqlite, calling, config, durable
from tests.patient import STORY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.chaos.clients import Caller, Reader
    from tests.chaos.stage import Ask
    from tests.servers import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.timeout(2 * STORY_SECONDS)]

log = logging.getLogger(__name__)

SEED = 20_26
RUNS = 100
LEASE = 2


class Storm:
    """What happens to a fleet, and how often it did."""

    def __init__(self, fleet: Fleet, caller: Caller, server: PostgresServer | None = None) -> None:
        self._fleet = fleet
        self._caller = caller
        self._random = caller.random
        self._server = server
        self.struck: Counter[str] = Counter()

    async def blow(self, blows: Iterable[str]) -> None:
        """Strike, each time a moment after the last."""
        async with asyncio.TaskGroup() as group:
            for blow in blows:
                await asyncio.sleep(self._random.uniform(0.6, 1.6))  # the schedule itself, and no condition
                await self._strike(blow, group)
                self.struck[blow] += 1

    async def _strike(self, blow: str, group: asyncio.TaskGroup) -> None:
        match blow:
            case "kill worker":
                self._random.choice(self._fleet.of("worker")).send(signal.SIGKILL)
            case "kill api":
                self._random.choice(self._fleet.of("api")).send(signal.SIGKILL)
            case "kill server":
                await self._caller.answers()
                await asyncio.sleep(self._random.uniform(0.2, 1.2))  # it has work again, and is hit anywhere in it
                self._fleet.nodes[0].send(signal.SIGKILL)
            case "stop database":
                assert self._server is not None
                await anyio.to_thread.run_sync(self._server.stop, "immediate")
                await anyio.to_thread.run_sync(self._server.start)
            case _:
                group.create_task(self._freeze())

    async def _freeze(self) -> None:
        """Stop a worker beyond its lease, and let it go on in the belief that it holds its jobs."""
        worker = self._random.choice(self._fleet.of("worker"))
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(1.5 * LEASE)  # nothing tells when the others have taken its jobs
        worker.send(signal.SIGCONT)


async def ride_out(storm: Storm, caller: Caller, blows: list[str]) -> list[Reader]:
    """Let clients read runs that they ask for, through a storm, and return them when each has heard the end."""
    patience = partial(caller.random.uniform, 1, 5)
    readers = [caller.reader(f"run {number}") for number in range(RUNS)]
    async with asyncio.timeout(STORY_SECONDS), asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(reader.read(patience=patience))
        await readers[0].hears(5)
        await storm.blow(blows)
    return readers


async def check_all(fleet: Fleet, caller: Caller, readers: list[Reader], ask: Ask) -> list[int]:
    """Hold all that is kept against the oracles, and what clients heard against it; give the runs' attempts.

    A client whose first answer was lost has asked twice: what it never heard of must be whole too.
    """
    await caller.answers()
    await until(lambda: [["ended"]] == ask("SELECT DISTINCT state FROM jobs"), what="a run does not end")
    told = {id: await tell(caller, id) for (id,) in ask("SELECT id FROM responses")}
    assert {reader.id for reader in readers} <= told.keys()
    for reader in readers:
        assert told[reader.id].stream == reader.stream
    for each in told.values():
        check_told(each)
        assert each.response.status == "completed"
    responses = [each.response for each in told.values()]
    check_effects(fleet.book, responses)
    check_all_told(fleet.book, responses)
    for fault in ("job_failed", "run_failed", "end_not_told", "response_not_kept"):
        assert not fleet.logs(fault)
    return [int(attempt) for (attempt,) in ask("SELECT attempt FROM jobs")]


def report(storm: Storm, readers: list[Reader], attempts: list[int], began: float) -> None:
    """Say what happened, for whoever looks."""
    log.info(
        "%s; %d connections; attempts %s; %.0f s",
        dict(storm.struck),
        sum(reader.connections for reader in readers),
        sorted(Counter(attempts).items()),
        time.monotonic() - began,
    )


async def test_no_run_is_lost_told_twice_or_torn_while_anything_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers, API nodes and PostgreSQL are killed and a worker is frozen: every client hears one whole response."""
    began = time.monotonic()
    random = Random(SEED)  # noqa: S311 - a storm that can be had again
    blows = ["kill worker"] * 6 + ["kill api"] * 4 + ["freeze worker"] * 2 + ["stop database"] * 2
    random.shuffle(blows)
    with durable(monkeypatch) as server:
        url = server.url
        text = config(url, words=25, pace=25, background=f"lease_seconds = {LEASE}\ndrain_seconds = 1")
        with fleet("api", "api", "api", "worker", "worker", "worker", config=text, folder=tmp_path) as nodes:
            async with calling(nodes, random) as caller:
                storm = Storm(nodes, caller, server)
                readers = await ride_out(storm, caller, blows)
                attempts = await check_all(nodes, caller, readers, asking_postgres(server, url))
                report(storm, readers, attempts, began)
            assert {code for node in nodes.nodes for code in node.codes} <= {*EXPECTED, 1}
    assert max(attempts) > 1, "no run was hit"


async def test_no_run_is_lost_told_twice_or_torn_while_a_lone_server_is_killed(tmp_path: Path) -> None:
    """A server with a SQLite file is killed again and again: every client hears one whole response."""
    began = time.monotonic()
    random = Random(SEED)  # noqa: S311 - a storm that can be had again
    file = tmp_path / "store.db"
    text = config(f"sqlite://{file}", words=15, pace=25, background="workers = 100")
    with fleet("serve", config=text, folder=tmp_path) as nodes:
        async with calling(nodes, random) as caller:
            storm = Storm(nodes, caller)
            readers = await ride_out(storm, caller, ["kill server"] * 6)
            attempts = await check_all(nodes, caller, readers, asking_sqlite(file))
            report(storm, readers, attempts, began)
        assert set(nodes.nodes[0].codes) <= EXPECTED
    assert max(attempts) > 1, "no run was hit"
