"""What the store can do, in the domain's verbs: keep responses and their items, find them again, and forget them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import convert
from msgspec.json import decode, encode

from antiphon.store import Batch, ItemRow, Page, Params, ResponseRow, Statement, UnknownCursor
from antiphon.store.queries import QUERIES

if TYPE_CHECKING:
    from antiphon.store import Database, Dialogue, Row

SWEPT_RESPONSES = 100
"""Responses that one transaction of the sweep touches in a lineage: bounds how long a save waits behind it."""

SWEPT_LINEAGES = 10
"""Lineages that one transaction of the sweep looks at."""


class Store:
    """Responses and items, each the property of a tenant: what is not yours is not there.

    A response lives until it is deleted or the sweep finds it expired. Then it is a tombstone: it is found nowhere and
    its body is erased, but responses built on it keep their whole context. Its items are erased by the first sweep that
    finds nothing alive that was built on it. Every verb raises `StoreUnavailable`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, row: ResponseRow, *, inputs: list[ItemRow], outputs: list[ItemRow]) -> None:
        """Keep a finished response with its own input and output items; it is durable when this returns.

        It stands after ``row.previous_id``, even where that was deleted meanwhile. Where there is no such response, or
        the sweep erased it, it begins a chain of its own. Raises `Conflict` where the id is taken.
        """
        await self._database.transaction(partial(_save, row, inputs, outputs))

    async def response(self, id: str, *, tenant: str) -> bytes | None:
        """The response's JSON as it was sent; None where there is no such response."""
        rows = await self._database.fetch(QUERIES["response"], {"id": id, "tenant": tenant})
        found = convert(rows, list[tuple[str]])
        return found[0][0].encode() if found else None

    async def context(self, id: str, *, tenant: str) -> list[ItemRow] | None:
        """All items of the chain up to and with this response, oldest first; None where there is no such response."""
        rows = await self._database.fetch(QUERIES["context"], {"id": id, "tenant": tenant})
        # A lineage without items is a row of NULLs, so that an empty context differs from none.
        return _items([row for row in rows if row[0] is not None]) if rows else None

    async def find_items(self, ids: list[str], *, tenant: str) -> dict[str, ItemRow]:
        """For each id the item saved last under it, of those whose response lives. Unknown ids are left out."""
        wanted = encode(ids).decode()
        rows = await self._database.fetch(QUERIES["find_items"], {"ids": wanted, "tenant": tenant})
        return {item.id: item for item in _items(rows)}

    async def input_items(
        self, id: str, *, tenant: str, limit: int, order: Literal["asc", "desc"], after: str | None
    ) -> Page | None:
        """A page of what the response was built on: the chain's history, then its own input; not its own output.

        ``asc`` is oldest first. An item that stands there twice is listed once, at its last place. None where there is
        no such response. Raises `UnknownCursor` where ``after`` is not the id of an item of the list.
        """
        chain: Params = {"id": id, "tenant": tenant}
        place: Params = {"after": after, "direction": 1 if order == "asc" else -1, "limit": limit + 1}
        rows = await self._database.fetch(QUERIES["input_items"], chain | place)
        if not rows and not await self._lists(chain, after):
            return None
        return Page(rows=_items(rows[:limit]), has_more=len(rows) > limit)

    async def _lists(self, chain: Params, after: str | None) -> bool:
        """Whether there is such a response; raises `UnknownCursor` where there is one and it lists no ``after``."""
        known = await self._database.fetch(QUERIES["input_ids"], chain)
        if known and after is not None and (after,) not in known:
            raise UnknownCursor(after)
        return bool(known)

    async def delete(self, id: str, *, tenant: str) -> bool:
        """Make a tombstone of a response; False where there is no such response."""
        deletion = Statement(QUERIES["delete_response"], {"id": id, "tenant": tenant})
        return await self._database.transaction(partial(_bury, deletion)) > 0

    async def sweep(self, now: int) -> int:
        """Bury what expired at ``now`` (Unix seconds) or before, and return how many; erase what nothing alive needs.

        It works in small transactions, so that saving goes on meanwhile, and only on what died since the last sweep.
        """
        expiry = Statement(QUERIES["expire_responses"], {"now": now, "limit": SWEPT_RESPONSES})
        expired = 0
        while buried := await self._database.transaction(partial(_bury, expiry)):
            expired += buried
        while await self._database.transaction(_settle):
            pass
        await self._database.reclaim()
        return expired

    async def aclose(self) -> None:
        """Finish what was asked, and close the database."""
        await self._database.aclose()


