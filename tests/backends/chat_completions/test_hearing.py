"""Every upstream's dialect, recorded: what it says is heard alike, however the bytes are cut."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.backends import UpstreamError
from antiphon.backends.chat_completions import Decoder
from antiphon.core.deltas import Call, Delta, Finish, Keepsake, Refused, Summary, Text, Thought
from antiphon.protocol.content import Logprob, TopLogprob
from antiphon.protocol.response import InputTokens, OutputTokens, Usage

if TYPE_CHECKING:
    from antiphon.backends.chat_completions.config import ThinkTags

CASSETTES = Path(__file__).parent.parent / "cassettes" / "chat_completions"


def spent(heard: int, said: int, *, cached: int = 0, thought: int = 0) -> Usage:
    """Usage, in tokens."""
    return Usage(
        input_tokens=heard,
        input_tokens_details=InputTokens(cached_tokens=cached),
        output_tokens=said,
        output_tokens_details=OutputTokens(reasoning_tokens=thought),
        total_tokens=heard + said,
    )


def logprob(token: str) -> Logprob:
    """A token of the recordings."""
    return Logprob(token=token, logprob=-0.5, bytes=list(token.encode()))


YES = TopLogprob(token="Yes", logprob=-0.25, bytes=[89, 101, 115])
NO = TopLogprob(token="No", logprob=-1.5)

SAID: dict[str, list[Delta]] = {
    "openai-text.sse": [Text("Grüße"), Text(", 世界 👋"), Finish("stop", spent(12, 5, cached=8))],
    "openai-refusal.sse": [Refused("I cannot"), Refused(" do that."), Finish("stop", spent(9, 4))],
    "openai-two-calls.sse": [
        Call("0", "weather", '{"city":'),
        Call("0", arguments='"Oslo"}'),
        Call("1", "clock", "{}"),
        Finish("stop", spent(40, 20)),
    ],
    "openai-logprobs.sse": [
        Text("Yes", [Logprob(token="Yes", logprob=-0.25, bytes=[89, 101, 115], top_logprobs=[YES, NO])]),
        Text(
            "👋",
            [
                Logprob(token="\\xf0\\x9f", logprob=-0.5, bytes=[240, 159]),
                Logprob(token="\\x91\\x8b", logprob=-0.0, bytes=[145, 139]),
            ],
        ),
        Finish("max_output_tokens", spent(3, 3)),
    ],
    "azure-filtered.sse": [Text("Well"), Text(", then"), Finish("content_filter", spent(7, 2))],
    "vllm-reasoning.sse": [
        Thought("Let me"),
        Thought(" see."),
        Text("42"),
        Finish("stop", spent(15, 6, thought=5)),
    ],
    "vllm-call.sse": [
        Call("0", "search", '{"q": "caf'),
        Call("0", arguments='é"}'),
        Finish("stop", spent(30, 11)),
    ],
    "vllm-think-tags.sse": [
        Thought("Größe"),
        Thought(" <2"),
        Thought("?"),
        Text("Ja", [logprob("Ja")]),
        Text(".", [logprob(".")]),
        Finish("stop", spent(12, 10, thought=8)),
    ],
    "vllm-no-thought.sse": [Text("Hi"), Finish("stop", spent(12, 5))],
    "vllm-prompted-thinking.sse": [
        Thought("Okay"),
        Thought(", 2"),
        Thought("."),
        Text("Fo"),
        Text("ur"),
        Finish("stop", spent(12, 8, thought=5)),
    ],
    "llama-cpp-text.sse": [
        Thought("Hm."),
        Text("Hi"),
        Text(" there"),
        Finish("stop", spent(10, 3, cached=4, thought=1)),
    ],
    "llama-cpp-call.sse": [
        Call("0", "add", "{"),
        Call("0", arguments='"a":1,'),
        Call("0", arguments='"b":2}'),
        Finish("stop", spent(10, 3, cached=4)),
    ],
    "ollama-two-calls.sse": [
        Call("0", "weather", '{"city":"Oslo"}'),
        Call("1", "weather", '{"city":"Rome"}'),
        Finish("stop", spent(170, 36)),
    ],
    "ollama-thinking.sse": [Thought("Short"), Thought(" one."), Text("Sure"), Finish("stop")],
    "sglang-calls.sse": [
        Call("0", "weather", '{"city": '),
        Call("0", arguments='"Oslo"}'),
        Call("1", "clock", "{}"),
        Finish("stop", spent(20, 18, thought=5)),
    ],
    "deepseek-reasoning.sse": [
        Thought("Two and"),
        Thought(" two."),
        Text("Four"),
        Finish("stop", spent(11, 9, cached=3, thought=6)),
    ],
    "gemini-calls.sse": [
        Call("0", "weather", '{"city":"Oslo"}'),
        Call("1", "clock", '{"zone":'),
        Call("1", arguments='"CET"}'),
        Finish("stop", spent(50, 9)),
    ],
    "mistral-thinking.sse": [
        Thought("Hm,"),
        Thought(" yes"),
        Text("Yes"),
        Text("."),
        Finish("max_output_tokens", spent(4, 4, thought=3)),
    ],
    "mistral-think-tags.sse": [
        Thought("Hm."),
        Thought(" Yes."),
        Call("0", "add", "{}"),
        Finish("stop", spent(9, 8, thought=5)),
    ],
    "openrouter-summary.sse": [
        Summary("**Adding**", 0),
        Summary(" Two.", 0),
        Summary("**Done**", 1),
        Keepsake(
            "encrypted",
            '{"type":"reasoning.encrypted","data":"gAAAAABo9x","format":"openai-responses-v1","id":"rs_0a1b","index":2}',
        ),
        Text("Four"),
        Finish("stop", spent(8, 70, thought=64)),
    ],
    "openrouter-signature.sse": [
        Thought("Let me"),
        Thought(" see."),
        Keepsake(
            "signature",
            '{"type":"reasoning.text","signature":"ErUBCkYI","format":"anthropic-claude-v1","index":0}',
        ),
        Call("0", "add", '{"a":1}'),
        Finish("stop", spent(8, 20, thought=10)),
    ],
    "interleaved-calls.sse": [
        Call("0", "get_weather", '{"x"'),
        Call("1", "clock", "{"),
        Call("1", arguments="}"),
        Call("0", arguments=":1}"),
        Call("2", "stop_it"),
        Finish("stop"),
    ],
    "legacy-function-call.sse": [Call("0", "add", '{"a":1}'), Finish("stop")],
    "awkward-frames.sse": [Text("one "), Text("two"), Finish("stop")],
    "plain-completion.json": [
        Text("Né here."),
        Call("0", "add", '{"a":1}'),
        Call("1", "now"),
        Finish("stop", spent(5, 6)),
    ],
}

OPEN = frozenset({"vllm-prompted-thinking.sse"})
"""Recordings of models whose template writes the opening tag into the prompt."""

FAULTS = {
    "vllm-error.sse": ("server_error", "The model's server reported an error."),
    "vllm-abort.sse": ("server_error", "The model's server gave up on the answer."),
    "llama-cpp-error.sse": (
        "context_length_exceeded",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
    "sglang-error.sse": (
        "context_length_exceeded",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
    "deepseek-overloaded.sse": ("server_error", "The model's server gave up on the answer."),
    "openrouter-rate-limit.sse": (
        "rate_limit_exceeded",
        "The model's server is receiving too many requests. Please try again later.",
    ),
    "plain-error.json": (
        "context_length_exceeded",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
    ),
}


def hear(*chunks: bytes, think_tags: ThinkTags = "auto") -> list[Delta]:
    """Decode a whole stream, cut as given."""
    decoder = Decoder(think_tags)
    deltas = [delta for chunk in chunks for delta in decoder.feed(chunk)]
    return deltas + decoder.end()


def recorded(name: str, *chunks: bytes) -> list[Delta]:
    """Decode a recording, cut as given, with the settings of its upstream."""
    return hear(*chunks, think_tags="open" if name in OPEN else "auto")


def frame(**choice: object) -> bytes:
    """One event with one choice."""
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


def test_every_cassette_is_heard() -> None:
    """No recording lies unused."""
    names = {file.name for file in CASSETTES.iterdir()}
    assert names == SAID.keys() | FAULTS.keys()


@pytest.mark.parametrize("name", SAID)
def test_a_recorded_stream_becomes_deltas(name: str) -> None:
    """Each dialect says what the recording holds."""
    assert SAID[name] == recorded(name, (CASSETTES / name).read_bytes())


@pytest.mark.parametrize("name", SAID)
def test_a_cut_at_any_byte_changes_nothing(name: str) -> None:
    """Two reads say the same as one, wherever they part, inside of a character too."""
    stream = (CASSETTES / name).read_bytes()
    assert [] == [cut for cut in range(len(stream)) if recorded(name, stream[:cut], stream[cut:]) != SAID[name]]


@pytest.mark.parametrize("name", SAID)
def test_a_stream_may_come_byte_by_byte(name: str) -> None:
    """The smallest reads say the same as one."""
    stream = (CASSETTES / name).read_bytes()
    assert SAID[name] == recorded(name, *(stream[place : place + 1] for place in range(len(stream))))


@pytest.mark.parametrize("name", FAULTS)
def test_a_recorded_error_has_its_fault(name: str) -> None:
    """An error inside of a stream is told by whose fault it is, and in our words."""
    with pytest.raises(UpstreamError) as caught:
        hear((CASSETTES / name).read_bytes())
    assert FAULTS[name] == (caught.value.fault, str(caught.value))


@pytest.mark.parametrize("name", [name for name in SAID if name.endswith("sse")])
def test_a_stream_that_is_cut_short_is_an_error(name: str) -> None:
    """Without a finish reason and without ``[DONE]`` nobody knows whether all was said."""
    stream = (CASSETTES / name).read_bytes()
    end = stream.index(b'"finish_reason":"') if b'"finish_reason":"' in stream else 0
    start_of_last = stream.rindex(b"data:", 0, end)
    with pytest.raises(UpstreamError, match="ended its stream early") as caught:
        hear(stream[:start_of_last])
    assert caught.value.fault == "server_error"


def test_done_finishes_at_once() -> None:
    """The last delta does not wait for the connection to end, and comes once."""
    decoder = Decoder()
    assert [Text("Hi")] == decoder.feed(frame(delta={"content": "Hi"}))
    assert [] == decoder.feed(frame(delta={}, finish_reason="stop"))
    assert [Finish("stop")] == decoder.feed(b"data: [DONE]\n\n")
    assert decoder.finished
    assert [] == decoder.feed(frame(delta={"content": "more"})) + decoder.end()


def test_a_finish_reason_without_done_is_a_whole_answer() -> None:
    """Some upstreams just close the connection."""
    assert [Text("Hi"), Finish("stop")] == hear(frame(delta={"content": "Hi"}), frame(delta={}, finish_reason="eos"))


def test_done_without_a_finish_reason_is_a_whole_answer() -> None:
    """Some upstreams never say why they stopped."""
    assert [Text("Hi"), Finish("stop")] == hear(frame(delta={"content": "Hi"}), b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("stop", "stop"),
        ("tool_calls", "stop"),
        ("function_call", "stop"),
        ("length", "max_output_tokens"),
        ("content_filter", "content_filter"),
        ("whatever", "stop"),
    ],
)
def test_finish_reasons_are_translated(said: str, heard: str) -> None:
    """What is not known means that the model had spoken."""
    assert [Finish(heard)] == hear(frame(delta={}, finish_reason=said))  # type: ignore[arg-type]  # a plain string


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: <html>\n\n",
        b"data: {\n\n",
        b'data: {"choices": 7}\n\n',
        b'data: "\xff"\n\n',
        b"Internal Server Error\n\n",
        b"<html><body>502</body></html>",
        b"[1, 2]",
    ],
)
def test_garbage_is_an_error(garbage: bytes) -> None:
    """Whatever is no chat completion is the upstream's fault, and is not quoted."""
    with pytest.raises(UpstreamError) as caught:
        hear(frame(delta={"content": "Hi"})[: 0 if garbage[:1] in b"<[" else None], garbage)
    assert caught.value.fault == "server_error"
    assert "html" not in str(caught.value)


