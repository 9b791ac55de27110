"""Bodies of ``POST /responses`` whose parts are right by themselves and wrong together, or name what is not there."""

from __future__ import annotations

from tests.acceptance.bad_bodies import (
    ARRAYS,
    CALL,
    FOUND,
    FUNCTION,
    HI,
    KINDS,
    NUMBERS,
    OUTPUT,
    SERVER,
    STRINGS,
    URL,
    WEB,
    WORDS,
    Refused,
    both,
    missing,
    part,
    schema,
    tool,
    word,
)

NOTHING = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided."
MISSING = [
    missing({"model": None}, "model"),
    missing({"input": [{}]}, "input[0].type"),
    missing({"input": [{"content": "hi"}]}, "input[0].type"),
    missing({"input": [{"role": "user"}]}, "input[0].content"),
    missing({"input": [{"role": "user", "content": [{}]}]}, "input[0].content[0].type"),
    missing(part("input_text"), "input[0].content[0].text"),
    missing(part("input_image"), "input[0].content[0].image_url"),
    missing(part("input_file"), "input[0].content[0].file_id"),
    missing(part("input_file", file_data="AAAA"), "input[0].content[0].filename"),
    missing(part("input_audio"), "input[0].content[0].input_audio"),
    missing({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
    missing({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
    missing({"input": [{"type": "reasoning"}]}, "input[0].summary"),
    missing({"tools": [{}]}, "tools[0].type"),
    missing({"tools": [{"type": "function"}]}, "tools[0].name"),
    missing(tool("file_search"), "tools[0].vector_store_ids"),
    missing(tool("code_interpreter"), "tools[0].container"),
    missing(tool("mcp", server_url=URL), "tools[0].server_label"),
    missing(tool("mcp", server_label="s"), "tools[0].server_url"),
    missing({"tools": [{**FOUND, "filters": {"type": "and"}}]}, "tools[0].filters.filters"),
    missing({"text": {"format": {}}}, "text.format.type"),
    missing({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
    missing({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
    missing({"moderation": {}}, "moderation.model"),
    missing({"prompt": {}}, "prompt.id"),
    missing({"conversation": {}}, "conversation.id"),
    missing({"tool_choice": {}}, "tool_choice.type"),
    missing({"tool_choice": {"type": "function"}}, "tool_choice.name"),
    Refused({"input": None}, "input", "missing_required_parameter", NOTHING),
    Refused({"input": []}, "input", "missing_required_parameter", NOTHING),
]

AT = "input[0].content[0]"
EXCLUSIVE = [
    both({"previous_response_id": "resp_x", "conversation": "conv_x"}, "previous_response_id", "conversation"),
    both(part("input_image", image_url=URL, file_id="f"), f"{AT}.image_url", f"{AT}.file_id"),
    both(part("input_file", file_id="f", file_url=URL), f"{AT}.file_id", f"{AT}.file_url"),
    both({"tools": [{**SERVER, "connector_id": "connector_gmail"}]}, "tools[0].server_url", "tools[0].connector_id"),
]

AGAIN = "Remove duplicate items from your input and try again."
OPEN = {"type": "object", "properties": {}}
APPROVAL = {"type": "mcp_approval_response", "approval_request_id": "r", "approve": True}
RULES = [
    Refused(
        {"background": True, "store": False},
        "background",
        "unsupported_parameter",
        "Background mode requires 'store' to be true.",
    ),
    Refused(
        {"stream_options": {"include_obfuscation": True}},
        "stream_options",
        None,
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    ),
    Refused(
        tool(strict=True, parameters=OPEN),
        "tools[0].parameters",
        "invalid_function_parameters",
        "Invalid schema for function 'f': In context=(), 'additionalProperties' is required to be supplied and to be "
        "false.",
    ),
    Refused(
        schema(strict=True, schema={**OPEN, "properties": {"a": {"type": "string"}}, "additionalProperties": False}),
        "text.format.schema",
        "invalid_json_schema",
        "Invalid schema for response_format 'n': In context=(), 'required' is required to be supplied and to be an "
        "array including every key in properties. Missing 'a'.",
    ),
    Refused(
        {"text": {"format": {"type": "json_object"}}},
        "input",
        None,
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
    ),
    Refused({"input": [{**HI, "id": "msg_1"}] * 2}, "input", None, f"Duplicate item found with id msg_1. {AGAIN}"),
    Refused({"input": [CALL, CALL, OUTPUT]}, "input", None, f"Duplicate tool call found with call_id c. {AGAIN}"),
    Refused(
        {"input": [CALL, OUTPUT, OUTPUT]}, "input", None, f"Duplicate tool call output found with call_id c. {AGAIN}"
    ),
    Refused({"input": [APPROVAL] * 2}, "input", None, f"Duplicate answer found to approval request r. {AGAIN}"),
    Refused({"input": [CALL]}, "input", None, "No tool output found for function call c."),
    Refused({"input": [OUTPUT]}, "input", None, "No tool call found for function call output with call_id c."),
    Refused(
        {"input": [{"type": "custom_tool_call", "call_id": "c", "name": "f", "input": ""}]},
        "input",
        None,
        "No tool output found for custom tool call c.",
    ),
    Refused(
        {"input": [{"type": "custom_tool_call_output", "call_id": "c", "output": ""}]},
        "input",
        None,
        "No tool call found for custom tool call output with call_id c.",
    ),
    Refused(
        {"input": [{"type": "compaction_trigger"}, HI]},
        "input[0]",
        "invalid_value",
        "Item of type 'compaction_trigger' must be the last item of the input.",
    ),
    word(
        {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
        f"{AT}.type",
        "input_text",
        *("output_text", "refusal"),
    ),
]

UNAVAILABLE = "Tool 'web_search' is not available on this server."
TOOLS = [
    Refused(
        {"tools": [FUNCTION] * 2},
        "tools[1].name",
        "invalid_value",
        "Duplicate tool name: 'f' stands more than once in 'tools'.",
    ),
    Refused(
        {"tools": [SERVER] * 2},
        "tools[1].server_label",
        "invalid_value",
        "Duplicate server_label: 's' stands more than once in 'tools'.",
    ),
    Refused(
        {"tool_choice": {"type": "function", "name": "g"}, "tools": [FUNCTION]},
        "tool_choice",
        None,
        "Tool choice 'function' not found in 'tools' parameter.",
    ),
    Refused({"tool_choice": WEB}, "tool_choice", None, "Tool choice 'web_search' not found in 'tools' parameter."),
    Refused(
        {"tool_choice": "required"},
        "tool_choice",
        None,
        "Tool choice 'required' must be specified with 'tools' parameter.",
    ),
    Refused({"tool_choice": WEB, "tools": [WEB]}, "tool_choice", "invalid_value", UNAVAILABLE),
    Refused({"tool_choice": "required", "tools": [WEB]}, "tool_choice", "invalid_value", UNAVAILABLE),
    Refused(
        {"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [WEB]}, "tools": [WEB]},
        "tool_choice",
        "invalid_value",
        UNAVAILABLE,
    ),
]

IMAGE = f"Invalid '{AT}.image_url'. Expected "
DATA_URL = "a base64-encoded data URL with an image MIME type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU=')"
NO_URL = "a valid URL, but got a value with an invalid format."
MEDIA = [
    Refused(part("input_image", image_url=url), f"{AT}.image_url", code, f"{IMAGE}{fault}")
    for url, code, fault in (
        ("cat.png", "invalid_image_url", f"{DATA_URL}, but got a value without the 'data:' prefix."),
        ("file:///etc/passwd", "invalid_image_url", NO_URL),
        (
            "data:text/html;base64,AAAA",
            "invalid_image_format",
            f"{DATA_URL}, but got unsupported MIME type 'text/html'.",
        ),
        ("data:image/png;base64,*", "invalid_base64_image", f"{DATA_URL}, but got an invalid base64-encoded value."),
        ("data:image/png;base64,", "empty_image_file", f"{DATA_URL}, but got an empty image."),
    )
]
MEDIA += [
    Refused(
        part("input_file", file_url="file:///etc/passwd"),
        f"{AT}.file_url",
        "invalid_value",
        f"Invalid '{AT}.file_url'. Expected {NO_URL}",
    ),
    Refused(
        part("input_file", file_data="*", filename="a"),
        f"{AT}.file_data",
        "invalid_value",
        f"Invalid file data: '{AT}.file_data'. Expected a base64-encoded data URL with a valid file MIME type (e.g. "
        "'data:text/plain;base64,SGVsbG8sIFdvcmxkIQ=='), but got an invalid base64-encoded value.",
    ),
]

GONE = (
    "Item with id 'rs_x' not found. Items are not persisted when `store` is set to false. Try again with `store` set "
    "to true, or remove this item from your input."
)
ABSENT = [
    Refused({"model": "nobody"}, "model", "model_not_found", "The requested model 'nobody' does not exist."),
    Refused(
        {"previous_response_id": "resp_x"},
        "previous_response_id",
        "previous_response_not_found",
        "Previous response with id 'resp_x' not found.",
    ),
    Refused({"conversation": "conv_x"}, None, None, "Conversation with id 'conv_x' not found.", status=404),
    Refused({"input": [{"type": "item_reference", "id": "rs_x"}]}, "input", None, GONE, status=404),
    Refused({"input": [{"id": "rs_x"}]}, "input", None, GONE, status=404),
    Refused(part("input_image", file_id="file-x"), "input", "image_file_not_found", "No such File object: file-x"),
    Refused(part("input_file", file_id="file-x"), "id", None, "No such File object: file-x", status=404),
    Refused(
        {"input": [{"type": "compaction", "id": "cmp_x", "encrypted_content": "gAAAA"}]},
        "input",
        "invalid_encrypted_content",
        "The encrypted content for item cmp_x could not be verified. Reason: Encrypted content could not be decrypted "
        "or parsed.",
    ),
]

ALL = [
    *NUMBERS,
    *STRINGS,
    *ARRAYS,
    *WORDS,
    *KINDS,
    *MISSING,
    *EXCLUSIVE,
    *RULES,
    *TOOLS,
    *MEDIA,
    *ABSENT,
]
