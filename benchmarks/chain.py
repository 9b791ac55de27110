"""A chain of 1,000 turns: what its turns cost at the start, in the middle and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.driver import WARM, BrokenAnswerError
from benchmarks.upstream import EVERYTHING

if TYPE_CHECKING:
    from benchmarks.samples import Samples
    from benchmarks.stage import Running, Stage

TURNS = 1_000
WINDOW = 20
"""The cost of a turn is taken over so many of them, which end at the turn that the row names."""
ROWS = (WINDOW, TURNS // 2, TURNS)
TOKENS = 4
INLINE = f"{TURNS} turns in the request itself"


class Stored(Struct, frozen=True):
    """The part of a response that the next turn needs."""

    id: str


class Message(Struct, frozen=True):
    """A message of a history that is sent with the request."""

    role: str
    content: str


class Inline(Struct, frozen=True):
    """A request that carries its whole history and keeps nothing."""

    model: str
    input: list[Message]
    store: bool = False


async def chain(stage: Stage, rounds: int) -> Samples:
    """Measure the CPU of a turn over HTTP, in microseconds, by its place in the chain.

    The last row is a request of the same size that carries its history itself: what it costs to read, map and send so
    much context, with no chain.
    """
    rows: Samples = {name: [] for name in [*(f"turn {turn}" for turn in ROWS), INLINE]}
    for _ in range(max(1, rounds // 3)):
        async with stage.another("antiphon") as running:
            await running.caller.run(WARM)
            await grow(stage, running, rows)
            rows[INLINE].append(await inline(stage, running))
    return rows


async def grow(stage: Stage, running: Running, rows: Samples) -> None:
    """Speak the chain from its first turn to its last, and note the cost of the turns that have a row."""
    previous: str | None = None
    before = 0.0
    for turn in range(1, TURNS + 1):
        if turn + WINDOW - 1 in ROWS:
            before = running.server.cpu_seconds()
        previous = await say(stage, running, previous)
        if turn in ROWS:
            rows[f"turn {turn}"].append((running.server.cpu_seconds() - before) * 1e6 / WINDOW)


async def say(stage: Stage, running: Running, previous: str | None) -> str:
    """Speak one turn and give the id of its response."""
    speech = stage.upstream.prepare(tokens=TOKENS, stride=EVERYTHING)
    body = running.caller.body(speech, stream=False, store=True, previous=previous)
    heard = await running.caller.ask(speech, body, stream=False)
    stage.upstream.forget()
    try:
        return msgspec.json.decode(heard.body, type=Stored).id
    except msgspec.MsgspecError as error:
        raise BrokenAnswerError(f"no response: {heard.body[:200]!r}") from error


async def inline(stage: Stage, running: Running) -> float:
    """Give the CPU of a request with as much history as the last turn of the chain, in microseconds."""
    past = [Message("user", "Give me speech-1000."), Message("assistant", " tok000" * TOKENS)] * (TURNS - 1)
    before = running.server.cpu_seconds()
    for _ in range(WINDOW):
        speech = stage.upstream.prepare(tokens=TOKENS, stride=EVERYTHING)
        body = msgspec.json.encode(Inline("bench", [*past, Message("user", speech.prompt)]))
        await running.caller.ask(speech, body, stream=False)
    stage.upstream.forget()
    return (running.server.cpu_seconds() - before) * 1e6 / WINDOW
