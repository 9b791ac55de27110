"""Counting: who says how many tokens a turn has."""

from __future__ import annotations

import anyio
import pytest

from antiphon.backends import UpstreamError
from antiphon.core.estimate import estimate
from antiphon.lifecycle import Deployment, counting
from antiphon.lifecycle.counting import Counted, count
from tests.lifecycle.readers import Scribe
from tests.playing import ASKED

pytestmark = pytest.mark.anyio


class Counter(Scribe):
    """A model with a tokenizer."""

    def __init__(self, tokens: int | UpstreamError | None) -> None:
        super().__init__()
        self._tokens = tokens

    async def count(self, turn: object) -> int:
        """Count; or fail, or never come back."""
        if isinstance(self._tokens, UpstreamError):
            raise self._tokens
        if self._tokens is None:
            await anyio.sleep_forever()
        return self._tokens or 0


async def test_a_model_with_a_tokenizer_counts_exactly() -> None:
    """No estimate is better."""
    assert Counted(1234, is_exact=True) == await count(ASKED, Deployment("m", Counter(1234)))


async def test_a_model_without_one_is_estimated() -> None:
    """And nobody is asked."""
    scribe = Scribe()
    assert Counted(estimate(ASKED), is_exact=False) == await count(ASKED, Deployment("m", scribe))
    assert [] == scribe.turns


async def test_an_upstream_that_cannot_count_is_estimated() -> None:
    """The caller gets an answer."""
    fault = UpstreamError("unavailable", "Nobody is there.")
    assert Counted(estimate(ASKED), is_exact=False) == await count(ASKED, Deployment("m", Counter(fault)))


async def test_an_upstream_that_counts_for_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimate is there at once."""
    monkeypatch.setattr(counting, "SECONDS", 0.01)
    assert Counted(estimate(ASKED), is_exact=False) == await count(ASKED, Deployment("m", Counter(None)))
