"""What MCP calls cost: one after the other and side by side, in a chain of turns, and in many responses at once."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.background import Together
from benchmarks.driver import BrokenAnswerError
from benchmarks.tool_calls import Body, Load, beside_tools

if TYPE_CHECKING:
    from benchmarks.background import Taken
    from benchmarks.samples import Samples
    from benchmarks.stage import Stage
    from benchmarks.tool_calls import Tools

CALL = "call"
OLDER = "call, older handshake"
ABREAST = "call, one of nine abreast"
CONNECTIONS = "connections"
LISTS = "lists of tools"
ANSWERED = "calls answered"
TURNS = 20
WINDOWS = {"turn 1": (1, 1), "turns 2 to 6": (2, 6), "turns 16 to 20": (16, 20)}
CHAINS = 8
"""The cost of a turn is taken over so many chains."""
IN_TURN = Load(responses=16, concurrency=4, rounds=20)
SHORT = Load(responses=48, concurrency=4, rounds=1)
SIDE_BY_SIDE = 8
"""So many calls more are asked for in one turn."""
ONE = Load(responses=1, concurrency=1, rounds=1)
MANY = Load(responses=50, concurrency=50, rounds=1, abreast=3)


class Item(Struct, frozen=True):
    """The part of an item that says whether a call was made."""

    type: str
    status: str | None = None


class Stored(Struct, frozen=True):
    """The part of a response that the next turn needs, and what its items are."""

    id: str
    output: list[Item]


async def mcp_call(stage: Stage, rounds: int) -> Samples:
    """Measure the CPU that a call adds to its turn, in microseconds, and what is subtracted for it.

    A call is compared with one that fails before anything of it is sent, in a turn just like its own; those of one turn
    are compared with a turn of one call.
    """
    samples: Samples = {}
    async with AsyncExitStack() as opened:
        newest = await opened.enter_async_context(beside_tools(stage))
        older = await opened.enter_async_context(beside_tools(stage, era="handshake"))
        for turn in range(-1, (rounds + 1) // 2):  # the first is not counted
            for name, microseconds in (await costs(newest, older)).items():
                samples.setdefault(name, [])
                samples[name] += [microseconds] if turn >= 0 else []
    return samples


async def costs(newest: Tools, older: Tools) -> dict[str, float]:
    """Take one sample of each row."""
    unsent = await per_call(newest, msgspec.structs.replace(IN_TURN, kind="unsent"))
    made = await per_call(newest, IN_TURN)
    by_handshake = await per_call(older, IN_TURN)
    unsent_older = await per_call(older, msgspec.structs.replace(IN_TURN, kind="unsent"))
    lone = await per_response(newest, SHORT)
    together = await per_response(newest, msgspec.structs.replace(SHORT, abreast=1 + SIDE_BY_SIDE))
    silent = await per_response(newest, msgspec.structs.replace(SHORT, rounds=0))
    clients = await per_response(newest, msgspec.structs.replace(SHORT, kind="client's"))
    return {
        CALL: made - unsent,
        OLDER: by_handshake - unsent_older,
        ABREAST: (together - lone) / SIDE_BY_SIDE,
        "turn, call not sent": unsent,
        "response, list, no call": silent,
        "client's call, a request": clients,
    }


async def per_call(tools: Tools, load: Load) -> float:
    """Give the CPU of a load in microseconds for each call."""
    return await per_response(tools, load) / load.rounds


async def per_response(tools: Tools, load: Load) -> float:
    """Give the CPU of a load in microseconds for each response."""
    return await tools.play(load) * 1e6 / load.responses


async def chains(stage: Stage, rounds: int) -> Taken:
    """Count what chains of turns with a call each ask of an MCP server, and measure the CPU of their turns."""
    taken: Taken = {"cpu": {}, "asked": {}}
    async with beside_tools(stage) as tools:
        await chained(tools, "warm")
        for turn in range(max(1, rounds // 2)):
            before = await tools.counts()
            clocks = [await chained(tools, f"{turn}-{chain}") for chain in range(CHAINS)]
            came = (await tools.counts()).since(before)
            if came.calls != CHAINS * TURNS:
                raise BrokenAnswerError(f"{came.calls} calls were made of {CHAINS * TURNS}")
            taken["asked"].setdefault(CONNECTIONS, []).append(came.connections / CHAINS)
            taken["asked"].setdefault(LISTS, []).append(came.lists / CHAINS)
            for name, (first, last) in WINDOWS.items():
                used = sum(clock[last] - clock[first - 1] for clock in clocks)
                taken["cpu"].setdefault(name, []).append(used * 1e6 / CHAINS / (last - first + 1))
    return taken


async def chained(tools: Tools, key: str) -> list[float]:
    """Speak a chain over a connection of its own; give the CPU seconds that were used before it and after each turn."""
    clock = [tools.cpu_seconds()]
    body = Body(input="", tools=[tools.named(key)], stream=False)
    for _ in range(TURNS):
        told = await tools.ask(body, ONE.calls)
        clock.append(tools.cpu_seconds())
        body = msgspec.structs.replace(body, previous_response_id=made_call(told))
    return clock


def made_call(told: bytes) -> str:
    """Give the id of a response with one call that was made. Raises `BrokenAnswerError` for any other."""
    try:
        response = msgspec.json.decode(told, type=Stored)
    except msgspec.MsgspecError as error:
        raise BrokenAnswerError(f"no response: {told[:200]!r}") from error
    if [item.status for item in response.output if item.type == "mcp_call"] != ["completed"]:
        raise BrokenAnswerError(f"no call was made: {told[:400]!r}")
    return response.id


async def crowds(stage: Stage, rounds: int) -> Taken:
    """Measure and count what many responses at once, which each call three tools at once, come to."""
    taken: Taken = {"cpu": {}, "wall": {}, "asked": {}}
    async with beside_tools(stage) as tools:
        await tools.play(MANY, key="warm")
        for turn in range((rounds + 1) // 2):
            before = await tools.counts()
            began = time.perf_counter()
            used = await tools.play(MANY, key=str(turn))
            seconds = time.perf_counter() - began
            came = (await tools.counts()).since(before)
            taken["cpu"].setdefault("response", []).append(used * 1e6 / MANY.responses)
            taken["wall"].setdefault("all responses", []).append(seconds * 1e3)
            for name, number in ((ANSWERED, came.calls), (LISTS, came.lists), (CONNECTIONS, came.connections)):
                taken["asked"].setdefault(name, []).append(float(number))
    return taken


CHAIN = Together(chains)
CROWD = Together(crowds)
