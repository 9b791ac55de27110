"""JSON text read while it is written: what each piece of it says, at which path, wherever the text is cut.

A string is told as it grows; what is no string is told when it is whole. The reader is lenient where models are
careless: a control character in a string stands for itself, an escape that JSON does not know is text, and half a
surrogate pair is U+FFFD. Where the text is no JSON at all, or nests deeper than `DEEPEST`, it is ``lost`` and tells no
more: whoever reads on looks at what is there in the end. Each character is looked at once.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

DEEPEST = 64
"""How many objects and arrays may be open at once."""
LONGEST_SCALAR = 400
"""How many characters a number may have; no float needs more."""

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands: the keys and indexes that lead to it. The outermost value stands at ``()``."""

Scalar: TypeAlias = int | float | bool | None
Expectation = Literal["value", "first value", "key", "first key", "colon", "comma", "end"]


class Opened(Struct, frozen=True):
    """An object or an array begins."""

    path: Path
    is_array: bool


class Began(Struct, frozen=True):
    """A string begins."""

    path: Path


class Grew(Struct, frozen=True):
    """A string goes on by this text, which is decoded and never empty."""

    path: Path
    text: str


class Ended(Struct, frozen=True):
    """A string is whole."""

    path: Path


class Whole(Struct, frozen=True):
    """A number, a truth value or a null."""

    path: Path
    value: Scalar


Piece = Opened | Began | Grew | Ended | Whole

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\]+')
_SCALAR = re.compile(r"[-+.0-9A-Za-z]+")
_HEX = re.compile(r"[0-9A-Fa-f]{4}")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_HIGH = range(0xD800, 0xDC00)
_LOW = range(0xDC00, 0xE000)
_UNICODE_LENGTH = len(r"\u0000")
_STRANGE = "\ufffd"

_decode_scalar = msgspec.json.Decoder(int | float | bool | None).decode


class Unescaping:
    """The text of one string, its escapes decoded wherever they are cut."""

    def __init__(self) -> None:
        self._escape = ""
        self._high = ""

    @property
    def is_within(self) -> bool:
        """Whether an escape is begun, so that a quotation mark belongs to it."""
        return bool(self._escape)

    def plain(self, text: str) -> str:
        """What text without any backslash adds to the string."""
        high, self._high = self._high and _STRANGE, ""
        return high + text

    def escaped(self, letter: str) -> str:
        """What a character of an escape adds to the string: nothing until the escape is whole."""
        self._escape += letter
        escape = self._escape
        if len(escape) == 1 or (escape[1] == "u" and len(escape) < _UNICODE_LENGTH):
            return ""
        self._escape = ""
        if escape[1] != "u":
            return self.plain(_ESCAPES.get(escape[1], escape))
        return (
            self._unit(int.from_bytes(bytes.fromhex(escape[2:]))) if _HEX.fullmatch(escape[2:]) else self.plain(escape)
        )

    def end(self) -> str:
        """What the end of the string adds to it."""
        return self.plain("")

    def _unit(self, unit: int) -> str:
        """A unit of UTF-16: a high surrogate waits for its low one."""
        letter = chr(unit)
        if unit in _LOW:
            pair, self._high = self._high + letter, ""
            return pair.encode("utf-16-le", "surrogatepass").decode("utf-16-le") if len(pair) > 1 else _STRANGE
        if unit in _HIGH:
            before = self.plain("")
            self._high = letter
            return before
        return self.plain(letter)


