"""A finished response told again: a stream like any other, that adds up to what was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from antiphon.core.deltas import Call, Finish, Text
from antiphon.core.fold import fold
from antiphon.core.sse import frames
from antiphon.core.telling import retold
from antiphon.protocol.calls import (
    ApplyPatchCall,
    CreateFile,
    DeleteFile,
    ExecAction,
    LocalShellCall,
    ShellAction,
    ShellCall,
    ToolSearchCall,
    WebSearchCall,
)
from antiphon.protocol.computer import ComputerCall, SafetyCheck, Wait
from antiphon.protocol.content import (
    FileCitation,
    InputText,
    Logprob,
    OutputText,
    ReasoningText,
    RefusalPart,
    SummaryText,
    UrlCitation,
)
from antiphon.protocol.events import AnnotationAdded, PartDone, Snapshot, TextDelta
from antiphon.protocol.items import CustomToolCall, FunctionCall, Message, ReasoningItem
from antiphon.protocol.response import Response, Usage
from tests.core.dialogues import CRASH, Dialogue, Play, dialogues
from tests.core.laws import (
    expect_law_1,
    expect_law_2,
    expect_law_3,
    expect_law_3_of_parts,
    expect_law_5,
    expect_law_7,
)
from tests.core.lives import Life, lived, lives
from tests.core.stage import ADDED, CALL, DONE, NOW, TEXT, function_call, message, names, opened
from tests.oracle import check_event

if TYPE_CHECKING:
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.items import OutputItem

COMMAND = [f"shell_call_command.{word}" for word in ("added", "delta", "done")]
LOGPROB = Logprob(token="a", logprob=-1.0, bytes=[97])


def expect_a_stream(response: Response) -> list[StreamEvent]:
    """Tell a response again, and hold the events against the laws, the official types and the recordings."""
    events = retold(response)
    for frame in frames(events).split(b"\n\n")[:-1]:
        check_event(frame.partition(b"\ndata: ")[2])
    expect_law_1(events)
    expect_law_2(events, response)
    expect_law_3(events, response)
    expect_law_3_of_parts(events, response)
    expect_law_5(events)
    expect_law_7(events, response)
    return events


def completed(*items: OutputItem) -> Response:
    """A response that holds these items."""
    return Response(
        id="resp_0",
        created_at=NOW,
        completed_at=NOW,
        model="m",
        status="completed",
        output=[*items],
        service_tier="default",
        usage=Usage(input_tokens=0, output_tokens=0, total_tokens=0),
    )


@given(dialogues())
def test_what_is_told_again_adds_up_to_what_was_kept(dialogue: Dialogue) -> None:
    """Whatever a machine made."""
    expect_a_stream(Play(dialogue).run().machine.response)


@given(lives())
@settings(max_examples=30)
def test_so_does_what_several_processes_made(life: Life) -> None:
    """With all that was broken off."""
    expect_a_stream(lived(life).machine.response)


def test_it_begins_like_a_live_stream() -> None:
    """In progress, with nothing said or counted; then each text in one delta."""
    machine = opened()
    machine.feed([Text("H"), Text("i"), Call("0", "f", '{"a"'), Call("0", "", ":1}"), Finish()])
    machine.complete(NOW)
    events = expect_a_stream(machine.response)
    assert ["created", "in_progress", *TEXT, *CALL, "completed"] == names(events)
    opening = replace(
        machine.response, status="in_progress", output=[], usage=None, completed_at=None, service_tier="auto"
    )
    assert [opening, opening] == [event.response for event in events[:2] if isinstance(event, Snapshot)]
    assert ["Hi"] == [event.delta for event in events if isinstance(event, TextDelta)]


@pytest.mark.parametrize("end", ["incomplete", "failed", "cancelled"])
def test_a_bad_end_is_told_as_it_was(end: str) -> None:
    """One that was cancelled ends in ``response.failed``, for the wire has nothing else."""
    machine = opened()
    machine.feed([Text("Hi")])
    if end == "incomplete":
        machine.feed([Finish("max_output_tokens")])
        machine.complete(NOW)
    elif end == "failed":
        machine.fail(CRASH)
    else:
        machine.cancel()
    events = expect_a_stream(machine.response)
    last = events[-1]
    assert isinstance(last, Snapshot)
    assert ("response.failed" if end == "cancelled" else f"response.{end}", end) == (last.type, last.response.status)


def test_annotations_and_log_probabilities_come_with_their_text() -> None:
    """Each annotation in an event of its own, and all in the part."""
    part = OutputText(
        text="Hi",
        annotations=[
            FileCitation(file_id="file_1", filename="a", index=0),
            UrlCitation(url="https://example.com", title="t", start_index=0, end_index=1),
        ],
        logprobs=[LOGPROB],
    )
    said = Message(id="msg_0", role="assistant", content=[part, OutputText(text="!"), RefusalPart(refusal="no")])
    events = expect_a_stream(completed(said))
    cites = ["output_text.annotation.added"] * 2
    assert [*TEXT[:3], *cites, *TEXT[3:5], *TEXT[1:5]] == names(events)[2:13]
    assert [(0, part.annotations[0]), (1, part.annotations[1])] == [
        (event.annotation_index, event.annotation) for event in events if isinstance(event, AnnotationAdded)
    ]
    assert part == next(event.part for event in events if isinstance(event, PartDone))


def test_an_empty_message_has_its_empty_part() -> None:
    """And no delta."""
    events = expect_a_stream(completed(message("")))
    assert [ADDED, "content_part.added", "output_text.done", "content_part.done", DONE] == names(events)[2:-1]


def test_a_thought_is_told_part_by_part() -> None:
    """Summaries, then what is raw; one that was broken off says so in the part."""
    thought = ReasoningItem(
        id="rs_0",
        summary=[SummaryText(text="One."), SummaryText(text="Two.")],
        content=[ReasoningText(text="Hm")],
        status="incomplete",
    )
    part = ["reasoning_summary_part.added", "reasoning_summary_text.delta"]
    part += ["reasoning_summary_text.done", "reasoning_summary_part.done"]
    raw = ["content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done"]
    events = retold(completed(thought))
    assert [ADDED, *part, *part, *raw, DONE] == names(events)[2:-1]
    assert completed(thought) == fold(events)


def test_a_call_without_arguments_has_no_delta() -> None:
    """What was cut short before its first letter."""
    events = expect_a_stream(completed(function_call("", status="incomplete")))
    assert [ADDED, "function_call_arguments.done", DONE] == names(events)[2:-1]


def test_a_call_is_opened_with_all_its_names() -> None:
    """As the item that was kept has them."""
    call = FunctionCall(id="fc_0", arguments="{}", call_id="call_0", name="f", namespace="n")
    (added,) = [event for event in retold(completed(call)) if name_of(event) == ADDED]
    assert replace(call, arguments="", status="in_progress") == added.item  # type: ignore[union-attr]  # by its name


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (
            CustomToolCall(id="ctc_0", call_id="c", name="n", input="a"),
            [ADDED, "custom_tool_call_input.delta", "custom_tool_call_input.done", DONE],
        ),
        (CustomToolCall(id="ctc_0", call_id="c", name="n", input=""), [ADDED, "custom_tool_call_input.done", DONE]),
        (
            ShellCall(id="sh_0", call_id="c", action=ShellAction(commands=["ls", ""], timeout_ms=5)),
            [ADDED, *COMMAND, COMMAND[0], COMMAND[2], DONE],
        ),
        (
            ApplyPatchCall(id="apc_0", call_id="c", operation=CreateFile(path="a", diff="+x")),
            [ADDED, "apply_patch_call_operation_diff.delta", "apply_patch_call_operation_diff.done", DONE],
        ),
        (ApplyPatchCall(id="apc_0", call_id="c", operation=DeleteFile(path="a")), [ADDED, DONE]),
        (LocalShellCall(id="lsh_0", call_id="c", action=ExecAction(command=["ls"], env={"A": "b"})), [ADDED, DONE]),
        (ToolSearchCall(id="tsc_0", arguments={"paths": ["a"]}), [ADDED, DONE]),
        (ComputerCall(id="cu_0", call_id="c", actions=[Wait()]), [ADDED, DONE]),
        (
            ComputerCall(id="cu_0", call_id="c", action=Wait(), pending_safety_checks=[SafetyCheck(id="cu_sc_0")]),
            [ADDED, DONE],
        ),
    ],
)
def test_calls_of_the_clients_tools_are_told_as_they_were_made(item: OutputItem, told: list[str]) -> None:
    """Each in the events of its type, from a blank item on."""
    events = expect_a_stream(completed(item))
    assert told == names(events)[2:-1]
    begun = fold(events[:3])
    assert begun is not None
    assert item != begun.output[0]
    assert [item] == (fold(events[:-1]) or begun).output


def name_of(event: StreamEvent) -> str:
    """The type of an event, without its prefix."""
    return names([event])[0]


def test_other_items_are_added_and_done() -> None:
    """What a hosted tool did is shown by its end; what is no part of an answer is not told."""
    searched = WebSearchCall(id="ws_0")
    events = expect_a_stream(completed(searched))
    assert [ADDED, DONE] == names(events)[2:-1]
    shown = Message(id="msg_0", role="user", content=[InputText(text="Hi")])
    assert [ADDED, DONE] == names(retold(completed(shown)))[2:-1]


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_what_has_not_ended_cannot_be_told_to_its_end(status: str) -> None:
    """Its log can."""
    response = replace(completed(), status=status)
    with pytest.raises(ValueError, match=status):
        retold(response)
