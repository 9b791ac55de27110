"""JSON text read while it is written: what each piece of it says, at which path, wherever the text is cut.

A string is told as it grows; what is no string is told when it is whole. The reader is lenient where models are
careless: a control character in a string stands for itself, an escape that JSON does not know is text, and half a
surrogate pair is U+FFFD. Where the text is no JSON at all, or nests deeper than `DEEPEST`, it is ``lost`` and tells no
more: whoever reads on looks at what is there in the end. Each character is looked at once, but for an escape that is
cut; runs of text, of escapes and of numbers are read as one.
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


class Opened(Struct, frozen=True, gc=False):
    """An object or an array begins."""

    path: Path
    is_array: bool


class Began(Struct, frozen=True, gc=False):
    """A string begins."""

    path: Path


class Grew(Struct, frozen=True, gc=False):
    """A string goes on by this text, which is decoded and never empty."""

    path: Path
    text: str


class Ended(Struct, frozen=True, gc=False):
    """A string is whole."""

    path: Path


class Whole(Struct, frozen=True, gc=False):
    """A number, a truth value or a null."""

    path: Path
    value: Scalar


Piece = Opened | Began | Grew | Ended | Whole

_SPACE = re.compile(r"[ \t\r\n]*+")
_SCALAR = re.compile(r"[-+.0-9A-Za-z]++")
_ELEMENTS = re.compile(rf"(?:[-+.0-9A-Za-z]{{1,{LONGEST_SCALAR}}}+[ \t\r\n]*+,[ \t\r\n]*+)++")
"""Elements of an array, each with the comma behind it."""

_UNIT = r"[0-9A-Fa-f]{4}"
_HIGH = r"[dD][89abAB][0-9A-Fa-f]{2}"
_LOW = r"[dD][c-fC-F][0-9A-Fa-f]{2}"
_NO_UNIT = r"[0-9A-Fa-f]{0,3}[^0-9A-Fa-f]"
_RUN = re.compile(
    rf"""(?:
    [^"\\]++
    | (?:\\[^u])++
    | \\u(?!{_HIGH}){_UNIT}
    | \\u{_HIGH}(?=[^\\]|\\[^u]|\\u{_UNIT}|\\u{_NO_UNIT})  # what follows tells whether it is half of a pair
    | \\u(?={_NO_UNIT})
    )*+""",
    re.DOTALL | re.VERBOSE,
)
"""What is certain of a string: text and whole escapes."""
_ESCAPE = re.compile(rf"\\u{_HIGH}\\u{_LOW}|\\u{_UNIT}|\\.", re.DOTALL)
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\/": "/", "\\b": "\b", "\\f": "\f", "\\n": "\n", "\\r": "\r", "\\t": "\t"}
_STRANGE = "\ufffd"

_decode_scalar = msgspec.json.Decoder(int | float | bool | None).decode
_decode_scalars = msgspec.json.Decoder(list[int | float | bool | None]).decode
_decode_string = msgspec.json.Decoder(str).decode


def unescaped(run: str) -> str:
    """The text of a run of text and whole escapes, as lenient as this reader is."""
    if "\\" not in run:
        return run
    try:
        return _decode_string(f'"{run}"')
    except (msgspec.DecodeError, ValueError):
        return _ESCAPE.sub(lambda escape: _meaning(escape.group()), run)


def _meaning(escape: str) -> str:
    match [int(unit, 16) for unit in escape.split("\\u")[1:] if unit]:
        case [high, low]:
            return bytes.fromhex(f"{high:04x}{low:04x}").decode("utf-16-be")
        case [unit]:
            return _STRANGE if unit in range(0xD800, 0xE000) else chr(unit)
        case _:
            return _ESCAPES.get(escape, escape)


class JsonReader:
    """Reads one JSON value; ``feed`` it fragment by fragment. White space may stand around the value, nothing else.

    ``is_whole``: the value has ended, which a number alone never does. ``is_lost``: what came is no JSON.
    """

    def __init__(self) -> None:
        self.is_lost = False
        self._expected: Expectation = "value"
        self._path: list[str | int] = []  # of what is being read; its last step is that within the innermost container
        self._arrays: list[bool] = []  # the open containers, each with whether it is an array
        self._is_in_string = False
        self._is_careful = False
        self._cut = ""  # an escape of a string, as far as it has come
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
        text, self._cut = self._cut + text, ""
        position = 0
        while position < len(text) and not self.is_lost:
            position = self._in_string(text, position) if self._is_in_string else self._outside(text, position)
        self._tell_growth()
        return self._pieces

    # Strings

    def _in_string(self, text: str, position: int) -> int:
        run = _RUN.match(text, position)
        end = position if run is None else run.end()
        if end > position:
            self._grow(unescaped(text[position:end]))
        if end == len(text):
            return end
        if text[end] == '"':
            self._end_string()
            return end + 1
        self._cut = text[end:]
        return len(text)

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
        self._is_in_string = False
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

    def _in_elements(self, run: str) -> bool:
        """Scalars of an array, all at once. If one of them is none, they are read one by one, up to that."""
        texts = run.rstrip(" \t\r\n")[:-1]
        try:
            values: list[Scalar] = _decode_scalars(f"[{texts}]")
        except msgspec.DecodeError:
            self._is_careful = True
            return False
        *outer, start = self._path
        first = start if isinstance(start, int) else 0
        self._pieces += [Whole((*outer, index), value) for index, value in enumerate(values, first)]
        self._path[-1] = first + len(values)
        self._expected = "value"
        return True

    # Structure

    @property
    def _is_in_array(self) -> bool:
        """Whether the next value is an element, one of many perhaps."""
        is_next = self._expected in {"value", "first value"} and not self._is_careful
        return is_next and bool(self._arrays) and self._arrays[-1]

    def _outside(self, text: str, position: int) -> int:
        if self._scalar:
            return self._in_scalar(text, position)
        if text[position] in " \t\r\n":
            space = _SPACE.match(text, position)
            return position if space is None else space.end()
        elements = _ELEMENTS.match(text, position) if self._is_in_array else None
        if elements is not None and self._in_elements(elements.group()):
            return elements.end()
        match self._expected, text[position]:
            case "value" | "first value", letter if letter not in "]},:":
                self._begin_value(letter)
                return position if self._scalar_begins(letter) else position + 1
            case "first key" | "key", '"':
                self._is_in_string, self._key = True, []
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
                self._is_in_string = True
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
