"""Verdicts: thresholds, and what several looks come to together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.deltas import Call, Finish, Judged, Text
from antiphon.core.machine import Machine
from antiphon.core.replay import replayed
from antiphon.core.verdicts import SEVERITIES, Severity, Threshold, joined, verdict, worst
from antiphon.protocol.items import FunctionCall
from antiphon.protocol.response import ContentFilter, FilterVerdict, Response, ResponseError
from tests.core.stage import NOW, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.core.deltas import FinishReason
    from antiphon.core.notes import Note
    from antiphon.protocol.events import StreamEvent

LIMITS: dict[str, Threshold] = {"hate": "medium", "violence": "low", "jailbreak": "medium"}
FOUND = st.dictionaries(st.sampled_from(["hate", "violence", "sexual"]), st.sampled_from(SEVERITIES))


def of(source: str, **found: Severity) -> ContentFilter:
    """A verdict of ten characters."""
    return verdict(found, LIMITS, "prompt" if source == "prompt" else "completion", 10)


@pytest.mark.parametrize(
    ("severity", "limit", "filtered"),
    [
        ("safe", "low", False),
        ("low", "low", True),
        ("low", "medium", False),
        ("medium", "medium", True),
        ("high", "medium", True),
        ("medium", "high", False),
        ("high", "high", True),
        ("high", "off", False),
    ],
)
def test_a_category_is_filtered_from_its_threshold_on(severity: Severity, limit: Threshold, filtered: bool) -> None:  # noqa: FBT001 - a column
    """The threshold itself is too much; ``off`` is never reached."""
    said = verdict({"hate": severity}, {"hate": limit}, "prompt", 4)
    assert filtered == said.blocked
    assert {"hate": FilterVerdict(filtered=filtered, severity=severity)} == said.content_filter_results


def test_a_jailbreak_is_detected_and_has_no_severity() -> None:
    """As the live service says it (recorded-traffic.md, Azure differences)."""
    results = of("prompt", jailbreak="low").content_filter_results
    assert {"jailbreak": FilterVerdict(filtered=False, detected=True)} == results


def test_a_verdict_says_how_much_was_looked_at() -> None:
    """The offsets of the recording: from 0 to the length, checked from 0 on."""
    said = of("prompt", hate="safe")
    assert {"start_offset": 0, "end_offset": 10, "check_offset": 0} == said.content_filter_offsets
    assert [] == said.content_filter_raw


@given(st.lists(FOUND, max_size=4))
def test_the_worst_is_no_better_than_any(findings: list[dict[str, Severity]]) -> None:
    """Of each category the worst, and nothing that nobody found."""
    together = worst(findings)
    assert set(together) == {name for each in findings for name in each}
    for each in findings:
        assert all(SEVERITIES.index(together[name]) >= SEVERITIES.index(each[name]) for name in each)


def test_the_verdicts_of_turns_are_joined() -> None:
    """One for the prompt, the first; and one for all that was said, with the worst of each category."""
    first = [of("prompt", hate="safe"), of("completion", hate="low", violence="safe")]
    second = [of("prompt", hate="safe"), of("completion", hate="safe", violence="high")]
    prompt, completion = joined(first, second)
    assert first[0] == prompt
    assert ("low", "high") == tuple(completion.content_filter_results[name].severity for name in ("hate", "violence"))
    assert completion.blocked
    assert 20 == completion.content_filter_offsets["end_offset"]


def test_without_a_filter_nothing_is_said() -> None:
    """A response has the key only where something judges."""
    machine = opened()
    machine.feed([Text("Hi"), Finish()])
    machine.complete(NOW)
    assert opened().response.content_filters is machine.response.content_filters


@pytest.mark.parametrize("reason", ["content_filter", "steered", "max_output_tokens"])
def test_the_end_of_a_response_has_what_was_found(reason: FinishReason) -> None:
    """Null while it runs, a list at its end, whatever that is."""
    machine = opened(content_filters=None)
    said = [of("prompt", hate="safe"), of("completion", hate="high")]
    machine.feed([Judged(said), Text("Hi"), Finish(reason)])
    running, ended = machine.response, machine.outcome(NOW)
    assert (None, said) == (running.content_filters, ended.content_filters)
    assert ended.incomplete_details is not None
    assert reason == ended.incomplete_details.reason


def test_whoever_takes_a_run_over_knows_what_was_found() -> None:
    """It stands in notes: what was found in the prompt, too, before any model was asked."""
    prompt, completion = of("prompt", hate="safe"), of("completion", hate="low")
    response = Response(id="resp_0", created_at=NOW, model="m", status="queued", content_filters=None)
    machine = Machine(response, new_id=lambda prefix: f"{prefix}_0")
    machine.judge([prompt])
    log = [*machine.queue(), *machine.take_notes()]
    assert [prompt] == ended_by(log, Machine.cancel)
    log += machine.resume()
    machine.next_turn()
    log += [*machine.feed([Text("H"), Judged([completion]), Text("i")]), *machine.take_notes()]
    assert [prompt, completion] == ended_by(log, lambda other: other.fail(ResponseError(code="x", message="x")))
    log += [*machine.feed([Finish()]), *machine.take_notes()]
    assert [prompt, completion] == ended_by(log, lambda other: other.complete(NOW))


def ended_by(log: list[StreamEvent | Note], step: Callable[[Machine], list[StreamEvent]]) -> object:
    """What a successor says was found, which reads a log and ends the response."""
    successor = replayed(log, new_id=lambda prefix: f"{prefix}_1")
    step(successor)
    return successor.response.content_filters


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_response_that_is_broken_off_says_what_was_found(status: str) -> None:
    """As far as it was judged."""
    machine = opened(content_filters=None)
    prompt, completion = of("prompt", hate="safe"), of("completion", hate="low")
    machine.judge([prompt])
    machine.feed([Judged([completion]), Call("k", "f", '{"a":'), Judged([completion]), Call("k", "", "1}")])
    machine.fail(ResponseError(code="x", message="x")) if status == "failed" else machine.cancel()
    assert [prompt, *joined([completion], [completion])] == machine.response.content_filters
    assert ['{"a":1}'] == [item.arguments for item in machine.response.output if isinstance(item, FunctionCall)]
