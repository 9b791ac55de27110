"""Tests of figures and of their text."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from antiphon.telemetry.exposition import Moment, Snapshot, page, written
from antiphon.telemetry.figures import Figures
from tests.patient import takes_at_most

CLASSIC = "text/plain; version=0.0.4"


def samples(figures: Figures, moment: Moment) -> dict[tuple[str, tuple[str, ...]], float]:
    """The samples as Prometheus' own parser reads them, by name and labels, which it sorts by their names."""
    text, _ = written(Snapshot(figures, moment), CLASSIC)
    families = text_string_to_metric_families(text.decode())
    return {(each.name, tuple(each.labels.values())): each.value for family in families for each in family.samples}


def test_a_count_is_read_as_it_was_counted() -> None:
    """Labels and numbers come through the parser unchanged, whatever stands in a label."""
    figures = Figures()
    figures.tokens.add('odd "name"\\\n', "input", count=41)
    figures.tokens.add('odd "name"\\\n', "input")
    assert 42 == samples(figures, Moment({}, 0.0))["antiphon_tokens_total", ('odd "name"\\\n', "input")]


def test_a_duration_falls_into_every_bucket_above_it() -> None:
    """Buckets are cumulative, a bound is within its own bucket, and the sum and the count are there."""
    figures = Figures()
    for seconds in (0.0005, 0.002, 99.0):
        figures.store_seconds.add("read", seconds=seconds)
    found = samples(figures, Moment({}, 0.0))
    buckets = {labels[0]: value for (name, labels), value in found.items() if name == "antiphon_store_seconds_bucket"}
    assert (1, 1, 2, 2, 3) == tuple(buckets[bound] for bound in ("0.0005", "0.001", "0.0025", "5.0", "+Inf"))
    assert 3 == found["antiphon_store_seconds_count", ("read",)]
    assert 99.0025 == found["antiphon_store_seconds_sum", ("read",)]


def test_what_was_never_counted_is_zero_or_absent() -> None:
    """A number without labels is there from the start; one with labels once it is counted."""
    found = samples(Figures(), Moment({}, 0.25))
    assert (0, 0.25) == (found["antiphon_jobs_claimed_total", ()], found["antiphon_loop_lag_seconds", ()])
    assert not any(name == "antiphon_tokens_total" for name, _ in found)
    assert found["process_resident_memory_bytes", ()] > 0


def test_jobs_are_told_by_state_where_the_database_said_them() -> None:
    """And left out where it did not: an old number would be a wrong one."""
    assert 7 == samples(Figures(), Moment({"queued": 7}, 0.0))["antiphon_jobs", ("queued",)]
    assert not any(name == "antiphon_jobs" for name, _ in samples(Figures(), Moment({}, 0.0)))


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        CLASSIC,
        "text/plain;version=x",
        "text/plain; version=1.0.0; escaping=allow-utf-8",
        "text/plain;version=1.0.0;escaping=nonsense",
        "application/openmetrics-text;version=",
        "application/openmetrics-text;version=1.x,text/plain;version=0.0.4",
        "application/openmetrics-text;version=1.0.0\xe9",
        f"text/plain;version={10_000 * '9.'}",
    ],
)
def test_a_scrape_is_answered_whatever_it_accepts(accept: str) -> None:
    """In a form that nobody can break by asking for it."""
    text, media_type = written(Snapshot(Figures(), Moment({}, 0.0)), accept)
    assert b"antiphon_jobs_claimed_total 0.0" in text
    assert media_type.isascii()


def test_openmetrics_is_read_by_its_own_parser() -> None:
    """Also with odd labels, and to its end."""
    figures = Figures()
    figures.tokens.add('odd "name"\\\n', "input", count=41)
    figures.request_seconds.add("/v1/responses", "POST", seconds=0.2)
    text, media_type = written(
        Snapshot(figures, Moment({"queued": 1}, 0.0)), "application/openmetrics-text;version=1.0.0"
    )
    families = openmetrics.text_string_to_metric_families(text.decode())  # type: ignore[no-untyped-call]  # theirs
    names = {family.name for family in families}
    assert {"antiphon_tokens", "antiphon_request_seconds", "antiphon_jobs"} <= names
    assert media_type.startswith("application/openmetrics-text")


def test_a_page_is_written_as_it_was_when_it_was_taken() -> None:
    """What is counted while it is written, on another thread, is not in it."""
    figures = Figures()
    figures.store_seconds.add("read", seconds=0.1)
    write = page(figures)(jobs={}, lag=0.0)
    figures.claims.add()
    figures.store_seconds.add("read", seconds=0.1)
    figures.store_seconds.add("write", seconds=0.1)
    text, media_type = write(CLASSIC)
    assert b"antiphon_jobs_claimed_total 0.0" in text
    assert b'antiphon_store_seconds_count{operation="read"} 1.0' in text
    assert b'antiphon_store_seconds_count{operation="write"}' not in text
    assert media_type.startswith("text/plain")


def test_a_page_that_is_taken_holds_up_nobody() -> None:
    """However many series there are: what the event loop does of a scrape is little beside what a thread does of it."""
    figures = Figures()
    for number in range(2000):
        figures.request_seconds.add(f"/route/{number}", "GET", seconds=0.1)
        figures.requests.add(f"/route/{number}", "GET", "200")
    taken = page(figures)(jobs={}, lag=0.0)
    assert takes_at_most(0.2, lambda: page(figures)(jobs={}, lag=0.0), lambda: taken(CLASSIC))


def test_every_figure_is_told_of_in_the_documentation() -> None:
    """By the name that a scrape gives it."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "observe.md").read_text()
    figures = Figures()
    names = [f"{each.name}_total" if each.kind == "counter" else each.name for each in figures.tallies()]
    names += [each.name for each in figures.spreads()]
    assert [] == [name for name in names if f"`{name}`" not in page]
