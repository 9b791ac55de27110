"""Tests of the routes of ``/responses``, with the official client against a real server."""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from typing import TYPE_CHECKING, Any  # bodies are told as plain JSON here
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace
from openai import AzureOpenAI, BadRequestError, NotFoundError, OpenAI

from antiphon.config import Server
from antiphon.http import exchange
from antiphon.http.responses import THREADED
from tests import patient
from tests.acceptance.gallery import PNG
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai import BaseModel

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

TERMINAL = ("response.completed", "response.failed", "response.incomplete")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server that echoes, and calls the weather when it is asked about it."""
    replies = (
        {
            "when": "weather",
            "after_output": False,
            "steps": [{"call": {"name": "get_weather", "arguments": {"city": "Paris"}}}],
        },
        {"when": "long", "steps": [{"text": "one two three four"}], "finish": "max_output_tokens"},
        {"when": "refuse", "steps": [{"refusal": "I would rather not."}]},
        {
            "when": "limit",
            "steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "Too fast.", "retry_after": 2}}],
        },
        {"when": "break", "steps": [{"text": "So far"}, {"fail": {"fault": "server_error", "message": "It broke."}}]},
        {"steps": [{"text": ["Hello", " there."]}]},
    )
    with serving(scripted(*replies)) as url:
        yield url


@pytest.fixture
def client(address: str) -> Iterator[OpenAI]:
    """The official client, which validates all that it is sent."""
    with OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0, _strict_response_validation=True) as made:
        yield made


def plain(model: BaseModel) -> Any:
    """What the client parsed, as plain JSON."""
    return json.loads(model.to_json())


def texts(items: list[Any]) -> list[str]:
    """The first text of each item."""
    return [plain(item)["content"][0]["text"] for item in items]


def test_a_text_is_answered(client: OpenAI) -> None:
    """The simplest request gives a completed response with the model's words."""
    response = client.responses.create(model="m", input="hi")
    assert ("completed", "Hello there.", "m") == (response.status, response.output_text, response.model)


def test_what_was_answered_can_be_read_back(client: OpenAI) -> None:
    """A response is stored before its body is sent, and reads back the same."""
    response = client.responses.create(model="m", input="hi", metadata={"a": "b"})
    assert response.to_dict() == client.responses.retrieve(response.id).to_dict()


def test_a_stream_ends_with_the_response_that_is_stored(client: OpenAI) -> None:
    """The row is committed before the terminal event, which holds what a retrieval gives."""
    with client.responses.stream(model="m", input="hi") as stream:
        kept = [client.responses.retrieve(event.response.id) for event in stream if event.type == "response.completed"]
        final = stream.get_final_response()
    assert [(final.id, final.output_text)] == [(each.id, each.output_text) for each in kept]


def test_a_deleted_response_is_gone(client: OpenAI, address: str) -> None:
    """After a deletion the response is not found, anywhere."""
    response = client.responses.create(model="m", input="hi")
    answer = patient.delete(f"{address}/v1/responses/{response.id}")
    assert {"id": response.id, "object": "response.deleted", "deleted": True} == answer.json()
    for gone in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(NotFoundError, match=f"Response with id '{response.id}' not found."):
            gone(response.id)
    with pytest.raises(BadRequestError) as refused:
        client.responses.create(model="m", input="hi", previous_response_id=response.id)
    assert "previous_response_not_found" == refused.value.code


def test_a_response_that_is_not_stored_cannot_be_read_back(client: OpenAI) -> None:
    """With store=false nothing is kept."""
    response = client.responses.create(model="m", input="hi", store=False)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(response.id)


def test_a_chain_carries_the_conversation(client: OpenAI) -> None:
    """The input items of a chained response are the history and its own input, newest first."""
    first = client.responses.create(model="m", input="one", instructions="be brief")
    second = client.responses.create(model="m", input="two", previous_response_id=first.id)
    items = client.responses.input_items.list(second.id).data
    assert ["two", "Hello there.", "one"] == texts(items)
    assert second.instructions is None


def test_input_items_are_paged_in_both_orders(client: OpenAI) -> None:
    """A page has a cursor, and pages join without a gap."""
    response = client.responses.create(model="m", input=[{"role": "user", "content": text} for text in ("a", "b", "c")])
    ascending = [item.id for item in client.responses.input_items.list(response.id, order="asc", limit=2)]
    descending = [item.id for item in client.responses.input_items.list(response.id, limit=1)]
    assert 3 == len(ascending)
    assert ascending == descending[::-1]


def test_a_function_is_called_and_its_output_is_heard(client: OpenAI) -> None:
    """A call goes to the client, its output comes back by call id, and the model goes on."""
    first = client.responses.create(model="m", input="the weather?", tools=[WEATHER])
    call = first.output[0]
    assert "function_call" == call.type
    second = client.responses.create(
        model="m",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "22"}],
    )
    assert "Hello there." == second.output_text


