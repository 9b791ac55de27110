"""Short, old and resent forms of input are read as what they mean."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpListTools,
    Program,
    ProgramOutput,
    SearchAction,
    SearchSource,
    ShellCallOutput,
    ToolSearchOutput,
    WebSearchCall,
)
from antiphon.protocol.checks import check
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import ComputerScreenshot, InputText, OutputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import (
    AdditionalTools,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    ItemReference,
    Message,
    OutputItem,
    ReasoningItem,
)
from antiphon.protocol.reading import read_request
from antiphon.protocol.tools import CustomTool, FunctionTool
from tests.protocol.recorded_items import RECORDED

Json = dict[str, Any]  # what a client may send

ADDED_BY_CLIENTS: Json = {"parsed": {"a": None}, "created_by": "x", "response_id": "resp_1", "agent": None}
NULLS: Json = {"status": None, "phase": None, "encrypted_content": None, "results": None, "namespace": None}


def items(*sent: Any) -> list[Item]:  # what a client may send
    """Read items as a request's input."""
    return read_request(msgspec.json.encode({"input": list(sent)})).request.input


@pytest.mark.parametrize("sent", RECORDED.values(), ids=RECORDED)
def test_every_recorded_item_may_be_sent_back(sent: Json) -> None:
    """A client that resends an output is understood, whatever it added to it."""
    more = {"role": "user", "content": "Go on."}
    received = read_request(msgspec.json.encode({"input": [{**NULLS, **sent, **ADDED_BY_CLIENTS}, more]}))
    check(received.request)
    kept = msgspec.to_builtins(received.request.input[0])
    assert {"type": sent["type"], "id": sent["id"]} == {"type": kept["type"], "id": kept["id"]}
    assert {"parsed": {}, "created_by": "x", "response_id": "resp_1"} == received.extras[0]


UNRECORDED: list[OutputItem] = [
    FunctionCallOutput(id="fco_1", call_id="c", output="a"),
    CustomToolCallOutput(id="ctco_1", call_id="c", output=[InputText(text="a")]),
    ComputerCallOutput(id="cuo_1", call_id="c", output=ComputerScreenshot(file_id="file-1")),
    Program(id="cm_1", call_id="c", code="a", fingerprint="b"),
    ProgramOutput(id="cmo_1", call_id="c", result="a"),
    AdditionalTools(id="at_1", tools=[FunctionTool(name="f", parameters={"default": None})]),
    LocalShellCallOutput(id="lsho_1", output="{}"),
    ApplyPatchCallOutput(id="apco_1", call_id="c", status="failed"),
    McpApprovalResponse(id="mcpa_1", approval_request_id="mcpr_1", approve=True),
    ShellCallOutput(id="sho_1", call_id="c", output=[]),
    ToolSearchOutput(id="tso_1", call_id="c", execution="client", tools=[CustomTool(name="t")]),
]
OURS: list[Json] = [*RECORDED.values(), *(msgspec.to_builtins(item) for item in UNRECORDED)]
KINDS = {kind.__struct_config__.tag: kind for kind in get_args(OutputItem)}


def test_every_item_of_ours_is_among_the_examples() -> None:
    """Nothing is tested of a type that has none."""
    assert {sent["type"] for sent in OURS} == set(KINDS)


WAYS = st.sets(st.sampled_from(["without its type", "with nulls"]))


