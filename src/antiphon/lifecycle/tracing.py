"""The trail of a response across processes: taken along when it is queued, and followed by whoever runs it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from antiphon.lifecycle import Origin
from antiphon.telemetry.trail import along, current

if TYPE_CHECKING:
    from collections.abc import Generator

    from antiphon.telemetry.trail import Trail


def origin() -> Origin:
    """Where the work comes from that goes on here."""
    trail = current()
    if trail.span is None:
        return Origin(trail.request)
    return Origin(trail.request, trail.span.traceparent, trail.span.tracestate)


@contextmanager
def resumed(origin: Origin, *, tenant: str, response: str) -> Generator[Trail]:
    """Everything within the block is done for the request that queued a response, and stands in its trace."""
    trail = current().branch(request=origin.request, tenant=tenant)
    if trail.tracer is not None:
        parent = {"traceparent": origin.traceparent, "tracestate": origin.tracestate}
        trail.span = trail.tracer.begin(
            "run in background",
            kind="consumer",
            parent={name: value for name, value in parent.items() if value},
            attributes={"gen_ai.response.id": response},
        )
    try:
        with along(trail):
            yield trail
    finally:
        if trail.span is not None:
            trail.span.end()
