"""How a connection to PostgreSQL is made, and what its URL may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import asyncpg
from msgspec import Struct

from antiphon.store import StoreUrlError
from antiphon.store.postgres.faults import translated

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Lent: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

SCHEMES = {"postgresql", "postgres"}
CONNECTIONS = 8
CACHED_STATEMENTS = 100  # more than the store has
PATIENCE = 10.0  # seconds until a server that does not greet is given up

SESSION = {
    "application_name": "antiphon",
    "jit": "off",  # compiling takes longer than any of these statements
}
LIMITS = {
    "lock_timeout": "3000",  # ms: who waits for a row holds a connection that others need
    "idle_in_transaction_session_timeout": "5000",  # ms: a process that hangs lets go of the rows that it holds
}
"""What holds for transactions; a migration may have to wait longer."""

POOLED_SESSION = {"application_name": "antiphon"}  # a pooler refuses what would differ from client to client


class Place(Struct, frozen=True):
    """Where a database is: its URL, which may hold a password, and whether a pooler stands before it."""

    url: str
    is_pooled: bool = False

    async def connect(self) -> Connection:
        """Open one connection. Raises `StoreUrlError` and `StoreUnavailable`; neither quotes the URL."""
        with translated():
            try:
                _check(self.url)
                return await asyncpg.connect(
                    self.url,
                    timeout=PATIENCE,
                    statement_cache_size=self._cached,
                    server_settings=self._session,
                )
            except ValueError:
                pass  # it may quote the password, and so may its traceback
        raise StoreUrlError("The URL of the store is not postgresql://USER:PASSWORD@HOST:PORT/DATABASE.")

    async def pool(self) -> Pool:
        """A few connections, each opened when it is needed."""
        return await asyncpg.create_pool(
            self.url,
            min_size=0,
            max_size=CONNECTIONS,
            reset=_left_as_it_is,
            timeout=PATIENCE,
            statement_cache_size=self._cached,
            server_settings=self._session if self.is_pooled else SESSION | LIMITS,
        )

    @property
    def begin(self) -> str:
        """What begins a transaction; behind a pooler it brings the limits that no session there can have."""
        begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
        limits = [f"SET LOCAL {name} = {value}" for name, value in LIMITS.items()] if self.is_pooled else []
        return "; ".join([begin, *limits])

    @property
    def _cached(self) -> int:
        """A prepared statement lives on one server connection, and a pooler gives another each time."""
        return 0 if self.is_pooled else CACHED_STATEMENTS

    @property
    def _session(self) -> dict[str, str]:
        return POOLED_SESSION if self.is_pooled else SESSION


def _check(url: str) -> None:
    """Raises `ValueError` where a URL names no database, or says what would be ignored."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or parts.fragment or len(parts.path) <= len("/"):
        raise ValueError


async def _left_as_it_is(_: Connection) -> None:
    """No transaction changes its session, so there is nothing to reset when a connection goes back."""
