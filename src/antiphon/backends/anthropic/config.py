"""What an operator says about an upstream that speaks Anthropic's Messages API."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(gt=0)]


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a deployment with ``backend = "anthropic"``.

    ``base_url`` is what stands before ``/messages``. ``model`` is what the upstream is asked for. The key travels as
    ``x-api-key``; ``api_key_header`` names another header for it, and ``authorization`` makes it a Bearer token.
    ``version`` is that of the API; ``headers`` may name beta features.

    ``max_tokens`` is the limit of an answer, thoughts included, where the request names none. ``thinking`` is how the
    model is asked to think: ``adaptive`` as much as it likes or the request's effort says, ``budget`` with a number of
    tokens for each effort, ``off`` not at all. ``cache`` is when the upstream is asked to keep a prompt: ``asked``
    where the request hints at it, ``always`` or ``never``.

    ``connect_timeout`` and ``idle_timeout`` are in seconds; the second bounds each silence, that before the first byte
    included.
    """

    base_url: str
    api_key: str | None = None
    api_key_header: str = "x-api-key"
    model: str | None = None
    version: str = "2023-06-01"
    headers: dict[str, str] = {}
    max_tokens: Annotated[int, Meta(ge=16)] = 32_000
    thinking: Literal["adaptive", "budget", "off"] = "adaptive"
    cache: Literal["asked", "always", "never"] = "asked"
    connect_timeout: Seconds = 10.0
    idle_timeout: Seconds = 600.0
