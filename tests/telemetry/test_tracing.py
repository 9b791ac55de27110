"""Tests of how spans are sent: to the collector alone, and never more of them waiting than was agreed."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

from antiphon.telemetry import tracing
from antiphon.telemetry.settings import Tracing
from antiphon.telemetry.tracing import OtelTracer
from antiphon.telemetry.trail import Trail
from tests.collector import collecting
from tests.patient import HANG_SECONDS
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.collector import Collector

pytestmark = pytest.mark.anyio

ROOM = 8


class Unsent:
    """What was not sent, counted."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, count: int) -> None:
        """Count."""
        self.count += count


class Hanging(BaseHTTPRequestHandler):
    """A collector that takes spans, and says nothing before it is let."""

    asked: threading.Event
    may_answer: threading.Event

    def do_POST(self) -> None:
        """Take, and wait."""
        self.rfile.read(int(self.headers["content-length"]))
        self.asked.set()
        self.may_answer.wait(HANG_SECONDS)
        self.send_response(400)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class Elsewhere(BaseHTTPRequestHandler):
    """A collector that sends whoever tells it anything to another."""

    other: str

    def do_POST(self) -> None:
        """Name the other."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(307)
        self.send_header("location", f"{self.other}/v1/traces")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector."""
    with collecting() as made:
        yield made


def made(endpoint: str, unsent: Unsent, *, queue: int = ROOM) -> OtelTracer:
    """A tracer that tells everything."""
    settings = Tracing(endpoint=endpoint, sample=1.0, queue=queue, timeout_seconds=60.0)
    return OtelTracer(settings, version="0", unsent=unsent)


def told(tracer: OtelTracer, count: int) -> None:
    """Make spans that are over at once."""
    for number in range(count):
        tracer.begin(f"span {number}", kind="internal", parent={}, attributes={}).end()


async def test_spans_for_which_there_is_no_room_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A collector that hangs holds up none of them, and the log says once that it takes nothing."""
    asked, may_answer, unsent = threading.Event(), threading.Event(), Unsent()
    with listening(type("Hangs", (Hanging,), {"asked": asked, "may_answer": may_answer})) as url:
        tracer = made(url, unsent)
        told(tracer, ROOM)
        assert asked.wait(HANG_SECONDS)
        told(tracer, 92)
        assert 92 == unsent.count
        may_answer.set()
        await tracer.aclose()
    assert 100 == unsent.count
    lines = [record for record in caplog.records if vars(record).get("action") == "spans_not_sent"]
    assert ["antiphon.telemetry.tracing"] == [record.name for record in lines]


async def test_the_end_waits_for_a_collector_that_hangs_for_a_while_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it did not take by then is counted as not sent."""
    monkeypatch.setattr(tracing, "ENDING_SECONDS", 0.1)
    asked, may_answer, unsent = threading.Event(), threading.Event(), Unsent()
    with listening(type("Hangs", (Hanging,), {"asked": asked, "may_answer": may_answer})) as url:
        tracer = made(url, unsent)
        told(tracer, ROOM)
        assert asked.wait(HANG_SECONDS)
        await tracer.aclose()
        assert ROOM == unsent.count
        may_answer.set()


async def test_a_redirect_of_the_collector_is_not_followed(collector: Collector) -> None:
    """Spans go where the configuration says."""
    unsent = Unsent()
    with listening(type("Leads", (Elsewhere,), {"other": collector.url})) as url:
        tracer = made(url, unsent)
        told(tracer, 3)
        await tracer.aclose()
    assert (3, []) == (unsent.count, collector.spans)


async def test_a_proxy_of_the_environment_gets_no_spans(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go to the collector itself, and all that wait are sent at the end."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    unsent = Unsent()
    tracer = made(collector.url, unsent, queue=100)
    told(tracer, 50)
    await tracer.aclose()
    assert (0, 50) == (unsent.count, len(collector.spans))


async def test_a_trace_that_the_sdk_was_told_not_to_make_is_told_to_nobody(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the switch in its environment: no upstream gets the head of a trace that there is not."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    tracer = made(collector.url, Unsent())
    work = Trail(request="req_1")
    work.span = tracer.begin("span", kind="server", parent={}, attributes={})
    assert b"x-request-id: req_1\r\n" == work.lines(but={})
    work.span.end()
    await tracer.aclose()
    assert [] == collector.spans
