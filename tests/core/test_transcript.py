"""What a model sees of a conversation: calls with their outputs, nothing twice, nothing that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.core.transcript import Said, added, transcript
from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    DeleteFile,
    ExecAction,
    LocalShellCall,
    LocalShellCallOutput,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
    WebSearchCall,
)
from antiphon.protocol.computer import ComputerCall, ComputerCallOutput, SafetyCheck, Wait
from antiphon.protocol.content import ComputerScreenshot, InputText, OutputText, SummaryText
from antiphon.protocol.errors import ApiError, ErrorObject
from antiphon.protocol.items import (
    Compaction,
    CompactionTrigger,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    ItemReference,
    Message,
    ReasoningItem,
)

if TYPE_CHECKING:
    from antiphon.core.transcript import ClientCall, ClientOutput
    from antiphon.protocol.parts import ItemStatus


def user(text: str, id: str = "") -> Message:
    """What a user says."""
    return Message(id=id, role="user", content=[InputText(text=text)])


def call(call_id: str, status: ItemStatus = "completed") -> FunctionCall:
    """A call of a function."""
    return FunctionCall(id=f"fc_{call_id}", call_id=call_id, name="f", arguments="{}", status=status)


def output(call_id: str) -> FunctionCallOutput:
    """What a function returned."""
    return FunctionCallOutput(id=f"fco_{call_id}", call_id=call_id, output=f"of {call_id}")


def refused(error: ApiError) -> tuple[int, ErrorObject]:
    """What a caller is told."""
    return error.status, error.error


def words(message: str, code: str | None = None) -> tuple[int, ErrorObject]:
    """A refusal of the input."""
    return 400, ErrorObject(message=message, type="invalid_request_error", param="input", code=code)


def test_what_was_said_keeps_its_order() -> None:
    """Messages, thoughts and hosted calls stand as they stood."""
    items: list[Item] = [user("a"), ReasoningItem(id="rs_1", summary=[]), WebSearchCall(id="ws_1"), user("b")]
    assert items == transcript(items)


def test_outputs_follow_their_group_of_calls_at_once() -> None:
    """In the order of the calls, wherever the client put them."""
    items: list[Item] = [user("a"), call("1"), call("2"), user("wait"), output("2"), user("well"), output("1")]
    expected = [user("a"), call("1"), call("2"), output("1"), output("2"), user("wait"), user("well")]
    assert expected == transcript(items)


def test_calls_that_stand_apart_are_groups_of_their_own() -> None:
    """Each with its output."""
    items: list[Item] = [call("1"), output("1"), call("2"), output("2")]
    assert items == transcript(items)
    thought = ReasoningItem(id="rs_1", summary=[])
    assert [call("1"), output("1"), thought, call("2"), output("2")] == transcript([
        call("1"),
        thought,
        call("2"),
        output("1"),
        output("2"),
    ])


def test_calls_of_custom_tools_are_paired_too() -> None:
    """In one group with functions."""
    custom = CustomToolCall(id="ctc_1", call_id="c", name="t", input="x")
    answer = CustomToolCallOutput(id="ctco_1", call_id="c", output="y")
    assert [call("1"), custom, output("1"), answer] == transcript([call("1"), custom, answer, output("1")])


def test_a_call_that_was_cut_short_and_never_answered_is_left_out() -> None:
    """The model never finished asking; an answered one stays."""
    assert [user("a")] == transcript([call("1", "incomplete"), user("a")])
    items: list[Item] = [call("1", "incomplete"), output("1")]
    assert items == transcript(items)


def test_what_was_broken_off_and_said_anew_is_left_out() -> None:
    """Prose that another of the model's items follows at once, whatever that is."""
    half = Message(id="msg_1", role="assistant", status="incomplete", content=[OutputText(text="Once upo")])
    thought = ReasoningItem(id="rs_1", summary=[], status="incomplete")
    whole = Message(id="msg_2", role="assistant", content=[OutputText(text="Once upon a time")])
    assert [user("a"), whole] == transcript([user("a"), half, whole])
    assert [user("a"), whole] == transcript([user("a"), thought, half, thought, whole])
    assert [call("1"), output("1")] == transcript([half, call("1"), output("1")])
    assert [WebSearchCall(id="ws_1")] == transcript([thought, WebSearchCall(id="ws_1")])


