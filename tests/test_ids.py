"""Ids have the form of the live service's: kind, partition, time, chance."""

from __future__ import annotations

import re

import pytest

from antiphon.ids import Ids, letters

NOW = 0x6A2861FF
PARTITION = "0c68f453bf84c6ba"


def fixed() -> int:
    """A clock that stands still."""
    return NOW


@pytest.mark.parametrize("prefix", ["resp", "msg", "rs", "fc", "mcpl"])
def test_an_id_is_its_prefix_and_fifty_hex_digits(prefix: str) -> None:
    """The partition, ``00``, the unix time, and 24 digits of chance."""
    id = Ids(PARTITION, fixed).new(prefix)
    assert re.fullmatch(rf"{prefix}_{PARTITION}006a2861ff[0-9a-f]{{24}}", id)


def test_the_time_has_eight_digits_always() -> None:
    """So that an id has fifty."""
    assert Ids(PARTITION, lambda: 1).new("msg").startswith(f"msg_{PARTITION}0000000001")


def test_a_call_id_is_twenty_four_letters_and_digits() -> None:
    """It has neither time nor partition."""
    assert re.fullmatch(r"call_[A-Za-z0-9]{24}", Ids(PARTITION, fixed).new("call"))


def test_no_two_ids_are_the_same() -> None:
    """Also within a second."""
    ids = Ids(PARTITION, fixed)
    assert 200 == len({ids.new(prefix) for prefix in ("msg", "call") for _ in range(100)})


def test_a_chain_shares_its_partition() -> None:
    """Each response takes it from the one before."""
    first = Ids.of_chain(None, fixed)
    second = Ids.of_chain(first.new("resp"), fixed)
    assert first.partition == second.partition
    assert re.fullmatch("[0-9a-f]{16}", first.partition)


def test_chains_have_partitions_of_their_own() -> None:
    """By chance."""
    assert Ids.of_chain(None, fixed).partition != Ids.of_chain(None, fixed).partition


@pytest.mark.parametrize(
    "previous",
    ["", "resp_1", "resp_" + "g" * 50, "resp_" + "a" * 49, "resp_" + "a" * 51, "x resp_" + "a" * 50, "a" * 50],
)
def test_a_foreign_id_begins_a_new_partition(previous: str) -> None:
    """Whatever stands in it is not taken over."""
    partition = Ids.of_chain(previous, fixed).partition
    assert re.fullmatch("[0-9a-f]{16}", partition)
    assert "a" * 16 != partition


def test_letters_are_as_many_as_asked() -> None:
    """All 62 of them occur."""
    assert "" == letters(0)
    assert re.fullmatch("[A-Za-z0-9]{1024}", letters(1024))
    assert 62 == len(set(letters(20_000)))
