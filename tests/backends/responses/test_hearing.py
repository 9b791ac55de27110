"""Streams of the Responses API, written in the shapes of recordings: heard alike, however the bytes are cut."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.backends import UpstreamError
from antiphon.backends.responses import Decoder
from antiphon.backends.responses.pondering import Custom
from antiphon.core.deltas import (
    Began,
    Call,
    Cited,
    Delta,
    Finish,
    Keepsake,
    Made,
    Refused,
    Summary,
    Text,
    Thought,
    Voice,
    Went,
    Wrote,
)
from antiphon.protocol.calls import McpApprovalRequest, McpCall, McpHttpError, McpListTools, McpToolListing
from antiphon.protocol.content import FilePath, Logprob, TopLogprob, UrlCitation
from antiphon.protocol.response import InputTokens, OutputTokens, Usage

if TYPE_CHECKING:
    from antiphon.backends.responses.config import NativeTool

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
SHOWN_ONLY = Keepsake("encrypted", "")
"""The end of a thought of which the upstream wants nothing back."""

NAMES: dict[NativeTool, str] = {
    "shell": "shell",
    "apply_patch": "patch",
    "local_shell": "local_shell",
    "computer": "computer",
}
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
        Summary("**Adding**\n\nTwo", 0),
        Summary(" and two.", 0),
        Summary("**Checking**", 1),
        SHOWN_ONLY,
        Summary("Sure.", 0),
        SHOWN_ONLY,
        Text("Four"),
        Finish("stop", spent(11, 90, thought=64)),
    ],
    "openai-encrypted.sse": [
        Keepsake("encrypted", "gAAAAABsilent"),
        Summary("**Adding**\n\n", 0),
        Summary("Two", 0),
        Keepsake("encrypted", "gAAAAABshown"),
        Voice("final_answer"),
        Text("Four"),
        Cited(UrlCitation(url="https://example.com/sums", title="Sums", start_index=0, end_index=4)),
        Finish("stop", spent(11, 90, thought=64)),
    ],
    "openai-two-calls.sse": [
        SHOWN_ONLY,
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
        Voice("commentary"),
        Text("Let me look."),
        Voice("final_answer"),
        Text("It is"),
        Text("\nblue."),
        Finish("stop", spent(9, 9)),
    ],
    "openai-shell.sse": [
        Call("0", "shell"),
        Call("0", arguments='{"commands":["ls \\"'),
        Call("0", arguments='é\\"'),
        Call("0", arguments='","pwd'),
        Call("0", arguments='"],"timeout_ms":1000,"max_output_length":4096}'),
        Finish("stop", spent(20, 12)),
    ],
    "openai-apply-patch.sse": [
        Call("0", "patch"),
        Call("0", arguments='{"type":"update_file","path":"a.py","diff":"@@\\n-é'),
        Call("0", arguments="\\n+e\\n"),
        Call("0", arguments='"}'),
        Call("1", "patch"),
        Call("1", arguments='{"type":"delete_file","path":"b.py"}'),
        Finish("stop", spent(20, 12)),
    ],
    "openai-local-shell.sse": [
        Call("0", "local_shell"),
        Call("0", arguments='{"command":["ls","-a"],"env":{},"working_directory":"/tmp"}'),
        Finish("stop", spent(20, 12)),
    ],
    "openai-computer.sse": [
        Call("0", "computer"),
        Call(
            "0",
            arguments='{"actions":[{"type":"move","x":10,"y":20},'
            '{"type":"click","button":"left","x":438,"y":431,"keys":["SHIFT"]},{"type":"double_click","x":5,"y":6},'
            '{"type":"drag","path":[{"x":1,"y":2},{"x":300,"y":200}]},'
            '{"type":"scroll","x":512,"y":384,"scroll_x":0,"scroll_y":-480},{"type":"type","text":"Grüße 👋"},'
            '{"type":"keypress","keys":["CTRL","A"]},{"type":"wait"},{"type":"screenshot"}],'
            '"pending_safety_checks":[]}',
        ),
        Call("1", "computer"),
        Call(
            "1",
            arguments='{"actions":[{"type":"click","button":"back","x":0,"y":0}],'
            '"pending_safety_checks":[{"id":"cu_sc_0c7df91b4856b264","code":"sensitive_domain"}]}',
        ),
        Finish("stop", spent(1500, 160)),
    ],
    "openai-computer-preview.sse": [
        Summary("Looking for", 0),
        Summary(" the button.", 0),
        Keepsake("encrypted", "gAAAAABplooks"),
        Call("0", "computer"),
        Call(
            "0",
            arguments='{"actions":[{"type":"click","button":"left","x":438,"y":431}],'
            '"pending_safety_checks":[{"id":"cu_sc_0941082ef2da2799","code":"malicious_instructions",'
            '"message":"We\'ve detected instructions that may cause your application to perform malicious or '
            'unauthorized actions."}]}',
        ),
        Finish("stop", spent(1200, 48, thought=20)),
    ],
    "openai-computer-screenshot.sse": [
        Call("0", "computer"),
        Call("0", arguments='{"actions":[{"type":"screenshot"}],"pending_safety_checks":[]}'),
        Finish("stop", spent(900, 7)),
    ],
    "openai-incomplete.sse": [Text("Once upon"), Text(" a"), Finish("max_output_tokens", spent(8, 16))],
    "azure-filtered.sse": [Text("Well"), Finish("content_filter", spent(8, 2))],
    "vllm-reasoning-and-calls.sse": [
        Thought("Let me"),
        Thought(" see."),
        SHOWN_ONLY,
        Call("0", "add"),
        Call("0", arguments='{"a":'),
        Call("0", arguments="1}"),
        Call("1", "sub"),
        Call("1", arguments='{"b":2}'),
        Finish("stop", spent(15, 6, cached=4, thought=3)),
    ],
    "openai-mcp.sse": [
        *LISTED,
        SHOWN_ONLY,
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
    "openai-mcp-approval.sse": [*LISTED, SHOWN_ONLY, Began(ASK), Made(ASK), Finish("stop", spent(200, 20))],
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
    decoder = Decoder(hosted=hosted, names=NAMES)
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
    assert [SHOWN_ONLY, Text("Deep."), Finish("stop", spent(300, 40, cached=128))] == deltas
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


def text(delta: str, index: int) -> bytes:
    """A piece of a message."""
    return frame("response.output_text.delta", item_id=f"msg_{index}", output_index=index, delta=delta)


def thought(delta: str, index: int, part: int | None = 0) -> bytes:
    """A piece of raw reasoning."""
    return frame("response.reasoning_text.delta", item_id="rs", output_index=index, content_index=part, delta=delta)


def done(item: dict[str, object], index: int = 0) -> bytes:
    """An item is finished."""
    return frame("response.output_item.done", item=item, output_index=index)


REASONING: dict[str, object] = {"type": "reasoning", "id": "rs", "summary": []}


def test_messages_without_a_word_about_themselves_are_one_with_a_blank_line_between() -> None:
    """What the second one cites is counted from the beginning of the first; a call or a thought parts them."""
    path = {"type": "file_path", "file_id": "f", "index": 1}
    cited = frame("response.output_text.annotation.added", annotation=path, output_index=1)
    call: dict[str, object] = {"type": "function_call", "id": "fc", "name": "add", "arguments": "{}"}
    assert [
        Text("One."),
        Text("\n\n"),
        Text("Two."),
        Cited(FilePath(file_id="f", index=7)),
        Call("0", "add"),
        Call("0", arguments="{}"),
        Text("Three."),
        Cited(FilePath(file_id="f", index=1)),
        Finish("stop"),
    ] == hear(
        text("One.", 0), text("Two.", 1), cited, added(call, 2), done(call, 2), text("Three.", 3), cited, COMPLETED
    )


def test_a_message_after_a_tool_that_is_not_heard_of_goes_on_after_a_blank_line() -> None:
    """To the caller nothing stands between the two."""
    search: dict[str, object] = {"type": "web_search_call", "id": "ws", "status": "completed"}
    assert [Text("One."), Text("\n\n"), Text("Two."), Finish("stop")] == hear(
        text("One.", 0), added(search, 1), done(search, 1), text("Two.", 2), COMPLETED
    )


def test_what_is_cited_in_an_unknown_way_is_skipped() -> None:
    """The API grows."""
    cited = frame("response.output_text.annotation.added", annotation={"type": "footnote"}, output_index=0)
    assert [Text("One."), Finish("stop")] == hear(text("One.", 0), cited, COMPLETED)


@pytest.mark.parametrize("phase", ["aside", None, ["commentary"]])
def test_a_message_of_an_unknown_phase_is_a_message(phase: object) -> None:
    """It begins with its first word."""
    message: dict[str, object] = {"type": "message", "id": "msg", "phase": phase}
    assert [Text("One."), Finish("stop")] == hear(added(message), text("One.", 0), COMPLETED)


def test_raw_reasoning_has_a_blank_line_between_its_parts() -> None:
    """And each item is a thought of its own, whether or not its end is told; an empty piece says nothing."""
    assert [
        Thought("One."),
        Thought("\n\n"),
        Thought("Two."),
        SHOWN_ONLY,
        Thought("Three."),
        SHOWN_ONLY,
        Finish("stop"),
    ] == hear(
        added(REASONING),
        thought("One.", 0),
        thought("", 0, 1),
        thought("Two.", 0, 1),
        added(REASONING, 1),
        thought("Three.", 1, None),
        done(REASONING, 1),
        COMPLETED,
    )


def test_reasoning_by_its_older_name_is_heard() -> None:
    """Open Responses calls its events otherwise."""
    piece = frame("response.reasoning.delta", item_id="rs", output_index=0, delta="Hm.")
    assert [Thought("Hm."), SHOWN_ONLY, Finish("stop")] == hear(added(REASONING), piece, done(REASONING), COMPLETED)


def test_reasoning_that_comes_in_one_piece_is_heard() -> None:
    """Some upstreams send no pieces; those that do say it once."""
    whole: dict[str, object] = {
        **REASONING,
        "summary": [{"type": "summary_text", "text": "Short."}, {"type": "summary_text", "text": ""}],
        "content": [{"type": "reasoning_text", "text": "Long."}, {"type": "reasoning_text", "text": "More."}],
        "encrypted_content": "gAAA",
    }
    kept = Keepsake("encrypted", "gAAA")
    assert [Summary("Short.", 0), Thought("Long.\n\nMore."), kept, Finish("stop")] == hear(done(whole), COMPLETED)
    piece = frame("response.reasoning_summary_text.delta", item_id="rs", output_index=0, delta="Short.")
    empty = frame("response.reasoning_summary_text.delta", item_id="rs", output_index=0, delta="")
    said = [Summary("Short.", 0), Thought("Long.\n\nMore."), kept, Finish("stop")]
    assert said == hear(empty, piece, done(whole), COMPLETED)
    assert [Thought("Hm."), Summary("Short.", 0), kept, Finish("stop")] == hear(
        thought("Hm.", 0), done(whole), COMPLETED
    )


def summary(delta: str) -> bytes:
    """A piece of a summary."""
    return frame("response.reasoning_summary_text.delta", item_id="rs", output_index=0, delta=delta)


def reads(custom: Custom, *frames: bytes) -> list[list[Delta]]:
    """What each frame says where a summary was asked for, and then their end."""
    decoder = Decoder(custom=custom)
    said = [decoder.feed(each) for each in frames]
    return said if decoder.error else [*said, decoder.end()]


WHOLE: dict[str, object] = {
    "type": "reasoning",
    "id": "rs",
    "summary": [{"type": "summary_text", "text": "Short."}],
    "content": [{"type": "reasoning_text", "text": "Hm."}],
}
HIDDEN, SHORT = Thought("Hm.", is_private=True), Summary("Short.", 0)


@pytest.mark.parametrize(
    ("frames", "heard"),
    [
        ([thought("Hm.", 0), summary("Short."), done(REASONING)], [HIDDEN, SHORT, SHOWN_ONLY]),
        ([summary("Short."), thought("Hm.", 0), done(REASONING)], [SHORT, HIDDEN, SHOWN_ONLY]),
        ([done(WHOLE)], [SHORT, HIDDEN, SHOWN_ONLY]),
        ([summary("Short."), done(WHOLE)], [SHORT, HIDDEN, SHOWN_ONLY]),
        ([thought("Hm.", 0), done(WHOLE)], [HIDDEN, SHORT, SHOWN_ONLY]),
        ([thought("H", 0), thought("m.", 0), done(WHOLE)], [HIDDEN, SHORT, SHOWN_ONLY]),
        ([thought("Hm.", 0), summary("Short."), text("So.", 1)], [HIDDEN, SHORT, Text("So.")]),
        ([thought("Hm.", 0), summary(""), done(REASONING)], [Thought("Hm."), SHOWN_ONLY]),
        ([done({**WHOLE, "summary": []})], [Thought("Hm."), SHOWN_ONLY]),
    ],
)
def test_raw_text_that_the_upstream_summarizes_is_private(frames: list[bytes], heard: list[Delta]) -> None:
    """In pieces or whole, whichever comes first: a summary of ours is made of no text beside the upstream's own."""
    said = reads(Custom(), added(REASONING), *frames, COMPLETED)
    assert [*heard, Finish("stop")] == [delta for deltas in said for delta in deltas]