def test_what_a_limit_cut_short_stays() -> None:
    """It is the last of its response: somebody else goes on."""
    half = Message(id="msg_1", role="assistant", status="incomplete", content=[OutputText(text="Once upo")])
    thought = ReasoningItem(id="rs_1", summary=[], status="incomplete")
    items: list[Item] = [user("a"), half, user("go on")]
    assert items == transcript(items)
    for cut_short in (half, thought):
        assert [user("a"), cut_short] == transcript([user("a"), cut_short])


def test_a_thought_that_led_to_nothing_before_the_user_spoke_again_is_left_out() -> None:
    """The turn was stopped there; so is what only led to a call that was cut short."""
    thought = ReasoningItem(id="rs_1", summary=[SummaryText(text="Hm")], encrypted_content="x")
    other = ReasoningItem(id="rs_2", summary=[])
    said = Message(role="assistant", content=[OutputText(text="So.")])
    assert [user("a"), user("b")] == transcript([user("a"), thought, other, user("b")])
    assert [user("a"), user("b")] == transcript([user("a"), thought, call("1", "incomplete"), user("b")])
    items: list[Item] = [user("a"), thought, said, user("b"), other, call("1"), output("1"), user("c")]
    assert items == transcript(items)


def test_a_change_that_was_cut_short_and_never_answered_is_left_out() -> None:
    """Its type has no better word for it than that it is in progress."""
    patch = ApplyPatchCall(id="apc_1", call_id="c", status="in_progress", operation=DeleteFile(path="a"))
    assert [user("a")] == transcript([patch, user("a")])


def test_searches_of_the_server_need_no_pairing() -> None:
    """They carry no call id."""
    items: list[Item] = [ToolSearchCall(id="tsc_1", arguments={}), ToolSearchOutput(id="tso_1", tools=[]), user("a")]
    assert items == transcript(items)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([call("1"), user("a")], "No tool output found for function call 1."),
        ([call("1", "in_progress")], "No tool output found for function call 1."),
        ([output("1")], "No tool call found for function call output with call_id 1."),
        ([output("1"), call("1")], "No tool call found for function call output with call_id 1."),
        (
            [CustomToolCall(call_id="1", name="t", input="")],
            "No tool output found for custom tool call 1.",
        ),
        (
            [CustomToolCallOutput(call_id="1", output="")],
            "No tool call found for custom tool call output with call_id 1.",
        ),
        ([call("1"), call("1")], "Duplicate call_id: '1' stands more than once in the conversation."),
        ([call("1"), output("1"), output("1")], "Duplicate call_id: '1' stands more than once in the conversation."),
    ],
)
def test_calls_and_outputs_that_do_not_pair_are_refused(items: list[Item], message: str) -> None:
    """In the words that clients look for."""
    with pytest.raises(ApiError) as raised:
        transcript(items)
    assert words(message) == refused(raised.value)


def test_a_sealed_summary_that_nobody_here_sealed_is_refused() -> None:
    """No key opens it."""
    with pytest.raises(ApiError) as raised:
        transcript([Compaction(id="cmp_1", encrypted_content="gAAA")])
    assert words(
        "The encrypted content for item cmp_1 could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
        "invalid_encrypted_content",
    ) == refused(raised.value)


def test_a_wish_to_compact_is_nothing_for_the_model() -> None:
    """It is spoken to the server."""
    assert [user("a")] == transcript([user("a"), CompactionTrigger(id="ct_1")])


