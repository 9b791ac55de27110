"""What is left out of a turn that is too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.cutting import (
    SUMMARY,
    blocks,
    dropped,
    is_instruction,
    is_said,
    is_summary,
    last_said,
    shortened,
    tie,
    with_fewer_screens,
    without_old_screens,
)
from antiphon.core.estimate import estimate, weight
from antiphon.core.screen import in_words, old_screens
from antiphon.core.turn import Turn
from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    DeleteFile,
    ExecAction,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    Program,
    ProgramOutput,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
)
from antiphon.protocol.computer import ComputerCall, ComputerCallOutput
from antiphon.protocol.content import ComputerScreenshot, InputText
from antiphon.protocol.items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ReasoningItem,
    Role,
)


def message(role: Role, text: str = "Some words that were said.", id: str = "") -> Message:
    """A message."""
    return Message(id=id, role=role, content=[InputText(text=text)])


def call(key: str) -> FunctionCall:
    """A call."""
    return FunctionCall(id=f"fc_{key}", call_id=key, name="look_up", arguments="{}")


def output(key: str, text: str = "Found.") -> FunctionCallOutput:
    """Its output."""
    return FunctionCallOutput(id=f"fco_{key}", call_id=key, output=text)


def thought(id: str = "rs_1") -> ReasoningItem:
    """A thought."""
    return ReasoningItem(id=id, summary=[])


@st.composite
def conversations(draw: st.DrawFn) -> list[Item]:
    """Transcripts: messages, thoughts and groups of calls with their outputs."""
    items: list[Item] = []
    for number in range(draw(st.integers(1, 12))):
        length = draw(st.integers(1, 40))
        match draw(st.sampled_from(["user", "assistant", "developer", "thought", "calls"])):
            case "user" | "assistant" | "developer" as role:
                items.append(message(role, "word " * length, f"msg_{number}"))
            case "thought":
                items.append(thought(f"rs_{number}"))
            case _:
                keys = [f"{number}_{each}" for each in range(draw(st.integers(1, 3)))]
                items += [*map(call, keys), *(output(key, "word " * length) for key in keys)]
    return items


PAIRS: list[tuple[Item, Item]] = [
    (call("c"), output("c")),
    (CustomToolCall(call_id="c", name="x", input=""), CustomToolCallOutput(call_id="c", output="")),
    (ComputerCall(call_id="c"), ComputerCallOutput(call_id="c", output=ComputerScreenshot(file_id="f"))),
    (LocalShellCall(call_id="c", action=ExecAction(command=[])), LocalShellCallOutput(call_id="c", output="")),
    (LocalShellCall(call_id="c", action=ExecAction(command=[])), LocalShellCallOutput(id="c", output="")),
    (ShellCall(call_id="c", action=ShellAction(commands=[])), ShellCallOutput(call_id="c", output=[])),
    (ApplyPatchCall(call_id="c", operation=DeleteFile(path="a")), ApplyPatchCallOutput(call_id="c")),
    (ToolSearchCall(call_id="c", arguments={}), ToolSearchOutput(call_id="c", tools=[])),
    (Program(call_id="c", code="", fingerprint=""), ProgramOutput(call_id="c", result="")),
    (
        McpApprovalRequest(id="c", server_label="s", name="n", arguments="{}"),
        McpApprovalResponse(id="d", approval_request_id="c", approve=True),
    ),
]


@pytest.mark.parametrize("pair", PAIRS, ids=[str(pair[0].__struct_config__.tag) for pair in PAIRS])
def test_a_call_of_any_kind_is_tied_to_its_output(pair: tuple[Item, Item]) -> None:
    """Whatever stands between them belongs to them."""
    assert "c" == tie(pair[0]) == tie(pair[1])
    between, after = message("user"), message("assistant")
    items: list[Item] = [pair[0], between, pair[1], after]
    assert [items[:3], [after]] == blocks(items)


def test_a_message_is_tied_to_nothing() -> None:
    """It stands alone."""
    assert tie(message("user")) is None


def test_a_thought_stays_with_what_it_led_to() -> None:
    """With a whole group of calls, if that is what follows; the last one may lead to nothing."""
    items: list[Item] = [thought(), call("a"), call("b"), output("a"), output("b"), thought("rs_2")]
    assert [items[:5], items[5:]] == blocks(items)


@given(conversations())
def test_blocks_joined_are_the_items(items: list[Item]) -> None:
    """In their order, and no tie leads from one to another."""
    groups = blocks(items)
    assert items == [item for group in groups for item in group]
    owners: dict[str, int] = {}
    for index, group in enumerate(groups):
        for item in group:
            if (key := tie(item)) is not None:
                assert index == owners.setdefault(key, index)


@given(conversations(), st.floats(0, 1))
def test_what_is_dropped_leaves_whole_groups(items: list[Item], share: float) -> None:
    """What is left is a part of what was there, in order, with all that must stay."""
    turn = Turn(items)
    left = dropped(turn, share).items
    kept = {id(item) for item in left}
    assert left == [item for item in items if id(item) in kept]
    groups = blocks(items)
    assert all(len({id(item) in kept for item in group}) == 1 for group in groups)
    assert all(id(item) in kept for item in groups[-1])
    assert all(id(item) in kept for item in items if is_instruction(item))
    said = last_said(items)
    assert said is None or id(said) in kept


@given(conversations(), st.floats(0, 1))
def test_the_oldest_go_first(items: list[Item], share: float) -> None:
    """No group goes before an older one that may go."""
    turn = Turn(items)
    kept = {id(item) for item in dropped(turn, share).items}
    groups = blocks(items)
    least = {id(item) for item in dropped(turn, 1).items}
    may_go = [id(group[0]) in kept for group in groups if id(group[0]) not in least]
    assert sorted(may_go) == may_go


@given(conversations())
def test_dropping_comes_to_an_end(items: list[Item]) -> None:
    """Each time something goes, until the same turn is given back."""
    turn = Turn(items)
    for _ in range(len(items) + 1):
        shorter = dropped(turn, 0.3)
        if shorter is turn:
            break
        assert len(shorter.items) < len(turn.items)
        turn = shorter
    assert dropped(turn, 1) is turn


@given(conversations(), st.integers(0, 500))
def test_a_turn_is_shortened_by_as_much_as_it_must(items: list[Item], excess: int) -> None:
    """Or by all that may go."""
    turn = Turn(items)
    shorter = shortened(turn, excess)
    assert estimate(shorter) <= estimate(turn) - excess + 1 or shorter.items == shortened(turn, 1e9).items


def test_a_summary_is_never_dropped() -> None:
    """It stands for all that was said before, and it is no word of the user's."""
    summary = message("user", f"{SUMMARY}\n\nNotes.")
    said = message("user", "Go on.")
    turn = Turn([summary, message("assistant"), said, message("assistant")])
    assert [summary, said, turn.items[-1]] == dropped(turn, 1).items
    assert (True, False) == (is_summary(summary), is_said(summary))
    assert (False, True) == (is_summary(said), is_said(said))


