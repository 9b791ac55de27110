"""Compacting: a long conversation summed up by the model that holds it, sealed, and shown again in its place."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends import Backend, UpstreamError
from antiphon.core.compaction import Summary, last_compaction, split, threshold, unfolded, without_sight
from antiphon.core.deltas import Finish, Text
from antiphon.core.estimate import estimate
from antiphon.core.usage import total
from antiphon.engine.task import Summed
from antiphon.lifecycle.counting import count
from antiphon.lifecycle.handover import OVERHEAD, asking, pieces, told
from antiphon.protocol.items import Compaction
from antiphon.protocol.refusals import invalid_encrypted_content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.core.turn import Turn
    from antiphon.engine.task import Compact
    from antiphon.lifecycle import Caller, Deployment
    from antiphon.lifecycle.handover import Chunk
    from antiphon.lifecycle.tokens import Tokens
    from antiphon.protocol.items import Item
    from antiphon.protocol.request import CreateResponse
    from antiphon.protocol.response import Usage

log = logging.getLogger(__name__)

MOST_TOKENS = 4_096
"""Of one summary; as many again where the model is asked to think before it writes."""
SHARE_OF_WINDOW = 5
"""Into so many parts a small window is divided: notes so far, notes to come, and what is read."""
MOST_CHARACTERS = 40_000
"""Of a summary: what is said beyond is not listened to."""
TRIES = 6
"""How often what was refused as too long is told in pieces of half the size."""
LEAST_ROOM = 128
MOST_KEPT_BYTES = 1024 * 1024
"""Of what stays as it was, sealed; beyond, images in it are named only."""
MOST_SEALED_BYTES = 2 * MOST_KEPT_BYTES
"""Of what stays as it was, sealed, without images; beyond, it is summed up like all else."""
MOST_CHARACTERS_OF_A_TOKEN = 4 * 1024 * 1024
"""No token of this server's is longer, and to look at a longer one would hold up others."""
KEPT_SHARE = 4
"""One part in so many of what may stand in a context may stay as it was."""
KEPT_TOKENS = 4_000
GROWTH = 4
"""A context is summed up again once it has grown by one part in so many of its threshold."""
VERSION = 1


class Sealed(Struct, frozen=True):
    """What a token holds."""

    version: int
    summary: Summary


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Sealed).decode


