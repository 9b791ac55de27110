"""Frames, byte for byte as recorded, and the filler that hides how long deltas are."""

from __future__ import annotations

from typing import Any, get_args  # JSON is open

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.sse import FILLER_LENGTH, frames, name
from antiphon.ids import letters
from antiphon.protocol.calls import OutcomeExit, ShellOutput
from antiphon.protocol.content import FileCitation, OutputText, SummaryText
from antiphon.protocol.events import (
    AnnotationAdded,
    AudioDelta,
    AudioDone,
    CodeDone,
    CommandAdded,
    CommandDelta,
    CommandDone,
    CustomInputDone,
    DiffDone,
    ErrorObject,
    FunctionArgumentsDone,
    ItemAdded,
    ItemDelta,
    ItemDeltaType,
    ItemDone,
    ItemPhase,
    McpArgumentsDone,
    OutputDelta,
    OutputDone,
    PartAdded,
    PartDone,
    PartialImage,
    PhaseType,
    ReasoningTextDelta,
    ReasoningTextDone,
    RefusalDelta,
    RefusalDone,
    ShellOutputDelta,
    Snapshot,
    SnapshotType,
    StreamError,
    StreamEvent,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryTextDelta,
    SummaryTextDone,
    TextDelta,
    TextDone,
)
from antiphon.protocol.response import Response
from tests.core.stage import NOW, message
from tests.oracle import check_event

FILLER = letters(FILLER_LENGTH)
ITEM: dict[str, Any] = {"item_id": "x_1", "output_index": 1, "sequence_number": 7}
PART: dict[str, Any] = {**ITEM, "content_index": 0}
SUMMARY: dict[str, Any] = {**ITEM, "summary_index": 0}
COMMAND: dict[str, Any] = {"output_index": 1, "command_index": 0, "sequence_number": 7}
TEXT, THOUGHT = OutputText(text="hi"), SummaryText(text="hm")
STARTED = Response(id="resp_0", created_at=NOW, model="m", status="in_progress")

PADDED: list[StreamEvent] = [
    TextDelta(delta="hi", logprobs=[], **PART),
    ReasoningTextDelta(delta="hi", **PART),
    SummaryTextDelta(delta="hi", **SUMMARY),
    CommandDelta(delta="ls", **COMMAND),
    *(ItemDelta(type=kind, delta="{}", **ITEM) for kind in get_args(ItemDeltaType)),
]
SHELL = ShellOutput(stdout="hi", stderr="", outcome=OutcomeExit(exit_code=0))
PLAIN: list[StreamEvent] = [
    *(Snapshot(type=kind, response=STARTED, sequence_number=0) for kind in get_args(SnapshotType)),
    ItemAdded(item=message("hi"), output_index=1, sequence_number=7),
    ItemDone(item=message("hi"), output_index=1, sequence_number=7),
    PartAdded(part=TEXT, **PART),
    PartDone(part=TEXT, **PART),
    TextDone(text="hi", logprobs=[], **PART),
    AnnotationAdded(annotation=FileCitation(file_id="f", filename="a", index=0), annotation_index=0, **PART),
    RefusalDelta(delta="no", **PART),
    RefusalDone(refusal="no", **PART),
    ReasoningTextDone(text="hi", **PART),
    SummaryPartAdded(part=THOUGHT, **SUMMARY),
    SummaryPartDone(part=THOUGHT, **SUMMARY),
    SummaryTextDone(text="hm", **SUMMARY),
    FunctionArgumentsDone(arguments="{}", **ITEM),
    McpArgumentsDone(arguments="{}", **ITEM),
    CustomInputDone(input="x", **ITEM),
    CodeDone(code="1", **ITEM),
    DiffDone(diff="+", **ITEM),
    *(ItemPhase(type=kind, **ITEM) for kind in get_args(PhaseType)),
    PartialImage(partial_image_b64="AA", partial_image_index=0, **ITEM),
    CommandAdded(command="", **COMMAND),
    CommandDone(command="ls", **COMMAND),
    OutputDelta(command_index=0, delta=ShellOutputDelta(stdout="hi"), **ITEM),
    OutputDone(command_index=0, output=[SHELL], **ITEM),
    AudioDelta(type="response.audio.delta", delta="AA", sequence_number=7),
    AudioDelta(type="response.audio.transcript.delta", delta="hi", sequence_number=7),
    AudioDone(type="response.audio.done", sequence_number=7),
    AudioDone(type="response.audio.transcript.done", sequence_number=7),
    StreamError(error=ErrorObject(type="server_error", code=None, message="no", param=None), sequence_number=2),
]
UNRECORDED = ("response.audio", "response.compaction")


