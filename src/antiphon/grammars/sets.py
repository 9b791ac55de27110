"""Sets of characters as sorted ranges of code points, and what is done with them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]
"""First and last code point of each range, in order, none touching the next."""

LAST = 0x10FFFF
LAST_ASCII = 0x7F

DIGITS: Ranges = ((0x30, 0x39),)
WORDS: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACES: Ranges = (
    (0x09, 0x0D),
    (0x20, 0x20),
    (0x85, 0x85),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
"""Unicode's White_Space."""
LINE_END: Ranges = ((0x0A, 0x0A),)
NAMED: dict[str, Ranges] = {
    "alnum": ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)),
    "alpha": ((0x41, 0x5A), (0x61, 0x7A)),
    "ascii": ((0x00, 0x7F),),
    "blank": ((0x09, 0x09), (0x20, 0x20)),
    "cntrl": ((0x00, 0x1F), (0x7F, 0x7F)),
    "digit": DIGITS,
    "graph": ((0x21, 0x7E),),
    "lower": ((0x61, 0x7A),),
    "print": ((0x20, 0x7E),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": ((0x09, 0x0D), (0x20, 0x20)),
    "upper": ((0x41, 0x5A),),
    "word": WORDS,
    "xdigit": ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)),
}
_CASE = 0x20  # between a capital letter and its small one
_ODD_CASES = {0x4B: 0x212A, 0x53: 0x17F}  # the sign of Kelvin is a K, the long s an S


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges in any order, put in order."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def complement(ranges: Ranges) -> Ranges:
    """All other characters."""
    starts = [0, *(high + 1 for _, high in ranges)]
    ends = [*(low - 1 for low, _ in ranges), LAST]
    return tuple((start, end) for start, end in zip(starts, ends, strict=True) if start <= end)


def shared(one: Ranges, other: Ranges) -> Ranges:
    """What is in both."""
    return complement(union([*complement(one), *complement(other)]))


def in_any_case(ranges: Ranges) -> Ranges | None:
    """With the other case of each letter; None where it takes more than ASCII to say."""
    if ranges and ranges[-1][1] > LAST_ASCII:
        return None
    capitals = shared(ranges, NAMED["upper"])
    small = shared(ranges, NAMED["lower"])
    letters = union([*capitals, *((low - _CASE, high - _CASE) for low, high in small)])
    odd = [(sign, sign) for letter, sign in _ODD_CASES.items() if shared(letters, ((letter, letter),))]
    return union([*ranges, *letters, *((low + _CASE, high + _CASE) for low, high in letters), *odd])
