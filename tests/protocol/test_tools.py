"""Tools and choices of tools: what is accepted, what is refused, and that nothing sent is lost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET
from openai.types import responses
from pydantic import TypeAdapter

from antiphon.protocol.tool_settings import CodeContainer, SearchFilter, ShellLocal
from antiphon.protocol.tools import FunctionTool, McpTool, Tool, ToolChoice, ToolChoiceHosted, WebSearchTool

Json = dict[str, Any]  # what a client may send

CALLERS = {"allowed_callers": ["direct", "programmatic"]}
DOMAINS = {"type": "allowlist", "allowed_domains": ["a.example"]}
ZIP = {"type": "base64", "media_type": "application/zip", "data": "UEsFBg=="}

FULL: list[Json] = [
    {
        "type": "function",
        "name": "f",
        "description": "d",
        "parameters": {"type": "object", "properties": {"a": {"enum": [None, 1]}}},
        "strict": False,
        "output_schema": {"type": "string"},
        "defer_loading": True,
        "async": True,
        **CALLERS,
    },
    {"type": "custom", "name": "c", "description": "d", "format": {"type": "text"}, "async": False, **CALLERS},
    {"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}},
    {"type": "namespace", "name": "crm", "description": "d", "tools": [{"type": "custom", "name": "c"}]},
    {"type": "tool_search", "execution": "client", "description": "d", "parameters": {"type": "object"}},
    {
        "type": "mcp",
        "server_label": "l",
        "server_url": "https://h.example/mcp",
        "authorization": "secret",
        "headers": {"X-Key": "secret"},
        "allowed_tools": {"tool_names": ["a"], "read_only": True},
        "require_approval": {"always": {"tool_names": ["a"], "read_only": None}, "never": {"read_only": True}},
        "server_description": "d",
        "defer_loading": True,
        **CALLERS,
    },
    {"type": "mcp", "server_label": "l", "connector_id": "connector_gmail", "allowed_tools": ["a"]},
    {"type": "mcp", "server_label": "l", "tunnel_id": "tunnel_" + "a1" * 16, "require_approval": "never"},
    {
        "type": "file_search",
        "vector_store_ids": ["vs_1"],
        "max_num_results": 50,
        "filters": {"type": "and", "filters": [{"type": "in", "key": "k", "value": ["a", 2, 0.5]}]},
        "ranking_options": {
            "ranker": "auto",
            "score_threshold": 0.5,
            "hybrid_search": {"embedding_weight": 1.0, "text_weight": 0.5},
        },
    },
    {
        "type": "web_search",
        "filters": {"allowed_domains": ["a.example"]},
        "search_context_size": "high",
        "user_location": {"type": "approximate", "city": "Brno", "country": "CZ", "region": None, "timezone": None},
        "external_web_access": False,
    },
    {"type": "web_search_2025_08_26"},
    {"type": "web_search_preview", "search_content_types": ["image"], "search_context_size": "low"},
    {"type": "web_search_preview_2025_03_11"},
    {"type": "code_interpreter", "container": "cntr_1", **CALLERS},
    {
        "type": "code_interpreter",
        "container": {"type": "auto", "file_ids": ["file-1"], "memory_limit": "4g", "network_policy": DOMAINS},
    },
    {
        "type": "image_generation",
        "model": "gpt-image-1",
        "action": "edit",
        "background": "transparent",
        "moderation": "low",
        "output_compression": 0,
        "output_format": "webp",
        "quality": "max",
        "size": "1536x864",
        "partial_images": 3,
        "input_fidelity": "high",
        "input_image_mask": {"file_id": "file-1"},
        "complexity": "low",
        "frame_count": 9,
        "frame_duration_ms": 200,
        "svg": {"model": "m", "reasoning": {"effort": "low"}},
    },
    {"type": "computer"},
    {"type": "computer_use_preview", "display_width": 1024, "display_height": 768, "environment": "browser"},
    {"type": "local_shell"},
    {
        "type": "shell",
        "environment": {
            "type": "container_auto",
            "network_policy": {"type": "disabled"},
            "skills": [
                {"type": "skill_reference", "skill_id": "s", "version": "2"},
                {"type": "inline", "name": "n", "description": "d", "source": ZIP},
            ],
        },
    },
    {"type": "shell", "environment": {"type": "local", "skills": [{"name": "n", "description": "d", "path": "/s"}]}},
    {"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_1"}, **CALLERS},
    {"type": "apply_patch", **CALLERS},
    {"type": "programmatic_tool_calling"},
]


def read(tool: Json) -> Tool:
    """Read one tool as a request does."""
    read_tool: Tool = msgspec.convert(tool, Tool)
    return read_tool


def kept(sent: object, written: object) -> bool:
    """Whether everything that was sent is in what was written."""
    if isinstance(sent, dict) and isinstance(written, dict):
        return all(key in written and kept(value, written[key]) for key, value in sent.items())
    if isinstance(sent, list) and isinstance(written, list):
        return len(sent) == len(written) and all(map(kept, sent, written))
    return sent == written


@pytest.mark.parametrize("tool", FULL, ids=lambda tool: tool["type"])
def test_every_field_of_a_tool_is_kept(tool: Json) -> None:
    """What a client sends, the official types read, and we read and write whole."""
    TypeAdapter(responses.Tool).validate_python(tool)
    assert kept(tool, msgspec.to_builtins(read(tool)))


def test_every_tool_type_is_tried() -> None:
    """The list above leaves no member of the union out."""
    types = {struct.__struct_config__.tag for struct in Tool.__args__}
    assert types == {tool["type"] for tool in FULL}


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        ({"type": "nope"}, "Invalid value 'nope' - at `$.type`"),
        ({"type": "function"}, "Object missing required field `name`"),
        ({"type": "function", "name": ""}, "Expected `str` of length >= 1 - at `$.name`"),
        ({"type": "function", "name": "a" * 129}, "Expected `str` of length <= 128 - at `$.name`"),
        ({"type": "function", "name": "a", "allowed_callers": []}, "length >= 1 - at `$.allowed_callers`"),
        ({"type": "function", "name": "a", "parameters": "{}"}, "got `str` - at `$.parameters`"),
        ({"type": "namespace", "name": "n", "description": "d", "tools": []}, "length >= 1 - at `$.tools`"),
        ({"type": "mcp", "server_label": ""}, "length >= 1 - at `$.server_label`"),
        ({"type": "mcp", "server_label": "l", "require_approval": "maybe"}, "'maybe' - at `$.require_approval`"),
        ({"type": "mcp", "server_label": "l", "connector_id": "x"}, "'x' - at `$.connector_id`"),
        ({"type": "file_search", "vector_store_ids": [], "max_num_results": 0}, ">= 1 - at `$.max_num_results`"),
        ({"type": "file_search", "vector_store_ids": [], "max_num_results": 51}, "<= 50 - at `$.max_num_results`"),
        (
            {"type": "file_search", "vector_store_ids": [], "ranking_options": {"score_threshold": 1.5}},
            "<= 1.0 - at `$.ranking_options.score_threshold`",
        ),
        ({"type": "image_generation", "partial_images": 4}, "<= 3 - at `$.partial_images`"),
        ({"type": "image_generation", "output_compression": 101}, "<= 100 - at `$.output_compression`"),
        (
            {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"] * 51}},
            "length <= 50 - at `$.container.file_ids`",
        ),
    ],
)
def test_a_tool_beyond_its_limits_is_refused(tool: Json, message: str) -> None:
    """The error names the place and the limit."""
    with pytest.raises(msgspec.ValidationError) as refused:
        read(tool)
    assert message in str(refused.value)


@pytest.mark.parametrize("name", ["with space", "dot.dot", "naïve", "line\n", "a/b"])
def test_a_function_name_with_other_characters_is_refused(name: str) -> None:
    """Letters, digits, underscores and dashes only; a line end does not slip past the end of the pattern."""
    with pytest.raises(msgspec.ValidationError, match="matching regex"):
        read({"type": "function", "name": name})


@pytest.mark.parametrize("size", ["0x10", "10", "auto\n", "10x", "1024 x 1024"])
def test_an_image_size_is_auto_or_two_numbers(size: str) -> None:
    """Anything else is refused before an image is asked for."""
    with pytest.raises(msgspec.ValidationError, match="matching regex"):
        read({"type": "image_generation", "size": size})


@pytest.mark.parametrize(
    ("condition", "missing"),
    [
        ({"type": "eq", "value": 1}, "key"),
        ({"type": "eq", "key": "k"}, "value"),
        ({"type": "or"}, "filters"),
    ],
)
def test_a_filter_without_its_parts_is_refused(condition: Json, missing: str) -> None:
    """A comparison needs a key and a value, a compound its filters."""
    with pytest.raises(msgspec.ValidationError) as refused:
        read({"type": "file_search", "vector_store_ids": ["v"], "filters": condition})
    assert f"Object missing required field `{missing}` - at `$.filters`" == str(refused.value)


def test_a_filter_keeps_whole_numbers_whole() -> None:
    """An integer to compare with does not come back as a float."""
    condition = msgspec.convert({"type": "eq", "key": "k", "value": 3}, SearchFilter)
    assert b'{"type":"eq","key":"k","value":3}' == msgspec.json.encode(condition)


def test_unknown_keys_of_a_tool_are_ignored() -> None:
    """A newer client's extra key does not spoil the request."""
    assert read({"type": "local_shell"}) == read({"type": "local_shell", "new_key": [1]})


