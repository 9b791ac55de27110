"""A request: every parameter with its limits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

from antiphon.protocol.items import Message
from antiphon.protocol.request import CreateResponse

Json = dict[str, Any]  # what a client may send

FULL: Json = {
    "model": "m",
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    "instructions": "i",
    "previous_response_id": "resp_1",
    "conversation": {"id": "conv_1"},
    "prompt": {"id": "p", "version": "2", "variables": {"a": "x", "b": {"type": "input_text", "text": "y"}}},
    "store": False,
    "background": True,
    "background_options": {"completion_window": "2h", "continuation_id": "c"},
    "stream": True,
    "stream_options": {"include_obfuscation": False},
    "stream_id": "lane-1",
    "generate": False,
    "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
    "max_output_tokens": 16,
    "max_tool_calls": 1,
    "parallel_tool_calls": False,
    "tools": [{"type": "local_shell"}],
    "tool_choice": {"type": "shell"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
    "reasoning": {"effort": "xhigh", "summary": "auto", "context": "all_turns", "mode": "pro"},
    "temperature": 2,
    "top_p": 0.5,
    "top_logprobs": 20,
    "presence_penalty": -2,
    "frequency_penalty": 2,
    "truncation": "auto",
    "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    "metadata": {"k": "v"},
    "user": "u",
    "safety_identifier": "s",
    "service_tier": "flex",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "explicit", "ttl": "12h", "prewarm": True, "comparison_response_id": "resp_0"},
    "moderation": {"model": "m", "policy": {"input": {"mode": "score"}, "output": {"mode": "block"}}},
    "image": {"context_compression": "enabled"},
    "access_programs": {"cyber": "standard"},
}


def test_every_parameter_is_read() -> None:
    """A request that uses all of them comes through whole."""
    request = msgspec.convert(FULL, CreateResponse)
    written = msgspec.to_builtins(request)
    assert set(FULL) == set(CreateResponse.__struct_encode_fields__)
    nested = {"input", "text", "tools"}
    assert {key: FULL[key] for key in FULL if key not in nested} == {
        key: written[key] for key in FULL if key not in nested
    }
    assert isinstance(request.input[0], Message)
    assert request.text is not None
    assert request.text.verbosity == "low"


def test_the_official_parameters_are_all_there() -> None:
    """The package's 34 create parameters are fields of ours."""
    theirs = set(ResponseCreateParamsStreaming.__annotations__)
    assert theirs <= set(CreateResponse.__struct_encode_fields__)
    assert len(theirs) == 34


def test_an_empty_request_says_nothing() -> None:
    """What was not said is None or empty, never a default that looks as if it had been said."""
    said = msgspec.structs.asdict(msgspec.convert({}, CreateResponse))
    assert {} == {name: value for name, value in said.items() if value not in (None, [], {})}


def test_unknown_parameters_are_ignored() -> None:
    """They are named elsewhere, and spoil nothing."""
    assert msgspec.convert({}, CreateResponse) == msgspec.convert({"brand_new": 1}, CreateResponse)


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"model": 1}, "Expected `str | null`, got `int` - at `$.model`"),
        ({"stream": "yes"}, "Expected `bool | null`, got `str` - at `$.stream`"),
        ({"store": 1}, "Expected `bool | null`, got `int` - at `$.store`"),
        ({"max_output_tokens": 15}, "Expected `int` >= 16 - at `$.max_output_tokens`"),
        ({"max_output_tokens": 16.5}, "Expected `int | null`, got `float` - at `$.max_output_tokens`"),
        ({"max_tool_calls": 0}, "Expected `int` >= 1 - at `$.max_tool_calls`"),
        ({"top_logprobs": -1}, "Expected `int` >= 0 - at `$.top_logprobs`"),
        ({"top_logprobs": 21}, "Expected `int` <= 20 - at `$.top_logprobs`"),
        ({"temperature": -0.1}, "Expected `float` >= 0.0 - at `$.temperature`"),
        ({"temperature": 2.1}, "Expected `float` <= 2.0 - at `$.temperature`"),
        ({"top_p": 1.1}, "Expected `float` <= 1.0 - at `$.top_p`"),
        ({"presence_penalty": 3}, "Expected `float` <= 2.0 - at `$.presence_penalty`"),
        ({"frequency_penalty": -3}, "Expected `float` >= -2.0 - at `$.frequency_penalty`"),
        ({"truncation": "middle"}, "Invalid enum value 'middle' - at `$.truncation`"),
        ({"include": ["everything"]}, "Invalid enum value 'everything' - at `$.include[0]`"),
        ({"service_tier": "gold"}, "Invalid enum value 'gold' - at `$.service_tier`"),
        ({"reasoning": {"effort": "huge"}}, "Invalid enum value 'huge' - at `$.reasoning.effort`"),
        ({"text": {"verbosity": "loud"}}, "Invalid enum value 'loud' - at `$.text.verbosity`"),
        ({"text": {"format": {"type": "xml"}}}, "Invalid value 'xml' - at `$.text.format.type`"),
        ({"tools": [{"type": "local_shell"}] * 129}, "Expected `array` of length <= 128 - at `$.tools`"),
        ({"metadata": {str(key): "v" for key in range(17)}}, "Expected `object` of length <= 16 - at `$.metadata`"),
        ({"metadata": {"k" * 65: "v"}}, "Expected `str` of length <= 64 - at `key` in `$.metadata`"),
        ({"metadata": {"k": "v" * 513}}, "Expected `str` of length <= 512 - at `$.metadata[...]`"),
        ({"metadata": {"k": 1}}, "Expected `str`, got `int` - at `$.metadata[...]`"),
        ({"prompt_cache_key": "k" * 65}, "Expected `str` of length <= 64 - at `$.prompt_cache_key`"),
        ({"safety_identifier": "s" * 129}, "Expected `str` of length <= 128 - at `$.safety_identifier`"),
        ({"context_management": []}, "Expected `array` of length >= 1 - at `$.context_management`"),
        (
            {"context_management": [{"type": "compaction", "compact_threshold": 999}]},
            "Expected `int` >= 1000 - at `$.context_management[0].compact_threshold`",
        ),
        ({"instructions": "i" * 10_485_761}, "Expected `str` of length <= 10485760 - at `$.instructions`"),
        ({"stream_id": "s" * 257}, "Expected `str` of length <= 256 - at `$.stream_id`"),
        ({"prompt": {}}, "Object missing required field `id` - at `$.prompt`"),
        ({"moderation": {"model": "m", "policy": {"input": {}}}}, "field `mode` - at `$.moderation.policy.input`"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_parameter_beyond_its_limits_is_refused(sent: Json, message: str) -> None:
    """The error names the place and the limit."""
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(sent, CreateResponse)
    assert message in str(refused.value)


def test_azure_spelling_of_the_cache_retention_is_accepted() -> None:
    """Both spellings are read."""
    assert (
        msgspec.convert({"prompt_cache_retention": "in-memory"}, CreateResponse).prompt_cache_retention == "in-memory"
    )
