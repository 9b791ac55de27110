"""The streams of MCP tools: their order is the recorded one, and every other way of asking tells the same.

Lists, calls, failures, approvals and denials, of one server and of two, one after the other and side by side.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from msgspec.structs import replace
from openai import AsyncOpenAI

from antiphon.outbound import Config as Outbound
from tests import patient
from tests.conformance.grammar import findings, item_findings, spelled
from tests.conformance.streams import MODEL, create, events, named, stream
from tests.field_sets import ITEMS
from tests.http.following import ended
from tests.mcp_servers import Watched, archive, library, misbehaving
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    Json = dict[str, Any]

pytestmark = [pytest.mark.slow, pytest.mark.anyio]


def called(label: str, tool: str, **arguments: Any) -> Json:
    """A step in which the model calls."""
    return {"call": {"name": f"{label}__{tool}", "arguments": arguments}}


SEARCH = called("books", "search", query="whales")
REPLIES: tuple[Json, ...] = (
    {"when": "^one", "after_output": False, "steps": [{"thought": "Hm."}, {"text": "I look."}, SEARCH]},
    {"when": "^twice", "outputs": 0, "steps": [called("books", "search", query="sailing")]},
    {
        "when": "two books about sailing",
        "outputs": 1,
        "steps": [{"thought": "More."}, called("letters", "search", query="ink")],
    },
    {
        "when": "^side by side",
        "after_output": False,
        "steps": [SEARCH, called("letters", "search", query="ink"), called("books", "add", a=1, b=2)],
    },
    {"when": "^break", "after_output": False, "steps": [called("books", "breaks")]},
    {"when": "^empty", "after_output": False, "steps": [called("books", "no_arguments")]},
    {"when": "^mixed", "after_output": False, "steps": [SEARCH, called("books", "delete_book", title="Emma")]},
    {"after_output": True, "steps": [{"text": ["Two", " books."]}]},
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server whose model uses the tools of ``books`` and ``letters``."""
    config = replace(scripted(*REPLIES), outbound=Outbound(allow_private=["127.0.0.1"]))
    with serving(config) as served:
        yield served


@pytest.fixture(scope="module")
def books() -> Iterator[Watched]:
    """A library."""
    with library() as server:
        yield server


@pytest.fixture(scope="module")
def letters() -> Iterator[Watched]:
    """An archive."""
    with archive() as server:
        yield server


def tool(label: str, server: Watched, approval: Any = "never") -> Json:
    """The tools of a server."""
    return {"type": "mcp", "server_label": label, "server_url": server.url, "require_approval": approval}


LIST = "mcp_list_tools.in_progress mcp_list_tools.completed"
CALL = "mcp_call.in_progress mcp_call_arguments.delta mcp_call_arguments.done mcp_call.completed"
BEFORE = "created in_progress"
TEXT = "content_part.added output_text.delta output_text.delta output_text.done content_part.done"
SAID = f"output_item.added {TEXT} output_item.done"
NEVER, ALWAYS, READ = "never", "always", {"never": {"read_only": True}}
ONE: dict[str, tuple[Any, list[str]]] = {
    "hello": (NEVER, ["mcp_list_tools", "message"]),
    "one": (NEVER, ["mcp_list_tools", "reasoning", "message", "mcp_call", "message"]),
    "empty": (NEVER, ["mcp_list_tools", "mcp_call", "message"]),
    "break": (NEVER, ["mcp_list_tools", "mcp_call", "message"]),
    "one, asked": (ALWAYS, ["mcp_list_tools", "reasoning", "message", "mcp_approval_request"]),
    "empty, asked": (ALWAYS, ["mcp_list_tools", "mcp_approval_request"]),
    "mixed": (READ, ["mcp_list_tools", "mcp_call", "mcp_approval_request"]),
    "mixed, asked": (ALWAYS, ["mcp_list_tools", "mcp_approval_request", "mcp_approval_request"]),
}
"""What is said to a model that has one server, which calls need an approval, and the items that come."""


def whole(told: list[Json]) -> list[str]:
    """What is out of order, and what an item has that was not recorded."""
    items = [event["item"] for event in told if "item" in event] + told[-1]["response"]["output"]
    odd = [found for item in items for found in ITEMS[item["type"]].findings(item["type"], item)]
    return findings(told) + odd


@pytest.mark.parametrize("said", ONE)
def test_the_events_of_one_server_come_in_the_recorded_order(url: str, books: Watched, said: str) -> None:
    """They are a sentence of the grammar, and the final output is what the items were when they were done."""
    approval, kinds = ONE[said]
    told = stream(url, input=said, tools=[tool("books", books, approval)])
    if said.startswith("mixed") and approval == READ:
        assert [] == apart(told)
    else:
        assert [] == whole(told)
    output = told[-1]["response"]["output"]
    assert ("completed", kinds) == (told[-1]["response"]["status"], [item["type"] for item in output])
    assert output == done(told)


