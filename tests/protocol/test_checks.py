"""The rules within one request, each with the error that was recorded for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from antiphon.protocol.checks import check
from antiphon.protocol.errors import ApiError
from antiphon.protocol.reading import read_request

Json = dict[str, Any]  # what a client may send

HI: Json = {"role": "user", "content": "hi"}
JSON_OBJECT: Json = {"format": {"type": "json_object"}}
IMAGE: Json = {"type": "input_image", "image_url": "nothing"}
CALL: Json = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT: Json = {"type": "function_call_output", "call_id": "c", "output": "1"}
SHOT: Json = {"type": "computer_screenshot", "image_url": "https://a.example/x.png"}

CALLS: list[Json] = [
    CALL,
    {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": ""},
    {"type": "computer_call", "call_id": "c", "action": {"type": "wait"}},
    {"type": "shell_call", "call_id": "c", "action": {"commands": []}},
    {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": []}},
    {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}},
    {"type": "tool_search_call", "call_id": "c", "arguments": {}},
    {"type": "program", "call_id": "c", "code": "", "fingerprint": ""},
]
OUTPUTS: list[Json] = [
    OUTPUT,
    {"type": "custom_tool_call_output", "call_id": "c", "output": ""},
    {"type": "computer_call_output", "call_id": "c", "output": SHOT},
    {"type": "shell_call_output", "call_id": "c", "output": []},
    {"type": "local_shell_call_output", "call_id": "c", "output": ""},
    {"type": "apply_patch_call_output", "call_id": "c"},
    {"type": "tool_search_output", "call_id": "c", "tools": []},
    {"type": "program_output", "call_id": "c", "result": ""},
]


def checked(**body: Any) -> None:  # what a client may send
    """Read and check a request."""
    check(read_request(msgspec.json.encode(body)).request)


def refused(**body: Any) -> ApiError:  # what a client may send
    """Read a request that a check must refuse."""
    request = read_request(msgspec.json.encode(body)).request
    with pytest.raises(ApiError) as caught:
        check(request)
    assert caught.value.status == 400
    return caught.value


def test_a_request_goes_on_from_a_response_or_from_a_conversation() -> None:
    """Never from both."""
    checked(previous_response_id="resp_1")
    checked(conversation="conv_1")
    assert refused(previous_response_id="resp_1", conversation={"id": "conv_1"}).code == "mutually_exclusive_parameters"


def test_a_background_run_is_kept() -> None:
    """What runs behind the caller's back must be there when it is fetched."""
    checked(background=True)
    checked(background=False, store=False)
    error = refused(background=True, store=False)
    assert (error.code, error.param) == ("unsupported_parameter", "background")


def test_options_of_a_stream_belong_to_a_stream() -> None:
    """Without a stream they say nothing."""
    checked(stream=True, stream_options={"include_obfuscation": False})
    checked(stream_options=None)
    error = refused(stream_options={"include_obfuscation": False})
    assert error.message == "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    assert error.param == "stream_options"


def test_a_strict_format_needs_a_strict_schema() -> None:
    """The words were recorded."""
    schema = {"type": "object", "properties": {}}
    wanted = {"type": "json_schema", "name": "response", "schema": schema}
    checked(text={"format": wanted})
    checked(text={"verbosity": "low"})
    error = refused(text={"format": {**wanted, "strict": True}})
    assert (error.code, error.param) == ("invalid_json_schema", "text.format.schema")
    assert error.message == (
        "Invalid schema for response_format 'response': In context=(), 'additionalProperties' is required to be "
        "supplied and to be false."
    )
    checked(text={"format": {**wanted, "strict": True, "schema": {**schema, "additionalProperties": False}}})


@pytest.mark.parametrize(
    "body",
    [
        {"input": "as JSON please"},
        {"input": "hi", "instructions": "Answer in Json."},
        {"input": [HI, {"role": "assistant", "content": "json?"}]},
        {"input": [CALL, {**OUTPUT, "output": "json"}]},
        {"input": [CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "json"}]}]},
        {"input": [{"id": "msg_1"}]},
        {"input": "hi", "previous_response_id": "resp_1"},
        {"input": "hi", "conversation": "conv_1"},
        {"input": "hi", "prompt": {"id": "pmpt_1"}},
    ],
)
def test_a_json_object_is_asked_for_in_words_too(body: Json) -> None:
    """The word may stand anywhere that the model reads, or where only the server can look."""
    checked(text=JSON_OBJECT, **body)


@pytest.mark.parametrize("items", [[HI], [], [CALL, {**OUTPUT, "output": [{"type": "input_image", "file_id": "f"}]}]])
def test_a_json_object_that_nobody_asks_for_in_words_is_refused(items: list[Json]) -> None:
    """A model that is not told writes white space without end; the words were recorded."""
    error = refused(text=JSON_OBJECT, input=items)
    assert (error.code, error.param) == (None, "input")
    assert error.message == (
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
    )


@pytest.mark.parametrize("role", ["user", "system", "developer"])
def test_callers_do_not_speak_as_the_model(role: str) -> None:
    """What the model said stands in messages of the assistant's."""
    part = {"type": "output_text", "text": "hi"}
    error = refused(input=[HI, {"role": role, "content": [{"type": "input_text", "text": "a"}, part]}])
    assert (error.code, error.param) == ("invalid_value", "input[1].content[1].type")
    assert error.message == (
        "Invalid value: 'output_text'. Supported values are: 'input_text', 'input_image', 'input_file', and "
        "'input_audio'."
    )


