r"""Regular expressions of JSON Schema made over into what llama.cpp's grammar follows. Pure.

llama.cpp knows a pattern only if it is anchored at both ends, ASCII, and free of ``\d``, ``\w``, ``\s``, assertions
and back references; and it puts a pattern between two quotes as it is: whatever JSON would escape breaks the string.
"""

from __future__ import annotations

import re
from typing import Final

ESCAPED: Final = r'"\\\x00-\x1f'
ANY: Final = f"[^{ESCAPED}]"
SETS: Final = {"d": "0-9", "w": "A-Za-z0-9_", "s": " "}
FORMATS: Final = {
    "email": r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{2,24}){1,3}$",
    "hostname": r"^[A-Za-z0-9]{1,63}(-[A-Za-z0-9]{1,20}){0,2}(\.[A-Za-z0-9]{1,63}(-[A-Za-z0-9]{1,20}){0,2}){0,4}$",
    "ipv4": r"^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$",
    "ipv6": r"^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$",
    "duration": r"^P([0-9]+W|([0-9]+D)(T[0-9]+H)?|T([0-9]+H|[0-9]+M|[0-9]+S))$",
}
"""Formats of strict schemas that llama.cpp does not know; each pattern allows a part of the format's strings."""

LONGEST: Final = 1_000
REPEATS: Final = 1_000
"""How often a part of a pattern may be said to stand there, and all of them together twice as often."""

_TOKEN: Final = re.compile(
    r"\\(?P<escape>.)|(?P<set>\[\^?(?:\\.|[^\]\\])+\])|(?P<group>\(\?.?)"
    r"|(?P<many>[*+?]|\{[0-9]*,?[0-9]*\})(?P<lazy>[?+]?)|(?P<plain>.)",
    re.DOTALL,
)
_MANY: Final = re.compile(r"(?<!\\)\{[0-9,]+\}")
_HOLLOW: Final = re.compile(r"(?:^|[(|])\||\|(?:$|\))|\(\)")
"""An alternative of nothing: repeated, it is a loop that llama.cpp refuses."""
_COUNT: Final = re.compile(r"[0-9]+")
_MEMBER: Final = re.compile(r"(\\.|[^\\])(?:-(\\.|[^\\]))?", re.DOTALL)


class _UnfitError(Exception):
    """The grammar cannot follow this pattern."""


def fitted(pattern: str) -> str | None:
    """Return a pattern that llama.cpp follows and whose strings all match this one; None where there is none."""
    if len(pattern) > LONGEST:
        return None
    body, starts = (pattern[1:], True) if pattern.startswith("^") else (pattern, False)
    ends = re.search(r"(?<!\\)(?:\\\\)*\$$", body) is not None
    body = body[:-1] if ends else body
    try:
        text = "".join(_token(match) for match in _TOKEN.finditer(body))
        re.compile(text)
    except (_UnfitError, re.error, OverflowError, RecursionError):
        return None
    if _HOLLOW.search(text) or weight(text) > LONGEST + 2 * REPEATS:
        return None
    if starts and ends:
        return f"^{text}$"
    return f"^{'' if starts else ANY + '*'}({text}){'' if ends else ANY + '*'}$"


def weight(pattern: str) -> int:
    """How much room a fitted pattern takes in a grammar: its characters and its repetitions."""
    return len(pattern) + sum(int(count) for many in _MANY.findall(pattern) for count in _COUNT.findall(many))


def _token(match: re.Match[str]) -> str:
    if (escape := match["escape"]) is not None:
        return f"[{SETS[escape]}]" if escape in SETS else _literal(escape, inside=False)
    if (group := match["group"]) is not None:
        return "(" if group == "(?:" else _refuse()
    if (members := match["set"]) is not None:
        return _set(members)
    if (many := match["many"]) is not None:
        return _many(many, match["lazy"])
    plain = match["plain"]
    if plain == ".":
        return ANY
    if plain in "}]":  # llama.cpp would read them for ever
        return _literal(plain, inside=False)
    return plain if plain not in '^$[{"' and " " <= plain <= "~" else _refuse()


def _many(many: str, lazy: str) -> str:
    """How often; a lazy repetition allows the same strings."""
    if lazy == "+" or (many[0] == "{" and not 0 < max(map(int, _COUNT.findall(many)), default=0) <= REPEATS):
        return _refuse()
    return many


def _set(text: str) -> str:
    negated = text.startswith("[^")
    members = "".join(_member(match, negated=negated) for match in _MEMBER.finditer(text[2 if negated else 1 : -1]))
    if not members:
        return _refuse()
    return f"[^{members}{ESCAPED}]" if negated else f"[{members}]"


def _member(match: re.Match[str], *, negated: bool) -> str:
    first, last = match[1], match[2]
    if last is None:
        return SETS[first[1]] if first[0] == "\\" and first[1:] in SETS else _inside(first)
    low, high = _inside(first), _inside(last)
    spans = any(first[-1] <= bad <= last[-1] for bad in '"\\')
    return f"{low}-{high}" if negated or not spans else _refuse()


def _inside(character: str) -> str:
    if len(character) == 2 and character[1].isalnum():  # noqa: PLR2004  # a backslash and a letter: a class or a control
        return _refuse()
    return _literal(character[-1], inside=True)


def _literal(character: str, *, inside: bool) -> str:
    """An escaped character, or a member of a set, as itself; letters and digits mean something else when escaped."""
    if character in '"\\' or not " " <= character <= "~" or (character.isalnum() and not inside):
        return _refuse()
    code = f"\\x{ord(character):02x}"  # llama.cpp knows no other escape for all of them
    if inside:
        return code if character in "]^-[" else character
    # in a set of its own: behind an escape, llama.cpp repeats what stands before it as well
    return f"[{code}]" if character in ".^$*+?()[]{}|" else character


def _refuse() -> str:
    raise _UnfitError
