"""Tests of listening."""

from __future__ import annotations

import time

import httpx2 as httpx

from tests.serving import scripted, serving

DELAYED_ACK_SECONDS = 0.03  # less than the 40 ms after which Linux acknowledges a lone segment


def test_an_answer_is_not_held_back() -> None:
    """Head and body are two writes, and the second does not wait until the client acknowledges the first."""
    with serving(scripted()) as address, httpx.Client(base_url=address) as client:
        took = []
        for _ in range(10):
            began = time.perf_counter()
            client.get("/health")
            took.append(time.perf_counter() - began)
    assert min(took[1:]) < DELAYED_ACK_SECONDS
