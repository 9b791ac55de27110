"""What callers try with MCP tools over more than one step, in lists: limits, histories of their own, runs that wait.

After each try all is judged as in `tests.acceptance.test_mcp_hostile_caller`.
"""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any  # JSON

import pytest

from tests.acceptance import test_mcp_hostile_caller as callers
from tests.acceptance.test_mcp_hostile_caller import FORMS, HEADER, SECRETS, TOKEN, Stand
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    Json = dict[str, Any]

pytestmark = pytest.mark.slow
running, stand = callers.running, callers.stand

MANY = 128
"""The most tools that a request may have: more than the connections that are kept."""
SOON_SECONDS = HANG_SECONDS
FREE = {"require_approval": "never"}


def kinds(response: Json) -> list[str]:
    """The types of the items of a response."""
    return [item["type"] for item in response["output"]]


def final(stand: Stand, form: str, body: Json) -> Any:
    """A response at its end, in one of the forms of asking; None where it was refused with 400."""
    answer = stand.post({**body, **FORMS[form]})
    if answer.status_code == 400:
        return None
    assert 200 == answer.status_code, answer.text
    if form == "stream":
        return json.loads(answer.text.rstrip().rpartition("\ndata: ")[2])["response"]
    return stand.ended(answer.json()["id"]) if form == "background" else answer.json()


# Limits


def test_more_tools_than_a_request_may_have_are_refused(stand: Stand) -> None:
    """No server is asked."""
    before = len(stand.books.headers)
    refused = stand.post({"tools": [stand.tool(server_label=f"n{number}") for number in range(200)]})
    assert (400, "tools") == (refused.status_code, refused.json()["error"]["param"])
    assert before == len(stand.books.headers)


@pytest.mark.parametrize("secrets", [False, True], ids=["alike", "each with headers of its own"])
def test_many_servers_in_one_request_are_listed_and_end(stand: Stand, *, secrets: bool) -> None:
    """Each has its list, in order; more connections than are kept do no harm."""
    tools = [
        stand.tool(server_label=f"n{number}", headers={"X-Key": HEADER, "X-Number": str(number) if secrets else ""})
        for number in range(MANY)
    ]
    began = time.monotonic()
    answer = stand.post({"tools": tools})
    assert 200 == answer.status_code, answer.text
    assert [*["mcp_list_tools"] * MANY, "message"] == kinds(answer.json())
    assert {f"n{number}" for number in range(MANY)} == {item["server_label"] for item in answer.json()["output"][:-1]}
    assert time.monotonic() - began < SOON_SECONDS


@pytest.mark.parametrize("form", ["stream", "background"])
@pytest.mark.parametrize(("limit", "calls"), [(1, 1), (3, 3), (1000, 20), (None, 20)])
def test_a_model_that_calls_for_ever_is_stopped(stand: Stand, form: str, limit: int | None, calls: int) -> None:
    """By the request's limit or by the operator's, whichever is less; the response completes."""
    before = len(stand.books.calls)
    body = {"input": "for ever", "tools": [stand.tool(**FREE)], "max_tool_calls": limit}
    response = final(stand, form, body)
    assert ("completed", calls) == (response["status"], kinds(response).count("mcp_call"))
    assert before + calls == len(stand.books.calls)


def test_a_limit_counts_calls_of_one_turn(stand: Stand) -> None:
    """Of two calls side by side the first is made."""
    before = len(stand.books.calls)
    response = final(stand, "kept", {"input": "two", "tools": [stand.tool(**FREE)], "max_tool_calls": 1})
    assert ["mcp_list_tools", "mcp_call", "message"] == kinds(response)
    assert [("renew", {"title": "Emma"})] == stand.books.calls[before:]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("approval", ["never", "always"])
def test_without_parallel_calls_there_is_one_a_turn(stand: Stand, form: str, approval: str) -> None:
    """The second of two in a turn is not said, and neither made nor asked about."""
    tool = stand.tool(require_approval=approval)
    before = len(stand.books.calls)
    body = {"input": "two", "tools": [tool], "parallel_tool_calls": False, "max_tool_calls": 2}
    response = final(stand, form, body)
    of_first_turn = [item for item in response["output"] if item.get("arguments") == '{"title":"Emma"}']
    assert of_first_turn
    made = stand.books.calls[before:]
    assert ("renew", {"title": "Walden"}) not in made
    assert (approval == "never") is bool(made)


ALLOWED: dict[str, Any] = {
    "10,000 names": [f"tool_{number}" for number in range(10_000)],
    "none": [],
    "long names": ["x" * 100_000],
    "a filter of 10,000 names": {"tool_names": [f"tool_{number}" for number in range(10_000)]},
    "a filter that nothing fits": {"tool_names": ["delete_book"], "read_only": True},
    "a filter of none": {"tool_names": []},
    "unpaired names": ["\\", '"', "\x00", "名"],
}


