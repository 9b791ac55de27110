"""Keeping: what of a response becomes rows, with what is large in it on the shelf."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from antiphon.core.notes import CallAnswered, Note
from antiphon.lifecycle import DAY_SECONDS, Order, encode, item_row, kept_json, made_items
from antiphon.lifecycle.filling import BYTES
from antiphon.lifecycle.tracing import origin
from antiphon.protocol.refusals import sealing_key_lost
from antiphon.protocol.tools import ImageGenerationTool, McpTool
from antiphon.sealing import CannotOpen
from antiphon.store import Final, ItemRow, ResponseRow

if TYPE_CHECKING:
    from antiphon.core.tally import Ending
    from antiphon.core.transcript import Said
    from antiphon.lifecycle import Caller, Policy, Prepared
    from antiphon.lifecycle.shelf import Board, Shelf
    from antiphon.protocol.response import Response
    from antiphon.sealing import Seal

_decode_order = msgspec.json.Decoder(Order).decode


class Keeping:
    """Makes rows. What it puts on the shelf is durable before the rows are given."""

    def __init__(self, shelf: Shelf, seal: Seal, policy: Policy) -> None:
        self.shelf = shelf
        self._seal = seal
        self._policy = policy

    async def inputs(self, prepared: Prepared, board: Board) -> list[ItemRow]:
        """The items of a request's input, as they are kept: as they were read, without secrets."""
        items = await board.items([each.item for each in prepared.said])
        said = zip(prepared.said, items, strict=True)
        return [_row(replace(each, item=item), prepared) for each, item in said]

    async def final(self, ending: Ending, board: Board) -> Final:
        """What a response came to."""
        kept = await board.response(ending.response)
        read = await board.outputs(list(ending.outputs.values()))
        items = made_items(replace(ending, response=kept, outputs=dict(zip(ending.outputs, read, strict=True))))
        return Final(kept.status, encode(kept), items)

    async def notes(self, notes: list[Note], board: Board) -> list[Note]:
        """Notes as they are logged."""
        read = iter(await board.outputs([note.output for note in notes if isinstance(note, CallAnswered)]))
        return [replace(note, output=next(read)) if isinstance(note, CallAnswered) else note for note in notes]

    async def sealed(self, prepared: Prepared, board: Board) -> str:
        """What was asked for, for whoever runs it: sealed, and with the mask of a drawing on the shelf."""
        order = prepared.order
        request = replace(order.request, tools=await board.tools(order.request.tools))
        order = replace(order, request=request, origin=origin())
        return self._seal.seal(encode(order), _bound(prepared.task.response.id, prepared.caller))

    def order(self, sealed: str, response: str, caller: Caller) -> Order:
        """What was sealed for a response. Raises ``ApiError`` where the key is gone."""
        try:
            return _decode_order(self._seal.open(sealed, _bound(response, caller)))
        except CannotOpen as error:
            raise sealing_key_lost() from error

    def row(self, response: Response, caller: Caller, *, inputs: list[ItemRow], content: bytes) -> ResponseRow:
        """A response as it is kept from now on, as long as the policy says. ``content`` is its JSON."""
        return ResponseRow(
            id=response.id,
            tenant=caller.tenant,
            status=response.status,
            model=response.model,
            created_at=response.created_at,
            expires_at=response.created_at + self._policy.retention_days * DAY_SECONDS,
            response=content,
            previous_id=response.previous_response_id,
            conversation=None if response.conversation is UNSET else response.conversation.id,
            has_blobs=_may_have_blobs(response, inputs),
        )


def _bound(id: str, caller: Caller) -> str:
    """What an order is sealed for: it opens for this response alone."""
    return f"order {caller.tenant} {id}"


def _may_have_blobs(response: Response, inputs: list[ItemRow]) -> bool:
    """Whether anything may lie on the shelf for a response: what came in, what is drawn, what tools show."""
    brings = any(isinstance(tool, ImageGenerationTool | McpTool) for tool in response.tools)
    return brings or any(BYTES in row.json for row in inputs)


def _row(said: Said, prepared: Prepared) -> ItemRow:
    """An item as it is kept, with the keys that only the caller understands."""
    json = kept_json(said.item, prepared.extras[said.position])
    return item_row(said.item, json, prepared.context.outputs, prepared.context.thoughts)
