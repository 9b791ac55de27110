"""Conversations: lines of items that do not expire, each at the end of a lineage as a response is.

One response at a time is written into a conversation: it holds it from before it reads the items until its own are
appended, so that nothing comes in between. What a caller adds or deletes is one transaction.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, convert
from msgspec.json import Decoder, encode

from antiphon.store import Batch, ConversationHeld, ItemRow, Page, ResponseRow, Statement, UnknownCursor
from antiphon.store.queries import queries
from antiphon.store.saving import add_lineage, save
from antiphon.store.store import item_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from antiphon.store import Database, Dialogue, Params, Row

LOCK_SECONDS = 60
"""How long a conversation is held after its holder last said so: whoever is silent that long is gone."""


class ConversationRow(Struct, frozen=True):
    """One conversation as it is kept. ``created_at`` is in Unix seconds."""

    id: str
    created_at: int
    metadata: dict[str, str]


class Addition(Struct, frozen=True):
    """Items that a caller adds, oldest first.

    ``id`` is like no response's; under its prefix lie their blobs, where it ``has_blobs``, which go when they go.
    """

    id: str
    items: list[ItemRow]
    has_blobs: bool = False


class Conversations:
    """Conversations, each the property of a tenant: what is not yours is not there.

    Times are Unix seconds. Every verb raises `StoreUnavailable`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = queries(database.engine)
        self.is_shared = database.is_shared
        """Whether other processes may hold conversations of it."""

    async def create(self, row: ConversationRow, *, tenant: str, addition: Addition | None = None) -> None:
        """Keep a conversation that begins with these items. Raises `Conflict` where the id is taken."""
        await self._database.transaction(partial(_create, self._sql, row, tenant, addition))

    async def find(self, id: str, *, tenant: str) -> ConversationRow | None:
        """The conversation of this id; None where there is no such conversation."""
        return _conversation(await self._database.fetch(self._sql["conversation"], {"id": id, "tenant": tenant}))

    async def update(self, id: str, *, tenant: str, metadata: dict[str, str]) -> ConversationRow | None:
        """Give a conversation other metadata; None where there is no such conversation."""
        columns: Params = {"id": id, "tenant": tenant, "metadata": encode(metadata).decode()}
        update = Statement(self._sql["update_conversation"], columns)
        return _conversation(await self._database.transaction(partial(_run, update)))

    async def delete(self, id: str, *, tenant: str) -> bool:
        """Forget a conversation, not the responses in it; False where there is no such conversation.

        A response that is being written into it is kept without what was before it, unless it runs in the background.
        """
        deletion = Statement(self._sql["delete_conversation"], {"id": id, "tenant": tenant})
        return await self._database.transaction(partial(_delete, self._sql, deletion))

    # Items

    async def context(self, id: str, *, tenant: str) -> list[ItemRow] | None:
        """All items of a conversation, oldest first; None where there is no such conversation."""
        rows = await self._database.fetch(self._sql["conversation_context"], {"id": id, "tenant": tenant})
        # A lineage without items is a row of NULLs, so that an empty conversation differs from none.
        return item_rows([row for row in rows if row[0] is not None]) if rows else None

    async def named(self, id: str, ids: Sequence[str], *, tenant: str) -> dict[str, ItemRow]:
        """Of these ids the items that a conversation lists. Unknown ids are left out."""
        wanted: Params = {"id": id, "tenant": tenant, "ids": encode(ids).decode()}
        return {row.id: row for row in item_rows(await self._database.fetch(self._sql["conversation_named"], wanted))}

    async def page(
        self, id: str, *, tenant: str, limit: int, order: Literal["asc", "desc"], after: str | None
    ) -> Page | None:
        """A page of a conversation's items; ``asc`` is oldest first.

        An item that stands there twice is listed once, at its last place. None where there is no such conversation.
        Raises `UnknownCursor` where ``after`` is not the id of an item of the list.
        """
        place: Params = {"after": after, "direction": 1 if order == "asc" else -1, "limit": limit + 1}
        rows = await self._database.fetch(self._sql["conversation_page"], {"id": id, "tenant": tenant, **place})
        if not rows and await self.find(id, tenant=tenant) is None:
            return None
        if not rows and after is not None and not await self.named(id, [after], tenant=tenant):
            raise UnknownCursor(after)
        return Page(rows=item_rows(rows[:limit]), has_more=len(rows) > limit)

    async def append(self, id: str, addition: Addition, *, tenant: str, now: int) -> bool:
        """Add items at the end; False where there is no such conversation.

        Raises `ConversationHeld` where a response is being written into it, and `Conflict` where the id of the addition
        is taken.
        """
        return await self._database.transaction(partial(_extend, self._sql, id, addition, tenant=tenant, now=now))

    async def omit(self, id: str, item: str, *, tenant: str) -> bool:
        """Take an item out; False where there is no such item, or no such conversation.

        It is in no list and no context of the conversation from now on. Responses that had it keep it.
        """
        return await self._database.transaction(partial(_omit, self._sql, id, item, tenant=tenant))

    # Whose turn it is

    async def lock(self, id: str, *, tenant: str, holder: str, now: int) -> bool:
        """Hold a conversation for the response ``holder``; False where it is held already, or there is none.

        It is held for `LOCK_SECONDS` after it was last renewed, and as long as the holder has a job that has not ended.
        """
        return bool(await self._database.transaction(partial(_run, _lock(self._sql, id, tenant, holder, now=now))))

    async def unlock(self, id: str, *, tenant: str, holder: str) -> None:
        """Let a conversation go, where ``holder`` holds it."""
        freed = Statement(self._sql["unlock_conversation"], {"id": id, "tenant": tenant, "holder": holder})
        await self._database.transaction(partial(_run, freed))

    async def renew(self, holders: Sequence[str], now: int) -> None:
        """These hold what they hold on."""
        renewal = Statement(self._sql["renew_conversations"], {"holders": encode(holders).decode(), "now": now})
        await self._database.transaction(partial(_run, renewal))

    async def free(self, *, before: int) -> None:
        """Let go of all that was last held then or before, by whoever has no job that has not ended."""
        await self._database.transaction(partial(_run, Statement(self._sql["free_conversations"], {"before": before})))


