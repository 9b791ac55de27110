"""Limits: what it costs to admit a request, and two minutes of mixed load at the limits.

``python -m benchmarks.limits`` runs the two minutes: one tenant that stays below its limits, and three that ask for
three times as much as they may. Then what was served of it is asked again, at the same times, of a server that has no
limits: by that the times of what was admitted are judged.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from math import nan
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

import uvloop
from msgspec import Struct

from antiphon.core.tally import Tally
from antiphon.lifecycle import Caller
from antiphon.lifecycle.limiting import Limiting, Rule
from antiphon.lifecycle.seating import LEASE_SECONDS, Tenure
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Message
from antiphon.protocol.request import CreateResponse
from antiphon.store import sqlite
from antiphon.store.quotas import Quotas
from antiphon.store.seats import Seating
from benchmarks.crowd import Heard, Tenant, Turn, crowd, steady
from benchmarks.processes import Command, Server, free_port, own_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.core.quota import Grant
    from antiphon.store.quotas import Asking
    from benchmarks.samples import Samples
    from benchmarks.stage import Stage

ADMITTED = 5_000
ROUNDS = 9
PLENTY = 1_000_000_000
TRIPS = "trips of a thousand"
TOOK = Tally(day=0, outcome="completed", input_tokens=20, output_tokens=20)
ASKED = CreateResponse(
    model="m",
    max_output_tokens=64,
    input=[Message(id="msg_1", role="user", content=[InputText(text="How are you? " * 20)], status="completed")],
)

MINUTE = 60.0
CALM, BUSY = Tenant("calm", "key-calm", 8.0), [Tenant(f"busy{n}", f"key-{n}", 12.0) for n in range(3)]
SERVED, REFUSED = 200, 429
SAMPLE_SECONDS = 5.0
CONFIG = """
[server]
port = {port}
[store]
url = "sqlite:///{folder}/antiphon.db"
[auth]
keys = [{keys}]
[[deployments]]
name = "*"
backend = "scripted"
[[deployments.replies]]
tokens_per_second = 200
usage = {{ input_tokens = 10, output_tokens = 20 }}
steps = [{{ text = "{words}" }}]
"""
LIMITS = """
[[limits]]
tenant = "*"
requests_per_minute = 240
tokens_per_minute = 1000000
concurrent = 64
background = 100
[[limits]]
tenant = "calm"
requests_per_minute = 100000
tokens_per_minute = 100000000
"""
BUSY_A_MINUTE = 240


# What it costs to admit


async def admission(_stage: Stage | None, rounds: int) -> Samples:
    """CPU to admit a request and to settle it, in microseconds, in this process."""
    database = await sqlite.connect("sqlite://")
    asked = Counted(database)
    rule = Rule(requests_per_minute=PLENTY, tokens_per_minute=PLENTY, concurrent=PLENTY)
    requests = Rule(requests_per_minute=PLENTY, concurrent=PLENTY)
    tenure = Tenure(Seating(database, lease=round(LEASE_SECONDS * 1000)), clock=time.monotonic)
    kinds = {
        "no limits": Limiting(),
        "requests, at once": Limiting([requests]),
        "and tokens": Limiting([rule]),
        "and tokens, shared": Limiting([rule], quotas=asked, tenure=tenure),
    }
    samples: Samples = {name: [] for name in [*kinds, TRIPS]}
    for _ in range(rounds):
        before = asked.count
        for name, limiting in kinds.items():
            samples[name].append(await _admitted(limiting))
        samples[TRIPS].append(1000 * (asked.count - before) / ADMITTED)
    await database.aclose()
    return samples


async def _admitted(limiting: Limiting) -> float:
    caller = Caller("a")
    began = own_seconds()
    for _ in range(ADMITTED):
        with await limiting.admit(ASKED, caller, None) as ticket:
            ticket.headers(is_azure=False)
            ticket.settle(TOOK)
    return (own_seconds() - began) / ADMITTED * 1e6


class Counted(Quotas):
    """Shared limits that are watched."""

    count = 0

    async def ask(self, asking: Asking) -> Grant:
        """Count a trip."""
        self.count += 1
        return await super().ask(asking)


# Two minutes at the limits


class Outcome(Struct, frozen=True):
    """What a crowd was answered, and the memory of the server meanwhile, in MiB."""

    heard: list[Heard]
    memory: list[float]

    def status(self, status: int, *, of: str = "") -> list[Heard]:
        """The answers of a status, of the tenants whose names begin so."""
        return [each for each in self.heard if each.status == status and each.turn.tenant.name.startswith(of)]

    @property
    def lost(self) -> list[Heard]:
        """What was neither served nor refused as promised."""
        return [each for each in self.heard if each.status != SERVED and not (each.status == REFUSED and each.waits)]

    def most_in_a_minute(self, tenant: str) -> int:
        """The most that was served of a tenant's in any minute."""
        times = sorted(each.turn.at for each in self.status(SERVED, of=tenant))
        first = most = 0
        for index, at in enumerate(times):
            while at - times[first] > MINUTE:
                first += 1
            most = max(most, index + 1 - first)
        return most


