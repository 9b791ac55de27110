"""What telling operators costs: the same server without logs and figures, with both, and with spans as well."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.contenders import CONFIGURATION, Contender, Place, antiphon
from benchmarks.driver import WARM, Load
from benchmarks.upstream import EVERYTHING

if TYPE_CHECKING:
    from benchmarks.processes import Command
    from benchmarks.samples import Samples
    from benchmarks.stage import Running, Stage

WITHOUT, TOLD, TRACED = "without", "logs and figures", "and spans, a tenth"
SETTINGS = {
    WITHOUT: '[logs]\nlevel = "error"\n',
    TOLD: '[logs]\nlevel = "info"\n[metrics]\nenabled = true\nkey = "bench"\n',
}
SETTINGS[TRACED] = SETTINGS[TOLD] + '[tracing]\nendpoint = "http://127.0.0.1:9"\nsample = 0.1\n'
"""Nobody listens on the discard port: the collector is down, which is the dearer case."""

BODY = Load(requests=256, concurrency=16, tokens=64, stride=EVERYTHING, stream=False)
STREAM = Load(requests=64, concurrency=16, tokens=64)


async def telemetry(stage: Stage, rounds: int) -> Samples:
    """Measure the CPU microseconds of a stored request without a stream."""
    return await compared(stage, rounds, load=BODY)


async def telemetry_events(stage: Stage, rounds: int) -> Samples:
    """Measure the CPU microseconds of a streamed event."""
    samples = await compared(stage, rounds, load=STREAM)
    return {name: [each / STREAM.tokens for each in taken] for name, taken in samples.items()}


async def compared(stage: Stage, rounds: int, *, load: Load) -> Samples:
    """Put a load on each of the servers in turn, each round beginning with another; the first is not counted."""
    samples: Samples = {name: [] for name in SETTINGS}
    async with AsyncExitStack() as opened:
        running = {
            name: await opened.enter_async_context(stage.play(Contender("told", partial(told, settings=settings))))
            for name, settings in SETTINGS.items()
        }
        for server in running.values():
            await server.caller.run(WARM)
        names = list(SETTINGS)
        for turn in range(-1, rounds):
            first = turn % len(names)
            for name in [*names[first:], *names[:first]]:
                taken = await microseconds(running[name], load)
                samples[name] += [taken] if turn >= 0 else []
    return samples


async def microseconds(running: Running, load: Load) -> float:
    """The CPU time of a server for each request of a load."""
    before = running.server.cpu_seconds()
    await running.caller.run(load)
    return (running.server.cpu_seconds() - before) * 1e6 / load.requests


def told(place: Place, *, settings: str) -> Command:
    """Antiphon as an operator starts it, with settings of what is told."""
    command = antiphon(place)
    with (place.folder / CONFIGURATION).open("a") as config:
        config.write(settings)
    return command
