"""Tests of how responses in the background end: cancelled, deleted, failed, incomplete, expired, and whose they are."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any  # JSON

import pytest

from antiphon.config import Background, Config
from antiphon.wiring import running
from tests import patient
from tests.http.following import (
    LOOK_SECONDS,
    cancelled,
    created,
    ended,
    eventually,
    followed,
    posted,
    retrieved,
    text,
    told,
    types,
)
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2 as httpx

    from tests.conducting import Model, Models

pytestmark = pytest.mark.whole

HEARD_SECONDS = HANG_SECONDS / 2
"""What a busy machine may need to let a model go; on an idle one it is a few milliseconds. Who is
not told finds out at a beat of its lease, after minutes."""

VERBS = [("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("GET", "/input_items"), ("DELETE", "")]


def test_a_cancelled_response_keeps_what_it_said(address: str, name: str, model: Model) -> None:
    """The open item is incomplete, the answer is final at once, and again the same; the model is let go."""
    id = created(address, name)["id"]
    model.say("Hel")
    eventually(address, id, lambda response: text(response) == "Hel")
    began = time.perf_counter()
    first = cancelled(address, id)
    assert model.gone() - began < HEARD_SECONDS
    assert ("cancelled", "Hel", None) == (first["status"], text(first), first["completed_at"])
    assert ["incomplete"] == [item["status"] for item in first["output"]]
    assert first == cancelled(address, id) == retrieved(address, id)


def test_a_cancelled_response_keeps_its_finished_items(address: str, name: str, model: Model) -> None:
    """What was whole stays whole, and what was not is incomplete."""
    id = created(address, name, tools=[{"type": "function", "name": "weather", "parameters": {}}])["id"]
    model.say("I look.")
    model.call("weather", '{"city":')
    eventually(address, id, lambda response: len(response["output"]) == 2)
    response = cancelled(address, id)
    assert ["completed", "incomplete"] == [item["status"] for item in response["output"]]
    assert ["I look.", '{"city":'] == [text(response), response["output"][1]["arguments"]]


def test_a_silent_model_is_let_go(address: str, name: str, model: Model) -> None:
    """A run that waits for its model is cancelled as fast as one that hears it."""
    id = created(address, name)["id"]
    model.wait()
    began = time.perf_counter()
    assert [] == cancelled(address, id)["output"]
    assert model.gone() - began < HEARD_SECONDS


def test_open_streams_of_a_cancelled_response_end(address: str, name: str, model: Model) -> None:
    """With response.failed whose response is cancelled: the live ones, and those that come later."""
    with ExitStack() as opened:
        stream = opened.enter_context(posted(address, name))
        model.say("Hel")
        id = stream.until("output_text.delta")[0]["response"]["id"]
        readers = [stream, *(opened.enter_context(followed(address, id)) for _ in range(3))]
        response = cancelled(address, id)
        for reader in readers:
            last = reader.rest()[-1]
            assert ("response.failed", response) == (last["type"], last["response"])
    assert stream.read == told(address, id)


def test_what_waits_is_cancelled_before_its_model_is_asked(narrow: str, models: Models, name: str) -> None:
    """A queued response never runs once it is cancelled, and its stream says so."""
    first, second = models[name], models[f"{name} two"]
    running_id = created(narrow, name)["id"]
    first.wait()
    with posted(narrow, f"{name} two") as stream:
        id = stream.until("queued")[0]["response"]["id"]
        response = cancelled(narrow, id)
        assert ("cancelled", []) == (response["status"], response["output"])
        assert ["created", "queued", "failed"] == types(stream.rest())
    first.stop()
    assert "completed" == ended(narrow, running_id)["status"]
    assert (response, True) == (retrieved(narrow, id), second.asked.empty())


@pytest.mark.parametrize("end", ["completed", "incomplete", "failed"])
def test_what_has_ended_is_not_changed_by_a_cancellation(address: str, name: str, model: Model, end: str) -> None:
    """It is answered as it is, each time."""
    id = created(address, name)["id"]
    model.say("So far")
    match end:
        case "completed":
            model.stop()
        case "incomplete":
            model.stop("length")
        case _:
            model.die()
    response = ended(address, id)
    assert end == response["status"]
    stream = told(address, id)
    assert response == cancelled(address, id) == cancelled(address, id) == retrieved(address, id)
    assert stream == told(address, id)


def test_a_synchronous_response_cannot_be_cancelled(address: str, name: str, model: Model) -> None:
    """Its client waits for it, or has it."""
    model.stop()
    id = patient.post(f"{address}/v1/responses", json={"model": name, "input": "hi"}).json()["id"]
    answer = patient.post(f"{address}/v1/responses/{id}/cancel")
    assert (400, "Cannot cancel a synchronous response.") == (answer.status_code, answer.json()["error"]["message"])


def test_a_response_cut_short_says_why(address: str, name: str, model: Model) -> None:
    """The terminal event and the response are incomplete."""
    with posted(address, name, max_output_tokens=16) as stream:
        model.say("one two")
        model.stop("length")
        last = stream.rest()[-1]
    assert ("response.incomplete", "max_output_tokens") == (
        last["type"],
        last["response"]["incomplete_details"]["reason"],
    )
    assert last["response"] == retrieved(address, last["response"]["id"])


def test_a_model_that_dies_fails_the_response(address: str, name: str, model: Model) -> None:
    """With a reason, in one terminal event, and what was said is kept."""
    with posted(address, name) as stream:
        model.say("So far")
        model.die()
        heard = stream.rest()
    assert 1 == sum(each in {"completed", "failed", "incomplete"} for each in types(heard))
    last = heard[-1]["response"]
    assert ("failed", "server_error", "So far") == (last["status"], last["error"]["code"], text(last))
    assert last["error"]["message"]


@pytest.mark.parametrize(("question", "code"), [("limit", "rate_limit_exceeded"), ("away", "server_error")])
def test_a_model_that_refuses_fails_the_response(address: str, question: str, code: str) -> None:
    """The request was taken, so its answer is a response that failed, and no HTTP error."""
    with posted(address, "scripted", input=question) as stream:
        heard = stream.rest()
    assert ["created", "queued", "in_progress", "failed"] == types(heard)
    assert code == heard[-1]["response"]["error"]["code"]
    assert code == ended(address, created(address, "scripted", input=question)["id"])["error"]["code"]


def test_a_deleted_response_is_cancelled_and_gone(address: str, name: str, model: Model) -> None:
    """Its model is let go, its streams end, and it is found nowhere."""
    with posted(address, name) as stream:
        model.say("Hel")
        id = stream.until("output_text.delta")[0]["response"]["id"]
        answer = patient.delete(f"{address}/v1/responses/{id}")
        assert {"id": id, "object": "response.deleted", "deleted": True} == answer.json()
        assert "cancelled" == stream.rest()[-1]["response"]["status"]
    model.gone()
    for mount in ("/v1", "/openai/v1"):
        for method, path in VERBS:
            assert 404 == patient.request(method, f"{address}{mount}/responses/{id}{path}").status_code
    body = {"model": name, "input": "hi", "previous_response_id": id}
    refused = patient.post(f"{address}/v1/responses", json={**body, "background": True})
    assert (400, "previous_response_not_found") == (refused.status_code, refused.json()["error"]["code"])


def test_what_waits_is_deleted_before_its_model_is_asked(narrow: str, models: Models, name: str) -> None:
    """A queued response that was deleted never runs."""
    first, second = models[name], models[f"{name} two"]
    running_id = created(narrow, name)["id"]
    first.wait()
    id = created(narrow, f"{name} two")["id"]
    assert 200 == patient.delete(f"{narrow}/v1/responses/{id}").status_code
    first.stop()
    ended(narrow, running_id)
    assert (404, True) == (patient.get(f"{narrow}/v1/responses/{id}").status_code, second.asked.empty())


@pytest.mark.parametrize(
    "id", ["resp_nothing", "resp_" + "0" * 48, "%00", "x" * 5000, "resp_%F0%9F%98%80", "%ED%A0%80"]
)
def test_what_was_never_there_is_not_found(address: str, id: str) -> None:
    """On every verb, at either kind of path, in the four keys or in Azure's words."""
    for mount in ("/v1", "/openai/v1"):
        for method, path in VERBS:
            answer = patient.request(method, f"{address}{mount}/responses/{id}{path}")
            assert 404 == answer.status_code, (method, path, answer.text)
            assert "not found" in answer.json()["error"]["message"]


