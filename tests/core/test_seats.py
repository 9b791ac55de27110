"""Laws of what goes on at once: nodes together never take more than the limit, whoever asks, stops or dies."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.seats import MOST_SPARE, Seats, allot

LIMIT = 20
NODES = 3

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "leave", "leave", "shrink", "deaf", "die"]),
        st.integers(0, NODES - 1),
        st.booleans(),
    ),
    max_size=80,
)


class Node:
    """A node. ``book`` is what the database has of each; one that is not there holds nothing."""

    def __init__(self, name: int, book: dict[int, int], limit: int) -> None:
        self.seats = Seats(limit)
        self._name = name
        self._book = book

    def take(self, *, is_scarce: bool) -> bool:
        """Take a seat, after asking where that is needed."""
        if not self.seats.is_free:
            self.ask(self.seats.wants(is_scarce=is_scarce))
        if not self.seats.is_free:
            return False
        self.seats.take()
        return True

    def ask(self, wants: int, *, is_heard: bool = True) -> None:
        """Tell the database; the answer may be lost."""
        others = sum(held for name, held in self._book.items() if name != self._name)
        own = self._book.get(self._name, 0)
        held = allot(self.seats.limit, others=others, own=own, taken=self.seats.taken, wants=wants)
        self._book[self._name] = held
        if is_heard:
            self.seats.receive(held)

    def die(self) -> None:
        """Nothing of it goes on, and what it held is free."""
        self._book.pop(self._name, None)
        self.seats = Seats(self.seats.limit)

    def lose(self) -> None:
        """Taken for dead, it goes on."""
        self._book.pop(self._name, None)
        self.seats.lose()


def taken(nodes: list[Node]) -> int:
    """What goes on, of all."""
    return sum(node.seats.taken for node in nodes)


def _step(node: Node, what: str, *, is_scarce: bool) -> None:
    if what == "take":
        node.take(is_scarce=is_scarce)
    elif what == "leave" and node.seats.taken:
        node.seats.leave()
    elif what == "shrink" and node.seats.shrink(is_scarce=is_scarce):
        node.ask(node.seats.held)
    elif what == "deaf":
        node.ask(node.seats.wants(is_scarce=is_scarce), is_heard=False)
    elif what == "die":
        node.die()


@given(STEPS, st.integers(1, 2 * LIMIT))
def test_nodes_together_take_no_more_than_the_limit(steps: list[tuple[str, int, bool]], limit: int) -> None:
    """Whatever answers are lost and whoever dies; and what nobody needs is free for whoever asks."""
    book: dict[int, int] = {}
    nodes = [Node(name, book, limit) for name in range(NODES)]
    for what, chosen, is_scarce in steps:
        _step(nodes[chosen], what, is_scarce=is_scarce)
        assert taken(nodes) <= sum(book.values()) <= limit
        assert all(node.seats.taken <= node.seats.held <= book.get(name, 0) for name, node in enumerate(nodes))
    for node in nodes:
        node.seats.shrink(is_scarce=True)
        node.ask(node.seats.held)
    left = limit - taken(nodes)
    assert [True] * left + [False] == [nodes[0].take(is_scarce=True) for _ in range(left + 1)]


@given(st.integers(0, LIMIT), st.integers(0, LIMIT))
def test_who_was_taken_for_dead_counts_again_when_it_is_back(before: int, meanwhile: int) -> None:
    """Beyond the limit, too: then nobody gets a seat before there are fewer."""
    book: dict[int, int] = {}
    one, other = Node(0, book, LIMIT), Node(1, book, LIMIT)
    began = sum(one.take(is_scarce=True) for _ in range(before))
    one.lose()
    sat = sum(other.take(is_scarce=True) for _ in range(meanwhile))
    one.ask(0)
    assert began + sat == sum(book.values())
    is_over = began + sat >= LIMIT
    assert is_over != one.take(is_scarce=True)
    while taken([one, other]) >= LIMIT:
        assert not one.take(is_scarce=True)
        leaves = one if one.seats.taken else other
        leaves.seats.leave()
        leaves.seats.shrink(is_scarce=True)
        leaves.ask(leaves.seats.held)
    assert one.take(is_scarce=True)


def test_a_node_that_needs_more_and_more_asks_seldom() -> None:
    """With more to spare each time, an eighth of the limit at most; where seats are scarce with none."""
    seats = Seats(64)
    asked: list[int] = []
    for _ in range(40):
        if not seats.is_free:
            asked.append(seats.wants(is_scarce=False))
            seats.receive(asked[-1])
        seats.take()
    assert [2, 5, 10, 19, 28, 37, 46] == asked
    assert 41 == Seats(64).wants(is_scarce=True) + 40
    assert 64 // MOST_SPARE == max(later - before - 1 for before, later in pairwise(asked))


def test_a_small_limit_has_none_to_spare() -> None:
    """Else one node would hold what another needs."""
    seats = Seats(MOST_SPARE - 1)
    assert [1, 1] == [seats.wants(is_scarce=False), seats.wants(is_scarce=False)]


def test_what_was_needed_lately_is_kept() -> None:
    """Until nobody has needed it from one look to the next but one."""
    seats = Seats(64)
    seats.receive(10)
    for _ in range(4):
        seats.take()
    for _ in range(3):
        seats.leave()
    assert seats.shrink(is_scarce=False)
    assert 4 == seats.held
    assert seats.shrink(is_scarce=False)
    assert 1 == seats.held
    assert not seats.shrink(is_scarce=False)
    seats.receive(3)
    assert seats.shrink(is_scarce=True)
    assert 1 == seats.held


def test_a_question_for_more_never_asks_for_less() -> None:
    """What is held, but not certain, may be taken again before the answer is there."""
    seats = Seats(64)
    seats.receive(30)
    assert 30 == seats.wants(is_scarce=False)
