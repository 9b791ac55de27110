"""Tools of MCP servers among what a model is offered, before and after their servers have listed them."""

from __future__ import annotations

import msgspec
import pytest

from antiphon.core.naming import digested_name
from antiphon.core.offer import Offer, RemoteTool, offer
from antiphon.core.turn import Choice
from antiphon.protocol.calls import McpToolListing
from antiphon.protocol.errors import ApiError
from antiphon.protocol.request import CreateResponse
from antiphon.protocol.tools import FunctionTool, McpTool, WebSearchTool

ANY = {"type": "object", "properties": {}}
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
READ = McpToolListing(name="read", input_schema=SCHEMA, description="Reads a file.")
WRITE = McpToolListing(name="write", input_schema={}, annotations={"read_only": False})
FILES = McpTool(server_label="files", server_url="https://files")
OTHER = McpTool(server_label="other", server_url="https://other")
LISTED = {"files": [READ, WRITE]}
F = FunctionTool(name="f", parameters=None)

Tools = list[FunctionTool | McpTool | WebSearchTool]


def asked(tools: Tools, choice: object = None) -> CreateResponse:
    """A request with these tools."""
    return msgspec.structs.replace(
        msgspec.convert({"model": "m", "tool_choice": choice}, CreateResponse), tools=[*tools]
    )


def among(mode: str, *tools: dict[str, str]) -> dict[str, object]:
    """A choice among some tools."""
    return {"type": "allowed_tools", "mode": mode, "tools": [*tools]}


def refusal(request: CreateResponse, listed: dict[str, list[McpToolListing]]) -> tuple[int, str, str | None]:
    """What a caller is told: status, words and parameter."""
    with pytest.raises(ApiError) as raised:
        offer(request, listed)
    return raised.value.status, raised.value.message, raised.value.param


def names(offered: Offer) -> list[str]:
    """The functions that the model is offered."""
    return [function.name for function in offered.functions]


def test_the_tools_of_a_server_are_functions_for_the_model() -> None:
    """Behind those of the client, under the label of their server."""
    offered = offer(asked([FILES, F]), LISTED)
    f, read, write = offered.functions
    assert ["f", "files__read", "files__write"] == [f.name, read.name, write.name]
    assert ("Reads a file.", SCHEMA, False) == (read.description, msgspec.json.decode(read.parameters), read.strict)
    assert (None, ANY) == (write.description, msgspec.json.decode(write.parameters))
    assert {"files__read": RemoteTool(FILES, READ), "files__write": RemoteTool(FILES, WRITE)} == offered.remote
    assert ([], []) == (offered.unavailable, offered.handed_over)
    assert frozenset(function.name for function in offered.functions) == offered.allowed


def test_a_server_that_has_not_listed_its_tools_offers_none() -> None:
    """Nor does one that is not in the request."""
    assert ["f"] == names(offer(asked([F, OTHER]), LISTED))
    assert ["f"] == names(offer(asked([F, FILES])))
    assert {} == offer(asked([F]), LISTED).remote


def test_only_the_tools_that_a_request_allows_are_offered() -> None:
    """The model does not hear of the others."""
    only = msgspec.structs.replace(FILES, allowed_tools=["write"])
    assert ["files__write"] == names(offer(asked([only]), LISTED))


@pytest.mark.parametrize(
    ("listing", "description"),
    [(READ, "Reads a file.\n\n(files: My notes.)"), (WRITE, "(files: My notes.)")],
)
def test_what_the_request_says_of_a_server_stands_at_each_of_its_tools(
    listing: McpToolListing, description: str
) -> None:
    """Behind what the tool says of itself."""
    described = msgspec.structs.replace(FILES, server_description="My notes.")
    (function,) = offer(asked([described]), {"files": [listing]}).functions
    assert description == function.description


def test_a_tool_whose_name_a_function_of_the_client_has_goes_by_another() -> None:
    """A call of that name is the client's."""
    mine = FunctionTool(name="files__read", parameters=None)
    digested = digested_name("files", "read")
    offered = offer(asked([FILES, mine]), LISTED)
    assert ["files__read", digested, "files__write"] == names(offered)
    assert RemoteTool(FILES, READ) == offered.remote[digested]
    assert "files__read" not in offered.remote


def test_a_tool_both_of_whose_names_are_taken_is_not_offered() -> None:
    """Two functions never share a name."""
    mine = [FunctionTool(name=name, parameters=None) for name in ("files__read", digested_name("files", "read"))]
    offered = offer(asked([FILES, *mine]), LISTED)
    assert ["files__write"] == [*offered.remote]


def test_a_tool_that_its_server_lists_twice_is_offered_under_two_names() -> None:
    """And one that is listed three times under no third."""
    offered = offer(asked([FILES]), {"files": [READ, READ, READ]})
    assert ["files__read", digested_name("files", "read")] == names(offered)


def test_tools_of_one_name_on_two_servers_are_told_apart() -> None:
    """By their labels."""
    offered = offer(asked([FILES, OTHER]), {"files": [READ], "other": [READ]})
    assert ["files__read", "other__read"] == names(offered)
    assert [FILES, OTHER] == [tool.server for tool in offered.remote.values()]


