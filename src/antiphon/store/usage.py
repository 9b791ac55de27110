"""Usage: what tenants took of deployments, day by day, kept whatever becomes of their responses."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct, convert
from msgspec.json import encode
from msgspec.structs import replace

from antiphon.core.tally import Outcome, Tally
from antiphon.store import Statement
from antiphon.store.queries import queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from antiphon.store import Database, Dialogue

NEVER = 2**31
"""A day that no clock shows."""

Key = tuple[int, str, str, Outcome]


class Charge(Struct, frozen=True):
    """What somebody took of a deployment."""

    tenant: str
    deployment: str
    tally: Tally


class Usage:
    """What was used, of all tenants. Every verb raises `StoreUnavailable`.

    What a response took is added in the transaction that makes it final: see `antiphon.store.saving`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = queries(database.engine)

    async def add(self, charges: list[Charge], *, node: str, number: int) -> None:
        """Add what has no row of its own. A batch of this process (``node``) that was added before changes nothing.

        ``number`` rises from batch to batch.
        """
        await self._database.transaction(partial(_add, self._sql, rows(charges), node, number))

    async def read(
        self, *, since: int = 0, until: int = NEVER, tenant: str | None = None, deployment: str | None = None
    ) -> list[Charge]:
        """What was used from the day ``since`` on and before the day ``until``, one for each outcome of a day."""
        found = await self._database.fetch(
            self._sql["used"], {"since": since, "until": until, "tenant": tenant, "deployment": deployment}
        )
        return [
            Charge(row[1], row[2], Tally(row[0], *row[3:]))
            for row in convert(found, list[tuple[int, str, str, Outcome, int, int, int, int, int, int, int, int, int]])
        ]


def summed(one: Tally, other: Tally) -> Tally:
    """Both together, as of the day and the outcome of the first."""
    return replace(
        one,
        requests=one.requests + other.requests,
        input_tokens=one.input_tokens + other.input_tokens,
        cached_tokens=one.cached_tokens + other.cached_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        reasoning_tokens=one.reasoning_tokens + other.reasoning_tokens,
        estimated_input=one.estimated_input + other.estimated_input,
        estimated_output=one.estimated_output + other.estimated_output,
        pictures=one.pictures + other.pictures,
        picture_tokens=one.picture_tokens + other.picture_tokens,
    )


class Sum:
    """Charges, one for each day, tenant, deployment and outcome, however many are added."""

    def __init__(self, charges: Iterable[Charge] = ()) -> None:
        self._found: dict[Key, Charge] = {}
        for charge in charges:
            self.add(charge)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._found)

    def add(self, charge: Charge) -> None:
        """Add one."""
        key = (charge.tally.day, charge.tenant, charge.deployment, charge.tally.outcome)
        before = self._found.get(key)
        self._found[key] = charge if before is None else replace(before, tally=summed(before.tally, charge.tally))

    def charges(self) -> list[Charge]:
        """All of them; in one order, so that none who add wait in a circle."""
        return [self._found[key] for key in sorted(self._found)]


def rows(charges: list[Charge]) -> str:
    """Charges as the statements take them: each row once."""
    kept = charges if len(charges) == 1 else Sum(charges).charges()
    return encode([_row(charge) for charge in kept]).decode().replace("\\u0000", "\\ufffd")  # no database keeps a NUL


def charge(sql: Mapping[str, str], charges: list[Charge]) -> Dialogue[None]:
    """Add to what was used, within a transaction; the last of its steps, so that others wait for its end alone."""
    if charges:
        yield Statement(sql["add_usage"], {"charges": rows(charges)})


def _row(charge: Charge) -> tuple[str | int, ...]:
    used = charge.tally
    return (
        used.day,
        charge.tenant,
        charge.deployment,
        used.outcome,
        used.requests,
        used.input_tokens,
        used.cached_tokens,
        used.output_tokens,
        used.reasoning_tokens,
        used.estimated_input,
        used.estimated_output,
        used.pictures,
        used.picture_tokens,
    )


def _add(sql: Mapping[str, str], charges: str, node: str, number: int) -> Dialogue[None]:
    if (yield Statement(sql["mark_batch"], {"node": node, "number": number})):
        yield Statement(sql["add_usage"], {"charges": charges})
