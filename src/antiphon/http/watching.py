"""The edge of a request for operators: its trail, its figures and its span, from the head to the end of the answer."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

from antiphon.telemetry.trail import Trail, along, current, enter, leave

if TYPE_CHECKING:
    from collections.abc import Generator

    from starlette.types import Scope

    from antiphon.http.exchange import Exchange
    from antiphon.protocol.errors import ApiError

UNMATCHED = "unmatched"
"""The route of requests for what is not there: a stranger's paths are no labels."""
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
LEFT = "left"
"""The status of a request whose client did not wait for one."""
SERVER_ERRORS = 500
LONGEST_PATH = 512
LONGEST_PARENT = 512
"""Characters of a path that are told to a collector, and of what a caller may say of the trace that it is in."""


class Answering:
    """A request while it is answered: a context. It is small, as there may be many that are open and silent."""

    __slots__ = ("_began", "_exchange", "_token", "_trail")

    def __init__(self, trail: Trail, exchange: Exchange) -> None:
        self._trail = trail
        self._exchange = exchange

    def __enter__(self) -> None:
        """It begins."""
        if (figures := self._trail.figures) is not None:
            figures.in_flight.add()
        self._began = perf_counter()
        self._token = enter(self._trail)

    def __exit__(self, *_: object) -> None:
        """It is over: count it, and end its span."""
        leave(self._token)
        trail, exchange = self._trail, self._exchange
        route = exchange.route or UNMATCHED
        method = exchange.method if exchange.method in METHODS else "other"
        if (figures := trail.figures) is not None:
            figures.in_flight.add(count=-1)
            figures.requests.add(route, method, str(exchange.status or LEFT))
            figures.request_seconds.add(route, method, seconds=perf_counter() - self._began)
            if exchange.is_stream:
                figures.streams.add(count=-1)
        if (span := trail.span) is not None:
            span.rename(f"{method if exchange.method in METHODS else 'HTTP'} {route}")
            if exchange.route:
                span.note({"http.route": route})
            if exchange.status:
                span.note({"http.response.status_code": exchange.status})
            if exchange.status >= SERVER_ERRORS or not exchange.status:
                span.fail(str(exchange.status or LEFT))
            span.end()


class Watching:
    """Watches requests. ``root`` is the trail of the process."""

    def __init__(self, root: Trail) -> None:
        self._root = root

    def request(self, exchange: Exchange) -> Answering:
        """Everything within the block of what this returns is done for this request."""
        trail = self._root.branch(request=exchange.request_id)
        trail.client_request = exchange.client_request
        if (tracer := trail.tracer) is not None:
            method = exchange.method if exchange.method in METHODS else "_OTHER"
            scheme = exchange.scope["scheme"]
            attributes = {"http.request.method": method, "url.path": exchange.path[:LONGEST_PATH], "url.scheme": scheme}
            parent = traced(exchange.scope)
            trail.span = tracer.begin(method, kind="server", parent=parent, attributes=attributes)
        return Answering(trail, exchange)

    @contextmanager
    def socket(self, scope: Scope) -> Generator[Trail]:
        """Everything within the block is done for this WebSocket connection; its creates have spans of their own."""
        trail = self._root.branch()
        trail.parent = traced(scope) if trail.tracer is not None else {}
        figures = trail.figures
        if figures is not None:
            figures.sockets.add()
        try:
            with along(trail):
                yield trail
        finally:
            if figures is not None:
                figures.sockets.add(count=-1)


def handshake(exchange: Exchange) -> None:
    """A handshake of a WebSocket was answered: count it, as any request. What follows is none."""
    if (figures := current().figures) is not None:
        figures.requests.add(exchange.route or UNMATCHED, exchange.method, str(int(exchange.status)))


def traced(scope: Scope) -> dict[str, str]:
    """What a caller says of the trace that it is in (W3C Trace Context), as far as it is text of a sane length."""
    return {
        name.decode(): value.decode("ascii")
        for name, value in scope["headers"]
        if name in {b"traceparent", b"tracestate"} and len(value) <= LONGEST_PARENT and value.isascii()
    }


@contextmanager
def create() -> Generator[None]:
    """Everything within the block is done for one create of a WebSocket connection."""
    trail = current()
    if trail.tracer is None:
        yield
        return
    span = trail.tracer.begin("response.create", kind="server", parent=trail.parent, attributes={})
    try:
        with along(trail.branch(span=span)):
            yield
    finally:
        span.end()


def failed(error: ApiError) -> None:
    """The create that goes on here is refused; where that is the server's fault, its span says so."""
    span = current().span
    if span is not None and error.status >= SERVER_ERRORS:
        span.fail(str(error.status))
