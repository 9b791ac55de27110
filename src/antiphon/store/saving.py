"""How a response gets its place: dialogues that append it, or what it said at last, to its chain or conversation.

They are the same few statements, however long the chain is. A chain is a path of lineages; see ``sql/responses.sql``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, convert
from msgspec.json import encode

from antiphon.store import Batch, ConversationHeld, Statement
from antiphon.store.blobs import response_prefix
from antiphon.store.usage import Charge, rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.store import Dialogue, Final, ItemRow, Params, ResponseRow


NO_CHARGES = "[]"


class _Place(Struct, frozen=True):
    """Where something is appended: behind position ``tip``, with so many deletions known; None: a new chain."""

    lineage: int | None = None
    tip: int = 0
    omissions: int = 0
    conversation: int | None = None


def save(
    sql: Mapping[str, str],
    row: ResponseRow,
    inputs: list[ItemRow],
    outputs: list[ItemRow],
    *,
    goes_on: bool = False,
) -> Dialogue[int]:
    """Append a response with its items after the one before it, or to its conversation, and return its number.

    What it took is added to what was used. It lets its conversation go, unless it ``goes_on``. Raises
    `ConversationHeld` where it does not hold that.
    """
    place = yield from _place(sql, row)
    count = len(inputs) + len(outputs)
    lineage, start = yield from _room(sql, row.tenant, place, count)
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
        "response": row.response.decode() or None,
        "has_blobs": int(row.has_blobs),
        "conversation": place.conversation,
        "omissions": place.omissions,
        "charges": _charges(row),
    }
    [(seq,)] = convert((yield Statement(sql["add_response"], columns)), list[tuple[int]])
    if ":charges" not in sql["add_response"] and columns["charges"] != NO_CHARGES:
        yield Statement(sql["add_usage"], {"charges": columns["charges"]})
    yield _items(sql, row.tenant, lineage, start=start, seq=seq, items=[*inputs, *outputs])
    if place.conversation is not None:
        yield from _move(sql, place.conversation, lineage, tip=start + count, goes_on=goes_on)
    if row.has_blobs:  # they stay, as something leads to them from now on
        yield Statement(sql["forget_erasure"], {"key": response_prefix(row.tenant, row.id)})
    return seq


def finish(sql: Mapping[str, str], seq: int, final: Final) -> Dialogue[None]:
    """Give a response that was saved while it ran its end, and append the items that it made to its own.

    They are the end of its conversation, which it lets go. Of a response that was deleted meanwhile nothing is kept.
    """
    held = convert((yield Statement(sql["conversation_of"], {"response": seq})), list[tuple[int]])
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
        for (conversation,) in held:
            yield from _move(sql, conversation, lineage, tip=start + count, goes_on=True)
    for (conversation,) in held:
        yield Statement(sql["release_conversation"], {"conversation": conversation})


def _charges(row: ResponseRow) -> str:
    """What a response took, if it has ended."""
    if row.cost is None or row.cost.tally is None:
        return NO_CHARGES
    return rows([Charge(row.tenant, row.cost.deployment, row.cost.tally)])


def _place(sql: Mapping[str, str], row: ResponseRow) -> Dialogue[_Place]:
    """Where a response is appended; whoever else wants to append there waits until this transaction has ended."""
    if row.conversation is not None:
        found = yield Statement(sql["conversation_place"], {"tenant": row.tenant, "id": row.conversation})
        for seq, lineage, tip, omissions, holder in convert(found, list[tuple[int, int, int, int, str | None]]):
            if holder != row.id:
                raise ConversationHeld(row.conversation)
            return _Place(lineage, tip, omissions, seq)
    elif row.previous_id is not None:
        found = yield Statement(sql["place"], {"tenant": row.tenant, "id": row.previous_id})
        for lineage, tip, omissions in convert(found, list[tuple[int, int, int]]):
            return _Place(lineage, tip, omissions)
    return _Place()


def _move(sql: Mapping[str, str], conversation: int, lineage: int, *, tip: int, goes_on: bool) -> Dialogue[None]:
    """A conversation ends at another place now."""
    yield Statement(sql["move_conversation"], {"conversation": conversation, "lineage": lineage, "tip": tip})
    if not goes_on:
        yield Statement(sql["release_conversation"], {"conversation": conversation})


def _room(sql: Mapping[str, str], tenant: str, place: _Place, count: int) -> Dialogue[tuple[int, int]]:
    """Make room for ``count`` items at a place; return the lineage and the position before them."""
    if place.lineage is None:
        return (yield from add_lineage(sql, tenant, None, tip=0, count=count)), 0
    return (yield from _append(sql, tenant, place.lineage, tip=place.tip, count=count))


def _append(sql: Mapping[str, str], tenant: str, parent: int, *, tip: int, count: int) -> Dialogue[tuple[int, int]]:
    """Make room for ``count`` items behind position ``tip``; return the lineage and the position before them.

    The first child of a response stays in its lineage; another child finds the tip moved, and branches.
    """
    if (yield Statement(sql["extend_lineage"], {"lineage": parent, "tip": tip, "count": count})):
        return parent, tip
    return (yield from add_lineage(sql, tenant, parent, tip=tip, count=count)), tip


def add_lineage(sql: Mapping[str, str], tenant: str, parent: int | None, *, tip: int, count: int) -> Dialogue[int]:
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