def test_a_message_of_two_parts_is_no_summary() -> None:
    """Whatever it begins with."""
    assert is_said(Message(role="user", content=[InputText(text=SUMMARY), InputText(text="and more")]))


def test_an_empty_turn_stays_empty() -> None:
    """There is nothing to drop."""
    turn = Turn([])
    assert turn is dropped(turn, 1)
    assert last_said([]) is None


def screens(most: int) -> list[Item]:
    """Calls of a computer with what it showed."""
    shown = ComputerScreenshot(file_id="file-1")
    calls = [
        (ComputerCall(call_id=f"{number}", actions=[]), ComputerCallOutput(call_id=f"{number}", output=shown))
        for number in range(most)
    ]
    return [message("user"), *(item for pair in calls for item in pair)]


@given(st.integers(0, 5), st.integers(0, 5), st.floats(0, 1))
def test_the_oldest_screenshots_are_told_in_words_as_many_as_they_must(most: int, many: int, part: float) -> None:
    """The last one stays, and no call goes."""
    turn = Turn(screens(most))
    each = weight(old_screens(turn.items, 0)[0], turn) if most else 1.0
    excess = many * each * part
    expected = {f"{number}" for number in range(most - 1) if number * each < excess}
    assert in_words(turn.items, expected) == without_old_screens(turn, excess).items


def test_a_turn_without_old_screenshots_stays_the_same() -> None:
    """Whoever asks again and again sees that nothing is left to go."""
    for turn in (Turn([]), Turn(screens(1)), Turn([message("user")])):
        assert turn is without_old_screens(turn, 1e9)
        assert turn is with_fewer_screens(turn, 1)
    assert (turn := Turn(screens(3))) is without_old_screens(turn, 0)
    assert turn is with_fewer_screens(turn, 0)


def test_a_share_of_the_screenshots_is_told_in_words() -> None:
    """Of those that are not the last, in tokens; at least one, until none is left."""
    turn = Turn(screens(5))
    assert 3 == len(old_screens(with_fewer_screens(turn, 0.5).items, 0))
    assert 1 == len(old_screens(with_fewer_screens(turn, 1).items, 0))
    for _ in range(4):
        fewer = with_fewer_screens(turn, 0.1)
        assert len(old_screens(turn.items, 1)) == len(old_screens(fewer.items, 0))
        turn = fewer
    assert turn is with_fewer_screens(turn, 0.1)
