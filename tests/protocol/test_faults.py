"""What the reader of JSON refuses is said with a path, a code and the values that would have been right."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from antiphon.protocol.errors import ApiError
from antiphon.protocol.faults import got, refusal
from antiphon.protocol.places import find
from antiphon.protocol.reading import read, read_request

Json = dict[str, Any]  # what a client may send

SEEN: list[tuple[str, Json, str, str, str]] = [
    (
        "wrong type",
        {"stream": "yes"},
        "invalid_type",
        "stream",
        "Invalid type for 'stream': expected a boolean, but got a string instead.",
    ),
    (
        "decimal for an integer",
        {"max_output_tokens": 1.5},
        "invalid_type",
        "max_output_tokens",
        "Invalid type for 'max_output_tokens': expected an integer, but got a decimal number instead.",
    ),
    (
        "string for a decimal",
        {"temperature": "hot"},
        "invalid_type",
        "temperature",
        "Invalid type for 'temperature': expected a decimal, but got a string instead.",
    ),
    (
        "array of objects",
        {"tools": "none"},
        "invalid_type",
        "tools",
        "Invalid type for 'tools': expected an array of objects, but got a string instead.",
    ),
    (
        "array of words",
        {"tools": [{"type": "function", "name": "f", "allowed_callers": 1}]},
        "invalid_type",
        "tools[0].allowed_callers",
        "Invalid type for 'tools[0].allowed_callers': expected an array of strings, but got an integer instead.",
    ),
    (
        "words or an object",
        {"tool_choice": 7},
        "invalid_type",
        "tool_choice",
        (
            "Invalid type for 'tool_choice': expected one of one of 'none', 'auto', or 'required' or object, but got "
            "an integer instead."
        ),
    ),
    (
        "words",
        {"service_tier": []},
        "invalid_type",
        "service_tier",
        (
            "Invalid type for 'service_tier': expected one of 'auto', 'default', 'flex', 'scale', 'priority', 'fast', "
            "or 'ultrafast', but got an array instead."
        ),
    ),
    (
        "string or items",
        {"input": {}},
        "invalid_type",
        "input",
        "Invalid type for 'input': expected one of a string or array of input items, but got an object instead.",
    ),
    (
        "string or parts",
        {"input": [{"role": "user", "content": 7}]},
        "invalid_type",
        "input[0].content",
        (
            "Invalid type for 'input[0].content': expected one of a string or array of objects, but got an integer "
            "instead."
        ),
    ),
    (
        "no object",
        {"input": [None]},
        "invalid_type",
        "input[0]",
        "Invalid type for 'input[0]': expected an object, but got null instead.",
    ),
    (
        "unknown word",
        {"text": {"verbosity": "bogus"}},
        "invalid_value",
        "text.verbosity",
        "Invalid value: 'bogus'. Supported values are: 'low', 'medium', and 'high'.",
    ),
    (
        "unknown role",
        {"input": [{"role": "bogus", "content": "ping"}]},
        "invalid_value",
        "input[0].role",
        "Invalid value: 'bogus'. Supported values are: 'user', 'assistant', 'system', and 'developer'.",
    ),
    (
        "unknown type",
        {"text": {"format": {"type": "xml"}}},
        "invalid_value",
        "text.format.type",
        "Invalid value: 'xml'. Supported values are: 'text', 'json_object', and 'json_schema'.",
    ),
    (
        "unknown type deep in a list",
        {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        "invalid_value",
        "input[0].content[0].type",
        (
            "Invalid value: 'text'. Supported values are: 'input_text', 'input_image', 'input_file', 'input_audio', "
            "'output_text', and 'refusal'."
        ),
    ),
    (
        "type that is no word",
        {"text": {"format": {"type": 1}}},
        "invalid_type",
        "text.format.type",
        (
            "Invalid type for 'text.format.type': expected one of 'text', 'json_object', or 'json_schema', but got an "
            "integer instead."
        ),
    ),
    (
        "missing",
        {"moderation": {}},
        "missing_required_parameter",
        "moderation.model",
        "Missing required parameter: 'moderation.model'.",
    ),
    (
        "missing type",
        {"input": [{}]},
        "missing_required_parameter",
        "input[0].type",
        "Missing required parameter: 'input[0].type'.",
    ),
    (
        "missing by a rule",
        {"tools": [{"type": "file_search", "vector_store_ids": [], "filters": {"type": "and"}}]},
        "missing_required_parameter",
        "tools[0].filters.filters",
        "Missing required parameter: 'tools[0].filters.filters'.",
    ),
    (
        "integer below",
        {"max_tool_calls": 0},
        "integer_below_min_value",
        "max_tool_calls",
        "Invalid 'max_tool_calls': integer below minimum value. Expected a value >= 1, but got 0 instead.",
    ),
    (
        "integer above",
        {"top_logprobs": 50},
        "integer_above_max_value",
        "top_logprobs",
        "Invalid 'top_logprobs': integer above maximum value. Expected a value <= 20, but got 50 instead.",
    ),
    (
        "decimal below",
        {"temperature": -1},
        "decimal_below_min_value",
        "temperature",
        "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1 instead.",
    ),
    (
        "decimal above",
        {"presence_penalty": 2.5},
        "decimal_above_max_value",
        "presence_penalty",
        "Invalid 'presence_penalty': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
    ),
    (
        "number that no float holds",
        {"temperature": 10**400},
        "invalid_value",
        "temperature",
        "Invalid 'temperature': number out of range.",
    ),
    (
        "long string",
        {"metadata": {"a": "", "k": "x" * 600}},
        "string_above_max_length",
        "metadata.k",
        (
            "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, but got a string with "
            "length 600 instead."
        ),
    ),
    (
        "empty string",
        {"tools": [{"type": "function", "name": ""}]},
        "empty_string",
        "tools[0].name",
        (
            "Invalid 'tools[0].name': empty string. Expected a string with minimum length 1, but got an empty string "
            "instead."
        ),
    ),
    (
        "long key",
        {"metadata": {"a": "", "k" * 70: "v"}},
        "property_name_above_max_length",
        "metadata." + "k" * 70,
        (
            "Invalid property name in 'metadata': 'kkk...kkk' is too long. Expected a string with maximum length 64, "
            "but got a string with length 70 instead."
        ),
    ),
    (
        "many keys",
        {"metadata": {str(number): "" for number in range(17)}},
        "object_above_max_properties",
        "metadata",
        (
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object "
            "with 17 properties instead."
        ),
    ),
    (
        "wrong type in a map",
        {"metadata": {"a": "", "k": 7}},
        "invalid_type",
        "metadata.k",
        "Invalid type for 'metadata.k': expected a string, but got an integer instead.",
    ),
    (
        "null in a map",
        {"metadata": {"k": None}},
        "invalid_type",
        "metadata.k",
        "Invalid type for 'metadata.k': expected a string, but got null instead.",
    ),
    (
        "unknown type in a map",
        {"prompt": {"id": "p", "variables": {"a": "x", "b": {"type": "video"}}}},
        "invalid_value",
        "prompt.variables.b.type",
        "Invalid value: 'video'. Supported values are: 'input_text', 'input_image', and 'input_file'.",
    ),
    (
        "long array",
        {"tools": [{"type": "local_shell"}] * 129},
        "array_above_max_length",
        "tools",
        (
            "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length "
            "129 instead."
        ),
    ),
    (
        "empty array",
        {"context_management": []},
        "empty_array",
        "context_management",
        (
            "Invalid 'context_management': empty array. Expected an array with minimum length 1, but got an empty "
            "array instead."
        ),
    ),
    (
        "pattern",
        {"tools": [{"type": "function", "name": "a.b"}]},
        "invalid_value",
        "tools[0].name",
        (
            "Invalid 'tools[0].name': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'."
        ),
    ),
    (
        "long input",
        {"input": "x" * 10_485_761},
        "string_above_max_length",
        "input",
        (
            "Invalid 'input': string too long. Expected a string with maximum length 10485760, but got a string with "
            "length 10485761 instead."
        ),
    ),
    (
        "long content",
        {"input": [{"role": "user", "content": "x" * 10_485_761}]},
        "string_above_max_length",
        "input[0].content",
        (
            "Invalid 'input[0].content': string too long. Expected a string with maximum length 10485760, but got a "
            "string with length 10485761 instead."
        ),
    ),
]


@pytest.mark.parametrize(
    ("body", "code", "param", "message"), [each[1:] for each in SEEN], ids=[each[0] for each in SEEN]
)
def test_a_refused_body_is_told_what_where_and_why(body: Json, code: str, param: str, message: str) -> None:
    """The words are those that the live service was seen to use."""
    with pytest.raises(ApiError) as refused:
        read_request(msgspec.json.encode(body))
    error = refused.value
    assert (error.message, error.param, error.code) == (message, param, code)
    assert (error.status, error.type) == (400, "invalid_request_error")


def test_a_long_value_comes_back_cut() -> None:
    """Nobody is sent his megabytes back."""
    with pytest.raises(ApiError) as refused:
        read_request(msgspec.json.encode({"truncation": "x" * 100_000}))
    assert len(refused.value.message) < 300


def test_a_value_that_looks_like_a_path_does_not_mislead() -> None:
    """What a caller writes into a value is not taken for the reader's own words."""
    with pytest.raises(ApiError) as refused:
        read_request(msgspec.json.encode({"truncation": "x' - at `$.model`"}))
    assert refused.value.param == "truncation"