def done(told: list[Json]) -> list[Json]:
    """The items of a stream as they were when they were done, by their index."""
    return [event["item"] for event in sorted(named(told, "output_item.done"), key=lambda event: event["output_index"])]


def apart(told: list[Json]) -> list[str]:
    """What is out of order in a stream whose items may be mixed: each is in itself, and they begin one by one."""
    indexes = [event["output_index"] for event in named(told, "output_item.added")]
    found = [] if indexes == list(range(len(indexes))) else [f"the indexes {indexes}"]
    if [event["sequence_number"] for event in told] != list(range(len(told))):
        found.append("the numbers")
    for index in indexes:
        found += item_findings([event for event in told if event.get("output_index") == index])
    return found


def test_a_call_is_told_as_it_was_recorded(url: str, books: Watched) -> None:
    """Event by event, the arguments in one delta."""
    told = stream(url, input="empty", tools=[tool("books", books)])
    listed, called = (f"output_item.added {each} output_item.done" for each in (LIST, CALL))
    assert f"{BEFORE} {listed} {called} {SAID} completed " == spelled(told)
    (delta,), (arguments,) = named(told, "mcp_call_arguments.delta"), named(told, "mcp_call_arguments.done")
    assert "{}" == delta["delta"] == arguments["arguments"]
    assert 0 == (len(delta["delta"]) + len(delta["obfuscation"])) % 16
    began, ended = (event["item"] for event in told if event.get("item", {}).get("type") == "mcp_call")
    assert ("in_progress", "", None, None, None) == tuple(
        began[key] for key in ("status", "arguments", "output", "error", "approval_request_id")
    )
    assert {**began, "status": "completed", "arguments": "{}", "output": "Nothing was needed."} == ended


def test_a_failed_call_is_told_as_it_was_recorded(url: str, books: Watched) -> None:
    """``failed`` stands where ``completed`` would."""
    told = stream(url, input="break", tools=[tool("books", books)])
    call = CALL.replace("mcp_call.completed", "mcp_call.failed")
    assert f"output_item.added {call} output_item.done" in spelled(told)
    item = told[-1]["response"]["output"][1]
    assert ("failed", None, "mcp_tool_execution_error") == (item["status"], item["output"], item["error"]["type"])


@pytest.mark.parametrize("how", ["401", "html"])
def test_a_failed_list_ends_its_stream(url: str, books: Watched, how: str) -> None:
    """Its siblings' lists end too, then the response fails, and the model says nothing."""
    with misbehaving(how) as bad:
        told = stream(url, input="one", tools=[tool("books", books), tool("bad", bad)])
    assert "failed " == spelled(told[-1:])
    assert ["mcp_list_tools", "mcp_list_tools"] == [item["type"] for item in told[-1]["response"]["output"]]
    orders = [
        spelled([event for event in told if event.get("output_index") == index]).replace("mcp_list_tools.", "")
        for index in (0, 1)
    ]
    assert [
        "output_item.added in_progress completed output_item.done ",
        "output_item.added in_progress failed output_item.done ",
    ] == orders
    item = done(told)[1]
    assert ("bad", [], True) == (item["server_label"], item["tools"], "Error retrieving" in item["error"])


@pytest.mark.parametrize("said", ["hello", "twice", "side by side"])
def test_two_servers_are_listed_in_parallel(url: str, books: Watched, letters: Watched, said: str) -> None:
    """Both lists begin before either ends, as recorded; each item is in order; all calls are answered."""
    told = stream(url, input=said, tools=[tool("books", books), tool("letters", letters)])
    assert [] == apart(told)
    lists = [event["type"].rpartition(".")[2] for event in told if "mcp_list_tools" in event["type"]]
    assert (["in_progress"] * 2, ["completed"] * 2) == (lists[:2], lists[2:])
    assert ["books", "letters"] == [item["server_label"] for item in told[-1]["response"]["output"][:2]]
    assert done(told) == told[-1]["response"]["output"]
    calls = [item for item in done(told) if item["type"] == "mcp_call"]
    assert {"hello": 0, "twice": 2, "side by side": 3}[said] == len(calls)
    assert {"completed"} >= {call["status"] for call in calls}


def test_calls_side_by_side_begin_in_order_and_end_as_they_are_done(url: str, books: Watched, letters: Watched) -> None:
    """All arguments are told before the first result, and the model speaks after the last."""
    told = stream(url, input="side by side", tools=[tool("books", books), tool("letters", letters)])
    order = [event["type"].rpartition(".")[2] for event in told if event["type"].startswith("response.mcp_call")]
    assert ["in_progress", "delta", "done"] * 3 + ["completed"] * 3 == order
    message = next(event for event in named(told, "output_item.added") if event["item"]["type"] == "message")
    assert message["sequence_number"] > named(told, "mcp_call.completed")[-1]["sequence_number"]


