"""The routes of ``/conversations``: conversations, and the items in them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from antiphon.http.listing import listed
from antiphon.http.responses import THREADED, Listing
from antiphon.lifecycle.inlining import sized
from antiphon.protocol.conversations import (
    Brought,
    ConversationDeleted,
    ConversationObject,
    read_addition,
    read_creation,
    read_update,
)
from antiphon.protocol.reading import read_query
from antiphon.protocol.request import Include
from antiphon.store import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from antiphon.http.app import Answer
    from antiphon.http.exchange import Exchange
    from antiphon.lifecycle import Caller
    from antiphon.lifecycle.conversing import Conversing
    from antiphon.store.conversations import ConversationRow


class Showing(Struct, frozen=True):
    """The query of what tells items."""

    include: list[Include] = []


class _Single(Struct, frozen=True, rename={"items": "data"}):
    """A page with one item."""

    items: list[Raw]


class Conversations:
    """Answers the routes of ``/conversations``. ``body_limit`` is in bytes."""

    def __init__(self, conversing: Conversing, *, body_limit: int) -> None:
        self._conversing = conversing
        self._body_limit = body_limit

    def routes(self) -> dict[str, Mapping[str, Answer]]:
        """The paths, and what answers each of their methods."""
        return {
            "/conversations": {"POST": self.create},
            "/conversations/{id}": {"GET": self.retrieve, "POST": self.update, "DELETE": self.delete},
            "/conversations/{id}/items": {"GET": self.list_items, "POST": self.add_items},
            "/conversations/{id}/items/{item_id}": {"GET": self.retrieve_item, "DELETE": self.delete_item},
        }

    async def create(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /conversations``: with items and metadata, or without a body at all."""
        brought = Brought() if _is_bare(exchange) else await self._brought(exchange, read_creation)
        await exchange.answer_with(_told(await self._conversing.create(brought, caller)))

    async def retrieve(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /conversations/{id}``."""
        await exchange.answer_with(_told(await self._conversing.find(exchange.params["id"], caller)))

    async def update(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /conversations/{id}``: other metadata."""
        brought = await self._brought(exchange, read_update)
        await exchange.answer_with(_told(await self._conversing.update(exchange.params["id"], brought, caller)))

    async def delete(self, exchange: Exchange, caller: Caller) -> None:
        """``DELETE /conversations/{id}``."""
        id = exchange.params["id"]
        await self._conversing.delete(id, caller)
        await exchange.answer_with(ConversationDeleted(id=id))

    async def list_items(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /conversations/{id}/items``: the newest first by default."""
        asked = read_query(exchange.query.multi_items(), Listing)
        page = await self._conversing.page(
            exchange.params["id"], caller, limit=asked.limit, order=asked.order, after=asked.after
        )
        await exchange.answer(await self._shown(page, asked.include, caller))

    async def add_items(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /conversations/{id}/items``: a list of what was added."""
        asked = read_query(exchange.query.multi_items(), Showing)
        brought = await self._brought(exchange, read_addition)
        page = await self._conversing.add(exchange.params["id"], brought, caller)
        await exchange.answer(await self._shown(page, asked.include, caller))

    async def retrieve_item(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /conversations/{id}/items/{item_id}``: as it is told in a list."""
        asked = read_query(exchange.query.multi_items(), Showing)
        row = await self._conversing.item(exchange.params["id"], exchange.params["item_id"], caller)
        page = await self._shown(Page(rows=[row], has_more=False), asked.include, caller)
        await exchange.answer(bytes(await sized(len(page), _only, page)))

    async def delete_item(self, exchange: Exchange, caller: Caller) -> None:
        """``DELETE /conversations/{id}/items/{item_id}``: the conversation that it was in."""
        params = exchange.params
        await exchange.answer_with(_told(await self._conversing.omit(params["id"], params["item_id"], caller)))

    async def _brought(self, exchange: Exchange, read: Callable[[bytes], Brought]) -> Brought:
        """What was sent; what had no effect is named in a header."""
        body = await exchange.body(self._body_limit)
        brought = await asyncio.to_thread(read, body) if len(body) > THREADED else read(body)
        if brought.ignored:
            exchange.add_header("x-ignored-params", brought.ignored)
        return brought

    async def _shown(self, page: Page, include: Collection[str], caller: Caller) -> bytes:
        text = await sized(sum(len(row.json) for row in page.rows), listed, page, include)
        return await self._conversing.shelf.filled(text, caller.tenant)


_decode_single = msgspec.json.Decoder(_Single).decode


def _only(page: bytes) -> Raw:
    """The one item of a page."""
    [item] = _decode_single(page).items
    return item


def _is_bare(exchange: Exchange) -> bool:
    """Whether a request comes without a body, and without a word on what that would be."""
    names = {*exchange.headers.keys()}
    return (
        names.isdisjoint(("content-type", "transfer-encoding")) and exchange.headers.get("content-length", "0") == "0"
    )


def _told(row: ConversationRow) -> ConversationObject:
    """A conversation as clients see it."""
    return ConversationObject(id=row.id, created_at=row.created_at, metadata=row.metadata)