def test_new_items_keep_their_positions() -> None:
    """Where they stand in the request's input."""
    said: list[Item] = [user("a", "msg_1"), user("b", "msg_2")]
    assert [Said(0, said[0]), Said(1, said[1])] == added([], said, {})


def test_items_that_are_sent_again_are_not_doubled() -> None:
    """Clients send back what they got, beside ``previous_response_id``."""
    history: list[Item] = [user("a", "msg_1"), call("1")]
    again: list[Item] = [*history, output("1")]
    assert [Said(2, output("1"))] == added(history, again, {})


def test_an_id_that_is_given_to_something_else_loses_nothing() -> None:
    """Clients that number their items anew for each request say something new under an old id."""
    first, second = (FunctionCallOutput(id="out", call_id=each, output="done") for each in "12")
    history: list[Item] = [user("a", "msg_1"), call("1"), first, call("2")]
    said: list[Item] = [user("b", "msg_1"), second, user("c", "fc_1")]
    assert [Said(0, said[0]), Said(1, said[1]), Said(2, said[2])] == added(history, said, {})


def test_a_transcript_under_old_ids_is_not_doubled_either() -> None:
    """What was said under an id is known, though something else was said under it since."""
    history: list[Item] = [user("a", "msg_1"), user("b", "msg_1")]
    assert [] == added(history, [user("a", "msg_1")], {})
    assert [] == added([WebSearchCall(id="ws_1", status="failed")], [WebSearchCall(id="ws_1")], {})


def test_items_without_an_id_are_always_new() -> None:
    """Nothing can be known of them."""
    history: list[Item] = [user("a")]
    assert [Said(0, user("a"))] == added(history, [user("a")], {})


def test_references_are_resolved() -> None:
    """To what the store knows; one to the history itself adds nothing."""
    kept = user("once", "msg_9")
    said: list[Item] = [ItemReference(id="msg_9"), ItemReference(id="msg_1")]
    assert [Said(0, kept)] == added([user("a", "msg_1")], said, {"msg_9": kept})


def test_a_reference_that_leads_nowhere_is_refused() -> None:
    """The live service's words, and its 404."""
    with pytest.raises(ApiError) as raised:
        added([], [ItemReference(id="msg_7")], {})
    status, error = refused(raised.value)
    assert 404 == status
    assert (
        "Item with id 'msg_7' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input."
    ) == error.message


@pytest.mark.parametrize(
    ("made", "answered"),
    [
        (
            ComputerCall(id="cu_1", call_id="c", action=Wait()),
            ComputerCallOutput(call_id="c", output=ComputerScreenshot(file_id="file-1")),
        ),
        (
            ShellCall(id="sh_1", call_id="c", action=ShellAction(commands=["ls"])),
            ShellCallOutput(call_id="c", output=[]),
        ),
        (
            ApplyPatchCall(id="apc_1", call_id="c", operation=DeleteFile(path="a")),
            ApplyPatchCallOutput(call_id="c", output="ok"),
        ),
        (
            ToolSearchCall(id="tsc_1", call_id="c", execution="client", arguments={}),
            ToolSearchOutput(call_id="c", execution="client", tools=[]),
        ),
        (
            LocalShellCall(id="lsh_1", call_id="c", action=ExecAction(command=["ls"])),
            LocalShellCallOutput(id="c", output="{}"),
        ),
        (
            LocalShellCall(id="lsh_1", call_id="c", action=ExecAction(command=["ls"])),
            FunctionCallOutput(call_id="c", output="files"),
        ),
    ],
)
def test_the_calls_of_every_tool_of_the_clients_are_paired(made: ClientCall, answered: ClientOutput) -> None:
    """Each is followed by its output at once, and is refused without it, as is the output without the call."""
    said = Message(role="user", content=[InputText(text="wait")])
    assert [made, answered, said] == transcript([made, said, answered])
    with pytest.raises(ApiError, match=r"No tool output found for [a-z ]+ call c\."):
        transcript([made])
    with pytest.raises(ApiError, match=r"No tool call found for [a-z ]+ call output with call_id c\."):
        transcript([answered])


