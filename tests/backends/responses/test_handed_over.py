"""A deployment that hands MCP servers over: the upstream runs their tools, and the caller sees what they made."""

from __future__ import annotations

from functools import partial
from typing import Any  # bodies are told as plain JSON here

from tests.backends.responses.replaying import replaying

WIKI: Any = {
    "type": "mcp",
    "server_label": "wiki",
    "server_url": "https://wiki.example/mcp",
    "authorization": "secret-token",
}


handing_over = partial(replaying, pass_through=True)
"""See `replaying`."""


def test_what_the_upstreams_tools_made_is_the_callers() -> None:
    """A list, two calls of which one failed, and the answer; the server's secret goes on, and comes back to nobody."""
    with handing_over("openai-mcp.sse") as (client, bodies):
        response = client.responses.create(model="m", input="hi", tools=[WIKI])
    assert ["mcp_list_tools", "reasoning", "mcp_call", "mcp_call", "message"] == [item.type for item in response.output]
    assert ["completed", "failed"] == [item.status for item in response.output if item.type == "mcp_call"]
    assert [WIKI] == bodies[0]["tools"]
    assert "secret-token" not in response.to_json()


def test_an_approval_that_is_given_here_is_understood_there() -> None:
    """The request goes back with the id that the upstream gave it."""
    with handing_over("openai-mcp-approval.sse", "openai-text.sse") as (client, bodies):
        first = client.responses.create(model="m", input="hi", tools=[WIKI])
        asked = first.output[-1]
        assert asked.type == "mcp_approval_request"
        answer: Any = {"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}
        second = client.responses.create(model="m", previous_response_id=first.id, input=[answer], tools=[WIKI])
    assert "Grüße, 世界 👋" == second.output_text
    assert ["message", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response"] == [
        item["type"] for item in bodies[1]["input"]
    ]
    assert asked.id == bodies[1]["input"][2]["id"]
    assert answer == bodies[1]["input"][3]


def test_lists_that_come_side_by_side_are_told() -> None:
    """Their ends are never told by the upstream, and are by us."""
    with (
        handing_over("openai-mcp-parallel-lists.sse") as (client, _),
        client.responses.create(model="m", input="hi", tools=[WIKI], stream=True) as events,
    ):
        types = [event.type for event in events]
    assert (3, 3, "response.completed") == (
        types.count("response.output_item.added"),
        types.count("response.output_item.done"),
        types[-1],
    )
