"""JSON read in pieces: wherever it is cut, the pieces add up to what a whole reader makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.core.json_pieces import DEEPEST, LONGEST_SCALAR, Began, Ended, Grew, JsonReader, Opened, Piece, Whole
from tests.core.dialogues import SIZES, cut
from tests.patient import is_in_proportion

if TYPE_CHECKING:
    from antiphon.core.json_pieces import Path
    from antiphon.protocol.parts import Json

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=4)


def read(fragments: list[str]) -> tuple[JsonReader, list[Piece]]:
    """Feed all of them; the reader, and all that it told."""
    reader = JsonReader()
    return reader, [piece for fragment in fragments for piece in reader.feed(fragment)]


class Rebuilt:
    """The value that pieces add up to."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.root: list[Json] = []
        self._texts: dict[Path, str] = {}
        for piece in pieces:
            match piece:
                case Opened(path, is_array):
                    self._put(path, [] if is_array else {})
                case Began(path):
                    self._texts[path] = ""
                case Grew(path, text):
                    assert text
                    self._texts[path] += text
                case Ended(path):
                    self._put(path, self._texts.pop(path))
                case Whole(path, value):
                    self._put(path, value)
        assert {} == self._texts

    def _put(self, path: Path, value: Json) -> None:
        target: Json = self.root
        steps: Path = (0, *path)
        for step in steps[:-1]:
            match target, step:
                case list(), int():
                    target = target[step]
                case dict(), str():
                    target = target[step]
                case other:
                    pytest.fail(repr(other))
        match target, steps[-1]:
            case list(), int() as index:
                assert len(target) == index
                target.append(value)
            case dict(), str() as key:
                target[key] = value
            case other:
                pytest.fail(repr(other))


LAYOUTS = st.sampled_from(["escaped", "plain", "indented"])


@given(OBJECTS, SIZES, LAYOUTS)
@example({"a": '\U0001f600\ud7ff\ue000\\"/\b\f\n\r\t\0é'}, [1], "escaped")
def test_pieces_add_up_to_the_value(value: dict[str, Json], sizes: list[int], layout: str) -> None:
    """Whatever is escaped, however it is laid out, and wherever it is cut."""
    text = json.dumps(value, ensure_ascii=layout == "escaped", indent=1 if layout == "indented" else None)
    reader, pieces = read(cut(text, sizes))
    assert (True, False) == (reader.is_whole, reader.is_lost)
    assert [msgspec.json.decode(text)] == Rebuilt(pieces).root


@given(OBJECTS, st.integers(0, 200))
def test_a_beginning_tells_a_beginning(value: dict[str, Json], length: int) -> None:
    """What is told of a text that is cut off is what would have been told first of the whole."""
    text = json.dumps(value)
    _, whole = read(list(text))
    reader, beginning = read(list(text[:length]))
    assert not reader.is_lost
    assert whole[: len(beginning)] == beginning


@given(st.lists(st.sampled_from([*'{}[],:"\\ \nu0dD8tb1-.e', "true", "null", "é", "\ud800"]), max_size=30))
def test_nonsense_never_raises(fragments: list[str]) -> None:
    """And the cuts make no difference to what is understood of it."""
    one, together = read(["".join(fragments)])
    many, apart = read(fragments)
    assert (one.is_whole, one.is_lost) == (many.is_whole, many.is_lost)
    assert joined(together) == joined(apart)


def joined(pieces: list[Piece]) -> list[Piece]:
    """The pieces, neighbours of one string put together."""
    told: list[Piece] = []
    for piece in pieces:
        match piece, told[-1:]:
            case Grew(path, text), [Grew(before, start)] if path == before:
                told[-1] = Grew(path, start + text)
            case _:
                told.append(piece)
    return told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (r'"a\qb"', r"a\qb"),
        (r'"\u12G4"', r"\u12G4"),
        ('"a\nb"', "a\nb"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"\ud83dx"', "\ufffdx"),
        (r'"\ud83d\n"', "\ufffd\n"),
        (r'"\ud83d"', "\ufffd"),
        (r'"\ude00"', "\ufffd"),
        (r'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
        (r'"\\ud83d\q\ude00"', "\\ud83d\\q\ufffd"),
        (r'"\up"', r"\up"),
        (r'"\ud83d\up"', "\ufffd\\up"),
        (r'"C:\users\a\u12"', r"C:\users\a\u12"),
        (r'"\/\b\f\r\t\q"', "/\b\f\r\t\\q"),
        ('"\ud800\\n"', "\ud800\n"),
    ],
)
def test_what_models_write_wrong_in_a_string_is_read_leniently(text: str, says: str) -> None:
    """Escapes that are none stand for themselves, and half a pair for a character that nobody knows."""
    for fragments in (list(text), [text]):
        reader, pieces = read(fragments)
        assert reader.is_whole
        assert [Began(()), Grew((), says), Ended(())] == joined(pieces)


@pytest.mark.parametrize(
    "text",
    [
        *("hello", "}", "]", ",", "{,", "{1", '{"a" 1', '{"a":1 2', '{"a":]', "[}", "[1}", '{"a":1]', "[,"),
        *("{} x", "#", "[1,,", "[tru]", "[é", "[1, 2,]", "[1,tru,2]"),
    ],
)
def test_what_is_no_json_is_lost(text: str) -> None:
    """At once, and for good."""
    reader, _ = read([text, " "])
    assert (False, True) == (reader.is_whole, reader.is_lost)
    assert [] == reader.feed('"a"')


def test_a_scalar_is_told_when_it_is_whole() -> None:
    """Which it is when something else follows."""
    _, pieces = read(['{"a"', ":1", "2", ',"b":tr', "ue", "}"])
    assert [Opened((), is_array=False), Whole(("a",), 12), Whole(("b",), True)] == pieces


def test_the_elements_before_what_is_none_are_told() -> None:
    """As many of them at once as the cuts allow."""
    text = '{"a":[ 1 , 2.5,null,\ttrue,0x1,3]}'
    told = [Opened((), is_array=False), Opened(("a",), is_array=True)]
    elements = [Whole(("a", at), value) for at, value in enumerate((1, 2.5, None, True))]
    assert [*told, *elements] == read([text])[1] == read(list(text))[1]


@pytest.mark.parametrize(("value", "size"), [("\n", 2_000_000), ("é", 300_000), ([1], 400_000)])
def test_a_long_value_costs_each_character_once(value: str | list[Json], size: int) -> None:
    """Text, escapes and numbers, in one fragment."""
    texts = {times: json.dumps(value * times) for times in (size, size // 8)}
    assert is_in_proportion(lambda times: read([texts[times]])[0].is_lost, size)


def test_depth_is_bounded() -> None:
    """A model may open brackets for ever."""
    assert not read(["[" * DEEPEST])[0].is_lost
    assert read(["[" * (DEEPEST + 1)])[0].is_lost


def test_the_length_of_a_number_is_bounded() -> None:
    """So may it count."""
    assert not read(["[", "1" * LONGEST_SCALAR])[0].is_lost
    assert read(["[", *["1"] * (LONGEST_SCALAR + 1)])[0].is_lost
    assert not read(["[" + "1" * LONGEST_SCALAR + ","])[0].is_lost
    assert read(["[" + "1" * (LONGEST_SCALAR + 1) + ","])[0].is_lost
