"""A chain of 1,000 turns in the store alone, in this process: CPU and statements to add a turn and to load a chain."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeVar

from antiphon.store import ItemRow, ResponseRow, Row
from antiphon.store.sqlite import connect
from antiphon.store.store import Store
from benchmarks.contenders import ROOT
from benchmarks.processes import own_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.store import Database, Dialogue, Params
    from benchmarks.samples import Samples
    from benchmarks.stage import Stage

T = TypeVar("T")

SHORT = 10
HALF = 500
LONG = 1_000
PAIRS = 30
"""So many turns are added to the long chain, and to as many short ones, in turn; a sample is their median."""
ITEM = (
    b'{"type":"message","id":"msg","status":"completed","role":"user","content":[{"type":"input_text","text":"Hello"}]}'
)
RESPONSE = b'{"id":"resp","object":"response","status":"completed","output":[]}' + b" " * 1_500
"""As long as the JSON of a short answer."""


class Counted:
    """A database that counts the statements it is given; a batch is one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.engine = database.engine
        self.is_shared = database.is_shared
        self.statements = 0

    async def fetch(self, sql: str, params: Params) -> list[Row]:
        """Count one, and fetch."""
        self.statements += 1
        return await self._database.fetch(sql, params)

    async def transaction(self, dialogue: Callable[[], Dialogue[T]]) -> T:
        """Count each that the dialogue yields, and run it."""
        return await self._database.transaction(partial(self._counting, dialogue))

    def _counting(self, dialogue: Callable[[], Dialogue[T]]) -> Dialogue[T]:
        steps = dialogue()
        try:
            step = next(steps)
            while True:
                self.statements += 1
                step = steps.send((yield step))
        except StopIteration as end:
            result: T = end.value
            return result

    async def reclaim(self) -> None:
        """Hand on."""
        await self._database.reclaim()

    async def notify(self, message: str) -> None:
        """Hand on."""
        await self._database.notify(message)

    async def listen(self, heard: Callable[[str], None]) -> bool:
        """Hand on."""
        return await self._database.listen(heard)

    async def aclose(self) -> None:
        """Hand on."""
        await self._database.aclose()


class Spent:
    """What one call took: CPU of this process in microseconds, the database's threads included, and statements."""

    def __init__(self, database: Counted) -> None:
        self._database = database
        self._statements = database.statements
        self._began = own_seconds()

    def now(self) -> tuple[float, float]:
        """Give the CPU and the statements since the beginning."""
        return (own_seconds() - self._began) * 1e6, float(self._database.statements - self._statements)


class Chains:
    """Chains of short turns in one database."""

    def __init__(self, database: Counted) -> None:
        self._store = Store(database)
        self._database = database
        self._responses = 0

    async def add(self, previous: str | None) -> str:
        """Add a turn of two items and give its id."""
        self._responses += 1
        row = ResponseRow(
            id=f"resp_{self._responses:050}",
            tenant="bench",
            status="completed",
            model="bench",
            created_at=0,
            expires_at=1 << 40,
            response=RESPONSE,
            previous_id=previous,
        )
        asked = [ItemRow(id=f"msg_{self._responses:049}1", json=ITEM)]
        answered = [ItemRow(id=f"msg_{self._responses:049}2", json=ITEM)]
        await self._store.save(row, inputs=asked, outputs=answered)
        return row.id

    async def grow(self, turns: int) -> list[str]:
        """Speak a new chain and give the ids of its turns."""
        ids: list[str] = []
        for _ in range(turns):
            ids.append(await self.add(ids[-1] if ids else None))
        return ids

    async def adding(self, chain: list[str]) -> tuple[float, float]:
        """Add a turn to the end of a chain and give what it takes."""
        spent = Spent(self._database)
        chain.append(await self.add(chain[-1]))
        return spent.now()

    async def loading(self, id: str) -> tuple[float, float]:
        """Give what it takes to load a chain up to this turn."""
        spent = Spent(self._database)
        await self._store.context(id, tenant="bench")
        return spent.now()


async def taken(folder: Path) -> dict[str, tuple[float, float]]:
    """Give the median CPU and statements of each row, in a new database."""
    database = Counted(await connect(f"sqlite://{folder}/chain.db"))
    try:
        chains = Chains(database)
        long = await chains.grow(LONG - 1)
        rows: dict[str, list[tuple[float, float]]] = {}
        for _ in range(PAIRS):
            short = await chains.grow(SHORT - 1)
            rows.setdefault(f"add turn {SHORT}", []).append(await chains.adding(short))
            rows.setdefault(f"add turn {LONG:,}", []).append(await chains.adding(long))
            rows.setdefault(f"load {SHORT - 1} turns", []).append(await chains.loading(short[SHORT - 2]))
            rows.setdefault(f"load {HALF} turns", []).append(await chains.loading(long[HALF - 1]))
            rows.setdefault(f"load {LONG - 1} turns", []).append(await chains.loading(long[LONG - 2]))
    finally:
        await database.aclose()
    return {name: (median(cpu for cpu, _ in both), median(count for _, count in both)) for name, both in rows.items()}


async def store_chain(rounds: int) -> tuple[Samples, Samples]:
    """Give CPU and statements of each row, one sample a round."""
    cpu: Samples = {}
    statements: Samples = {}
    for _ in range(max(1, rounds // 2)):
        with tempfile.TemporaryDirectory(prefix="bench-store-", dir=ROOT / "build") as folder:
            for name, (spent, count) in (await taken(Path(folder))).items():
                cpu.setdefault(name, []).append(spent)
                statements.setdefault(name, []).append(count)
    return cpu, statements


async def store_cpu(_stage: Stage, rounds: int) -> Samples:
    """Measure the CPU, in microseconds."""
    return (await store_chain(rounds))[0]


async def store_statements(_stage: Stage, rounds: int) -> Samples:
    """Count the statements."""
    return (await store_chain(min(rounds, 1)))[1]
