"""Laws of limits by the minute: never more than the limit in any minute, and what is settled adds up."""

from __future__ import annotations

from math import inf
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from antiphon.core.quota import MINUTE, SHARED_SECONDS, Grant, Portions, Window, grant

START = 1_800_000_000.0
LIMIT = 100

Step = tuple[Literal["take", "less", "more", "drop"], int, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "less", "more", "drop"]),
        st.integers(1, 60),
        st.sampled_from([0.0, 0.01, 0.4, 1.0, 7.3, 29.0, 61.0]),
    ),
    max_size=60,
)


class Taken(Struct):
    """Something that was taken: when, in which slot, and how much it was in the end."""

    at: float
    slot: int
    amount: int


def lately(taken: list[Taken], now: float) -> int:
    """What was taken in the minute before."""
    return sum(each.amount for each in taken if now - MINUTE < each.at <= now)


@given(STEPS, st.sampled_from([1, SHARED_SECONDS]))
def test_no_minute_has_more_than_the_limit(steps: list[Step], seconds: int) -> None:
    """Wherever it begins: what is taken and given back fits into every minute; what was used beyond that is its own."""
    window, taken, now = Window(LIMIT, seconds=seconds), list[Taken](), START
    beyond = 0
    for what, amount, pause in steps:
        now += pause
        last = taken[-1] if taken else None
        if what == "take" and (slot := window.take(amount, now)) is not None:
            taken.append(Taken(now, slot, amount))
        elif what == "less" and last is not None:
            given_back = min(amount, last.amount)
            last.amount -= given_back
            window.settle(last.slot, -given_back, now)
        elif what == "more" and last is not None:
            beyond += amount
            window.settle(last.slot, amount, now)
        assert lately(taken, now) <= LIMIT
        assert window.free(now) <= LIMIT - lately(taken, now)
        assert window.free(now) >= LIMIT - sum(each.amount for each in taken) - beyond


@given(STEPS, st.integers(1, LIMIT))
def test_after_the_wait_there_is_enough(steps: list[Step], amount: int) -> None:
    """Who waits as long as he is told is served, if nobody else comes; who waits a slot less is not."""
    window, now = Window(LIMIT), START
    for _, size, pause in steps:
        now += pause
        window.take(size, now)
    wait = window.wait(amount, now)
    assert 0 <= wait <= MINUTE + window.seconds
    if wait > 0:
        assert window.free(now + wait - 0.001) < amount
    assert window.take(amount, now + wait + 0.001) is not None


def test_what_is_more_than_the_limit_is_never_there() -> None:
    """There is nothing to wait for."""
    assert inf == Window(LIMIT).wait(LIMIT + 1, START)


def test_the_whole_limit_is_free_when_it_says() -> None:
    """The reset counts from what was taken last."""
    window = Window(LIMIT)
    window.take(5, START)
    window.take(5, START + 30)
    assert 61.0 == window.reset(START + 30)
    assert LIMIT == window.free(START + 30 + 61)
    assert 0.0 == window.reset(START + 30 + 61)


def test_a_charge_that_comes_late_counts_from_now_on() -> None:
    """Its slot is long gone; what is given back of it is not."""
    window = Window(LIMIT)
    slot = window.take(50, START)
    assert slot is not None
    window.settle(slot, 20, START + 100)
    assert LIMIT - 20 == window.free(START + 100)
    window.settle(slot, -50, START + 100)
    assert LIMIT - 20 == window.free(START + 100)


@given(STEPS, st.sampled_from([1, SHARED_SECONDS]), st.floats(-1e6, 1e6))
def test_a_clock_that_is_set_anew_gives_nothing_away(steps: list[Step], seconds: int, by: float) -> None:
    """Set back, what was taken counts for a minute from then on, and no longer than that; set forward, it is over."""
    window, now = Window(LIMIT, seconds=seconds), START
    for _, amount, pause in steps:
        now += pause
        window.take(amount, now)
    free = window.free(now)
    assert window.free(now + by) >= free if by >= 0 else window.free(now + by) == free
    assert window.wait(LIMIT, now + by) <= MINUTE + seconds
    assert LIMIT == window.free(now + by + MINUTE + seconds)


def test_what_was_taken_before_a_clock_was_set_back_counts_for_a_minute() -> None:
    """From then on, and so does what is given back of it in the slot in which it counts now."""
    window = Window(LIMIT)
    window.take(LIMIT, START)
    assert window.take(1, START - 3600) is None
    assert window.take(1, START - 3600 + 59) is None
    assert window.take(1, START - 3600 + 62) is not None


