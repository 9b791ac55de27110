"""What a response says of its request: defaults, rewritings and secrets, as the live service was recorded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from openai.types.responses import Response as TheirResponse
from openai.types.responses import Tool as TheirTool
from pydantic import TypeAdapter

from antiphon.core.echo import REDACTED, opened, without_secret_keys, without_secrets
from antiphon.protocol.items import Item
from antiphon.protocol.request import CreateResponse

Json = dict[str, Any]  # what a client may send and what it gets

LOCATION = {"type": "approximate", "city": None, "country": "US", "region": None, "timezone": None}
STRICT = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
LOOSE = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}, "required": ["city"]}


def echo(**request: object) -> Json:
    """Open a response and read it off the wire."""
    response = opened(msgspec.convert(request, CreateResponse), id="resp_1", created_at=1_784_759_811, model="m-2026")
    wire = msgspec.json.encode(response)
    TheirResponse.model_validate_json(wire)
    read: Json = msgspec.json.decode(wire)
    return read


def echo_tool(tool: Json) -> Json:
    """Send one tool and read what is said of it."""
    (said,) = echo(tools=[tool])["tools"]
    TypeAdapter(TheirTool).validate_python(said)
    read: Json = said
    return read


def test_a_request_that_says_nothing_is_answered_with_the_recorded_defaults() -> None:
    """Every key that is always there, none that is only there when used."""
    images = {"image_tokens": 0, "text_tokens": 0}
    assert {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_784_759_811,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "m-2026",
        "moderation": None,
        "output": [],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": "in_memory",
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "auto",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "tool_usage": {
            "image_gen": {
                "input_tokens": 0,
                "input_tokens_details": images,
                "output_tokens": 0,
                "output_tokens_details": images,
                "total_tokens": 0,
            },
            "web_search": {"num_requests": 0},
        },
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    } == echo(model="m")


def test_numbers_are_written_as_floats_and_times_as_integers() -> None:
    """One client's parser tells 1 from 1.0."""
    request = msgspec.convert({"temperature": 1, "top_p": 0, "presence_penalty": 2}, CreateResponse)
    wire = msgspec.json.encode(opened(request, id="resp_1", created_at=1, model="m"))
    for piece in (b'"temperature":1.0', b'"top_p":0.0', b'"presence_penalty":2.0', b'"created_at":1,'):
        assert piece in wire


