"""What is said about time can be false."""

from __future__ import annotations

from tests.patient import a_million_rounds, is_in_proportion, seconds, takes_at_most


def rounds(times: int) -> None:
    """Work without an end of its own."""
    for _ in range(times):
        pass


def test_what_costs_the_square_of_its_size_is_not_in_proportion() -> None:
    """What costs each part once is."""
    assert is_in_proportion(lambda size: rounds(100 * size), 2_000)
    assert not is_in_proportion(lambda size: rounds(size * size), 2_000)


def test_what_takes_longer_is_found_out() -> None:
    """Every time."""
    assert takes_at_most(20, a_million_rounds, a_million_rounds)
    assert not takes_at_most(20, lambda: rounds(20_000_000), lambda: rounds(500_000))


def test_only_computing_counts() -> None:
    """Nothing costs nothing."""
    assert 0 <= seconds(lambda: None) < 0.01 * seconds(a_million_rounds)
