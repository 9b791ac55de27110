"""Conversing: the conversations of callers, and whose turn it is in each.

A response that is made in a conversation holds it while it runs, so that nothing comes between what it read and what it
says. Whoever holds one in this process is renewed by one task for all of them; whoever is gone loses it by itself.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal, TypeVar

import anyio
import msgspec
from msgspec.structs import replace

from antiphon.core.transcript import added, is_reference
from antiphon.ids import Ids, random_hex
from antiphon.lifecycle import Hold, kept_json
from antiphon.lifecycle.filtering import words
from antiphon.protocol.conversations import in_terms_of_items
from antiphon.protocol.errors import invalid_request
from antiphon.protocol.items import PREFIXES, Compaction, Item, ReasoningItem
from antiphon.protocol.refusals import conversation_item_not_found, conversation_locked, conversation_not_found
from antiphon.store import ConversationHeld, ItemRow, Page, StoreUnavailable, UnknownCursor
from antiphon.store.conversations import LOCK_SECONDS, Addition, ConversationRow

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

    from antiphon.core.turn import Output
    from antiphon.lifecycle import Caller
    from antiphon.lifecycle.filtering import Filtering
    from antiphon.lifecycle.shelf import Shelf
    from antiphon.lifecycle.tokens import Tokens
    from antiphon.protocol.conversations import Brought
    from antiphon.store.conversations import Conversations
    from antiphon.store.store import Store

T = TypeVar("T")

log = logging.getLogger(__name__)

RENEWED_SECONDS = LOCK_SECONDS / 4
"""How often it is said that conversations are still held."""

RELEASING_SECONDS = 10.0
"""How long it may take to let a conversation go; it is free by itself a little later."""

_CONVERSATION = re.compile(r"conv_[0-9a-f]{32}([0-9a-f]{16})")
_decode = msgspec.json.Decoder(Item).decode


class Conversing:
    """Makes, reads, extends and forgets conversations. ``now`` gives unix seconds.

    ``filtering``, where there is one, judges what callers add: a response in a conversation judges its own input alone.

    Every verb raises `StoreUnavailable`, and ``ApiError`` 404 where the caller has no such conversation.
    """

    def __init__(
        self, conversations: Conversations, store: Store, shelf: Shelf, *, tokens: Tokens, now: Callable[[], int]
    ) -> None:
        self.shelf = shelf
        self._tokens = tokens
        self._conversations = conversations
        self._store = store
        self._now = now
        self._began = now()
        self._holders: set[str] = set()
        self.filtering: Filtering | None = None

    # For whoever asks

    async def create(self, brought: Brought, caller: Caller) -> ConversationRow:
        """Keep a conversation that begins with these items. Raises ``ApiError`` as `add` does."""
        now = self._now()
        partition = random_hex(8)
        row = ConversationRow(f"conv_{now:08x}{random_hex(12)}{partition}", now, dict(brought.metadata))
        addition = await self._addition(row.id, brought, caller, known={}) if brought.items else None
        await self._conversations.create(row, tenant=caller.tenant, addition=addition)
        return row

    async def find(self, id: str, caller: Caller) -> ConversationRow:
        """The conversation of this id."""
        return _there(await self._conversations.find(id, tenant=caller.tenant), id)

    async def update(self, id: str, brought: Brought, caller: Caller) -> ConversationRow:
        """Give it other metadata."""
        metadata = dict(brought.metadata)
        return _there(await self._conversations.update(id, tenant=caller.tenant, metadata=metadata), id)

    async def delete(self, id: str, caller: Caller) -> None:
        """Forget it; the responses in it are kept."""
        if not await self._conversations.delete(id, tenant=caller.tenant):
            raise conversation_not_found(id)

    async def page(
        self, id: str, caller: Caller, *, limit: int, order: Literal["asc", "desc"], after: str | None
    ) -> Page:
        """A page of its items; ``asc`` is oldest first. Raises ``ApiError`` 400 for an unknown cursor."""
        try:
            page = await self._conversations.page(id, tenant=caller.tenant, limit=limit, order=order, after=after)
        except UnknownCursor as error:
            raise invalid_request(f"No item with id '{after}' in this list.", param="after") from error
        return _there(page, id)

    async def add(self, id: str, brought: Brought, caller: Caller) -> Page:
        """Add items at its end, and return those that were not in it already.

        Raises ``ApiError`` 409 while a response is written into it, 404 for a reference to nothing, and 400 for what a
        content filter stops.
        """
        await self.find(id, caller)
        named = [item.id for item in brought.items if item.id]
        known = await self._conversations.named(id, named, tenant=caller.tenant) if named else {}
        addition = await self._addition(id, brought, caller, known=known)
        if addition.items:
            await self._append(id, addition, caller)
        return Page(rows=addition.items, has_more=False)

    async def item(self, id: str, item: str, caller: Caller) -> ItemRow:
        """One item. Raises ``ApiError`` 404 where it is not in the conversation."""
        found = await self._conversations.named(id, [item], tenant=caller.tenant)
        if not found:
            await self.find(id, caller)
            raise conversation_item_not_found(item)
        return found[item]

    async def omit(self, id: str, item: str, caller: Caller) -> ConversationRow:
        """Take an item out, and return the conversation. Raises ``ApiError`` 404 where it is not in it."""
        row = await self.find(id, caller)
        if not await self._conversations.omit(id, item, tenant=caller.tenant):
            raise conversation_item_not_found(item)
        return row

    # For whoever makes a response

    async def history(self, id: str, caller: Caller) -> list[ItemRow]:
        """All its items, oldest first."""
        return _there(await self._conversations.context(id, tenant=caller.tenant), id)

    def ids(self, id: str) -> Ids:
        """Makes the ids of a response in this conversation: they share its partition, as in the live service."""
        return Ids(_partition(id), self._now)

    @asynccontextmanager
    async def holding(self, id: str, caller: Caller, response_id: str) -> AsyncGenerator[Hold, None]:
        """Hold a conversation for a response, until the end of the block, or longer where that keeps it.

        Raises ``ApiError`` 409 where it is held already.
        """
        hold = Hold()
        try:
            self._holders.add(response_id)
            await self._take(id, caller, response_id)
            yield hold
        finally:
            self._holders.discard(response_id)
            if not hold.is_kept:
                await self._release(id, caller, response_id)

    async def run(self) -> None:
        """Renew what is held in this process, until cancelled. First let go of what its predecessors held."""
        if not self._conversations.is_shared:
            await self._free()
        while True:
            await asyncio.sleep(RENEWED_SECONDS)
            await self.renew()

    async def renew(self) -> None:
        """Say that all that is held in this process still is."""
        if not self._holders:
            return
        try:
            await self._conversations.renew(sorted(self._holders), self._now())
        except StoreUnavailable as error:
            log.warning("holds not renewed", extra={"action": "holds_not_renewed", "error": str(error)})

    async def _free(self) -> None:
        """No other process writes: whatever was held before this one began is held by nobody."""
        before = self._began - 1 if self._holders else self._began  # within that second it may be our own
        try:
            await self._conversations.free(before=before)
        except StoreUnavailable as error:
            log.warning("holds not freed", extra={"action": "holds_not_freed", "error": str(error)})

    async def _take(self, id: str, caller: Caller, response_id: str) -> None:
        if not await self._conversations.lock(id, tenant=caller.tenant, holder=response_id, now=self._now()):
            await self.find(id, caller)
            raise conversation_locked()

    async def _release(self, id: str, caller: Caller, response_id: str) -> None:
        with suppress(StoreUnavailable), anyio.move_on_after(RELEASING_SECONDS, shield=True):
            await self._conversations.unlock(id, tenant=caller.tenant, holder=response_id)

    # What is added

    async def _append(self, id: str, addition: Addition, caller: Caller) -> None:
        try:
            is_there = await self._conversations.append(id, addition, tenant=caller.tenant, now=self._now())
        except ConversationHeld as error:
            raise conversation_locked() from error
        if not is_there:
            raise conversation_not_found(id)

    async def _addition(self, id: str, brought: Brought, caller: Caller, *, known: dict[str, ItemRow]) -> Addition:
        """What a caller brings as it is kept, without secrets, and with what is large on the shelf.

        ``known`` are the items of the conversation that it names.
        """
        said = [item if item.id else replace(item, id=self._item_id(item, id)) for item in brought.items]
        wanted = [item.id for item in said if is_reference(item) and item.id not in known]
        found = await self._store.find_items(wanted, tenant=caller.tenant) if wanted else {}
        with in_terms_of_items():
            fresh = added(_items(known.values()), said, {row.id: _decode(row.json) for row in found.values()})
        if self.filtering is not None:
            await self.filtering.prompt(words(each.item for each in fresh))
        addition = self.ids(id).new("add")
        async with self.shelf.fresh_board(caller.tenant, addition) as board:
            items = await board.items([each.item for each in fresh])
            outputs = await board.outputs([row.output for row in found.values() if row.output is not None])
        read = dict(zip([row.id for row in found.values() if row.output is not None], outputs, strict=True))
        with in_terms_of_items():
            read |= self._opened([item for item in items if item.id not in found], caller)
        rows = [
            ItemRow(id=item.id, json=kept_json(item, brought.extras[each.position]), output=read.get(item.id))
            for each, item in zip(fresh, items, strict=True)
        ]
        return Addition(addition, rows, has_blobs=board.is_used)

    def _opened(self, items: Sequence[Item], caller: Caller) -> dict[str, Output]:
        """What was thought in items that bring it sealed. Raises ``ApiError`` 400 for what cannot be opened."""
        thoughts: dict[str, Output] = {}
        for item in items:
            match item:
                case ReasoningItem(encrypted_content=str(sealed)) if sealed:
                    thoughts[item.id] = self._tokens.open("thought", sealed, caller.tenant, item.id).decode()
                case Compaction(encrypted_content=sealed):
                    self._tokens.open("summary", sealed, caller.tenant, item.id)
                case _:
                    pass
        return thoughts

    def _item_id(self, item: Item, conversation: str) -> str:
        """The id of an item that was sent without one, in the form of those that this route was seen to give."""
        return f"{PREFIXES[type(item)]}_{self._now():08x}{random_hex(12)}{_partition(conversation)}"


def _partition(conversation: str) -> str:
    match = _CONVERSATION.fullmatch(conversation)
    return match[1] if match else random_hex(8)


def _items(rows: Iterable[ItemRow]) -> list[Item]:
    return [_decode(row.json) for row in rows]


def _there(found: T | None, id: str) -> T:
    """What was found. Raises ``ApiError`` 404 where there is no such conversation."""
    if found is None:
        raise conversation_not_found(id)
    return found
