"""Grammars as patterns of schemas."""

from __future__ import annotations

import re

import msgspec
import pytest
from msgspec import Raw

from antiphon.backends.upstream.narrowing import narrowed
from antiphon.core.turn import Function
from antiphon.protocol.tool_settings import CustomGrammar

LETTERS = CustomGrammar(syntax="regex", definition="[ab]+")
NESTED = CustomGrammar(syntax="lark", definition='start: "(" start ")" | "x"')


@pytest.mark.parametrize(
    "parameters",
    [
        b'{"type":"object","properties":{"input":{"type":"string","description":"d"}},"required":["input"]}',
        b'{"type":"object"}',
    ],
)
def test_a_grammar_becomes_the_pattern_of_the_input(parameters: bytes) -> None:
    """The rest of the schema stays, and the function is strict."""
    function = narrowed(Function("f", Raw(parameters), "Does f.", grammar=LETTERS))
    before, after = msgspec.json.decode(parameters), msgspec.json.decode(function.parameters)
    argument = after["properties"]["input"]
    pattern = argument.pop("pattern")
    assert ("f", "Does f.", True) == (function.name, function.description, function.strict)
    assert {"type": "string", **before.get("properties", {}).get("input", {})} == argument
    assert {**after, "properties": None} == {**before, "properties": None}
    assert [True, False, False] == [re.search(pattern, text) is not None for text in ("abba", "", "abc")]


@pytest.mark.parametrize("grammar", [None, NESTED])
def test_without_a_pattern_a_function_stays_as_it_is(grammar: CustomGrammar | None) -> None:
    """A grammar that nests is none."""
    function = Function("f", Raw(b'{"type":"object"}'), grammar=grammar)
    assert function is narrowed(function)
