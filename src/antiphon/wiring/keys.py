"""Keys as an operator makes, lists and revokes them in the configured store, while servers run or while none does."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from antiphon.http.auth.config import TENANT_FORM, is_tenant
from antiphon.http.auth.stored import FRESH_SECONDS
from antiphon.store import StoreError
from antiphon.store.keys import Keys, new_key
from antiphon.store.sqlite_guest import is_ready, visit
from antiphon.wiring import migrate, open_database, tables
from antiphon.wiring.tables import iso

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from typing import TextIO

    from antiphon.config import Config, Storage
    from antiphon.store.keys import Entry

LONGEST_NAME = 128
SECOND_MS = 1000
SPAN = re.compile(r"(?P<count>[1-9]\d{0,5})(?P<unit>[smhdw])")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST_SPAN = 100 * 365 * 86_400
HEADINGS = ("id", "key", "tenant", "name", "state", "created", "expires", "last used", "revoked")


class KeyFault(Exception):
    """What was asked of keys cannot be done; the message says why."""


class Line(Struct, frozen=True):
    """A key as it is told: times are ISO 8601 in UTC. ``last_used_at`` is known to the hour."""

    id: str
    key: str
    tenant: str
    name: str
    state: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


async def create(config: Config, *, tenant: str, name: str, expires: str | None) -> tuple[str, str]:
    """Make a key, and return it with what a person should know of it. Nobody can see it again.

    Raises `KeyFault` and `StoreError`.
    """
    if not is_tenant(tenant):
        raise KeyFault(f"{tenant!r} is no name of a tenant: {TENANT_FORM}.")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise KeyFault(f"The name of a key has {LONGEST_NAME} characters at most, which can be printed.")
    life_ms = None if expires is None else _seconds(expires) * SECOND_MS
    key = new_key()
    async with _kept(config.store) as keys:
        id = await keys.add(key, tenant=tenant, name=name, life_ms=life_ms)
    note = f"{id} opens what is of tenant {tenant}. The key is shown this once: only its digest is kept."
    if config.auth is None:
        note += " The configuration has no [auth] section, so servers take any key: write [auth] into it."
    return key, note


async def show(config: Config, *, tenant: str | None, is_json: bool, out: TextIO) -> str:
    """Write the keys, and return what else a person should know; empty where there is nothing to say.

    Raises `StoreError`.
    """
    async with _read(config.store) as keys:
        lines = [] if keys is None else [_line(entry) for entry in await keys.entries(tenant=tenant)]
    if is_json:
        for line in lines:
            print(msgspec.json.encode(line).decode(), file=out)
    elif lines:
        tables.write(tables.table(HEADINGS, map(_cells, lines)), out)
    return "" if lines else "There are no keys: `antiphon keys create --tenant NAME` makes one."


async def revoke(config: Config, id: str) -> str:
    """Let a key open nothing any more, and say so. Raises `KeyFault` and `StoreError`."""
    async with _kept(config.store) as keys:
        if not await keys.revoke(id):
            raise KeyFault(f"There is no key {id!r}: `antiphon keys list` shows the ids of all.")
    return f"{id} was revoked; every server refuses it within {FRESH_SECONDS:.0f} seconds."


async def warning(config: Config) -> str:
    """What is to be said of who can call; empty where somebody can. A store that cannot be asked counts as empty."""
    if config.auth is None or config.auth.keys or config.auth.oidc is not None:
        return ""
    try:
        async with _read(config.store) as keys:
            if keys is not None and await keys.any_good():
                return ""
    except StoreError as error:
        return f"Whether anybody has a key cannot be told: {error}"
    return (
        "Nobody can call: [auth] names no keys and no issuer, and none was made. `antiphon keys create --tenant NAME` "
        "makes one, also while the server runs."
    )


@asynccontextmanager
async def _read(storage: Storage) -> AsyncGenerator[Keys | None]:
    """The keys, to be read; None where no server has made the database yet, or none of this version."""
    if storage.is_lone_file and not is_ready(storage.place):
        yield None
        return
    database = await (visit(storage.place) if storage.is_lone_file else open_database(storage))
    try:
        yield Keys(database)
    finally:
        await database.aclose()


@asynccontextmanager
async def _kept(storage: Storage) -> AsyncGenerator[Keys]:
    """The keys, to be changed. A file that no server of this version has seen is brought to this version first."""
    if storage.is_lone_file and not is_ready(storage.place):
        await migrate(storage, post=False)
    database = await (visit(storage.place, writes=True) if storage.is_lone_file else open_database(storage))
    try:
        yield Keys(database)
    finally:
        await database.aclose()


def _seconds(span: str) -> int:
    match = SPAN.fullmatch(span)
    seconds = int(match["count"]) * UNITS[match["unit"]] if match else 0
    if not 0 < seconds <= LONGEST_SPAN:
        raise KeyFault(f"{span!r} is no span of time: write one such as 12h, 90d or 52w.")
    return seconds


def _line(entry: Entry) -> Line:
    return Line(
        id=entry.id,
        key=f"{entry.shown}...",
        tenant=entry.tenant,
        name=entry.name,
        state=entry.state,
        created_at=iso(entry.created_at),
        expires_at=None if entry.expires_at is None else iso(entry.expires_at),
        last_used_at=None if entry.last_used_at is None else iso(entry.last_used_at),
        revoked_at=None if entry.revoked_at is None else iso(entry.revoked_at),
    )


def _cells(line: Line) -> list[str]:
    return [
        line.id,
        line.key,
        line.tenant,
        line.name,
        line.state,
        line.created_at,
        line.expires_at or "never",
        line.last_used_at or "never",
        line.revoked_at or "",
    ]