_decode_metadata = Decoder(dict[str, str]).decode


def _conversation(rows: list[Row]) -> ConversationRow | None:
    for id, created_at, metadata in convert(rows, list[tuple[str, int, str]]):
        return ConversationRow(id, created_at, _decode_metadata(metadata))
    return None


def _run(statement: Statement) -> Dialogue[list[Row]]:
    """One statement and its rows."""
    return (yield statement)


def _lock(sql: Mapping[str, str], id: str, tenant: str, holder: str, *, now: int) -> Statement:
    params: Params = {"id": id, "tenant": tenant, "holder": holder, "now": now, "seconds": LOCK_SECONDS}
    return Statement(sql["lock_conversation"], params)


def _create(sql: Mapping[str, str], row: ConversationRow, tenant: str, addition: Addition | None) -> Dialogue[None]:
    lineage = yield from add_lineage(sql, tenant, None, tip=0, count=0)
    columns: Params = {
        "tenant": tenant,
        "id": row.id,
        "created_at": row.created_at,
        "metadata": encode(row.metadata).decode(),
        "lineage": lineage,
        "holder": None if addition is None else addition.id,
    }
    yield Statement(sql["add_conversation"], columns)
    if addition is not None:
        yield from save(sql, _tombstone(row.id, addition, tenant, row.created_at), addition.items, [])


def _extend(sql: Mapping[str, str], id: str, addition: Addition, *, tenant: str, now: int) -> Dialogue[bool]:
    """Hold it, append, and let it go."""
    if not (yield _lock(sql, id, tenant, addition.id, now=now)):
        if (yield Statement(sql["conversation"], {"id": id, "tenant": tenant})):
            raise ConversationHeld(id)
        return False
    yield from save(sql, _tombstone(id, addition, tenant, now), addition.items, [])
    return True


def _tombstone(conversation: str, addition: Addition, tenant: str, now: int) -> ResponseRow:
    """What stands behind items that no response brought: they are erased, and counted, as all others."""
    return ResponseRow(
        id=addition.id,
        tenant=tenant,
        status="added",
        model="",
        created_at=now,
        expires_at=now,
        response=b"",
        has_blobs=addition.has_blobs,
        conversation=conversation,
    )


def _omit(sql: Mapping[str, str], id: str, item: str, *, tenant: str) -> Dialogue[bool]:
    for (number,) in convert((yield Statement(sql["omission"], {"id": id, "tenant": tenant})), list[tuple[int]]):
        omission: Params = {"conversation": id, "tenant": tenant, "id": item, "number": number}
        return bool((yield Statement(sql["omit_items"], omission)))
    return False


def _delete(sql: Mapping[str, str], deletion: Statement) -> Dialogue[bool]:
    """Forget it, and leave word for the sweep."""
    lineages = convert((yield deletion), list[tuple[int]])
    yield Batch(sql["mark_lineage"], [{"lineage": lineage} for (lineage,) in lineages])
    return bool(lineages)
