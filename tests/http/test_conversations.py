"""The routes of conversations, as official clients and others ask them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import NotFoundError, OpenAI

from tests.drawing import inlined, noise
from tests.filing import NOW, ask
from tests.talking import HELLO, JSON, Parlour, begun, got, parlour, post, serving_talks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from antiphon.http.app import App

pytestmark = pytest.mark.anyio

OUTPUT: list[dict[str, Any]] = [
    {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [],
        "content": None,
        "encrypted_content": None,
        "status": None,
    },
    {
        "id": "msg_2",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "phase": None,
        "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Hi!"}],
    },
    {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "c1", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "42"},
    {"type": "custom_tool_call", "call_id": "c2", "name": "t", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "y"}]},
    {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "s", "name": "n", "arguments": "{}"},
    {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
    {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"},
    {"type": "local_shell_call", "call_id": "c3", "action": {"type": "exec", "command": ["ls"], "env": {}}},
    {"type": "local_shell_call_output", "id": "c3", "output": "."},
    {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
]
"""Items of many kinds, as clients send them back."""


@pytest.fixture
async def kept() -> AsyncGenerator[Parlour]:
    """No conversation is there yet."""
    async with parlour() as made:
        yield made


@pytest.fixture
def app(kept: Parlour) -> App:
    """The application over it."""
    return kept.app()


@pytest.fixture(scope="module")
def official() -> Iterator[OpenAI]:
    """The official client, which validates all that it is sent."""
    with (
        serving_talks() as url,
        OpenAI(base_url=f"{url}/v1", api_key="key-a", max_retries=0, _strict_response_validation=True) as made,
    ):
        yield made


# The official client


def test_the_official_client_makes_changes_and_forgets_a_conversation(official: OpenAI) -> None:
    """Every answer is what its types say."""
    made = official.conversations.create(metadata={"topic": "demo"}, items=[{"role": "user", "content": "Hello!"}])
    assert ("conversation", {"topic": "demo"}, NOW) == (made.object, made.metadata, made.created_at)
    assert made == official.conversations.retrieve(made.id)
    changed = official.conversations.update(made.id, metadata={"topic": "other"})
    assert {"topic": "other"} == changed.metadata
    assert {} == official.conversations.update(made.id, metadata=None).metadata
    gone = official.conversations.delete(made.id)
    assert (made.id, "conversation.deleted", True) == (gone.id, gone.object, gone.deleted)
    with pytest.raises(NotFoundError):
        official.conversations.retrieve(made.id)


def test_the_official_client_keeps_items_of_every_kind(official: OpenAI) -> None:
    """It pages through them in both orders, and reads and deletes each."""
    made = official.conversations.create()
    added = official.conversations.items.create(made.id, items=OUTPUT)  # type: ignore[arg-type]  # as clients send them back, plain
    assert [item.get("type", "message") for item in OUTPUT] == [item.type for item in added.data]
    assert (added.data[0].id, added.data[-1].id, False) == (added.first_id, added.last_id, added.has_more)
    forth = list(official.conversations.items.list(made.id, order="asc", limit=5))
    assert added.data == forth
    assert forth[::-1] == list(official.conversations.items.list(made.id, limit=1))
    for item in forth:
        assert item.id is not None
        assert item == official.conversations.items.retrieve(item.id, conversation_id=made.id)
        assert made == official.conversations.items.delete(item.id, conversation_id=made.id)
    assert [] == list(official.conversations.items.list(made.id))


# Shapes


async def test_shapes_are_the_recorded_ones(app: App) -> None:
    """Keys in their order."""
    answered = await post(app, "", {"metadata": {"a": "b"}})
    id = answered.json["id"]
    assert {"id": id, "object": "conversation", "created_at": NOW, "metadata": {"a": "b"}} == answered.json
    assert ["id", "object", "created_at", "metadata"] == list(answered.json)
    empty = await got(app, f"/{id}/items")
    assert {"object": "list", "data": [], "first_id": None, "has_more": False, "last_id": None} == empty
    assert ["object", "data", "first_id", "has_more", "last_id"] == list(empty)
    gone = await ask(app, "DELETE", f"/v1/conversations/{id}")
    assert {"id": id, "object": "conversation.deleted", "deleted": True} == gone.json


async def test_a_message_is_told_as_a_response_tells_it(app: App) -> None:
    """In the answer of the addition, in lists, and alone."""
    id = await begun(app)
    added = (await post(app, f"/{id}/items", {"items": [HELLO]})).json
    [item] = added["data"]
    assert {
        "id": item["id"],
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hello."}],
    } == item
    assert added == await got(app, f"/{id}/items")
    assert item == await got(app, f"/{id}/items/{item['id']}")


@pytest.mark.parametrize("headers", [{}, JSON, {"content-length": "0"}])
@pytest.mark.parametrize("body", [b"", b"{}", b'{"items":null,"metadata":null}', b'{"items":[]}'])
async def test_a_conversation_may_begin_with_nothing(app: App, body: bytes, headers: dict[str, str]) -> None:
    """Written in any way, and not at all."""
    headers = {**JSON, "content-length": str(len(body))} if body else headers
    answered = await ask(app, "POST", "/v1/conversations", body, headers=headers)
    assert (200, {}) == (answered.status, answered.json["metadata"])


async def test_metadata_stays_until_it_is_replaced(app: App) -> None:
    """As a whole; null takes it away."""
    id = (await post(app, "", {"metadata": {"a": "b"}})).json["id"]
    assert {"c": "d"} == (await post(app, f"/{id}", {"metadata": {"c": "d"}})).json["metadata"]
    assert {"c": "d"} == (await got(app, f"/{id}"))["metadata"]
    assert {} == (await post(app, f"/{id}", {"metadata": None})).json["metadata"]


@pytest.mark.parametrize("include", ["message.input_image.image_url", "computer_call_output.output.image_url"])
async def test_images_are_told_to_whoever_asks_for_them(app: App, include: str) -> None:
    """As they came, wherever the item is told."""
    url = inlined(noise("a"))
    part = {"type": "input_image", "image_url": url, "detail": "low"}
    id = await begun(app)
    added = (await post(app, f"/{id}/items?include[]={include}", {"items": [{"role": "user", "content": [part]}]})).json
    item = added["data"][0]
    path = f"/{id}/items/{item['id']}"
    told = [
        item,
        await got(app, f"{path}?include={include}"),
        (await got(app, f"/{id}/items?include={include}"))["data"][0],
    ]
    expected = part if include.startswith("message") else {"type": "input_image", "detail": "low"}
    assert [[expected]] * 3 == [each["content"] for each in told]
    assert [{"type": "input_image", "detail": "low"}] == (await got(app, path))["content"]


async def test_a_list_has_pages(app: App) -> None:
    """The newest first by default, behind a cursor."""
    id = await begun(app, *({"role": "user", "content": str(number), "id": f"msg_{number}"} for number in range(5)))
    page = await got(app, f"/{id}/items?limit=2")
    assert (["msg_4", "msg_3"], "msg_4", "msg_3", True) == (
        [item["id"] for item in page["data"]],
        page["first_id"],
        page["last_id"],
        page["has_more"],
    )
    rest = await got(app, f"/{id}/items?order=asc&after=msg_2")
    assert (["msg_3", "msg_4"], False) == ([item["id"] for item in rest["data"]], rest["has_more"])


async def test_a_deleted_item_answers_its_conversation(app: App) -> None:
    """And is in no list from then on."""
    id = await begun(app, {**HELLO, "id": "msg_1"}, {**HELLO, "id": "msg_2"})
    answered = await ask(app, "DELETE", f"/v1/conversations/{id}/items/msg_1")
    assert (200, await got(app, f"/{id}")) == (answered.status, answered.json)
    assert ["msg_2"] == [item["id"] for item in (await got(app, f"/{id}/items"))["data"]]


async def test_a_parameter_that_nobody_knows_is_named(app: App) -> None:
    """It has no effect."""
    answered = await post(app, "", {"colour": "red", "metadata": {}})
    assert (200, "colour") == (answered.status, answered.headers["x-ignored-params"])
    id = answered.json["id"]
    assert "size" == (await post(app, f"/{id}", {"size": 1, "metadata": {}})).headers["x-ignored-params"]
    assert "size" == (await post(app, f"/{id}/items", {"items": [HELLO], "size": 1})).headers["x-ignored-params"]
