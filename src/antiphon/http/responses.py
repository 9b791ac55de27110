"""The routes of ``/responses``: create, retrieve, delete, cancel, and the items of an input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

from antiphon.http import streaming
from antiphon.http.listing import listed
from antiphon.protocol.errors import invalid_request
from antiphon.protocol.reading import read_query, read_request
from antiphon.protocol.refusals import not_cancellable_synchronous, not_streamable, response_not_found
from antiphon.protocol.request import CreateResponse, Include
from antiphon.store import UnknownCursor

if TYPE_CHECKING:
    from antiphon.http.exchange import Exchange
    from antiphon.lifecycle import Caller, Lifecycle
    from antiphon.store.store import Store


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
    """Answers the routes of ``/responses``. Sizes are in bytes; ``done_marker`` ends streams with ``[DONE]``."""

    def __init__(self, lifecycle: Lifecycle, store: Store, *, body_limit: int, done_marker: bool) -> None:
        self._lifecycle = lifecycle
        self._store = store
        self._body_limit = body_limit
        self._end = streaming.DONE if done_marker else b""

    async def create(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /responses``: the response, or its events."""
        received = read_request(await exchange.body(self._body_limit))
        prepared = await self._lifecycle.prepare(received, caller, path_deployment=exchange.params.get("deployment"))
        if prepared.ignored:
            exchange.add_header("x-ignored-params", prepared.ignored)
        if prepared.unavailable:
            exchange.add_header("x-unavailable-tools", prepared.unavailable)
        if received.request.stream:
            filler = streaming.FILLER if _is_obfuscated(received.request) else None
            await streaming.stream(exchange, self._lifecycle, prepared, filler=filler, end=self._end)
        else:
            await streaming.whole(exchange, self._lifecycle, prepared)

    async def retrieve(self, exchange: Exchange, caller: Caller) -> None:
        """``GET /responses/{id}``: the response as it ended."""
        asked = read_query(exchange.query.multi_items(), Retrieval)
        id = exchange.params["id"]
        kept = await self._store.response(id, tenant=caller.tenant)
        if kept is None:
            raise response_not_found(id)
        if asked.stream:
            raise not_streamable("background")
        await exchange.answer(kept)

    async def delete(self, exchange: Exchange, caller: Caller) -> None:
        """``DELETE /responses/{id}``."""
        id = exchange.params["id"]
        if not await self._store.delete(id, tenant=caller.tenant):
            raise response_not_found(id)
        await exchange.answer_with(Deleted(id=id))

    async def cancel(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /responses/{id}/cancel``: only background runs can be cancelled."""
        id = exchange.params["id"]
        if await self._store.response(id, tenant=caller.tenant) is None:
            raise response_not_found(id)
        raise not_cancellable_synchronous()

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
        await exchange.answer(listed(page, asked.include))


def _is_obfuscated(request: CreateResponse) -> bool:
    return request.stream_options is None or request.stream_options.include_obfuscation is not False
