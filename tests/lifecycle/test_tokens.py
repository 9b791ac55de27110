"""Tokens in the hands of clients: good for one tenant, for what they are, and for a while."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.lifecycle import DAY_SECONDS, Policy
from antiphon.lifecycle.tokens import Tokens
from antiphon.protocol.errors import ApiError
from antiphon.sealing import Seal
from tests.lifecycle.conftest import NOW

if TYPE_CHECKING:
    from tests.lifecycle.conftest import Clock

Kind = Literal["thought", "summary"]
KINDS: list[Kind] = ["thought", "summary"]
TENANTS = st.sampled_from(["a", "b", "a b", "", "thought a", "ü"])


def tokens(*secrets: str, now: int = NOW, days: int = 30) -> Tokens:
    """Tokens of a process."""
    return Tokens(Seal([*secrets] or ["secret"]), Policy(retention_days=days), now=lambda: now)


def expect_refused(opener: Tokens, token: str, kind: Kind = "thought", tenant: str = "a") -> None:
    """The error names the item, and not the cause."""
    with pytest.raises(ApiError) as caught:
        opener.open(kind, token, tenant, "rs_1")
    error = caught.value
    assert (400, "invalid_encrypted_content", "input") == (error.status, error.code, error.param)
    assert "The encrypted content for item rs_1 could not be verified." in error.message


@given(st.binary(max_size=100), st.sampled_from(KINDS), TENANTS)
def test_any_process_with_the_key_opens_what_was_sealed(plain: bytes, kind: Kind, tenant: str) -> None:
    """Whatever it is."""
    assert plain == tokens().open(kind, tokens().seal(kind, plain, tenant), tenant, "rs_1")


@given(TENANTS, TENANTS, st.sampled_from(KINDS), st.sampled_from(KINDS))
def test_it_opens_for_its_tenant_and_as_what_it_is(ours: str, theirs: str, kind: Kind, other: Kind) -> None:
    """And for nobody and as nothing else, whatever tenants are called."""
    token = tokens().seal(kind, b"plain", ours)
    if (ours, kind) == (theirs, other):
        assert b"plain" == tokens().open(other, token, theirs, "rs_1")
    else:
        expect_refused(tokens(), token, other, theirs)


@given(st.data())
def test_what_was_changed_is_refused(data: st.DataObject) -> None:
    """At any byte, in any bit, or cut anywhere."""
    raw = urlsafe_b64decode(tokens().seal("thought", b"plain", "a"))
    at, bit = data.draw(st.integers(0, len(raw) - 1)), 1 << data.draw(st.integers(0, 7))
    changed = raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]
    for wrong in (changed, raw[:at], raw[at + 1 :]):
        expect_refused(tokens(), urlsafe_b64encode(wrong).decode())


@given(st.text(max_size=60))
def test_what_is_no_token_is_refused(text: str) -> None:
    """Whatever a client sends."""
    expect_refused(tokens(), text)


def test_a_token_is_good_for_as_long_as_a_stored_response() -> None:
    """To the second."""
    token = tokens().seal("thought", b"plain", "a")
    for days in (1, 30):
        last = NOW + days * DAY_SECONDS
        assert b"plain" == tokens(now=last, days=days).open("thought", token, "a", "rs_1")
        expect_refused(tokens(now=last + 1, days=days), token)
        kept = tokens(now=last + DAY_SECONDS, days=days).open("thought", token, "a", "rs_1", is_kept=True)
        assert b"plain" == kept  # what is kept here opens for as long as it is


def test_keys_are_changed_by_putting_a_new_one_before_the_old() -> None:
    """What the old one sealed opens until it is gone; the new one seals."""
    old = tokens("old").seal("thought", b"plain", "a")
    both = tokens("new", "old")
    assert b"plain" == both.open("thought", old, "a", "rs_1")
    assert b"plain" == tokens("new").open("thought", both.seal("thought", b"plain", "a"), "a", "rs_1")
    expect_refused(tokens("new"), old)


def test_nothing_of_what_was_sealed_can_be_seen(clock: Clock) -> None:
    """Nor that two are the same."""
    made = Tokens(Seal(["secret"]), Policy(), now=clock)
    one, other = (made.seal("thought", b"a plain thought", "a") for _ in range(2))
    assert one != other
    assert b"plain" not in urlsafe_b64decode(one)
