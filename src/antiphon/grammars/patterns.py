"""A grammar as one pattern, where it is not recursive: what a backend can hold its model to without knowing grammars.

A pattern goes by characters, and so does a grammar of the syntax ``regex``. One of the syntax ``lark`` goes by
terminals, each of which takes as much as it can: where two that follow each other could share a character differently,
the pattern allows more.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from antiphon.grammars.expressions import expression
from antiphon.grammars.lark import Many, Node, Options, Ref, Row, rules
from antiphon.grammars.pieces import SEQUENCE, Piece, Unfit, either, joined, repeated

if TYPE_CHECKING:
    from antiphon.protocol.tool_settings import CustomGrammar

LONGEST_DEFINITION = 16_000
"""Characters of a definition for which a pattern is looked for."""
DEEPEST = 100
"""Rules within rules."""
MOST_WRITTEN = 200_000
"""Characters of the patterns of all rules together."""


@lru_cache(maxsize=64)
def pattern_of(grammar: CustomGrammar) -> str | None:
    """An anchored regular expression for what a grammar allows; None where there is none, or only a very long one.

    It holds characters, sets, groups, ``|`` and repeats alone.
    """
    if len(grammar.definition) > LONGEST_DEFINITION:
        return None
    try:
        if grammar.syntax == "regex":
            piece = expression(grammar.definition)
        else:
            piece = _Resolving(rules(grammar.definition)).rule("start", 0)
    except (Unfit, RecursionError):
        return None
    return f"^{piece.text if piece.rank <= SEQUENCE else f'({piece.text})'}$"


class _Resolving:
    """Rules in place of their names, each worked out once."""

    def __init__(self, rules: dict[str, Node]) -> None:
        self._rules = rules
        self._found: dict[str, Piece] = {}
        self._open: set[str] = set()
        self._written = 0

    def rule(self, name: str, depth: int) -> Piece:
        """The piece of a rule or a terminal. Raises `Unfit` for one that comes to itself."""
        if name in self._found:
            return self._found[name]
        node = self._rules.get(name)
        if node is None or name in self._open or depth > DEEPEST:
            raise Unfit
        self._open.add(name)
        piece = self._piece(node, depth)
        self._open.discard(name)
        self._written += len(piece.text)
        if self._written > MOST_WRITTEN:
            raise Unfit
        self._found[name] = piece
        return piece

    def _piece(self, node: Node, depth: int) -> Piece:
        match node:
            case Piece():
                return node
            case Ref(name):
                return self.rule(name, depth + 1)
            case Row(parts):
                return joined(self._piece(part, depth) for part in parts)
            case Options(options):
                return either([self._piece(option, depth) for option in options])
            case Many(part, low, high):
                return repeated(self._piece(part, depth), low, high)
