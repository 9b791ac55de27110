"""Short ways to write rows for the store's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.core.log import Chunk
from antiphon.store import Final, ItemRow, ResponseRow

if TYPE_CHECKING:
    from antiphon.store.jobs import Jobs
    from antiphon.store.store import Store


def response(id: str, *, after: str | None = None, tenant: str = "a", expires_at: int = 1000) -> ResponseRow:
    """A response that differs from others by its id."""
    return ResponseRow(
        id=id,
        tenant=tenant,
        status="completed",
        model="scripted",
        created_at=0,
        expires_at=expires_at,
        response=b'{"id":"%s"}' % id.encode(),
        previous_id=after,
    )


def items(*ids: str) -> list[ItemRow]:
    """Items that differ by their ids."""
    return [ItemRow(id=key, json=b'{"id":"%s"}' % key.encode()) for key in ids]


async def save(store: Store, id: str, *, after: str | None = None, tenant: str = "a", expires_at: int = 1000) -> None:
    """Save the turn ``id``: one input item ``id.in``, one output item ``id.out``."""
    row = response(id, after=after, tenant=tenant, expires_at=expires_at)
    await store.save(row, inputs=items(f"{id}.in"), outputs=items(f"{id}.out"))


async def chain(store: Store, *ids: str) -> None:
    """Save these turns, each after the one before it."""
    for previous, turn in zip((None, *ids), ids, strict=False):
        await save(store, turn, after=previous)


async def context(store: Store, id: str, *, tenant: str = "a") -> list[str] | None:
    """The ids of the items of a response's context."""
    rows = await store.context(id, tenant=tenant)
    return None if rows is None else [row.id for row in rows]


def chunk(first: int, count: int = 1) -> Chunk:
    """A part of a log with so many events; with none of them it holds notes alone."""
    return Chunk(first, first + count - 1, f"[{first},{count}]")


OPENING = chunk(0, 2)


def final(id: str, *outputs: str, status: str = "completed") -> Final:
    """What the response ``id`` came to, with these items."""
    return Final(status, b'{"id":"%s","status":"%s"}' % (id.encode(), status.encode()), items(*outputs))


async def enqueue(jobs: Jobs, id: str, *, after: str | None = None, tenant: str = "a", expires_at: int = 1000) -> int:
    """Queue the response ``id`` with one input item ``id.in``, and return the number of its job."""
    row = replace(response(id, after=after, tenant=tenant, expires_at=expires_at), status="queued")
    return await jobs.enqueue(row, inputs=items(f"{id}.in"), opening=OPENING, sealed=f"sealed {id}")
