"""Traces: what a collector is told of requests, turns, tools and background runs, and that none is needed."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any  # JSON

import pytest

from tests.acceptance.operating import configured, operating
from tests.collector import attributes, collecting
from tests.http.following import ended
from tests.http.talking import talking
from tests.mcp_servers import library
from tests.patient import HANG_SECONDS, get, post
from tests.servers import reserved_port
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.collector import Collector

pytestmark = pytest.mark.slow

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECRET = "what-nobody-may-read"


class Upstream(BaseHTTPRequestHandler):
    """A model that says one thing, and notes the heads of its requests."""

    protocol_version = "HTTP/1.1"
    heads: list[dict[str, str]]

    def do_POST(self) -> None:
        """Answer."""
        self.heads.append({name.lower(): value for name, value in self.headers.items()})
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "break" in str(asked["messages"][-1]["content"]):
            self.send_error(500)
            return
        usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
        chunks = [
            {"choices": [{"index": 0, "delta": {"content": f"Hello, {SECRET}."}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage},
        ]
        body = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def heads() -> list[dict[str, str]]:
    """The heads of the requests that the model's server got."""
    return []


@pytest.fixture
def model(heads: list[dict[str, str]]) -> Iterator[str]:
    """The address of the model's server."""
    with listening(type("Noting", (Upstream,), {"heads": heads})) as url:
        yield url


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector."""
    with collecting() as made:
        yield made


def traced(model: str, endpoint: str, **more: str) -> str:
    """A configuration whose spans go to a collector, all of them."""
    settings = "".join(f"{name} = {value}\n" for name, value in more.items())
    return f"""
{settings}
[tracing]
endpoint = "{endpoint}"
sample = 1.0
headers = {{ x-collector-key = "k" }}
[[deployments]]
name = "gpt"
backend = "chat_completions"
base_url = "{model}"
model = "gpt-upstream"
"""


def ask(address: str, *, headers: dict[str, str] | None = None, **more: Any) -> Any:  # JSON
    """Ask for a response."""
    answer = post(
        f"{address}/v1/responses", json={"model": "gpt", "input": f"hi {SECRET}", **more}, headers=headers or {}
    )
    return answer.json(), answer.headers["x-request-id"]


def test_a_request_is_a_trace_from_its_caller_to_the_model(
    tmp_path: Path, model: str, collector: Collector, heads: list[dict[str, str]]
) -> None:
    """The caller's trace goes on in the server's span, in the turn's, and in the head that the upstream gets.

    The turn has the attributes of the GenAI conventions, and nothing that was said. The id in the answer is the one
    that the upstream gets, and the one in the log; what the caller sent as such is not.
    """
    theirs = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=x", "x-request-id": "forged"}
    theirs |= {"x-ms-client-request-id": "mine-1"}
    with operating(configured(tmp_path, traced(model, collector.url))) as server:
        response, request = ask(server.address, headers=theirs)
        outer, inner = collector.named("POST /v1/responses", "chat gpt-upstream")
        lines = server.logged("response_finished")
    assert (TRACE, PARENT) == (outer.trace_id.hex(), outer.parent_span_id.hex())
    assert (TRACE, outer.span_id) == (inner.trace_id.hex(), inner.parent_span_id)
    head = heads[-1]
    assert (request, f"00-{TRACE}-{inner.span_id.hex()}-01", "vendor=x") == (
        head["x-request-id"],
        head["traceparent"],
        head["tracestate"],
    )
    named = [[line[key] for key in ("request", "client_request", "tenant", "trace")] for line in lines]
    assert [[request, "mine-1", "local", TRACE]] == named
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-upstream",
        "gen_ai.response.model": "gpt-upstream",
        "gen_ai.response.id": response["id"],
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 3,
    }
    found = attributes(inner)
    assert expected == {name: found.get(name) for name in expected}
    assert ("POST", "/v1/responses", 200) == tuple(
        attributes(outer)[f"http.{name}"] for name in ("request.method", "route", "response.status_code")
    )
    assert SECRET not in str(collector.spans)
    assert not any(word in server.written.decode() for word in (SECRET, "forged"))
    assert ("antiphon", "k") == (collector.resource["service.name"], collector.headers["x-collector-key"])


def test_a_fault_of_the_upstream_is_an_error_of_the_turn(tmp_path: Path, model: str, collector: Collector) -> None:
    """Its kind is a word of ours, and the request's span says what the caller was told."""
    with operating(configured(tmp_path, traced(model, collector.url))) as server:
        ask(server.address, input="break")
        outer, inner = collector.named("POST /v1/responses", "chat gpt-upstream")
    assert ("server_error", 2) == (attributes(inner)["error.type"], inner.status.code)
    assert attributes(outer)["http.response.status_code"] in {500, 502}


def test_a_background_run_goes_on_in_the_trace_that_queued_it(
    tmp_path: Path, model: str, collector: Collector, heads: list[dict[str, str]]
) -> None:
    """Its span follows the request's, and is linked to it; the upstream gets the id of the request that queued it."""
    with operating(configured(tmp_path, traced(model, collector.url))) as server:
        response, request = ask(server.address, background=True)
        ended(server.address, response["id"])
        outer, run, inner = collector.named("POST /v1/responses", "run in background", "chat gpt-upstream")
    assert (outer.trace_id, outer.span_id) == (run.trace_id, run.parent_span_id)
    assert [(outer.trace_id, outer.span_id)] == [(link.trace_id, link.span_id) for link in run.links]
    assert (outer.trace_id, run.span_id) == (inner.trace_id, inner.parent_span_id)
    assert request == heads[-1]["x-request-id"]


