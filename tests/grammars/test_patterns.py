"""A pattern says what its grammar says: no text fits the one and not the other."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.grammars import pattern_of
from antiphon.grammars.imports import TERMINALS
from antiphon.protocol.tool_settings import CustomGrammar
from tests.grammars.samples import LARK, PATCH, PATCHES, REGEX, allowed, grammars, lark, matched, regex, texts
from tests.patient import a_million_rounds, takes_at_most

SAMPLES = [*map(lark, LARK), *map(regex, REGEX)]
IMPORTS = [lark(f"start: {name}\n%import common.{name}") for name in TERMINALS]
LONG = f'b: "{"y" * 9_000}"'
ATOMS = ["a", "b", "-", r"\.", "[ab]", "[^a]", "[a-c-]", ".", r"\s", "(?i:K)", "é"]

MANY = ["?", "*", "+", "{2}", "{0,2}", "{1,}"]
PLAIN = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
    ),
    max_leaves=4,
)
EXPRESSIONS = st.lists(
    st.tuples(PLAIN, st.sampled_from(["", *MANY])).map(lambda two: f"({two[0]}){two[1]}"), min_size=1, max_size=4
).map("".join)
"""No repetition is repeated: Python, which reads the patterns here, would need for ever."""


def test_the_grammar_of_patches_is_one_pattern() -> None:
    """What a client of many users sends."""
    assert matched(lark(PATCHES), PATCH)
    assert not matched(lark(PATCHES), PATCH.replace("-old", "old"))


@given(grammars([*SAMPLES, *IMPORTS]))
@settings(max_examples=200)
def test_a_pattern_and_its_grammar_allow_the_same(sample: tuple[CustomGrammar, tuple[str, str]]) -> None:
    r"""Texts of the pattern fit, and of texts that nearly do both say the same; ``\w`` alone is less in a pattern."""
    grammar, (text, other) = sample
    assert allowed(grammar, text)
    assert allowed(grammar, other) or not matched(grammar, other)
    if other.isascii() or r"\w" not in grammar.definition:
        assert matched(grammar, other) == allowed(grammar, other)


@pytest.mark.parametrize("text", ["é~a", "0~a"])
def test_a_word_is_one_of_ascii_in_a_pattern(text: str) -> None:
    """A model is held to a part of what the grammar allows."""
    grammar = regex(r"[\w--[a-f]]~[a-e~~d-g]")
    assert allowed(grammar, text)
    assert text.isascii() == matched(grammar, text)


@given(st.data())
@settings(max_examples=200)
def test_any_expression_keeps_its_meaning(data: st.DataObject) -> None:
    """Put together from any parts."""
    grammar = regex(data.draw(EXPRESSIONS))
    text, other = data.draw(texts(grammar))
    assert allowed(grammar, text)
    assert matched(grammar, other) == allowed(grammar, other)


@given(st.sampled_from(SAMPLES), st.text(max_size=8))
def test_what_a_grammar_does_not_allow_no_pattern_does(grammar: CustomGrammar, text: str) -> None:
    """Texts that have nothing to do with it."""
    assert not matched(grammar, text) or allowed(grammar, text)


@pytest.mark.parametrize(
    ("definition", "pattern"),
    [
        (r"\d+", "^[0-9]+$"),
        (r"\w", "^[0-9A-Z_a-z]$"),
        ("(ab|c)?", "^(ab|c)?$"),
        ("a|b|a", "^(a|b)$"),
        ("(a|)b", "^a?b$"),
        ("[$]{1}x{0}", "^[$]$"),
        ("(?s).+", "^([^\\n]|\\n)+$"),
        (r"[\x00-\x{10FFFF}]", "^([^\\n]|\\n)$"),
        (r"\x00\x7f]", "^\\x00\\x7f[\\]]$"),
        ("[^-a]", "^[^\\-a]$"),
        ("[ab]", "^[ab]$"),
        ("|", "^$"),
    ],
)
def test_a_pattern_is_short(definition: str, pattern: str) -> None:
    """And written with what all generators know: sets in place of escapes, no group that need not be."""
    assert pattern == pattern_of(regex(definition))


@pytest.mark.parametrize(
    "definition",
    [
        *[r"\pL", r"\D", r"[^\d]", r"\bx", "a^", "a$b", "(?=a)", "(?x)a", "(?-u)a", "(?i)é", "(?i:[é])", "(", "a)"],
        *["[a", "[z-a]", "[[:nope:]]", "[a&&b]", r"[a-\s]", r"\x{110000}", r"\q", "*", "a{", "a{3,1}", "a{2000}"],
        *[
            r"\x{d800}",
            "(?z)a",
            "(?<1>a)",
            "\\",
            "(" * 200 + "a" + ")" * 200,
            "[" * 200 + "a" + "]" * 200,
            "a{900}" * 4_000,
        ],
    ],
)
def test_what_no_pattern_says_has_none(definition: str) -> None:
    """Or what this reader does not know; a model is then held to the grammar by asking again."""
    assert pattern_of(regex(definition)) is None


@pytest.mark.parametrize(
    "definition",
    [
        'start: a\na: "(" a ")" | "x"',
        'start: "a"\n%ignore " "',
        "start: missing",
        'begin: "a"',
        'start: "a"\nstart: "b"',
        "start: %json {}",
        '%declare A\nstart: "a"',
        "%import other.A\nstart: A",
        "%import common.NOTHING\nstart: NOTHING",
        "%import common (INT LF)\nstart: INT",
        'start: x{"a"}\nx: "a"',
        'start: "a"~x',
        'A.2: "a"\nstart: A',
        'start: ("a"',
        'start: "b".."ad"',
        'start: "b"../c/',
        'start: "a" -> "b"',
        "start: 'a'",
        "start: /a/x",
        r'start: "\q"',
        'start "a"',
        "start: " + "(" * 200 + '"a"' + ")" * 200,
        "\n".join([f"a{n}: a{n + 1} a{n + 1}" for n in range(90)] + ['a90: "x"', "start: a0"]),
        "\n".join([f"a{n}: a{n + 1}" for n in range(300)] + ['a300: "x"', "start: a0"]),
        "\n".join([f"start: {' '.join(f'a{n}?' for n in range(60))}", *(f'a{n}: "{n}" b' for n in range(60)), LONG]),
        'start: "' + "a" * 20_000 + '"',
    ],
)
def test_what_is_recursive_or_too_long_or_no_grammar_has_none(definition: str) -> None:
    """Whatever else is wrong with it, the judge tells the caller."""
    assert pattern_of(lark(definition)) is None


@pytest.mark.parametrize(
    "definition",
    [
        "start: " + "(" * 7_000 + '"a"' + ")" * 7_000,
        "\n".join([f"a{n}: a{n + 1} a{n + 1}" for n in range(600)] + ["start: a0"]),
        "\n".join(["start: a0"] + [f'a{n}: "{"x" * 15}" | a{n + 1}' for n in range(400)]),
        "start: " + "/[a-z&&[^b]]/ " * 1_100,
    ],
)
def test_a_hostile_definition_is_no_work(definition: str) -> None:
    """A pattern is looked for where all others wait for it."""
    assert takes_at_most(10, partial(pattern_of.__wrapped__, lark(definition)), a_million_rounds)