# What was to be asked before a computer was moved

CHECKS = [SafetyCheck(id="cu_sc_1"), SafetyCheck(id="cu_sc_2", code="irrelevant_domain", message="Ask.")]


def moved(call_id: str, *checks: SafetyCheck) -> ComputerCall:
    """A call of a computer with these checks."""
    return ComputerCall(id=f"cu_{call_id}", call_id=call_id, action=Wait(), pending_safety_checks=[*checks])


def shown(call_id: str, *ids: str) -> ComputerCallOutput:
    """What it showed, after a person said yes to these checks."""
    checks = [SafetyCheck(id=id) for id in ids]
    return ComputerCallOutput(
        call_id=call_id, output=ComputerScreenshot(file_id="file-1"), acknowledged_safety_checks=checks
    )


@pytest.mark.parametrize(
    ("output_of_it", "missing"),
    [
        (shown("c"), "['cu_sc_1', 'cu_sc_2']"),
        (shown("c", "cu_sc_2"), "['cu_sc_1']"),
        (shown("c", "cu_sc_2", "cu_sc_2"), "['cu_sc_1']"),
        (shown("c", "cu_sc_3", ""), "['cu_sc_1', 'cu_sc_2']"),
        (ComputerCallOutput(call_id="c", output=ComputerScreenshot(file_id="f")), "['cu_sc_1', 'cu_sc_2']"),
        (FunctionCallOutput(call_id="c", output="Done."), "['cu_sc_1', 'cu_sc_2']"),
    ],
)
def test_what_was_done_without_the_leave_that_was_asked_for_is_refused(
    output_of_it: ClientOutput, missing: str
) -> None:
    """Wherever it stands, and whatever says what came of it."""
    items: list[Item] = [user("a"), moved("c", *CHECKS), output_of_it]
    for history in (items, [*items, user("b")], [moved("b"), shown("b"), *items]):
        with pytest.raises(ApiError) as raised:
            transcript(history)
        assert words(f"Computer tool has unacknowledged safety check for {missing}") == refused(raised.value)


@pytest.mark.parametrize(
    ("made", "answered"),
    [
        (moved("c", *CHECKS), shown("c", "cu_sc_2", "cu_sc_1", "cu_sc_of_another")),
        (moved("c"), shown("c")),
        (moved("c"), shown("c", "cu_sc_of_another")),
        (moved("c"), ComputerCallOutput(call_id="c", output=ComputerScreenshot(file_id="f"))),
        (moved("c"), FunctionCallOutput(call_id="c", output="Done.")),
    ],
)
def test_what_was_done_with_all_the_leave_that_was_asked_for_is_taken(made: Item, answered: Item) -> None:
    """Whatever else was said yes to."""
    assert [made, answered] == transcript([made, answered])


def test_leave_for_one_call_is_none_for_another() -> None:
    """Each call's checks are its own."""
    items: list[Item] = [moved("a", CHECKS[0]), moved("b", CHECKS[1]), shown("a", "cu_sc_2"), shown("b", "cu_sc_1")]
    with pytest.raises(ApiError, match=r"unacknowledged safety check for \['cu_sc_1'\]"):
        transcript(items)


def test_of_checks_a_caller_made_up_little_is_sent_back() -> None:
    """Whatever their number and their length."""
    checks = [SafetyCheck(id=f"{number}" * 10_000) for number in range(1000)]
    with pytest.raises(ApiError) as raised:
        transcript([moved("c", *checks), shown("c")])
    assert len(raised.value.message) < 3000


def test_a_call_of_a_computer_that_was_cut_short_is_left_out() -> None:
    """As is any that the model never finished."""
    half = ComputerCall(id="cu_1", call_id="c", status="incomplete", pending_safety_checks=CHECKS)
    assert [user("a")] == transcript([half, user("a")])