def body(frame: bytes) -> bytes:
    """The JSON of a frame."""
    return frame.partition(b"\ndata: ")[2].removesuffix(b"\n\n")


def test_a_frame_is_an_event_line_a_line_of_json_and_an_empty_line() -> None:
    """Byte for byte; several events are one chunk."""
    delta = TextDelta(content_index=0, delta="Hi", item_id="msg_1", logprobs=[], output_index=0, sequence_number=4)
    done = FunctionArgumentsDone(arguments="{}", item_id="fc_2", output_index=1, sequence_number=5)
    assert (
        b"event: response.output_text.delta\n"
        b'data: {"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","output_index":0,'
        b'"content_index":0,"delta":"Hi","logprobs":[]}\n\n'
        b"event: response.function_call_arguments.done\n"
        b'data: {"type":"response.function_call_arguments.done","sequence_number":5,"item_id":"fc_2",'
        b'"output_index":1,"arguments":"{}"}\n\n'
    ) == frames([delta, done])


def test_no_events_are_no_bytes() -> None:
    """Not even an empty line."""
    assert b"" == frames([], FILLER)


def test_line_breaks_stay_inside_of_the_json() -> None:
    """A frame has one data line, whatever was said."""
    frame = frames([TextDelta(delta="a\nb\r\n\u2028", logprobs=[], **PART)])
    assert 3 == frame.count(b"\n")
    assert "a\nb\r\n\u2028" == msgspec.json.decode(body(frame))["delta"]


def test_every_class_of_event_is_framed_here() -> None:
    """The examples of this file leave none out."""
    assert set(get_args(StreamEvent)) == {type(event) for event in [*PADDED, *PLAIN]}


@pytest.mark.parametrize("event", [*PADDED, *PLAIN], ids=name)
def test_the_name_of_a_frame_is_the_type_in_its_json(event: StreamEvent) -> None:
    """With filler and without."""
    for filler in (None, FILLER):
        frame = frames([event], filler)
        assert f"event: {name(event)}\n".encode() == frame[: frame.index(b"\n") + 1]
        assert name(event) == msgspec.json.decode(body(frame))["type"]


@pytest.mark.parametrize(
    "event",
    [
        event
        for event in [*PADDED, *PLAIN]
        if not isinstance(event, Snapshot) and not name(event).startswith(UNRECORDED)
    ],
    ids=name,
)
def test_every_event_has_the_recorded_fields(event: StreamEvent) -> None:
    """Also those that no machine makes yet."""
    check_event(body(frames([event], FILLER)))


@pytest.mark.parametrize("event", PADDED, ids=name)
def test_deltas_of_text_are_padded_to_a_multiple_of_sixteen(event: StreamEvent) -> None:
    """With letters and digits, the last key."""
    padded = msgspec.json.decode(body(frames([event], FILLER)))
    assert 14 == len(padded["obfuscation"])
    assert padded["obfuscation"].isalnum()
    assert "obfuscation" == list(padded)[-1]
    assert msgspec.json.decode(body(frames([event]))) == {
        key: value for key, value in padded.items() if key != "obfuscation"
    }


@pytest.mark.parametrize("event", PLAIN, ids=name)
def test_nothing_else_is_padded(event: StreamEvent) -> None:
    """No refusal, no output of a shell, no sound, nothing that is no delta."""
    assert frames([event]) == frames([event], FILLER)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.integers(0, 100_000))
def test_a_delta_and_its_filler_are_a_multiple_of_sixteen_characters(delta: str, number: int) -> None:
    """Of any text, at any place of the stream."""
    event = TextDelta(content_index=0, delta=delta, item_id="m", logprobs=[], output_index=0, sequence_number=number)
    padded = msgspec.json.decode(body(frames([event], FILLER)))
    assert delta == padded["delta"]
    assert 0 == (len(delta) + len(padded["obfuscation"])) % 16
    assert len(padded["obfuscation"]) < 16


def test_neighbours_are_padded_differently() -> None:
    """Filler that repeated itself would tell where deltas begin."""
    events: list[StreamEvent] = [
        TextDelta(content_index=0, delta="", item_id="m", logprobs=[], output_index=0, sequence_number=number)
        for number in range(2)
    ]
    for event in events:
        assert b'"obfuscation":""}' in frames([event], FILLER)
    one, other = (
        msgspec.json.decode(body(frames([msgspec.structs.replace(event, delta="a")], FILLER)))["obfuscation"]
        for event in events
    )
    assert one != other
