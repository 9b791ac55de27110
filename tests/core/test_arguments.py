"""Arguments while they are written: when they are whole, and how much of them is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.arguments import MOST_ARGUMENTS, Arguments
from antiphon.core.deltas import Call, Finish, Text
from antiphon.protocol.calls import WebSearchCall
from antiphon.protocol.events import FunctionArgumentsDone, ItemDelta
from tests.core.dialogues import SIZES, cut
from tests.core.stage import function_call, opened
from tests.core.test_json_pieces import OBJECTS
from tests.patient import is_in_proportion

if TYPE_CHECKING:
    from antiphon.protocol.parts import Json


def whole_after(fragments: list[str]) -> list[bool]:
    """Whether the arguments are whole after each fragment."""
    arguments = Arguments()
    found: list[bool] = []
    for fragment in fragments:
        arguments.write(fragment)
        found.append(arguments.is_whole())
        assert found[-1] == arguments.is_whole()
    return found


@given(OBJECTS, SIZES, st.booleans())
def test_an_object_is_whole_with_its_last_bracket(value: dict[str, Json], sizes: list[int], escaped: bool) -> None:  # noqa: FBT001 - drawn
    """Wherever it is cut, and not before; white space may follow."""
    fragments = cut(json.dumps(value, ensure_ascii=escaped), sizes)
    assert [*[False] * (len(fragments) - 1), True, True] == whole_after([*fragments, " \n"])


@given(st.lists(st.sampled_from([*'{}[],:"\\ \nu0a1', "true", '"a"', "{}"]), max_size=12))
def test_what_is_whole_is_json(fragments: list[str]) -> None:
    """Whatever stands there, however it is cut; a bare word and a number never end."""
    text = "".join(fragments)
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        value = None
    expected = isinstance(value, str | list | dict)
    assert expected == whole_after([text])[-1]
    assert expected == (whole_after(fragments) or [False])[-1]


@pytest.mark.parametrize("text", ["{} x", "}{", '{"a":1]', "[" * 9000 + "]" * 9000, '"\ud800"', '{"a" "b"}'])
def test_what_is_no_json_is_never_whole(text: str) -> None:
    """Nor is it with more behind it."""
    assert [False, False] == whole_after([text, "{}"])


def test_what_was_whole_is_not_with_something_behind_it() -> None:
    """Which a model may add that believes to have to."""
    assert [True, True, False, False] == whole_after(["{}", "\n", "}", " "])


def test_looking_for_the_end_costs_each_character_once() -> None:
    """However often it is looked for, and whatever seems to end."""

    def look(times: int) -> None:
        arguments = Arguments()
        arguments.write("[")
        for _ in range(times):
            arguments.write('{"a":"]}"},')
            assert not arguments.is_whole()
        arguments.write("1]")
        assert arguments.is_whole()

    assert is_in_proportion(look, 20_000)


def test_arguments_are_kept_up_to_a_bound() -> None:
    """The rest is not taken, in one fragment or in many."""
    arguments = Arguments(most=3)
    assert (True, ["ab", "", "c", "", ""], "abc") == (
        arguments.is_empty,
        [arguments.write(fragment) for fragment in ("ab", "", "cd", "e", "")],
        arguments.text,
    )
    assert (True, False) == (arguments.is_cut, arguments.is_empty)
    exact = Arguments(most=2)
    assert ("ab", False) == (exact.write("ab"), exact.is_cut)


@pytest.mark.parametrize("cuts", [[MOST_ARGUMENTS], [MOST_ARGUMENTS, 1], [MOST_ARGUMENTS - 1, 9, 9]])
def test_a_call_beyond_the_bound_is_incomplete(cuts: list[int]) -> None:
    """It has what was listened to; one that fills the bound is as whole as any."""
    machine = opened()
    events = machine.feed([Call("0", "f"), *(Call("0", "", "x" * length) for length in cuts), Finish()])
    heard, is_all = "x" * MOST_ARGUMENTS, len(cuts) == 1
    assert [function_call(heard, status="completed" if is_all else "incomplete")] == machine.finished
    assert heard == "".join(event.delta for event in events if isinstance(event, ItemDelta))
    assert [heard] == [event.arguments for event in events if isinstance(event, FunctionArgumentsDone)]
    assert is_all == bool(machine.calls)


def test_a_hosted_call_beyond_the_bound_is_not_made() -> None:
    """Nobody can know what it was meant to do."""
    machine = opened(tools=("look",))
    machine.feed([Call("0", "look", "x" * (MOST_ARGUMENTS + 1)), Finish()])
    assert [WebSearchCall(id="ws_0", status="incomplete")] == machine.finished
    assert ([], []) == (machine.calls, machine.waiting)


def test_calls_that_are_written_side_by_side_cost_each_fragment_once() -> None:
    """The second waits until the first is whole."""

    def write(times: int) -> None:
        machine = opened()
        machine.feed([Call("0", "f", '{"a":"'), Call("1", "f", "{}"), Text("So.")])
        for _ in range(times):
            assert 1 == len(machine.feed([Call("0", "", "abcdefghi}")]))
        machine.feed([Call("0", "", '"}'), Finish()])
        assert 3 == len(machine.finished)

    assert is_in_proportion(write, 40_000)
