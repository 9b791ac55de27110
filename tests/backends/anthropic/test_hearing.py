"""What the Messages API streams, in its recorded shapes: it is heard alike, however the bytes are cut."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.backends import UpstreamError
from antiphon.backends.anthropic import Decoder
from antiphon.core.deltas import Call, Delta, Finish, Keepsake, Refused, Text, Thought
from antiphon.protocol.response import InputTokens, OutputTokens, Usage

CASSETTES = Path(__file__).parent.parent / "cassettes" / "anthropic"
TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."


def spent(heard: int, said: int, *, cached: int = 0, written: int = 0, thought: int = 0) -> Usage:
    """Usage, in tokens."""
    return Usage(
        input_tokens=heard,
        input_tokens_details=InputTokens(cached_tokens=cached, cache_write_tokens=written),
        output_tokens=said,
        output_tokens_details=OutputTokens(reasoning_tokens=thought),
        total_tokens=heard + said,
    )


SAID: dict[str, list[Delta]] = {
    "text.sse": [Text("Grüße"), Text(", 世界 👋"), Finish("stop", spent(142, 9, cached=100, written=30))],
    "thinking-and-call.sse": [
        Thought("The user wants"),
        Thought("\nthe weather."),
        Keepsake("signature", "EqQBCkgIAxABGAI="),
        Text("Let me look."),
        Call("2", "weather"),
        Call("2", arguments='{"city":'),
        Call("2", arguments=' "Os'),
        Call("2", arguments='lo"}'),
        Finish("stop", spent(12, 80, thought=20)),
    ],
    "omitted-thinking-two-calls.sse": [
        Keepsake("signature", "EpwBCkgICRABGAI="),
        Call("1", "weather"),
        Call("1", arguments='{"city":"Oslo"}'),
        Call("2", "now"),
        Finish("stop", spent(12, 60)),
    ],
    "redacted-thinking.sse": [
        Thought("Hm."),
        Keepsake("signature", "EuYBCkQYAiJA"),
        Keepsake("redacted", "EvAFCoYBGAIiQL7asC0G"),
        Text("Done."),
        Finish("stop", spent(12, 40, thought=15)),
    ],
    "interleaved-thinking.sse": [
        Thought("One."),
        Keepsake("signature", "EqAg=="),
        Call("1", "add"),
        Call("1", arguments='{"a":1}'),
        Thought("Two."),
        Keepsake("signature", "EqBh"),
        Text("Three."),
        Finish("stop", spent(12, 30, thought=11)),
    ],
    "unsigned-thinking.sse": [
        Thought("Plain "),
        Thought("thought."),
        Text("Answer"),
        Finish("stop", spent(12, 40, thought=28)),
    ],
    "refusal.sse": [
        Text("Sure, first"),
        Refused("This request could enable cyber harm."),
        Finish("content_filter", spent(12, 5)),
    ],
    "refusal-at-once.sse": [Refused("The model declined to answer."), Finish("content_filter", spent(12, 1))],
    "max-tokens.sse": [Text("Once upon"), Finish("max_output_tokens", spent(12, 16))],
    "context-window.sse": [Text("Once upon"), Finish("max_output_tokens", spent(12, 16))],
    "paused.sse": [Text("Found it."), Finish("max_output_tokens", spent(12, 20))],
    "without-message-stop.sse": [Text("Hi"), Finish("stop", spent(12, 4))],
    "plain-message.json": [
        Thought("Né."),
        Keepsake("signature", "c2ln"),
        Text("Here."),
        Call("2", "add", '{"a": 1}'),
        Call("3", "now"),
        Finish("stop", spent(5, 15, thought=3)),
    ],
}

FAULTS = {
    "overloaded.sse": ("unavailable", "The model's server is not available at the moment. Please try again later."),
    "rate-limit.sse": (
        "rate_limit_exceeded",
        "The model's server is receiving too many requests. Please try again later.",
    ),
    "broken.sse": ("server_error", "The model's server reported an error."),
    "billing.sse": ("misconfigured", "The model of this deployment cannot be reached with its present configuration."),
    "plain-error.json": ("context_length_exceeded", TOO_LONG),
}


def hear(*chunks: bytes) -> list[Delta]:
    """Decode a whole stream, cut as given."""
    decoder = Decoder()
    deltas: list[Delta] = []
    for chunk in chunks:
        deltas += decoder.feed(chunk)
        if decoder.error is not None:
            raise decoder.error
    deltas += decoder.end()
    if decoder.error is not None:
        raise decoder.error
    return deltas


def event(type: str, **more: object) -> bytes:
    """One event."""
    return f"event: {type}\n".encode() + b"data: " + json.dumps({"type": type, **more}).encode() + b"\n\n"


def begun(**block: object) -> bytes:
    """The first block begins."""
    return event("content_block_start", index=0, content_block=block)


def said(text: str) -> bytes:
    """A piece of the text of the first block."""
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


TEXT = begun(type="text", text="")
STOPPED = event("message_delta", delta={"stop_reason": "end_turn"})
OVER = event("message_stop")


def test_every_cassette_is_heard() -> None:
    """No recording lies unused."""
    assert {file.name for file in CASSETTES.iterdir()} == SAID.keys() | FAULTS.keys()


@pytest.mark.parametrize("name", SAID)
def test_a_stream_becomes_deltas(name: str) -> None:
    """Each sort of answer says what the cassette holds."""
    assert SAID[name] == hear((CASSETTES / name).read_bytes())


@pytest.mark.parametrize("name", SAID)
def test_a_cut_at_any_byte_changes_nothing(name: str) -> None:
    """Two reads say the same as one, wherever they part, inside of a character too."""
    stream = (CASSETTES / name).read_bytes()
    assert [] == [cut for cut in range(len(stream)) if hear(stream[:cut], stream[cut:]) != SAID[name]]


@pytest.mark.parametrize("name", SAID)
def test_a_stream_may_come_byte_by_byte(name: str) -> None:
    """The smallest reads say the same as one."""
    stream = (CASSETTES / name).read_bytes()
    assert SAID[name] == hear(*(stream[place : place + 1] for place in range(len(stream))))


@pytest.mark.parametrize("name", FAULTS)
def test_an_error_has_its_fault(name: str) -> None:
    """An error inside of a stream is told by whose fault it is, and in our words."""
    with pytest.raises(UpstreamError) as caught:
        hear((CASSETTES / name).read_bytes())
    assert FAULTS[name] == (caught.value.fault, str(caught.value))


@pytest.mark.parametrize("name", [name for name in SAID if name.endswith("sse")])
def test_a_stream_that_is_cut_short_ends_without_finish(name: str) -> None:
    """Before the model has said why it ended nobody knows whether all was said."""
    stream = (CASSETTES / name).read_bytes()
    heard = hear(stream[: stream.index(b"event: message_delta")])
    assert [each for each in SAID[name] if not isinstance(each, Finish | Refused)] == heard


def test_the_end_is_told_at_once_and_once() -> None:
    """The last delta does not wait for the connection to end, and nothing is heard after it."""
    decoder = Decoder()
    assert [] == decoder.feed(TEXT)
    assert [Text("Hi")] == decoder.feed(said("Hi"))
    assert [] == decoder.feed(STOPPED)
    assert decoder.spoken
    assert [Finish("stop")] == decoder.feed(OVER)
    assert decoder.finished
    assert [] == decoder.feed(said("more")) + decoder.end()


def test_a_signature_whose_block_was_never_closed_is_kept() -> None:
    """Some servers leave the end of a block out."""
    signed = event("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "c2ln"})
    assert [Keepsake("signature", "c2ln"), Finish("stop")] == hear(begun(type="thinking"), signed, STOPPED, OVER)


def test_what_the_upstream_made_itself_is_ignored_and_named() -> None:
    """A block of a sort that nobody asked for is noted by its type."""
    decoder = Decoder()
    decoder.feed((CASSETTES / "paused.sse").read_bytes())
    assert {"server_tool_use", "web_search_tool_result"} == decoder.ignored


def test_pieces_of_a_block_that_never_began_are_skipped() -> None:
    """They belong to nothing, and neither does the end of it, or an empty thought that nobody may read."""
    empty = event("content_block_start", index=1, content_block={"type": "redacted_thinking", "data": ""})
    ended = event("content_block_stop", index=0)
    bare = event("message_delta", delta={})
    assert [Finish("stop")] == hear(said("Hi"), ended, empty, event("message_start"), bare, STOPPED, OVER)


def test_words_before_an_error_in_the_same_read_are_told_first() -> None:
    """The error is kept until they are handed on, and what follows it is not heard."""
    decoder = Decoder()
    broken = event("error", error={"type": "api_error", "message": "x"})
    assert [Text("Hi")] == decoder.feed(TEXT + said("Hi") + broken + said("more") + STOPPED)
    assert decoder.error is not None
    assert "server_error" == decoder.error.fault
    with pytest.raises(UpstreamError, match="reported an error"):
        decoder.end()


def test_a_call_without_a_name_is_an_error() -> None:
    """Nobody can run it."""
    with pytest.raises(UpstreamError, match="without naming it"):
        hear(begun(type="tool_use", id="toolu_1"))


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: <html>\n\n",
        b"data: {\n\n",
        b'data: {"type": 7}\n\n',
        b'data: "\xff"\n\n',
        b"data: {}\n\n",
        b"Internal Server Error\n\n",
        b"[1, 2]",
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_garbage_is_an_error(garbage: bytes) -> None:
    """Whatever is no event is the upstream's fault, and is not quoted."""
    with pytest.raises(UpstreamError) as caught:
        hear(TEXT[: 0 if garbage[:1] == b"[" else None], garbage)
    assert caught.value.fault == "server_error"
    assert "html" not in str(caught.value)


@given(st.lists(st.text(min_size=1), min_size=1), st.data())
def test_any_text_survives_any_cutting(pieces: list[str], draw: st.DataObject) -> None:
    """What was said is what is heard: any pieces of text, in any reads."""
    stream = TEXT + b"".join(map(said, pieces)) + STOPPED + OVER
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    heard = hear(*(stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])))
    assert [*(Text(piece) for piece in pieces), Finish("stop")] == heard


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_break_the_decoder(chunks: list[bytes]) -> None:
    """Whatever an upstream sends is either heard or an `UpstreamError`."""
    try:
        heard = hear(*chunks)
    except UpstreamError:
        return
    assert [] == heard
