"""Events read back: any beginning of a stream gives the response as far as it came."""

from __future__ import annotations

import pytest
from hypothesis import given
from msgspec.structs import replace

from antiphon.core.calls import CallKind
from antiphon.core.client_calls import ApplyPatchKind, CustomKind, LocalShellKind, ShellKind
from antiphon.core.deltas import Call, Cited, Finish, Refused, Text, Thought
from antiphon.core.fold import fold
from antiphon.core.speech import Manner
from antiphon.protocol.calls import (
    ApplyPatchCall,
    CreateFile,
    ExecAction,
    LocalEnvironment,
    LocalShellCall,
    ShellAction,
    ShellCall,
)
from antiphon.protocol.content import Logprob, OutputText, ReasoningText, RefusalPart, SummaryText, UrlCitation
from antiphon.protocol.events import ItemDone, Snapshot
from antiphon.protocol.items import CustomToolCall, Message, ReasoningItem
from antiphon.protocol.response import Response
from tests.core.dialogues import Dialogue, Play, dialogues
from tests.core.stage import NOW, function_call, message, opened

CREATED = Response(id="resp_0", created_at=NOW, model="m", status="in_progress")
LOGPROB = Logprob(token="a", logprob=-1.0, bytes=[97])


@given(dialogues())
def test_any_beginning_of_a_stream_holds_what_was_finished_by_then(dialogue: Dialogue) -> None:
    """Finished items are whole, one a place; the response stays in progress until its terminal event."""
    play = Play(dialogue).run()
    for length in range(1, len(play.events)):
        beginning = play.events[:length]
        response = fold(beginning)
        assert response is not None
        assert "in_progress" == response.status
        for event in beginning:
            if isinstance(event, ItemDone):
                assert event.item == response.output[event.output_index]


def test_no_events_are_no_response() -> None:
    """Nothing is made up."""
    assert fold([]) is None


def test_a_stream_without_its_beginning_is_no_response() -> None:
    """Items alone do not say whose they are."""
    machine = opened()
    assert fold(machine.feed([Text("Hi")])) is None


def test_a_queued_response_is_what_its_snapshot_says() -> None:
    """It holds nothing yet."""
    queued = replace(CREATED, status="queued")
    assert queued == fold([Snapshot(type="response.queued", response=queued, sequence_number=0)])


def test_a_terminal_snapshot_is_the_last_word() -> None:
    """Whatever the events before it held."""
    machine = opened()
    events = [*machine.feed([Text("Hi"), Finish()]), *machine.complete(NOW)]
    assert machine.response == fold(events)


def test_an_open_message_is_as_long_as_its_deltas() -> None:
    """With its log-probabilities, in progress."""
    events = opened().feed([Text("a", [LOGPROB]), Text("b"), Refused("no"), Refused("!")])
    expected = Message(
        id="msg_0",
        status="in_progress",
        role="assistant",
        content=[OutputText(text="ab", logprobs=[LOGPROB]), RefusalPart(refusal="no!")],
    )
    assert replace(CREATED, output=[expected]) == fold([_created(), *events])


def test_an_open_thought_is_as_long_as_its_deltas() -> None:
    """As a summary, or raw."""
    summary = fold([_created(), *opened().feed([Thought("Hm"), Thought("m")])])
    raw = fold([_created(), *opened(raw=True).feed([Thought("Hm"), Thought("m")])])
    assert replace(CREATED, output=[ReasoningItem(id="rs_0", summary=[SummaryText(text="Hmm")])]) == summary
    thought = ReasoningItem(id="rs_0", summary=[], content=[ReasoningText(text="Hmm")])
    assert replace(CREATED, output=[thought]) == raw


def test_an_open_call_is_as_long_as_its_deltas() -> None:
    """Behind a message that is finished."""
    events = opened().feed([Text("Hi"), Call("0", "f", '{"a"'), Call("0", "", ":")])
    call = function_call('{"a":', at=1, status="in_progress")
    assert replace(CREATED, output=[message("Hi"), call]) == fold([_created(), *events])


@pytest.mark.parametrize(
    ("kind", "written", "begun"),
    [
        (CustomKind("n"), '{"input":"a b', CustomToolCall(id="ctc_0", call_id="call_1", name="n", input="a b")),
        (
            ShellKind(),
            '{"commands":["ls","ca',
            ShellCall(
                id="sh_0",
                call_id="call_1",
                action=ShellAction(commands=["ls", "ca"]),
                environment=LocalEnvironment(),
            ),
        ),
        (
            ApplyPatchKind(),
            '{"type":"create_file","path":"a","diff":"+x',
            ApplyPatchCall(id="apc_0", call_id="call_1", operation=CreateFile(path="a", diff="+x")),
        ),
        (
            LocalShellKind(),
            '{"command":["ls"',
            LocalShellCall(id="lsh_0", call_id="call_1", action=ExecAction(command=[])),
        ),
    ],
)
def test_an_open_call_of_any_tool_is_as_long_as_its_deltas(
    kind: CallKind, written: str, begun: CustomToolCall | ShellCall | ApplyPatchCall | LocalShellCall
) -> None:
    """Text, commands, a diff; what is told whole is blank until then."""
    for fragments in ([written], written):
        machine = opened()
        machine.allow(Manner(kinds={"tool": kind}))
        deltas = [Call("0", "tool"), *(Call("0", "", fragment) for fragment in fragments)]
        events = [event for delta in deltas for event in machine.feed([delta])]
        assert replace(CREATED, output=[replace(begun, status="in_progress")]) == fold([_created(), *events])


def test_an_open_message_has_its_citations() -> None:
    """As far as they were told."""
    citation = UrlCitation(url="https://example.com", title="t", start_index=0, end_index=1)
    response = fold([_created(), *opened().feed([Text("a"), Cited(citation)])])
    assert response is not None
    (item,) = response.output
    assert isinstance(item, Message)
    assert [OutputText(text="a", annotations=[citation])] == item.content


def test_an_item_of_which_nothing_was_said_is_as_it_was_added() -> None:
    """A message without parts, a thought without a summary, a call without arguments."""
    for delta in (Text("Hi"), Thought("Hm"), Call("0", "f", "{}")):
        added = opened().feed([delta])[0]
        response = fold([_created(), added])
        assert response is not None
        assert [added.item] == response.output  # type: ignore[union-attr]  # the first event adds the item


def test_a_hosted_call_is_in_progress_until_it_is_answered() -> None:
    """Its phases are no part of the response."""
    machine = opened(tools=("search",))
    events = machine.feed([Call("0", "search", "{}"), Finish()])
    events += machine.phase(machine.calls[0], "response.web_search_call.searching")
    response = fold([_created(), *events])
    assert response is not None
    assert [events[0].item] == response.output  # type: ignore[union-attr]  # the first event adds the item


def _created() -> Snapshot:
    return Snapshot(type="response.created", response=CREATED, sequence_number=0)
