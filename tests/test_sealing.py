"""Sealing: what was sealed opens with its key, for what it was sealed for, and not otherwise."""

from __future__ import annotations

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