def test_a_call_without_its_output_is_refused(client: OpenAI) -> None:
    """A chain cannot go on past a call that nobody answered."""
    first = client.responses.create(model="m", input="the weather?", tools=[WEATHER])
    with pytest.raises(BadRequestError, match=r"No tool output found for function call call_\w+\."):
        client.responses.create(model="m", previous_response_id=first.id, input="and?")


def test_a_chain_can_be_made_by_hand(client: OpenAI) -> None:
    """The output of a response is accepted as input, as it is, without anything stored."""
    inputs: Any = [{"role": "user", "content": "one"}]
    first = client.responses.create(model="m", input=inputs, store=False)
    inputs += [item.to_dict() for item in first.output]
    inputs.append({"role": "user", "content": "two"})
    second = client.responses.create(model="m", input=inputs, store=False)
    assert "Hello there." == second.output_text


def test_an_item_is_found_by_its_id(client: OpenAI) -> None:
    """A reference stands for the item that is stored; one that leads nowhere is an error."""
    first = client.responses.create(model="m", input="one")
    reference: Any = {"type": "item_reference", "id": first.output[0].id}
    second = client.responses.create(model="m", input=[reference, {"role": "user", "content": "two"}])
    listed = client.responses.input_items.list(second.id, order="asc").data
    assert ["Hello there.", "two"] == texts(listed)
    with pytest.raises(NotFoundError, match=r"Item with id 'rs_x' not found\."):
        client.responses.create(model="m", input=[{"type": "item_reference", "id": "rs_x"}])


def test_an_answer_cut_short_says_why(client: OpenAI) -> None:
    """The reason to finish is the status."""
    response = client.responses.create(model="m", input="long", max_output_tokens=16)
    assert response.incomplete_details is not None
    assert ("incomplete", "max_output_tokens") == (response.status, response.incomplete_details.reason)


def test_a_refusal_is_a_part_of_the_message(client: OpenAI) -> None:
    """A refusal is content of its own kind."""
    response = client.responses.create(model="m", input="refuse")
    assert "refusal" == plain(response.output[0])["content"][0]["type"]


def test_a_busy_upstream_is_a_429_with_its_wait(address: str) -> None:
    """Before the first event an upstream's error is a plain HTTP error, for streams too."""
    for stream in (False, True):
        answer = patient.post(f"{address}/v1/responses", json={"model": "m", "input": "limit", "stream": stream})
        assert (429, "2") == (answer.status_code, answer.headers["retry-after"])
        assert {"message", "type", "param", "code"} == set(answer.json()["error"])


def test_a_broken_upstream_ends_a_stream_with_one_terminal_event(client: OpenAI) -> None:
    """After the first event an error is response.failed, and what was said is kept."""
    events = list(client.responses.create(model="m", input="break", stream=True))
    assert ["response.failed"] == [event.type for event in events if event.type in TERMINAL]
    last = events[-1]
    assert last.type == "response.failed"
    assert "So far" == last.response.output_text
    assert last.response.error is not None
    assert "server_error" == last.response.error.code
    assert last.response.to_dict() == client.responses.retrieve(last.response.id).to_dict()


def test_every_mount_answers(address: str) -> None:
    """The paths that the official clients build all lead to the same router."""
    paths = ("/v1", "/openai/v1", "/openai", "/openai/deployments/m", "")
    for path in paths:
        answer = patient.post(
            f"{address}{path}/responses?api-version=2025-04-01-preview", json={"model": "m", "input": "hi"}
        )
        assert 200 == answer.status_code, path


def test_the_azure_client_is_answered(address: str) -> None:
    """The document's own client works with a key and with a token provider."""
    keyed = AzureOpenAI(base_url=f"{address}/openai/v1/", api_key="k", api_version="preview")
    tokened = AzureOpenAI(
        azure_endpoint=address, azure_ad_token_provider=lambda: "token", api_version="2025-04-01-preview"
    )
    for client in (keyed, tokened):
        with client:
            assert "Hello there." == client.responses.create(model="m", input="hi").output_text


def test_the_deployment_of_the_path_answers(address: str) -> None:
    """Whether the body names a model or not."""
    for body in ({"input": "hi"}, {"input": "hi", "model": "m"}):
        answer = patient.post(f"{address}/openai/deployments/d/responses?api-version=v1", json=body)
        assert "d" == answer.json()["model"]


def test_what_had_no_effect_is_named(address: str) -> None:
    """An unknown parameter and a tool that cannot run here are named in headers, and the request goes on."""
    body = {"model": "m", "input": "hi", "client_metadata": {}, "tools": [{"type": "web_search"}, WEATHER]}
    answer = patient.post(f"{address}/v1/responses", json=body)
    assert (200, "client_metadata", "web_search") == (
        answer.status_code,
        answer.headers["x-ignored-params"],
        answer.headers["x-unavailable-tools"],
    )


