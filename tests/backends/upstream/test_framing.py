"""Server-sent events are cut out of bytes; each dialect's cassettes show the rest."""

from __future__ import annotations

import pytest

from antiphon.backends import UpstreamError
from antiphon.backends.upstream.framing import Frames


def test_an_endless_event_is_refused() -> None:
    """An upstream cannot fill the memory with one event, neither on one line nor on many."""
    for block in (b"x" * 60, b"data: x\n" * 8):
        frames = Frames(limit=100)
        frames.feed(b"data: ")
        with pytest.raises(UpstreamError, match="too long"):
            [frames.feed(block) for _ in range(9)]
