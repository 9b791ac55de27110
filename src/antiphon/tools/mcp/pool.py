"""Connections that are kept for whoever has the same key: an owner, a URL and the same headers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from antiphon.tools.mcp.connection import Connection


class Key(Struct, frozen=True):
    """Who may share a connection. ``digest`` stands for the headers, credentials included."""

    tenant: str
    url: str
    digest: bytes


def key_of(tenant: str, url: str, headers: dict[str, str]) -> Key:
    """The key of an owner's connection to a URL with these headers."""
    told = sorted((name.lower(), value) for name, value in headers.items())
    return Key(tenant=tenant, url=url, digest=sha256(msgspec.json.encode(told)).digest())


class Pool:
    """Keeps at most ``limit`` connections. If all are in use, further ones are opened for one use each."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[Key, Connection] = {}  # the one that was used last stands last

    @asynccontextmanager
    async def lease(self, key: Key, start: Callable[[], Connection]) -> AsyncGenerator[Connection, None]:
        """The connection of a key, or one that ``start`` gives; it need not be open yet."""
        connection = self._found(key) or self._kept_if_room(key, start())
        connection.users += 1
        try:
            yield connection
        finally:
            connection.release()
            if not connection.is_alive:
                self.forget(key, connection)
            if connection.users == 0 and self._kept.get(key) is not connection:
                connection.close()

    def forget(self, key: Key, connection: Connection) -> None:
        """Keep a connection no more."""
        if self._kept.get(key) is connection:
            del self._kept[key]

    def _found(self, key: Key) -> Connection | None:
        connection = self._kept.pop(key, None)
        if connection is None:
            return None
        if connection.is_alive:
            self._kept[key] = connection
            return connection
        if connection.users == 0:
            connection.close()
        return None

    def _kept_if_room(self, key: Key, connection: Connection) -> Connection:
        if len(self._kept) >= self._limit:
            idle = next((other for other, kept in self._kept.items() if kept.users == 0), None)
            if idle is not None:
                self._kept.pop(idle).close()
        if len(self._kept) < self._limit:
            self._kept[key] = connection
        return connection
