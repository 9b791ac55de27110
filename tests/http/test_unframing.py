"""Tests of frames: what is read of what a client sends, however it is cut."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.http.unframing import BINARY, CLOSE, CONTINUATION, PING, PONG, SMALL, TEXT, Broken, Heard, Unframing
from tests.http.talking import framed

LIMIT = 200_000
TALK = (
    (TEXT, "\u00e4\u20ac\U0001f600".encode(), True),
    (TEXT, b"", True),
    (TEXT, "\u20ac".encode()[:1], False),
    (PING, b"there?", True),
    (CONTINUATION, b"", False),
    (CONTINUATION, "\u20ac".encode()[1:], True),
    (BINARY, b"\xff" * 126, False),
    (PONG, b"", True),
    (CONTINUATION, b"\xfe" * 70_000, False),
    (CONTINUATION, b"", True),
    (CLOSE, (1000).to_bytes(2), True),
)
HEARD = [
    Heard(TEXT, "\u00e4\u20ac\U0001f600".encode()),
    Heard(TEXT, b""),
    Heard(CONTINUATION, is_small=True),
    Heard(PING, b"there?", is_small=True),
    Heard(CONTINUATION, is_small=True),
    Heard(TEXT, "\u20ac".encode()),
    Heard(CONTINUATION),
    Heard(PONG, is_small=True),
    Heard(CONTINUATION),
    Heard(BINARY, b"\xff" * 126 + b"\xfe" * 70_000),
    Heard(CLOSE, (1000).to_bytes(2), is_small=True),
]


def heard(pieces: list[bytes], limit: int = LIMIT) -> list[Heard]:
    """What is heard of bytes that come in these pieces."""
    unframing = Unframing(limit)
    told: list[Heard] = []
    for piece in pieces:
        unframing.feed(piece)
        while (each := unframing.next()) is not None:
            told.append(each)
    return told


@given(st.lists(st.integers(0, 71_000), max_size=20))
def test_frames_are_heard_however_they_are_cut(cuts: list[int]) -> None:
    """Every kind of frame, in one piece or in many."""
    sent = b"".join(framed(opcode, payload, fin=fin) for opcode, payload, fin in TALK)
    borders = sorted({0, *(cut for cut in cuts if cut < len(sent)), len(sent)})
    assert HEARD == heard([sent[begin:end] for begin, end in pairwise(borders)])


def test_frames_are_heard_byte_by_byte() -> None:
    """The worst of all cuts."""
    sent = b"".join(framed(opcode, payload, fin=fin) for opcode, payload, fin in TALK)
    assert HEARD == heard([sent[at : at + 1] for at in range(len(sent))])


def test_what_is_read_is_let_go() -> None:
    """Nothing of it is held while a connection is silent; half a frame is."""
    unframing = Unframing(LIMIT)
    unframing.feed(framed(TEXT, b"x" * 1000) + b"\x81")
    assert Heard(TEXT, b"x" * 1000) == unframing.next()
    assert unframing.has_unread
    assert unframing.next() is None
    unframing.feed(framed(TEXT, b"y")[1:])
    assert Heard(TEXT, b"y") == unframing.next()
    assert not unframing.has_unread


@pytest.mark.parametrize(("size", "is_small"), [(0, True), (SMALL - 1, True), (SMALL, False)])
def test_a_short_fragment_is_small(size: int, *, is_small: bool) -> None:
    """A whole message never is: it may be short."""
    assert [Heard(CONTINUATION, is_small=is_small)] == heard([framed(TEXT, bytes(size), fin=False)])
    assert [Heard(TEXT, bytes(size))] == heard([framed(TEXT, bytes(size))])


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (framed(TEXT, b"x", masked=False), 1002),
        (framed(TEXT, b"x", first=0x40), 1002),
        (framed(3, b"x"), 1002),
        (framed(11, b"x"), 1002),
        (framed(CONTINUATION, b"x"), 1002),
        (framed(PING, b"x", fin=False), 1002),
        (framed(PING, bytes(126)), 1002),
        (framed(TEXT, b"x", fin=False) + framed(BINARY, b"x"), 1002),
        (framed(TEXT, b"\xff"), 1007),
        (framed(TEXT, "\u20ac".encode()[:2]), 1007),
        (framed(TEXT, "\u20ac".encode()[:2], fin=False) + framed(CONTINUATION), 1007),
        (framed(TEXT, bytes(LIMIT + 1))[:14], 1009),
        (framed(TEXT, bytes(LIMIT), fin=False) + framed(CONTINUATION, b"x"), 1009),
        (b"\x81\xff" + b"\xff" * 8 + os.urandom(4), 1009),
    ],
    ids=[
        *("no mask", "a reserved bit", "an unknown kind", "an unknown control", "nothing to go on from"),
        *("a control in pieces", "a long control", "a message in a message", "no UTF-8", "half a character"),
        *("a character that never ends", "long", "long in pieces", "longer than anything"),
    ],
)
def test_a_client_that_breaks_the_protocol_is_told_how(sent: bytes, code: int) -> None:
    """No mask, what was not agreed on, a stray fragment, half a ping, text that is none, and what is too long."""
    with pytest.raises(Broken) as broken:
        heard([sent])
    assert code == broken.value.code
