"""What is measured. Each measure gives samples by name, taken in rounds that go from one contender to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from statistics import median
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.background import ALONE, SHARED
from benchmarks.chain import chain
from benchmarks.computer import LONG_RUNS, computer_step
from benchmarks.driver import WARM, BrokenAnswerError, Heard, Load
from benchmarks.files import LARGE_FILE
from benchmarks.identity import identity
from benchmarks.limits import admission
from benchmarks.mcp import CHAIN, CROWD, mcp_call
from benchmarks.pictures import MANY_PICTURES, document, large_picture
from benchmarks.pure import pure
from benchmarks.replays import replays
from benchmarks.samples import Samples
from benchmarks.stage import Running, Stage
from benchmarks.stateless import stateless
from benchmarks.store_chain import store_cpu, store_statements
from benchmarks.telemetry import telemetry, telemetry_events
from benchmarks.upstream import EVERYTHING
from benchmarks.websockets import Beside, idle_sockets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.driver import Line

ALL = ["floor", "antiphon", "litellm", "responses.js"]
PYTHON = ["floor", "antiphon"]
IDLE_STREAMS = 1_000
OPENING = 50
"""Idle streams are opened so many at a time."""
FIRST_PAIRS = 40


class Measure(Struct, frozen=True):
    """One thing that is measured: its name on the command line, what it says in the table, its unit, and the way."""

    name: str
    title: str
    unit: str
    run: Callable[[Stage, int], Awaitable[Samples]]


async def interleaved(
    stage: Stage, rounds: int, *, names: Sequence[str], sample: Callable[[str], Awaitable[float]], warm: bool = False
) -> Samples:
    """Take one sample of each contender in each round; each round begins with another contender.

    ``warm``: a round before the first is not counted. A peer that breaks is dismissed, and its samples with it. Raises
    `BrokenAnswerError` where another breaks.
    """
    samples: Samples = {name: [] for name in stage.present(names)}
    for turn in range(-1 if warm else 0, rounds):
        first = turn % len(names)
        for name in stage.present([*names[first:], *names[:first]]):
            try:
                taken = await sample(name)
            except BrokenAnswerError as error:
                stage.dismiss(name, error)
                del samples[name]
            else:
                samples[name] += [taken] if turn >= 0 else []
    return samples


def portion(load: Load, share: float) -> Load:
    """Give the part of a load that falls to a slow contender."""
    requests = max(1, round(load.requests * share))
    return msgspec.structs.replace(load, requests=requests, concurrency=min(load.concurrency, requests))


async def cpu_microseconds(running: Running, load: Load) -> float:
    """Put the load on a server and give the CPU time that its process tree used, in microseconds for each request."""
    part = portion(load, running.contender.share)
    before = running.server.cpu_seconds()
    await running.caller.run(part)
    return (running.server.cpu_seconds() - before) * 1e6 / part.requests


def cpu(load: Load, names: Sequence[str], *, per: int) -> Callable[[Stage, int], Awaitable[Samples]]:
    """Measure the CPU time of a load. ``per`` is how many of the counted things there are in a request."""

    async def run(stage: Stage, rounds: int) -> Samples:
        async def sample(name: str) -> float:
            return await cpu_microseconds(stage[name], load) / per

        return await interleaved(stage, rounds, names=names, sample=sample, warm=True)

    return run


async def first_token(stage: Stage, rounds: int) -> Samples:
    """Measure how much later the first token comes than from the upstream itself, one stream at a time, in ms."""
    load = Load(requests=1, concurrency=1, tokens=2)

    async def sample(name: str) -> float:
        added: list[float] = []
        for _ in range(max(4, round(FIRST_PAIRS * stage[name].contender.share))):
            [direct] = await stage.direct.run(load)
            [through] = await stage[name].caller.run(load)
            added.append((through.first - direct.first) * 1e3)
        return median(added)

    return await interleaved(stage, rounds, names=ALL, sample=sample, warm=True)


async def start(stage: Stage, rounds: int) -> Samples:
    """Measure the seconds from the start of a process to its first 200."""

    async def sample(name: str) -> float:
        async with stage.another(name) as running:
            return running.seconds

    return await interleaved(stage, max(1, rounds // 2), names=PYTHON, sample=sample)


async def resident(stage: Stage, rounds: int) -> Samples:
    """Measure the resident megabytes of a new server that has answered a few hundred requests."""

    async def sample(name: str) -> float:
        async with stage.another(name) as running:
            await running.caller.run(WARM)
            return running.server.memory().resident / 1e6

    return await interleaved(stage, max(1, rounds // 3), names=PYTHON, sample=sample)


async def idle(stage: Stage, rounds: int) -> Samples:
    """Measure by how many kilobytes a new, warm server grows for each stream that is open and silent."""

    async def sample(name: str) -> float:
        async with stage.another(name) as running:
            await running.caller.run(WARM)
            before = running.server.memory().proportional
            lines, answers = await open_streams(stage, running)
            grown = running.server.memory().proportional - before
            for line in lines:
                line.abort()
            for answer in answers:
                answer.cancel()
            stage.upstream.forget()
            return grown / IDLE_STREAMS / 1e3

    return await interleaved(stage, max(1, rounds // 3), names=PYTHON, sample=sample)


async def open_streams(stage: Stage, running: Running) -> tuple[list[Line], list[asyncio.Future[Heard]]]:
    """Open the idle streams, a few at a time, and return when each has given its first token."""
    lines: list[Line] = []
    answers: list[asyncio.Future[Heard]] = []
    async with asyncio.timeout(60):
        while len(lines) < IDLE_STREAMS:
            opened = [await running.caller.line() for _ in range(OPENING)]
            for line in opened:
                speech = stage.upstream.prepare(tokens=2, held=True)
                body = running.caller.body(speech, stream=True, store=True)
                answers.append(line.ask(body, speech, stream=True))
            lines += opened
            for line in opened:
                await line.spoke.wait()
    return lines, answers


EVENT = Load(requests=128, concurrency=32, tokens=128)
UNSTORED_EVENT = msgspec.structs.replace(EVENT, store=False)
BURST = Load(requests=16, concurrency=8, tokens=512, stride=16)
SHORT = Load(requests=256, concurrency=16, tokens=1)
BODY = Load(requests=256, concurrency=16, tokens=64, stride=EVERYTHING, stream=False)
UNSTORED_BODY = msgspec.structs.replace(BODY, store=False)

MEASURES = [
    Measure("event", "CPU per streamed event, 32 streams in lockstep, stored", "us", cpu(EVENT, ALL, per=128)),
    Measure("event-unstored", "the same, store: false", "us", cpu(UNSTORED_EVENT, PYTHON, per=128)),
    Measure("burst", "CPU per streamed event, 16 chunks a segment, stored", "us", cpu(BURST, ALL, per=512)),
    Measure("short", "CPU per streamed request of one token, stored", "us", cpu(SHORT, ALL, per=1)),
    Measure("body", "CPU per request without a stream, 64 tokens, stored", "us", cpu(BODY, ALL, per=1)),
    Measure("body-unstored", "the same, store: false", "us", cpu(UNSTORED_BODY, PYTHON, per=1)),
    Measure("telemetry", "CPU per request without a stream, stored", "us", telemetry),
    Measure("telemetry-event", "CPU per event of 16 streams in lockstep, stored", "us", telemetry_events),
    Measure("admission", "CPU to admit a request and to settle it, in this process", "us", admission),
    Measure("first", "first token later than from the upstream itself (wall)", "ms", first_token),
    Measure("chain", "CPU per turn of a chain over HTTP, 4 tokens, stored", "us", chain),
    Measure("store", "CPU in the store alone, a chain of 1,000 turns", "us", store_cpu),
    Measure("statements", "statements in the store, the same chain", "", store_statements),
    Measure("start", "from the start of the process to the first 200 (wall)", "s", start),
    Measure("resident", "resident, after 256 requests", "MB", resident),
    Measure("idle", "growth for each idle open stream, 1,000 streams", "kB", idle),
    Measure("websocket-turn", "CPU per turn of 16 tokens at once, unstored", "us", Beside("websocket-turn").run),
    Measure("websocket-event", "CPU per event, 32 in lockstep, unstored", "us", Beside("websocket-event").run),
    Measure("websocket-idle", "growth for 1,000 idle WebSockets", "MB", idle_sockets),
    Measure("background", "CPU per event of 200 streams at 50 a second, SQLite", "us", ALONE.show("cpu")),
    Measure("background-late", "from the model to the subscriber, the same (wall)", "ms", ALONE.show("late")),
    Measure("background-jobs", "CPU per run of one word, streamed, the same server", "us", ALONE.show("jobs")),
    Measure("background-rate", "runs of one word a second, 100 at a time (wall)", "", ALONE.show("rate")),
    Measure("background-first", "first token, one stream at a time (wall)", "ms", ALONE.show("first")),
    Measure("shared", "CPU per event of 200 streams, PostgreSQL, 2 servers, 2 workers", "us", SHARED.show("cpu")),
    Measure("shared-late", "from the model to the subscriber, the same (wall)", "ms", SHARED.show("late")),
    Measure("shared-jobs", "CPU per run of one word, streamed, the same processes", "us", SHARED.show("jobs")),
    Measure("shared-rate", "runs of one word a second, 100 at a time (wall)", "", SHARED.show("rate")),
    Measure("shared-first", "first token, one stream at a time (wall)", "ms", SHARED.show("first")),
    Measure("shared-log", "the log of the 200 streams in PostgreSQL", "", SHARED.show("log")),
    Measure("replay", "replay of 45,000 events: events in a second of CPU", "", replays),
    Measure("mcp-call", "CPU that an MCP call adds to its turn, streamed, stored", "us", mcp_call),
    Measure("mcp-chain", "CPU per turn of a chain of 20, an MCP call in each", "us", CHAIN.show("cpu")),
    Measure("mcp-chain-asked", "what came to the MCP server of such a chain", "", CHAIN.show("asked")),
    Measure("mcp-many", "CPU per response, 50 at once, each calls three MCP tools at once", "us", CROWD.show("cpu")),
    Measure("mcp-many-wall", "until all 50 are over (wall)", "ms", CROWD.show("wall")),
    Measure("mcp-many-asked", "what came to the MCP server of all 50", "", CROWD.show("asked")),
    Measure("file-memory", "memory at its height over idle, a large file", "MB", LARGE_FILE.show("memory")),
    Measure("file-rate", "the same file, megabytes for a second of CPU", "", LARGE_FILE.show("rate")),
    Measure("picture-memory", "memory at its height over idle, in data URLs of 20 MB", "", large_picture),
    Measure("pictures", "CPU per response, all at once, a JPEG of 1 MB in each", "ms", MANY_PICTURES.show("cpu")),
    Measure("pictures-late", "until each of them is answered (wall)", "ms", MANY_PICTURES.show("late")),
    Measure("pictures-memory", "memory at its height over idle, the same", "MB", MANY_PICTURES.show("memory")),
    Measure("computer", "CPU per step of computer use, 1280x800, chained", "ms", computer_step),
    Measure("computer-run", "the same in a run of 50 steps, over its last five", "ms", LONG_RUNS.show("cpu")),
    Measure("computer-memory", "resident, server and children, in the same run", "MB", LONG_RUNS.show("memory")),
    Measure("document", "pages a second, a PDF of 300 pages of text", "", document),
    Measure("stateless", "CPU per request with 200 items of history, read and sent on", "us", stateless),
    Measure("identity", "CPU to tell a caller by what it brings", "us", identity),
    Measure("pure", "CPU per call of a part without I/O", "us", pure),
]