def test_a_response_of_another_tenant_is_not_there(shared: str, name: str, model: Model) -> None:
    """While it runs and after it, on every verb: neither its content nor its end is anybody else's."""
    mine, theirs = {"api-key": "key-a"}, {"api-key": "key-b"}
    body = {"model": name, "input": "hi", "background": True}
    id = patient.post(f"{shared}/v1/responses", json=body, headers=mine).json()["id"]
    model.wait()
    assert [404] * len(VERBS) == _statuses(shared, id, theirs)
    chained = {"model": name, "input": "hi", "previous_response_id": id, "background": True}
    refused = patient.post(f"{shared}/v1/responses", json=chained, headers=theirs)
    assert (400, "previous_response_not_found") == (refused.status_code, refused.json()["error"]["code"])
    model.say("Hello")
    model.stop()
    stream = patient.get(f"{shared}/v1/responses/{id}?stream=true", headers=mine).text
    assert "event: response.completed" in stream
    assert [404] * len(VERBS) == _statuses(shared, id, theirs)
    assert [200] * len(VERBS) == _statuses(shared, id, mine)


def _statuses(url: str, id: str, headers: dict[str, str]) -> list[int]:
    return [
        patient.request(method, f"{url}/v1/responses/{id}{path}", headers=headers).status_code for method, path in VERBS
    ]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_what_is_not_kept_cannot_run_in_the_background(address: str, *, is_streamed: bool) -> None:
    """Nobody could look it up."""
    body = {"model": "m", "input": "hi", "background": True, "store": False, "stream": is_streamed}
    answer = patient.post(f"{address}/v1/responses", json=body)
    error = answer.json()["error"]
    assert (400, "background", "unsupported_parameter") == (answer.status_code, error["param"], error["code"])


