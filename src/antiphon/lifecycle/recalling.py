"""Recalling: the conversation that a request goes on from, wherever it is kept, and what was thought in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.core.compaction import last_compaction
from antiphon.core.echo import without_secrets
from antiphon.core.thoughts import unsealed
from antiphon.core.transcript import Said, added, is_reference
from antiphon.core.turn import Thinking
from antiphon.lifecycle import History, conversation_id, history
from antiphon.protocol.items import PREFIXES, Item, ReasoningItem
from antiphon.protocol.refusals import (
    invalid_encrypted_content,
    previous_response_in_progress,
    previous_response_not_found,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.ids import Ids
    from antiphon.lifecycle import Caller
    from antiphon.lifecycle.conversing import Conversing
    from antiphon.lifecycle.tokens import Tokens
    from antiphon.protocol.request import CreateResponse
    from antiphon.store.store import Store

_decode_thinking = msgspec.json.Decoder(Thinking).decode


class Addition(Struct, frozen=True):
    """What a request adds to a conversation. ``kept`` are the items that it only refers to, as they are kept."""

    said: list[Said]
    kept: History

    @property
    def items(self) -> list[Item]:
        """The items."""
        return [each.item for each in self.said]

    @property
    def secret(self) -> list[Item]:
        """Those of which not all may be kept."""
        return [item for item in self.items if without_secrets(item) is not item]

    def showing(self, items: list[Item]) -> Addition:
        """The same with these items in the places of its own."""
        return replace(self, said=[Said(each.position, item) for each, item in zip(self.said, items, strict=True)])


class Recalling:
    """Reads what was said before."""

    def __init__(self, store: Store, conversing: Conversing, tokens: Tokens) -> None:
        self.conversing = conversing
        self.store = store
        self._tokens = tokens

    async def history(self, request: CreateResponse, caller: Caller, memory: Mapping[str, History]) -> History:
        """What a request goes on from. ``memory`` has what a connection remembers, by the ids of responses.

        Raises ``ApiError`` where it names what is not there.
        """
        conversation = conversation_id(request)
        if conversation is not None:
            return history(await self.conversing.history(conversation, caller))
        id = request.previous_response_id
        if id is None:
            return History([])
        return memory[id] if id in memory else await self._chain(id, caller)

    async def _chain(self, id: str, caller: Caller) -> History:
        rows = await self.store.context(id, tenant=caller.tenant)
        if rows is None and await self.store.response(id, tenant=caller.tenant) is not None:
            raise previous_response_in_progress(id)
        if rows is None:
            raise previous_response_not_found(id)
        return history(rows)

    async def addition(self, request: CreateResponse, before: History, caller: Caller, ids: Ids) -> Addition:
        """What the request adds, every item with an id and every reference resolved. Raises ``ApiError``."""
        known = {item.id for item in before.items}
        wanted = [item.id for item in request.input if is_reference(item) and item.id not in known]
        rows = await self.store.find_items(wanted, tenant=caller.tenant) if wanted else {}
        kept = history(list(rows.values()))
        said = [item if item.id else replace(item, id=ids.new(PREFIXES[type(item)])) for item in request.input]
        fresh = added(before.items, said, {item.id: item for item in kept.items})
        return Addition(fresh, kept)

    def thoughts(self, addition: Addition, caller: Caller, model: str) -> dict[str, Thinking]:
        """What was thought in the reasoning items of an input, as far as they show it or bring it sealed.

        Raises ``ApiError`` for what was not sealed here, for this tenant, or is too old, and so for a summary.
        """
        kept = addition.kept.thoughts
        summary = last_compaction(addition.items)
        if summary is not None and summary.id not in {item.id for item in addition.kept.items}:
            self._tokens.open("summary", summary.encrypted_content, caller.tenant, summary.id)
        thoughts = {
            item.id: self._thought(item, caller, model)
            for item in addition.items
            if isinstance(item, ReasoningItem) and item.id not in kept
        }
        return {**kept, **{id: thinking for id, thinking in thoughts.items() if thinking.text or thinking.token}}

    def _thought(self, item: ReasoningItem, caller: Caller, model: str) -> Thinking:
        if not item.encrypted_content:
            return unsealed(item, model)
        try:
            return _decode_thinking(self._tokens.open("thought", item.encrypted_content, caller.tenant, item.id))
        except msgspec.DecodeError as error:
            raise invalid_encrypted_content(item.id) from error
