"""Pricing: what was used in money, as far as the configuration says what it costs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from antiphon.core.tally import Tally

Amount = Annotated[float, Meta(ge=0, le=1e9)]
A_MILLION = 1_000_000


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """``[[prices]]``: what a million tokens of a deployment cost, and a picture.

    Without ``cached_input`` what came from a cache costs as much as other input.
    """

    deployment: str
    input: Amount = 0.0
    cached_input: Amount | None = None
    output: Amount = 0.0
    image: Amount = 0.0
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "USD"


class Cost(Struct, frozen=True):
    """An amount of money, and how much of it is for tokens that were estimated."""

    amount: Decimal = Decimal(0)
    estimated: Decimal = Decimal(0)

    def __add__(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(self.amount + other.amount, self.estimated + other.estimated)


def cost(tally: Tally, price: Price) -> Cost:
    """What a tally costs. Reasoning is part of the output, and what was cached of the input."""
    fresh, written = Decimal(str(price.input)), Decimal(str(price.output))
    cached = fresh if price.cached_input is None else Decimal(str(price.cached_input))
    reread = min(tally.cached_tokens, tally.input_tokens)  # an upstream may say anything
    counted = (tally.input_tokens - reread) * fresh + reread * cached + tally.output_tokens * written
    estimated = (tally.estimated_input * fresh + tally.estimated_output * written) / A_MILLION
    return Cost(counted / A_MILLION + tally.pictures * Decimal(str(price.image)) + estimated, estimated)