def test_a_choice_that_demands_a_missing_tool_is_refused(address: str) -> None:
    """What cannot be left out is an error."""
    body = {"model": "m", "input": "hi", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}
    answer = patient.post(f"{address}/v1/responses", json=body)
    assert (400, "tool_choice") == (answer.status_code, answer.json()["error"]["param"])


def test_strict_params_refuses_what_has_no_effect() -> None:
    """With strict_params nothing is ignored."""
    config = replace(scripted(), server=Server(strict_params=True))
    with serving(config) as address:
        unknown = patient.post(f"{address}/v1/responses", json={"model": "m", "input": "hi", "colour": "red"})
        tool = patient.post(
            f"{address}/v1/responses", json={"model": "m", "input": "hi", "tools": [{"type": "web_search"}]}
        )
    assert (400, "Unknown parameter: 'colour'.") == (unknown.status_code, unknown.json()["error"]["message"])
    assert (400, "tools") == (tool.status_code, tool.json()["error"]["param"])


def test_an_unknown_model_is_refused_in_the_words_of_the_path() -> None:
    """Under /v1 as OpenAI does, under /openai as Azure does."""
    with serving(scripted(name="only")) as address:
        plain = patient.post(f"{address}/v1/responses", json={"model": "x", "input": "hi"})
        azure = patient.post(f"{address}/openai/v1/responses", json={"model": "x", "input": "hi"})
    assert (400, "model_not_found") == (plain.status_code, plain.json()["error"]["code"])
    assert (404, "DeploymentNotFound") == (azure.status_code, azure.json()["error"]["code"])


def test_an_unknown_model_that_is_looked_up_is_not_found() -> None:
    """Nothing was asked of it: the path leads nowhere, as on the live service."""
    with serving(scripted(name="only")) as address:
        answer = patient.get(f"{address}/v1/models/x")
    assert (404, "model_not_found") == (answer.status_code, answer.json()["error"]["code"])


def test_a_synchronous_response_cannot_be_cancelled(client: OpenAI) -> None:
    """Only background runs can."""
    response = client.responses.create(model="m", input="hi")
    with pytest.raises(BadRequestError, match=r"Cannot cancel a synchronous response\."):
        client.responses.cancel(response.id)


def test_obfuscation_can_be_left_out(client: OpenAI) -> None:
    """Deltas are padded unless the client says otherwise."""
    for wanted in (True, False):
        events = client.responses.create(
            model="m", input="hi", stream=True, stream_options={"include_obfuscation": wanted}
        )
        deltas = [event for event in events if event.type == "response.output_text.delta"]
        assert {wanted} == {"obfuscation" in event.to_dict() for event in deltas}


def test_images_are_listed_only_where_they_are_asked_for(client: OpenAI) -> None:
    """The URL of an image, which may be the image itself, is left out of a list of items."""
    url = f"data:image/png;base64,{b64encode(PNG).decode()}"
    content: Any = [{"type": "input_text", "text": "what?"}, {"type": "input_image", "image_url": url}]
    response = client.responses.create(model="m", input=[{"role": "user", "content": content}])
    bare = plain(client.responses.input_items.list(response.id).data[0])
    full = plain(client.responses.input_items.list(response.id, include=["message.input_image.image_url"]).data[0])
    assert "image_url" not in bare["content"][1]
    assert url == full["content"][1]["image_url"]


def test_a_body_that_does_not_arrive_is_given_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that stays half said is answered and its connection closed."""
    monkeypatch.setattr(exchange, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(exchange, "SWALLOWING_SECONDS", 0.05)
    with socket.create_connection((urlsplit(address).hostname or "", urlsplit(address).port or 0)) as connection:
        connection.sendall(
            b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b'content-length: 99\r\n\r\n{"model":'
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"did not arrive within" in answer


def test_tools_that_an_input_brings_that_cannot_run_here_are_named(address: str) -> None:
    """As those of the request itself are; the others are offered."""
    brought = {"type": "additional_tools", "tools": [WEATHER, {"type": "web_search"}]}
    body = {"model": "m", "input": [brought, {"role": "user", "content": "hi"}]}
    answer = patient.post(f"{address}/v1/responses", json=body)
    assert (200, "web_search") == (answer.status_code, answer.headers["x-unavailable-tools"])


@pytest.mark.parametrize("filling", ["x", "y" * THREADED])
def test_a_body_of_any_size_is_read_and_refused_alike(address: str, filling: str) -> None:
    """What is long is read elsewhere, with the same answers."""
    sound = {"model": "m", "input": "hi", "instructions": filling}
    answer = patient.post(f"{address}/v1/responses", json=sound).json()
    assert "Hello there." == answer["output"][0]["content"][0]["text"]
    refused = patient.post(f"{address}/v1/responses", json={**sound, "temperature": "warm"})
    assert (400, "temperature") == (refused.status_code, refused.json()["error"]["param"])
    broken = patient.post(
        f"{address}/v1/responses", content=json.dumps(sound)[:-1], headers={"content-type": "application/json"}
    )
    assert 400 == broken.status_code
