"""Inlining: content comes back as it was, however it is cut, and is held as few times as can be."""

from __future__ import annotations

import random
import tracemalloc
from base64 import b64encode, encodebytes

import pytest

from antiphon.lifecycle import inlining
from antiphon.lifecycle.inlining import PIECE_BYTES, decoded, encoded, headed, regular

pytestmark = pytest.mark.anyio

HEAD = "data:image/png;x=é;base64,"
BORDERS = [0, 1, 2, 3, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 2 * PIECE_BYTES + 5]


def content(size: int) -> bytes:
    """So many bytes."""
    return random.Random(size).randbytes(size)  # noqa: S311 - no secret


@pytest.mark.parametrize("size", BORDERS)
async def test_content_comes_back_as_it_was(size: int) -> None:
    """Alone and behind a head, at every border between pieces."""
    whole = content(size)
    text = b64encode(whole).decode()
    assert text.encode() == await encoded(whole)
    assert HEAD + text == await headed(HEAD, whole)
    assert whole == await regular(text, 0) == await regular(HEAD + text, len(HEAD))
    assert whole == await decoded(text, 0) == await decoded(HEAD + text, len(HEAD))


@pytest.mark.parametrize(
    "text",
    [
        "!" * 8,
        "é" * 8,
        "AAA",
        "AAB=",
        "AA==AAAA",
        "\nAAAA",
        "A" * (inlining.PIECE_CHARACTERS - 4) + "AA==" + "AAAA",
        "A" * inlining.PIECE_CHARACTERS + "\nAAAA",
        encodebytes(content(100)).decode(),
    ],
)
async def test_what_would_be_written_otherwise_is_told(text: str) -> None:
    """It could not be given back as it came."""
    assert None is await regular(text, 0)


async def test_base64_is_read_however_it_is_written() -> None:
    """In lines, as some write it; what is none is an error."""
    whole = content(2 * PIECE_BYTES)
    assert whole == await decoded(HEAD + encodebytes(whole).decode(), len(HEAD))
    with pytest.raises(ValueError, match="padding"):
        await decoded("AAA", 0)


def test_what_is_large_is_not_held_often() -> None:
    """Beside what it is made of: once, and a little."""
    whole = content(64 * PIECE_BYTES)
    text = HEAD + b64encode(whole).decode()
    for most, work in (
        (1.3 * len(whole), lambda: inlining._regular(text, len(HEAD))),
        (2.3 * len(text), lambda: inlining._headed("", whole)),
    ):
        tracemalloc.start()
        made = work()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert made
        assert peak < most
