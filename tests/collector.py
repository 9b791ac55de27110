"""A collector that stands in for one of OpenTelemetry's: it takes spans over HTTP, and decodes them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attribute = str | int | float | bool | list[str]


class Collector:
    """What was told. ``headers`` are those of the last request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: dict[str, str] = {}
        self.resource: dict[str, Attribute] = {}
        self._spans: list[Span] = []
        self._told = threading.Condition()

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        """Take what is sent."""
        told = ExportTraceServiceRequest.FromString(body)
        with self._told:
            self.headers = headers
            for resource in told.resource_spans:
                self.resource = {each.key: value(each) for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self._spans += scope.spans
            self._told.notify_all()

    @property
    def spans(self) -> list[Span]:
        """All that was told so far."""
        with self._told:
            return list(self._spans)

    def named(self, *names: str) -> list[Span]:
        """One span of each of these names, once all are told; fails the test where one is not."""
        self.wait(lambda: set(names) <= {span.name for span in self._spans})
        told = self.spans
        return [next(span for span in told if span.name == name) for name in names]

    def wait(self, is_told: Callable[[], bool]) -> None:
        """Wait until something is told."""
        with self._told:
            assert self._told.wait_for(is_told, HANG_SECONDS), [span.name for span in self._spans]


def value(pair: KeyValue) -> Attribute:
    """The value of an attribute."""
    held = pair.value
    match held.WhichOneof("value"):
        case "array_value":
            return [each.string_value for each in held.array_value.values]
        case "int_value":
            return held.int_value
        case "double_value":
            return held.double_value
        case "bool_value":
            return held.bool_value
        case _:
            return held.string_value


def attributes(span: Span) -> dict[str, Attribute]:
    """The attributes of a span."""
    return {each.key: value(each) for each in span.attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port."""

    class Takes(BaseHTTPRequestHandler):
        """Takes spans."""

        def do_POST(self) -> None:
            """Take what is sent to ``/v1/traces``."""
            body = self.rfile.read(int(self.headers["content-length"]))
            is_right = self.path == "/v1/traces"
            if is_right:  # before whoever sends them is told so, and asks for them
                collector.take(body, dict(self.headers))
            self.send_response(200 if is_right else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Takes) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
