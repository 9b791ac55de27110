"""What turns cost together."""

from __future__ import annotations

from antiphon.protocol.response import InputTokens, OutputTokens, Usage

NO_USAGE = Usage(input_tokens=0, output_tokens=0, total_tokens=0)


def total(one: Usage | None, other: Usage | None) -> Usage | None:
    """Both turns together; what no upstream counted stays unknown."""
    if one is None or other is None:
        return one or other
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        input_tokens_details=InputTokens(
            cached_tokens=one.input_tokens_details.cached_tokens + other.input_tokens_details.cached_tokens,
            cache_write_tokens=one.input_tokens_details.cache_write_tokens
            + other.input_tokens_details.cache_write_tokens,
        ),
        output_tokens=one.output_tokens + other.output_tokens,
        output_tokens_details=OutputTokens(
            reasoning_tokens=one.output_tokens_details.reasoning_tokens + other.output_tokens_details.reasoning_tokens
        ),
        total_tokens=one.total_tokens + other.total_tokens,
    )
