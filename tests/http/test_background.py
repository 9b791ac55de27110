"""Tests of responses in the background, as their clients see them: created, polled, followed and resumed."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import AzureOpenAI, BadRequestError

from tests import patient
from tests.http.following import (
    created,
    ended,
    events,
    eventually,
    followed,
    frames,
    numbers,
    posted,
    retrieved,
    text,
    told,
    types,
)

if TYPE_CHECKING:
    from openai import OpenAI

    from tests.conducting import Model

WEATHER: Any = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
pytestmark = pytest.mark.whole

OPENING = ["created", "queued", "in_progress"]
MESSAGE = ["output_item.added", "content_part.added"]
END = ["output_text.done", "content_part.done", "output_item.done", "completed"]


def test_a_background_response_is_answered_before_its_model(address: str, name: str, model: Model) -> None:
    """It is queued, whole in form, and there for whoever polls; the model may take its time."""
    response = created(address, name, metadata={"a": "b"})
    assert ("queued", True, [], None) == tuple(response[key] for key in ("status", "background", "output", "usage"))
    assert retrieved(address, response["id"])["status"] in {"queued", "in_progress"}
    model.wait()
    model.stop()
    assert {"a": "b"} == ended(address, response["id"])["metadata"]


def test_polling_sees_the_output_grow(official: OpenAI, name: str, model: Model) -> None:
    """The loop of the documentation goes from queued over a partial output to the whole of it."""
    response = official.responses.create(model=name, input="hi", background=True)
    seen = [(response.status, "")]
    for word in ("Hel", "lo"):
        model.say(word)
        while len(response.output_text) < len(seen[-1][1]) + len(word):
            response = official.responses.retrieve(response.id)
        seen.append((response.status, response.output_text))
    model.stop()
    while response.status in {"queued", "in_progress"}:
        response = official.responses.retrieve(response.id)
    seen.append((response.status, response.output_text))
    assert [("queued", ""), ("in_progress", "Hel"), ("in_progress", "Hello"), ("completed", "Hello")] == seen
    assert response.completed_at is not None


def test_what_waits_is_queued(narrow: str, name: str, model: Model) -> None:
    """A response that nobody works on yet says so, to who polls and to who follows."""
    first, second = created(narrow, name), created(narrow, name)
    model.wait()
    assert "queued" == retrieved(narrow, second["id"])["status"]
    with followed(narrow, second["id"]) as stream:
        assert OPENING[:2] == types(stream.until("queued"))
        model.stop()
        model.wait()
        model.stop()
        assert "completed" == stream.rest()[-1]["response"]["status"]
    assert "completed" == ended(narrow, first["id"])["status"]


def test_a_stream_begins_with_the_queue(address: str, name: str, model: Model) -> None:
    """Created and queued, then in progress, then the model's words; numbers have no gap, and nothing is padded."""
    with posted(address, name, stream_options={"include_obfuscation": True}) as stream:
        opening = stream.until("in_progress")
        model.say("Hel")
        model.say("lo")
        model.stop()
        heard = stream.rest()
    assert ["queued", "queued", "in_progress"] == [each["response"]["status"] for each in opening]
    assert [*OPENING, *MESSAGE, "output_text.delta", "output_text.delta", *END] == types(heard)
    assert list(range(len(heard))) == numbers(heard)
    assert b"obfuscation" not in stream.read
    assert retrieved(address, heard[-1]["response"]["id"]) == heard[-1]["response"]


def test_a_client_that_leaves_changes_nothing(address: str, name: str, model: Model) -> None:
    """The run goes on without its reader, and its whole stream can be read afterwards."""
    with posted(address, name) as stream:
        model.say("Hel")
        id = stream.until("output_text.delta")[0]["response"]["id"]
    model.say("lo")
    model.stop()
    assert "Hello" == text(ended(address, id))
    assert not model.left.is_set()
    assert told(address, id).startswith(stream.read)


def test_a_stream_can_be_resumed_at_every_number(address: str, name: str, model: Model) -> None:
    """Behind N come the bytes behind N and no others: while it runs, after it, and each time anew."""
    id = created(address, name)["id"]
    model.say("Hel")
    with followed(address, id) as stream:
        known = len(stream.until("output_text.delta"))
    with ExitStack() as opened:
        live = [opened.enter_context(followed(address, id, after=number)) for number in range(known + 2)]
        for word in ("lo", " there"):
            model.say(word)
        model.stop()
        for stream in live:
            stream.rest()
        whole = told(address, id)
        assert [b"".join(frames(whole)[number + 1 :]) for number in range(known + 2)] == [each.read for each in live]
    count = len(frames(whole))
    for number in range(count):
        for _ in range(2):
            assert b"".join(frames(whole)[number + 1 :]) == told(address, id, after=number)


@pytest.mark.parametrize("number", [10**6, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**30])
def test_behind_the_end_there_is_nothing(address: str, name: str, model: Model, number: int) -> None:
    """A number that no event has is answered with a stream without events, while it runs and after it."""
    id = created(address, name)["id"]
    with followed(address, id, after=number) as stream:
        model.stop()
        assert [] == stream.rest()
    assert b"" == told(address, id, after=number)


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "1" + "0" * 5000, "NaN", "%00"])
def test_a_number_that_is_none_is_refused(address: str, name: str, model: Model, number: str) -> None:
    """The error names the parameter, in the four keys of every error."""
    id = created(address, name)["id"]
    answer = patient.get(f"{address}/v1/responses/{id}?stream=true&starting_after={number}")
    assert 400 == answer.status_code
    assert {"message", "type", "param", "code"} == answer.json()["error"].keys()
    assert "starting_after" == answer.json()["error"]["param"]
    model.stop()


