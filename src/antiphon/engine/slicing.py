"""Cuts what a model says at once, so that a long piece keeps nobody waiting who has little to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.core.deltas import Call, Summary, Text, Thought

if TYPE_CHECKING:
    from collections.abc import Iterator

    from antiphon.core.deltas import Delta

LONGEST = 2**16
"""How many characters are told before others are let in."""


def sliced(deltas: list[Delta]) -> list[list[Delta]]:
    """The same deltas in lists that have about `LONGEST` characters at most, in order; none of the lists is empty.

    A longer piece is cut. Text with log-probabilities stays whole: they tell of tokens, and no token is cut.
    """
    if len(deltas) == 1 and type(deltas[0]) is Text and len(deltas[0].text) <= LONGEST:  # as nearly always
        return [deltas]
    if sum(map(_length, deltas)) <= LONGEST:  # as usual
        return [deltas]
    lists: list[list[Delta]] = [[]]
    length = 0
    for delta in deltas:
        for piece, size in _pieces(delta):
            if lists[-1] and length + size > LONGEST:
                lists.append([])
                length = 0
            lists[-1].append(piece)
            length += size
    return lists


def _length(delta: Delta) -> int:
    if type(delta) is Text:  # nearly all are: a match takes three times as long
        return len(delta.text)
    match delta:
        case Thought(text) | Summary(text):
            return len(text)
        case Call():
            return len(delta.arguments)
        case _:
            return 0


def _pieces(delta: Delta) -> Iterator[tuple[Delta, int]]:
    """A delta, or what it is cut into, each with its length in characters."""
    match delta:
        case Call(key, name, arguments) if len(arguments) > LONGEST:
            for start in range(0, len(arguments), LONGEST):
                part = arguments[start : start + LONGEST]
                yield Call(key, "" if start else name, part), len(part)
        case Text(text, []) | Thought(text) | Summary(text) if len(text) > LONGEST:
            for start in range(0, len(text), LONGEST):
                part = text[start : start + LONGEST]
                yield replace(delta, text=part), len(part)
        case whole:
            yield whole, _length(whole)
