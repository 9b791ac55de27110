"""Tools agree with each other, and a choice is among them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from antiphon.protocol.checks import check
from antiphon.protocol.errors import ApiError
from antiphon.protocol.reading import read_request

Json = dict[str, Any]  # what a client may send

OPEN = {"type": "object", "properties": {"unit": {"type": "string"}}, "required": []}
F: Json = {"type": "function", "name": "f"}
CUSTOM: Json = {"type": "custom", "name": "c"}
MCP: Json = {"type": "mcp", "server_label": "docs", "server_url": "https://h.example/mcp"}
SPACE: Json = {"type": "namespace", "name": "crm", "description": "d", "tools": [{"type": "function", "name": "g"}]}


def checked(**body: Any) -> None:  # what a client may send
    """Read and check a request."""
    check(read_request(msgspec.json.encode(body)).request)


def refused(**body: Any) -> ApiError:  # what a client may send
    """Read a request that a check must refuse."""
    request = read_request(msgspec.json.encode(body)).request
    with pytest.raises(ApiError) as caught:
        check(request)
    return caught.value


def test_different_tools_may_stand_together() -> None:
    """A namespace has names of its own, and hosted tools have none."""
    web = {"type": "web_search"}
    checked(tools=[F, CUSTOM, MCP, {**MCP, "server_label": "wiki"}, SPACE, web, {**SPACE, "tools": [F]}])


@pytest.mark.parametrize(
    ("tools", "param", "message"),
    [
        ([F, F], "tools[1].name", "Duplicate tool name: 'f' stands more than once in 'tools'."),
        ([F, {**CUSTOM, "name": "f"}], "tools[1].name", "Duplicate tool name: 'f' stands more than once in 'tools'."),
        (
            [{**SPACE, "tools": [F, F]}],
            "tools[0].tools[1].name",
            "Duplicate tool name: 'f' stands more than once in 'tools'.",
        ),
        ([MCP, MCP], "tools[1].server_label", "Duplicate server_label: 'docs' stands more than once in 'tools'."),
    ],
)
def test_a_name_stands_for_one_tool(tools: list[Json], param: str, message: str) -> None:
    """A call by that name could not be told apart."""
    error = refused(tools=tools)
    assert (error.status, error.code, error.param, error.message) == (400, "invalid_value", param, message)


def test_a_strict_function_needs_a_strict_schema() -> None:
    """The words were recorded."""
    function = {"type": "function", "name": "get_current_weather", "strict": True}
    closed = {**OPEN, "additionalProperties": False}
    checked(tools=[{**function, "parameters": {**closed, "required": ["unit"]}}])
    error = refused(tools=[{**function, "parameters": closed}])
    assert (error.code, error.param) == ("invalid_function_parameters", "tools[0].parameters")
    assert error.message == (
        "Invalid schema for function 'get_current_weather': In context=(), 'required' is required to be supplied and "
        "to be an array including every key in properties. Missing 'unit'."
    )


@pytest.mark.parametrize("strict", [{}, {"strict": None}, {"strict": False}])
def test_only_a_function_that_says_strict_is_held_to_it(strict: Json) -> None:
    """Without the word a schema that cannot be followed strictly is followed loosely."""
    checked(tools=[{**F, "parameters": OPEN, **strict}])


def test_a_strict_function_may_take_nothing() -> None:
    """No parameters at all are as strict as can be."""
    checked(tools=[{**F, "strict": True}])


@pytest.mark.parametrize("way", [{"connector_id": "connector_gmail"}, {"tunnel_id": "tunnel_" + "a" * 32}])
def test_an_mcp_server_is_reached_in_one_way(way: Json) -> None:
    """A URL, a connector or a tunnel: one of them."""
    checked(tools=[{"type": "mcp", "server_label": "s", **way}])
    assert refused(tools=[{**MCP, **way}]).code == "mutually_exclusive_parameters"


def test_an_mcp_server_is_somewhere() -> None:
    """None of the ways is a missing URL."""
    error = refused(tools=[{"type": "mcp", "server_label": "s"}])
    assert (error.code, error.param) == ("missing_required_parameter", "tools[0].server_url")


def test_a_mask_is_an_image() -> None:
    """A mask is refused like any image."""
    checked(tools=[{"type": "image_generation", "input_image_mask": None}])
    error = refused(tools=[{"type": "image_generation", "input_image_mask": {"image_url": "nothing"}}])
    assert (error.code, error.param) == ("invalid_image_url", "tools[0].input_image_mask.image_url")


@pytest.mark.parametrize(
    ("choice", "tools"),
    [
        ("none", []),
        ("auto", []),
        ("required", [F]),
        ({"type": "function", "name": "f"}, [F]),
        ({"type": "function", "name": "g"}, [SPACE]),
        ({"type": "custom", "name": "c"}, [CUSTOM]),
        ({"type": "mcp", "server_label": "docs", "name": "any"}, [MCP]),
        ({"type": "web_search_preview"}, [{"type": "web_search"}]),
        ({"type": "web_search_2025_08_26"}, [{"type": "web_search_preview"}]),
        (
            {"type": "computer_use"},
            [{"type": "computer_use_preview", "display_width": 1, "display_height": 1, "environment": "browser"}],
        ),
        ({"type": "shell"}, [{"type": "shell"}]),
        (
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [
                    {"type": "function", "name": "f"},
                    {"type": "mcp", "server_label": "docs"},
                    {"type": "namespace", "name": "crm"},
                    {"type": "image_generation"},
                ],
            },
            [F, MCP, SPACE, {"type": "image_generation"}],
        ),
    ],
)
def test_a_choice_among_the_tools_is_accepted(choice: str | Json, tools: list[Json]) -> None:
    """By name, by label or by type, older names of a type included."""
    checked(tools=tools, tool_choice=choice)


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ({"type": "function", "name": "other"}, "function"),
        ({"type": "function", "name": "c"}, "function"),
        ({"type": "custom", "name": "f"}, "custom"),
        ({"type": "mcp", "server_label": "other"}, "mcp"),
        ({"type": "image_generation"}, "image_generation"),
        ({"type": "web_search_preview"}, "web_search_preview"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "other"}]}, "function"),
        ({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}, "mcp"),
    ],
)
def test_a_choice_of_an_absent_tool_is_refused(choice: Json, kind: str) -> None:
    """The words were recorded."""
    error = refused(tools=[F, CUSTOM, MCP], tool_choice=choice)
    assert (error.status, error.code, error.param) == (400, None, "tool_choice")
    assert error.message == f"Tool choice '{kind}' not found in 'tools' parameter."


@pytest.mark.parametrize(
    "item", [{"type": "additional_tools", "tools": [F]}, {"type": "tool_search_output", "tools": [F]}]
)
def test_a_choice_may_be_of_a_tool_that_the_input_adds(item: Json) -> None:
    """Tools may join on the way."""
    checked(input=[{"role": "user", "content": "hi"}, item], tool_choice={"type": "function", "name": "f"})


COMPUTER: Json = {"type": "computer"}
PREVIEW: Json = {
    "type": "computer_use_preview",
    "display_width": 1024,
    "display_height": 768,
    "environment": "browser",
}


@pytest.mark.parametrize(
    ("tools", "name"),
    [([COMPUTER, PREVIEW], "computer"), ([PREVIEW, PREVIEW], "computer"), ([PREVIEW, COMPUTER], "computer")],
)
def test_a_request_has_one_computer(tools: list[Json], name: str) -> None:
    """Of either kind: a call could not be told apart."""
    error = refused(tools=[F, *tools])
    assert (400, "invalid_value", "tools[2].type") == (error.status, error.code, error.param)
    assert f"Duplicate tool type: '{name}' stands more than once in 'tools'." == error.message
    checked(tools=[F, tools[0], {"type": "image_generation"}])


@pytest.mark.parametrize("side", [0, -1, 32_769, 10**20])
@pytest.mark.parametrize("name", ["display_width", "display_height"])
def test_a_display_has_pixels_and_not_too_many(name: str, side: int) -> None:
    """Nothing is ever divided by its size in vain."""
    with pytest.raises(ApiError) as caught:
        read_request(msgspec.json.encode({"model": "m", "tools": [{**PREVIEW, name: side}]}))
    assert (400, f"tools[0].{name}") == (caught.value.status, caught.value.param)


@pytest.mark.parametrize("choice", ["computer", "computer_use", "computer_use_preview"])
@pytest.mark.parametrize("tool", [COMPUTER, PREVIEW])
def test_a_computer_is_chosen_by_any_of_its_names(tool: Json, choice: str) -> None:
    """Whichever it is; where there is none it is no choice."""
    checked(tools=[tool], tool_choice={"type": choice})
    checked(tools=[tool], tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [{"type": choice}]})
    assert f"Tool choice '{choice}' not found in 'tools' parameter." == (
        refused(tools=[F], tool_choice={"type": choice}).message
    )