class Compacting:
    """Sums conversations up, and reads its summaries."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    async def compacted(
        self, turn: Turn, backend: Backend, tenant: str, *, stands_alone: bool, window: int | None = None
    ) -> Summed:
        """The sealed summary of all that was said, by the turn's model. Raises `UpstreamError`.

        Where it does not stand alone, what the user said is to be kept beside it.
        """
        return await self._summed(turn, turn.items, [], _Asked(backend, tenant, window), stands_alone=stands_alone)

    async def _summed(
        self, turn: Turn, old: Sequence[Item], kept: list[Item], asked: _Asked, *, stands_alone: bool
    ) -> Summed:
        notes = _Notes(turn, asked.backend, asked.window)
        text = await notes.of(told(old, turn))
        summary = Summary(text, stands_alone=stands_alone, kept=kept)
        sealed = self.tokens.seal("summary", _encode(Sealed(VERSION, summary)), asked.tenant)
        log.info(
            "context compacted",
            extra={"action": "context_compacted", "items": len(old), "characters": len(text), "turns": notes.turns},
        )
        return Summed(sealed, notes.usage)

    def unfolded(self, items: Sequence[Item], tenant: str) -> list[Item]:
        """The items as a model sees them: see `antiphon.core.compaction.unfolded`.

        Raises ``ApiError`` 400 ``invalid_encrypted_content`` for a summary that was not sealed here for this tenant.
        The age of one that a caller sends is looked at where it comes in.
        """
        compaction = last_compaction(items)
        if compaction is None:
            return list(items)
        return unfolded(items, {compaction.id: self._opened(compaction, tenant)})

    def _opened(self, compaction: Compaction, tenant: str) -> Summary:
        if len(compaction.encrypted_content) > MOST_CHARACTERS_OF_A_TOKEN:
            raise invalid_encrypted_content(compaction.id)
        plain = self.tokens.open("summary", compaction.encrypted_content, tenant, compaction.id, is_kept=True)
        try:
            sealed = _decode(plain)
        except msgspec.MsgspecError as error:
            raise invalid_encrypted_content(compaction.id) from error
        if sealed.version != VERSION:
            raise invalid_encrypted_content(compaction.id)
        return sealed.summary

    def closure(
        self, request: CreateResponse, deployment: Deployment, caller: Caller, *, now: bool = False
    ) -> Compact | None:
        """What a run calls before each turn, to have the turn summed up if it has become too long.

        None where the request does not ask for that, or nobody knows what too long is. With ``now`` it is summed up
        whatever its length.
        """
        limit = threshold(request, deployment.context_window)
        if limit is None and not now:
            return None
        return _Limit(self, deployment, caller, limit=limit, now=now)

    async def shortened(
        self, turn: Turn, deployment: Deployment, tenant: str, *, room: float, is_forced: bool
    ) -> Summed | None:
        """The sealed summary of all of a turn but what is to stay, as far as that fits into ``room`` tokens.

        None where nothing can be summed up, unless that is forced. Raises `UpstreamError`.
        """
        parts = split(turn, room)
        if not parts.old and not is_forced:
            return None
        kept = _light(parts.kept)
        old = parts.old
        if not old or len(_encode(kept)) > MOST_SEALED_BYTES:
            old, kept = turn.items, []
        asked = _Asked(deployment.backend, tenant, deployment.context_window)
        return await self._summed(turn, old, kept, asked, stands_alone=True)


class _Asked(Struct, frozen=True):
    """Who is asked, for whom, and how many tokens fit."""

    backend: Backend
    tenant: str
    window: int | None


class _Limit:
    """Sums turns of one run up that are longer than its limit, and not again before they have grown."""

    def __init__(
        self, compacting: Compacting, deployment: Deployment, caller: Caller, *, limit: int | None, now: bool
    ) -> None:
        self._compacting = compacting
        self._deployment = deployment
        self._tenant = caller.tenant
        self._limit = limit
        self._now = now
        self._least = 0.0

    async def __call__(self, turn: Turn) -> Summed | None:
        """The summary of a turn that is too long; None for another. Raises `UpstreamError`."""
        if not self._now and (self._limit is None or not await self._is_too_long(turn, self._limit)):
            return None
        room = KEPT_TOKENS if self._limit is None else min(KEPT_TOKENS, self._limit // KEPT_SHARE)
        summed = await self._compacting.shortened(turn, self._deployment, self._tenant, room=room, is_forced=self._now)
        if self._limit is not None:
            shown = self._shown(turn, summed)
            # What stays may be too long by itself: to sum up what is left again and again would help nobody.
            self._least = estimate(shown) + self._limit / GROWTH
        return summed

    async def _is_too_long(self, turn: Turn, limit: int) -> bool:
        guess = estimate(turn)
        if guess < self._least or guess * 2 < limit:
            return False
        counted = guess if guess > limit * 2 else (await count(turn, self._deployment)).tokens
        return counted >= limit

    def _shown(self, turn: Turn, summed: Summed | None) -> Turn:
        """The turn as its model will see it."""
        if summed is None:
            return turn
        items = self._compacting.unfolded(
            [*turn.items, Compaction(id="cmp", encrypted_content=summed.encrypted_content)], self._tenant
        )
        return replace(turn, items=items)


class _Notes:
    """Asks a model for notes. ``usage`` and ``turns`` tell what that took so far."""

    def __init__(self, turn: Turn, backend: Backend, window: int | None) -> None:
        self._turn = turn
        self._backend = backend
        most = MOST_TOKENS if turn.reasoning is None else 2 * MOST_TOKENS
        self._most = most if window is None else max(LEAST_ROOM, min(most, window // SHARE_OF_WINDOW))
        self._window = window
        self.usage: Usage | None = None
        self.turns = 0

    async def of(self, chunks: list[Chunk]) -> str:
        """Notes of all that is told, in smaller pieces if the model refuses larger ones. Raises `UpstreamError`."""
        whole = sum(chunk.cost for chunk in chunks)
        room = max(whole + 1, LEAST_ROOM) if self._window is None else self._room(self._window)
        tries_left = TRIES
        while True:
            try:
                return await self._in_pieces(chunks, room)
            except UpstreamError as error:
                if error.fault != "context_length_exceeded" or room <= LEAST_ROOM or not tries_left:
                    raise
            room, tries_left = max(LEAST_ROOM, min(room, whole) / 2), tries_left - 1

    def _room(self, window: int) -> float:
        return max(LEAST_ROOM, window - 2 * self._most - OVERHEAD)

    async def _in_pieces(self, chunks: list[Chunk], room: float) -> str:
        notes = ""
        for piece in pieces(chunks, room):
            notes = await self._asked(asking(self._turn, notes, piece, most=self._most))
        return notes

    async def _asked(self, turn: Turn) -> str:
        said = ""
        self.turns += 1
        async with aclosing(self._backend.stream(turn)) as heard:
            async for deltas in heard:
                said += "".join(delta.text for delta in deltas if isinstance(delta, Text))
                if isinstance(deltas[-1], Finish):
                    self._finish(deltas[-1])
                if len(said) > MOST_CHARACTERS:
                    break
        if not said.strip():
            raise UpstreamError("server_error", "The model wrote no summary of the conversation.")
        return said.strip()[:MOST_CHARACTERS]

    def _finish(self, finish: Finish) -> None:
        if finish.reason == "content_filter":
            raise UpstreamError("content_filter", "The summary of the conversation was filtered.")
        self.usage = total(self.usage, finish.usage)


def _light(kept: list[Item]) -> list[Item]:
    """What stays, as light as a token has to be."""
    return kept if len(_encode(kept)) <= MOST_KEPT_BYTES else without_sight(kept)