def test_the_model_does_not_speak_as_callers() -> None:
    """An input part in a message of the assistant's is refused."""
    error = refused(input=[{"role": "assistant", "content": [{"type": "input_text", "text": "hi"}]}])
    assert (error.code, error.param) == ("invalid_value", "input[0].content[0].type")
    assert error.message == "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'."


def test_every_part_of_a_message_is_accepted_where_it_belongs() -> None:
    """What people send and what models answer."""
    checked(
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "a"},
                    {"type": "input_image", "image_url": "https://a.example"},
                    {"type": "input_file", "file_id": "file-1"},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        ]
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": [HI, {"role": "user", "content": [IMAGE]}]}, "input[1].content[0].image_url"),
        ({"input": [{**OUTPUT, "output": [IMAGE]}]}, "input[0].output[0].image_url"),
        (
            {"input": [{"type": "custom_tool_call_output", "call_id": "c", "output": [IMAGE]}]},
            "input[0].output[0].image_url",
        ),
        (
            {"input": [{"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}}]},
            "input[0].output.image_url",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_id"),
        ({"prompt": {"id": "p", "variables": {"a": "x", "b": IMAGE}}}, "prompt.variables.b.image_url"),
    ],
)
def test_an_image_or_a_file_is_checked_wherever_it_stands(body: Json, param: str) -> None:
    """In messages, in outputs of tools, in screenshots and in variables of a prompt."""
    assert refused(**body).param == param


def test_an_item_stands_once() -> None:
    """The words are known from many reports."""
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    error = refused(input=[item, HI, HI, item])
    assert (error.code, error.param) == (None, "input")
    assert error.message == ("Duplicate item found with id rs_1. Remove duplicate items from your input and try again.")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["type"])
def test_a_call_stands_once(call: Json) -> None:
    """Two calls by one id could not be answered."""
    checked(input=[call, OUTPUT])
    assert refused(input=[CALL, call]).message == (
        "Duplicate tool call found with call_id c. Remove duplicate items from your input and try again."
    )


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output["type"])
def test_an_output_stands_once(output: Json) -> None:
    """A call has one answer."""
    checked(input=[CALL, output])
    assert refused(input=[OUTPUT, output]).message == (
        "Duplicate tool call output found with call_id c. Remove duplicate items from your input and try again."
    )


def test_calls_of_the_server_have_no_call_id() -> None:
    """Searches for tools that the server ran may stand there many times."""
    search: Json = {"type": "tool_search_call", "call_id": None, "arguments": {}}
    found: Json = {"type": "tool_search_output", "call_id": None, "tools": []}
    checked(input=[search, found, search, found, {"type": "local_shell_call_output", "output": ""}])


def test_an_approval_request_is_answered_once() -> None:
    """A second answer might say the opposite."""
    answer = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    checked(input=[answer, {**answer, "approval_request_id": "mcpr_2"}])
    error = refused(input=[answer, {**answer, "approve": False}])
    assert error.message == (
        "Duplicate answer found to approval request mcpr_1. Remove duplicate items from your input and try again."
    )


THOUGHT: Json = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]}


@pytest.mark.parametrize("thought", [THOUGHT, {**THOUGHT, "summary": [], "encrypted_content": "x"}])
def test_a_thought_that_led_to_nothing_does_not_end_an_input(thought: Json) -> None:
    """What it led to is missing; the words are known from many reports."""
    error = refused(input=[HI, thought])
    assert (error.code, error.param) == (None, "input")
    assert "'rs_1' of type 'reasoning' was provided without its required following item." in error.message


@pytest.mark.parametrize(
    "body",
    [
        {"input": [HI, THOUGHT, HI]},
        {"input": [HI, THOUGHT, CALL, OUTPUT]},
        {"input": [HI, {**THOUGHT, "summary": []}]},
        {"input": [THOUGHT], "previous_response_id": "resp_1"},
        {"input": [THOUGHT], "conversation": "conv_1"},
    ],
)
def test_other_thoughts_are_let_pass(body: Json) -> None:
    """One that the user interrupted, an empty one, and one of which the store may know more."""
    checked(**body)


def test_outputs_hold_text_pictures_and_files() -> None:
    """In any order."""
    parts: list[Json] = [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
        {"type": "input_file", "file_id": "file-1"},
    ]
    for kind in ("function_call_output", "custom_tool_call_output"):
        checked(input=[CALL, {"type": kind, "call_id": "c", "output": parts}])


def test_a_wish_to_compact_comes_last() -> None:
    """It is about all that stands before it."""
    checked(input=[HI, {"type": "compaction_trigger"}])
    error = refused(input=[{"type": "compaction_trigger"}, HI])
    assert (error.code, error.param) == ("invalid_value", "input[0]")


def test_arguments_of_a_call_are_not_read() -> None:
    """A call that was cut short comes back with half its arguments."""
    checked(input=[{**CALL, "arguments": '{"a', "status": "incomplete"}, OUTPUT])


def test_a_reference_needs_an_id() -> None:
    """An empty one is not looked for."""
    request = read_request(msgspec.json.encode({"input": [HI, {"type": "item_reference"}]})).request
    with pytest.raises(ApiError) as refused:
        check(request)
    assert ("missing_required_parameter", "input[1].id") == (refused.value.code, refused.value.param)
