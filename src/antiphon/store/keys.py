"""Keys that an operator made for callers, kept as digests: whose they are, how long they open, and when they were used.

A key is 256 bits of chance, so one round of SHA-256 keeps it as well as a slow digest would: whoever has read the table
would have to try 2**255 keys. A slow digest is for passwords, which people choose; here each request would pay for it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, convert

from antiphon.store import Statement
from antiphon.store.queries import queries

if TYPE_CHECKING:
    from antiphon.store import Database, Dialogue, Params, Row

SECRET_BYTES = 32
SHOWN_CHARACTERS = 7
"""Of a key's 46, what the list shows for people to tell keys apart: 24 bits of the chance in it."""
PAUSE_MS = 3_600_000
"""How exactly it is known when a key was last used: to the hour, so that requests seldom write."""
_KEY = re.compile(r"ak-[A-Za-z0-9_-]{43}")

State = Literal["good", "expired", "revoked"]


class Found(Struct, frozen=True):
    """What a key is. ``is_used_anew``: nobody has noted its use for an hour."""

    id: str
    tenant: str
    state: State
    is_used_anew: bool


class Entry(Struct, frozen=True):
    """A key as it is listed, without what opens. ``shown`` is its beginning; times are milliseconds of Unix time."""

    id: str
    tenant: str
    state: State
    name: str
    shown: str
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None


class Keys:
    """The keys of all tenants. Every verb raises `StoreUnavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = queries(database.engine)

    async def add(self, key: str, *, tenant: str, name: str, life_ms: int | None) -> str:
        """Keep a key, and return its id; it is durable when this returns. Without a life it never expires."""
        columns: Params = {
            "id": f"key_{secrets.token_hex(8)}",
            "digest": digest(key),
            "shown": key[:SHOWN_CHARACTERS],
            "tenant": tenant,
            "name": name,
            "life": life_ms,
        }
        rows = await self._database.transaction(partial(_run, Statement(self._sql["add_key"], columns)))
        [(id,)] = convert(rows, list[tuple[str]])
        return id

    async def find(self, digest: str) -> Found | None:
        """What the key of this digest is; None where there was never one."""
        rows = await self._database.fetch(self._sql["find_key"], {"digest": digest, "pause": PAUSE_MS})
        found = convert(rows, list[tuple[str, str, State, int]])
        return Found(*found[0][:3], is_used_anew=bool(found[0][3])) if found else None

    async def touch(self, id: str) -> None:
        """Note that a key is in use, once an hour at most."""
        statement = Statement(self._sql["touch_key"], {"id": id, "pause": PAUSE_MS})
        await self._database.transaction(partial(_run, statement))

    async def entries(self, *, tenant: str | None = None) -> list[Entry]:
        """All keys, the oldest first, the expired and the revoked ones too; of one tenant, or of all."""
        rows = await self._database.fetch(self._sql["all_keys"], {"tenant": tenant})
        return [Entry(*row) for row in convert(rows, list[_Columns])]

    async def any_good(self) -> bool:
        """Whether there is a key that opens."""
        return bool(await self._database.fetch(self._sql["any_good_key"], {}))

    async def revoke(self, id: str) -> bool:
        """Let a key open nothing from now on; False where there is none. It is durable when this returns."""
        return bool(await self._database.transaction(partial(_run, Statement(self._sql["revoke_key"], {"id": id}))))


_Columns = tuple[str, str, State, str, str, int, int | None, int | None, int | None]


def new_key() -> str:
    """A key that nobody has seen: ``ak-`` and 43 letters, digits, dashes and underscores."""
    return f"ak-{secrets.token_urlsafe(SECRET_BYTES)}"


def is_key(text: str) -> bool:
    """Whether a text has the form of a key: what has not need not be looked up."""
    return _KEY.fullmatch(text) is not None


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _run(statement: Statement) -> Dialogue[list[Row]]:
    """One statement and its rows."""
    return (yield statement)
