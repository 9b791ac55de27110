"""Pieces of a regular expression, put together with no more parentheses than it takes. Pure.

What is written is what generators of JSON understand by ``pattern``: characters, sets, groups, ``|`` and repeats. A
character that means something stands in a set of its own, for not all of them know it escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from antiphon.grammars.sets import LAST, complement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from antiphon.grammars.sets import Ranges

LONGEST = 20_000
"""Characters of a pattern."""
MOST_REPEATS = 1_000
ATOM, REPEAT, SEQUENCE, CHOICE = range(4)
_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = frozenset(".$*+?()[]{}|^\\")
_SPECIAL_INSIDE = frozenset("[]^-\\")
_FIRST_PRINTED = " "
_DELETE = "\x7f"


class Unfit(Exception):
    """No pattern says this."""


class Piece(Struct, frozen=True):
    """A part of a pattern, and how tightly it holds together: `ATOM` first, `CHOICE` last."""

    text: str
    rank: int = ATOM


EMPTY = Piece("", SEQUENCE)
ANYTHING = Piece("([^\\n]|\\n)")


def joined(pieces: Iterable[Piece]) -> Piece:
    """One after another. Raises `Unfit` for what is too long, as all that follow do."""
    parts = [piece for piece in pieces if piece.text]
    if len(parts) == 1:
        return parts[0]
    return _bounded("".join(_grouped(part, SEQUENCE) for part in parts), SEQUENCE)


def either(options: Iterable[Piece]) -> Piece:
    """One of several; an empty one makes the others optional."""
    different = list(dict.fromkeys(options))
    full = [option for option in different if option.text]
    if not full:
        return EMPTY
    choice = full[0] if len(full) == 1 else _bounded("|".join(option.text for option in full), CHOICE)
    return choice if len(full) == len(different) else repeated(choice, 0, 1)


def repeated(piece: Piece, low: int, high: int | None) -> Piece:
    """From ``low`` to ``high`` times; None: without end."""
    if max(low, high or 0) > MOST_REPEATS or (high is not None and high < low):
        raise Unfit
    if not piece.text or high == 0:
        return EMPTY
    if low == high == 1:
        return piece
    return _bounded(_grouped(piece, ATOM) + _many(low, high), REPEAT)


def _many(low: int, high: int | None) -> str:
    match low, high:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _, None:
            return f"{{{low},}}"
        case _:
            return f"{{{low}}}" if low == high else f"{{{low},{high}}}"


def literal(text: str) -> Piece:
    """These characters."""
    return joined(Piece(_outside(character)) for character in text)


def chosen(ranges: Ranges) -> Piece:
    """One character out of a set."""
    if not ranges:
        raise Unfit
    if ranges == ((0, LAST),):
        return ANYTHING
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return Piece(_outside(chr(ranges[0][0])))
    if ranges[-1][1] == LAST:
        return _bounded(f"[^{_members(complement(ranges))}]", ATOM)
    return _bounded(f"[{_members(ranges)}]", ATOM)


def _members(ranges: Ranges) -> str:
    return "".join(_member(low, high) for low, high in ranges)


def _member(low: int, high: int) -> str:
    first, last = _inside(chr(low)), _inside(chr(high))
    if high - low > 1:
        return f"{first}-{last}"
    return first if low == high else first + last


def _inside(character: str) -> str:
    return f"\\{character}" if character in _SPECIAL_INSIDE else _printed(character)


def _outside(character: str) -> str:
    if character in _SPECIAL:
        return f"[\\{character}]" if character in _SPECIAL_INSIDE else f"[{character}]"
    return _printed(character)


def _printed(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        raise Unfit
    if character < _FIRST_PRINTED or character == _DELETE:
        return _CONTROLS.get(character, f"\\x{ord(character):02x}")
    return character


def _grouped(piece: Piece, rank: int) -> str:
    return piece.text if piece.rank <= rank else f"({piece.text})"


def _bounded(text: str, rank: int) -> Piece:
    if len(text) > LONGEST:
        raise Unfit
    return Piece(text, rank)