@pytest.mark.parametrize("how", ALLOWED)
def test_what_is_not_allowed_is_not_called(stand: Stand, how: str) -> None:
    """The model asks for it all the same: then it is not the server's tool."""
    before = [*stand.books.calls]
    body = {"input": "delete", "tools": [stand.tool(allowed_tools=ALLOWED[how], **FREE)]}
    response = final(stand, "kept", body)
    assert "mcp_call" not in kinds(response)
    assert before == stand.books.calls


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tool", ["missing", "delete_book"])
def test_a_choice_of_a_tool_that_is_not_there_is_refused(stand: Stand, form: str, tool: str) -> None:
    """Or that is not allowed: a 400, or where the list was told before, a failure of the response."""
    before = [*stand.books.calls]
    choice = {"type": "mcp", "server_label": "books", "name": tool}
    body = {"input": "delete", "tools": [stand.tool(allowed_tools=["add"], **FREE)], "tool_choice": choice}
    response = final(stand, form, body)
    assert form in {"stream", "background"} or response is None
    assert response is None or ("failed", "invalid_prompt") == (response["status"], response["error"]["code"])
    assert before == stand.books.calls


# Histories of the caller's own


def nested(depth: int) -> Json:
    """A schema within a schema, and so on."""
    text = '{"type":"object","properties":{"a":' * depth + "{}" + "}}" * depth
    schema: Json = json.loads(text)
    return schema


def laughing(levels: int) -> Json:
    """A schema that is small, and endless once it is written out."""
    names = [f"d{number}" for number in range(levels)]
    pairs = pairwise(names)
    inner = {name: {"anyOf": [{"$ref": f"#/$defs/{next}"} for _ in range(10)]} for name, next in pairs}
    return {
        "type": "object",
        "$defs": {**inner, names[-1]: {"type": "string"}},
        "properties": {"a": {"$ref": "#/$defs/d0"}},
    }


def listing(*schemas: Json, names: str = "missing", count: int = 1, **more: Any) -> Json:
    """A list of the library's tools that it never made."""
    tools = [
        {"name": names.format(number), "input_schema": schema, "description": "Missing."}
        for number in range(count)
        for schema in schemas or [{"type": "object"}]
    ]
    return {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "books", "tools": tools, **more}


TRAP = "http://127.0.0.1:TRAP/schema"
LISTS: dict[str, Json] = {
    "a tool that is not there": listing(),
    "references without end": listing(laughing(40)),
    "a schema 80 deep": listing(nested(80)),
    "a schema 400 deep": listing(nested(400)),
    "a schema that is itself": listing({
        "type": "object",
        "properties": {"a": {"$ref": "#"}},
        "allOf": [{"$ref": "#"}],
    }),
    "a schema elsewhere": listing({"$ref": TRAP}, {"type": "object", "properties": {"a": {"$ref": TRAP}}}),
    "a schema of 1 MB": listing({"type": "object", "description": "x" * 1_000_000}),
    "a pattern that backtracks": listing({"type": "object", "properties": {"a": {"pattern": "(a+)+$" * 1000}}}),
    "5,000 tools": listing(names="tool_{}", count=5000),
    "5,000 times the same tool": listing(count=5000),
    "long names": listing(names="{}" + "x" * 10_000, count=20),
    "odd names": listing(names="\x00\n\u202e名{}", count=3),
    "an error": listing(error="No."),
    "another server's": listing(server_label="notes"),
    "none": listing(count=0),
}


@pytest.mark.parametrize("how", LISTS)
def test_a_list_of_the_callers_own_harms_nobody(stand: Stand, how: str) -> None:
    """It is taken for one, soon; what the server does not have it refuses, and the model goes on."""
    before = [*stand.books.calls]
    item = json.loads(json.dumps(LISTS[how]).replace("TRAP", str(stand.trap.getsockname()[1])))
    began = time.monotonic()
    body = {"input": [item, {"role": "user", "content": "missing"}], "tools": [stand.tool(**FREE)]}
    for form in FORMS:
        response = final(stand, form, body)
        assert response is None or "completed" == response["status"]
    assert time.monotonic() - began < SOON_SECONDS
    made = stand.books.calls[len(before) :]
    assert {"missing"} >= {name for name, _ in made}


