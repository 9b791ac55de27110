"""The text of ``/metrics``: figures as Prometheus reads them, with what the system says of the process."""

from __future__ import annotations

import re
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from prometheus_client import Metric

    from antiphon.telemetry.figures import Figures, Labels, Spread, Tally

PREFIX = "antiphon_"
_VERSIONS = re.compile(r"version=(?!\d+(\.\d+)*\s*(?:[;,]|$))")
"""A version that is no number, at which prometheus_client breaks."""


class Page(Protocol):
    """Takes the figures as they are now, and gives what writes them as a scraper accepts them."""

    def __call__(self, *, jobs: dict[str, int], lag: float) -> Callable[[str], tuple[bytes, str]]:
        """``jobs`` by their state, and for how many seconds the event loop let the scrape wait."""
        ...


class Moment(Struct, frozen=True):
    """What was asked for with a scrape. ``jobs`` by their state; empty where the database did not say in time."""

    jobs: dict[str, int]
    lag: float


class Snapshot(Collector):
    """The figures at a moment, copied on the event loop, and nothing else done there: the rest may be any thread's."""

    def __init__(self, figures: Figures, moment: Moment) -> None:
        self._tallies = [(each, each.values.copy()) for each in figures.tallies()]
        self._spreads = [
            (each, {labels: counts.copy() for labels, counts in each.counts.items()}, each.sums.copy())
            for each in figures.spreads()
        ]
        self._moment = moment

    def collect(self) -> Iterator[Metric]:
        """Give every family (prometheus_client)."""
        for tally, values in self._tallies:
            yield _tally(tally, values)
        for spread, counts, sums in self._spreads:
            yield _spread(spread, counts, sums)
        lag = GaugeMetricFamily(f"{PREFIX}loop_lag_seconds", "How long the event loop let this scrape wait.")
        lag.add_metric([], self._moment.lag)
        yield lag
        if self._moment.jobs:
            jobs = GaugeMetricFamily(f"{PREFIX}jobs", "Background jobs of all processes.", labels=["state"])
            for state, count in self._moment.jobs.items():
                jobs.add_metric([state], count)
            yield jobs


def page(figures: Figures) -> Page:
    """What takes the figures as they are at the moment of a scrape."""

    def taken(*, jobs: dict[str, int], lag: float) -> Callable[[str], tuple[bytes, str]]:
        return partial(written, Snapshot(figures, Moment(jobs, lag)))

    return taken


def written(snapshot: Snapshot, accept: str) -> tuple[bytes, str]:
    """The text of a snapshot in the form that a scraper accepts, and its media type. It may run on any thread."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(snapshot)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    encode, media_type = choose_encoder(accept if _VERSIONS.search(accept) is None else "")
    return encode(registry), media_type


def _tally(tally: Tally, values: Mapping[Labels, float]) -> Metric:
    make = CounterMetricFamily if tally.kind == "counter" else GaugeMetricFamily
    family = make(PREFIX + tally.name, tally.meaning, labels=tally.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _spread(spread: Spread, counts: Mapping[Labels, Sequence[int]], sums: Mapping[Labels, float]) -> Metric:
    family = HistogramMetricFamily(PREFIX + spread.name, spread.meaning, labels=spread.labels)
    bounds = [*map(str, spread.bounds), "+Inf"]
    for labels, each in counts.items():
        family.add_metric(labels, list(zip(bounds, accumulate(each), strict=True)), sums[labels])
    return family