def test_a_chunk_without_choices_is_no_error() -> None:
    """Usage may come alone, and a chunk may hold nothing that is known."""
    usage = b'data: {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
    assert [Text("A"), Finish("stop", spent(3, 2))] == hear(
        frame(delta={"content": "A"}, finish_reason="stop"), usage, b'data: {"x": 1}\n\n', b"data: [DONE]\n\n"
    )


def test_other_choices_are_not_heard() -> None:
    """An upstream that answers twice is heard once."""
    chunk = b'data: {"choices": [{"index": 1, "delta": {"content": "B"}}, {"index": 0, "delta": {"content": "A"}}]}\n\n'
    assert [Text("A"), Finish("stop")] == hear(chunk, b"data: [DONE]\n\n")


def test_a_call_without_a_name_is_an_error() -> None:
    """Nobody can run it."""
    with pytest.raises(UpstreamError, match="without naming it"):
        hear(frame(delta={"tool_calls": [{"index": 0, "id": "a", "function": {"arguments": "{}"}}]}))


def test_an_id_that_changes_without_a_name_continues_the_call() -> None:
    """Some upstreams make up a new id for every fragment."""
    first = {"index": 0, "id": "a", "function": {"name": "add", "arguments": "{"}}
    second = {"index": 0, "id": "b", "function": {"arguments": "}"}}
    nameless = {"id": "c", "function": {"arguments": " "}}
    heard = hear(
        frame(delta={"tool_calls": [first]}), frame(delta={"tool_calls": [second, nameless]}), b"data:[DONE]\n\n"
    )
    assert [Call("0", "add", "{"), Call("0", arguments="}"), Call("0", arguments=" "), Finish("stop")] == heard