@given(st.sampled_from(OURS), WAYS, st.dictionaries(st.sampled_from("xyz"), st.integers()))
def test_our_own_output_is_understood_however_a_client_has_stored_it(sent: Json, ways: set[str], more: Json) -> None:
    """Without its type, with a null for every key that it lacks, with keys of the client's own."""
    stored = {**sent, **more}
    if "without its type" in ways:
        del stored["type"]
    if "with nulls" in ways:
        stored |= dict.fromkeys(set(KINDS[sent["type"]].__struct_encode_fields__) - set(sent))
    received = read_request(msgspec.json.encode({"input": [stored]}))
    assert items(sent) == received.request.input
    assert [more] == received.extras


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ({"call_id": "c", "output": "a"}, FunctionCallOutput),
        ({"call_id": "c", "output": [{"type": "input_text", "text": "a"}]}, FunctionCallOutput),
        ({"call_id": "c", "name": "f", "arguments": "{}"}, FunctionCall),
        ({"call_id": "c", "name": "f", "input": "a"}, CustomToolCall),
        ({"call_id": "c", "operation": {"type": "delete_file", "path": "a"}}, ApplyPatchCall),
        ({"approval_request_id": "mcpr_1", "approve": False}, McpApprovalResponse),
        ({"summary": []}, ReasoningItem),
        ({"id": "mine", "summary": []}, ReasoningItem),
        ({"id": 7, "summary": []}, None),
        ({"id": "mine", "text": "a"}, None),
        ({"id": "ref_1", "text": "a"}, None),
    ],
)
def test_an_item_without_a_type_is_known_by_its_keys(sent: Json, kind: type[Item] | None) -> None:
    """And one that could be anything is refused."""
    if kind is not None:
        assert isinstance(items(sent)[0], kind)
        return
    with pytest.raises(ApiError):
        items(sent)


@pytest.mark.parametrize("sent", RECORDED.values(), ids=RECORDED)
def test_a_recorded_item_is_kept_whole(sent: Json) -> None:
    """Nothing that the live service says of an item is lost by reading it; what it leaves out may be filled in."""
    assert_holds(msgspec.to_builtins(items(sent)[0]), sent)


def assert_holds(kept: Any, sent: Any) -> None:  # JSON of the live service
    """Whatever ``sent`` says, ``kept`` says too."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            if value is not None:
                assert_holds(kept[key], value)
    elif isinstance(sent, list):
        assert len(kept) == len(sent)
        for one, other in zip(kept, sent, strict=True):
            assert_holds(one, other)
    else:
        assert kept == sent


def test_a_string_is_a_message_of_the_user() -> None:
    """The shortest input there is."""
    request = read_request(b'{"input":"hi"}').request
    assert request.input == [Message(role="user", content=[InputText(text="hi")])]


def test_an_absent_input_is_no_item() -> None:
    """A request may go on from a response with nothing new to say."""
    received = read_request(b'{"input":null}')
    assert (received.request.input, received.extras) == ([], [])


@pytest.mark.parametrize("role", ["user", "system", "developer"])
def test_a_role_and_a_text_are_a_message_to_the_model(role: Any) -> None:  # a literal of the protocol
    """``type`` may be left out, and content may be a string."""
    assert items({"role": role, "content": "hi"}) == [Message(role=role, content=[InputText(text="hi")])]


def test_what_the_assistant_said_is_output() -> None:
    """A string of the assistant's is read as its own words."""
    assert items({"role": "assistant", "content": "hi"}) == [
        Message(role="assistant", content=[OutputText(text="hi", annotations=[])])
    ]


def test_output_text_may_leave_out_its_annotations() -> None:
    """A client that writes an answer of the model's by hand need not know of citations."""
    assert items({"role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}) == [
        Message(role="assistant", content=[OutputText(text="hi")])
    ]


def test_an_id_alone_refers_to_an_item() -> None:
    """A client that keeps ids sends nothing else."""
    assert items({"id": "msg_1"}, {"type": None, "id": "msg_2"}) == [
        ItemReference(id="msg_1"),
        ItemReference(id="msg_2"),
    ]


def test_arguments_of_an_approval_request_may_be_an_object() -> None:
    """The document that this server implements shows them so; they are kept as JSON text."""
    sent = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "f", "server_label": "s", "arguments": {"a": None}}
    assert items(sent) == [McpApprovalRequest(id="mcpr_1", name="f", server_label="s", arguments='{"a":null}')]


