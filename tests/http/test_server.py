"""Tests of listening."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack

import httpx2 as httpx
from msgspec.structs import replace

from antiphon.config import Server
from tests.http.test_streaming import Endless, ask, endless
from tests.patient import HANG_SECONDS
from tests.serving import scripted, serving

DELAYED_ACK_SECONDS = 0.03  # less than the 40 ms after which Linux acknowledges a lone segment


def test_an_answer_is_not_held_back() -> None:
    """Head and body are two writes, and the second does not wait until the client acknowledges the first."""
    with serving(scripted()) as address, httpx.Client(base_url=address, timeout=HANG_SECONDS) as client:
        took = []
        for _ in range(50):
            began = time.perf_counter()
            client.get("/health")
            took.append(time.perf_counter() - began)
    assert min(took[1:]) < DELAYED_ACK_SECONDS


def test_a_server_that_stops_ends_every_answer_whole() -> None:
    """Who waits when the time to drain is over gets the terminal event or an error to read, not a broken connection."""
    with endless() as config:
        with serving(replace(config, server=Server(drain_seconds=1))) as address, ExitStack() as connections:
            watching, waiting = ask(address, stream=True), ask(address)
            connections.callback(watching.close)
            connections.callback(waiting.close)
            stream = connections.enter_context(watching.getresponse())
            stream.readline()
            assert Endless.asked.wait(HANG_SECONDS)
            rest = connections.pop_all()
        with rest:
            events = stream.read().split(b"event: ")
            answer = waiting.getresponse()
            error = json.loads(answer.read())["error"]
    assert events[-1].startswith(b"response.failed\n")
    assert (503, "server_error") == (answer.status, error["code"])
