"""Grammars of custom tools: whether one is a grammar, whether a text fits it, and what pattern says the same.

Definitions and texts come from callers and from models, and either may be hostile: they are judged in child processes
of bounded memory and time. What is worked out here, the pattern, takes time in proportion to what it may grow to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.grammars.nouns import BadGrammar
from antiphon.grammars.patterns import pattern_of

if TYPE_CHECKING:
    from antiphon.grammars.asking import Grammars

__all__ = ["BadGrammar", "Grammars", "pattern_of"]


def __getattr__(name: str) -> type[Grammars]:
    """`Grammars`, imported when it is asked for: a child imports this package too, and needs no event loop."""
    if name != "Grammars":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from antiphon.grammars.asking import Grammars  # noqa: PLC0415 - the reason is the function's

    return Grammars
