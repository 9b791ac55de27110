"""The log: what went in comes out, and a stream that is made of it is the stream that was."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from antiphon.core.fold import fold
from antiphon.core.log import Chunk, Pack, Told, entries, summed, told
from antiphon.core.notes import CallAnswered, CallOpened, CallStarted, CallWritten, Note, TurnBroken, TurnEnded
from antiphon.core.sse import frames
from antiphon.protocol.content import Logprob
from antiphon.protocol.events import ItemDelta, ItemPhase, Snapshot, StreamEvent, TextDelta
from antiphon.protocol.response import Response
from tests.core.dialogues import Emission
from tests.core.lives import CUTS, Life, events_of, lived, lives, packed
from tests.core.stage import COST, NOW
from tests.core.test_sse import PADDED, PLAIN

NOTES: list[Note] = [
    CallOpened("ws_1", "0", "search", "call_1"),
    CallWritten("ws_1", '{"q":"é"}'),
    TurnEnded("stop", COST),
    TurnEnded("max_output_tokens", None),
    TurnBroken(2),
    CallStarted("ws_1"),
    CallAnswered("ws_1", "found\n"),
]
LOGPROB = Logprob(token="a", logprob=-0.5, bytes=[97])
COMPLETED = Snapshot(
    type="response.completed",
    response=Response(id="resp_0", created_at=NOW, model="m", status="completed"),
    sequence_number=1,
)


def text(number: int, delta: str, *, item_id: str = "msg_0", logprobs: list[Logprob] | None = None) -> TextDelta:
    """A piece of an answer."""
    return TextDelta(
        content_index=0,
        delta=delta,
        item_id=item_id,
        logprobs=logprobs or [],
        output_index=0,
        sequence_number=number,
    )


def line(*events: StreamEvent) -> str:
    """The text of a chunk of these events."""
    pack = Pack(events[0].sequence_number)
    pack.add([*events])
    chunk = pack.take()
    assert chunk is not None
    return chunk.text


@given(lives(), CUTS)
@settings(max_examples=50)
def test_what_went_into_the_log_comes_out_of_it(life: Life, cuts: list[int]) -> None:
    """However it was flushed: events, notes, and their order."""
    log = lived(life).log
    chunks = packed(log, cuts)
    assert log == [entry for chunk in chunks for entry in entries(chunk.text, chunk.first)]
    assert all("\n" not in chunk.text for chunk in chunks)
    assert [(chunk.last + 1) for chunk in chunks[:-1]] == [chunk.first for chunk in chunks[1:]]


@given(lives(), CUTS)
@settings(max_examples=50)
def test_a_stream_from_the_log_is_the_stream_that_was(life: Life, cuts: list[int]) -> None:
    """Byte for byte, behind any event, and it ends where it ended."""
    log = lived(life).log
    events, chunks = events_of(log), packed(log, cuts)
    whole = [told(chunk, -1) for chunk in chunks]
    assert frames(events) == b"".join(part.block for part in whole)
    assert [False] * (len(chunks) - 1) == [part.ended for part in whole[:-1]]
    assert whole[-1].ended
    for chunk in chunks:
        own = events[chunk.first : chunk.last + 1]
        for after in range(chunk.first - 1, chunk.last + 1):
            expected = frames([event for event in own if event.sequence_number > after])
            assert expected == told(chunk, after).block


@given(lives(), CUTS)
@settings(max_examples=50)
def test_what_is_summed_adds_up_to_the_same_response(life: Life, cuts: list[int]) -> None:
    """As far as a log has come: a run in one piece says what its deltas say."""
    chunks = packed(lived(life).log, cuts)
    for length in range(len(chunks) + 1):
        whole = [entry for chunk in chunks[:length] for entry in entries(chunk.text, chunk.first)]
        assert fold(whole) == fold(event for chunk in chunks[:length] for event in summed(chunk.text))


def test_every_kind_of_event_and_note_comes_back() -> None:
    """Those too that no machine makes today."""
    events = [replace(event, sequence_number=number) for number, event in enumerate([*PADDED, *PLAIN])]
    log: Emission = [*events, *NOTES]
    (chunk,) = packed(log, [1000])
    assert log == entries(chunk.text, chunk.first)
    assert frames(events) == told(chunk, -1).block


def test_deltas_that_follow_each_other_say_once_where_they_belong() -> None:
    """An entry a run."""
    assert '[["t","msg_0",0,0,["Hi"," é\\""]]]' == line(text(7, "Hi"), text(8, ' é"'))


def test_a_run_ends_where_another_item_another_kind_or_a_note_begins() -> None:
    """And where log-probabilities come with the delta."""
    call = ItemDelta(
        type="response.function_call_arguments.delta", delta="{", item_id="fc_1", output_index=1, sequence_number=2
    )
    pack = Pack(0)
    pack.add([text(0, "a"), text(1, "b", item_id="msg_1"), call])
    pack.note(TurnBroken(2))
    pack.add([replace(call, sequence_number=3, delta="}"), text(4, "c", logprobs=[LOGPROB])])
    chunk = pack.take()
    assert chunk is not None
    assert (
        '[["t","msg_0",0,0,["a"]],["t","msg_1",0,0,["b"]],'
        '["c","fc_1",1,"response.function_call_arguments.delta",["{"]],["broken",2],'
        '["c","fc_1",1,"response.function_call_arguments.delta",["}"]],'
        '{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_0","output_index":0,'
        '"content_index":0,"delta":"c","logprobs":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]}]'
    ) == chunk.text


def test_a_gap_in_the_numbers_is_refused() -> None:
    """It is a fault of the writer's, and nobody could resume behind it."""
    pack = Pack(3)
    with pytest.raises(ValueError, match="event 4 cannot follow event 2"):
        pack.add([text(4, "a")])


