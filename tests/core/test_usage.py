"""What pictures cost together."""

from __future__ import annotations

from antiphon.core.usage import drawn
from antiphon.protocol.response import ImageTokens, ImageToolUsage


def test_the_costs_of_pictures_are_summed_by_kind() -> None:
    """In and out, pictures and texts."""
    one = ImageToolUsage(
        input_tokens=1,
        input_tokens_details=ImageTokens(image_tokens=2, text_tokens=3),
        output_tokens=4,
        output_tokens_details=ImageTokens(image_tokens=5, text_tokens=6),
        total_tokens=7,
    )
    other = ImageToolUsage(
        input_tokens=10,
        input_tokens_details=ImageTokens(image_tokens=20, text_tokens=30),
        output_tokens=40,
        output_tokens_details=ImageTokens(image_tokens=50, text_tokens=60),
        total_tokens=70,
    )
    assert ImageToolUsage(
        input_tokens=11,
        input_tokens_details=ImageTokens(image_tokens=22, text_tokens=33),
        output_tokens=44,
        output_tokens_details=ImageTokens(image_tokens=55, text_tokens=66),
        total_tokens=77,
    ) == drawn(one, other)


def test_nothing_costs_nothing() -> None:
    """It changes no sum."""
    one = ImageToolUsage(input_tokens=1, total_tokens=1)
    assert one == drawn(one, ImageToolUsage())
