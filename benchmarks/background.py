"""Background runs beside the same work in the foreground, on both databases, and the log that they leave."""

from __future__ import annotations

import asyncio
import re
import time
from statistics import median
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import msgspec
import pytest
from msgspec import Struct

from benchmarks.driver import BrokenAnswerError
from benchmarks.ensemble import alone, database, shared
from benchmarks.reading import Streams, lateness
from benchmarks.samples import Samples
from benchmarks.table import LATER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.ensemble import Database, Ensemble, Spent
    from benchmarks.stage import Stage

KINDS = {
    "transactions": r"BEGIN|COMMIT|ROLLBACK",
    "words": r"SELECT pg_notify|LISTEN",
    "reads": r"SELECT events\.|SELECT first,",
    "turns of runs": r"INSERT INTO (lineages|responses|items|jobs) |INSERT INTO events \(.*\) VALUES "
    r"|UPDATE (lineages|responses) |UPDATE jobs SET state",
    "looks": r"WITH |SELECT 1|SELECT response(, epoch)? FROM|INSERT INTO nodes|INSERT INTO chores|DELETE FROM chores",
}
"""What the statements of a process are that are no writes to logs: how they begin. Runs begin and end at any time."""
FLUSH = "UPDATE jobs SET parts"
APPENDED = "INSERT INTO events (response, last, part, first, data) SELECT"
LOOKING_SECONDS = 30.0
"""How long statements are counted again and again until a count falls between two flushes."""


class Size(Struct, frozen=True, kw_only=True):
    """How much is asked for: streams at once and their tokens, and jobs that say one word, so many at a time."""

    streams: int = 200
    tokens: int = 200
    rate: float = 50.0
    jobs: int = 1_000
    places: int = 100
    pairs: int = 20

    @property
    def long(self) -> Streams:
        """The load of long streams."""
        return Streams(streams=self.streams, tokens=self.tokens, rate=self.rate)


FULL = Size()
QUICK = Size(tokens=100, jobs=100, pairs=8)

Taken = dict[str, Samples]
"""What one load came to, by measure."""


class Together:
    """A load that several measures show: it is played once on a stage."""

    def __init__(self, play: Callable[[Stage, int], Awaitable[Taken]]) -> None:
        self._play = play
        self._taken: WeakKeyDictionary[Stage, Taken] = WeakKeyDictionary()

    def show(self, measure: str) -> Callable[[Stage, int], Awaitable[Samples]]:
        """Give what one of the measures shows."""

        async def run(stage: Stage, rounds: int) -> Samples:
            if stage not in self._taken:
                self._taken[stage] = await self._play(stage, rounds)
            return self._taken[stage].get(measure, {})

        return run


