"""Patterns that llama.cpp's grammar follows."""

from __future__ import annotations

import itertools
import re

import pytest

from antiphon.backends.llama.patterns import ANY, FORMATS, fitted

FITTING = {
    r"^\d{3}-\d{4}$": "555-1234",
    r"^\w+@\w+\.com$": "a_1@b.com",
    r"foo": "a foo b",
    r"^a|b$": "a",
    r"^[^a]+$": "b 1",
    r"^a.c$": "abc",
    r"^(?:ab)+$": "abab",
    r"^[\w.-]+/x$": "a.b-c/x",
    r"^\$[0-9]+$": "$5",
    r"^[a\]\-]+$": "a]-",
    r"^a{1,2}?$": "aa",
    r"\d$": "room 1",
    r"^https?://": "http://x",
    r"^a\.{2}b$": "a..b",
    r"^}]$": "}]",
    r"^[a\^\-]{2}$": "-^",
}
"""Patterns that can be followed, and a string that is allowed."""

UNFIT = [
    r"^(?=x)y$",
    r"^(?!x)y$",
    r'^"x"$',
    r"^\\$",
    r"^a\nb$",
    r"^é+$",
    r"^(a)\1$",
    r"^\bfoo$",
    r"^[!-~]+$",
    r"^[a-\w]$",
    r"^\p{L}$",
    r"a^b",
    r"^(?P<x>a)$",
    r"^(a$",
    r"^[z-a]$",
    r"^[]a]$",
    r"^[^]a]$",
    r"^[\n]$",
    r"^a{5,2}$",
    r'^["]$',
    r"^(|a)*$",
    r"^a++$",
    r"^a{x}$",
    r"^a{0}$",
    r"^a{1,5000}$",
    r"^a{1,99999999999}$",
    r"^(a{900}b{900}c{900}){900}$",
    "^" + "(" * 3000 + "a" + ")" * 3000 + "$",
    "^" + "(" * 450 + "a" * 700 + ")" * 450 + "$",
]


@pytest.mark.parametrize("pattern", FITTING)
def test_what_fits_the_fitted_pattern_fits_the_pattern_and_needs_no_escape(pattern: str) -> None:
    """Every string that the grammar allows is one that the caller asked for and stands in JSON as it is."""
    follows = re.compile(fitted(pattern) or "(?!)")
    tuples = (itertools.product('ab1-.$]" \\', repeat=length) for length in range(5))
    for letters in itertools.chain.from_iterable(tuples):
        text = "".join(letters)
        if follows.fullmatch(text):
            assert re.search(pattern, text) is not None
            assert re.search(r'["\\\x00-\x1f]', text) is None


@pytest.mark.parametrize("pattern", FITTING)
def test_a_fitted_pattern_allows_what_was_meant(pattern: str) -> None:
    """It is no pattern that nothing fits."""
    assert re.fullmatch(fitted(pattern) or "(?!)", FITTING[pattern]) is not None


@pytest.mark.parametrize("pattern", UNFIT)
def test_a_pattern_that_the_grammar_would_get_wrong_is_refused(pattern: str) -> None:
    """Where there is no safe pattern there is none at all."""
    assert fitted(pattern) is None


def test_a_pattern_without_anchors_may_stand_anywhere() -> None:
    """An open end is filled with anything that JSON does not escape."""
    assert f"^{ANY}*(foo){ANY}*$" == fitted("foo")


def test_an_escaped_dollar_is_no_anchor() -> None:
    """A pattern that ends with a literal dollar is open behind it."""
    assert rf"^(a[\x24]){ANY}*$" == fitted(r"^a\$")


@pytest.mark.parametrize("name", FORMATS)
def test_the_pattern_of_a_format_is_followed_as_it_is(name: str) -> None:
    """The patterns of formats are written in llama.cpp's own dialect."""
    re.compile(FORMATS[name])
    assert FORMATS[name].startswith("^")
    assert FORMATS[name].endswith("$")
