"""Figures: what a process counts of itself, in plain dictionaries; `antiphon.telemetry.exposition` writes them.

They are changed on the event loop alone, so that counting is one addition and takes no lock. The values of a label come
from the code and the configuration, never from callers: what a stranger sends makes no new series.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal

Labels = tuple[str, ...]

BRIEF = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Upper bounds in seconds for what a database does."""
LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds in seconds for what a model has to do with."""


class Tally:
    """A number for each combination of labels: a ``counter`` only grows, a ``gauge`` goes down as well."""

    def __init__(self, kind: Literal["counter", "gauge"], name: str, meaning: str, *labels: str) -> None:
        self.kind = kind
        self.name = name
        self.meaning = meaning
        self.labels = labels
        self.values: dict[Labels, float] = {} if labels else {(): 0}

    def add(self, *labels: str, count: float = 1) -> None:
        """Count."""
        values = self.values
        values[labels] = values.get(labels, 0) + count


class Spread:
    """How long things took: for each combination of labels how many took at most so long, and how long all took."""

    def __init__(self, name: str, meaning: str, *labels: str, bounds: tuple[float, ...]) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = labels
        self.bounds = bounds
        self.counts: dict[Labels, list[int]] = {}
        self.sums: dict[Labels, float] = {}

    def add(self, *labels: str, seconds: float) -> None:
        """Count a thing that took so long."""
        counts = self.counts.get(labels)
        if counts is None:
            counts = self.counts[labels] = [0] * (len(self.bounds) + 1)
            self.sums[labels] = 0.0
        counts[bisect_left(self.bounds, seconds)] += 1
        self.sums[labels] += seconds


class Figures:
    """All that is counted. Names are without the unit's suffix ``_total``, which the exposition adds."""

    def __init__(self) -> None:
        self.requests = Tally("counter", "requests", "Requests answered.", "route", "method", "status")
        self.request_seconds = Spread(
            "request_seconds", "From a request's head to the end of its answer.", "route", "method", bounds=LONG
        )
        self.in_flight = Tally("gauge", "requests_in_flight", "Requests that are being answered.")
        self.streams = Tally("gauge", "streams_open", "Streams of server-sent events that are open.")
        self.sockets = Tally("gauge", "websockets_open", "WebSocket connections that are open.")
        self.responses = Tally("counter", "responses", "Responses that have ended.", "deployment", "outcome")
        self.running = Tally("gauge", "responses_running", "Responses that are being made.", "deployment")
        self.response_seconds = Spread(
            "response_seconds", "From the start of a run to its end.", "deployment", bounds=LONG
        )
        self.first_event_seconds = Spread(
            "first_event_seconds", "From the start of a run until its model is heard.", "deployment", bounds=LONG
        )
        self.turn_seconds = Spread("turn_seconds", "One call to a model.", "deployment", bounds=LONG)
        self.tokens = Tally(
            "counter",
            "tokens",
            "Tokens as the upstream counts them; cached ones are input too, reasoning is output too.",
            "deployment",
            "kind",
        )
        self.upstream_errors = Tally(
            "counter", "upstream_errors", "Calls to a model that failed.", "deployment", "fault"
        )
        self.tool_calls = Tally("counter", "tool_calls", "Calls that the server made.", "kind", "outcome")
        self.tool_seconds = Spread("tool_call_seconds", "One call that the server made.", "kind", bounds=LONG)
        self.store_seconds = Spread(
            "store_seconds", "One answer of the database, the wait for its turn included.", "operation", bounds=BRIEF
        )
        self.store_errors = Tally("counter", "store_errors", "What the database could not do.", "operation")
        self.claims = Tally("counter", "jobs_claimed", "Background jobs that this process took.")
        self.lost = Tally("counter", "jobs_lost", "Background jobs that it held and another took or ended.")
        self.taken_over = Tally("counter", "jobs_taken_over", "Background jobs that it queued again for a lost worker.")
        self.unsent_spans = Tally("counter", "spans_unsent", "Spans that the collector did not take.")

    def take(self, deployment: str, tokens: dict[str, int]) -> None:
        """Count the tokens of a turn, by their kinds."""
        for kind, count in tokens.items():
            self.tokens.add(deployment, kind, count=count)

    def tallies(self) -> list[Tally]:
        """Every number."""
        return [each for each in vars(self).values() if isinstance(each, Tally)]

    def spreads(self) -> list[Spread]:
        """Every distribution."""
        return [each for each in vars(self).values() if isinstance(each, Spread)]