def test_with_none_no_tool_of_a_server_may_be_called() -> None:
    """Whatever the model tries."""
    offered = offer(asked([FILES], "none"), LISTED)
    assert (Choice("none"), frozenset[str]()) == (offered.choice, offered.allowed)


def test_with_required_a_tool_of_a_server_does() -> None:
    """Once it is listed, and as long as it may be."""
    assert [Choice("required")] * 2 == [offer(asked([FILES], "required"), known).choice for known in (LISTED, {})]


def test_required_is_refused_where_every_server_has_listed_nothing() -> None:
    """There is nothing to call and never will be."""
    message = "Tool 'mcp' is not available on this server."
    assert (400, message, "tool_choice") == refusal(asked([FILES], "required"), {"files": []})
    assert Choice("required") == offer(asked([FILES, OTHER], "required"), {"files": []}).choice


@pytest.mark.parametrize(
    ("demand", "wanted"),
    [
        ({}, ["files__read", "files__write"]),
        ({"name": None}, ["files__read", "files__write"]),
        ({"name": "write"}, ["files__write"]),
    ],
)
def test_a_demand_for_a_server_is_one_for_its_tools(demand: dict[str, str | None], wanted: list[str]) -> None:
    """All of them or the one that is named; nothing else may be called."""
    choice = {"type": "mcp", "server_label": "files", **demand}
    offered = offer(asked([F, FILES, OTHER], choice), {**LISTED, "other": [READ]})
    assert (Choice("required", wanted), frozenset(wanted)) == (offered.choice, offered.allowed)


@pytest.mark.parametrize("demand", [{}, {"name": "write"}])
def test_a_demand_for_what_is_not_listed_yet_waits(demand: dict[str, str]) -> None:
    """Until then nothing may be called."""
    offered = offer(asked([F, FILES], {"type": "mcp", "server_label": "files", **demand}))
    assert (Choice("required", []), frozenset[str]()) == (offered.choice, offered.allowed)


@pytest.mark.parametrize(("demand", "what"), [({}, "files"), ({"name": "zap"}, "files.zap")])
def test_a_demand_for_what_a_server_does_not_have_is_refused(demand: dict[str, str], what: str) -> None:
    """Once all have listed what they have."""
    request = asked([F, FILES], {"type": "mcp", "server_label": "files", **demand})
    message = f"Tool choice '{what}' not found in 'tools' parameter."
    assert (400, message, "tool_choice") == refusal(request, {"files": [READ] if demand else []})


@pytest.mark.parametrize("mode", ["auto", "required"])
@pytest.mark.parametrize(
    ("tool", "wanted"),
    [
        ({"type": "mcp", "server_label": "files"}, ["files__read", "files__write"]),
        ({"type": "mcp", "server_label": "files", "name": "read"}, ["files__read"]),
        ({"type": "mcp", "server_label": "files", "name": "zap"}, []),
        ({"type": "mcp", "server_label": "zap"}, []),
        ({"type": "mcp", "name": "read"}, []),
        ({"type": "function", "name": "zap"}, []),
    ],
)
def test_of_allowed_tools_those_of_servers_may_be_called(mode: str, tool: dict[str, str], wanted: list[str]) -> None:
    """Beside the functions of the client, in the order of the choice."""
    offered = offer(asked([F, FILES], among(mode, tool, {"type": "function", "name": "f"})), LISTED)
    assert (mode, [*wanted, "f"]) == (offered.choice.mode, offered.choice.names)
    assert frozenset([*wanted, "f"]) == offered.allowed


def test_allowed_tools_may_still_turn_up() -> None:
    """As long as a server has not listed what it has; then the demand is refused."""
    request = asked([F, FILES], among("required", {"type": "mcp", "server_label": "files", "name": "zap"}))
    assert Choice("required", []) == offer(request).choice
    assert (400, "Tool 'mcp' is not available on this server.", "tool_choice") == refusal(request, LISTED)


def test_an_upstream_that_runs_tools_itself_is_handed_the_servers() -> None:
    """As the request names them; no tool of theirs is a function."""
    offered = offer(asked([FILES, WebSearchTool(), F, OTHER]), LISTED, hands_over=True)
    assert ([FILES, OTHER], ["f"], {}) == (offered.handed_over, names(offered), offered.remote)
    assert ["web_search"] == offered.unavailable


@pytest.mark.parametrize("listed", [{}, LISTED])
@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "mcp", "server_label": "files"},
        {"type": "mcp", "server_label": "files", "name": "zap"},
        among("required", {"type": "mcp", "server_label": "files"}),
    ],
)
def test_a_demand_for_a_server_that_is_handed_over_is_the_upstreams(
    choice: object, listed: dict[str, list[McpToolListing]]
) -> None:
    """What the transcript has of an earlier list says nothing of what the upstream will find."""
    offered = offer(asked([FILES], choice), listed, hands_over=True)
    assert ("required", [FILES]) == (offered.choice.mode, offered.handed_over)