def answered(asked: Json, *, approve: bool) -> list[Json]:
    """The answers to all that was asked."""
    return [
        {"type": "mcp_approval_response", "approval_request_id": item["id"], "approve": approve}
        for item in asked["output"]
        if item["type"] == "mcp_approval_request"
    ]


@pytest.mark.parametrize("approve", [True, False])
@pytest.mark.parametrize("said", ["empty", "mixed"])
def test_an_answer_is_told_as_it_was_recorded(url: str, books: Watched, said: str, *, approve: bool) -> None:
    """An approved call comes first, whole; nothing comes of a denied one. No tools are listed again."""
    tools = [tool("books", books, ALWAYS)]
    asked = create(url, input=said, tools=tools)
    answers = answered(asked, approve=approve)
    told = stream(url, input=answers, tools=tools, previous_response_id=asked["id"])
    assert [] == (apart(told) if said == "mixed" else whole(told))
    calls = [item for item in told[-1]["response"]["output"] if item["type"] == "mcp_call"]
    made = [answer["approval_request_id"] for answer in answers if approve]
    assert made == [call["approval_request_id"] for call in calls]
    if (said, approve) == ("empty", True):
        assert f"{BEFORE} output_item.added {CALL} output_item.done {SAID} completed " == spelled(told)
    if not approve:
        assert f"{BEFORE} {SAID} completed " == spelled(told)


IDS = re.compile(r'"((?:resp|msg|rs|mcp|mcpl|mcpr)_)[0-9a-f]{50}[0-9a-f]*"')
TIMES = re.compile(r'("(?:created|completed)_at": )\d+')
ALL = [*ONE, "twice", "side by side"]


def timeless(response: Json) -> str:
    """A response without its ids and times, and whether it ran in the background."""
    text = IDS.sub(r'"\1"', json.dumps({**response, "background": None}))
    return TIMES.sub(r"\1", text)


def everything(said: str, books: Watched, letters: Watched) -> list[Json]:
    """The tools for a sentence."""
    approval = ONE[said][0] if said in ONE else NEVER
    return [tool("books", books, approval), tool("letters", letters, approval)]


@pytest.mark.parametrize("said", ALL)
def test_a_body_is_what_its_stream_ends_with(url: str, books: Watched, letters: Watched, said: str) -> None:
    """And what a run in the background is in the end; ids and times apart."""
    tools = everything(said, books, letters)
    body = create(url, input=said, tools=tools)
    streamed = stream(url, input=said, tools=tools)[-1]["response"]
    background = ended(url, create(url, input=said, tools=tools, background=True)["id"])
    assert timeless(body) == timeless(streamed) == timeless(background)


@pytest.mark.parametrize("said", ALL)
def test_a_stream_of_the_background_is_resumed_byte_by_byte(
    url: str, books: Watched, letters: Watched, said: str
) -> None:
    """From whatever number, it is the rest of what was streamed at first."""
    body = {"model": MODEL, "input": said, "tools": everything(said, books, letters)}
    first = patient.post(f"{url}/v1/responses", json={**body, "background": True, "stream": True})
    told = events(first.content)
    assert "created queued in_progress " == spelled(told[:3])
    assert [] == apart(told)
    frames = first.text.split("\n\n")[:-1]
    id = told[0]["response"]["id"]
    for number in (None, 0, 3, 7, len(told) - 2, len(told) - 1):
        after = {} if number is None else {"starting_after": number}
        again = patient.get(f"{url}/v1/responses/{id}", params={"stream": "true", **after})
        rest = frames if number is None else frames[number + 1 :]
        assert "".join(f"{frame}\n\n" for frame in rest) == again.text


@pytest.fixture
async def client(url: str) -> Any:
    """The official client, which checks what it reads."""
    async with AsyncOpenAI(
        base_url=f"{url}/v1", api_key="any", max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


@pytest.mark.parametrize("said", ALL)
async def test_the_official_client_reads_it_all(
    client: AsyncOpenAI, books: Watched, letters: Watched, said: str
) -> None:
    """As a body, event by event, and with its own way of following a stream; all give the same output."""
    asked: Json = {"model": MODEL, "input": said, "tools": everything(said, books, letters)}
    body = await client.responses.create(**asked)
    told = [event async for event in await client.responses.create(**asked, stream=True)]
    async with client.responses.stream(**asked) as following:
        types = [event.type async for event in following]
        final = await following.get_final_response()
    assert "response.completed" == told[-1].type == types[-1]
    kinds = [item.type for item in body.output]
    assert kinds == [item.type for item in final.output]
    assert body.output_text == final.output_text
    assert {event.type for event in told} == set(types)
