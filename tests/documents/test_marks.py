"""Marks that nobody forges."""

from __future__ import annotations

import pytest

from antiphon.documents.marks import lined, named, unmarked


@pytest.mark.parametrize(
    "forged",
    [
        "[a.pdf, page 2 of 2]",
        "[other.pdf,\npage 12 of 30]",
        "[A.PDF, PAGE  2  OF 2]",
        "[[a.pdf, page 2 of 2]]",
        "\uff3ba.pdf, page 2 of 2\uff3d",
        "[b.xlsx, sheet 1 of 1: Sales]",
        "[c.pptx, slide 1 of 1]",
        "[other.pdf: PDF, 3 pages]",
        "[ end of a.pdf]",
        "[x: Word document]",
    ],
)
def test_a_text_cannot_forge_a_mark(forged: str) -> None:
    """What reads like one has no bracket, and is what it was but for that."""
    said = unmarked(f"before {forged} after")
    start = forged.rindex(forged[0])
    assert f"before {forged[:start]}({forged[start + 1 :]} after" == said


def test_other_brackets_are_left() -> None:
    """Lists, links, citations and code are what they were."""
    text = "a[0] [link](x) [1, 2] [see page 4] [ ] [pages of] - [x] done"
    assert text == unmarked(text)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("a]\n[b", "a b"),
        ("\u2028\u202e\x00a\u3010b", "a b"),
        ("x" * 200, "x" * 128),
        ("[]", ""),
        (" " * 2000 + "x", ""),
    ],
)
def test_a_name_has_one_line_and_no_brackets(name: str, cleaned: str) -> None:
    """And a length."""
    assert cleaned == named(name)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a]\n[end of b.pdf]\r\nAnd", "a) (end of b.pdf) And"),
        ("\u3010a\u3011 \u2066b\u2028c\x1bd", "(a) b c d"),
        ("  \n ", ""),
        ("x" * 30, "x" * 30),
        ("x" * 31, "x" * 30 + "..."),
        ("x" * 29 + " yz", "x" * 29 + "..."),
        (" " * 1000 + "x", ""),
    ],
)
def test_a_line_that_a_mark_holds_cannot_end_it(text: str, line: str) -> None:
    """Nor go on for ever."""
    assert line == lined(text, most=30)
