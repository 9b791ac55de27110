"""What was read before, in bounded memory."""

from __future__ import annotations

from antiphon.documents.remembering import Memory


def test_what_was_not_asked_for_the_longest_goes_first() -> None:
    """When it is too much."""
    memory = Memory[str](10)
    memory.keep(("a",), "A", size=4)
    memory.keep(("b",), "B", size=4)
    assert "A" == memory.recall(("a",))
    memory.keep(("c",), "C", size=4)
    assert ["A", None, "C"] == [memory.recall((key,)) for key in "abc"]


def test_what_is_larger_than_all_is_not_kept() -> None:
    """And drives out nothing; a value that is kept again counts once."""
    memory = Memory[str](10)
    memory.keep(("a",), "A", size=6)
    memory.keep(("b",), "B", size=11)
    memory.keep(("a",), "A2", size=6)
    memory.keep(("c",), "C", size=4)
    assert ["A2", None, "C"] == [memory.recall((key,)) for key in "abc"]


def test_what_is_kept_for_a_time_is_forgotten_after_it() -> None:
    """And takes no room any more; what is kept without one stays."""
    now = [0.0]
    memory = Memory[str](10, now=lambda: now[0])
    memory.keep(("a",), "A", size=5, seconds=60)
    memory.keep(("b",), "B", size=5)
    now[0] = 59.0
    assert "A" == memory.recall(("a",))
    now[0] = 60.0
    assert memory.recall(("a",)) is None
    memory.keep(("c",), "C", size=5)
    assert ["B", "C"] == [memory.recall((key,)) for key in "bc"]
