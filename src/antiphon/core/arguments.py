"""The arguments of a call while they are written: kept up to a bound, and looked at for their end."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec import Raw

MOST_ARGUMENTS = 4 * 2**20
"""How many characters of the arguments of one call are listened to. A file that a model writes has fewer."""

_SLICE = 2**16
"""How many characters are looked at together: a bound to what is needed for it."""
_SPACE = " \t\r\n"
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+("|\\?\Z)', re.DOTALL)
"""A string, to its end or that of the text; its group tells which, and whether an escape is cut there."""

_decode = msgspec.json.Decoder(Raw).decode


class Arguments:
    """JSON text, written fragment by fragment. ``is_cut``: it was longer than ``most`` characters."""

    def __init__(self, *, most: int = MOST_ARGUMENTS) -> None:
        self.is_cut = False
        self._room = most
        self._pieces: list[str] = []
        self._looked_at = 0
        self._brackets = Brackets()
        self._state: Literal["open", "whole", "lost"] = "open"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written, not even an empty fragment."""
        return not self._pieces

    @property
    def text(self) -> str:
        """All that is written."""
        return "".join(self._pieces)

    def write(self, fragment: str) -> str:
        """Append a fragment, and give what there was room for."""
        taken = fragment[: self._room]
        self._room -= len(taken)
        self.is_cut = self.is_cut or len(taken) < len(fragment)
        if taken or not fragment:
            self._pieces.append(taken)
        return taken

    def is_whole(self) -> bool:
        """Whether this is a JSON value to which nothing can be added, which no bare word and no number ever is.

        However often it is asked, each character is looked at once, and once more when the brackets are closed.
        """
        more = "".join(self._pieces[self._looked_at :])
        self._looked_at = len(self._pieces)
        if self._state == "whole" and more.strip(_SPACE):
            self._state = "lost"
        elif self._state == "open" and more:
            self._brackets.feed(more)
            if self._brackets.are_closed:
                self._state = "whole" if _is_json(self.text) else "lost"
        return self._state == "whole"


class Brackets:
    """How many brackets of a JSON text are open outside of its strings. It may be cut anywhere."""

    def __init__(self) -> None:
        self._depth = 0
        self._string = ""  # what an open string has to be read on with
        self._has_begun = False

    @property
    def are_closed(self) -> bool:
        """Whether something was opened, be it a string, and nothing is open now."""
        return self._has_begun and not self._string and self._depth == 0

    def feed(self, text: str) -> None:
        """Read on."""
        for start in range(0, len(text), _SLICE):
            self._feed(self._string + text[start : start + _SLICE])

    def _feed(self, text: str) -> None:
        parts = _STRING.split(text)  # what is outside of strings, and the end of each string, in turn
        ends = parts[1::2]
        self._string = "" if not ends or ends[-1] == '"' else f'"{ends[-1]}'
        outside = "".join(parts[::2])
        opening = outside.count("{") + outside.count("[")
        self._depth += opening - outside.count("}") - outside.count("]")
        self._has_begun = self._has_begun or bool(ends) or opening > 0


def _is_json(text: str) -> bool:
    try:
        _decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):  # a model may open brackets for ever
        return False
    return True