class Node:
    """A node with a clock of its own. ``taken`` is what it has handed out."""

    def __init__(self, shared: Window, skew: float) -> None:
        self.portions = Portions(LIMIT)
        self.taken: list[Taken] = []
        self._shared = shared
        self._skew = skew

    def take(self, amount: int, now: float) -> None:
        """Hand out, after asking where that is needed."""
        clock = now + self._skew
        slot = self.portions.take(amount, clock)
        if slot is None:
            needs = amount - self.portions.left(clock)
            self.ask(needs, self.portions.wants(needs, clock), now)
            slot = self.portions.take(amount, clock)
        if slot is not None:
            self.taken.append(Taken(now, slot, amount))

    def ask(self, needs: int, wants: int, now: float) -> Grant:
        """Tell and take, as the database does it."""
        for slot, more in self.portions.owed(now + self._skew).items():
            self._shared.settle(slot, more, now)
        given_to = grant(self._shared, needs, wants, now)
        self.portions.receive(given_to, now + self._skew)
        return given_to


@given(st.integers(1, 3), STEPS, st.lists(st.integers(0, 2), min_size=60, max_size=60), st.floats(0, 1e6))
def test_nodes_together_hand_out_no_more_than_the_limit(
    count: int, steps: list[Step], who: list[int], skew: float
) -> None:
    """In any minute, however slots, portions and what is given back fall; and in the end nothing is held by anybody."""
    shared, now = Window(LIMIT, seconds=SHARED_SECONDS), START
    nodes = [Node(shared, skew * index) for index in range(count)]
    for (what, amount, pause), chosen in zip(steps, who, strict=False):
        now += pause
        node = nodes[chosen % count]
        last = node.taken[-1] if node.taken else None
        if what == "take":
            node.take(amount, now)
        elif what == "less" and last is not None:
            given_back = min(amount, last.amount)
            last.amount -= given_back
            node.portions.settle(last.slot, -given_back, now + skew * (chosen % count))
        elif what == "drop":
            node.ask(0, 0, now)
        everything = [each for each_node in nodes for each in each_node.taken]
        assert lately(everything, now) <= LIMIT
    for node in nodes:
        node.portions.let_go()
        node.ask(0, 0, now)
    slot = shared.slot(now)
    counted = [each for node in nodes for each in node.taken if each.slot > slot - shared.span]
    assert LIMIT - sum(each.amount for each in counted) == shared.free(now)


def test_a_node_asks_for_more_while_it_is_busy_and_for_less_when_it_is_not() -> None:
    """An eighth of the limit at most, and then half of it in each slot."""
    portions = Portions(6400)
    portions.receive(Grant(7, 100, 10.0, free=6300, wait=0.0, reset=70.0), sent=0.0)
    assert [200, 400, 800, 800] == [portions.wants(1, 1.0) for _ in range(4)]
    assert [400, 200, 100, 100] == [portions.wants(1, 20.0) for _ in range(4)]
    assert 5000 == portions.wants(5000, 20.0)


def test_a_portion_ends_with_its_slot() -> None:
    """What is left of it goes back to the slot that it was taken in."""
    portions = Portions(LIMIT)
    portions.receive(Grant(7, 30, 4.0, free=70, wait=0.0, reset=70.0), sent=100.0)
    assert 7 == portions.take(10, 103.9)
    assert portions.take(10, 104.0) is None
    assert {7: -20} == portions.owed(104.0)
    assert not portions.is_owing


def test_a_portion_is_handed_out_again_where_less_was_used() -> None:
    """By the node that has it, and more of it is wanted once half is gone."""
    portions = Portions(LIMIT)
    portions.receive(Grant(7, 1, 4.0, free=99, wait=0.0, reset=70.0), sent=100.0)
    assert not portions.is_low(100.0)
    assert 7 == portions.take(1, 100.0)
    assert portions.is_low(100.0)
    assert not portions.is_low(104.0)
    portions.settle(7, -1, 101.0)
    assert 1 == portions.left(101.0)


def test_what_is_used_beyond_a_portion_is_owed() -> None:
    """As long as the portion has room it is paid from that."""
    portions = Portions(LIMIT)
    portions.receive(Grant(7, 30, 4.0, free=70, wait=0.0, reset=70.0), sent=100.0)
    portions.take(10, 100.0)
    portions.settle(7, 15, 101.0)
    assert 5 == portions.left(101.0)
    portions.settle(7, 15, 101.0)
    assert {7: 15} == portions.owed(101.0)
    portions.owe({7: 15})
    assert portions.is_owing
