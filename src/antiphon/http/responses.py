"""The routes of ``/responses``: create, retrieve, delete, cancel, and the items of an input."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from antiphon.http import streaming
from antiphon.http.listing import listed
from antiphon.lifecycle.background import is_background, read_kept
from antiphon.lifecycle.inlining import sized
from antiphon.lifecycle.seeing import shows
from antiphon.protocol.errors import invalid_request
from antiphon.protocol.reading import read_query, read_request
from antiphon.protocol.refusals import events_expired, response_not_found
from antiphon.protocol.request import CreateResponse, Include
from antiphon.store import UnknownCursor

if TYPE_CHECKING:
    from antiphon.http.exchange import Exchange
    from antiphon.lifecycle import Caller, Prepared
    from antiphon.lifecycle.background import Background
    from antiphon.lifecycle.lifecycle import Lifecycle
    from antiphon.protocol.reading import Received
    from antiphon.store.hub import Hub
    from antiphon.store.store import Store

THREADED = 1024 * 1024
"""Bytes of a body from which on it is read in a thread: that takes milliseconds."""
LAST_NUMBER = 2**31 - 1
"""No event has a higher number; a database may know none."""


class Retrieval(Struct, frozen=True):
    """The query of a retrieval."""

    include: list[Include] = []
    stream: bool = False
    starting_after: Annotated[int, Meta(ge=0)] | None = None
    include_obfuscation: bool = True


class Listing(Struct, frozen=True):
    """The query of a list."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    include: list[Include] = []


class Deleted(Struct, frozen=True):
    """What a deletion answers (recorded)."""

    id: str
    object: Literal["response.deleted"] = "response.deleted"
    deleted: bool = True


class Responses:
    """Answers the routes of ``/responses``. Sizes are in bytes."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        background: Background,
        *,
        store: Store,
        hub: Hub,
        body_limit: int,
        terms: streaming.Terms,
    ) -> None:
        self._lifecycle = lifecycle
        self._background = background
        self._store = store
        self._hub = hub
        self._body_limit = body_limit
        self._terms = terms

    async def create(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /responses``: the response, or its events."""
        self._lifecycle.limiting.gate.check()  # before a body is read
        received = await self._received(exchange)
        preparing = self._lifecycle.prepare(
            received,
            caller,
            path_deployment=exchange.params.get("deployment"),
            painter=exchange.headers.get("x-ms-oai-image-generation-deployment"),
        )
        # What is shown is fetched and looked at, which takes a while; all else is done before a client can leave.
        prepared = await (streaming.attended(exchange, preparing) if shows(received.request.input) else preparing)
        if prepared.ignored:
            exchange.add_header("x-ignored-params", prepared.ignored)
        if prepared.unavailable:
            exchange.add_header("x-unavailable-tools", prepared.unavailable)
        if prepared.ticket is not None:
            exchange.extra += prepared.ticket.headers(is_azure=exchange.is_azure)
        if exchange.is_azure:
            asked = exchange.params.get("deployment") or received.request.model or prepared.order.name
            exchange.add_header("x-ms-deployment-name", [asked])
            exchange.add_header("x-ms-served-model", [prepared.task.response.model])
        del received, preparing  # an open stream holds what it needs, and nothing else
        async with prepared.held:  # whether or not the run, or the queue, comes to it
            await self._answer(exchange, prepared)

    async def _answer(self, exchange: Exchange, prepared: Prepared) -> None:
        request = prepared.order.request
        if request.background:
            await self._queue(exchange, prepared, prepared.caller, is_streamed=request.stream is True)
        elif request.stream:
            filler = streaming.FILLER if _is_obfuscated(request) else None
            await streaming.stream(exchange, self._lifecycle, prepared, filler=filler, terms=self._terms)
        else:
            await streaming.whole(exchange, self._lifecycle, prepared)

    async def _received(self, exchange: Exchange) -> Received:
        """What was asked for; its body is dropped with this frame."""
        body = await exchange.body(self._body_limit)
        return await asyncio.to_thread(read_request, body) if len(body) > THREADED else read_request(body)

    async def _queue(self, exchange: Exchange, prepared: Prepared, caller: Caller, *, is_streamed: bool) -> None:
        """The response that waits, or all its events: durable before the first byte is sent."""
        queued = await self._background.enqueue(prepared)
        if is_streamed:
            await self._follow(exchange, queued.seq, caller, after=-1)
        else:
            await exchange.answer_with(queued.response)

    async def _follow(self, exchange: Exchange, job: int, caller: Caller, *, after: int) -> None:
        filled = partial(self._background.shelf.filled, tenant=caller.tenant)
        await streaming.follow(exchange, partial(self._hub.follow, job, after=after), filled=filled, terms=self._terms)

    async def retrieve(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /responses/{id}``: the response as it is now, or its events behind a number."""
        asked = read_query(exchange.query.multi_items(), Retrieval)
        found = await self._background.find(exchange.params["id"], caller)
        if not asked.stream:
            await exchange.answer(await self._background.as_it_is(found, caller))
            return
        after = -1 if asked.starting_after is None else min(asked.starting_after, LAST_NUMBER)
        if found.state is not None:
            await self._follow(exchange, found.seq, caller, after=after)
        elif is_background(found):
            raise events_expired(exchange.params["id"])
        else:
            whole = await self._background.as_it_is(found, caller)
            await streaming.retell(exchange, read_kept(whole), after=after, end=self._terms.end)

    async def delete(self, exchange: Exchange, caller: Caller) -> None:
        """``DELETE /responses/{id}``: one that runs is cancelled first."""
        id = exchange.params["id"]
        await self._background.delete(id, caller)
        await exchange.answer_with(Deleted(id=id))

    async def cancel(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /responses/{id}/cancel``: only background runs can be cancelled."""
        await exchange.answer(await self._background.cancel(exchange.params["id"], caller))

    async def input_items(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /responses/{id}/input_items``: the history and the input of a response, the newest first by default."""
        asked = read_query(exchange.query.multi_items(), Listing)
        id = exchange.params["id"]
        try:
            page = await self._store.input_items(
                id, tenant=caller.tenant, limit=asked.limit, order=asked.order, after=asked.after
            )
        except UnknownCursor as error:
            raise invalid_request(f"No item with id '{asked.after}' in this list.", param="after") from error
        if page is None:
            raise response_not_found(id)
        text = await sized(sum(len(row.json) for row in page.rows), listed, page, asked.include)
        await exchange.answer(await self._background.shelf.filled(text, caller.tenant))


def _is_obfuscated(request: CreateResponse) -> bool:
    return request.stream_options is None or request.stream_options.include_obfuscation is not False