def test_the_error_of_a_list_of_tools_may_be_an_object() -> None:
    """Some servers give one; it is kept as JSON text."""
    sent = {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": [], "error": {"code": 1}}
    assert items(sent) == [McpListTools(id="mcpl_1", server_label="s", tools=[], error='{"code":1}')]


def test_a_screenshot_may_be_sent_as_an_image() -> None:
    """The first clients of computer use did."""
    sent = {
        "type": "computer_call_output",
        "call_id": "call_1",
        "output": {"type": "input_image", "image_url": "https://a.example/x.png"},
    }
    match items(sent):
        case [ComputerCallOutput(output=screenshot)]:
            assert screenshot.image_url == "https://a.example/x.png"
        case other:
            pytest.fail(repr(other))


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"type": "find", "url": "u", "pattern": "p"}, {"type": "find_in_page", "url": "u", "pattern": "p"}),
        (
            {"type": "search", "query": "q", "sources": [{"type": "url", "url": "u"}, {"type": "api", "name": "n"}]},
            {"type": "search", "query": "q", "sources": [{"type": "url", "url": "u"}]},
        ),
    ],
)
def test_an_action_of_a_search_is_read_in_its_older_forms(action: Json, expected: Json) -> None:
    """A history may be older than the names in it, and hold sources that are no pages."""
    kept = msgspec.to_builtins(items({"type": "web_search_call", "id": "ws_1", "action": action})[0])
    assert kept["action"] == expected


def test_sources_that_are_pages_stay() -> None:
    """The common case of a search that was resent."""
    sent = {"type": "web_search_call", "action": {"type": "search", "sources": [{"type": "url", "url": "u"}]}}
    assert items(sent) == [WebSearchCall(action=SearchAction(sources=[SearchSource(url="u")]))]


def test_nulls_are_absent_at_every_depth() -> None:
    """SDKs write what they do not know as null."""
    sent = {
        "type": "message",
        "role": "assistant",
        "id": "msg_1",
        "status": None,
        "phase": None,
        "content": [{"type": "output_text", "text": "hi", "annotations": None, "logprobs": None}],
    }
    assert items(sent) == [Message(role="assistant", id="msg_1", content=[OutputText(text="hi")])]
    assert items({"type": "reasoning", "summary": [], "encrypted_content": None, "content": None, "status": None}) == [
        ReasoningItem(summary=[])
    ]


def test_a_null_in_a_schema_is_a_value() -> None:
    """A default of null means something; so does a null among arguments and in ``strict``."""
    schema = {"type": "object", "properties": {"a": {"default": None, "enum": [None]}}}
    listing = {"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "f", "input_schema": schema}]}
    match items(listing, {"type": "tool_search_call", "arguments": {"paths": None}}):
        case [McpListTools(tools=[tool]), search]:
            assert tool.input_schema == schema
            assert msgspec.to_builtins(search)["arguments"] == {"paths": None}
        case other:
            pytest.fail(repr(other))


def test_a_null_strict_of_an_added_tool_stays() -> None:
    """For a function, ``strict`` of null means false, and a missing one means: if the schema allows it."""
    tool = {"type": "function", "name": "f", "strict": None, "parameters": {"default": None}}
    match items({"type": "additional_tools", "role": None, "tools": [tool]}):
        case [AdditionalTools(tools=[FunctionTool() as added])]:
            assert (added.strict, added.parameters) == (None, {"default": None})
        case other:
            pytest.fail(repr(other))


@pytest.mark.parametrize("kind", [[], {}, 1, True])
def test_a_type_that_is_no_word_is_refused(kind: Any) -> None:  # what a client may send
    """An item of no kind at all is refused where it stands, with nulls in it or without."""
    with pytest.raises(ApiError) as caught:
        items({"type": kind, "status": None})
    assert (caught.value.code, caught.value.param) == ("invalid_type", "input[0].type")


def test_unknown_keys_of_an_item_are_returned_beside_it() -> None:
    """They are kept with the item; unknown keys further down have no effect."""
    received = read_request(
        msgspec.json.encode({
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "a", "x": 1}], "b": [2]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{", "parsed_arguments": {}},
                {"role": "user", "content": "c"},
            ]
        })
    )
    assert received.extras == [{"b": [2]}, {"parsed_arguments": {}}, {}]


def test_arguments_of_a_call_need_not_be_complete() -> None:
    """A call that was cut short comes back as it is."""
    sent = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a', "status": "incomplete"}
    assert items(sent) == [FunctionCall(call_id="c", name="f", arguments='{"a', status="incomplete")]
    assert items(sent)[0].id == ""
    assert isinstance(items(sent)[0], FunctionCall)
    assert items({**sent, "namespace": None})[0] == FunctionCall(
        call_id="c", name="f", arguments='{"a', status="incomplete", namespace=UNSET
    )
