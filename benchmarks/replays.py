"""The log of a long response read again: from the store to the bytes of its stream, and over HTTP."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.core.deltas import Delta, Finish, Text
from antiphon.core.log import Pack, told
from antiphon.core.machine import Machine
from antiphon.lifecycle import encode
from antiphon.protocol.response import Response
from antiphon.store import Final, ResponseRow
from antiphon.store.jobs import Entry, Jobs
from antiphon.store.sqlite import connect
from benchmarks.contenders import ROOT, Contender, serving
from benchmarks.driver import BrokenAnswerError
from benchmarks.processes import own_seconds
from benchmarks.pure import id_of
from benchmarks.reading import replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from antiphon.core.log import Chunk
    from antiphon.store import Database
    from benchmarks.samples import Samples
    from benchmarks.stage import Stage

EVENTS = 45_000
"""Ten minutes of 75 a second."""
A_PART = 4
"""Events that one flush of a busy worker writes of a stream."""
TENANT = "local"
"""Whose responses are that are asked for without a key."""


class Kept(Struct, frozen=True):
    """A response whose log is in a database: the number of its job, and its events."""

    seq: int
    id: str
    events: int


async def replays(stage: Stage, rounds: int) -> Samples:
    """Measure how many events a second of CPU replays, one sample a round: in this process, and of a server."""
    return await replayed(stage, rounds, deltas=EVENTS)


async def replayed(stage: Stage, rounds: int, *, deltas: int) -> Samples:
    """Measure the replay of a stream of so many deltas."""
    samples: Samples = {"store to bytes": [], "over HTTP": []}
    with tempfile.TemporaryDirectory(prefix="bench-replay-", dir=ROOT / "build") as folder:
        url = f"sqlite://{Path(folder)}/replay.db"
        database = await connect(url)
        try:
            kept = await keep(database, deltas)
            samples["store to bytes"] = [await told_again(database, kept) for _ in range(rounds)]
        finally:
            await database.aclose()
        async with stage.play(Contender("replaying", partial(serving, store=url))) as running:
            await replay(running.port, kept.id)
            for _ in range(rounds):
                before = running.server.cpu_seconds()
                expect(kept, (await replay(running.port, kept.id)).events)
                samples["over HTTP"].append(kept.events / (running.server.cpu_seconds() - before))
    return samples


async def told_again(database: Database, kept: Kept) -> float:
    """Read a log as a stream does, and give the events for a second of this process's CPU."""
    jobs = Jobs(database)
    began = own_seconds()
    after, size, ended = -1, 0, False
    while not ended:
        for chunk in await jobs.read(kept.seq, after=after):
            block = told(chunk, after)
            size += len(block.block)
            after, ended = block.last, ended or block.ended
    expect(kept, after + 1)
    return kept.events / (own_seconds() - began)


def expect(kept: Kept, events: int) -> None:
    """Raise `BrokenAnswerError` where not every event came."""
    if events != kept.events:
        raise BrokenAnswerError(f"{events} events were replayed of {kept.events}")


async def keep(database: Database, deltas: int) -> Kept:
    """Write a response of so many deltas into a database, as a worker does."""
    machine = Machine(Response(id=id_of("resp"), created_at=0, model="bench", status="queued"), new_id=id_of)
    opening, *parts = chunks(machine, deltas)
    jobs = Jobs(database)
    row = ResponseRow(
        id=machine.response.id,
        tenant=TENANT,
        status="queued",
        model="bench",
        created_at=0,
        expires_at=1 << 40,
        response=encode(machine.response),
    )
    seq = await jobs.enqueue(row, inputs=[], opening=opening, sealed="")
    [claim] = await jobs.claim("bench", limit=1)
    final = Final("completed", encode(machine.response), [])
    async with asyncio.TaskGroup() as group:  # they are written in this order, and share commits
        for number, part in enumerate(parts, claim.parts):
            is_last = part is parts[-1]
            group.create_task(jobs.append([Entry(seq, claim.epoch, number, part, final if is_last else None)]))
    return Kept(seq, row.id, parts[-1].last + 1)


def chunks(machine: Machine, deltas: int) -> Iterator[Chunk]:
    """Speak so many deltas, and give the log in parts of a few."""
    pack = Pack(0)
    pack.add(machine.queue())
    yield from taken(pack)
    pack.add(machine.resume())
    machine.next_turn()
    for number in range(deltas):
        said: list[Delta] = [Text(f" tok{number % 1000:03}")]
        pack.add(machine.feed(said))
        if number % A_PART == A_PART - 1:
            yield from taken(pack)
    pack.add(machine.feed([Finish()]) + machine.complete(1))
    yield from taken(pack)


def taken(pack: Pack) -> Iterator[Chunk]:
    """Give what a pack holds, if it holds anything."""
    if (chunk := pack.take()) is not None:
        yield chunk