def test_an_unnumbered_call_is_known_by_its_id() -> None:
    """Where there is no index, the id says which call goes on."""
    a, b = (
        {"id": "a", "function": {"name": "add", "arguments": "{"}},
        {"id": "b", "function": {"name": "sub", "arguments": "["}},
    )
    rest = [{"id": "a", "function": {"arguments": "}"}}, {"id": "b", "function": {"arguments": "]"}}]
    heard = hear(frame(delta={"tool_calls": [a, b]}), frame(delta={"tool_calls": rest}), b"data: [DONE]\n\n")
    assert [
        Call("0", "add", "{"),
        Call("1", "sub", "["),
        Call("0", arguments="}"),
        Call("1", arguments="]"),
        Finish("stop"),
    ] == heard


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({"error": "overloaded"}, "server_error"),
        ({"error": {"message": "slow down", "type": "rate_limit_error", "code": None}}, "rate_limit_exceeded"),
        ({"error": {"message": "later", "code": "503"}}, "unavailable"),
        ({"error": {"message": "x", "type": "timeout_error"}}, "timeout"),
        (
            {"object": "error", "message": "bad", "type": "BadRequestError", "param": None, "code": 400},
            "invalid_request",
        ),
    ],
)
def test_an_error_event_has_the_fault_that_it_names(event: dict[str, object], fault: str) -> None:
    """Codes, types and flat errors are understood."""
    with pytest.raises(UpstreamError) as caught:
        hear(b"event: error\ndata: " + json.dumps(event).encode() + b"\n\n")
    assert fault == caught.value.fault


