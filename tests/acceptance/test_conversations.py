"""Conversations through the whole server: what is said in one is there for all that is said later, once, in order."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any  # JSON

import httpx2 as httpx
import pytest
from msgspec.structs import replace
from openai import BadRequestError, ConflictError, NotFoundError, OpenAI

from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from tests import patient
from tests.acceptance.operating import configured, operating
from tests.drawing import inlined, noise
from tests.patient import HANG_SECONDS
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai.types.responses import Response

    from tests.conducting import Model, Models

pytestmark = pytest.mark.slow

STORY = " ".join(f"word{number}" for number in range(40))
REPLIES: tuple[dict[str, Any], ...] = (
    {"when": "story", "tokens_per_second": 40, "steps": [{"text": STORY}]},
    {"when": "weather", "after_output": False, "steps": [{"call": {"name": "weather", "arguments": {}}}]},
    {"steps": [{"text": "Yes."}]},
)
CONFIG = f"""
[[deployments]]
name = "*"
backend = "scripted"

[[deployments.replies]]
when = "story"
tokens_per_second = 40
steps = [{{ text = "{STORY}" }}]

[[deployments.replies]]
steps = [{{ text = "Yes." }}]
"""
KEYS = Auth(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])


@contextmanager
def official(address: str, key: str = "key-a") -> Iterator[OpenAI]:
    """The official client, which validates all that it is sent and tries nothing again."""
    with OpenAI(
        base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=HANG_SECONDS, _strict_response_validation=True
    ) as made:
        yield made


@pytest.fixture(scope="module")
def address(models: Models) -> Iterator[str]:
    """A server of two tenants, whose model ``m`` counts the words that it reads; all others are conducted."""
    config = scripted(*REPLIES, name="m")
    with serving(replace(config, auth=KEYS, deployments=[*config.deployments, models.deployment])) as url:
        yield url


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[OpenAI]:
    """The client of one of them."""
    with official(address) as made:
        yield made


def texts(client: OpenAI, conversation: str) -> list[str]:
    """What is said in a conversation."""
    return [said(item) for item in client.conversations.items.list(conversation, order="asc")]


def said(item: Any) -> str:
    """What an item says; its kind, if it is no message."""
    words: str = item.content[0].text if item.type == "message" else item.type
    return words


def read(response: Response) -> int:
    """How many words the model read."""
    assert response.usage is not None
    return response.usage.input_tokens


def ended(client: OpenAI, response: Response) -> Response:
    """A background response when it has ended."""
    with client.responses.retrieve(response.id, stream=True) as events:
        for _ in events:
            pass
    return client.responses.retrieve(response.id)


def ask(client: OpenAI, conversation: str, way: str, words: str) -> Response:
    """Ask in a conversation: in JSON, over a stream, or in the background."""
    match way:
        case "json":
            return client.responses.create(model="m", input=words, conversation=conversation)
        case "stream":
            with client.responses.stream(model="m", input=words, conversation={"id": conversation}) as events:
                return events.get_final_response()
        case _:
            return ended(
                client,
                client.responses.create(
                    model="m", input=words, conversation=conversation, background=True, stream=False
                ),
            )


@pytest.mark.parametrize("way", ["json", "stream", "background"])
def test_each_turn_reads_all_that_was_said_before(client: OpenAI, way: str) -> None:
    """However it is asked for; its items stand at the end, and its ids are of the conversation's partition."""
    made = client.conversations.create(items=[{"role": "user", "content": "One two three."}])
    first = ask(client, made.id, way, "Four five?")
    client.conversations.items.create(made.id, items=[{"role": "user", "content": "Six."}])
    second = ask(client, made.id, way, "Seven?")
    assert (3 + 2, 3 + 2 + 1 + 1 + 1) == (read(first), read(second))
    assert ["One two three.", "Four five?", "Yes.", "Six.", "Seven?", "Yes."] == texts(client, made.id)
    for response in (first, second):
        assert response.conversation is not None
        assert (made.id, made.id[-16:]) == (response.conversation.id, response.id[5:21])
    listed = client.responses.input_items.list(second.id, order="asc")
    assert ["One two three.", "Four five?", "Yes.", "Six.", "Seven?"] == [said(item) for item in listed]