def test_a_synchronous_response_is_replayed_from_its_items(address: str, name: str, model: Model) -> None:
    """What was not logged is told as it would have been, ends with what is kept, and can be entered at any number."""
    model.say("Hello")
    model.stop()
    kept = patient.post(f"{address}/v1/responses", json={"model": name, "input": "hi"}).json()
    whole = told(address, kept["id"])
    heard = events(whole)
    assert ["created", "in_progress", *MESSAGE, "output_text.delta", *END] == types(heard)
    assert kept == heard[-1]["response"]
    for number in range(len(heard) + 1):
        assert b"".join(frames(whole)[number + 1 :]) == told(address, kept["id"], after=number)


def test_the_official_client_resumes(official: OpenAI, name: str, model: Model) -> None:
    """With ``retrieve`` and with ``stream``, while it runs and after it."""
    begun = official.responses.create(model=name, input="hi", background=True, stream=True)
    model.say("Hel")
    id = next(event.response.id for event in begun if event.type == "response.created")
    first = next(event for event in begun if event.type == "response.output_text.delta")
    begun.close()
    resumed = official.responses.retrieve(id, stream=True, starting_after=first.sequence_number)
    model.say("lo")
    model.stop()
    rest = [event.sequence_number for event in resumed]
    assert list(range(first.sequence_number + 1, first.sequence_number + 1 + len(rest))) == rest
    with official.responses.stream(response_id=id, starting_after=first.sequence_number) as stream:
        assert rest == [event.sequence_number for event in stream]
        assert "Hello" == stream.get_final_response().output_text


def test_a_running_response_lists_its_input(address: str, official: OpenAI, name: str, model: Model) -> None:
    """What it was built on is there before what it says."""
    id = created(address, name, input=[{"role": "user", "content": each} for each in ("one", "two")])["id"]
    model.wait()
    listed: Any = official.responses.input_items.list(id, order="asc").data
    assert ["one", "two"] == [item.content[0].text for item in listed]
    model.stop()


def test_a_chain_goes_on_once_its_response_has_ended(address: str, official: OpenAI, name: str, model: Model) -> None:
    """Before that it is refused; then the model hears all that was said."""
    first = created(address, name, input="one")["id"]
    model.say("I heard one")
    model.wait()
    with pytest.raises(BadRequestError, match="is still in progress") as refused:
        official.responses.create(model=name, input="two", previous_response_id=first)
    assert ("previous_response_in_progress", "previous_response_id") == (refused.value.code, refused.value.param)
    model.stop()
    ended(address, first)
    second = created(address, name, input="two", previous_response_id=first)["id"]
    model.say("I heard two")
    model.stop()
    assert ["one", "I heard one", "two"] == [message["content"] for message in model.wait()["messages"]]
    assert first == ended(address, second)["previous_response_id"]


def test_a_function_is_called_in_the_background(address: str, name: str, model: Model) -> None:
    """The call ends the response; its output goes on from there, in the background as well."""
    first = created(address, name, tools=[WEATHER])["id"]
    model.call("weather", "{}")
    model.stop("tool_calls")
    [call] = ended(address, first)["output"]
    assert ("function_call", "weather", "{}") == (call["type"], call["name"], call["arguments"])
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "22"}
    second = created(address, name, input=[output], previous_response_id=first, tools=[WEATHER])["id"]
    model.say("22 degrees")
    model.stop()
    assert "22 degrees" == text(ended(address, second))
    model.wait()
    assert ["user", "assistant", "tool"] == [message["role"] for message in model.wait()["messages"]]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_had_no_effect_is_named_in_the_background_too(
    address: str, name: str, model: Model, *, is_streamed: bool
) -> None:
    """In the headers of the answer to the request, as for any other."""
    model.stop()
    body = {"model": name, "input": "hi", "background": True, "stream": is_streamed, "client_metadata": {}}
    answer = patient.post(f"{address}/v1/responses", json={**body, "tools": [{"type": "web_search"}]})
    assert (200, "client_metadata") == (answer.status_code, answer.headers["x-ignored-params"])
    assert "web_search" == answer.headers["x-unavailable-tools"]


def test_the_azure_client_runs_in_the_background(address: str, name: str, model: Model) -> None:
    """Create, follow, poll and cancel at Azure's paths."""
    client = AzureOpenAI(azure_endpoint=address, api_key="k", api_version="2025-04-01-preview", max_retries=0)
    with client, client.responses.create(model=name, input="hi", background=True, stream=True) as stream:
        model.say("Hello")
        first = next(event for event in stream if event.type == "response.created")
        next(event for event in stream if event.type == "response.output_text.delta")
        assert "in_progress" == client.responses.retrieve(first.response.id).status
        assert "cancelled" == client.responses.cancel(first.response.id).status
        assert ["response.failed"] == [event.type for event in stream][-1:]


def test_a_response_is_polled_while_others_follow_it(address: str, name: str, model: Model) -> None:
    """Many readers hear the same, whenever they came."""
    id = created(address, name)["id"]
    with ExitStack() as opened:
        readers = [opened.enter_context(followed(address, id)) for _ in range(10)]
        for word in "abcdef":
            model.say(word)
            eventually(address, id, partial(has_come_to, word))
            readers.append(opened.enter_context(followed(address, id)))
        model.stop()
        heard = [json.dumps(reader.rest()) for reader in readers]
    assert 1 == len(set(heard))


def has_come_to(word: str, response: Any) -> bool:  # JSON
    """Whether a response ends with this word so far."""
    return text(response).endswith(word)