@given(st.lists(st.text(min_size=1), min_size=1), st.data())
def test_any_text_survives_any_cutting(pieces: list[str], draw: st.DataObject) -> None:
    """What was said is what is heard: any pieces of text, in any reads."""
    stream = b"".join(frame(delta={"content": piece}) for piece in pieces) + b"data: [DONE]\n\n"
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    edges = [0, *cuts, len(stream)]
    *heard, finish = hear(*(stream[start:end] for start, end in pairwise(edges)), think_tags="off")
    assert ([Text(piece) for piece in pieces], Finish("stop")) == (heard, finish)


def test_a_thought_in_tags_before_a_call_ends_with_it() -> None:
    """A call may come before the closing tag does, and a refusal too."""
    call = {"tool_calls": [{"index": 0, "function": {"name": "add", "arguments": "{}"}}]}
    done = b"data: [DONE]\n\n"
    begun = frame(delta={"content": "<think>Hm </th"})
    assert [Thought("Hm"), Thought(" </th"), Call("0", "add", "{}"), Finish("stop")] == hear(
        begun, frame(delta=call), done
    )
    assert [Thought("Hm"), Thought(" </th"), Refused("No."), Finish("stop")] == hear(
        begun, frame(delta={"refusal": "No."}), done
    )


def test_an_upstream_that_tells_thoughts_apart_itself_has_no_tags_in_its_text() -> None:
    """A template may be said to open a thought, and a parser behind it may take it out nevertheless."""
    heard = hear(
        frame(delta={"reasoning_content": "Hm."}),
        frame(delta={"content": "Four </think>"}),
        b"data: [DONE]\n\n",
        think_tags="open",
    )
    assert [Thought("Hm."), Text("Four </think>"), Finish("stop")] == heard


