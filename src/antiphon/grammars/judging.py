"""Grammars judged by llguidance, which holds models to them elsewhere: Earley over lexemes, matched in linear time.

Only children import this. Its limits end most of what is too complex; what they miss, the child's own limits end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from antiphon.documents.nouns import Unreadable

if TYPE_CHECKING:
    from antiphon.grammars.nouns import Syntax

BLOCK = 65_536
LONGEST_FAULT = 300
LIMITS = LLParserLimits(
    initial_lexer_fuel=1_000_000,  # steps; about 20 ms
    step_max_items=50_000,
    max_lexer_states=25_000,  # about 2 kB each
    max_grammar_size=200_000,
    precompute_large_lexemes=False,
    verbose_errors=False,
)
_BYTES = LLTokenizer("byte")  # a token is a byte, so that any text can be told
_PLACE = re.compile(r"^(?:at )?(\d+)\((\d+)\): ")
_REASON = re.compile(r"^error: (.+)$", re.MULTILINE)
_LIMIT = re.compile(r"\(limit for this grammar: \d+\)|items; max is \d+")


def fault(syntax: Syntax, definition: str) -> str | None:
    """What is wrong with a definition, in words for its author; None for a grammar."""
    matcher = _matcher(syntax, definition)
    return _told(matcher.get_error(), syntax) if matcher.is_error() else None


def fits(syntax: Syntax, definition: str, text: bytes) -> bool:
    """Whether a text is all that a grammar allows. Raises `Unreadable` where that takes too much to say."""
    matcher = _matcher(syntax, definition)
    if matcher.is_error():
        raise Unreadable("broken", "The grammar is none.")
    for start in range(0, len(text), BLOCK):
        block = list(text[start : start + BLOCK])
        if matcher.try_consume_tokens(block) < len(block):
            return _ended(matcher)
    return matcher.is_accepting() or _ended(matcher)


def _ended(matcher: LLMatcher) -> bool:
    """A text that breaks off: either no grammar's, or beyond what is waited for."""
    if matcher.is_error() and _LIMIT.search(matcher.get_error()):
        raise Unreadable("too_large", "The text takes too much to judge.")
    return False


def _matcher(syntax: Syntax, definition: str) -> LLMatcher:
    read = LLMatcher.grammar_from_lark if syntax == "lark" else LLMatcher.grammar_from_regex
    return LLMatcher(_BYTES, read(definition), log_level=0, limits=LIMITS)


def _told(error: str, syntax: Syntax) -> str:
    """An error in one line: where, and what."""
    if _LIMIT.search(error):
        return "The grammar is too complex."
    first = error.partition("\n")[0]
    place = _PLACE.match(first)
    reason = _REASON.search(error)
    words = first[place.end() :] if place is not None else first
    if reason is not None:
        words = reason[1] if syntax == "regex" else f"{words.partition(' (in regex)')[0]}: {reason[1]}"
    where = f" at line {place[1]}, column {place[2]}" if place is not None and syntax == "lark" else ""
    return f"Invalid {syntax} grammar{where}: {words}"[:LONGEST_FAULT]