class Bounded(Struct, frozen=True, kw_only=True):
    """Every bound that the requests of this API do not use."""

    above: Annotated[int, Meta(gt=0)] = 1
    below: Annotated[float, Meta(lt=1.0)] = 0.0
    short: Annotated[str, Meta(min_length=3)] = "abc"
    few: Annotated[list[int], Meta(min_length=2)] = []
    keys: Annotated[dict[str, int], Meta(min_length=2)] = {}
    mixed: list[int | str] = []
    numbers: list[int] = []
    fraction: Annotated[int, Meta(multiple_of=2)] = 2


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (
            {"above": 0},
            "integer_below_min_value",
            "Invalid 'above': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
        (
            {"below": 1},
            "decimal_above_max_value",
            "Invalid 'below': decimal above maximum value. Expected a value < 1, but got 1 instead.",
        ),
        (
            {"short": "a"},
            "string_below_min_length",
            (
                "Invalid 'short': string too short. Expected a string with minimum length 3, but got a string with "
                "length 1 instead."
            ),
        ),
        (
            {"few": [1]},
            "array_below_min_length",
            (
                "Invalid 'few': array too short. Expected an array with minimum length 2, but got an array with length "
                "1 instead."
            ),
        ),
        (
            {"keys": {"a": 1}},
            "object_below_min_properties",
            (
                "Invalid 'keys': too few properties. Expected an object with at least 2 properties, but got an object "
                "with 1 properties instead."
            ),
        ),
        (
            {"mixed": 1},
            "invalid_type",
            "Invalid type for 'mixed': expected an array, but got an integer instead.",
        ),
        (
            {"numbers": {}},
            "invalid_type",
            "Invalid type for 'numbers': expected an array of integers, but got an object instead.",
        ),
        (
            {"fraction": 3},
            "invalid_value",
            "Invalid 'fraction': expected `int` that's a multiple of 2.",
        ),
    ],
)
def test_any_other_type_is_refused_in_the_same_words(body: Json, code: str, message: str) -> None:
    """The words do not depend on the request of one route."""
    with pytest.raises(ApiError) as refused:
        read(msgspec.json.encode(body), Bounded)
    assert (refused.value.message, refused.value.code) == (message, code)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "an integer"),
        (1.0, "a decimal number"),
        ("", "a string"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_every_kind_of_json_has_a_name(value: object, words: str) -> None:
    """The same words stand for what came, whatever was expected."""
    assert got(value) == words


def test_an_error_without_a_path_is_about_the_whole() -> None:
    """A value that is refused at its root has no parameter to name."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(3, Bounded)
    error = refusal(caught.value, 3, Bounded)
    assert (error.message, error.param) == ("Invalid type for '': expected an object, but got an integer instead.", "")


@pytest.mark.parametrize("path", [".nothing.there", ".mixed[3]", ".keys[...]", ".short[...]", "[...]", ".short[0].x"])
def test_a_path_that_leads_nowhere_is_followed_as_far_as_it_goes(path: str) -> None:
    """A path and a value that do not belong together make no error of their own."""
    assert find(path, {"mixed": [], "keys": {}, "short": "abc"}, Bounded).value is msgspec.UNSET
