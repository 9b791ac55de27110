"""The schema of a PostgreSQL database: what was recorded of it, and the steps that are missing.

Whoever changes it holds one lock, so that several processes may start at once. An empty database is brought to this
version in one transaction: another process finds nothing, or all of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from antiphon.store import StoreTooOld, migrations
from antiphon.store.postgres.faults import translated

if TYPE_CHECKING:
    from antiphon.store.migrations import Migration
    from antiphon.store.postgres.opening import Connection

LOCK = 0x616E7469_70686F6E  # "antiphon"
DEADLINE = 3600.0  # seconds; an index over a large table takes its time
RECORD = "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL)"
# A step that waits for a lock keeps all others waiting behind it: it rather fails, and is run again.
LOCK_TIMEOUT = "SET LOCAL lock_timeout = '10s'"


async def prepare(connection: Connection) -> None:
    """Bring an empty database to this version, and refuse one that this version cannot serve on.

    Raises `StoreTooOld`, `StoreTooNew` and `StoreUnavailable`.
    """
    known = migrations.read("postgres")
    with translated():
        recorded = await _recorded(connection) or await _fill(connection, known)
    migrations.refuse_newer(recorded, known)
    if missing := [step.name for step in known if step.number not in recorded and not step.is_post]:
        raise StoreTooOld(
            f"The database lacks what {', '.join(missing)} brings. Run `antiphon migrate --config FILE`: older "
            "processes may serve on meanwhile."
        )


async def advance(connection: Connection, *, post: bool) -> list[str]:
    """Run what is missing, each step in one transaction with its record, and return the names of what was run.

    *Post* steps are run with ``post`` alone. Raises `StoreTooNew` and `StoreUnavailable`.
    """
    known = migrations.read("postgres")
    async with asyncio.timeout(DEADLINE):
        with translated():
            return [step.name for step in known if (post or not step.is_post) and await _take(connection, step, known)]


async def _take(connection: Connection, step: Migration, known: list[Migration]) -> bool:
    """Run a step in a transaction of its own; False where it was run before."""
    async with connection.transaction():
        await _lock(connection)
        recorded = await _recorded(connection)
        migrations.refuse_newer(recorded, known)
        if step.number in recorded:
            return False
        await _run(connection, step)
        return True


async def _fill(connection: Connection, known: list[Migration]) -> dict[int, str]:
    """Run all steps on a database that is empty still when it is this process's turn; return what is recorded then."""
    async with asyncio.timeout(DEADLINE), connection.transaction():
        await _lock(connection)
        if recorded := await _recorded(connection):
            return recorded
        for step in known:
            await _run(connection, step)
        return await _recorded(connection)


async def _recorded(connection: Connection) -> dict[int, str]:
    """The steps that were run, by number; none where the database is empty."""
    if await connection.fetchval("SELECT to_regclass('migrations') IS NULL"):
        return {}
    return {row["number"]: row["name"] for row in await connection.fetch("SELECT number, name FROM migrations")}


async def _lock(connection: Connection) -> None:
    """Be the only process that changes the schema, until the transaction ends."""
    await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK}); {LOCK_TIMEOUT}; {RECORD}")


async def _run(connection: Connection, step: Migration) -> None:
    await connection.execute(step.sql)
    await connection.execute("INSERT INTO migrations (number, name) VALUES ($1, $2)", step.number, step.name)