def test_nothing_makes_no_chunk() -> None:
    """Neither at first nor after everything was taken."""
    pack = Pack(0)
    assert pack.take() is None
    pack.add([text(0, "a")])
    assert Chunk(0, 0, '[["t","msg_0",0,0,["a"]]]') == pack.take()
    assert pack.take() is None


def test_notes_alone_are_a_chunk_without_a_number() -> None:
    """It says nothing to a client."""
    pack = Pack(5)
    pack.note(CallStarted("ws_1"))
    chunk = pack.take()
    assert Chunk(5, 4, '[["started","ws_1"]]') == chunk
    assert chunk is not None
    assert Told(b"", 4, ended=False) == told(chunk, -1)


def test_the_size_grows_with_what_is_held_and_goes_with_it() -> None:
    """So that a writer knows when to flush."""
    pack = Pack(0)
    assert 0 == pack.size
    pack.add([text(0, "a" * 100), text(1, "b" * 100)])
    assert 200 <= pack.size <= 300
    pack.note(CallAnswered("ws_1", "x" * 1000))
    assert 1200 <= pack.size <= 1400
    pack.take()
    assert 0 == pack.size


def test_an_item_id_that_looks_like_a_frame_changes_nothing() -> None:
    """Frames of runs are made of a blank one, in which only number and delta are filled in."""
    nasty = '%d "sequence_number":0 "delta":"" %'
    events: list[StreamEvent] = [text(0, "100%", item_id=nasty), text(1, '"delta":""', item_id=nasty)]
    assert frames(events) == told(Chunk(0, 1, line(*events)), -1).block


def test_the_end_is_known_to_who_has_read_it_already() -> None:
    """A reader that asks behind the terminal event waits for nothing."""
    phase = ItemPhase(type="response.web_search_call.searching", item_id="ws_1", output_index=0, sequence_number=0)
    chunk = Chunk(0, 1, line(phase, COMPLETED))
    assert Told(frames([COMPLETED]), 1, ended=True) == told(chunk, 0)
    assert Told(b"", 7, ended=True) == told(chunk, 7)
