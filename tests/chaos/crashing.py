"""A database that ends its process once, right before or after a commit or a notification that the test named.

A *point* is ``<what is committed>.<before|after>``, or the same of a notification. The points that are armed stand in
the file ``armed``; whoever reaches one takes it out and is gone, as if killed: nothing is written or closed. What is
reached is noted in the file ``reached``.
"""

from __future__ import annotations

import os
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from antiphon.store import Statement, postgres, sqlite
from antiphon.store.jobs import Entry, Lost
from antiphon.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.store import Database, Dialogue, Params, Row

T = TypeVar("T")
Side: TypeAlias = Literal["before", "after"]

FOLDER = "CHAOS_FOLDER"
"""The environment's name for the folder with the two files."""

KILLED = 137
"""The exit code of a process that reached the armed point: what a shell says of one that was killed."""

EMPTY = {"claim", "take_chore", "reclaim", "settle", "erase", "expire_responses"}
"""What is asked again and again, and is a point only where it changes something."""


async def connect(url: str, *, pooled: bool = False) -> Crashing:
    """Open a database as the product does."""
    engine = sqlite if url.startswith("sqlite:") else postgres
    return Crashing(await engine.connect(url, pooled=pooled), Points(Path(os.environ[FOLDER])))


class Points:
    """The files by which a test and its processes speak of points."""

    def __init__(self, folder: Path) -> None:
        self._armed = folder / "armed"
        self._reached = folder / "reached"
        self._known: set[str] = set()

    def arm(self, *points: str) -> None:
        """A process that reaches one of these points ends there, once for each."""
        draft = self._armed.with_suffix(f".{os.getpid()}")
        draft.write_text(" ".join(points))
        draft.rename(self._armed)

    def armed(self) -> list[str]:
        """The armed points that nobody has reached."""
        try:
            return self._armed.read_text().split()
        except FileNotFoundError:
            return []

    def reached(self) -> set[str]:
        """The points that any process has reached."""
        return set(self._reached.read_text().split()) if self._reached.exists() else set()

    def reach(self, name: str, side: Side) -> None:
        """This process is at a point: it is noted, or the process ends here."""
        point = f"{name}.{side}"
        if point not in self._known:
            self._known.add(point)
            with self._reached.open("a") as noted:
                noted.write(f"{point}\n")
        armed = self.armed()
        if point in armed:
            self.arm(*(other for other in armed if other != point))
            os._exit(KILLED)


class Crashing:
    """A database, and the points around what it commits and tells."""

    def __init__(self, database: Database, points: Points) -> None:
        self._database = database
        self._points = points

    @property
    def engine(self) -> str:
        """See `Database.engine`."""
        return self._database.engine

    @property
    def is_shared(self) -> bool:
        """See `Database.is_shared`."""
        return self._database.is_shared

    async def fetch(self, sql: str, params: Params) -> list[Row]:
        """See `Database.fetch`."""
        return await self._database.fetch(sql, params)

    async def transaction(self, dialogue: Callable[[], Dialogue[T]]) -> T:
        """See `Database.transaction`: a point before the commit, and one after it."""

        def guarded() -> Dialogue[T]:
            result = yield from dialogue()
            if name := named(dialogue, result, engine=self.engine):
                self._points.reach(name, "before")
            return result

        result = await self._database.transaction(guarded)
        if name := named(dialogue, result, engine=self.engine):
            self._points.reach(name, "after")
        return result

    async def reclaim(self) -> None:
        """See `Database.reclaim`."""
        await self._database.reclaim()

    async def notify(self, message: str) -> None:
        """See `Database.notify`: a point before it is told, and one after."""
        name = f"notify_{message.split(' ')[1]}"
        self._points.reach(name, "before")
        await self._database.notify(message)
        self._points.reach(name, "after")

    async def listen(self, heard: Callable[[str], None]) -> bool:
        """See `Database.listen`."""
        return await self._database.listen(heard)

    async def aclose(self) -> None:
        """See `Database.aclose`."""
        await self._database.aclose()


def named(dialogue: Callable[[], Dialogue[T]], result: object, *, engine: str) -> str:
    """What a dialogue commits, in a word; empty where it changed nothing."""
    if not isinstance(dialogue, partial):
        return ""
    name: str = dialogue.func.__name__.strip("_")
    match dialogue.args:
        case (Statement(sql),):
            name = statements(engine)[sql]
        case (_, [Entry(), *_] as entries):
            name = written(entries)
        case (_, Statement(sql)):
            name = statements(engine)[sql]
        case _:
            pass
    changed = bool(result.queued) if isinstance(result, Lost) else bool(result)
    return "" if name in EMPTY and not changed else name


def written(entries: list[Entry]) -> str:
    """What parts of logs hold that makes a difference to whoever takes over: an end, the beginning of a call."""
    if any(entry.final is not None for entry in entries):
        return "finish"
    return "start_call" if any('["started",' in entry.chunk.text for entry in entries) else "append"


@cache
def statements(engine: str) -> dict[str, str]:
    """The names of all statements, by their text."""
    return {sql: name for name, sql in queries(engine).items()}