def _items(rows: list[Row]) -> list[ItemRow]:
    """Rows of ``id, data, output`` as items."""
    return [
        ItemRow(id=key, json=listed.encode(), output=None if output is None else decode(output, type=str))
        for key, listed, output in convert(rows, list[tuple[str, str, str | None]])
    ]


def _save(row: ResponseRow, inputs: list[ItemRow], outputs: list[ItemRow]) -> Dialogue[None]:
    """Append a response to its chain: the same few statements, however long the chain is."""
    items = [*inputs, *outputs]
    lineage, start = yield from _append(row, len(items))
    columns: Params = {
        "tenant": row.tenant,
        "id": row.id,
        "previous_id": row.previous_id,
        "lineage": lineage,
        "input_tip": start + len(inputs),
        "tip": start + len(items),
        "status": row.status,
        "model": row.model,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "response": row.response.decode(),
    }
    [(seq,)] = yield Statement(QUERIES["add_response"], columns)
    yield Batch(
        QUERIES["add_item"],
        [
            {
                "lineage": lineage,
                "pos": pos,
                "tenant": row.tenant,
                "id": item.id,
                "response": seq,
                "output": None if item.output is None else encode(item.output).decode(),
                "data": item.json.decode(),
            }
            for pos, item in enumerate(items, start + 1)
        ],
    )


def _append(row: ResponseRow, count: int) -> Dialogue[tuple[int, int]]:
    """Make room for ``count`` items after the previous response; return the lineage and the position before them.

    The first child of a response stays in its lineage; another child finds the tip moved, and branches.
    """
    previous: list[Row] = []
    if row.previous_id is not None:
        previous = yield Statement(QUERIES["place"], {"tenant": row.tenant, "id": row.previous_id})
    if not previous:
        return (yield from _add_lineage(row.tenant, None, tip=0, count=count)), 0
    [(parent, tip)] = convert(previous, list[tuple[int, int]])
    if (yield Statement(QUERIES["extend_lineage"], {"lineage": parent, "tip": tip, "count": count})):
        return parent, tip
    return (yield from _add_lineage(row.tenant, parent, tip=tip, count=count)), tip


def _add_lineage(tenant: str, parent: int | None, *, tip: int, count: int) -> Dialogue[int]:
    """Begin a lineage with room for ``count`` items, after position ``tip`` of its parent."""
    left: Params = {"parent": parent, "parent_tip": None if parent is None else tip}
    rows = yield Statement(QUERIES["add_lineage"], {"tenant": tenant, **left, "tip": tip + count})
    [(lineage,)] = convert(rows, list[tuple[int]])
    return lineage


def _bury(burial: Statement) -> Dialogue[int]:
    """Make tombstones, leave word for the sweep, and return how many there are."""
    lineages = yield burial
    yield Batch(QUERIES["mark_lineage"], [{"lineage": lineage} for (lineage,) in set(lineages)])
    return len(lineages)


def _settle() -> Dialogue[bool]:
    """Erase what nothing alive needs from a few lineages in which something died; False where there are none left."""
    stale = yield Statement(QUERIES["stale_lineages"], {"limit": SWEPT_LINEAGES})
    for lineage, parent, lived, branched in convert(stale, list[tuple[int, int | None, int | None, int | None]]):
        needed = max((tip for tip in (lived, branched) if tip is not None), default=-1)
        rest = yield Statement(QUERIES["cut"], {"lineage": lineage, "needed": needed, "limit": SWEPT_RESPONSES})
        [(cut,)] = convert(rest, list[tuple[int]]) or [(needed,)]
        yield Statement(QUERIES["erase_items"], {"lineage": lineage, "cut": cut})
        yield Statement(QUERIES["erase_responses"], {"lineage": lineage, "cut": cut})
        if cut >= 0:
            yield Statement(QUERIES["shorten_lineage"], {"lineage": lineage, "cut": cut, "stale": int(cut > needed)})
            continue
        yield Statement(QUERIES["erase_lineage"], {"lineage": lineage})
        yield Statement(QUERIES["mark_lineage"], {"lineage": parent})
    return bool(stale)
