"""Verdicts: what a content filter found, held against thresholds, and what several of its looks come to together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import UNSET
from msgspec.structs import replace

from antiphon.protocol.response import ContentFilter, FilterVerdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Severity = Literal["safe", "low", "medium", "high"]
Threshold = Literal["low", "medium", "high", "off"]
Source = Literal["prompt", "completion"]
Found = dict[str, Severity]
"""How bad it is, by category."""

SEVERITIES: tuple[Severity, ...] = ("safe", "low", "medium", "high")
DETECTED = frozenset({"jailbreak"})
"""The categories of which the wire says whether they were seen, and not how bad it is."""


def worst(findings: Iterable[Mapping[str, Severity]]) -> Found:
    """Of each category the worst that was found."""
    found: Found = {}
    for each in findings:
        for category, severity in each.items():
            before = found.get(category, "safe")
            found[category] = severity if SEVERITIES.index(severity) > SEVERITIES.index(before) else before
    return found


def verdict(found: Mapping[str, Severity], limits: Mapping[str, Threshold], source: Source, size: int) -> ContentFilter:
    """What was found, and whether it is too much. ``size``: how many characters were looked at."""
    results = {name: _of_one(name, severity, limits.get(name, "off")) for name, severity in found.items()}
    return ContentFilter(
        blocked=any(result.filtered for result in results.values()),
        source_type=source,
        content_filter_raw=[],
        content_filter_results=results,
        content_filter_offsets={"start_offset": 0, "end_offset": size, "check_offset": 0},
    )


def joined(said: list[ContentFilter], more: list[ContentFilter]) -> list[ContentFilter]:
    """What was found in several turns: one verdict for each source, with the worst of each category."""
    by_source = {each.source_type: each for each in said}
    for each in more:
        before = by_source.get(each.source_type)
        by_source[each.source_type] = each if before is None or each.source_type == "prompt" else _both(before, each)
    return list(by_source.values())


def _of_one(category: str, severity: Severity, limit: Threshold) -> FilterVerdict:
    filtered = limit != "off" and SEVERITIES.index(severity) >= SEVERITIES.index(limit)
    if category in DETECTED:
        return FilterVerdict(filtered=filtered, detected=severity != "safe")
    return FilterVerdict(filtered=filtered, severity=severity)


def _both(before: ContentFilter, after: ContentFilter) -> ContentFilter:
    results = dict(before.content_filter_results)
    for category, result in after.content_filter_results.items():
        results[category] = max(result, results.get(category, result), key=_weight)
    size = sum(each.content_filter_offsets.get("end_offset", 0) for each in (before, after))
    return replace(
        after,
        blocked=before.blocked or after.blocked,
        content_filter_results=results,
        content_filter_offsets={**after.content_filter_offsets, "end_offset": size},
    )


def _weight(result: FilterVerdict) -> tuple[bool, int, bool]:
    severity = 0 if result.severity is UNSET else SEVERITIES.index(result.severity)
    return (result.filtered, severity, result.detected is True)
