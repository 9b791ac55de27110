"""Which tools of an MCP server a model may use, and which a person has to approve."""

from __future__ import annotations

import msgspec
import pytest

from antiphon.core.servers import is_allowed, is_covered, is_read_only, needs_approval
from antiphon.protocol.calls import McpToolListing
from antiphon.protocol.tools import McpTool

READ = McpToolListing(name="read", input_schema={}, annotations={"read_only": True})
WRITE = McpToolListing(name="write", input_schema={}, annotations={"read_only": False})
PLAIN = McpToolListing(name="plain", input_schema={})
TOOLS = (READ, WRITE, PLAIN)


def server(**settings: object) -> McpTool:
    """A server as a request names it."""
    return msgspec.convert({"type": "mcp", "server_label": "s", "server_url": "https://s", **settings}, McpTool)


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        (None, ["read", "write", "plain"]),
        ([], []),
        (["write"], ["write"]),
        (["read", "unknown"], ["read"]),
        (["READ"], []),
        ({}, ["read", "write", "plain"]),
        ({"tool_names": None}, ["read", "write", "plain"]),
        ({"tool_names": []}, []),
        ({"tool_names": ["plain", "read"]}, ["read", "plain"]),
        ({"read_only": None}, ["read", "write", "plain"]),
        ({"read_only": True}, ["read"]),
        ({"read_only": False}, ["write", "plain"]),
        ({"read_only": True, "tool_names": ["read", "write"]}, ["read"]),
        ({"read_only": True, "tool_names": ["write"]}, []),
    ],
)
def test_the_model_may_know_of_the_tools_that_are_allowed(allowed: object, names: list[str]) -> None:
    """All, those of a list, or those that fit every condition of a filter."""
    tool = server(allowed_tools=allowed)
    assert names == [listing.name for listing in TOOLS if is_allowed(tool, listing)]


def test_without_a_word_about_it_every_tool_is_allowed_and_each_call_needs_an_approval() -> None:
    """The defaults of the live service."""
    assert all(is_allowed(server(), listing) and needs_approval(server(), listing) for listing in TOOLS)


@pytest.mark.parametrize(
    ("approval", "names"),
    [
        (None, ["read", "write", "plain"]),
        ("always", ["read", "write", "plain"]),
        ("never", []),
        ({}, ["read", "write", "plain"]),
        ({"always": None, "never": None}, ["read", "write", "plain"]),
        ({"never": {}}, ["read", "write", "plain"]),
        ({"never": {"tool_names": None}}, ["read", "write", "plain"]),
        ({"never": {"tool_names": []}}, ["read", "write", "plain"]),
        ({"never": {"tool_names": ["write"]}}, ["read", "plain"]),
        ({"never": {"read_only": True}}, ["write", "plain"]),
        ({"never": {"read_only": False}}, ["read"]),
        ({"never": {"read_only": True, "tool_names": ["write"]}}, ["read", "write", "plain"]),
        ({"always": {"tool_names": ["write"]}}, ["read", "write", "plain"]),
        ({"always": {"tool_names": ["write"]}, "never": {"tool_names": ["read"]}}, ["write", "plain"]),
        ({"always": {"tool_names": ["read"]}, "never": {"read_only": True}}, ["read", "write", "plain"]),
        ({"always": {}, "never": {"tool_names": ["read", "write", "plain"]}}, []),
        ({"always": {"tool_names": []}, "never": {"tool_names": ["read"]}}, ["write", "plain"]),
        ({"always": {"read_only": False}, "never": {"tool_names": ["read", "plain"]}}, ["write", "plain"]),
    ],
)
def test_a_person_approves_each_call_unless_the_request_says_that_none_is_needed(
    approval: object, names: list[str]
) -> None:
    """What is named as always counts for more than what is named as never, and an empty filter names nothing."""
    tool = server(require_approval=approval)
    assert names == [listing.name for listing in TOOLS if needs_approval(tool, listing)]


@pytest.mark.parametrize("word", [1, "true", None, [True]])
def test_only_a_clear_word_of_the_server_says_that_a_tool_only_reads(word: object) -> None:
    """Servers put what they like into annotations."""
    assert is_read_only(READ)
    assert not is_read_only(McpToolListing(name="t", input_schema={}, annotations={"read_only": word}))
    assert not is_read_only(McpToolListing(name="t", input_schema={}, annotations={}))


def test_a_list_that_lacks_a_named_tool_does_not_do() -> None:
    """It was made when fewer were allowed; a filter is content with any."""
    asked = {"none": None, "the same": ["read"], "more": ["read", "late"], "filter": {"read_only": True}}
    covered = {name: is_covered(server(allowed_tools=wanted), TOOLS) for name, wanted in asked.items()}
    assert {"none": True, "the same": True, "more": False, "filter": True} == covered
