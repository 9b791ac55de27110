"""Grammars in lark's syntax, read into rules. Pure.

Source: lark's reference of its grammars, as far as OpenAI documents them for custom tools. Whether a definition is a
grammar is judged elsewhere: what is not known here, and what no pattern says, is `Unfit`.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from msgspec import Struct

from antiphon.grammars.expressions import DEEPEST, expression
from antiphon.grammars.imports import TERMINALS
from antiphon.grammars.pieces import Piece, Unfit, chosen, literal

_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|\#[^\n]*)
    |(?P<string>"(?:\\.|[^"\\\n])*"i?)
    |(?P<regex>/(?:\\.|[^/\\\n])+/[a-zA-Z]*)
    |(?P<command>%[a-z]+)
    |(?P<name>[?!]*[A-Za-z_][\w-]*)
    |(?P<number>\d{1,6})
    |(?P<sign>->|\.\.|[:|()\[\]{},~?*+.])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r'\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|(["\\/nrtf]))|[^\\]', re.DOTALL)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


class Ref(Struct, frozen=True):
    """A rule or a terminal, by its name."""

    name: str


class Row(Struct, frozen=True):
    """One after another."""

    parts: list[Node]


class Options(Struct, frozen=True):
    """One of several."""

    options: list[Node]


class Many(Struct, frozen=True):
    """From ``low`` to ``high`` times; None: without end."""

    part: Node
    low: int
    high: int | None


Node: TypeAlias = "Piece | Ref | Row | Options | Many"


def rules(definition: str) -> dict[str, Node]:
    """The rules and terminals of a grammar, those that it imports too. Raises `Unfit`."""
    return _Reading(_tokens(definition)).rules()


class _Token(Struct, frozen=True):
    kind: str
    text: str


def _tokens(definition: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(definition):
        match = _TOKEN.match(definition, at)
        if match is None or match.lastgroup is None:
            raise Unfit
        at = match.end()
        if match.lastgroup != "blank":
            tokens.append(_Token(match.lastgroup, match[0]))
    return [*tokens, _Token("end", ""), _Token("end", "")]


class _Reading:
    """A reader and its place among the tokens. Line ends say nothing that a name and its colon do not."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._rules: dict[str, Node] = {}

    def rules(self) -> dict[str, Node]:
        """All rules."""
        while (token := self._next()).kind != "end":
            match token:
                case _Token("name", name):
                    self._expect(":")
                    self._define(name.lstrip("?!"), self._choice(0))
                case _Token("command", "%import"):
                    self._import()
                case _:
                    raise Unfit  # what is ignored may stand between any two terminals, and nowhere else
        return self._rules

    def _define(self, name: str, node: Node) -> None:
        if name in self._rules:
            raise Unfit
        self._rules[name] = node

    def _import(self) -> None:
        if self._next().text != "common":
            raise Unfit
        if self._eat("."):
            self._imported(self._next().text)
            return
        self._expect("(")
        self._imported(self._next().text)
        while self._eat(","):
            self._imported(self._next().text)
        self._expect(")")

    def _imported(self, name: str) -> None:
        known = TERMINALS.get(name)
        if known is None:
            raise Unfit
        self._define(self._next().text if self._eat("->") else name, expression(known))

    def _choice(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise Unfit
        options = [self._row(depth)]
        while self._eat("|"):
            options.append(self._row(depth))
        return options[0] if len(options) == 1 else Options(options)

    def _row(self, depth: int) -> Node:
        parts: list[Node] = []
        while self._begins():
            parts.append(self._many(self._atom(depth)))
        if self._eat("->") and self._next().kind != "name":
            raise Unfit
        return Row(parts)

    def _begins(self) -> bool:
        """Whether another atom comes, and not the next rule."""
        token, after = self._tokens[self._at], self._tokens[self._at + 1]
        match token.kind:
            case "string" | "regex":
                return True
            case "name":
                return after.text != ":"
            case _:
                return token.text in {"(", "["}

    def _atom(self, depth: int) -> Node:
        match self._next():
            case _Token("string", text):
                return self._string(text)
            case _Token("regex", text):
                inside, _, flags = text[1:].rpartition("/")
                return expression(inside, flags)
            case _Token("name", name):
                return Ref(name)
            case token:
                node = self._choice(depth + 1)
                self._expect(")" if token.text == "(" else "]")
                return node if token.text == "(" else Many(node, 0, 1)

    def _string(self, text: str) -> Node:
        if text.endswith("i"):
            return expression(re.sub(r"[^\w\s]", r"\\\g<0>", _unescaped(text[:-1])), "i")
        if not self._eat(".."):
            return literal(_unescaped(text))
        low, high = _unescaped(text), _unescaped(self._next().text)
        if not len(low) == len(high) == 1:
            raise Unfit
        return chosen(((ord(low), ord(high)),))

    def _many(self, node: Node) -> Node:
        match self._tokens[self._at].text:
            case "?" | "*" | "+" as sign:
                self._at += 1
                low, high = {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
                return Many(node, low, high)
            case "~":
                self._at += 1
                low = self._number()
                return Many(node, low, self._number() if self._eat("..") else low)
            case "{":
                self._at += 1
                return self._braced(node)
            case _:
                return node

    def _braced(self, node: Node) -> Node:
        low = self._number()
        high: int | None = low
        if self._eat(","):
            high = None if self._tokens[self._at].text == "}" else self._number()
        self._expect("}")
        return Many(node, low, high)

    def _number(self) -> int:
        token = self._next()
        if token.kind != "number":
            raise Unfit
        return int(token.text)

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 2)
        return token

    def _eat(self, sign: str) -> bool:
        if self._tokens[self._at].text != sign or self._tokens[self._at].kind != "sign":
            return False
        self._at += 1
        return True

    def _expect(self, sign: str) -> None:
        if not self._eat(sign):
            raise Unfit


def _unescaped(text: str) -> str:
    """The characters of a string between its quotes."""
    inside = text[1:-1] if len(text) > 1 and text.startswith('"') and text.endswith('"') else None
    if inside is None:
        raise Unfit
    characters: list[str] = []
    at = 0
    while at < len(inside):
        match = _ESCAPE.match(inside, at)
        if match is None:
            raise Unfit
        at = match.end()
        characters.append(_character(match))
    return "".join(characters)


def _character(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    if code is not None:
        return chr(int(code, 16))
    if match[3] is not None:
        return _CONTROLS.get(match[3], match[3])
    return match[0]
