"""What counting and compacting take and answer (Responses API reference, sections 2.3 and 2.4)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import asdict

from antiphon.protocol.items import OutputItem
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.response import Usage

COUNTED = frozenset((
    "conversation",
    "input",
    "instructions",
    "model",
    "parallel_tool_calls",
    "personality",
    "previous_response_id",
    "prompt",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
    "truncation",
))
"""The parameters that counting knows; ``prompt`` is one more than the reference has."""

COMPACTED = frozenset((
    "conversation",
    "image",
    "input",
    "instructions",
    "model",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "service_tier",
))
"""The parameters that compacting knows; ``conversation`` and ``reasoning`` are two more than the reference has."""


class TokenCount(Struct, frozen=True, kw_only=True):
    """How many tokens an input has."""

    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int


class CompactedResponse(Struct, frozen=True, kw_only=True):
    """A conversation that was summed up: what the user said, then the sealed summary. It is kept nowhere.

    The next request has ``output`` as its input, and no ``previous_response_id``.
    """

    id: str
    object: Literal["response.compaction"] = "response.compaction"
    created_at: int
    output: list[OutputItem]
    usage: Usage


def only(request: CreateResponse, known: frozenset[str]) -> CreateResponse:
    """The request with no other parameters than these."""
    return CreateResponse(**{name: value for name, value in asdict(request).items() if name in known})


def others(request: CreateResponse, known: frozenset[str]) -> list[str]:
    """The parameters that a request gives beside these."""
    unset = asdict(CreateResponse())
    return [name for name, value in asdict(request).items() if name not in known and value != unset[name]]