@pytest.mark.parametrize(
    ("key", "sent", "said"),
    [
        ("background", True, True),
        ("store", False, False),
        ("instructions", "Be brief.", "Be brief."),
        ("instructions", "", None),
        ("previous_response_id", "resp_0", "resp_0"),
        ("max_output_tokens", 16, 16),
        ("max_tool_calls", 3, 3),
        ("parallel_tool_calls", False, False),
        ("temperature", 0, 0.0),
        ("top_p", 0.1, 0.1),
        ("presence_penalty", -1, -1.0),
        ("frequency_penalty", 0.5, 0.5),
        ("top_logprobs", 5, 5),
        ("truncation", "auto", "auto"),
        ("user", "u", "u"),
        ("safety_identifier", "s", "s"),
        ("metadata", {"k": "v"}, {"k": "v"}),
        ("prompt_cache_key", "k", "k"),
        ("prompt_cache_retention", "24h", "24h"),
        ("prompt_cache_retention", "in-memory", "in_memory"),
        ("prompt_cache_options", {"mode": "explicit"}, {"mode": "explicit", "ttl": "30m"}),
        (
            "prompt_cache_options",
            {"ttl": "12h", "prewarm": True, "comparison_response_id": "resp_0"},
            {"mode": "implicit", "ttl": "12h", "comparison_response_id": "resp_0"},
        ),
        ("service_tier", "flex", "auto"),
        ("conversation", "conv_1", {"id": "conv_1"}),
        ("conversation", {"id": "conv_1"}, {"id": "conv_1"}),
        ("image", {"context_compression": "enabled"}, {"context_compression": "enabled"}),
        ("image", {"context_compression": "auto"}, {"context_compression": "disabled"}),
        ("image", {}, {"context_compression": "disabled"}),
        ("access_programs", {"cyber": "standard"}, {"cyber": "standard"}),
        ("tool_choice", "none", "none"),
        ("tool_choice", {"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        ("reasoning", {"effort": "high"}, {"effort": "high", "summary": None}),
        (
            "reasoning",
            {"summary": "auto", "context": "all_turns", "mode": "pro"},
            {"effort": None, "summary": "auto", "context": "all_turns", "mode": "pro"},
        ),
        ("text", {"verbosity": "low"}, {"format": {"type": "text"}, "verbosity": "low"}),
        ("text", {"format": {"type": "json_object"}}, {"format": {"type": "json_object"}, "verbosity": "medium"}),
        ("prompt", {"id": "p"}, {"id": "p", "variables": None, "version": None}),
        (
            "prompt",
            {"id": "p", "version": "2", "variables": {"a": "x", "b": {"type": "input_text", "text": "y"}}},
            {
                "id": "p",
                "version": "2",
                "variables": {"a": {"type": "input_text", "text": "x"}, "b": {"type": "input_text", "text": "y"}},
            },
        ),
    ],
)
def test_what_was_asked_is_said_back(key: str, sent: object, said: object) -> None:
    """Each setting in the form in which the live service returns it."""
    assert said == echo(**{key: sent})[key]


@pytest.mark.parametrize(("sent", "said"), [({}, True), ({"strict": True}, True), ({"strict": False}, False)])
def test_a_schema_of_the_text_is_strict_unless_told_otherwise(sent: Json, said: bool) -> None:  # noqa: FBT001 - a row of the table
    """``description`` is null when it was left out, and ``$schema`` is gone at the top level only."""
    inner = {"$schema": "x", "type": "string"}
    schema = {**STRICT, "properties": {"city": inner}}
    form = {"type": "json_schema", "name": "n", "schema": {"$schema": "x", **schema}, **sent}
    assert {"type": "json_schema", "name": "n", "schema": schema, "description": None, "strict": said} == echo(
        text={"format": form}
    )["text"]["format"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"parameters": STRICT}, {"parameters": STRICT, "strict": True}),
        ({"parameters": LOOSE}, {"parameters": LOOSE, "strict": False}),
        ({"parameters": LOOSE, "strict": True}, {"parameters": LOOSE, "strict": True}),
        ({"parameters": STRICT, "strict": None}, {"parameters": STRICT, "strict": False}),
        ({"parameters": STRICT, "strict": False}, {"parameters": STRICT, "strict": False}),
        ({"parameters": {}}, {"parameters": {"type": "object", "properties": {}}, "strict": False}),
        ({"parameters": None}, {"parameters": None, "strict": False}),
        ({}, {"parameters": None, "strict": False}),
        (
            {"parameters": STRICT, "description": "d", "defer_loading": True},
            {"parameters": STRICT, "strict": True, "description": "d", "defer_loading": True},
        ),
    ],
)
def test_a_function_says_whether_it_is_strict(sent: Json, said: Json) -> None:
    """As asked; when nothing was asked, strict where the schema already allows it. The schema stays as it was sent."""
    always = {"type": "function", "name": "f", "description": None, "output_schema": None}
    assert {**always, **said} == echo_tool({"type": "function", "name": "f", **sent})


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"type": "custom", "name": "c"}, {"format": {"type": "text"}}),
        (
            {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "regex", "definition": "a"}},
            {},
        ),
        ({"type": "tool_search"}, {"execution": "server", "description": None, "parameters": None}),
        (
            {"type": "file_search", "vector_store_ids": ["vs_1"]},
            {
                "filters": None,
                "max_num_results": 20,
                "ranking_options": {"ranker": "auto", "score_threshold": 0.0},
            },
        ),
        (
            {"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 3},
            {"filters": None, "ranking_options": {"ranker": "auto", "score_threshold": 0.0}},
        ),
        (
            {"type": "web_search"},
            {
                "user_location": LOCATION,
                "search_context_size": "medium",
                "filters": None,
                "return_token_budget": "default",
                "search_content_types": ["text"],
            },
        ),
        (
            {"type": "web_search_2025_08_26", "user_location": {"type": "approximate"}, "search_context_size": "low"},
            {
                "user_location": {**LOCATION, "country": None},
                "filters": None,
                "return_token_budget": "default",
                "search_content_types": ["text"],
            },
        ),
        (
            {"type": "web_search_preview"},
            {"user_location": LOCATION, "search_context_size": "medium", "search_content_types": ["text"]},
        ),
        (
            {"type": "image_generation", "model": "gpt-image-1"},
            {
                "n": 1,
                "output_compression": 100,
                "background": "auto",
                "moderation": "auto",
                "quality": "auto",
                "size": "auto",
                "output_format": "png",
            },
        ),
        (
            {"type": "mcp", "server_label": "l", "server_url": "https://h.example/mcp?k=v"},
            {"headers": None, "allowed_tools": None, "server_description": None, "require_approval": "always"},
        ),
        ({"type": "code_interpreter", "container": "cntr_1"}, {}),
        ({"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}, {}),
        ({"type": "shell"}, {}),
        ({"type": "shell", "environment": {"type": "local"}}, {}),
        ({"type": "apply_patch"}, {}),
        ({"type": "computer"}, {}),
        ({"type": "local_shell"}, {}),
        ({"type": "programmatic_tool_calling"}, {}),
    ],
    ids=lambda value: value.get("type", ""),
)
def test_a_tool_comes_back_with_its_defaults(sent: Json, said: Json) -> None:
    """What was sent, and what holds where nothing was sent."""
    assert {**sent, **said} == echo_tool(sent)


def test_an_approval_by_names_gains_its_missing_key() -> None:
    """``read_only`` is said to be null."""
    sent = {"type": "mcp", "server_label": "l", "require_approval": {"never": {"tool_names": ["a"]}}}
    assert {"never": {"tool_names": ["a"], "read_only": None}} == echo_tool(sent)["require_approval"]


def test_an_image_tool_loses_what_the_live_service_drops() -> None:
    """Mask, fidelity and partial images are no part of the echo; a compression of 0 is."""
    sent = {
        "type": "image_generation",
        "input_image_mask": {"file_id": "file-1"},
        "input_fidelity": "high",
        "partial_images": 2,
        "output_compression": 0,
    }
    said = echo_tool(sent)
    assert {"input_image_mask", "input_fidelity", "partial_images"}.isdisjoint(said)
    assert said["output_compression"] == 0


def test_a_container_loses_its_memory_limit() -> None:
    """As recorded; the rest of it stays."""
    sent = {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "4g", "file_ids": ["file-1"]}}
    assert {"type": "auto", "file_ids": ["file-1"]} == echo_tool(sent)["container"]


