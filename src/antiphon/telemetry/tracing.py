"""Traces: spans in the words of OpenTelemetry, sent to the collector that the configuration names, and nowhere else.

The SDK is an extra (``pip install 'antiphon[tracing]'``): this module is imported where a collector is named. Spans
wait in a bounded queue for a thread of their own: a collector that is slow or gone costs spans, and a line of the log
now and then. No proxy of the environment and no redirect leads them elsewhere.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import anyio.to_thread
import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from antiphon.telemetry.settings import Tracing
    from antiphon.telemetry.trail import Attribute

log = logging.getLogger(__name__)

BATCH = 512
SENDING_SECONDS = 2.0
"""How often spans are sent, where there are few."""
QUIET_SECONDS = 60.0
"""How often the log says at most that the collector takes nothing."""
ENDING_SECONDS = 5.0
"""How long the end of the process may wait for the last spans."""
KINDS = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}
_propagator = TraceContextTextMapPropagator()


class OtelSpan:
    """See `antiphon.telemetry.trail.Span`."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def traceparent(self) -> str:
        """See `Span.traceparent`."""
        context = self._span.get_span_context()
        if not context.is_valid:  # the SDK's own switch is off
            return ""
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    @property
    def tracestate(self) -> str:
        """See `Span.tracestate`."""
        return self._span.get_span_context().trace_state.to_header()

    def child(self, name: str, *, kind: str, attributes: Mapping[str, Attribute]) -> OtelSpan:
        """See `Span.child`."""
        parent = trace.set_span_in_context(self._span)
        return OtelSpan(self._tracer, self._tracer.start_span(name, parent, KINDS[kind], attributes))

    def note(self, attributes: Mapping[str, Attribute]) -> None:
        """See `Span.note`."""
        self._span.set_attributes(attributes)

    def rename(self, name: str) -> None:
        """See `Span.rename`."""
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        """See `Span.fail`."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """See `Span.end`."""
        self._span.end()


class OtelTracer:
    """See `antiphon.telemetry.trail.Tracer`. ``unsent`` is told how many spans the collector did not take.

    ``sample`` is the share of the traces that begin here; of one that began elsewhere the caller has decided.
    """

    def __init__(self, settings: Tracing, *, version: str, unsent: Callable[[int], None]) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # `Patient` says it, and not at every try
        exporter = OTLPSpanExporter(
            endpoint=f"{(settings.endpoint or '').rstrip('/')}/v1/traces",
            headers=settings.headers,
            timeout=settings.timeout_seconds,
            session=_direct(),
        )
        resource = Resource.create({"service.name": settings.name, "service.version": version})
        sampler = ParentBased(TraceIdRatioBased(settings.sample))
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        self._patient = Patient(exporter, unsent, room=settings.queue)
        self._provider.add_span_processor(Batches(self._patient, settings.queue))
        self._tracer = self._provider.get_tracer("antiphon", version)

    def begin(
        self, name: str, *, kind: str, parent: Mapping[str, str], attributes: Mapping[str, Attribute]
    ) -> OtelSpan:
        """See `Tracer.begin`."""
        context = _propagator.extract(parent) if parent else None
        # Who was queued is continued, and linked as well: some viewers show the one, some the other.
        remote = trace.get_current_span(context).get_span_context()
        links = [trace.Link(remote)] if kind == "consumer" and remote.is_valid else None
        return OtelSpan(self._tracer, self._tracer.start_span(name, context, KINDS[kind], attributes, links))

    async def aclose(self) -> None:
        """Send what is left, for `ENDING_SECONDS` at most."""
        ended = threading.Event()

        def end() -> None:
            self._provider.shutdown()
            ended.set()

        # A thread that the interpreter does not wait for: the SDK's own patience is half a minute.
        threading.Thread(target=end, name="spans-end", daemon=True).start()
        if not await anyio.to_thread.run_sync(ended.wait, ENDING_SECONDS):
            self._patient.give_up()


class Batches(BatchSpanProcessor):
    """Spans that wait to be sent together. For which there is no room, those are counted: the SDK drops them mutely."""

    def __init__(self, patient: Patient, room: int) -> None:
        super().__init__(
            patient,
            max_queue_size=room,
            schedule_delay_millis=SENDING_SECONDS * 1000,
            max_export_batch_size=min(BATCH, room),
        )
        self._patient = patient

    def on_end(self, span: ReadableSpan) -> None:
        """A span is over (OpenTelemetry), on whichever thread it is."""
        if span.context is not None and span.context.trace_flags.sampled and self._patient.admit():
            super().on_end(span)


class Patient(SpanExporter):
    """An exporter that says once in a while that the collector takes nothing, and goes on. ``room``: how many may wait.

    ``unsent`` is called under a lock, on whichever thread it is.
    """

    def __init__(self, exporter: SpanExporter, unsent: Callable[[int], None], *, room: int) -> None:
        self._exporter = exporter
        self._unsent = unsent
        self._room = room
        self._waiting = 0
        self._silent_until = 0.0
        self._lock = threading.Lock()

    def admit(self) -> bool:
        """Whether there is room for one more span. It is held until `export` has been given the span."""
        with self._lock:
            has_room = self._waiting < self._room
            if has_room:
                self._waiting += 1
            else:
                self._lose(1)
        return has_room

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans (OpenTelemetry), on its thread."""
        try:
            result = self._exporter.export(spans)
        except OSError:  # older exporters let some of the faults of `requests` out
            result = SpanExportResult.FAILURE
        with self._lock:
            self._waiting -= len(spans)
            if result is not SpanExportResult.SUCCESS:
                self._lose(len(spans))
        return result

    def give_up(self) -> None:
        """Whatever waits now is not sent any more."""
        with self._lock:
            if self._waiting:
                self._lose(self._waiting)

    def _lose(self, count: int) -> None:
        self._unsent(count)
        if time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + QUIET_SECONDS
            log.warning("spans not sent", extra={"action": "spans_not_sent", "spans": count})

    def shutdown(self) -> None:
        """Let go of the connection (OpenTelemetry)."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits here (OpenTelemetry)."""
        return self._exporter.force_flush(timeout_millis)


def _direct() -> requests.Session:
    """Connections to the collector itself."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    return session
