"""What is said of grammars."""

from __future__ import annotations

from typing import Literal

Syntax = Literal["lark", "regex"]

MOST_CHARACTERS = 100_000
"""The longest definition that is judged."""


class BadGrammar(Exception):
    """A definition is no grammar, or takes too much to judge. Its words are for the caller who wrote it."""


def too_complex() -> BadGrammar:
    """The error of a grammar that may be one, and that nobody can wait for."""
    return BadGrammar("The grammar is too complex.")
