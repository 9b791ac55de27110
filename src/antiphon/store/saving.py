"""How a response gets its place: dialogues that append it, or what it said at last, to its chain.

They are the same few statements, however long the chain is. A chain is a path of lineages; see ``sql/responses.sql``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import convert
from msgspec.json import encode

from antiphon.store import Batch, Statement
from antiphon.store.blobs import response_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.store import Dialogue, Final, ItemRow, Params, ResponseRow, Row


def save(sql: Mapping[str, str], row: ResponseRow, inputs: list[ItemRow], outputs: list[ItemRow]) -> Dialogue[int]:
    """Append a response with its items after the one before it, and return its number."""
    previous: list[Row] = []
    if row.previous_id is not None:
        previous = yield Statement(sql["place"], {"tenant": row.tenant, "id": row.previous_id})
    count = len(inputs) + len(outputs)
    if previous:
        [(parent, tip)] = convert(previous, list[tuple[int, int]])
        lineage, start = yield from _append(sql, row.tenant, parent, tip=tip, count=count)
    else:
        lineage, start = (yield from _add_lineage(sql, row.tenant, None, tip=0, count=count)), 0
    columns: Params = {
        "tenant": row.tenant,
        "id": row.id,
        "previous_id": row.previous_id,
        "lineage": lineage,
        "input_tip": start + len(inputs),
        "tip": start + count,
        "status": row.status,
        "model": row.model,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "response": row.response.decode(),
        "has_blobs": int(row.has_blobs),
    }
    [(seq,)] = convert((yield Statement(sql["add_response"], columns)), list[tuple[int]])
    yield _items(sql, row.tenant, lineage, start=start, seq=seq, items=[*inputs, *outputs])
    if row.has_blobs:  # they stay, as something leads to them from now on
        yield Statement(sql["forget_erasure"], {"key": response_prefix(row.tenant, row.id)})
    return seq


def finish(sql: Mapping[str, str], seq: int, final: Final) -> Dialogue[None]:
    """Give a response that was saved while it ran its end, and append the items that it made to its own.

    Of a response that was deleted meanwhile nothing is kept.
    """
    for tenant, parent, tip in convert(
        (yield Statement(sql["own_place"], {"response": seq})), list[tuple[str, int, int]]
    ):
        count = len(final.outputs)
        lineage, start = yield from _append(sql, tenant, parent, tip=tip, count=count)
        ending: Params = {
            "response": seq,
            "status": final.status,
            "json": final.response.decode(),
            "lineage": lineage,
            "tip": start + count,
        }
        yield Statement(sql["finish_response"], ending)
        yield _items(sql, tenant, lineage, start=start, seq=seq, items=final.outputs)


def _append(sql: Mapping[str, str], tenant: str, parent: int, *, tip: int, count: int) -> Dialogue[tuple[int, int]]:
    """Make room for ``count`` items behind position ``tip``; return the lineage and the position before them.

    The first child of a response stays in its lineage; another child finds the tip moved, and branches.
    """
    if (yield Statement(sql["extend_lineage"], {"lineage": parent, "tip": tip, "count": count})):
        return parent, tip
    return (yield from _add_lineage(sql, tenant, parent, tip=tip, count=count)), tip


def _add_lineage(sql: Mapping[str, str], tenant: str, parent: int | None, *, tip: int, count: int) -> Dialogue[int]:
    """Begin a lineage with room for ``count`` items, after position ``tip`` of its parent."""
    left: Params = {"parent": parent, "parent_tip": None if parent is None else tip}
    rows = yield Statement(sql["add_lineage"], {"tenant": tenant, **left, "tip": tip + count})
    [(lineage,)] = convert(rows, list[tuple[int]])
    return lineage


def _items(sql: Mapping[str, str], tenant: str, lineage: int, *, start: int, seq: int, items: list[ItemRow]) -> Batch:
    return Batch(
        sql["add_item"],
        [
            {
                "lineage": lineage,
                "pos": pos,
                "tenant": tenant,
                "id": item.id,
                "response": seq,
                "output": None if item.output is None else encode(item.output).decode(),
                "data": item.json.decode(),
            }
            for pos, item in enumerate(items, start + 1)
        ],
    )
