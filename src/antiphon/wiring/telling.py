"""What operators are told, joined: figures and their page, the tracer, and a database whose answers are timed."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from antiphon.config import ConfigError
from antiphon.http import server
from antiphon.http.metrics import Metrics
from antiphon.http.probes import Probes
from antiphon.store import StoreUnavailable
from antiphon.telemetry.figures import Figures
from antiphon.telemetry.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from antiphon.config import Config
    from antiphon.http.health import Health
    from antiphon.store import Database, Dialogue, Params, Row
    from antiphon.store.jobs import Jobs
    from antiphon.telemetry.exposition import Page
    from antiphon.telemetry.tracing import OtelTracer

T = TypeVar("T")


class Telemetry:
    """The telemetry of a process, as far as the configuration asks for it. Raises `ConfigError` and `CannotListen`."""

    def __init__(self, config: Config) -> None:
        self._settings = config.metrics
        self._figures = Figures() if config.metrics.enabled else None
        self._tracer = None if config.tracing.endpoint is None else self._traced(config)
        metrics = config.metrics
        has_port = metrics.enabled and metrics.port is not None
        self._listener = server.bind(metrics.host, metrics.port or 0) if has_port else None
        self.root = Trail(figures=self._figures, tracer=self._tracer, content=config.logs.content)

    def timed(self, database: Database) -> Database:
        """The database; with its answers timed, where figures are wanted."""
        return database if self._figures is None else Timed(database, self._figures)

    def probes(self, health: Health, jobs: Jobs, *, is_apart: bool) -> Probes:
        """What answers probes: at the callers' port, or ``is_apart``. Figures are given at one of them."""
        if self._figures is None or is_apart != (self._settings.port is not None):
            return Probes(health)
        return Probes(health, Metrics(_page(self._figures), jobs, key=self._settings.key))

    async def listen(self, health: Health, jobs: Jobs) -> None:
        """Answer probes at a port of their own, if there is one, until cancelled."""
        if self._listener is not None:
            await server.probe(self.probes(health, jobs, is_apart=True), self._listener)

    async def aclose(self) -> None:
        """Send what is left to the collector, and let go of the port."""
        if self._listener is not None:
            self._listener.close()
        if self._tracer is not None:
            await self._tracer.aclose()

    def _traced(self, config: Config) -> OtelTracer:
        try:
            tracing = importlib.import_module("antiphon.telemetry.tracing")
        except ImportError as error:
            raise ConfigError(
                "[tracing] endpoint needs the OpenTelemetry SDK, which is an extra: pip install 'antiphon[tracing]'."
            ) from error
        tracer: OtelTracer = tracing.OtelTracer(config.tracing, version=version("antiphon"), unsent=self._count_unsent)
        return tracer

    def _count_unsent(self, count: int) -> None:
        """Count spans, on the thread that sends them or the event loop's: never on both at once."""
        if self._figures is not None:
            self._figures.unsent_spans.add(count=count)


class Timed:
    """A database whose answers are timed: see `antiphon.store.Database`."""

    def __init__(self, database: Database, figures: Figures) -> None:
        self._database = database
        self._figures = figures
        self.engine = database.engine
        self.is_shared = database.is_shared
        self.reclaim = database.reclaim
        self.notify = database.notify
        self.listen = database.listen
        self.aclose = database.aclose

    async def fetch(self, sql: str, params: Params) -> list[Row]:
        """See `Database.fetch`."""
        return await self._timed("read", self._database.fetch(sql, params))

    async def transaction(self, dialogue: Callable[[], Dialogue[T]]) -> T:
        """See `Database.transaction`."""
        return await self._timed("write", self._database.transaction(dialogue))

    async def _timed(self, operation: str, answer: Awaitable[T]) -> T:
        began = perf_counter()
        try:
            return await answer
        except StoreUnavailable:
            self._figures.store_errors.add(operation)
            raise
        finally:
            self._figures.store_seconds.add(operation, seconds=perf_counter() - began)


def _page(figures: Figures) -> Page:
    # The client library of Prometheus takes a tenth of a second to import, which only who wants it waits for.
    exposition = importlib.import_module("antiphon.telemetry.exposition")
    page: Page = exposition.page(figures)
    return page