def test_a_function_is_called_in_a_conversation(client: OpenAI) -> None:
    """Its output alone is sent, and finds its call."""
    made = client.conversations.create()
    tools: Any = [{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]
    first = client.responses.create(model="m", input="The weather?", conversation=made.id, tools=tools)
    [call] = first.output
    assert "function_call" == call.type
    output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}]
    second = client.responses.create(model="m", input=output, conversation=made.id, tools=tools)
    assert "Yes." == second.output_text
    assert ["The weather?", "function_call", "function_call_output", "Yes."] == texts(client, made.id)


def test_what_is_not_stored_reads_and_leaves_nothing(client: OpenAI) -> None:
    """Neither a response nor items."""
    made = client.conversations.create(items=[{"role": "user", "content": "One two."}])
    response = client.responses.create(model="m", input="Three?", conversation=made.id, store=False)
    assert 3 == read(response)
    assert ["One two."] == texts(client, made.id)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(response.id)
    assert 3 == read(client.responses.create(model="m", input="Four?", conversation=made.id))


def test_what_was_deleted_is_not_read_again(client: OpenAI) -> None:
    """Nor by a background run; the response that had it has it still."""
    made = client.conversations.create(items=[{"role": "user", "content": "One two three."}])
    first = ask(client, made.id, "json", "Four?")
    [item, *_] = client.conversations.items.list(made.id, order="asc")
    assert item.id is not None
    assert made == client.conversations.items.delete(item.id, conversation_id=made.id)
    second = ask(client, made.id, "background", "Five?")
    assert 3 == read(second)
    third = client.responses.create(model="m", input="Six?", previous_response_id=second.id)
    assert 3 + 2 == read(third)
    before = [said(each) for each in client.responses.input_items.list(first.id, order="asc")]
    after = [said(each) for each in client.responses.input_items.list(third.id, order="asc")]
    assert ["One two three.", "Four?"] == before
    assert ["Four?", "Yes.", "Five?", "Yes.", "Six?"] == after


def test_a_conversation_goes_and_its_responses_stay(client: OpenAI) -> None:
    """They can be gone on from."""
    made = client.conversations.create(items=[{"role": "user", "content": "One two three."}])
    first = ask(client, made.id, "json", "Four?")
    client.conversations.delete(made.id)
    assert first.id == client.responses.retrieve(first.id).id
    assert 6 == read(client.responses.create(model="m", input="Five?", previous_response_id=first.id))
    with pytest.raises(NotFoundError) as caught:
        ask(client, made.id, "json", "Six?")
    assert f"Conversation with id '{made.id}' not found." in caught.value.message


@pytest.mark.parametrize("store", [True, False])
def test_two_responses_do_not_run_in_one_conversation(client: OpenAI, name: str, model: Model, *, store: bool) -> None:
    """The second is refused in the recorded words until the first has ended; nothing is added meanwhile either."""
    made = client.conversations.create()
    model.say("Once.")
    with client.responses.create(
        model=name, input="A story!", conversation=made.id, store=store, stream=True
    ) as events:
        next(iter(events))
        for asked in ("Another?", "A story!"):
            with pytest.raises(ConflictError) as caught:
                client.responses.create(model="m", input=asked, conversation=made.id)
            assert ("conversation_locked", "conversation") == (caught.value.code, caught.value.param)
            assert "Another process is currently operating on this conversation." in caught.value.message
        with pytest.raises(ConflictError):
            client.conversations.items.create(made.id, items=[{"role": "user", "content": "x"}])
        model.stop()
        for _ in events:
            pass
    ask(client, made.id, "json", "Another?")
    kept = ["A story!", "Once."] if store else []
    assert [*kept, "Another?", "Yes."] == texts(client, made.id)


def test_a_client_that_leaves_lets_its_conversation_go(client: OpenAI) -> None:
    """The next one, who tries again as official clients do, comes in."""
    made = client.conversations.create()
    with client.responses.create(model="m", input="A story!", conversation=made.id, stream=True) as events:
        next(iter(events))
    trying = client.with_options(max_retries=5)
    assert "Yes." == trying.responses.create(model="m", input="Next?", conversation=made.id).output_text


