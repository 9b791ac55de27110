"""What clients and operators do while a process may end at any point: each scenario goes on until it came true."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from antiphon.protocol.response import Response
from tests.chaos.oracles import check_effects, check_told, tell
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.clients import Caller, Reader
    from tests.chaos.fleet import Fleet, Node
    from tests.chaos.stage import Ask

LOOK = 0.02


class Scene:
    """A fleet, who calls it, and its database."""

    def __init__(self, fleet: Fleet, caller: Caller, ask: Ask) -> None:
        self.fleet = fleet
        self.caller = caller
        self.ask = ask
        self._before = set(self._kept())

    @property
    def worker(self) -> Node:
        """The one process that performs runs."""
        [worker] = self.fleet.of("serve", "worker")
        return worker

    @property
    def sweeper(self) -> Node:
        """A process that answers requests; like each, it looks for what to forget when it starts."""
        [server] = self.fleet.of("serve", "api")
        return server

    async def check(self) -> None:
        """Hold all that was made in this scene against the oracles."""
        await until(lambda: not self.ask("SELECT 1 FROM jobs WHERE state <> 'ended'"), what="a run does not end")
        told = [await tell(self.caller, id) for id in self._kept() if id not in self._before]
        for each in told:
            check_told(each)
            assert each.response.status in {"completed", "cancelled"}
        assert not self.fleet.logs("job_failed")
        assert not self.fleet.logs("run_failed")
        check_effects(self.fleet.book, [each.response for each in told])

    def number(self, id: str) -> str:
        """The number of a response's row, by which its log goes."""
        return dict(self.ask("SELECT id, seq FROM responses"))[id]

    def _kept(self) -> list[str]:
        return [id for (id,) in self.ask("SELECT id FROM responses WHERE response IS NOT NULL")]


async def work(scene: Scene) -> None:
    """Somebody reads a run."""
    reader = await finished(scene)
    told = await tell(scene.caller, reader.id)
    assert told.stream == reader.stream
    assert told.response.status == "completed"


async def cancel(scene: Scene) -> None:
    """Somebody reads a run, and somebody else cancels it, twice."""
    reader = scene.caller.reader("slow")
    async with asyncio.TaskGroup() as group:
        group.create_task(reader.read())
        await reader.hears(6)
        path = f"/v1/responses/{reader.id}/cancel"
        first = await scene.caller.ask("POST", path)
        second = await scene.caller.ask("POST", path)
    assert first == second
    assert first[0] == 200
    assert msgspec.json.decode(first[1], type=Response).status == "cancelled"
    assert (await tell(scene.caller, reader.id)).stream == reader.stream


async def stop(scene: Scene) -> None:
    """The worker is told to stop while somebody reads a run."""
    await interrupted(scene, signal.SIGTERM)


async def kill(scene: Scene) -> None:
    """The worker is killed while somebody reads a run."""
    await interrupted(scene, signal.SIGKILL)


async def delete(scene: Scene) -> None:
    """Somebody deletes a response, once or more often."""
    await forget(scene, (await finished(scene)).id)


async def sweep(scene: Scene) -> None:
    """A process starts where there is a deleted response and an expired one, and forgets both."""
    deleted = await finished(scene)
    await forget(scene, deleted.id)
    expired = await finished(scene)
    numbers = [scene.number(id) for id in (deleted.id, expired.id)]
    scene.ask("UPDATE responses SET expires_at = 1 WHERE seq = (SELECT max(seq) FROM responses) RETURNING seq")
    while are_left(scene, numbers):
        ends = len(scene.sweeper.codes) + 1
        await start_to_sweep(scene)
        await until(partial(is_swept, scene, numbers, ends=ends), what="nobody sweeps")


async def start_to_sweep(scene: Scene) -> None:
    """Let a process start that finds nobody sweeping, as it would a while after one has ended while it swept."""
    await asyncio.to_thread(scene.sweeper.restart, signal.SIGKILL)
    scene.ask("DELETE FROM chores RETURNING name")  # before it has come so far


async def interrupted(scene: Scene, number: signal.Signals) -> None:
    """End the worker with a signal in the middle of a run: whoever reads it hears it whole."""
    reader = scene.caller.reader("do it")
    async with asyncio.TaskGroup() as group:
        group.create_task(reader.read())
        await reader.hears(6)
        await asyncio.to_thread(scene.worker.restart, number)
    told = await tell(scene.caller, reader.id)
    assert told.stream == reader.stream
    assert told.response.status == "completed"


async def finished(scene: Scene) -> Reader:
    """A run that somebody has read."""
    return await scene.caller.reader("do it").read()


async def forget(scene: Scene, id: str) -> None:
    """Delete a response, however often that takes."""
    status, _ = await scene.caller.ask("DELETE", f"/v1/responses/{id}")
    assert status in {200, 404}
    status, _ = await scene.caller.ask("GET", f"/v1/responses/{id}")
    assert status == 404


def are_left(scene: Scene, numbers: list[str]) -> bool:
    """Whether anything is left of these responses but an empty row."""
    rows = [
        *scene.ask("SELECT seq FROM responses WHERE response IS NOT NULL"),
        *scene.ask("SELECT response FROM jobs"),
        *scene.ask("SELECT DISTINCT response FROM events"),
    ]
    return any([number] in rows for number in numbers)


def is_swept(scene: Scene, numbers: list[str], *, ends: int) -> bool:
    """Whether nothing is left, or the process has ended once more than so many times: at an armed point."""
    return len(scene.sweeper.codes) > ends or not are_left(scene, numbers)


async def until(is_so: Callable[[], bool], *, what: str) -> None:
    """Wait until something is so, which only looking tells."""
    try:
        async with asyncio.timeout(HANG_SECONDS):
            while not await asyncio.to_thread(is_so):  # noqa: ASYNC110 - no event crosses processes
                await asyncio.sleep(LOOK)  # another process's doing: nothing tells
    except TimeoutError:
        raise AssertionError(what) from None
