"""What the routes of conversations refuse, and in which words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # JSON

import pytest

from antiphon.store.blobs import MIB
from tests.filing import ask
from tests.talking import HELLO, JSON, OWNER, Parlour, begun, got, parlour, post

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.http.app import App

pytestmark = pytest.mark.anyio

STRANGER = {"authorization": "Bearer key-b"}


@pytest.fixture
async def kept() -> AsyncGenerator[Parlour]:
    """No conversation is there yet."""
    async with parlour() as made:
        yield made


@pytest.fixture
def app(kept: Parlour) -> App:
    """The application over it."""
    return kept.app()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("POST", ""),
        ("DELETE", ""),
        ("GET", "/items"),
        ("POST", "/items"),
        ("GET", "/items/msg_1"),
        ("DELETE", "/items/msg_1"),
    ],
)
async def test_a_conversation_that_is_not_there_is_not_found(app: App, method: str, path: str) -> None:
    """One of somebody else's is not there either: the same words."""
    id = await begun(app, {**HELLO, "id": "msg_1"})
    body = json.dumps({"items": [HELLO]} if path else {"metadata": {}}).encode() if method == "POST" else b""
    unknown = await ask(app, method, f"/v1/conversations/conv_nonexistent123{path}", body, headers=JSON)
    foreign = await ask(app, method, f"/v1/conversations/{id}{path}", body, headers={**JSON, **STRANGER})
    assert {
        "message": "Conversation with id 'conv_nonexistent123' not found.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    } == unknown.json["error"]
    assert (404, 404) == (unknown.status, foreign.status)
    assert unknown.json["error"]["message"].replace("conv_nonexistent123", id) == foreign.json["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_item_that_is_not_there_is_not_found(app: App, method: str) -> None:
    """Though it is in another conversation."""
    await begun(app, {**HELLO, "id": "msg_1"})
    id = await begun(app)
    answered = await ask(app, method, f"/v1/conversations/{id}/items/msg_1")
    assert (404, "Item with id 'msg_1' not found in conversation.") == (
        answered.status,
        answered.json["error"]["message"],
    )


MANY = [HELLO] * 21
TEXT = {"type": "input_text", "text": "x"}
BAD_CREATIONS: dict[str, tuple[Any, tuple[int, str | None, str | None]]] = {
    "too many items": ({"items": MANY}, (400, "items", "array_above_max_length")),
    "items that are a text": ({"items": "Hello."}, (400, "items", "invalid_type")),
    "an item that is a text": ({"items": ["Hello."]}, (400, "items[0]", "invalid_type")),
    "an item of no kind": ({"items": [{"type": "song"}]}, (400, "items[0].type", "invalid_value")),
    "a role of no kind": ({"items": [{"role": "critic", "content": "x"}]}, (400, "items[0].role", "invalid_value")),
    "a message without content": (
        {"items": [{"role": "user"}]},
        (400, "items[0].content", "missing_required_parameter"),
    ),
    "a content of no kind": ({"items": [{"role": "user", "content": 5}]}, (400, "items[0].content", "invalid_type")),
    "a part of no kind": (
        {"items": [HELLO, {"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        (400, "items[1].content[0].type", "invalid_value"),
    ),
    "a part of the model's from the user": (
        {"items": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]},
        (400, "items[0].content[0].type", "invalid_value"),
    ),
    "an image with nothing to show": (
        {"items": [{"role": "user", "content": [{"type": "input_image"}]}]},
        (400, "items[0].content[0].image_url", "missing_required_parameter"),
    ),
    "the same id twice": ({"items": [{**HELLO, "id": "m"}, {**HELLO, "id": "m"}]}, (400, "items", None)),
    "a call id that is too long": (
        {"items": [{"type": "function_call_output", "call_id": "c" * 65, "output": "x"}]},
        (400, "items[0].call_id", "string_above_max_length"),
    ),
    "a reference to nothing": ({"items": [{"type": "item_reference", "id": "msg_x"}]}, (404, "items", None)),
    "a reference without an id": (
        {"items": [{"type": "item_reference"}]},
        (400, "items[0].id", "missing_required_parameter"),
    ),
    "metadata that is a list": ({"metadata": []}, (400, "metadata", "invalid_type")),
    "metadata with a number": ({"metadata": {"a": 1}}, (400, "metadata.a", "invalid_type")),
    "metadata with null": ({"metadata": {"a": None}}, (400, "metadata.a", "invalid_type")),
    "metadata that is too much": (
        {"metadata": {str(number): "" for number in range(17)}},
        (400, "metadata", "object_above_max_properties"),
    ),
    "metadata with a long value": ({"metadata": {"a": "b" * 513}}, (400, "metadata.a", "string_above_max_length")),
    "metadata with a long key": (
        {"metadata": {"a" * 65: "b"}},
        (400, "metadata." + "a" * 65, "property_name_above_max_length"),
    ),
}


@pytest.mark.parametrize("case", BAD_CREATIONS)
async def test_a_bad_beginning_is_refused(app: App, case: str) -> None:
    """With its place."""
    body, expected = BAD_CREATIONS[case]
    assert expected == (await post(app, "", body)).error


@pytest.mark.parametrize("case", [case for case in BAD_CREATIONS if "metadata" not in case])
async def test_a_bad_addition_is_refused(app: App, case: str) -> None:
    """By the same rules; nothing is kept of it."""
    body, expected = BAD_CREATIONS[case]
    id = await begun(app)
    assert expected == (await post(app, f"/{id}/items", body)).error
    assert [] == (await got(app, f"/{id}/items"))["data"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "items", "missing_required_parameter")),
        ({"items": None}, (400, "items", "missing_required_parameter")),
        ({"items": []}, (400, "items", "empty_array")),
    ],
)
async def test_an_addition_adds_something(app: App, body: object, expected: object) -> None:
    """At least one item."""
    assert expected == (await post(app, f"/{await begun(app)}/items", body)).error


@pytest.mark.parametrize("case", [case for case in BAD_CREATIONS if "metadata" in case])
async def test_bad_metadata_replaces_nothing(app: App, case: str) -> None:
    """Nor do none."""
    id = (await post(app, "", {"metadata": {"a": "b"}})).json["id"]
    body, expected = BAD_CREATIONS[case]
    assert expected == (await post(app, f"/{id}", body)).error
    assert (400, "metadata", "missing_required_parameter") == (await post(app, f"/{id}", {})).error
    assert {"a": "b"} == (await got(app, f"/{id}"))["metadata"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", (400, "limit", "integer_below_min_value")),
        ("limit=1000", (400, "limit", "integer_above_max_value")),
        ("limit=x", (400, "limit", "invalid_type")),
        ("order=up", (400, "order", "invalid_value")),
        ("after=msg_x", (400, "after", None)),
        ("include=all", (400, "include[0]", "invalid_value")),
    ],
)
async def test_a_bad_list_is_refused(app: App, query: str, expected: object) -> None:
    """With its parameter."""
    id = await begun(app, HELLO)
    assert expected == (await ask(app, "GET", f"/v1/conversations/{id}/items?{query}")).error