def test_a_null_is_accepted_wherever_a_key_may_be_missing() -> None:
    """Clients that write out every field as null are understood."""
    for struct in Tool.__args__:
        optional = {field.encode_name: None for field in msgspec.structs.fields(struct) if not field.required}
        needed = next(tool for tool in FULL if tool["type"] == struct.__struct_config__.tag)
        assert isinstance(read({**optional, **{key: needed[key] for key in needed if key not in optional}}), struct)


def test_a_missing_strict_and_a_null_one_stay_apart() -> None:
    """The one means: if possible; the other: no."""
    missing, null = read({"type": "function", "name": "a"}), read({"type": "function", "name": "a", "strict": None})
    assert isinstance(missing, FunctionTool)
    assert isinstance(null, FunctionTool)
    assert [UNSET, None] == [missing.strict, null.strict]


def test_a_dated_name_is_the_same_tool() -> None:
    """A match on the tool's class takes both names, and the name sent is the name written."""
    tool = read({"type": "web_search_2025_08_26"})
    assert isinstance(tool, WebSearchTool)
    assert tool.type == "web_search_2025_08_26"


def test_settings_of_several_kinds_become_their_own_types() -> None:
    """Unions inside tools are told apart by their type."""
    container = msgspec.structs.asdict(read({"type": "code_interpreter", "container": {"type": "auto"}}))["container"]
    shell = msgspec.structs.asdict(read({"type": "shell", "environment": {"type": "local"}}))["environment"]
    mcp = read({"type": "mcp", "server_label": "l", "allowed_tools": ["a"]})
    assert isinstance(mcp, McpTool)
    assert [CodeContainer(), ShellLocal(), ["a"]] == [container, shell, mcp.allowed_tools]


