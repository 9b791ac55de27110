"""Short ways to talk, for the store's tests: conversations ``c`` of the tenant ``a``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.store.conversations import Addition, ConversationRow, Conversations
from tests.store.rows import OPENING, chunk, final, items, response

if TYPE_CHECKING:
    from antiphon.core.log import Chunk
    from antiphon.store import Final
    from antiphon.store.jobs import Jobs
    from antiphon.store.store import Store

NOW = 1000


async def begin(talks: Conversations, id: str = "c", *ids: str, tenant: str = "a") -> None:
    """A conversation with these items."""
    addition = Addition(f"{id}.0", items(*ids)) if ids else None
    await talks.create(ConversationRow(id, NOW, {"k": "v"}), tenant=tenant, addition=addition)


async def add(talks: Conversations, *ids: str, to: str = "c", now: int = NOW) -> bool:
    """Add these items."""
    return await talks.append(to, Addition(f"{to}.{ids[0]}", items(*ids)), tenant="a", now=now)


async def say(talks: Conversations, store: Store, id: str, *, into: str = "c", expires_at: int = 9000) -> None:
    """The turn ``id`` in a conversation: one input item ``id.in``, one output item ``id.out``."""
    assert await talks.lock(into, tenant="a", holder=id, now=NOW)
    row = replace(response(id, expires_at=expires_at), conversation=into)
    await store.save(row, inputs=items(f"{id}.in"), outputs=items(f"{id}.out"))


async def queue(talks: Conversations, jobs: Jobs, id: str, *, into: str = "c") -> int:
    """Queue the turn ``id`` in a conversation."""
    assert await talks.lock(into, tenant="a", holder=id, now=NOW)
    row = replace(response(id, expires_at=9000), conversation=into, status="queued")
    return await jobs.enqueue(row, inputs=items(f"{id}.in"), opening=OPENING, sealed="")


async def held(talks: Conversations, id: str = "c") -> list[str] | None:
    """The ids of a conversation's items."""
    rows = await talks.context(id, tenant="a")
    return None if rows is None else [row.id for row in rows]


def ending(id: str, *outputs: str, status: str = "completed") -> tuple[Chunk, Final]:
    """The end of a job."""
    return chunk(2), final(id, *outputs, status=status)
