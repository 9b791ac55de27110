"""Sealing: what was sealed opens with its key, for what it was sealed for, and not otherwise."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.sealing import CannotOpen, Seal

OLD, NEW = "an old secret", "a new secret"
BOUND = "order tenant resp_1"


@given(st.binary(max_size=500), st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_what_was_sealed_is_opened(plain: bytes, bound: str, secret: str) -> None:
    """Whatever it is, whatever it is bound to, and with any secret; it travels in any header or URL."""
    token = Seal([secret]).seal(plain, bound)
    assert plain == Seal([secret]).open(token, bound)
    assert token.isascii()
    assert token.replace("-", "a").replace("_", "a").rstrip("=").isalnum()


def test_what_is_sealed_is_not_seen() -> None:
    """Nor whether it was sealed before."""
    tokens = [Seal([NEW]).seal(b"a secret of a caller's", BOUND) for _ in range(2)]
    assert tokens[0] != tokens[1]
    assert all(b"caller" not in urlsafe_b64decode(token) for token in tokens)


def test_it_opens_only_for_what_it_was_sealed_for() -> None:
    """Neither for another nor for a part of it."""
    token = Seal([NEW]).seal(b"plain", BOUND)
    for bound in ("order tenant resp_2", "", BOUND[:-1], BOUND + " "):
        with pytest.raises(CannotOpen):
            Seal([NEW]).open(token, bound)


@pytest.mark.parametrize("plain", [b"", b"plain"])
def test_a_token_that_was_changed_anywhere_does_not_open(plain: bytes) -> None:
    """At no byte, and cut at none."""
    seal = Seal([NEW])
    raw = urlsafe_b64decode(seal.seal(plain, BOUND))
    for index in range(len(raw)):
        for bit in (1, 128):
            changed = raw[:index] + bytes([raw[index] ^ bit]) + raw[index + 1 :]
            with pytest.raises(CannotOpen):
                seal.open(urlsafe_b64encode(changed).decode(), BOUND)
        with pytest.raises(CannotOpen):
            seal.open(urlsafe_b64encode(raw[:index]).decode(), BOUND)
    with pytest.raises(CannotOpen):
        seal.open(urlsafe_b64encode(raw + b"\0").decode(), BOUND)


def test_a_token_of_an_unknown_key_does_not_open() -> None:
    """Though everything else is right."""
    with pytest.raises(CannotOpen):
        Seal([NEW]).open(Seal([OLD]).seal(b"plain", BOUND), BOUND)


def test_a_new_secret_is_put_in_front_and_the_old_one_still_opens() -> None:
    """The first seals, all of them open, until one is taken away."""
    before, meanwhile, after = Seal([OLD]), Seal([NEW, OLD]), Seal([NEW])
    old, new = before.seal(b"old", BOUND), meanwhile.seal(b"new", BOUND)
    assert [b"old", b"new"] == [meanwhile.open(old, BOUND), meanwhile.open(new, BOUND)]
    assert b"new" == after.open(new, BOUND)
    for seal, token in ((before, new), (after, old)):
        with pytest.raises(CannotOpen):
            seal.open(token, BOUND)


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda raw: urlsafe_b64encode(raw).decode()))
def test_what_is_no_token_does_not_open(token: str) -> None:
    """Text of any sort, and bytes of any sort."""
    with pytest.raises(CannotOpen):
        Seal([NEW]).open(token, BOUND)


@pytest.mark.parametrize("token", ["", "=", "A", "AAAAA", "žluťoučký", "\udc80", "a b", "AQ==", "*" * 80])
def test_known_oddities_do_not_open(token: str) -> None:
    """Empty, no base64, half of it, not ASCII, no text at all."""
    with pytest.raises(CannotOpen):
        Seal([NEW]).open(token, BOUND)


@given(st.binary(max_size=500), st.integers(8, 32))
def test_a_tag_and_its_beginning_are_known(message: bytes, length: int) -> None:
    """The same message has the same tag, of 32 bytes; the first of them may stand for all."""
    seal = Seal([NEW])
    tag = seal.tag(message)
    assert 32 == len(tag)
    assert tag == Seal([NEW, OLD]).tag(message)
    assert seal.is_tagged(message, tag[:length])


def test_a_tag_that_is_not_of_this_message_is_not_known() -> None:
    """Nor one that was changed at any bit, cut too short, or made longer."""
    seal = Seal([NEW])
    tag = seal.tag(b"message")
    assert not seal.is_tagged(b"another", tag)
    assert not seal.is_tagged(b"", tag)
    for length in (8, 32):
        for bit in range(length * 8):
            changed = bytearray(tag[:length])
            changed[bit // 8] ^= 1 << bit % 8
            assert not seal.is_tagged(b"message", bytes(changed))
    for odd in (b"", tag[:7], tag[1:9], tag + b"\0", tag * 2):
        assert not seal.is_tagged(b"message", odd)


def test_a_tag_of_an_old_secret_is_known_while_that_is_there() -> None:
    """The first secret tags, all of them know."""
    before, meanwhile, after = Seal([OLD]), Seal([NEW, OLD]), Seal([NEW])
    old, new = before.tag(b"message"), meanwhile.tag(b"message")
    assert old != new
    assert [True, True] == [meanwhile.is_tagged(b"message", tag) for tag in (old, new)]
    assert [False, True] == [after.is_tagged(b"message", tag) for tag in (old, new)]
    assert [True, False] == [before.is_tagged(b"message", tag) for tag in (old, new)]


def test_a_tag_is_what_the_standards_say() -> None:
    """HMAC-SHA256 under a key of HKDF-SHA256 without a salt, reckoned here from RFC 5869 itself."""
    extracted = hmac.digest(bytes(32), NEW.encode(), "sha256")
    key = hmac.digest(extracted, b"antiphon seal tag\x01", "sha256")
    assert hmac.digest(key, b"message", "sha256") == Seal([NEW]).tag(b"message")