@pytest.mark.parametrize(
    "choice",
    [
        "none",
        "auto",
        "required",
        {"type": "function", "name": "f"},
        {"type": "custom", "name": "c"},
        {"type": "mcp", "server_label": "l"},
        {"type": "mcp", "server_label": "l", "name": "t"},
        {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [
                {"type": "function", "name": "f"},
                {"type": "mcp", "server_label": "l"},
                {"type": "image_generation"},
            ],
        },
    ],
)
def test_a_choice_is_written_as_it_was_sent(choice: str | Json) -> None:
    """Modes, named tools and lists of allowed ones."""
    assert choice == msgspec.to_builtins(msgspec.convert(choice, ToolChoice))


@pytest.mark.parametrize(
    "type_name",
    [
        "file_search",
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
        "code_interpreter",
        "image_generation",
        "computer",
        "computer_use",
        "computer_use_preview",
        "shell",
        "apply_patch",
        "programmatic_tool_calling",
    ],
)
def test_a_hosted_tool_is_chosen_by_its_type(type_name: str) -> None:
    """One class stands for all of them where only the type matters."""
    choice = msgspec.convert({"type": type_name}, ToolChoice)
    assert isinstance(choice, ToolChoiceHosted)
    assert type_name == choice.type


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("sometimes", "Invalid enum value 'sometimes'"),
        ({"type": "nope"}, "Invalid value 'nope' - at `$.type`"),
        ({"type": "function"}, "Object missing required field `name`"),
        ({"type": "allowed_tools", "mode": "none", "tools": []}, "Invalid enum value 'none' - at `$.mode`"),
    ],
)
def test_a_choice_that_is_none_is_refused(choice: str | Json, message: str) -> None:
    """The error names what is wrong."""
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(choice, ToolChoice)
    assert message == str(refused.value)
