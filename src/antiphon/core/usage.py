"""What turns cost together, and what pictures do."""

from __future__ import annotations

from antiphon.protocol.response import ImageTokens, ImageToolUsage, InputTokens, OutputTokens, Usage

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


def drawn(one: ImageToolUsage, other: ImageToolUsage) -> ImageToolUsage:
    """What pictures cost together."""
    return ImageToolUsage(
        input_tokens=one.input_tokens + other.input_tokens,
        input_tokens_details=_by_kind(one.input_tokens_details, other.input_tokens_details),
        output_tokens=one.output_tokens + other.output_tokens,
        output_tokens_details=_by_kind(one.output_tokens_details, other.output_tokens_details),
        total_tokens=one.total_tokens + other.total_tokens,
    )


def _by_kind(one: ImageTokens, other: ImageTokens) -> ImageTokens:
    return ImageTokens(
        image_tokens=one.image_tokens + other.image_tokens, text_tokens=one.text_tokens + other.text_tokens
    )
