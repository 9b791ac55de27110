"""Tests of what operators are told of requests, in the process that answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from antiphon.telemetry.settings import Logs, Metrics, Tracing
from tests.collector import attributes, collecting
from tests.http.following import ended
from tests.http.talking import talking
from tests.patient import get, post, request
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.collector import Collector

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector."""
    with collecting() as made:
        yield made


@pytest.fixture
def address(collector: Collector) -> Iterator[str]:
    """A server that tells everything."""
    config = replace(
        scripted({"when": "break", "steps": [{"fail": {}}]}, {"steps": [{"text": "Hello."}]}, name="m"),
        tracing=Tracing(endpoint=collector.url, sample=1.0),
        metrics=Metrics(enabled=True, key="k"),
        logs=Logs(content=True),
    )
    with serving(config) as made:
        yield made


def ask(address: str, said: str = "hi", **more: object) -> dict[str, str]:
    """Ask for a response."""
    asked = {"model": "m", "input": said, **more}
    answer: dict[str, str] = post(
        f"{address}/v1/responses", json=asked, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}
    ).json()
    return answer


def test_requests_have_spans_in_the_trace_of_their_caller(address: str, collector: Collector) -> None:
    """With the pattern of their path, what was answered, and what a model was asked and said."""
    ask(address)
    outer, turn = collector.named("POST /v1/responses", "chat m")
    assert (TRACE, PARENT) == (outer.trace_id.hex(), outer.parent_span_id.hex())
    assert (outer.trace_id, outer.span_id) == (turn.trace_id, turn.parent_span_id)
    told = attributes(outer)
    assert ("http", "/v1/responses", 200) == tuple(
        told[name] for name in ("url.scheme", "url.path", "http.response.status_code")
    )
    assert "Hello." in str(attributes(turn)["gen_ai.output.messages"])


def test_a_model_that_fails_fails_the_turn(address: str, collector: Collector) -> None:
    """By the word for whose fault it is; the request is no failure of the server's where it is not one."""
    ask(address, "break")
    outer, turn = collector.named("POST /v1/responses", "chat m")
    status = attributes(outer)["http.response.status_code"]
    assert ("server_error", 2) == (attributes(turn)["error.type"], turn.status.code)
    assert str(status) == attributes(outer)["error.type"]


def test_a_strangers_method_and_path_name_no_span(address: str, collector: Collector) -> None:
    """What is told of them is bounded, and so are the names that there are."""
    request("PROPFIND", f"{address}/v1/models")
    get(f"{address}/nowhere/{2000 * 'x'}")
    other, nowhere = collector.named("HTTP /v1/models", "GET unmatched")
    assert ("_OTHER", 405) == tuple(
        attributes(other)[name] for name in ("http.request.method", "http.response.status_code")
    )
    assert "http.route" not in attributes(nowhere)
    assert len(str(attributes(nowhere)["url.path"])) < 1000


def test_a_background_run_stands_in_the_trace_that_queued_it(address: str, collector: Collector) -> None:
    """And is linked to it."""
    id = ask(address, background=True)["id"]
    ended(address, id)
    outer, run = collector.named("POST /v1/responses", "run in background")
    assert (outer.trace_id, outer.span_id) == (run.trace_id, run.parent_span_id)
    assert [(outer.trace_id, outer.span_id)] == [(link.trace_id, link.span_id) for link in run.links]


def test_a_connection_is_counted_and_its_creates_are_spans(address: str, collector: Collector) -> None:
    """While it is open."""
    scraped = {"authorization": "Bearer k"}
    with talking(address) as talk:
        talk.create(model="m")
        talk.until("response.completed")
        assert "antiphon_websockets_open 1.0" in get(f"{address}/metrics", headers=scraped).text
    collector.named("response.create")
    while "antiphon_websockets_open 0.0" not in get(f"{address}/metrics", headers=scraped).text:
        pass
