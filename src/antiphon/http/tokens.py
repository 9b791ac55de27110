"""The routes that ask how long a conversation is, and that make it shorter: ``input_tokens`` and ``compact``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.core.compaction import user_messages
from antiphon.core.estimate import estimate
from antiphon.http import streaming
from antiphon.http.faults import as_api_error
from antiphon.http.responses import THREADED
from antiphon.lifecycle.counting import count
from antiphon.lifecycle.seeing import shows
from antiphon.protocol.compaction import COMPACTED, COUNTED, CompactedResponse, TokenCount, only, others
from antiphon.protocol.errors import missing_model
from antiphon.protocol.items import Compaction, Message
from antiphon.protocol.reading import read_request
from antiphon.protocol.response import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.core.turn import Turn
    from antiphon.engine.task import Summed
    from antiphon.http.app import Answer
    from antiphon.http.exchange import Exchange
    from antiphon.lifecycle import Caller, Prepared
    from antiphon.lifecycle.compacting import Compacting
    from antiphon.lifecycle.lifecycle import Lifecycle
    from antiphon.lifecycle.shelf import Shelf
    from antiphon.lifecycle.tickets import Ticket
    from antiphon.protocol.items import Item, OutputItem
    from antiphon.protocol.reading import Received

SEALED_CHARACTERS = 6
"""Of a sealed summary, in base64, for each token that was written."""
_encode = msgspec.json.Encoder().encode


class Tokens:
    """Answers ``/responses/input_tokens`` and ``/responses/compact``. ``body_limit`` is in bytes."""

    def __init__(self, lifecycle: Lifecycle, compacting: Compacting, shelf: Shelf, *, body_limit: int) -> None:
        self._lifecycle = lifecycle
        self._compacting = compacting
        self._shelf = shelf
        self._body_limit = body_limit

    def routes(self) -> dict[str, Mapping[str, Answer]]:
        """The paths, and what answers each of their methods."""
        return {"/responses/input_tokens": {"POST": self.count}, "/responses/compact": {"POST": self.compact}}

    async def count(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /responses/input_tokens``: how many tokens the model would read; no model is asked for an answer."""
        received = await self._received(exchange, COUNTED)
        prepared = await self._surveyed(exchange, received, caller)
        counted = await count(await _seen(prepared), prepared.deployment)
        exchange.add_header("x-token-count", ["exact" if counted.is_exact else "estimated"])
        await exchange.answer_with(TokenCount(input_tokens=counted.tokens))

    async def compact(self, exchange: Exchange, caller: Caller) -> None:
        """``POST /responses/compact``: what the user said, and a sealed summary of the rest. Nothing is kept."""
        received = await self._received(exchange, COMPACTED)
        if received.request.model is None and "deployment" not in exchange.params:
            raise missing_model()
        with await self._lifecycle.limiting.admit(
            received.request, caller, exchange.params.get("deployment")
        ) as ticket:
            exchange.extra += ticket.headers(is_azure=exchange.is_azure)
            await self._compact(exchange, received, caller, ticket)

    async def _compact(self, exchange: Exchange, received: Received, caller: Caller, ticket: Ticket) -> None:
        prepared = await self._surveyed(exchange, received, caller)
        turn = await _seen(prepared)
        summing = self._compacting.compacted(
            turn,
            prepared.deployment.backend,
            caller.tenant,
            stands_alone=False,
            window=prepared.deployment.context_window,
        )
        with self._lifecycle.bill(prepared) as bill:
            try:
                summed = await streaming.attended(exchange, summing)
            except UpstreamError as error:
                raise as_api_error(error) from error
            guess = _estimated(turn, summed)
            bill.took(summed.usage, estimated=(guess.input_tokens, guess.output_tokens))
            ticket.settle_tokens((summed.usage or guess).total_tokens)
        said = self._said(received, prepared, caller)
        answer = CompactedResponse(
            id=prepared.task.response.id,
            created_at=prepared.task.response.created_at,
            output=[*said, Compaction(id=prepared.ids.new("cmp"), encrypted_content=summed.encrypted_content)],
            usage=summed.usage or guess,
        )
        await exchange.answer(await self._shelf.filled(_encode(answer), caller.tenant))

    async def _received(self, exchange: Exchange, known: frozenset[str]) -> Received:
        """What was asked for, as far as it is known here; the rest is named."""
        body = await exchange.body(self._body_limit)
        received = await asyncio.to_thread(read_request, body) if len(body) > THREADED else read_request(body)
        unknown = [name for name in received.ignored if name not in known]
        if ignored := [*others(received.request, known), *unknown]:
            exchange.add_header("x-ignored-params", ignored)
        return replace(received, request=only(received.request, known), ignored=unknown)

    async def _surveyed(self, exchange: Exchange, received: Received, caller: Caller) -> Prepared:
        surveying = self._lifecycle.survey(received, caller, path_deployment=exchange.params.get("deployment"))
        return await (streaming.attended(exchange, surveying) if shows(received.request.input) else surveying)

    def _said(self, received: Received, prepared: Prepared, caller: Caller) -> list[OutputItem]:
        """What the user said, as it was sent."""
        sent: dict[str, Item] = {
            said.item.id: replace(item, id=said.item.id)
            for said in prepared.said
            if isinstance(item := received.request.input[said.position], Message)
        }
        context = self._compacting.unfolded(prepared.context.items, caller.tenant)
        messages = [sent.get(message.id, message) for message in user_messages(context)]
        return [message for message in messages if isinstance(message, Message)]


async def _seen(prepared: Prepared) -> Turn:
    """The turn as the model would be asked it."""
    task = prepared.task
    return task.turn if task.show is None else await task.show(task.turn)


def _estimated(turn: Turn, summed: Summed) -> Usage:
    """What the summary cost, where the upstream did not say."""
    read, written = estimate(turn), len(summed.encrypted_content) // SEALED_CHARACTERS
    return Usage(input_tokens=read, output_tokens=written, total_tokens=read + written)
