r"""Regular expressions in Rust's syntax, read into pieces of a pattern that means the same. Pure.

Source: the documentation of Rust's regex crate. What looks around is in no language of patterns. ``\\d`` and ``\\w``
become those of ASCII: a model is held to a part of what they allow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from antiphon.grammars.pieces import ANYTHING, Piece, Unfit, chosen, either, joined, literal, repeated
from antiphon.grammars.sets import (
    DIGITS,
    LAST,
    LINE_END,
    NAMED,
    SPACES,
    WORDS,
    Ranges,
    complement,
    in_any_case,
    shared,
    union,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DEEPEST = 50
"""Groups and sets within each other."""
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a"}
_CLASSES = {"d": DIGITS, "w": WORDS, "s": SPACES}
_WITHOUT = {"S": complement(SPACES)}
_CODE = re.compile(
    r"x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|[uU]\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})"
)
_COUNT = re.compile(r"\{(\d{1,6})(?:(,)(\d{1,6})?)?\}")
_GROUP = re.compile(r"\?(?:P?<[A-Za-z_][\w.\[\]]*>|([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)]))")
_NAMED = re.compile(r"\[:(\^?)([a-z]+):\]")
_FLAGS = frozenset("isUu")
_MEANINGLESS = frozenset("Uu")  # how a repetition prefers to end changes no language, and Unicode is on


def expression(text: str, flags: str = "") -> Piece:
    """What an expression matches as a whole. Raises `Unfit` where no pattern says so, or this reader does not know."""
    if not set(flags) <= _FLAGS:
        raise Unfit
    reading = _Reading(text, frozenset(flags) - _MEANINGLESS)
    piece = reading.choice(0)
    if not reading.is_over():
        raise Unfit
    return piece


class _Reading:
    """A reader and its place in the text. ``flags`` change within groups."""

    def __init__(self, text: str, flags: frozenset[str]) -> None:
        self._text = text
        self._at = 0
        self._flags = flags

    def is_over(self) -> bool:
        return self._at == len(self._text)

    def choice(self, depth: int) -> Piece:
        """As far as the group goes."""
        if depth > DEEPEST:
            raise Unfit
        options = [self._sequence(depth)]
        while self._eat("|"):
            options.append(self._sequence(depth))
        return either(options)

    def _sequence(self, depth: int) -> Piece:
        pieces: list[Piece] = []
        if depth == 0 and (self._eat("^") or self._eat("\\A")):  # where nothing stands before, it says nothing
            pass
        while not self.is_over() and self._peek() not in "|)":
            if depth == 0 and (self._eat("$") or self._eat("\\z")):
                if not self.is_over() and self._peek() != "|":
                    raise Unfit
                break
            pieces.append(self._repeated(self._atom(depth)))
        return joined(pieces)

    def _repeated(self, piece: Piece) -> Piece:
        while not self.is_over() and self._peek() in "?*+{":
            low, high = self._count()
            self._eat("?")  # a lazy repetition allows the same texts
            piece = repeated(piece, low, high)
        return piece

    def _count(self) -> tuple[int, int | None]:
        match = _COUNT.match(self._text, self._at)
        if match is None:
            sign = self._next()
            if sign == "{":
                raise Unfit
            return {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
        self._at = match.end()
        low, comma, high = match.groups()
        if high is not None:
            return int(low), int(high)
        return int(low), None if comma else int(low)

    def _atom(self, depth: int) -> Piece:
        match self._next():
            case "(":
                return self._group(depth)
            case "[":
                return chosen(self._set(depth))
            case "\\":
                return chosen(self._cased(*self._escape()))
            case ".":
                return ANYTHING if "s" in self._flags else chosen(complement(LINE_END))
            case "^" | "$" | "*" | "+" | "?" | "{":
                raise Unfit
            case character if "i" in self._flags:
                return chosen(self._cased(_single(character), is_class=False))
            case character:
                return literal(character)

    def _group(self, depth: int) -> Piece:
        before = self._flags
        if not self._opens():  # flags alone, for the rest of the group around
            return joined([])
        piece = self.choice(depth + 1)
        if not self._eat(")"):
            raise Unfit
        self._flags = before
        return piece

    def _opens(self) -> bool:
        """Read what stands between the parenthesis and the group; False for flags without one."""
        if self._peek() != "?":
            return True
        match = _GROUP.match(self._text, self._at)
        if match is None:
            raise Unfit
        self._at = match.end()
        on, off, end = match.groups()
        if end is None:  # a name
            return True
        if not set(on + (off or "")) <= _FLAGS or "u" in (off or ""):
            raise Unfit
        self._flags = (self._flags | set(on)) - set(off or "") - _MEANINGLESS
        return bool(end == ":")

    def _escape(self) -> tuple[Ranges, bool]:
        """The characters of an escape, and whether it is a class of them."""
        code = _CODE.match(self._text, self._at)
        if code is not None:
            self._at = code.end()
            value = int(next(digits for digits in code.groups() if digits is not None), 16)
            if value > LAST:
                raise Unfit
            return ((value, value),), False
        character = self._next()
        if character in _CLASSES or character in _WITHOUT:
            return _CLASSES.get(character) or _WITHOUT[character], True
        if character in _CONTROLS:
            return _single(_CONTROLS[character]), False
        if character.isascii() and not character.isalnum():
            return _single(character), False
        raise Unfit  # an assertion, a class of Unicode's, or nothing at all

    def _cased(self, ranges: Ranges, is_class: bool) -> Ranges:  # noqa: FBT001 - what an escape is comes as a pair
        if is_class or "i" not in self._flags:
            return ranges
        folded = in_any_case(ranges)
        if folded is None:
            raise Unfit
        return folded

    def _set(self, depth: int) -> Ranges:
        """A set, after its bracket."""
        if depth > DEEPEST:
            raise Unfit
        is_negated = self._eat("^")
        at = self._at
        found = self._members(depth)
        while (operation := self._operation()) is not None:
            found = operation(found, self._members(depth))
        if not self._eat("]"):
            raise Unfit
        if not is_negated:
            return found
        if _narrows(self._text[at : self._at]):
            raise Unfit  # all but a part of what a class allows is more than all but the class
        return complement(found)

    def _operation(self) -> Callable[[Ranges, Ranges], Ranges] | None:
        for sign, operation in _OPERATIONS.items():
            if self._eat(sign):
                return operation
        return None

    def _members(self, depth: int) -> Ranges:
        found: list[tuple[int, int]] = []
        is_first = True
        while is_first or not self._ends_members():
            found += self._member(depth)
            is_first = False
        return union(found)

    def _ends_members(self) -> bool:
        return self._peek() == "]" or any(self._text.startswith(sign, self._at) for sign in _OPERATIONS)

    def _member(self, depth: int) -> Ranges:
        named = _NAMED.match(self._text, self._at)
        if named is not None:
            self._at = named.end()
            ranges = self._cased(_named(named[2]), is_class=False)
            return complement(ranges) if named[1] else ranges
        if self._eat("["):
            return self._set(depth + 1)
        low, is_class = self._one()
        if (
            is_class
            or not self._text.startswith("-", self._at)
            or self._text[self._at + 1 : self._at + 2] in {"]", "-"}
        ):
            return self._cased(low, is_class)
        self._at += 1
        high, is_class = self._one()
        if is_class or high < low:
            raise Unfit
        return self._cased(((low[0][0], high[0][0]),), is_class=False)

    def _one(self) -> tuple[Ranges, bool]:
        character = self._next()
        return self._escape() if character == "\\" else (_single(character), False)

    def _peek(self) -> str:
        if self.is_over():
            raise Unfit
        return self._text[self._at]

    def _next(self) -> str:
        character = self._peek()
        self._at += 1
        return character

    def _eat(self, text: str) -> bool:
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True


def _single(character: str) -> Ranges:
    return ((ord(character), ord(character)),)


def _named(name: str) -> Ranges:
    ranges = NAMED.get(name)
    if ranges is None:
        raise Unfit
    return ranges


def _narrows(text: str) -> bool:
    """Whether a set speaks of classes that are told in part."""
    return re.search(r"(?<!\\)(?:\\\\)*\\[dw]", text) is not None


_OPERATIONS: dict[str, Callable[[Ranges, Ranges], Ranges]] = {
    "&&": shared,
    "--": lambda one, other: shared(one, complement(other)),
    "~~": lambda one, other: union([*shared(one, complement(other)), *shared(other, complement(one))]),
}