def test_raw_text_waits_for_a_summary_until_an_upstream_is_known_to_write_none() -> None:
    """From then on it is told as it comes, in the next stream too."""
    custom = Custom()
    raw = [added(REASONING), thought("H", 0), thought("m.", 0), done(REASONING)]
    at_once = [[], [Thought("H")], [Thought("m.")], [SHOWN_ONLY]]
    held = [[], [], [], [Thought("Hm."), SHOWN_ONLY]]
    assert [*held, *at_once, [Finish("stop")], []] == reads(custom, *raw, *raw, COMPLETED)
    assert [*at_once, [Finish("stop")], []] == reads(custom, *raw, COMPLETED)


def test_an_upstream_that_summarized_once_is_waited_for_ever_after() -> None:
    """Even if it did not at first, or does not any more."""
    custom = Custom()
    raw = [added(REASONING), thought("Hm.", 0), done(REASONING)]
    summed = [added(REASONING), thought("Hm.", 0), summary("Short."), done(REASONING)]
    reads(custom, *raw, COMPLETED)
    assert [[], [Thought("Hm.")], [SHORT], [SHOWN_ONLY]] == reads(custom, *summed, COMPLETED)[:-2]
    assert [[], [], [Thought("Hm."), SHOWN_ONLY]] == reads(custom, *raw, COMPLETED)[:-2]
    assert [[], [], [Thought("Hm."), SHOWN_ONLY]] == reads(custom, *raw, COMPLETED)[:-2]


