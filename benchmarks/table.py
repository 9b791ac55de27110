"""The table: medians with their range, ratios of one round's samples, and whether the goals are met."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measures import Measure
    from benchmarks.samples import Samples

LATER = "background, later by"

Verdict = Literal["pass", "miss", "not measured"]


class Goal(Struct, frozen=True, kw_only=True):
    """A limit on a median, or on the median ratio of two contenders where ``over`` names the second."""

    title: str
    measure: str
    of: str = "antiphon"
    over: str = ""
    at_most: float | None = None
    at_least: float | None = None


class Judged(Struct, frozen=True):
    """A goal, the number that was measured for it, and the verdict. The number is None where it was not measured."""

    goal: Goal
    number: float | None
    verdict: Verdict


GOALS = [
    Goal(title="an event costs at most twice the floor", measure="event", over="floor", at_most=2),
    Goal(
        title="an event costs LiteLLM at least 40 times as much",
        measure="event",
        of="litellm",
        over="antiphon",
        at_least=40,
    ),
    Goal(
        title="an event costs responses.js 4 times as much",
        measure="event",
        of="responses.js",
        over="antiphon",
        at_least=4,
    ),
    Goal(title="a stored body costs under 600 us", measure="body", at_most=600),
    Goal(
        title="logs and figures cost at most 5 % of a request",
        measure="telemetry",
        of="logs and figures",
        over="without",
        at_most=1.05,
    ),
    Goal(
        title="and nothing of an event",
        measure="telemetry-event",
        of="logs and figures",
        over="without",
        at_most=1.05,
    ),
    Goal(title="the first token comes at most 1.5 ms later", measure="first", at_most=1.5),
    Goal(
        title="adding a turn costs the same at turn 1,000 as at turn 10",
        measure="store",
        of="add turn 1,000",
        over="add turn 10",
        at_most=1.25,
    ),
    Goal(
        title="and takes the same statements",
        measure="statements",
        of="add turn 1,000",
        over="add turn 10",
        at_most=1,
    ),
    Goal(title="loading a chain is one query", measure="statements", of="load 999 turns", at_most=1),
    Goal(
        title="loading twice the turns costs twice as much",
        measure="store",
        of="load 999 turns",
        over="load 500 turns",
        at_most=2.5,
    ),
    Goal(title="ready in 1.5 s", measure="start", at_most=1.5),
    Goal(title="resident under 80 MB", measure="resident", at_most=80),
    Goal(title="an idle open stream under 40 kB", measure="idle", at_most=40),
    Goal(
        title="a turn over a WebSocket costs less than a streamed request",
        measure="websocket-turn",
        of="websocket",
        over="server-sent events",
        at_most=1,
    ),
    Goal(
        title="and an event about the same",
        measure="websocket-event",
        of="websocket",
        over="server-sent events",
        at_most=1.1,
    ),
    Goal(
        title="a stateless turn with 200 items is read and sent on in under 3,000 us",
        measure="stateless",
        of="200 items",
        at_most=3_000,
    ),
    Goal(title="telling a caller by a token costs under 100 us", measure="identity", of="token", at_most=100),
    Goal(title="1,000 idle WebSockets hold under 60 MB", measure="websocket-idle", of="opened", at_most=60),
    Goal(
        title="an event in the background costs at most 3 times as much",
        measure="background",
        of="background",
        over="foreground",
        at_most=3,
    ),
    Goal(title="and its first token comes 30 ms later", measure="background-first", of=LATER, at_most=30),
    Goal(title="the same on PostgreSQL", measure="shared-first", of=LATER, at_most=30),
    Goal(title="two statements write a flush", measure="shared-log", of="writes a flush", at_most=2),
    Goal(title="100,000 events a CPU second are replayed", measure="replay", of="store to bytes", at_least=100_000),
    Goal(title="an MCP call costs at most 3 ms", measure="mcp-call", of="call", at_most=3_000),
    Goal(title="and one of nine abreast", measure="mcp-call", of="call, one of nine abreast", at_most=3_000),
    Goal(title="and one by the older handshake", measure="mcp-call", of="call, older handshake", at_most=3_000),
    Goal(title="a chain of 20 turns connects once", measure="mcp-chain-asked", of="connections", at_most=1),
    Goal(title="and lists the tools once", measure="mcp-chain-asked", of="lists of tools", at_most=1),
    Goal(
        title="its last turns cost at most 1.25 times its first",
        measure="mcp-chain",
        of="turns 16 to 20",
        over="turns 2 to 6",
        at_most=1.25,
    ),
    Goal(title="150 MCP calls at once are answered", measure="mcp-many-asked", of="calls answered", at_least=150),
    Goal(title="over at most 100 connections", measure="mcp-many-asked", of="connections", at_most=100),
    Goal(title="a large file is taken in within 150 MB", measure="file-memory", of="upload", at_most=150),
    Goal(title="and read back", measure="file-memory", of="read back", at_most=150),
    Goal(title="a large picture lies in memory 3 times", measure="picture-memory", of="chat, stored", at_most=3),
    Goal(title="and with store: false", measure="picture-memory", of="chat, store: false", at_most=3),
    Goal(title="the same for a scripted model", measure="picture-memory", of="scripted, stored", at_most=3),
    Goal(title="and with store: false", measure="picture-memory", of="scripted, store: false", at_most=3),
    Goal(title="a screenshot adds at most 10 ms to a step", measure="computer", of="a page adds", at_most=10),
    Goal(
        title="a run of 50 steps with three screenshots stays as large",
        measure="computer-memory",
        of="the newest three, 50",
        over="the newest three, 5",
        at_most=1.1,
    ),
    Goal(
        title="and one with all of them",
        measure="computer-memory",
        of="all screenshots, 50",
        over="all screenshots, 5",
        at_most=1.1,
    ),
]


def ratio(samples: Samples, of: str, over: str) -> float | None:
    """Give the median of the rounds' ratios; None where one of the two was not measured."""
    if not samples.get(of) or not samples.get(over):
        return None
    return median(mine / theirs for mine, theirs in zip(samples[of], samples[over], strict=True))


