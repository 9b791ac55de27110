"""Seats: what nodes hold of limits of what goes on at once, as long as they give signs of life."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, convert

from antiphon.core.seats import allot
from antiphon.store import Batch, Statement
from antiphon.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.store import Database, Dialogue, Params

SCARCE_MS = 10_000
"""How long a refusal tells the others that there are few."""
OLD_MS = 600_000
NOBODY = ""


class Wish(Struct, frozen=True):
    """What a ``node`` asks of a limit, which has a ``name``: to hold ``wants`` seats, of which it has ``taken`` some.

    ``needs``: without so many it refuses somebody. ``number`` rises with what the node asks.
    """

    node: str
    name: str
    limit: int
    number: int
    taken: int
    wants: int
    needs: int = 0


class Seated(Struct, frozen=True):
    """How many seats a node holds now, how many the others do, and whether one of those lacked one lately."""

    held: int
    others: int
    is_scarce: bool


class Seating:
    """Seats by the names of limits. ``lease``: milliseconds that a sign of life lasts; all go by the database's clock.

    Every verb raises `StoreUnavailable`.
    """

    def __init__(self, database: Database, *, lease: int) -> None:
        self._database = database
        self._lease = lease
        self._sql = queries(database.engine)

    async def enter(self, node: str) -> None:
        """Be a new node, which holds nothing."""
        statement = Statement(self._sql["enter_seats"], {"node": node, "lease": self._lease})
        await self._database.transaction(partial(_run, statement))

    async def beat(self, node: str) -> frozenset[str] | None:
        """Give a sign of life; the limits of which it holds seats that others lack. None: the node was buried."""
        return await self._database.transaction(partial(_beat, self._sql, node, self._lease))

    async def ask(self, wish: Wish) -> Seated | None:
        """Hold more seats, or fewer. None: the node was buried, and holds nothing."""
        return await self._database.transaction(partial(_ask, self._sql, wish))

    async def retire(self, node: str) -> None:
        """Give all back."""
        await self._database.transaction(partial(_bury, self._sql, [node]))

    async def sweep(self) -> None:
        """Bury whoever gives no sign of life, and forget of which limits nobody holds anything."""
        await self._database.transaction(partial(_forget_seats, self._sql))


def _ask(sql: Mapping[str, str], wish: Wish) -> Dialogue[Seated | None]:
    if not (yield Statement(sql["alive"], {"node": wish.node})):
        return None
    yield Statement(sql["hold_quota"], {"name": wish.name})
    yield from _bury_silent(sql, wish.node)
    [(now,)] = convert((yield Statement(sql["quota_time"])), list[tuple[int]])
    rows = convert((yield Statement(sql["seats_of"], {"name": wish.name})), list[tuple[str, int, int]])
    own = sum(held for node, held, _ in rows if node == wish.node)
    others = sum(held for node, held, _ in rows if node != wish.node)
    held = allot(wish.limit, others=others, own=own, taken=wish.taken, wants=wish.wants)
    told: Params = {"name": wish.name, "node": wish.node, "number": wish.number, "held": held}
    yield Statement(sql["tell_seats"], told | {"told_at": now, "refused_at": now if held < wish.needs else 0})
    return Seated(held, others, any(at > now - SCARCE_MS for node, _, at in rows if node != wish.node))


def _beat(sql: Mapping[str, str], node: str, lease: int) -> Dialogue[frozenset[str] | None]:
    if not (yield Statement(sql["beat_seats"], {"node": node, "lease": lease})):
        return None
    rows = yield Statement(sql["scarce_seats"], {"node": node, "age": SCARCE_MS})
    return frozenset(name for (name,) in convert(rows, list[tuple[str]]))


def _bury_silent(sql: Mapping[str, str], by: str) -> Dialogue[None]:
    rows = yield Statement(sql["silent_nodes"], {"node": by})
    yield from _bury(sql, [node for (node,) in convert(rows, list[tuple[str]])])


def _bury(sql: Mapping[str, str], nodes: list[str]) -> Dialogue[None]:
    if nodes:
        buried: list[Params] = [{"node": node} for node in nodes]
        yield Batch(sql["bury_node"], buried)  # whoever is about to tell something for it was waited for
        yield Batch(sql["bury_seats"], buried)


def _forget_seats(sql: Mapping[str, str]) -> Dialogue[None]:
    yield from _bury_silent(sql, NOBODY)
    yield Statement(sql["forget_seats"], {"age": OLD_MS})


def _run(statement: Statement) -> Dialogue[None]:
    yield statement
