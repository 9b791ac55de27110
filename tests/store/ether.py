"""What several processes hear of each other, without a database: every message reaches all that listen."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from antiphon.store import LONGEST_MESSAGE, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.store import Dialogue, Params, Row

T = TypeVar("T")


class Ether:
    """Who listens, and what was said, in order."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[str], None]] = []
        self.said: list[str] = []


class Station:
    """A database that carries messages and no rows. ``is_deaf``: it hears nothing; ``is_away``: nobody hears it."""

    engine = "postgres"
    is_shared = True

    def __init__(self, ether: Ether, *, is_deaf: bool = False) -> None:
        self._ether = ether
        self._is_deaf = is_deaf
        self.is_away = False

    async def fetch(self, sql: str, params: Params) -> list[Row]:
        """There are no rows."""
        raise StoreUnavailable("A station has no rows.")

    async def transaction(self, dialogue: Callable[[], Dialogue[T]]) -> T:
        """There are no rows."""
        raise StoreUnavailable("A station has no rows.")

    async def reclaim(self) -> None:
        """There is no room."""

    async def notify(self, message: str) -> None:
        """Say it to all, unless nothing can be said."""
        if len(message.encode()) > LONGEST_MESSAGE:
            raise ValueError(message)
        if self.is_away:
            return
        self._ether.said.append(message)
        for heard in self._ether.listeners:
            heard(message)

    async def listen(self, heard: Callable[[str], None]) -> bool:
        """Hear all."""
        if not self._is_deaf:
            self._ether.listeners.append(heard)
        return not self._is_deaf

    async def aclose(self) -> None:
        """There is nothing to let go of."""