def late(heard: Sequence[Heard]) -> float:
    """The 99th percentile of the answers that were streamed or whole, in milliseconds."""
    times = [each.seconds * 1000 for each in heard if each.turn.way != "background"]
    return quantiles(times, n=100)[98] if len(times) > 1 else nan


async def run(turns: Sequence[Turn], *, limits: str = "") -> Outcome:
    """Let a crowd at a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        server = _start(Path(folder), limits)
        try:
            await server.ready()
            memory: list[float] = []
            async with asyncio.TaskGroup() as group:
                sampling = group.create_task(_sample(server, memory))
                heard = await crowd(server.address, turns)
                sampling.cancel()
        finally:
            server.stop()
    return Outcome(heard, memory)


class Addressed(Server):
    """A server that knows where it is."""

    def __init__(self, command: Command) -> None:
        super().__init__(command)
        self.address = f"http://127.0.0.1:{command.port}"


def _start(folder: Path, limits: str) -> Addressed:
    port = free_port()
    keys = ", ".join(f'{{ key = "{tenant.key}", tenant = "{tenant.name}" }}' for tenant in (CALM, *BUSY))
    text = CONFIG.format(port=port, folder=folder, keys=keys, words="word " * 20)
    (folder / "antiphon.toml").write_text(text + limits)
    arguments = [sys.executable, "-m", "antiphon", "serve", "--config", str(folder / "antiphon.toml")]
    return Addressed(Command(arguments=[*arguments, "--log-level", "error"], folder=folder, port=port))


async def _sample(server: Server, memory: list[float]) -> None:
    while True:
        await asyncio.sleep(SAMPLE_SECONDS)
        memory.append((await asyncio.to_thread(server.memory)).resident / 2**20)


async def two_minutes(seconds: float) -> None:
    """Print what came of it; fail where an answer was lost or a limit was not held."""
    at_limits = await run(steady([CALM, *BUSY], seconds), limits=LIMITS)
    served = sorted((each.turn for each in at_limits.status(SERVED)), key=lambda turn: turn.at)
    alone = await run(served)
    bare, admitted = late(alone.status(SERVED)), late(at_limits.status(SERVED))
    most = {tenant.name: at_limits.most_in_a_minute(tenant.name) for tenant in BUSY}
    say(f"{len(at_limits.heard)} requests in {seconds:.0f} s: {len(at_limits.status(SERVED))} served, ")
    say(f"  {len(at_limits.status(REFUSED))} refused with 429, {len(at_limits.lost)} lost")
    say(f"the tenant below its limits: {len(at_limits.status(SERVED, of='calm'))} served, ")
    say(f"  {len(at_limits.status(REFUSED, of='calm'))} refused")
    say(f"most served in any minute of those that may {BUSY_A_MINUTE}: {most}")
    say(f"p99 of what was admitted: {admitted:.1f} ms, without limits {bare:.1f} ms: {admitted / bare:.2f}")
    say(f"p99 of what was refused: {late(at_limits.status(REFUSED)):.1f} ms")
    say(f"resident memory: {thirds(at_limits.memory)}; without limits {thirds(alone.memory)}")
    if at_limits.lost or alone.lost or max(most.values()) > BUSY_A_MINUTE:
        sys.exit("broken: an answer was lost, or a limit was not held")


def thirds(memory: Sequence[float]) -> str:
    """The memory of the second third of the time, and of the last."""
    third = max(1, len(memory) // 3)
    second, last = memory[third : 2 * third] or memory, memory[-third:]
    return f"{sum(second) / len(second):.1f} MiB in the second third, {sum(last) / len(last):.1f} MiB in the last"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long the load at the limits goes on")
    parser.add_argument("--admission", action="store_true", help="what it costs to admit a request, and nothing else")
    said = parser.parse_args()
    if said.admission:
        for name, taken in uvloop.run(admission(None, ROUNDS)).items():
            say(f"{name:24} {min(taken):8.2f} .. {max(taken):8.2f}")
    else:
        uvloop.run(two_minutes(said.seconds))


if __name__ == "__main__":
    main()
