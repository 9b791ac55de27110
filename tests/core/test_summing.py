"""Summaries made of thoughts: the same however a thought is cut, and nothing in them that was not thought."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.summing import Summing
from antiphon.protocol.settings import Summary as Style

if TYPE_CHECKING:
    from collections.abc import Iterable

STYLES: list[Style] = list(get_args(Style))
THOUGHTS = st.text("ab.!? \n\t\r。\u2003", max_size=40) | st.text(max_size=40)
CUTS = st.lists(st.integers(0, 40), max_size=8)


def parts(pieces: Iterable[str], style: Style) -> list[str]:
    """The parts of a summary."""
    summing = Summing(style)
    found: list[str] = []
    for text in pieces:
        for piece in summing.feed(text):
            if piece.is_new_part:
                found.append(piece.text)
            else:
                found[-1] += piece.text
    return found


@given(THOUGHTS, CUTS, st.sampled_from(STYLES))
def test_however_a_thought_is_cut_its_summary_is_the_same(thought: str, cuts: list[int], style: Style) -> None:
    """In pieces of any length, empty ones too."""
    places = [0, *sorted(min(cut, len(thought)) for cut in cuts), len(thought)]
    pieces = [thought[begin:end] for begin, end in pairwise(places)]
    assert parts([thought], style) == parts(pieces, style) == parts(thought, style)


@given(THOUGHTS)
def test_a_detailed_summary_keeps_every_letter_in_order(thought: str) -> None:
    """Only the white space at the ends of paragraphs goes; automatic is as much as detailed."""
    found = parts([thought], "detailed")
    assert "".join(thought.split()) == "".join("".join(found).split())
    assert found == parts([thought], "auto")
    assert found == [part.strip() for part in found]
    assert all(found)


@given(THOUGHTS)
def test_a_part_is_a_paragraph(thought: str) -> None:
    """Between two parts stands an empty line, and within none is one."""
    found = parts([thought], "detailed")
    assert not any("\n\n" in "".join(letter for letter in part if letter not in " \t\r\u2003") for part in found)
    rest = thought
    for part in found:
        before, it, rest = rest.partition(part)
        assert it
        assert not before.strip()


@given(THOUGHTS)
def test_a_concise_summary_begins_every_paragraph_of_the_detailed_one(thought: str) -> None:
    """It has as many parts, each the beginning of one, up to the end of its first sentence."""
    concise, detailed = parts([thought], "concise"), parts([thought], "detailed")
    assert len(detailed) == len(concise)
    for short, long in zip(concise, detailed, strict=True):
        assert long.startswith(short)
        rest = long[len(short) :]
        if rest:
            assert short[-1] in ".!?。！？"  # noqa: RUF001 - the marks of Chinese and Japanese
            assert rest[0].isspace()


@pytest.mark.parametrize(
    ("thought", "concise"),
    [
        ("First. Second.", ["First."]),
        ("Is 1.5 more? Yes.", ["Is 1.5 more?"]),
        ("One\nline. Two.", ["One\nline."]),
        ("A. B.\n\nC! D.\n \nE", ["A.", "C!", "E"]),
        ("没有空格。还有", ["没有空格。还有"]),
        ("好。 还有", ["好。"]),
        ("\n\n  \n", []),
        ("", []),
    ],
)
def test_a_concise_summary_has_the_first_sentence_of_each_paragraph(thought: str, concise: list[str]) -> None:
    """A sentence ends where white space follows its mark."""
    assert concise == parts([thought], "concise")


@given(st.lists(THOUGHTS, max_size=5), st.sampled_from(STYLES))
def test_what_was_shown_is_never_taken_back(pieces: list[str], style: Style) -> None:
    """A longer thought has a summary that goes on from the shorter one's."""
    shown = ["\0".join(parts([text], style)) for text in accumulate(pieces)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(shown))


def test_a_feed_gives_one_piece_for_each_part() -> None:
    """Words of one part are told together."""
    pieces = Summing("auto").feed("One two.\n\nThree four")
    assert [("One two.", True), ("Three four", True)] == [(piece.text, piece.is_new_part) for piece in pieces]