BROKEN = frame("response.failed", response={"error": {"code": "server_error", "message": "Broken."}})


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ([text("So.", 1)], [Text("So.")]),
        ([frame("response.refusal.delta", item_id="msg", output_index=1, delta="No.")], [Refused("No.")]),
        ([added({"type": "message", "id": "msg", "phase": "commentary"}, 1)], [Voice("commentary")]),
        ([added(REASONING, 1)], [SHOWN_ONLY]),
        ([COMPLETED], [Finish("stop")]),
        ([BROKEN], []),
        ([], []),
    ],
)
def test_a_thought_whose_end_is_never_told_is_heard_where_it_stands(then: list[bytes], told: list[Delta]) -> None:
    """Before whatever comes next, an error too; of an upstream that summarizes, nobody is shown it."""
    for custom, shown in ((Custom(), Thought("Hm.")), (summarizing(), HIDDEN)):
        if told == [SHOWN_ONLY]:  # the thought has ended, without a summary
            shown = Thought("Hm.")  # noqa: PLW2901 - as any that has ended
        said = reads(custom, added(REASONING), thought("Hm.", 0), *then)
        assert [shown, *told] == [delta for deltas in said for delta in deltas]


def summarizing() -> Custom:
    """What is known of an upstream that has summarized a thought."""
    custom = Custom()
    custom.learn(summarized=True)
    return custom