def test_parts_of_content_have_no_tags() -> None:
    """Whoever sends parts tells which are thoughts."""
    parts = [{"type": "text", "text": "<think>"}]
    assert [Text("<think>"), Text("<think>"), Finish("stop")] == hear(
        frame(delta={"content": parts}), frame(delta={"content": "<think>"}), b"data: [DONE]\n\n"
    )


@pytest.mark.parametrize("details", [None, [], "x", [7], [{"type": 1}], [{"type": "reasoning.other"}]])
def test_details_that_are_none_say_nothing(details: object) -> None:
    """The plain reasoning beside them is heard, and text goes on as before."""
    said = {"reasoning": "Hm.", "reasoning_details": details}
    assert [Thought("Hm."), Text("<think>"), Finish("stop")] == hear(
        frame(delta=said), frame(delta={"content": "<think>", "reasoning_details": details}), b"data: [DONE]\n\n"
    )


def detailed(*details: dict[str, object], **said: object) -> bytes:
    """A chunk with details of reasoning."""
    return frame(delta={"reasoning_details": [*details], **said})


RAW: dict[str, object] = {"type": "reasoning.text", "text": "Hm."}
SHORT: dict[str, object] = {"type": "reasoning.summary", "summary": "One."}
KEPT: dict[str, object] = {"type": "reasoning.encrypted", "data": "gAAA"}
TOKEN = Keepsake("encrypted", '{"type":"reasoning.encrypted","data":"gAAA"}')
HIDDEN = Thought("Hm.", is_private=True)


@pytest.mark.parametrize(
    ("chunks", "heard"),
    [
        ([detailed(RAW, SHORT)], [HIDDEN, Summary("One.", 0)]),
        ([detailed(SHORT), detailed(RAW)], [Summary("One.", 0), HIDDEN]),
        ([detailed({**RAW, "summary": "One."})], [HIDDEN, Summary("One.", 0)]),
        ([detailed(SHORT), frame(delta={"reasoning": "Hm."})], [Summary("One.", 0), HIDDEN]),
        ([detailed(RAW, KEPT, SHORT)], [Thought("Hm."), TOKEN, Summary("One.", 0)]),
        ([detailed(SHORT, KEPT, RAW)], [Summary("One.", 0), TOKEN, Thought("Hm.")]),
        ([detailed(SHORT), frame(delta={"content": ""}), detailed(RAW)], [Summary("One.", 0), HIDDEN]),
    ],
)
def test_text_of_a_thought_that_is_summarized_is_private(chunks: list[bytes], heard: list[Delta]) -> None:
    """Nobody is shown what the upstream's own summary stands for; the next thought is another matter."""
    assert [*heard, Finish("stop")] == hear(*chunks, b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "So."},
        {"refusal": "No."},
        {"tool_calls": [{"index": 0, "function": {"name": "add", "arguments": "{}"}}]},
        {"content": [{"type": "text", "text": "So."}]},
    ],
)
def test_a_thought_ends_where_something_else_is_said(delta: dict[str, object]) -> None:
    """What is thought next is not summarized yet, and counts the parts of its summary from 0."""
    first, _, *then, finish = hear(
        detailed({**SHORT, "index": 4}),
        frame(delta=delta),
        detailed(RAW),
        detailed({**SHORT, "index": 7}),
        b"data: [DONE]\n\n",
    )
    assert [Summary("One.", 0), Thought("Hm."), Summary("One.", 0), Finish("stop")] == [first, *then, finish]


def test_a_summary_after_a_kept_thought_begins_anew() -> None:
    """The parts of each thought are counted from 0."""
    first = {"type": "reasoning.summary", "summary": "One.", "index": 0}
    kept = {"type": "reasoning.encrypted", "data": "gAAA"}
    second = {"type": "reasoning.summary", "summary": "Two.", "index": 4}
    heard = hear(frame(delta={"reasoning_details": [first, kept, second]}), b"data: [DONE]\n\n")
    token = '{"type":"reasoning.encrypted","data":"gAAA"}'
    assert [Summary("One.", 0), Keepsake("encrypted", token), Summary("Two.", 0), Finish("stop")] == heard


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_break_the_decoder(chunks: list[bytes]) -> None:
    """Whatever an upstream sends is either heard or an `UpstreamError`."""
    try:
        heard = hear(*chunks)
    except UpstreamError:
        return
    assert isinstance(heard[-1], Finish)
