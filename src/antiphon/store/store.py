"""What the store can do, in the domain's verbs: keep responses and their items, find them again, and forget them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import convert
from msgspec.json import Decoder, encode

from antiphon.core.turn import Output
from antiphon.store import Batch, ItemRow, Page, Params, ResponseRow, Statement, UnknownCursor
from antiphon.store.blobs import response_prefix
from antiphon.store.erasing import due
from antiphon.store.queries import queries
from antiphon.store.saving import save

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.store import Database, Dialogue, Row

SWEPT_RESPONSES = 100
"""Responses that one transaction of the sweep touches in a lineage: bounds how long a save waits behind it."""

SWEPT_LINEAGES = 10
"""Lineages that one transaction of the sweep looks at."""


class Store:
    """Responses and items, each the property of a tenant: what is not yours is not there.

    A response lives until it is deleted or the sweep finds it expired. Then it is a tombstone: it is found nowhere and
    its body is erased, but responses built on it keep their whole context, and so does its conversation. Its items are
    erased by the first sweep that finds nothing alive that was built on it. Every verb raises `StoreUnavailable`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = queries(database.engine)

    async def save(self, row: ResponseRow, *, inputs: list[ItemRow], outputs: list[ItemRow]) -> None:
        """Keep a finished response with its own input and output items; it is durable when this returns.

        It stands after ``row.previous_id``, even where that was deleted meanwhile, or at the end of its conversation,
        which it lets go. Where there is none, or the sweep erased it, it begins a chain of its own. Raises `Conflict`
        where the id is taken, and `ConversationHeld` where it does not hold its conversation.
        """
        await self._database.transaction(partial(save, self._sql, row, inputs, outputs))

    async def response(self, id: str, *, tenant: str) -> bytes | None:
        """The response's JSON as it was sent; None where there is no such response."""
        rows = await self._database.fetch(self._sql["response"], {"id": id, "tenant": tenant})
        found = convert(rows, list[tuple[str]])
        return found[0][0].encode() if found else None

    async def context(self, id: str, *, tenant: str, is_queued: bool = False) -> list[ItemRow] | None:
        """All items of the chain up to and with this response, oldest first; None where there is no such response.

        One that has not ended is asked for with ``is_queued``, and found only so.
        """
        chain: Params = {"id": id, "tenant": tenant, "queued": int(is_queued)}
        rows = await self._database.fetch(self._sql["context"], chain)
        # A lineage without items is a row of NULLs, so that an empty context differs from none.
        return item_rows([row for row in rows if row[0] is not None]) if rows else None

    async def find_items(self, ids: list[str], *, tenant: str) -> dict[str, ItemRow]:
        """For each id the item saved last under it, of those whose response or conversation has it still.

        Unknown ids are left out.
        """
        wanted = encode(ids).decode()
        rows = await self._database.fetch(self._sql["find_items"], {"ids": wanted, "tenant": tenant})
        return {item.id: item for item in item_rows(rows)}

    async def input_items(
        self, id: str, *, tenant: str, limit: int, order: Literal["asc", "desc"], after: str | None
    ) -> Page | None:
        """A page of what the response was built on: the chain's history, then its own input; not its own output.

        ``asc`` is oldest first. An item that stands there twice is listed once, at its last place. None where there is
        no such response. Raises `UnknownCursor` where ``after`` is not the id of an item of the list.
        """
        chain: Params = {"id": id, "tenant": tenant}
        place: Params = {"after": after, "direction": 1 if order == "asc" else -1, "limit": limit + 1}
        rows = await self._database.fetch(self._sql["input_items"], chain | place)
        if not rows and not await self._lists(chain, after):
            return None
        return Page(rows=item_rows(rows[:limit]), has_more=len(rows) > limit)

    async def _lists(self, chain: Params, after: str | None) -> bool:
        """Whether there is such a response; raises `UnknownCursor` where there is one and it lists no ``after``."""
        known = await self._database.fetch(self._sql["input_ids"], chain)
        if known and after is not None and (after,) not in known:
            raise UnknownCursor(after)
        return bool(known)

    async def delete(self, id: str, *, tenant: str) -> bool:
        """Make a tombstone of a response; False where there is no such response."""
        deletion = Statement(self._sql["delete_response"], {"id": id, "tenant": tenant})
        return await self._database.transaction(partial(_bury, self._sql, deletion)) > 0

    async def sweep(self, now: int) -> int:
        """Bury what expired at ``now`` (Unix seconds) or before, and return how many; erase what nothing alive needs.

        It works in small transactions, so that saving goes on meanwhile, and only on what died since the last sweep.
        """
        expiry = Statement(self._sql["expire_responses"], {"now": now, "limit": SWEPT_RESPONSES})
        expired = 0
        while buried := await self._database.transaction(partial(_bury, self._sql, expiry)):
            expired += buried
        while await self._database.transaction(partial(_settle, self._sql)):
            pass
        await self._database.reclaim()
        return expired

    async def aclose(self) -> None:
        """Finish what was asked, and close the database."""
        await self._database.aclose()


_decode_output = Decoder(Output).decode


def item_rows(rows: list[Row]) -> list[ItemRow]:
    """Rows of ``id, data, output`` as items."""
    return [
        ItemRow(id=key, json=listed.encode(), output=None if output is None else _decode_output(output))
        for key, listed, output in convert(rows, list[tuple[str, str, str | None]])
    ]


def _bury(sql: Mapping[str, str], burial: Statement) -> Dialogue[int]:
    """Make tombstones, leave word for the sweep, and return how many there are."""
    lineages = convert((yield burial), list[tuple[int]])
    # In one order, so that of two that bury none waits for the other in a circle.
    yield Batch(sql["mark_lineage"], [{"lineage": lineage} for (lineage,) in sorted(set(lineages))])
    return len(lineages)


def _settle(sql: Mapping[str, str]) -> Dialogue[bool]:
    """Erase what nothing alive needs from a few lineages in which something died; False where there are none left."""
    stale = yield Statement(sql["stale_lineages"], {"limit": SWEPT_LINEAGES})
    for lineage, parent in convert(stale, list[tuple[int, int | None]]):
        [tips] = convert((yield Statement(sql["needed"], {"lineage": lineage})), list[tuple[int | None, ...]])
        needed = max((tip for tip in tips if tip is not None), default=-1)
        rest = yield Statement(sql["cut"], {"lineage": lineage, "needed": needed, "limit": SWEPT_RESPONSES})
        [(cut,)] = convert(rest, list[tuple[int]]) or [(needed,)]
        yield Statement(sql["erase_items"], {"lineage": lineage, "cut": cut})
        yield Statement(sql["erase_logs"], {"lineage": lineage, "cut": cut})
        yield Statement(sql["erase_jobs"], {"lineage": lineage, "cut": cut})
        erased = yield Statement(sql["erase_responses"], {"lineage": lineage, "cut": cut})
        if prefixes := [response_prefix(*row[:2]) for row in convert(erased, list[tuple[str, str, int]]) if row[2]]:
            yield due(sql, prefixes)
        if cut >= 0:
            yield Statement(sql["shorten_lineage"], {"lineage": lineage, "cut": cut, "stale": int(cut > needed)})
            continue
        yield Statement(sql["erase_lineage"], {"lineage": lineage})
        yield Statement(sql["mark_lineage"], {"lineage": parent})
    return bool(stale)
