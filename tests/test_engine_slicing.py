"""What is said at once, cut into pieces: nothing is lost, and nothing is longer than it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.core.deltas import Call, Finish, Refused, Summary, Text, Thought
from antiphon.engine.slicing import LONGEST, sliced
from antiphon.protocol.content import Logprob

if TYPE_CHECKING:
    from antiphon.core.deltas import Delta

HALF = "a" * (LONGEST // 2)
LONG = "é" * (2 * LONGEST + 1)
EDGES = [(0, LONGEST), (LONGEST, 2 * LONGEST), (2 * LONGEST, 2 * LONGEST + 1)]
PARTS = [LONG[start:end] for start, end in EDGES]


@pytest.mark.parametrize(
    "deltas",
    [
        [Text("a")],
        [Text(HALF), Call("1", "f", HALF), Finish()],
        [Text(LONG, [Logprob(token=LONG, logprob=0.0)])],
        [Refused(LONG)],
    ],
)
def test_what_is_short_or_cannot_be_cut_stays_together(deltas: list[Delta]) -> None:
    """It is one list, as it came."""
    assert [deltas] == list(sliced(deltas))


def test_a_long_piece_is_cut() -> None:
    """The name of a call comes with its first fragment alone; what a piece is besides its text, each part is."""
    first, second, third = PARTS
    cases: list[tuple[Delta, list[Delta]]] = [
        (Call("1", "f", LONG), [Call("1", "f", first), Call("1", "", second), Call("1", "", third)]),
        (Text(LONG), [Text(part) for part in PARTS]),
        (Thought(LONG, is_private=True), [Thought(part, is_private=True) for part in PARTS]),
        (Summary(LONG, 2), [Summary(part, 2) for part in PARTS]),
    ]
    for delta, parts in cases:
        assert [[part] for part in parts] == list(sliced([delta]))
        assert [[Text("b")], [parts[0]], [parts[1]], [parts[2], Finish()]] == list(sliced([Text("b"), delta, Finish()]))


def test_many_pieces_are_told_in_turn() -> None:
    """As many together as are no longer than one may be."""
    assert [[Text(HALF)] * 2, [Text(HALF)]] == list(sliced([Text(HALF)] * 3))