def test_a_run_that_is_cancelled_lets_its_conversation_go(client: OpenAI, name: str, model: Model) -> None:
    """What it was asked stays."""
    made = client.conversations.create()
    response = client.responses.create(model=name, input="A story!", conversation=made.id, background=True)
    with pytest.raises(ConflictError):
        ask(client, made.id, "json", "Another?")
    assert "cancelled" == client.responses.cancel(response.id).status
    ask(client, made.id, "json", "Another?")
    assert ("A story!", ["Another?", "Yes."]) == (texts(client, made.id)[0], texts(client, made.id)[-2:])


@pytest.mark.parametrize("route", ["/responses", "/conversations/{}", "/conversations/{}/items"])
def test_a_conversation_of_somebody_else_is_not_there(address: str, client: OpenAI, route: str) -> None:
    """In the words in which an unknown one is not there."""
    made = client.conversations.create()
    body = {"model": "m", "input": "x", "items": [{"role": "user", "content": "x"}], "metadata": {}}
    for id in (made.id, "conv_nonexistent123"):
        answer = patient.post(
            f"{address}/v1{route.format(id)}",
            json={**body, "conversation": id} if route == "/responses" else body,
            headers={"api-key": "key-b"},
        )
        assert (
            404,
            {
                "message": f"Conversation with id '{id}' not found.",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            },
        ) == (answer.status_code, answer.json()["error"])


def test_a_conversation_excludes_a_previous_response(client: OpenAI) -> None:
    """It is said that there can be one of the two."""
    made = client.conversations.create()
    with pytest.raises(BadRequestError) as caught:
        client.responses.create(model="m", input="x", conversation=made.id, previous_response_id="resp_1")
    assert "mutually_exclusive_parameters" == caught.value.code


def test_a_picture_in_a_conversation_is_told_as_it_came(client: OpenAI) -> None:
    """To whoever asks for it."""
    url = inlined(noise("a"))
    picture: Any = {"role": "user", "content": [{"type": "input_image", "image_url": url, "detail": "auto"}]}
    made = client.conversations.create(items=[picture])
    ask(client, made.id, "json", "What is that?")
    [shown, *_] = client.conversations.items.list(made.id, order="asc", include=["message.input_image.image_url"])
    item: Any = shown
    assert url == item.content[0].image_url


def test_a_run_in_a_conversation_survives_its_server(tmp_path: Path) -> None:
    """Killed in the middle, it is gone on with, and what it said stands in the conversation once."""
    config = configured(tmp_path, CONFIG)
    with operating(config) as server, official(server.address) as client:
        made = client.conversations.create(items=[{"role": "user", "content": "One."}])
        response = client.responses.create(model="m", input="A story!", conversation=made.id, background=True)
        with client.responses.retrieve(response.id, stream=True) as events:
            next(event for event in events if event.type == "response.output_text.delta")
        server.kill()
    with operating(config) as server, official(server.address) as client:
        with pytest.raises(ConflictError):
            ask(client, made.id, "json", "Another?")
        response = ended(client, response)
        ask(client, made.id, "json", "Another?")
        whole = texts(client, made.id)
    assert "completed" == response.status
    assert ["One.", "A story!", *map(said, response.output), "Another?", "Yes."] == whole


def test_a_turn_that_was_cut_off_is_not_in_the_conversation(tmp_path: Path) -> None:
    """Its server was killed before it ended: the conversation is as it was, and free."""
    config = configured(tmp_path, CONFIG)
    with operating(config) as server, official(server.address) as client:
        made = client.conversations.create(items=[{"role": "user", "content": "One."}])
        body = {"model": "m", "input": "A story!", "conversation": made.id, "stream": True}
        url = f"{server.address}/v1/responses"
        with httpx.stream("POST", url, json=body, timeout=HANG_SECONDS) as answer:
            lines = answer.iter_lines()  # alive until the server is dead: it stays connected
            next(lines)
            server.kill()
    with operating(config) as server, official(server.address) as client:
        assert ["One."] == texts(client, made.id)
        assert 2 == read(ask(client, made.id, "json", "Another?"))