async def test_a_limit_is_refused_in_the_recorded_words(app: App) -> None:
    """To the letter."""
    answered = await ask(app, "GET", f"/v1/conversations/{await begun(app)}/items?limit=1000")
    assert (
        "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 1000 instead."
        == answered.json["error"]["message"]
    )


@pytest.mark.parametrize("path", ["", "/conv_1", "/conv_1/items"])
async def test_a_body_that_is_no_json_is_refused(app: App, path: str) -> None:
    """Or is not declared as such, or is too long."""
    url = f"/v1/conversations{path}"
    for broken in (b"{", b"[]", b"[" * 200 + b"]" * 200):
        assert 400 == (await ask(app, "POST", url, broken, headers={**JSON, "content-length": "9"})).status
    assert 415 == (await ask(app, "POST", url, b"{}", headers={"content-length": "2"})).status
    headers = {**JSON, "content-length": str(2 * MIB)}
    assert 413 == (await ask(app, "POST", url, b" " * (2 * MIB), headers=headers)).status


async def test_nothing_is_added_while_a_response_is_written(kept: Parlour, app: App) -> None:
    """A conflict, which official clients try again."""
    id = await begun(app)
    async with kept.conversing.holding(id, OWNER, "resp_1"):
        answered = await post(app, f"/{id}/items", {"items": [HELLO]})
        assert (409, "conversation", "conversation_locked") == answered.error
    assert 200 == (await post(app, f"/{id}/items", {"items": [HELLO]})).status


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PUT", "/conv_1"), ("POST", "/conv_1/items/msg_1")])
async def test_other_methods_are_not_answered(app: App, method: str, path: str) -> None:
    """No route lists all conversations."""
    assert 405 == (await ask(app, method, f"/v1/conversations{path}")).status


async def test_a_long_body_is_read_beside_others(app: App) -> None:
    """Up to the limit of all bodies."""
    id = await begun(app)
    text = "x" * (MIB - 200)
    answered = await post(app, f"/{id}/items", {"items": [{"role": "user", "content": text}]})
    assert text == answered.json["data"][0]["content"][0]["text"]