def test_a_tool_that_the_server_does_not_have_fails(stand: Stand) -> None:
    """The server is asked, and what it says is the error of the call."""
    said = {"role": "user", "content": "missing"}
    response = final(stand, "kept", {"input": [listing(), said], "tools": [stand.tool(**FREE)]})
    call, message = response["output"]
    assert ("mcp_call", "failed", "message") == (call["type"], call["status"], message["type"])
    assert call["error"]["type"] in {"mcp_protocol_error", "mcp_tool_execution_error"}


def test_a_list_of_the_callers_own_frees_no_tool_that_needs_an_approval(stand: Stand) -> None:
    """What it says of a tool is the caller's word: it says whom he frees, as ``never`` does."""
    before = [*stand.books.calls]
    tools = [{"name": "delete_book", "input_schema": {}, "annotations": {"read_only": False}}]
    said = {"role": "user", "content": "delete"}
    tool = stand.tool(require_approval={"never": {"read_only": True}})
    response = final(stand, "kept", {"input": [listing(tools=tools), said], "tools": [tool]})
    assert ["mcp_approval_request"] == kinds(response)
    assert before == stand.books.calls


CALL = {"type": "mcp_call", "id": "mcp_1", "server_label": "books", "name": "add", "arguments": "{}"}
CALLS: dict[str, Json] = {
    "done": {**CALL, "output": "4", "status": "completed"},
    "without id": {key: CALL[key] for key in CALL if key != "id"},
    "in progress": {**CALL, "status": "in_progress"},
    "failed": {**CALL, "status": "failed", "error": {"type": "http_error", "code": 500, "message": "x"}},
    "failed in words": {**CALL, "error": "No."},
    "failed oddly": {**CALL, "error": {"type": "mcp_tool_execution_error", "content": {"a": [[[]]]}}},
    "another server's": {**CALL, "server_label": "\x00", "output": "x"},
    "arguments that are none": {**CALL, "arguments": "}{", "output": "x"},
    "by an approval": {**CALL, "approval_request_id": callers.NOTHING, "output": "x"},
    "1 MB": {**CALL, "output": "x" * 1_000_000},
    "no name": {**CALL, "name": ""},
}


@pytest.mark.parametrize("how", CALLS)
def test_a_call_of_the_callers_own_is_a_thing_of_the_past(stand: Stand, how: str) -> None:
    """It is read by the model, with what follows, and never made."""
    before = len(stand.books.calls), stand.books.lists
    for form in FORMS:
        body = {"input": [CALLS[how], {"role": "user", "content": "hello"}]}
        response = final(stand, form, body)
        assert ("completed", ["message"]) == (response["status"], kinds(response))
    assert before == (len(stand.books.calls), stand.books.lists)


def test_a_call_of_the_callers_own_neither_uses_nor_makes_an_approval(stand: Stand) -> None:
    """With one that says it was made by it, an answer calls nothing; without it, it still counts once."""
    asked = stand.asked()
    before = len(stand.books.calls)
    call = {**CALL, "approval_request_id": asked["output"][-1]["id"], "output": "x"}
    body = {"tools": [stand.tool()], **callers.resent(asked, callers.yes(asked), call)}
    assert "mcp_call" not in kinds(final(stand, "kept", body))
    assert before == len(stand.books.calls)
    body = {"tools": [stand.tool()], **callers.chained(asked, callers.yes(asked))}
    assert ["mcp_call", "message"] == kinds(final(stand, "kept", body))
    assert before + 1 == len(stand.books.calls)


# Runs that wait


@pytest.mark.parametrize("approves", [False, True], ids=["a call", "an approved call"])
def test_secrets_of_a_run_that_waits_are_sealed_and_then_gone(stand: Stand, *, approves: bool) -> None:
    """They stand nowhere in the clear while it is queued, and the MCP server gets them when it runs."""
    asked = stand.asked()
    waiting = stand.post({"input": "wait", "background": True}).json()["id"]
    before = len(stand.books.headers)
    more = callers.chained(asked, callers.yes(asked)) if approves else {"input": "delete"}
    queued = stand.post({**more, "tools": [stand.tool(**FREE)], "background": True}).json()
    assert "queued" == stand.get(queued["id"]).json()["status"]
    stand.get(f"{queued['id']}/input_items")
    assert [] == [secret for secret in SECRETS if secret.encode() in stand.files()]
    assert before == len(stand.books.headers)
    stand.cancel(waiting)
    done = stand.ended(queued["id"])
    assert ("completed", "completed") == (done["status"], done["output"][-2]["status"])
    assert {(f"Bearer {TOKEN}", HEADER)} == {
        (headers["authorization"], headers["x-key"]) for headers in stand.books.headers[before:]
    }
    stand.get(f"{queued['id']}/input_items")
    stand.get(f"{queued['id']}?stream=true")
