"""Streams of the Responses API, written in the shapes of recordings: heard alike, however the bytes are cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.backends import UpstreamError
from antiphon.backends.responses import Decoder
from antiphon.core.deltas import Began, Call, Delta, Finish, Made, Refused, Text, Thought, Went, Wrote
from antiphon.protocol.calls import McpApprovalRequest, McpCall, McpHttpError, McpListTools, McpToolListing
from antiphon.protocol.content import Logprob, TopLogprob
from antiphon.protocol.response import InputTokens, OutputTokens, Usage

CASSETTES = Path(__file__).parent.parent / "cassettes" / "responses"
MCPL = "mcpl_034c5e93e2fa45ad006a2c2b74d53c819dbb"
MCP = "mcp_04a97b4fce127879006949a87c14248195ac"
ASK = McpApprovalRequest(
    id="mcpr_04a97b4fce127879006949a83ac9308195a701", arguments='{"q":"fjord"}', name="search", server_label="wiki"
)
TOOL = McpToolListing(
    name="search",
    input_schema={"properties": {"q": {"default": None, "type": "string"}}, "type": "object"},
    annotations={"read_only": False},
)


def spent(heard: int, said: int, *, cached: int = 0, thought: int = 0) -> Usage:
    """Usage, in tokens."""
    return Usage(
        input_tokens=heard,
        input_tokens_details=InputTokens(cached_tokens=cached),
        output_tokens=said,
        output_tokens_details=OutputTokens(reasoning_tokens=thought),
        total_tokens=heard + said,
    )


def listing(number: str, label: str = "wiki", *, tools: bool = False) -> McpListTools:
    """A list of tools."""
    return McpListTools(id=MCPL + number, server_label=label, tools=[TOOL] if tools else [])


LISTED: list[Delta] = [
    Began(listing("01")),
    Went(MCPL + "01", "response.mcp_list_tools.in_progress"),
    Went(MCPL + "01", "response.mcp_list_tools.completed"),
    Made(listing("01", tools=True)),
]
BEGUN = McpCall(id=MCP + "01", status="in_progress", arguments="", name="search", server_label="wiki")
FAILED = McpCall(
    id=MCP + "02",
    status="failed",
    arguments='{"q":"x"}',
    name="search",
    server_label="wiki",
    error=McpHttpError(code=500, message="An unknown error occurred while executing the tool."),
)
YES = TopLogprob(token="Yes", logprob=-0.25, bytes=[89, 101, 115])

SAID: dict[str, list[Delta]] = {
    "openai-text.sse": [Text("Grüße"), Text(", 世界 👋"), Finish("stop", spent(12, 5, cached=8))],
    "openai-logprobs.sse": [
        Text(
            "Yes",
            [
                Logprob(
                    token="Yes",
                    logprob=-0.25,
                    bytes=[89, 101, 115],
                    top_logprobs=[YES, TopLogprob(token="No", logprob=-1.5)],
                )
            ],
        ),
        Text(
            "👋",
            [
                Logprob(token="\\xf0\\x9f", logprob=-0.5, bytes=[240, 159]),
                Logprob(token="\\x91\\x8b", logprob=-0.0, bytes=[145, 139]),
            ],
        ),
        Finish("stop", spent(3, 3)),
    ],
    "openai-summary.sse": [
        Thought("**Adding**\n\nTwo"),
        Thought(" and two."),
        Thought("\n\n"),
        Thought("**Checking**"),
        Thought("\n\n"),
        Thought("Sure."),
        Text("Four"),
        Finish("stop", spent(11, 90, thought=64)),
    ],
    "openai-two-calls.sse": [
        Call("0", "weather"),
        Call("0", arguments='{"city":'),
        Call("0", arguments='"Oslo"}'),
        Call("1", "clock"),
        Call("1", arguments="{}"),
        Finish("stop", spent(40, 20)),
    ],
    "openai-custom-call.sse": [
        Call("0", "sql"),
        Call("0", arguments='{"input":"select \\"a\\"'),
        Call("0", arguments="\\nfrom é"),
        Call("0", arguments='"}'),
        Finish("stop", spent(10, 6)),
    ],
    "openai-refusal.sse": [Refused("I cannot"), Refused(" do that."), Finish("stop", spent(9, 4))],
    "openai-phases.sse": [
        Text("Let me look."),
        Text("\n\n"),
        Text("It is"),
        Text("\nblue."),
        Finish("stop", spent(9, 9)),
    ],
    "openai-incomplete.sse": [Text("Once upon"), Text(" a"), Finish("max_output_tokens", spent(8, 16))],
    "azure-filtered.sse": [Text("Well"), Finish("content_filter", spent(8, 2))],
    "vllm-reasoning-and-calls.sse": [
        Thought("Let me"),
        Thought(" see."),
        Call("0", "add"),
        Call("0", arguments='{"a":'),
        Call("0", arguments="1}"),
        Call("1", "sub"),
        Call("1", arguments='{"b":2}'),
        Finish("stop", spent(15, 6, cached=4, thought=3)),
    ],
    "openai-mcp.sse": [
        *LISTED,
        Began(BEGUN),
        Went(MCP + "01", "response.mcp_call.in_progress"),
        Wrote(MCP + "01", '{"q":"fjord"}'),
        Went(MCP + "01", "response.mcp_call.completed"),
        Made(
            McpCall(
                id=MCP + "01",
                status="completed",
                arguments='{"q":"fjord"}',
                name="search",
                server_label="wiki",
                output="A fjord is deep.",
            )
        ),
        Began(McpCall(id=MCP + "02", status="in_progress", arguments="", name="search", server_label="wiki")),
        Went(MCP + "02", "response.mcp_call.in_progress"),
        Wrote(MCP + "02", '{"q":"x"}'),
        Went(MCP + "02", "response.mcp_call.failed"),
        Made(FAILED),
        Text("Deep."),
        Finish("stop", spent(300, 40, cached=128)),
    ],
    "openai-mcp-approval.sse": [*LISTED, Began(ASK), Made(ASK), Finish("stop", spent(200, 20))],
    "openai-mcp-parallel-lists.sse": [
        Began(listing("01")),
        Began(listing("02", "files")),
        Went(MCPL + "02", "response.mcp_list_tools.completed"),
        Went(MCPL + "01", "response.mcp_list_tools.completed"),
        Text("Ready."),
        Made(listing("01", tools=True)),
        Made(listing("02", "files", tools=True)),
        Finish("stop", spent(100, 2)),
    ],
    "openai-web-search.sse": [Text("Found."), Finish("stop", spent(10, 2))],
}

TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."
FAULTS = {
    "openai-rate-limit.sse": (
        "rate_limit_exceeded",
        "The model's server is receiving too many requests. Please try again later.",
    ),
    "openai-failed.sse": ("server_error", "The model's server reported an error."),
    "openai-too-long.sse": ("context_length_exceeded", TOO_LONG),
    "openai-bad-image.sse": ("invalid_request", "The image file was not found."),
    "flat-error.sse": ("server_error", "The model's server reported an error."),
    "plain-error.json": ("context_length_exceeded", TOO_LONG),
}


def hear(*chunks: bytes, hosted: bool = True) -> list[Delta]:
    """Decode a whole stream, cut as given."""
    decoder = Decoder(hosted=hosted)
    deltas = [delta for chunk in chunks for delta in decoder.feed(chunk)]
    return deltas + decoder.end()


def frame(type: str, **fields: object) -> bytes:
    """One event."""
    return f"event: {type}\ndata: {json.dumps({'type': type, **fields})}\n\n".encode()


def added(item: dict[str, object], index: int = 0) -> bytes:
    """An item begins."""
    return frame("response.output_item.added", item=item, output_index=index)


COMPLETED = frame("response.completed", response={"status": "completed"})


def test_every_cassette_is_heard() -> None:
    """No recording lies unused."""
    names = {file.name for file in CASSETTES.iterdir()}
    assert names == SAID.keys() | FAULTS.keys()


@pytest.mark.parametrize("name", SAID)
def test_a_recorded_stream_becomes_deltas(name: str) -> None:
    """Each cassette says what it holds."""
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
def test_a_recorded_error_has_its_fault(name: str) -> None:
    """An error inside of a stream is told by whose fault it is, and in our words."""
    with pytest.raises(UpstreamError) as caught:
        hear((CASSETTES / name).read_bytes())
    assert FAULTS[name] == (caught.value.fault, str(caught.value))


@pytest.mark.parametrize("name", SAID)
def test_a_stream_that_is_cut_short_never_finishes(name: str) -> None:
    """What was said is heard, and that it was not all is known by the missing `Finish`."""
    stream = (CASSETTES / name).read_bytes()
    heard = hear(stream[: max(stream.rfind(b"event: response.completed"), stream.rfind(b"event: response.incomplete"))])
    assert heard
    assert not any(isinstance(delta, Finish) for delta in heard)


def test_what_the_upstreams_tools_make_is_ignored_where_it_was_handed_none() -> None:
    """The rest is heard, and the types of what is not are known."""
    decoder = Decoder()
    deltas = decoder.feed((CASSETTES / "openai-mcp.sse").read_bytes())
    assert [Text("Deep."), Finish("stop", spent(300, 40, cached=128))] == deltas
    assert {"mcp_list_tools", "mcp_call"} == decoder.ignored


def test_nothing_is_heard_after_the_end() -> None:
    """The last delta does not wait for the connection to end, and comes once."""
    decoder = Decoder()
    assert [Finish("stop")] == decoder.feed(COMPLETED)
    assert decoder.finished
    assert [] == decoder.feed(frame("response.output_text.delta", delta="more")) + decoder.end()


def test_a_call_that_comes_in_one_piece_is_heard() -> None:
    """Some upstreams send neither fragments nor a beginning."""
    call = {"type": "function_call", "id": "fc_1", "name": "add", "arguments": "{}"}
    whole = frame("response.function_call_arguments.done", item_id="fc_1", arguments="{}")
    done = frame("response.output_item.done", item=call, output_index=0)
    expected: list[Delta] = [Call("0", "add"), Call("0", arguments="{}"), Finish("stop")]
    assert expected == hear(done, COMPLETED)
    assert expected == hear(added({**call, "arguments": ""}), whole, done, COMPLETED)


def test_an_empty_custom_call_is_an_empty_text() -> None:
    """Its arguments are JSON nevertheless."""
    call: dict[str, object] = {"type": "custom_tool_call", "id": "ctc_1", "name": "sql", "input": ""}
    done = frame("response.output_item.done", item=call, output_index=0)
    assert [Call("0", "sql"), Call("0", arguments='{"input":""}'), Finish("stop")] == hear(added(call), done, COMPLETED)


def test_a_fragment_without_a_call_is_skipped() -> None:
    """Nobody knows what it belongs to."""
    stray = frame("response.function_call_arguments.delta", item_id="fc_1", output_index=3, delta="{")
    assert [Finish("stop")] == hear(stray, COMPLETED)


def test_a_call_without_a_name_is_an_error() -> None:
    """Nobody can run it."""
    with pytest.raises(UpstreamError, match="without naming it"):
        hear(added({"type": "function_call", "id": "fc_1"}))


def test_an_event_of_an_unknown_type_is_skipped() -> None:
    """The API grows; whatever such an event holds, it is not looked at."""
    unknown = frame("response.shell_call_output_content.delta", delta={"stdout": "x"}, item_id=7)
    assert [Finish("stop")] == hear(unknown, frame("keepalive"), COMPLETED)


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: <html>\n\n",
        b"data: {\n\n",
        b"data: [1, 2]\n\n",
        b'data: {"x": 1}\n\n',
        b'data: {"type": "response.completed"}\n\n',
        b'data: {"type": "response.output_text.delta", "delta": 7}\n\n',
        b'data: "\xff"\n\n',
        b"Internal Server Error\n\n",
        b"<html><body>502</body></html>",
        b'{"id": "resp_1", "object": "response", "status": "completed", "output": [], "error": null}',
        added({"type": "mcp_call", "id": "mcp_1"}),
        added({"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "a", "tools": 7}),
    ],
)
def test_garbage_is_an_error(garbage: bytes) -> None:
    """Whatever is no event of the API is the upstream's fault, and is not quoted."""
    with pytest.raises(UpstreamError) as caught:
        hear(garbage)
    assert caught.value.fault == "server_error"
    assert "html" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("server_error", "server_error"),
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        ("insufficient_quota", "rate_limit_exceeded"),
        ("invalid_prompt", "invalid_request"),
        ("image_too_large", "invalid_request"),
        ("vector_store_timeout", "timeout"),
        ("content_filter", "content_filter"),
        ("context_length_exceeded", "context_length_exceeded"),
        ("whatever", "server_error"),
    ],
)
def test_a_failed_response_has_the_fault_that_its_code_names(code: str, fault: str) -> None:
    """The codes of the API are understood."""
    with pytest.raises(UpstreamError) as caught:
        hear(frame("response.failed", response={"status": "failed", "error": {"code": code, "message": "No."}}))
    assert fault == caught.value.fault


