"""What a child says of grammars and texts, from within."""

from __future__ import annotations

import pytest
from llguidance import LLParserLimits

from antiphon.documents.nouns import Unreadable
from antiphon.grammars import judging
from antiphon.grammars.nouns import Syntax
from tests.grammars.samples import LARK, PATCH, PATCHES, REGEX


@pytest.mark.parametrize("definition", LARK)
def test_grammars_of_lark_are_grammars(definition: str) -> None:
    """Those that clients send."""
    assert judging.fault("lark", definition) is None


@pytest.mark.parametrize("definition", REGEX)
def test_expressions_are_grammars(definition: str) -> None:
    """In the syntax of Rust."""
    assert judging.fault("regex", definition) is None


@pytest.mark.parametrize(
    ("syntax", "definition", "told"),
    [
        ("regex", "(", "Invalid regex grammar: unclosed group"),
        (
            "regex",
            "a(?=b)",
            "Invalid regex grammar: look-around, including look-ahead and look-behind, is not supported",
        ),
        ("lark", "start: x", 'Invalid lark grammar at line 1, column 8: unknown name: "x"'),
        ("lark", 'start: "a" b\nb: /(/', 'Invalid lark grammar at line 2, column 4: invalid regex "(": unclosed group'),
        ("lark", "", "Invalid lark grammar: Empty grammar"),
        ("lark", 'a: "start"', "Invalid lark grammar: no start rule found"),
        ("lark", "start: limit", 'Invalid lark grammar at line 1, column 8: unknown name: "limit"'),
    ],
)
def test_what_is_wrong_is_told_in_a_line(syntax: Syntax, definition: str, told: str) -> None:
    """With its place in a grammar of many lines."""
    assert told == judging.fault(syntax, definition)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        (PATCH, True),
        (PATCH[:-1], True),
        (PATCH[:-5], False),
        (f"{PATCH}\n", False),
        (PATCH.replace("-old", "old"), False),
        ("", False),
    ],
)
def test_a_patch_fits_whole_or_not_at_all(text: str, *, fits: bool) -> None:
    """A beginning is no patch, and neither is more than one."""
    assert fits == judging.fits("lark", PATCHES, text.encode())


def test_a_long_text_is_judged_block_by_block() -> None:
    """A block ends within a character."""
    text = "é\n".encode() * judging.BLOCK
    assert judging.fits("regex", "(é\n)*", text)
    assert not judging.fits("regex", "(é\n)*", text + b"e")


def test_no_text_is_no_text_of_half_a_pair() -> None:
    """A model may write one in JSON."""
    assert not judging.fits("regex", "(?s).*", "\ud800".encode("utf-8", "surrogatepass"))


def test_what_takes_too_much_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grammar is too complex; whether a text fits is not known, and it is not said that it does not."""
    monkeypatch.setattr(judging, "LIMITS", LLParserLimits(max_items_in_row=10, max_grammar_size=50))
    assert "The grammar is too complex." == judging.fault("lark", "start: a" + ' "b"' * 60 + '\na: "c"')
    with pytest.raises(Unreadable, match="too much"):
        judging.fits("lark", 'start: s\ns: s s | s s s | "a" | ', b"a" * 30)


def test_a_text_is_not_held_against_what_is_no_grammar() -> None:
    """That was to be checked before."""
    with pytest.raises(Unreadable, match="none"):
        judging.fits("regex", "(", b"(")
