"""The third door: a database runs SQL and knows no response. Beside it, the rows that the store keeps and its errors.

A statement is one text for every engine, with named parameters (``:id``). A transaction is a *dialogue*: a generator
that yields statements, is sent their rows, and returns the result. It says what is asked; the engine decides how it
waits, on which thread, and how many transactions share a commit. So a dialogue waits for nothing itself, and may be run
on any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol, TypeAlias, TypeVar

from msgspec import Struct

T = TypeVar("T")
Value: TypeAlias = str | int | None
Row: TypeAlias = tuple[Value, ...]
Params: TypeAlias = dict[str, Value]


class Statement(Struct, frozen=True):
    """One statement of a dialogue. It is answered with its rows; one that returns none with an empty list."""

    sql: str
    params: Params = {}


class Batch(Struct, frozen=True):
    """One statement that is run for each of these parameters, in order. It is answered with an empty list."""

    sql: str
    params: list[Params]


Dialogue: TypeAlias = Generator[Statement | Batch, list[Row], T]


class Database(Protocol):
    """A place for rows. Every verb raises `StoreUnavailable` where the engine cannot do its work now."""

    async def fetch(self, sql: str, params: Params) -> list[Row]:
        """Run one statement that only reads, and return its rows. It sees everything that was committed before."""
        ...

    async def transaction(self, dialogue: Callable[[], Dialogue[T]]) -> T:
        """Run a dialogue in one transaction and return its result once that is durable.

        What the dialogue raises is raised here and undoes its own transaction alone. Raises `Conflict`.
        """
        ...

    async def reclaim(self) -> None:
        """Give the room of erased rows back, so that no copy of their content stays in the files."""
        ...

    async def aclose(self) -> None:
        """Finish what was asked, and let go of connections and files."""
        ...


class ItemRow(Struct, frozen=True):
    """One item as it is kept.

    ``json`` is its text as it is listed to the client. ``output`` is private: what the model reads of a hosted call.
    """

    id: str
    json: bytes
    output: str | None = None


class ResponseRow(Struct, frozen=True):
    """One response as it is kept. Times are Unix seconds; ``response`` is the JSON of the final object as sent."""

    id: str
    tenant: str
    status: str
    model: str
    created_at: int
    expires_at: int
    response: bytes
    previous_id: str | None = None


class Page(Struct, frozen=True):
    """A part of a list, in the order that was asked for."""

    rows: list[ItemRow]
    has_more: bool


class StoreError(Exception):
    """Something that the store refuses or cannot do."""


class StoreUnavailable(StoreError):
    """The engine cannot do its work now: the disk is full, a file cannot be read, or an answer did not come in time."""


class StoreBusy(StoreError):
    """Another process holds this database, and the engine serves one process alone."""


class StoreTooNew(StoreError):
    """The database was written by a newer version of this program."""


class StoreUrlError(StoreError):
    """The URL names no database that this engine can open."""


class Conflict(StoreError):
    """A key is taken already, or a row breaks a rule of the schema."""


class UnknownCursor(StoreError):
    """The item after which a page shall begin is not in the list."""
