"""What MCP servers call their tools to harm who uses them, in lists: names, descriptions, schemas.

All is judged as in `tests.acceptance.test_mcp_hostile_server`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

import pytest

from tests.acceptance import test_mcp_hostile_server as hostile
from tests.acceptance.test_mcp_hostile_results import (
    CONTROLS,
    HUGE_NUMBER,
    OBJECT,
    ORDER,
    giving,
    goes_on,
    nested,
    performing,
)
from tests.acceptance.test_mcp_hostile_server import asked, tool
from tests.conformance.streams import create
from tests.mcp_servers import archive, library
from tests.mcp_servers.rogue import GOOD_RESULT, GOOD_TOOL

if TYPE_CHECKING:
    from tests.acceptance.operating import Operated

    Json = dict[str, Any]

pytestmark = pytest.mark.slow
place, running, server = hostile.place, hostile.running, hostile.server

LONG = "x" * 100
NAMES: dict[str, list[str]] = {
    "unicode": ["名前", "🔑", "é", "\u202ex"],
    "control characters": ["a\nb", "\x00", "\x1b[2J"],
    "odd": ["a__b", "__", "a b", "a/b", "../a", "<b>", '"', "x" * 128],
    "alike but for case": ["Search", "SEARCH", "search"],
    "alike once they are shortened": [f"{LONG}1", f"{LONG}2", f"{LONG}3"],
    "alike once they are cleaned": ["a b", "a/b", "a\tb", "a_b"],
    "what looks like a digest": ["search_0123456789", "x" * 50],
}


@pytest.mark.parametrize("how", NAMES)
def test_every_call_is_of_the_tool_that_was_meant(server: Operated, how: str) -> None:
    """Whatever its name: the server hears it as it told it."""
    with performing(giving(GOOD_RESULT), *({"name": name, "inputSchema": OBJECT} for name in NAMES[how])) as bad:
        for name in NAMES[how]:
            choice = {"type": "mcp", "server_label": "bad", "name": name}
            response = create(server.address, input="x", tools=[tool(bad.url)], tool_choice=choice)
            assert ("completed", name) == (response["output"][1]["status"], response["output"][1]["name"])
        assert NAMES[how] == [name for name, _ in bad.calls]


TOOLS: dict[str, tuple[list[Any], int]] = {
    "the same name twice": ([GOOD_TOOL, {**GOOD_TOOL, "description": "Other."}], 2),
    "no name": ([GOOD_TOOL, {**GOOD_TOOL, "name": ""}], 1),
    "a long name": ([GOOD_TOOL, {**GOOD_TOOL, "name": "x" * 10_000}], 1),
    "a long description": ([GOOD_TOOL, {**GOOD_TOOL, "name": "x", "description": "x" * 10_000}], 2),
    "an instruction": ([{**GOOD_TOOL, "description": ORDER + CONTROLS}], 1),
    "a huge number in a schema": ([GOOD_TOOL, {"name": "x", "inputSchema": {**OBJECT, "maximum": HUGE_NUMBER}}], 2),
    "a schema of 1 MB": ([GOOD_TOOL, {"name": "x", "inputSchema": {**OBJECT, "title": "x" * 1_000_000}}], 2),
    "null for a tool": ([GOOD_TOOL, None], 1),
    "a text for a tool": ([GOOD_TOOL, "x"], 1),
}


@pytest.mark.parametrize("how", TOOLS)
def test_a_tool_that_is_bad_spoils_no_other(server: Operated, how: str) -> None:
    """The good one is called; what is shown of the others is what can be shown."""
    tools, count = TOOLS[how]
    with performing(giving(GOOD_RESULT), *tools) as bad:
        plain, told, background = asked(server.address, tool(bad.url), input="search")
    for response in (plain.json(), told[-1]["response"], background):
        assert "completed" == response["status"], response
        listed, call, _ = response["output"]
        assert len(listed["tools"]) in {count, len(tools)}
        assert ("completed", "Found.") == (call["status"], call["output"])
        goes_on(server, response)


NO_LISTS: dict[str, Json] = {
    "half a character for a name": {**GOOD_TOOL, "name": "\ud800"},
    "half a character in a description": {**GOOD_TOOL, "description": "\ud800"},
    "no number in a schema": {"name": "x", "inputSchema": {**OBJECT, "maximum": float("nan")}},
    "a deep schema": {"name": "x", "inputSchema": {**OBJECT, "enum": nested(900)}},
}


@pytest.mark.parametrize("how", NO_LISTS)
def test_a_list_that_cannot_be_read_is_none(server: Operated, how: str) -> None:
    """What is no JSON, or too deep, tells of no tools."""
    with performing(giving(GOOD_RESULT), NO_LISTS[how], GOOD_TOOL) as bad:
        plain, told, background = asked(server.address, tool(bad.url), input="search")
    assert (424, "failed", "failed") == (plain.status_code, told[-1]["response"]["status"], background["status"])
    assert [] == bad.calls


def test_two_servers_with_a_tool_of_the_same_name_are_told_apart(server: Operated) -> None:
    """Each call reaches its own, side by side."""
    with library() as books, archive() as letters:
        tools = [tool(books.url, "one"), tool(letters.url, "two")]
        plain, told, background = asked(server.address, *tools, input="both")
        assert 3 * [("search", {"query": "whales"})] == books.calls == letters.calls
    for response in (plain.json(), told[-1]["response"], background):
        outputs = {item["server_label"]: item["output"] for item in response["output"] if item["type"] == "mcp_call"}
        assert "In the library: two books about whales." == outputs["one"]
        assert "In the archive: three letters about whales." == outputs["two"]


def test_labels_and_names_that_read_alike_are_told_apart(server: Operated) -> None:
    """``a`` with ``b__c`` and ``a__b`` with ``c``; and a function of the client's that has the name already."""
    function = {"type": "function", "name": "a__b__c", "parameters": OBJECT}
    with (
        performing(giving(GOOD_RESULT), {"name": "b__c", "inputSchema": OBJECT}) as one,
        performing(giving(GOOD_RESULT), {"name": "c", "inputSchema": OBJECT}) as two,
    ):
        tools = [tool(one.url, "a"), tool(two.url, "a__b")]
        for label in ("a", "a__b"):
            for more in ([], [function]):
                choice = {"type": "mcp", "server_label": label}
                create(server.address, input="x", tools=[*tools, *more], tool_choice=choice)
        assert ([("b__c", {})] * 2, [("c", {})] * 2) == (one.calls, two.calls)
        choice = {"type": "function", "name": "a__b__c"}
        response = create(server.address, input="x", tools=[*tools, function], tool_choice=choice)
        assert "function_call" == response["output"][-1]["type"]
        assert (2, 2) == (len(one.calls), len(two.calls))
