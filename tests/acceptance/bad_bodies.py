"""Bodies of ``POST /responses`` that break one rule each, and the words in which each is refused."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias  # bodies are JSON

from msgspec import Struct

Json: TypeAlias = dict[str, Any]  # what a client may send

HI: Json = {"role": "user", "content": "hi"}
CALL: Json = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT: Json = {"type": "function_call_output", "call_id": "c", "output": "1"}
FOUND: Json = {"type": "file_search", "vector_store_ids": ["vs_1"]}
SERVER: Json = {"type": "mcp", "server_label": "s", "server_url": "https://a.example/mcp"}
FUNCTION: Json = {"type": "function", "name": "f"}
WEB: Json = {"type": "web_search"}
URL = "https://a.example/x"
TEXT_LIMIT, URL_LIMIT = 10_485_760, 20_971_520


class Refused(Struct, frozen=True):
    """A body, what it is merged with apart, and all that its refusal says."""

    body: Json
    param: str | None
    code: str | None
    message: str
    status: int = 400


def tool(type_: str = "function", **settings: Any) -> Json:  # JSON
    """A body with one tool."""
    named = {"name": "f"} if type_ == "function" else {}
    return {"tools": [{"type": type_, **named, **settings}]}


def part(type_: str, **fields: Any) -> Json:  # JSON
    """A body with a message of one part."""
    return {"input": [{"role": "user", "content": [{"type": type_, **fields}]}]}


def schema(**fields: Any) -> Json:  # JSON
    """A body that asks for JSON of a schema."""
    return {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, **fields}}}


def number(
    noun: Literal["integer", "decimal"],
    body: Json,
    param: str,
    sent: float,
    *,
    low: float = 0,
    high: float | None = None,
) -> Refused:
    """A number that is out of its bounds; only ``high`` counts where it is given."""
    side, sign, bound = ("below minimum", ">=", low) if high is None else ("above maximum", "<=", high)
    return Refused(
        body,
        param,
        f"{noun}_{side.replace(' ', '_').replace('imum', '')}_value",
        f"Invalid '{param}': {noun} {side} value. Expected a value {sign} {bound}, but got {sent} instead.",
    )


def long(body: Json, param: str, limit: int, length: int | None = None) -> Refused:
    """A string that is one character too long, or of another length."""
    return Refused(
        body,
        param,
        "string_above_max_length",
        f"Invalid '{param}': string too long. Expected a string with maximum length {limit}, but got a string with "
        f"length {length or limit + 1} instead.",
    )


def empty(noun: Literal["string", "array"], body: Json, param: str) -> Refused:
    """A string without characters, or an array without elements."""
    article = "a" if noun == "string" else "an"
    return Refused(
        body,
        param,
        f"empty_{noun}",
        f"Invalid '{param}': empty {noun}. Expected {article} {noun} with minimum length 1, but got an empty {noun} "
        "instead.",
    )


def many(body: Json, param: str, limit: int) -> Refused:
    """An array with one element too many."""
    return Refused(
        body,
        param,
        "array_above_max_length",
        f"Invalid '{param}': array too long. Expected an array with maximum length {limit}, but got an array with "
        f"length {limit + 1} instead.",
    )


def pattern(body: Json, param: str, regex: str) -> Refused:
    """A string of the wrong form."""
    return Refused(
        body,
        param,
        "invalid_value",
        f"Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '{regex}'.",
    )


def word(body: Json, param: str, sent: str, *supported: str) -> Refused:
    """A word that is not in the list."""
    *most, last = (f"'{each}'" for each in supported)
    listed = f"{', '.join(most)}{',' if len(most) > 1 else ''} and {last}" if most else last
    return Refused(body, param, "invalid_value", f"Invalid value: '{sent}'. Supported values are: {listed}.")


def kind(body: Json, param: str, expected: str, got: str) -> Refused:
    """JSON of another type."""
    return Refused(
        body, param, "invalid_type", f"Invalid type for '{param}': expected {expected}, but got {got} instead."
    )


def missing(body: Json, param: str) -> Refused:
    """Something that must be there is not."""
    return Refused(body, param, "missing_required_parameter", f"Missing required parameter: '{param}'.")


def both(body: Json, one: str, other: str) -> Refused:
    """Two things of which one may be there."""
    message = f"Mutually exclusive parameters. Ensure you are only providing one of: '{one}' or '{other}'."
    return Refused(body, None, "mutually_exclusive_parameters", message)


NUMBERS = [
    number("integer", {"max_output_tokens": 15}, "max_output_tokens", 15, low=16),
    number("integer", {"max_output_tokens": -(10**30)}, "max_output_tokens", -(10**30), low=16),
    number("integer", {"max_tool_calls": 0}, "max_tool_calls", 0, low=1),
    number("integer", {"top_logprobs": -1}, "top_logprobs", -1),
    number("integer", {"top_logprobs": 21}, "top_logprobs", 21, high=20),
    number("integer", {"top_logprobs": 10**30}, "top_logprobs", 10**30, high=20),
    number("integer", tool("image_generation", partial_images=-1), "tools[0].partial_images", -1),
    number("integer", tool("image_generation", partial_images=4), "tools[0].partial_images", 4, high=3),
    number("integer", tool("image_generation", output_compression=-1), "tools[0].output_compression", -1),
    number("integer", tool("image_generation", output_compression=101), "tools[0].output_compression", 101, high=100),
    number("integer", tool("image_generation", frame_count=0), "tools[0].frame_count", 0, low=1),
    number("integer", {"tools": [{**FOUND, "max_num_results": 0}]}, "tools[0].max_num_results", 0, low=1),
    number("integer", {"tools": [{**FOUND, "max_num_results": 51}]}, "tools[0].max_num_results", 51, high=50),
    number(
        "integer",
        {"context_management": [{"type": "compaction", "compact_threshold": 999}]},
        "context_management[0].compact_threshold",
        999,
        low=1000,
    ),
    number("decimal", {"temperature": -0.1}, "temperature", -0.1),
    number("decimal", {"temperature": 2.1}, "temperature", 2.1, high=2),
    number("decimal", {"top_p": -0.1}, "top_p", -0.1),
    number("decimal", {"top_p": 1.1}, "top_p", 1.1, high=1),
    number("decimal", {"presence_penalty": -2.1}, "presence_penalty", -2.1, low=-2),
    number("decimal", {"presence_penalty": 2.1}, "presence_penalty", 2.1, high=2),
    number("decimal", {"frequency_penalty": -2.1}, "frequency_penalty", -2.1, low=-2),
    number("decimal", {"frequency_penalty": 2.1}, "frequency_penalty", 2.1, high=2),
    number(
        "decimal",
        {"tools": [{**FOUND, "ranking_options": {"score_threshold": 1.1}}]},
        "tools[0].ranking_options.score_threshold",
        1.1,
        high=1,
    ),
    Refused({"temperature": 10**400}, "temperature", "invalid_value", "Invalid 'temperature': number out of range."),
]

FULL = "x" * (TEXT_LIMIT + 1)
IMAGE = "data:image/png;base64," + "A" * URL_LIMIT
STRINGS = [
    long({"input": FULL}, "input", TEXT_LIMIT),
    long({"input": [{**HI, "content": FULL}]}, "input[0].content", TEXT_LIMIT),
    long(part("input_text", text=FULL), "input[0].content[0].text", TEXT_LIMIT),
    long({"instructions": FULL}, "instructions", TEXT_LIMIT),
    long({"input": [CALL, {**OUTPUT, "output": FULL}]}, "input[1].output", TEXT_LIMIT),
    long(part("input_image", image_url=IMAGE), "input[0].content[0].image_url", URL_LIMIT, len(IMAGE)),
    long(
        {"input": [{"type": "compaction", "encrypted_content": "x" * (URL_LIMIT + 1)}]},
        "input[0].encrypted_content",
        URL_LIMIT,
    ),
    long({"metadata": {"k": "x" * 513}}, "metadata.k", 512),
    long({"prompt_cache_key": "x" * 65}, "prompt_cache_key", 64),
    long({"safety_identifier": "x" * 129}, "safety_identifier", 128),
    long({"stream_id": "x" * 257}, "stream_id", 256),
    long({"input": [{**CALL, "call_id": "x" * 65}]}, "input[0].call_id", 64),
    long({"input": [{**OUTPUT, "call_id": "x" * 65}]}, "input[0].call_id", 64),
    long(tool(name="x" * 129), "tools[0].name", 128),
    long(tool("custom", name="x" * 129), "tools[0].name", 128),
    long(tool("namespace", name="x" * 65, description="", tools=[FUNCTION]), "tools[0].name", 64),
    empty("string", {"stream_id": ""}, "stream_id"),
    empty("string", {"input": [{**CALL, "call_id": ""}]}, "input[0].call_id"),
    empty("string", tool(name=""), "tools[0].name"),
    empty("string", {"tools": [{**SERVER, "server_label": ""}]}, "tools[0].server_label"),
    pattern({"stream_id": "a/b"}, "stream_id", "^[a-zA-Z0-9_.-]+$"),
    pattern(tool(name="a b"), "tools[0].name", "^[a-zA-Z0-9_-]+$"),
    pattern(tool(name="a\n"), "tools[0].name", "^[a-zA-Z0-9_-]+$"),
    pattern(schema(name="x" * 65), "text.format.name", "^[a-zA-Z0-9_-]{1,64}$"),
    pattern(schema(name=""), "text.format.name", "^[a-zA-Z0-9_-]{1,64}$"),
    pattern(schema(name="a b"), "text.format.name", "^[a-zA-Z0-9_-]{1,64}$"),
    pattern(tool("mcp", server_label="s", tunnel_id="tunnel_x"), "tools[0].tunnel_id", "^tunnel_[a-z0-9]{32}$"),
    Refused(
        {"metadata": {"k" * 65: "x"}},
        "metadata." + "k" * 65,
        "property_name_above_max_length",
        "Invalid property name in 'metadata': 'kkk...kkk' is too long. Expected a string with maximum length 64, but "
        "got a string with length 65 instead.",
    ),
    Refused(
        {"metadata": {f"{number}": "" for number in range(17)}},
        "metadata",
        "object_above_max_properties",
        "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object "
        "with 17 properties instead.",
    ),
]

CONTAINER = {"type": "container_auto", "skills": [{"type": "skill_reference", "skill_id": "s"}] * 201}
ARRAYS = [
    many({"tools": [{"type": "local_shell"}] * 129}, "tools", 128),
    many(
        tool("code_interpreter", container={"type": "auto", "file_ids": ["f"] * 51}), "tools[0].container.file_ids", 50
    ),
    many(tool("shell", environment=CONTAINER), "tools[0].environment.skills", 200),
    empty("array", {"context_management": []}, "context_management"),
    empty("array", tool("namespace", name="n", description="", tools=[]), "tools[0].tools"),
]

WORDS = [
    word({"truncation": "some"}, "truncation", "some", "auto", "disabled"),
    word({"text": {"verbosity": "loud"}}, "text.verbosity", "loud", "low", "medium", "high"),
    word({"text": {"format": {"type": "xml"}}}, "text.format.type", "xml", "text", "json_object", "json_schema"),
    word({"reasoning": {"summary": "long"}}, "reasoning.summary", "long", "auto", "concise", "detailed"),
    word({"prompt_cache_retention": "1h"}, "prompt_cache_retention", "1h", "in_memory", "in-memory", "24h"),
    word({"prompt_cache_options": {"ttl": "1h"}}, "prompt_cache_options.ttl", "1h", "30m", "12h"),
    word(
        {"background_options": {"completion_window": "1h"}},
        "background_options.completion_window",
        "1h",
        *("soonest", "2h", "8h"),
    ),
    word({"image": {"context_compression": "x"}}, "image.context_compression", "x", "auto", "enabled", "disabled"),
    word(
        {"access_programs": {"cyber": "x"}}, "access_programs.cyber", "x", "standard", "daybreak_blue", "daybreak_red"
    ),
    word({"tool_choice": "always"}, "tool_choice", "always", "none", "auto", "required"),
    word(
        {"reasoning": {"effort": "heroic"}},
        "reasoning.effort",
        "heroic",
        *("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    ),
    word(
        {"service_tier": "gold"},
        "service_tier",
        "gold",
        *("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"),
    ),
    word(
        {"include": ["everything"]},
        "include[0]",
        "everything",
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
        "reasoning.encrypted_content",
        "message.output_text.logprobs",
    ),
    word(
        {"input": [{"role": "robot", "content": "hi"}]},
        "input[0].role",
        "robot",
        *("user", "assistant", "system", "developer"),
    ),
    word(
        part("text", text="hi"),
        "input[0].content[0].type",
        "text",
        *("input_text", "input_image", "input_file", "input_audio", "output_text", "refusal"),
    ),
    word(
        part("input_image", image_url=URL, detail="ultra"),
        "input[0].content[0].detail",
        "ultra",
        *("low", "high", "auto", "original"),
    ),
    word(
        part("output_text", text="x"),
        "input[0].content[0].type",
        "output_text",
        *("input_text", "input_image", "input_file", "input_audio"),
    ),
    word({"tools": [{**SERVER, "require_approval": "x"}]}, "tools[0].require_approval", "x", "always", "never"),
    word(
        tool("image_generation", output_format="bmp"),
        "tools[0].output_format",
        "bmp",
        *("png", "webp", "jpeg", "gif", "svg"),
    ),
]

ITEMS = "one of a string or array of input items"
PARTS = "one of a string or array of objects"
CHOICES = "one of one of 'none', 'auto', or 'required' or object"
KINDS = [
    kind({"model": 1}, "model", "a string", "an integer"),
    kind({"input": 1}, "input", ITEMS, "an integer"),
    kind({"input": {}}, "input", ITEMS, "an object"),
    kind({"input": [1]}, "input[0]", "an object", "an integer"),
    kind({"input": [None]}, "input[0]", "an object", "null"),
    kind({"input": [{**HI, "content": 1}]}, "input[0].content", PARTS, "an integer"),
    kind({"input": [{**HI, "content": ["hi"]}]}, "input[0].content[0]", "an object", "a string"),
    kind(part("input_text", text=1), "input[0].content[0].text", "a string", "an integer"),
    kind({"input": [{**CALL, "arguments": {}}, OUTPUT]}, "input[0].arguments", "a string", "an object"),
    kind({"input": [CALL, {**OUTPUT, "output": 1}]}, "input[1].output", PARTS, "an integer"),
    kind({"instructions": ["be brief"]}, "instructions", "a string", "an array"),
    kind({"previous_response_id": 1}, "previous_response_id", "a string", "an integer"),
    kind({"conversation": 1}, "conversation", "one of a string or object", "an integer"),
    kind({"store": "no"}, "store", "a boolean", "a string"),
    kind({"background": 1}, "background", "a boolean", "an integer"),
    kind({"stream": "yes"}, "stream", "a boolean", "a string"),
    kind({"stream_options": True}, "stream_options", "an object", "a boolean"),
    kind({"include": "x"}, "include", "an array of strings", "a string"),
    kind({"max_output_tokens": "many"}, "max_output_tokens", "an integer", "a string"),
    kind({"max_output_tokens": 16.5}, "max_output_tokens", "an integer", "a decimal number"),
    kind({"max_output_tokens": True}, "max_output_tokens", "an integer", "a boolean"),
    kind({"parallel_tool_calls": "yes"}, "parallel_tool_calls", "a boolean", "a string"),
    kind({"tools": {}}, "tools", "an array of objects", "an object"),
    kind({"tools": ["web_search"]}, "tools[0]", "an object", "a string"),
    kind(tool(parameters="{}"), "tools[0].parameters", "an object", "a string"),
    kind(tool(strict="yes"), "tools[0].strict", "a boolean", "a string"),
    kind({"tools": [{**SERVER, "headers": "x"}]}, "tools[0].headers", "an object", "a string"),
    kind({"tool_choice": 1}, "tool_choice", CHOICES, "an integer"),
    kind({"text": "json"}, "text", "an object", "a string"),
    kind({"text": {"format": "json"}}, "text.format", "an object", "a string"),
    kind({"temperature": "warm"}, "temperature", "a decimal", "a string"),
    kind({"reasoning": "high"}, "reasoning", "an object", "a string"),
    kind({"truncation": 1}, "truncation", "one of 'auto' or 'disabled'", "an integer"),
    kind({"metadata": []}, "metadata", "an object", "an array"),
    kind({"metadata": {"k": 1}}, "metadata.k", "a string", "an integer"),
    kind({"metadata": {"k": None}}, "metadata.k", "a string", "null"),
    kind({"user": 1}, "user", "a string", "an integer"),
    kind({"prompt": "p"}, "prompt", "an object", "a string"),
]