class JsonReader:
    """Reads one JSON value; ``feed`` it fragment by fragment. White space may stand around the value, nothing else.

    ``is_whole``: the value has ended, which a number alone never does. ``is_lost``: what came is no JSON.
    """

    def __init__(self) -> None:
        self.is_lost = False
        self._expected: Expectation = "value"
        self._path: list[str | int] = []  # of what is being read; its last step is that within the innermost container
        self._arrays: list[bool] = []  # the open containers, each with whether it is an array
        self._string: Unescaping | None = None
        self._key: list[str] | None = None
        self._scalar: list[str] = []
        self._grown: list[str] = []  # of the string, in this fragment
        self._here: Path = ()
        self._pieces: list[Piece] = []

    @property
    def is_whole(self) -> bool:
        """Whether the value has ended."""
        return self._expected == "end" and not self.is_lost

    def feed(self, text: str) -> list[Piece]:
        """What the next fragment says."""
        self._pieces = []
        position = 0
        while position < len(text) and not self.is_lost:
            if self._string is not None:
                position = self._in_string(self._string, text, position)
            else:
                position = self._outside(text, position)
        self._tell_growth()
        return self._pieces

    # Strings

    def _in_string(self, string: Unescaping, text: str, position: int) -> int:
        letter = text[position]
        if string.is_within or letter == "\\":
            self._grow(string.escaped(letter))
            return position + 1
        plain = _PLAIN.match(text, position)
        if plain is not None:
            self._grow(string.plain(plain.group()))
            return plain.end()
        self._grow(string.end())
        self._end_string()
        return position + 1

    def _grow(self, text: str) -> None:
        if self._key is not None:
            self._key.append(text)
        else:
            self._grown.append(text)

    def _tell_growth(self) -> None:
        text = "".join(self._grown)
        self._grown = []
        if text:
            self._pieces.append(Grew(self._here, text))

    def _end_string(self) -> None:
        self._string = None
        if self._key is None:
            self._tell_growth()
            self._pieces.append(Ended(self._here))
            self._end_value()
            return
        self._path[-1] = "".join(self._key)
        self._key = None
        self._expected = "colon"

    # Scalars

    def _in_scalar(self, text: str, position: int) -> int:
        more = _SCALAR.match(text, position)
        if more is None:
            self._end_scalar()
            return position
        self._scalar.append(more.group())
        self.is_lost = sum(map(len, self._scalar)) > LONGEST_SCALAR
        return more.end()

    def _end_scalar(self) -> None:
        written = "".join(self._scalar)
        self._scalar = []
        try:
            value = _decode_scalar(written)
        except msgspec.DecodeError:
            self.is_lost = True
            return
        self._pieces.append(Whole(self._here, value))
        self._end_value()

    # Structure

    def _outside(self, text: str, position: int) -> int:
        if self._scalar:
            return self._in_scalar(text, position)
        space = _SPACE.match(text, position)
        if space is not None and space.end() > position:
            return space.end()
        match self._expected, text[position]:
            case "value" | "first value", letter if letter not in "]},:":
                self._begin_value(letter)
                return position if self._scalar_begins(letter) else position + 1
            case "first key" | "key", '"':
                self._string, self._key = Unescaping(), []
            case "colon", ":":
                self._expected = "value"
            case "comma", ",":
                self._next()
            case "comma" | "first key", "}" if not self._arrays[-1]:
                self._close()
            case "comma" | "first value", "]" if self._arrays[-1]:
                self._close()
            case _:
                self.is_lost = True
        return position + 1

    def _scalar_begins(self, letter: str) -> bool:
        """Whether a value that begins so is a scalar: then its first letter is read again, with the others."""
        if self.is_lost or letter in '"{[':
            return False
        self._scalar = [""]
        return True

    def _begin_value(self, letter: str) -> None:
        self._here = tuple(self._path)
        match letter:
            case '"':
                self._string = Unescaping()
                self._pieces.append(Began(self._here))
            case "{" | "[":
                self._open(is_array=letter == "[")
            case _:
                self.is_lost = _SCALAR.match(letter) is None

    def _open(self, *, is_array: bool) -> None:
        if len(self._arrays) >= DEEPEST:
            self.is_lost = True
            return
        self._pieces.append(Opened(self._here, is_array))
        self._arrays.append(is_array)
        self._path.append(0 if is_array else "")
        self._expected = "first value" if is_array else "first key"

    def _next(self) -> None:
        step = self._path[-1]
        if isinstance(step, int):
            self._path[-1] = step + 1
        self._expected = "value" if self._arrays[-1] else "key"

    def _close(self) -> None:
        self._arrays.pop()
        self._path.pop()
        self._end_value()

    def _end_value(self) -> None:
        self._expected = "comma" if self._arrays else "end"