def test_functions_in_a_namespace_are_said_like_others() -> None:
    """The members of a namespace get their defaults too."""
    members = [{"type": "function", "name": "f", "parameters": STRICT}, {"type": "custom", "name": "c"}]
    said = echo_tool({"type": "namespace", "name": "n", "description": "d", "tools": members})
    assert [True, {"type": "text"}] == [said["tools"][0]["strict"], said["tools"][1]["format"]]


def test_tools_come_back_in_the_order_sent() -> None:
    """Clients pair them by position."""
    sent = [{"type": "shell"}, {"type": "custom", "name": "c"}, {"type": "local_shell"}]
    assert ["shell", "custom", "local_shell"] == [tool["type"] for tool in echo(tools=sent)["tools"]]


SECRET = "s3cr3t-value"
SECRETS = {
    "type": "allowlist",
    "allowed_domains": [],
    "domain_secrets": [{"domain": "d", "name": "n", "value": SECRET}],
}


@pytest.mark.parametrize(
    "tool",
    [
        {
            "type": "mcp",
            "server_label": "l",
            "authorization": SECRET,
            "headers": {"Authorization": SECRET, "X": SECRET},
        },
        {"type": "code_interpreter", "container": {"type": "auto", "network_policy": SECRETS}},
        {"type": "shell", "environment": {"type": "container_auto", "network_policy": SECRETS}},
    ],
    ids=lambda tool: tool["type"],
)
def test_a_secret_is_never_said_back(tool: Json) -> None:
    """Names of headers and secrets stay, their values are redacted."""
    said = str(echo_tool(tool))
    assert SECRET not in said
    assert str(tool).count(SECRET) == said.count(REDACTED)


@pytest.mark.parametrize("type_", ["additional_tools", "tool_search_output"])
def test_an_item_is_kept_without_the_secrets_of_its_tools(type_: str) -> None:
    """Tools that join on the way are stored as they would be echoed; all other items as they are."""
    tool = {"type": "mcp", "server_label": "l", "server_url": "https://a.example", "headers": {"X": SECRET}}
    item: Item = msgspec.convert({"type": type_, "tools": [tool]}, Item)
    kept = msgspec.to_builtins(without_secrets(item))
    assert [echo_tool(tool)] == kept["tools"]
    message: Item = msgspec.convert({"type": "message", "role": "user", "content": []}, Item)
    assert message is without_secrets(message)


def test_what_a_caller_adds_is_kept_without_the_keys_of_secrets() -> None:
    """An item that has no tools does not bring any under that name."""
    extras: Json = {"parsed": {"a": 1}, "tools": [SECRET], "headers": {"X": SECRET}, "authorization": SECRET}
    assert {"parsed": {"a": 1}} == without_secret_keys(extras)
