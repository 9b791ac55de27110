"""Conversations that are not there, not the caller's or not free, or that hold what does not fit: on every path."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from openai import APIStatusError, AzureOpenAI, ConflictError, OpenAI

from antiphon.config import Config
from tests.acceptance.bad_bodies import Refused, both, empty, kind, long, many, missing, word
from tests.acceptance.hostile import (
    CUSTOM,
    FUNCTION,
    KEYS,
    Json,
    answered,
    calls,
    error,
    ids,
    refuses,
    standing,
    written,
)
from tests.conducting import Model, Models
from tests.http.talking import TERMINAL, talking
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.hostile import Stand

pytestmark = pytest.mark.slow

HI: Json = {"role": "user", "content": "hi"}
MOUNTS = {"/v1": "", "/openai/v1": "?api-version=preview", "/openai": "?api-version=2025-04-01-preview"}
LOCKED = "Another process is currently operating on this conversation. Please retry in a few seconds."
THE_LIMIT = 20


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """A server."""
    with standing() as made:
        yield made


@pytest.fixture(autouse=True)
def silent(stand: Stand) -> None:
    """What one test wanted to be said is not said in the next."""
    stand.model.will()


def begun(stand: Stand, *items: Json, key: str = "key-a") -> str:
    """A conversation with items."""
    answer = stand.post({"items": [*items]}, "/v1/conversations", key=key)
    assert 200 == answer.status_code, answer.text
    id: str = answer.json()["id"]
    return id


def unknown(id: str) -> Json:
    """The error of a conversation that is not there."""
    shown = id if len(id) <= 100 else f"{id[:100]}..."
    message = f"Conversation with id '{shown}' not found."
    return {"message": message, "type": "invalid_request_error", "param": None, "code": None}


# Whose it is


@pytest.mark.parametrize(
    "id", ["conv_x", "", "conv_" + 48 * "0", "' OR 1=1 --", "\x00", "é", "x" * 5000, "resp_1", "../responses"]
)
def test_a_conversation_that_is_not_there_is_not_found(stand: Stand, id: str) -> None:
    """By its name or by an object with it; whatever stands there."""
    for named in (id, {"id": id}):
        expected = unknown(id)
        refuses(stand, Refused({"conversation": named}, None, None, expected["message"], 404))


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_conversation_of_somebody_else_is_not_there(stand: Stand, mount: str) -> None:
    """For any route of it, over HTTP and WebSocket, in the words of an unknown one; and it is unchanged."""
    id = begun(stand, {**HI, "id": "msg_1"})
    query = MOUNTS[mount]
    headers = {"api-key": "key-b"}
    answers = [
        stand.client.get(f"{mount}/conversations/{id}{query}", headers=headers),
        stand.client.delete(f"{mount}/conversations/{id}{query}", headers=headers),
        stand.client.get(f"{mount}/conversations/{id}/items{query}", headers=headers),
        stand.client.get(f"{mount}/conversations/{id}/items/msg_1{query}", headers=headers),
        stand.client.delete(f"{mount}/conversations/{id}/items/msg_1{query}", headers=headers),
        stand.post({"metadata": {"a": "b"}}, f"{mount}/conversations/{id}{query}", key="key-b"),
        stand.post({"items": [HI]}, f"{mount}/conversations/{id}/items{query}", key="key-b"),
        *(
            stand.post({"model": "m", "input": "x", "conversation": id}, f"{mount}/{route}{query}", key="key-b")
            for route in ("responses", "responses/input_tokens")
        ),
    ]
    for answer in answers:
        assert (404, unknown(id)) == (answer.status_code, error(answer)), answer.request
    with talking(stand.address, f"{mount}/responses{query}", api_key="key-b") as talk:
        frame = talk.turn(conversation=id)
        assert ("error", 404, unknown(id)) == (frame["type"], frame["status"], frame["error"])
    kept = stand.client.get(f"/v1/conversations/{id}/items", headers={"api-key": "key-a"}).json()
    assert ["msg_1"] == [item["id"] for item in kept["data"]]


def test_what_excludes_a_conversation(stand: Stand) -> None:
    """A previous response, known or not; and nothing can run unstored in the background."""
    id, kept = begun(stand, HI), stand.made()
    for response in (kept["id"], "resp_x"):
        body = {"previous_response_id": response, "conversation": id}
        refuses(stand, both(body, "previous_response_id", "conversation"))
    message = "Background mode requires 'store' to be true."
    body = {"conversation": id, "background": True, "store": False}
    refuses(stand, Refused(body, "background", "unsupported_parameter", message))


SHAPES = [
    kind({"conversation": 5}, "conversation", "one of a string or object", "an integer"),
    kind({"conversation": ["conv_1"]}, "conversation", "one of a string or object", "an array"),
    kind({"conversation": {"id": 5}}, "conversation.id", "a string", "an integer"),
    missing({"conversation": {}}, "conversation.id"),
    missing({"conversation": {"id": None}}, "conversation.id"),
]


@ids(SHAPES)
def test_a_conversation_is_a_name(stand: Stand, refused: Refused) -> None:
    """Or an object with one."""
    refuses(stand, refused)


# What it may hold


def refuses_items(stand: Stand, refused: Refused) -> None:
    """Items are refused when a conversation begins, and when they are added, on every path; nothing is kept."""
    id = begun(stand)
    for mount, query in MOUNTS.items():
        for path in ("conversations", f"conversations/{id}/items"):
            answer = stand.post(refused.body, f"{mount}/{path}{query}")
            found = error(answer)
            assert (refused.status, "invalid_request_error") == (answer.status_code, found["type"])
            assert (refused.param, refused.code, refused.message) == (found["param"], found["code"], found["message"])
    listed = stand.client.get(f"/v1/conversations/{id}/items", headers={"api-key": "key-a"})
    assert [] == listed.json()["data"]


LOOSE: Json = {**FUNCTION, "strict": True}
ITEMS = [
    many({"items": [HI] * (THE_LIMIT + 1)}, "items", THE_LIMIT),
    kind({"items": "hi"}, "items", "an array of objects", "a string"),
    kind({"items": [5]}, "items[0]", "an object", "an integer"),
    missing({"items": [HI, {"role": "user"}]}, "items[1].content"),
    missing({"items": [HI, {"type": "function_call", "call_id": "c", "name": "f"}]}, "items[1].arguments"),
    empty("string", {"items": [written("shell_call", "")]}, "items[0].call_id"),
    long({"items": [written("custom_tool_call", "x" * 65)]}, "items[0].call_id", 64),
    long({"items": [written("tool_search_call", "x" * 65)]}, "items[0].call_id", 64),
    word({"items": [{**HI, "role": "robot"}]}, "items[0].role", "robot", "user", "assistant", "system", "developer"),
    Refused(
        {"items": [{"type": "additional_tools", "role": "developer", "tools": [LOOSE]}]},
        "items[0].tools[0].parameters",
        "invalid_function_parameters",
        "Invalid schema for function 'f': In context=(), 'additionalProperties' is required to be supplied and to be "
        "false.",
    ),
    Refused(
        {"items": [written("function_call")] * 2},
        "items",
        None,
        "Duplicate tool call found with call_id call_1. Remove duplicate items from your input and try again.",
    ),
    Refused(
        {"items": [{"type": "item_reference", "id": "msg_x"}]},
        "items",
        None,
        "Item with id 'msg_x' not found. Items are not persisted when `store` is set to false. Try again with `store` "
        "set to true, or remove this item from your input.",
        404,
    ),
]


@ids(ITEMS)
def test_what_is_no_item_is_not_added(stand: Stand, refused: Refused) -> None:
    """The place is told in the terms of the route."""
    refuses_items(stand, refused)


def test_as_many_items_as_may_be_are_added(stand: Stand) -> None:
    """And as often as one likes."""
    id = begun(stand, *[HI] * THE_LIMIT)
    answer = stand.post({"items": [HI] * THE_LIMIT}, f"/v1/conversations/{id}/items")
    assert (200, THE_LIMIT) == (answer.status_code, len(answer.json()["data"]))


TORN: dict[str, tuple[list[Json], str]] = {
    "a call without its output": ([written("shell_call")], "No tool output found for shell call call_1."),
    "an output without its call": (
        [answered("apply_patch_call")],
        "No tool call found for apply patch call output with call_id call_1.",
    ),
}


@pytest.mark.parametrize("what", TORN)
@pytest.mark.parametrize("form", ["kept", "not kept", "stream", "background", "websocket"])
def test_a_conversation_that_holds_half_a_pair_is_refused_until_it_is_whole(stand: Stand, what: str, form: str) -> None:
    """In any form of asking; it is left as it was, and free."""
    items, message = TORN[what]
    id = begun(stand, HI, *items)
    forms = {"kept": {}, "not kept": {"store": False}, "stream": {"stream": True}, "background": {"background": True}}
    if form == "websocket":
        with talking(stand.address, api_key="key-a") as talk:
            found = talk.turn(conversation=id, store=True)["error"]
    else:
        found = error(stand.ask(conversation=id, **forms[form]))
    assert ("input", None, message) == (found["param"], found["code"], found["message"])
    headers = {"api-key": "key-a"}
    listed = stand.client.get(f"/v1/conversations/{id}/items?order=asc", headers=headers).json()["data"]
    assert 2 == len(listed)
    stand.client.delete(f"/v1/conversations/{id}/items/{listed[1]['id']}", headers=headers).raise_for_status()
    assert ["hi", "hi"] == [message["content"] for message in stand.heard(conversation=id)]


def test_a_grammar_that_is_none_harms_nobody_from_within_a_conversation(stand: Stand) -> None:
    """It came in as an item; what the model writes for it is handed on."""
    tool = {**CUSTOM, "format": {"type": "grammar", "syntax": "lark", "definition": "start: ("}}
    id = begun(stand, {"type": "additional_tools", "role": "developer", "tools": [tool]})
    stand.model.will(*[calls("c", {"input": "anything"})] * 2)
    answer = stand.ask(conversation=id)
    if answer.status_code == 200:
        assert ["anything"] == [item["input"] for item in answer.json()["output"]]
    else:
        assert (400, "invalid_value") == (answer.status_code, error(answer)["code"])


# Who holds it


@pytest.fixture(scope="module")
def address(models: Models) -> Iterator[str]:
    """A server before them."""
    with serving(Config(store=MEMORY, auth=KEYS, deployments=[models.deployment])) as url:
        yield url


def official(address: str, mount: str) -> OpenAI:
    """The official client of a path."""
    careful: Json = {"max_retries": 0, "timeout": HANG_SECONDS}
    if mount == "/v1":
        return OpenAI(base_url=f"{address}/v1", api_key="key-a", **careful)
    return AzureOpenAI(base_url=f"{address}/openai/v1/", api_version="preview", api_key="key-a", **careful)


HOLDERS = ("json", "stream", "background", "websocket", "not stored")


def holding(address: str, how: str, conversation: str, model: str) -> threading.Thread:
    """Begin a response in a conversation, in one of the forms of asking, and stay until its end."""
    body: Json = {"model": model, "input": "One?", "conversation": conversation}
    forms: dict[str, Json] = {"stream": {"stream": True}, "not stored": {"store": False}}

    def ask() -> None:
        if how == "websocket":
            with talking(address, api_key="key-a") as talk:
                talk.create(**body, store=True)
                talk.until(*TERMINAL)
        else:
            content = {**body, **forms.get(how, {})}
            url = f"{address}/v1/responses"
            httpx.post(url, json=content, headers={"api-key": "key-a"}, timeout=HANG_SECONDS).raise_for_status()

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def asked(model: Model) -> None:
    """Let the model end what it was asked."""
    model.say("Yes.")
    model.stop()


@pytest.mark.parametrize("mount", ["/v1", "/openai/v1"])
@pytest.mark.parametrize("how", [how for how in HOLDERS if how != "background"])
def test_a_conversation_is_held_by_one_response_at_a_time(address: str, models: Models, how: str, mount: str) -> None:
    """Whoever comes second, in any form, is told to come again; afterwards it is free."""
    name = f"{how}{mount}".replace("/", "-")
    model = models[name]
    with official(address, mount) as client:
        id = client.conversations.create().id
        first = holding(address, how, id, name)
        model.wait()
        for more in ({}, {"stream": True}, {"background": True}, {"store": False}):
            create: Json = client.responses.create
            with pytest.raises(ConflictError) as caught:
                create(model=name, input="Two?", conversation=id, **more)
            told(caught.value)
        with pytest.raises(ConflictError) as caught:
            client.conversations.items.create(id, items=[{"role": "user", "content": "x"}])
        told(caught.value)
        with talking(address, f"{mount}/responses", api_key="key-a") as talk:
            frame = talk.turn(model=name, conversation=id)
        assert (409, "conversation_locked") == (frame["status"], frame["error"]["code"])
        asked(model)
        first.join(HANG_SECONDS)
        second = holding(address, "json", id, name)
        assert "Two?" not in str(model.wait())
        asked(model)
        second.join(HANG_SECONDS)


def told(refusal: APIStatusError) -> None:
    """The words of a conflict, which make official clients try again."""
    assert (409, "conversation_locked") == (refusal.status_code, refusal.code)
    body: Json = refusal.body
    assert (LOCKED, "conversation") == (body["message"], body["param"])
    assert refusal.response.headers.get("x-should-retry") in {None, "true"}


def test_a_chain_beside_a_conversation_is_not_held_up(address: str, models: Models) -> None:
    """Counting is not either: it holds nothing."""
    model = models["beside"]
    headers = {"api-key": "key-a"}
    with official(address, "/v1") as client:
        id = client.conversations.create().id
        first = holding(address, "json", id, "beside")
        model.wait()
        body = {"model": "beside", "input": "Two?", "conversation": id}
        counted = httpx.post(f"{address}/v1/responses/input_tokens", json=body, headers=headers, timeout=HANG_SECONDS)
        assert 200 == counted.status_code, counted.text
        asked(model)
        first.join(HANG_SECONDS)
