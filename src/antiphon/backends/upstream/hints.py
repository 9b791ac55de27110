"""Which hints of a request go on to an upstream: those that the operator names, and never one that it has refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from msgspec import UNSET, Struct, UnsetType

from antiphon.backends.upstream.faults import rejects_field
from antiphon.core.turn import Hints

if TYPE_CHECKING:
    from antiphon.protocol.request import CacheRequest

HintName = Literal[
    "user",
    "safety_identifier",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
]
NAMES: tuple[HintName, ...] = get_args(HintName)
Wish = tuple[HintName, ...] | Literal["all"]
"""What an operator says about hints: their names, or that all go on."""


class CacheWish(Struct, frozen=True):
    """How the upstream's cache shall be used; what names a response of ours, or forbids an answer, stays here."""

    mode: str | UnsetType = UNSET
    ttl: str | UnsetType = UNSET


def named(wish: Wish) -> tuple[HintName, ...]:
    """The names of the hints that go on."""
    return NAMES if wish == "all" else wish


def passed(hints: Hints, wish: Wish) -> Hints:
    """The hints that go on; the others are as if nobody had given them."""
    names = named(wish)
    return Hints(
        user=hints.user if "user" in names else None,
        safety_identifier=hints.safety_identifier if "safety_identifier" in names else None,
        metadata=hints.metadata if "metadata" in names else {},
        tier=hints.tier if "service_tier" in names else None,
        prompt_cache_key=hints.prompt_cache_key if "prompt_cache_key" in names else None,
        prompt_cache_retention=hints.prompt_cache_retention if "prompt_cache_retention" in names else None,
        prompt_cache_options=hints.prompt_cache_options if "prompt_cache_options" in names else None,
    )


def cache_wish(options: CacheRequest | None) -> CacheWish | UnsetType:
    """What an upstream is told of the options for its cache."""
    if options is None:
        return UNSET
    wish = CacheWish(mode=options.mode or UNSET, ttl=options.ttl or UNSET)
    return UNSET if wish == CacheWish() else wish


def without_refused(hints: Hints, wish: Wish, body: bytes) -> Wish | None:
    """The wish without the hint that an error answer says the upstream does not know; None where it says no such thing.

    Only a hint that was sent can have been refused.
    """
    given = passed(hints, wish)
    names = named(wish)
    refused = next((name for name in names if _is_given(given, name) and rejects_field(body, name)), None)
    if refused is None:
        return None
    kept: list[HintName] = [name for name in names if name != refused]
    return tuple(kept)


def _is_given(hints: Hints, name: HintName) -> bool:
    return passed(hints, (name,)) != Hints()
