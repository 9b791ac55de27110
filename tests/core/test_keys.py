"""Names of keys: those of the API, what else models call them, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.keys import NAMED, keys_of


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_key_of_the_api_is_itself_however_it_is_written(name: str) -> None:
    """In any case, and with strokes between."""
    assert [name] == keys_of(name) == keys_of(name.lower()) == keys_of(name.title()) == keys_of("_".join(name))


@pytest.mark.parametrize("name", ["a", "A", "é", "7", "+", "-", "_", "/", "漢"])
def test_a_character_is_the_key_that_writes_it(name: str) -> None:
    """As it is."""
    assert [name] == keys_of(name)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        (" ", ["SPACE"]),
        ("Spacebar", ["SPACE"]),
        ("Return", ["ENTER"]),
        ("Escape", ["ESC"]),
        ("Control", ["CTRL"]),
        ("meta", ["CMD"]),
        ("Page_Down", ["PAGEDOWN"]),
        ("page up", ["PAGEUP"]),
        ("arrow-left", ["ARROWLEFT"]),
        ("down", ["ARROWDOWN"]),
        ("plus", ["+"]),
        ("minus", ["-"]),
        ("ctrl+a", ["CTRL", "a"]),
        ("Control+Shift+Return", ["CTRL", "SHIFT", "ENTER"]),
        ("ctrl+plus", ["CTRL", "+"]),
        ("ctrl+-", ["CTRL", "-"]),
        ("ctrl+ ", ["CTRL", "SPACE"]),
    ],
)
def test_what_models_call_keys_is_understood(name: str, keys: list[str]) -> None:
    """Combinations in one name, too."""
    assert keys == keys_of(name)


@pytest.mark.parametrize(
    "name",
    ["", "  ", "\n", "\0", "\ud800", "ctrl++", "+a", "ctrl+", "hyper", "ab", "F0", "F25", "__", "ctrl+" + "a" * 100],
)
def test_what_is_no_key_is_refused(name: str) -> None:
    """Also a combination with one that is none."""
    with pytest.raises(KeyError):
        keys_of(name)


def test_a_combination_is_read_only_so_far() -> None:
    """It is no place for texts."""
    assert 8 == len(keys_of("+".join("abcdefgh")))
    with pytest.raises(KeyError):
        keys_of("a+" * 1_000_000 + "a")


@given(st.text(max_size=40))
def test_whatever_is_written_the_keys_are_known(name: str) -> None:
    """Each is a name of the API or one character that is seen."""
    try:
        keys = keys_of(name)
    except KeyError:
        return
    assert keys
    assert all(key in NAMED or (len(key) == 1 and key.isprintable()) for key in keys)