SHELL: dict[str, object] = {"type": "shell_call", "id": "sh", "action": {"commands": ["ls", "", "pwd"]}}
PATCH: dict[str, object] = {
    "type": "apply_patch_call",
    "id": "apc",
    "operation": {"type": "create_file", "path": "a", "diff": "+b"},
}
COMMAND: dict[str, object] = {"type": "local_shell_call", "id": "lsh", "action": {"type": "exec", "command": ["ls"]}}


def command(delta: str, index: int) -> bytes:
    """A piece of a command."""
    return frame("response.shell_call_command.delta", output_index=0, command_index=index, delta=delta)


def diff(delta: str) -> bytes:
    """A piece of a diff."""
    return frame("response.apply_patch_call_operation_diff.delta", item_id="apc", output_index=0, delta=delta)


@pytest.mark.parametrize(
    ("frames", "arguments"),
    [
        ([done(SHELL)], '{"commands":["ls","","pwd"]}'),
        ([added(SHELL), done(SHELL), done(SHELL)], '{"commands":["ls","","pwd"]}'),
        ([added(SHELL), command("l", 0), command("s", 0), done(SHELL)], '{"commands":["ls","","pwd"]}'),
        ([added(SHELL), command("ls", 0), command("pwd", 2), done(SHELL)], '{"commands":["ls","","pwd"]}'),
        ([done({**SHELL, "action": {"commands": [], "timeout_ms": 5}})], '{"commands":[],"timeout_ms":5}'),
        ([done({**SHELL, "action": {"commands": []}})], '{"commands":[]}'),
        ([added(PATCH), diff(""), diff("+"), diff("b"), done(PATCH)], '{"type":"create_file","path":"a","diff":"+b"}'),
        ([done(PATCH)], '{"type":"create_file","path":"a","diff":"+b"}'),
        (
            [added({**PATCH, "operation": None}), diff("+"), done(PATCH)],
            '{"type":"create_file","path":"a","diff":"+b"}',
        ),
        (
            [added(COMMAND), frame("response.function_call_arguments.delta", item_id="lsh", delta="{"), done(COMMAND)],
            '{"command":["ls"]}',
        ),
        ([added(COMMAND), done(COMMAND)], '{"command":["ls"]}'),
    ],
)
def test_a_call_of_a_native_tool_is_that_of_its_function(frames: list[bytes], arguments: str) -> None:
    """Whatever of it comes in fragments, its arguments are the same JSON."""
    begun, *rest, finish = hear(*frames, COMPLETED)
    assert isinstance(begun, Call)
    assert arguments == "".join(call.arguments for call in rest if isinstance(call, Call))
    assert Finish("stop") == finish


@pytest.mark.parametrize("item", [SHELL, PATCH, COMMAND])
def test_a_call_of_a_native_tool_that_the_turn_has_not_is_ignored(item: dict[str, object]) -> None:
    """Nobody has offered it."""
    decoder = Decoder()
    assert [Finish("stop")] == decoder.feed(added(item) + command("ls", 0) + done(item) + COMPLETED)
    assert {item["type"]} == decoder.ignored


@pytest.mark.parametrize(
    "item", [{**SHELL, "action": None}, {**COMMAND, "action": 7}, {**PATCH, "operation": {"path": 7}}]
)
def test_a_call_of_a_native_tool_that_says_nothing_is_an_error(item: dict[str, object]) -> None:
    """Nobody can make it."""
    with pytest.raises(UpstreamError, match="no event of the Responses API"):
        hear(done(item))


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
