"""Forms, in whatever pieces they come."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.http.multipart import FIELD_BYTES, FORM_BYTES, HEAD_BYTES, MOST_PARTS, Reader
from antiphon.protocol.errors import ApiError
from tests.filing import BOUNDARY, form, part

TRICKY = b"\r\n--b0undar\r\n--b0undarX\r\r\n-\r\n--\r\n\r\n--b0undary\x00--" + bytes(range(256)) + b"\r"
WHOLE = form(
    part("purpose", "user_data"),
    part("file", TRICKY, filename="a;b.txt", more="Content-Type: text/plain\r\n"),
    part("expires_after[anchor]", "created_at"),
    part("expires_after[seconds]", "\N{SNOWMAN}"),
)
FIELDS = {"purpose": "user_data", "expires_after[anchor]": "created_at", "expires_after[seconds]": "\N{SNOWMAN}"}


def read(*pieces: bytes) -> tuple[Reader, bytes]:
    """Read a form in pieces; gives its reader and the file."""
    reader = Reader(BOUNDARY, file="file")
    return reader, b"".join([reader.feed(piece) for piece in pieces])


def expect_whole(reader: Reader, content: bytes) -> None:
    """The form was understood."""
    assert (TRICKY, "a;b.txt", FIELDS, True) == (content, reader.filename, reader.fields, reader.ended)


def test_a_form_that_is_cut_at_any_byte_is_the_same() -> None:
    """In two pieces, wherever the cut is, and byte by byte."""
    for cut in range(len(WHOLE) + 1):
        expect_whole(*read(WHOLE[:cut], WHOLE[cut:]))
    expect_whole(*read(*(WHOLE[at : at + 1] for at in range(len(WHOLE)))))


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_a_form_that_is_cut_anywhere_is_the_same(cuts: list[int]) -> None:
    """In as many pieces as there may be."""
    edges = [0, *sorted(cuts), len(WHOLE)]
    expect_whole(*read(*(WHOLE[start:end] for start, end in pairwise(edges))))


@given(st.binary(max_size=300), st.integers(1, 40))
def test_any_content_comes_through(content: bytes, size: int) -> None:
    """Whatever it holds, unless it is the boundary itself."""
    if b"\r\n--" + BOUNDARY in b"\r\n" + content:
        return
    sent = form(part("file", content, filename="a"))
    reader, got = read(*(sent[start : start + size] for start in range(0, len(sent), size)))
    assert (content, True) == (got, reader.ended)


def test_no_part_of_a_form_is_the_whole() -> None:
    """A body that ends too early is known by it."""
    last = WHOLE.rindex(b"--\r\n")
    for cut in range(last + 1):
        reader, _ = read(WHOLE[:cut])
        assert not reader.ended


def test_a_file_may_stand_anywhere() -> None:
    """It is known where it begins; of fields with one name the last counts."""
    reader, content = read(form(part("file", b"x", filename=""), part("a", "1"), part("a", "2")))
    assert (b"x", "", {"a": "2"}, True) == (content, reader.filename, reader.fields, reader.ended)


def test_a_file_without_a_name_has_none() -> None:
    """It is a file by its part's name."""
    reader, content = read(form(part("file", b"x")))
    assert (b"x", "") == (content, reader.filename)


def test_what_comes_before_and_behind_a_form_is_passed_over() -> None:
    """An empty line, and whatever a client adds."""
    reader, content = read(b"\r\n" + form(part("file", b"x", filename="a")) + b"more\r\n")
    assert (b"x", True) == (content, reader.ended)


MALFORMED = {
    "no form at all": b"hello",
    "another boundary": b"--another\r\n\r\n",
    "a line that is no header": b"--b0undary\r\nno header\r\n\r\nx\r\n",
    "a part without a name": b"--b0undary\r\nContent-Type: text/plain\r\n\r\nx\r\n--b0undary--",
    "a part with an empty disposition": b"--b0undary\r\nContent-Disposition:\r\n\r\nx\r\n--b0undary--",
    "an attachment": b'--b0undary\r\nContent-Disposition: attachment; name="file"\r\n\r\nx\r\n--b0undary--',
    "a header that never ends": b"--b0undary\r\nX-A: " + b"x" * (HEAD_BYTES + 10),
    "many headers": b"--b0undary\r\n" + b"X-A: y\r\n" * 20 + b"\r\nx",
    "long headers": b"--b0undary\r\n" + (b"X-A: " + b"y" * 3000 + b"\r\n") * 3 + b"\r\nx",
    "a name that is no text": b'--b0undary\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--b0undary--',
    "a value that is no text": form(part("purpose", b"\xff")),
    "a file name that is no text": form(part("file", b"x").replace(b'"file"', b'"file"; filename="\xff"')),
    "ten thousand parts": form(*(part(f"f{number}", "x") for number in range(10_000))),
    "one part too many": form(*(part("f", "x") for _ in range(MOST_PARTS + 1))),
    "a long field": form(part("purpose", b"x" * (FIELD_BYTES + 1))),
    "much that is no file": b"\r\n" + b"x" * (FORM_BYTES + 1),
    "two files": form(part("file", b"x", filename="a"), part("file", b"y", filename="b")),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("size", [1000, 65_536])
def test_what_is_no_form_is_refused(sent: bytes, size: int) -> None:
    """With a 400, whatever it is, in whatever pieces it comes."""
    with pytest.raises(ApiError) as refused:
        read(*(sent[start : start + size] for start in range(0, len(sent), size)))
    assert 400 == refused.value.status


def test_as_many_parts_as_may_be_are_taken() -> None:
    """And fields as long as they may be."""
    fields = [part(f"f{number}", "x") for number in range(MOST_PARTS - 2)]
    long = part("long", "x" * FIELD_BYTES)
    reader, content = read(form(*fields, long, part("file", b"y", filename="a")))
    assert (b"y", MOST_PARTS - 1, FIELD_BYTES) == (content, len(reader.fields), len(reader.fields["long"]))


def test_a_boundary_has_a_length_that_a_boundary_may_have() -> None:
    """A longer one is refused before anything is read."""
    with pytest.raises(ApiError, match="boundary"):
        Reader(b"x" * 257, file="file")