def test_a_failed_response_without_a_reason_is_the_upstreams_fault() -> None:
    """Nothing more is known."""
    with pytest.raises(UpstreamError, match="reported an error") as caught:
        hear(frame("response.failed", response={"status": "failed", "error": None}))
    assert caught.value.fault == "server_error"


def test_what_was_said_before_an_error_is_heard() -> None:
    """The words of the same read come first, and nothing after them."""
    text = frame("response.output_text.delta", item_id="msg_1", output_index=0, delta="So far")
    decoder = Decoder()
    assert [Text("So far")] == decoder.feed(text + frame("error", error={"code": "server_error"}) + text)
    assert decoder.error is not None
    with pytest.raises(UpstreamError):
        decoder.feed(text)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_break_the_decoder(chunks: list[bytes]) -> None:
    """Whatever an upstream sends is either heard, or cut short, or an `UpstreamError`."""
    try:
        heard = hear(*chunks)
    except UpstreamError:
        return
    assert heard == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "error"]), inner),
    max_leaves=5,
)
TYPES = [
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.mcp_call.completed",
    "response.function_call_arguments.done",
    "response.completed",
    "response.failed",
    "error",
]


@given(
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(["item", "item_id", "delta", "response", "error", "message", "code"]), VALUES),
)
def test_no_fields_break_the_decoder(type: str, fields: dict[str, object]) -> None:
    """An event may hold anything under its names."""
    try:
        hear(frame(type, **fields))
    except UpstreamError:
        return