@pytest.fixture
def forgetful(models: Models, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that keeps the events of a response for a second, and looks for old ones all the time."""
    monkeypatch.setattr(running, "SWEEP_SECONDS", 0.05)
    background = Background(event_ttl_seconds=1)
    with serving(Config(store=MEMORY, deployments=[models.deployment], background=background)) as url:
        yield url


def test_expired_events_are_a_conflict(forgetful: str, name: str, model: Model) -> None:
    """The response is still there, and so is its cancellation; its events are refused in the form of every error."""
    id = created(forgetful, name)["id"]
    model.say("Hello")
    model.stop()
    response = ended(forgetful, id)
    answer = _refused(f"{forgetful}/v1/responses/{id}?stream=true&starting_after=1")
    assert {"message", "type", "param", "code"} == answer.json()["error"].keys()
    assert ("stream", "stream_cursor_expired") == tuple(answer.json()["error"][key] for key in ("param", "code"))
    azure = patient.get(f"{forgetful}/openai/v1/responses/{id}?stream=true")
    assert (409, answer.json()) == (azure.status_code, azure.json())
    assert response == retrieved(forgetful, id) == cancelled(forgetful, id)
    assert 200 == patient.delete(f"{forgetful}/v1/responses/{id}").status_code


def _refused(url: str) -> httpx.Response:
    """What a URL answers once it is a conflict."""
    end = time.monotonic() + HANG_SECONDS
    while time.monotonic() < end:
        answer = patient.get(url)
        if answer.status_code == 409:
            return answer
        time.sleep(LOOK_SECONDS)  # a client that polls
    raise AssertionError(url)


def test_a_chain_goes_on_after_a_cancelled_response(address: str, name: str, model: Model) -> None:
    """Nothing generated is thrown away: the model hears what it had said."""
    first = created(address, name, input="one")["id"]
    model.say("I heard")
    eventually(address, first, lambda response: text(response) == "I heard")
    cancelled(address, first)
    model.gone()
    second = created(address, name, input="two", previous_response_id=first)["id"]
    model.stop()
    model.wait()
    heard: Any = model.wait()["messages"]
    assert ["one", "I heard", "two"] == [message["content"] for message in heard]
    assert "completed" == ended(address, second)["status"]