def test_a_create_over_a_websocket_is_a_trace_of_its_own(tmp_path: Path, model: str, collector: Collector) -> None:
    """A connection lives for an hour; what is asked over it is what takes time."""
    with operating(configured(tmp_path, traced(model, collector.url))) as server, talking(server.address) as talk:
        for _ in range(2):
            talk.create(model="gpt")
            talk.until("response.completed")
        collector.wait(lambda: [span.name for span in collector.spans].count("response.create") == 2)
    creates = [span for span in collector.spans if span.name == "response.create"]
    assert 2 == len({span.trace_id for span in creates})


def test_a_create_that_fails_is_told_as_such(tmp_path: Path, model: str, collector: Collector) -> None:
    """What the caller did wrong is no fault of the server's."""
    with operating(configured(tmp_path, traced(model, collector.url))) as server, talking(server.address) as talk:
        for body in ({"input": "break"}, {"input": "hi", "temperature": 9}):
            talk.create(model="gpt", **body)
            talk.until("error")
        collector.wait(lambda: [span.name for span in collector.spans].count("response.create") == 2)
    failed, refused = [span for span in collector.spans if span.name == "response.create"]
    assert (2, "502") == (failed.status.code, attributes(failed)["error.type"])
    assert 0 == refused.status.code
    assert "error.type" not in attributes(refused)


def test_what_was_said_is_told_where_the_operator_asks_for_it(tmp_path: Path, model: str, collector: Collector) -> None:
    """To the log and to the collector, cut where it is long."""
    config = configured(tmp_path, traced(model, collector.url, logs="{ content = true }"))
    with operating(config) as server:
        ask(server.address, input=f"hi {SECRET} " + 100_000 * "x")
        (inner,) = collector.named("chat gpt-upstream")
        [line] = server.logged("response_content")
    told = attributes(inner)
    [asked] = json.loads(str(told["gen_ai.input.messages"]))
    assert ("user", "text") == (asked["role"], asked["parts"][0]["type"])
    assert asked["parts"][0]["content"].startswith(f"hi {SECRET}")
    assert [
        {"role": "assistant", "parts": [{"type": "text", "content": f"Hello, {SECRET}."}], "finish_reason": "stop"}
    ] == json.loads(str(told["gen_ai.output.messages"]))
    assert SECRET in line["asked"]
    assert SECRET in line["answered"]
    assert len(line["asked"]) < 10_000


def test_a_collector_that_is_down_costs_a_line_of_the_log(tmp_path: Path, model: str) -> None:
    """Requests are answered as ever, and the end of the process does not wait for it long."""
    with (
        reserved_port() as port,
        operating(configured(tmp_path, traced(model, f"http://127.0.0.1:{port}"))) as server,
    ):
        for _ in range(20):
            assert "completed" == ask(server.address)[0]["status"]
        began = time.monotonic()
        assert 0 == server.stop()
        took = time.monotonic() - began
    assert 1 == len(server.log("spans_not_sent"))
    assert took < HANG_SECONDS / 2


def test_nothing_is_sent_where_nobody_asked(
    tmp_path: Path, model: str, heads: list[dict[str, str]], collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ``[tracing]`` neither the environment nor a caller's trace makes the server tell anybody of it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    config = configured(tmp_path, "[[deployments]]" + traced(model, "").partition("[[deployments]]")[2])
    with operating(config) as server:
        ask(server.address, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert [] == collector.spans
    assert "traceparent" not in heads[-1]


def test_a_call_that_the_server_makes_is_a_span_between_two_turns(tmp_path: Path, collector: Collector) -> None:
    """And is counted, by its kind and how it ended. Neither has a word of its arguments."""
    text = f"""
outbound = {{ allow_private = ["127.0.0.1"] }}
metrics = {{ enabled = true, key = "scraper" }}
tracing = {{ endpoint = "{collector.url}", sample = 1.0 }}
[[deployments]]
name = "*"
backend = "scripted"
[[deployments.replies]]
after_output = false
steps = [{{ call = {{ name = "shelf__add", arguments = {{ a = 1, b = 77123 }} }} }}]
[[deployments.replies]]
after_output = true
steps = [{{ text = "done" }}]
"""
    with library() as shelf, operating(configured(tmp_path, text)) as server:
        tool = {"type": "mcp", "server_label": "shelf", "server_url": shelf.url, "require_approval": "never"}
        response, _ = ask(server.address, model="m", input="add", tools=[tool])
        outer, call = collector.named("POST /v1/responses", "execute_tool shelf__add")
        figures = get(f"{server.address}/metrics", headers={"authorization": "Bearer scraper"}).text
        collector.wait(lambda: [span.name for span in collector.spans].count("chat m") == 2)
    assert "completed" == response["status"]
    assert (outer.trace_id, outer.span_id) == (call.trace_id, call.parent_span_id)
    found = attributes(call)
    assert ("execute_tool", "shelf__add") == (found["gen_ai.operation.name"], found["gen_ai.tool.name"])
    assert 'antiphon_tool_calls_total{kind="mcp_call",outcome="completed"} 1.0' in figures
    assert "77123" not in str(collector.spans) + server.written.decode()