def judge(goal: Goal, results: dict[str, Samples]) -> Judged:
    """Hold the results against a goal."""
    samples = results.get(goal.measure, {})
    plain = median(samples[goal.of]) if samples.get(goal.of) else None
    number = ratio(samples, goal.of, goal.over) if goal.over else plain
    if number is None:
        return Judged(goal, None, "not measured")
    low = goal.at_least is not None and number < goal.at_least
    high = goal.at_most is not None and number > goal.at_most
    return Judged(goal, number, "miss" if low or high else "pass")


def figure(number: float) -> str:
    """Write a number with three or four digits that mean something."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def rows(measure: Measure, samples: Samples) -> Iterator[str]:
    """Write the rows of one measure. The last column is the ratio to its first row."""
    yield f"{measure.title} ({measure.unit})" if measure.unit else measure.title
    for name, numbers in samples.items():
        if numbers:
            spread = f"({figure(min(numbers))} .. {figure(max(numbers))})"
            against = ratio(samples, name, next(iter(samples)))
            yield f"    {name:<24}{figure(median(numbers)):>10}  {spread:<26}{against or 0:>9.2f}x"


def verdicts(judged: list[Judged]) -> Iterator[str]:
    """Write a line for each goal."""
    for one in judged:
        limit = (
            f">= {figure(one.goal.at_least)}"
            if one.goal.at_least is not None
            else f"<= {figure(one.goal.at_most or 0)}"
        )
        number = "-" if one.number is None else figure(one.number)
        yield f"    {one.verdict.upper():<14}{one.goal.title:<56}{number:>9}   (goal {limit})"
