"""The third door: a database runs SQL and knows no response. Beside it, the rows that the store keeps and its errors.

A statement has named parameters (``:id``); `queries` has its text for the engine that runs it. A transaction is a
*dialogue*: a generator that yields statements, is sent their rows, and returns the result. It says what is asked; the
engine decides how it waits, on which thread, how many transactions share a commit, and whether it must begin anew
because another transaction was in its way. So a dialogue waits for nothing itself, changes nothing outside of the
database, and may be run on any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol, TypeAlias, TypeVar

from msgspec import Struct

from antiphon.core.tally import Tally
from antiphon.core.turn import Output

T = TypeVar("T")
Value: TypeAlias = str | int | None
Row: TypeAlias = tuple[Value, ...]
Params: TypeAlias = dict[str, Value]

LONGEST_MESSAGE = 7000
"""Bytes of a message to other processes. PostgreSQL takes 7,999."""


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
    """A place for rows. `fetch`, `transaction` and `reclaim` raise `StoreUnavailable` where the engine cannot work now.

    A module that opens one has ``connect(url, *, pooled=False)`` and ``migrate(url, *, post=False)``. ``pooled`` says
    that a pooler stands before the server which gives a connection away after each transaction.
    """

    @property
    def engine(self) -> str:
        """Which texts of the queries it runs: ``sqlite`` or ``postgres``."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether several processes may open it at once."""
        ...

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

    async def notify(self, message: str) -> None:
        """Tell every process that listens, this one too; best effort, so nothing is raised for what cannot be told.

        It is told at once, so it comes after the transaction that it tells of. Raises `ValueError` where the message
        is longer than `LONGEST_MESSAGE` bytes.
        """
        ...

    async def listen(self, heard: Callable[[str], None]) -> bool:
        """From now on call ``heard``, on the event loop, with each message; False where nothing can be heard here.

        With an empty message it says that any may have been missed.
        """
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
    output: Output | None = None


class Cost(Struct, frozen=True):
    """What a response is counted under. ``tally`` is what it took; None as long as it waits or runs.

    ``asked``: how many tokens its model is asked at first, estimated. ``quota``: the limit of background runs for which
    it counts.
    """

    deployment: str
    tally: Tally | None = None
    asked: int = 0
    quota: str | None = None


class ResponseRow(Struct, frozen=True):
    """One response as it is kept. Times are Unix seconds; ``response`` is the JSON of the final object as sent.

    ``has_blobs``: there are blobs under its prefix, which go when it is erased. It stands after ``previous_id``, or at
    the end of its ``conversation``, one of the two. Without a ``response`` it is a tombstone from the start, as behind
    items that a caller adds to a conversation. Without a ``cost`` nothing is counted.
    """

    id: str
    tenant: str
    status: str
    model: str
    created_at: int
    expires_at: int
    response: bytes
    previous_id: str | None = None
    has_blobs: bool = False
    conversation: str | None = None
    cost: Cost | None = None


class Final(Struct, frozen=True):
    """What a response came to that was saved while it ran: its final JSON, the items that it made, what it took."""

    status: str
    response: bytes
    outputs: list[ItemRow]
    tally: Tally | None = None


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


class StoreTooOld(StoreError):
    """The database lacks steps that this version needs, and older processes may still serve on it."""


class StoreUrlError(StoreError):
    """The URL names no database that this engine can open."""


class Conflict(StoreError):
    """A key is taken already, or a row breaks a rule of the schema."""


class ConversationHeld(StoreError):
    """Somebody else is writing into this conversation, or did meanwhile."""


class UnknownCursor(StoreError):
    """The item after which a page shall begin is not in the list."""
