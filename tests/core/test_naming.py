"""Names of tools of MCP servers: what chat models take, and one for each tool."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.core.naming import LONGEST, digested_name, function_name

ANYTHING = st.text() | st.text(alphabet="ab_-") | st.from_regex(r"[a-z]{1,3}(_[a-z0-9]{1,3}){0,3}", fullmatch=True)


@pytest.mark.parametrize(
    ("label", "tool", "name"),
    [
        ("weather", "forecast", "weather__forecast"),
        ("my_server-2", "read_file", "my_server-2__read_file"),
        ("a", "b__c", "a__b__c"),
        ("a", "_b", "a___b"),
        ("a", "b" * 61, "a__" + "b" * 61),
    ],
)
def test_a_tool_is_known_by_its_servers_label_and_its_own_name(label: str, tool: str, name: str) -> None:
    """Where both can be read back from it."""
    assert name == function_name(label, tool)


@pytest.mark.parametrize(
    ("label", "tool", "readable"),
    [
        ("a__b", "c", "a__b__c"),
        ("a_", "b", "a___b"),
        ("_a", "b", "_a__b"),
        ("a", "files/read", "a__files_read"),
        ("a", "b\n", "a__b_"),
        ("wetter für alle", "b", "wetter_f_r_alle__b"),
        ("a", "", "a__"),
        ("a", "b" * 62, "a__" + "b" * 50),
        ("a", "b_0123456789", "a__b_0123456789"),
    ],
)
def test_a_name_that_could_not_be_read_back_has_a_digest(label: str, tool: str, readable: str) -> None:
    """Behind as much of it as fits."""
    name = function_name(label, tool)
    assert name == digested_name(label, tool)
    assert re.fullmatch(re.escape(readable) + "_[0-9a-f]{10}", name)


def test_the_name_of_a_tool_never_changes() -> None:
    """Chains that were begun with an older release go on: these names are a contract."""
    assert ["a__b__c_f0d32769e9", "a___b_59bd29ac15"] == [function_name("a__b", "c"), function_name("a\n", "b")]


@given(label=ANYTHING, tool=ANYTHING)
def test_a_name_is_one_that_chat_models_take(label: str, tool: str) -> None:
    """Letters, digits, ``_`` and ``-``, not too many."""
    for name in (function_name(label, tool), digested_name(label, tool)):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name)
        assert LONGEST >= len(name)


@given(label=ANYTHING, tool=ANYTHING)
def test_the_same_tool_has_the_same_name_in_every_turn(label: str, tool: str) -> None:
    """What a name is does not depend on anything else."""
    assert function_name(label, tool) == function_name(label, tool)


@given(one=st.tuples(ANYTHING, ANYTHING), other=st.tuples(ANYTHING, ANYTHING))
@example(("a", "b__c"), ("a__b", "c"))
@example(("a", "_b"), ("a_", "b"))
@example(("a b", "c"), ("a_b", "c"))
@example(("a", "b" * 62), ("a", "b" * 63))
@example(("1 a", "b"), ("1", "a b"))
def test_two_tools_never_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Whatever their servers call them."""
    assert (one == other) == (function_name(*one) == function_name(*other))


@given(label=ANYTHING, tool=ANYTHING)
@example("a b", "c")
@example("x", "é")
def test_no_tool_can_take_the_name_that_another_has_by_its_digest(label: str, tool: str) -> None:
    """A server that calls its tool like the digested name of another's gets a name of its own for it."""
    taken = digested_name(label, tool)
    for end in range(1, len(taken) - 2):
        if taken[end : end + 2] == "__":
            assert taken != function_name(taken[:end], taken[end + 2 :])