async def on_sqlite(stage: Stage, rounds: int) -> Taken:
    """Play everything on one server with a SQLite file."""
    size = sized(rounds)
    async with alone(stage, runs=size.streams) as ensemble:
        return await played(ensemble, size, rounds=max(1, rounds // 3))


async def on_postgres(stage: Stage, rounds: int) -> Taken:
    """Play everything on two servers and two workers with one PostgreSQL."""
    try:
        return await together(stage, sized(rounds), rounds=max(1, rounds // 3))
    except pytest.skip.Exception as error:
        stage.absent["PostgreSQL"] = str(error)
        return {}


async def together(stage: Stage, size: Size, *, rounds: int) -> Taken:
    """Play everything on several processes that share one database. Skips where there is no PostgreSQL."""
    async with database() as opened, shared(stage, opened, runs=size.streams) as ensemble:
        log = await logged(ensemble, opened, size)
        return await played(ensemble, size, rounds=rounds) | {"log": log}


def sized(rounds: int) -> Size:
    """Give the size of the loads of a run of so many rounds."""
    return FULL if rounds > 5 else QUICK


async def played(ensemble: Ensemble, size: Size, *, rounds: int) -> Taken:
    """Play long streams, jobs of one word and single streams, in the foreground and in the background in turn."""
    taken: Taken = {name: {} for name in ("cpu", "late", "jobs", "rate", "first")}
    for turn in range(rounds):
        for background in (True, False) if turn % 2 else (False, True):
            name = "background" if background else "foreground"
            load = msgspec.structs.replace(size.long, background=background)
            note_streams(taken, name, await ensemble.play(load))
            note_jobs(taken, name, *await short_jobs(ensemble, size, background=background))
        for name, milliseconds in (await firsts(ensemble, size.pairs)).items():
            taken["first"].setdefault(name, []).append(milliseconds)
    return taken


def note_streams(taken: Taken, name: str, spent: Spent) -> None:
    """Note the CPU of an event, in all and by role, and how late tokens were."""
    events = sum(read.events for read in spent.reads)
    for role, seconds in ({"": sum(spent.cpu.values())} | (spent.cpu if len(spent.cpu) > 1 else {})).items():
        taken["cpu"].setdefault(f"{name} {role}".strip(), []).append(seconds * 1e6 / events)
    late = lateness(spent.reads)
    taken["late"].setdefault(f"{name} p50", []).append(late[len(late) // 2])
    taken["late"].setdefault(f"{name} p99", []).append(late[len(late) * 99 // 100])


async def short_jobs(ensemble: Ensemble, size: Size, *, background: bool) -> tuple[int, list[Spent], float]:
    """Ask for jobs of one word, so many at a time; give their number, what they cost and the seconds they took."""
    load = Streams(streams=size.places, tokens=1, background=background)
    began = time.perf_counter()
    spent = [await ensemble.play(load) for _ in range(size.jobs // size.places)]
    return size.places * len(spent), spent, time.perf_counter() - began


def note_jobs(taken: Taken, name: str, jobs: int, spent: list[Spent], seconds: float) -> None:
    """Note the CPU of a job, in all and by role, and how many there were in a second."""
    for role in ["", *(spent[0].cpu if len(spent[0].cpu) > 1 else {})]:
        cpu = sum(used for each in spent for other, used in each.cpu.items() if role in {"", other})
        taken["jobs"].setdefault(f"{name} {role}".strip(), []).append(cpu * 1e6 / jobs)
    taken["rate"].setdefault(name, []).append(jobs / seconds)


async def firsts(ensemble: Ensemble, pairs: int) -> dict[str, float]:
    """Give the median milliseconds to the first token, of one stream at a time, and the median of the differences."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(pairs):
        for background, firsts_so_far in taken.items():
            [read] = (await ensemble.play(Streams(streams=1, tokens=2, background=background))).reads
            firsts_so_far.append(read.first)
    later = [behind - before for before, behind in zip(taken[False], taken[True], strict=True)]
    return {
        "foreground": median(taken[False]),
        "background": median(taken[True]),
        LATER: median(later),
    }


async def logged(ensemble: Ensemble, opened: Database, size: Size) -> Samples:
    """Count the statements of a flush while all streams go on, and the bytes that an event takes."""
    counts: list[dict[str, int]] = []
    load = msgspec.structs.replace(size.long, tokens=2 * size.tokens, background=True)

    async def amid() -> None:
        """Count over a quarter of the streams: they have all begun, and none is near its end."""
        counts.append(await between_flushes(opened.statements))
        await asyncio.sleep(load.tokens / load.rate / 4)
        counts.append(await between_flushes(opened.statements))

    before, written = opened.sizes(), opened.written()
    await ensemble.play(load, amid=amid)
    after, written = opened.sizes(), opened.written() - written
    events = after.events - before.events
    return flushed(*counts) | {
        "events a part": [events / (after.rows - before.rows)],
        "bytes of text an event": [(after.text - before.text) / events],
        "bytes of table an event": [(after.table - before.table) / events],
        "bytes of WAL an event": [written / events],
    }


async def between_flushes(count: Callable[[], dict[str, int]]) -> dict[str, int]:
    """Count statements when no flush is half done: else one would be counted by half. Raises where that never is."""
    end = time.monotonic() + LOOKING_SECONDS
    while time.monotonic() < end:
        counts = await asyncio.to_thread(count)
        if begun(counts, FLUSH) == begun(counts, APPENDED):
            return counts
    raise BrokenAnswerError("no count fell between two flushes")


def begun(calls: dict[str, int], words: str) -> int:
    """Give how many calls there were of statements that begin with these words."""
    return sum(count for sql, count in calls.items() if " ".join(sql.split()).startswith(words))


def flushed(before: dict[str, int], after: dict[str, int]) -> Samples:
    """Give how many statements of each kind there were in a flush, between two counts."""
    calls = {sql: count - before.get(sql, 0) for sql, count in after.items() if count > before.get(sql, 0)}
    flushes = begun(calls, FLUSH)
    kinds = dict.fromkeys(("writes", *KINDS), 0)
    for sql, count in calls.items():
        kinds[kind_of(sql)] += count
    return {f"{kind} a flush": [count / flushes] for kind, count in kinds.items()}


def kind_of(sql: str) -> str:
    """Give the kind of a statement; what is none of the others is a write."""
    line = " ".join(sql.split())
    return next((kind for kind, words in KINDS.items() if re.match(words, line)), "writes")


ALONE = Together(on_sqlite)
SHARED = Together(on_postgres)
