"""Tests of responses over a WebSocket: who may open one, what comes over it, and what it remembers."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from antiphon.config import WebSocket
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from tests import patient
from tests.http.talking import BINARY, CLOSE, TERMINAL, TEXT, Refused, talking, text
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = Auth(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])
FAILING = {"when": "fail", "steps": [{"fail": {"fault": "unavailable", "message": "Nobody is there."}}]}
BREAKING = {"when": "break", "steps": [{"text": "So far "}, {"fail": {"fault": "server_error", "message": "Gone."}}]}
CALLING = {"when": "weather", "steps": [{"call": {"name": "look", "arguments": {}}}]}
LENGTHS = (1, 20, 125, 126, 1000, 65_500, 65_536)
LONG = {"when": "long", "steps": [{"text": ["x" * length for length in LENGTHS]}]}
REPLIES = (FAILING, BREAKING, CALLING, LONG)
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server of this machine alone."""
    with serving(scripted(*REPLIES)) as url:
        yield url


@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses",
        "/openai/v1/responses",
        "/openai/responses?api-version=2025-04-01-preview",
        "/openai/deployments/gpt/responses",
        "/responses",
    ],
)
def test_every_path_of_responses_opens_a_websocket(address: str, path: str) -> None:
    """Wherever a response can be posted it can be asked for over a WebSocket; a deployment in the path counts."""
    with talking(address, path) as talk:
        last = talk.turn(model="named")
    assert "response.completed" == last["type"]
    assert ("gpt" if "gpt" in path else "named") == last["response"]["model"]


def test_no_other_path_opens_one(address: str) -> None:
    """A path without a WebSocket is refused like one that is not there."""
    with pytest.raises(Refused) as refused, talking(address, "/v1/files"):
        pass
    assert (404, "Invalid URL (GET /v1/files)") == (refused.value.status, refused.value.error["message"])


@pytest.mark.parametrize("headers", [{}, {"api_key": "wrong"}, {"authorization": "Bearer wrong"}])
def test_a_handshake_without_a_right_key_is_refused_as_over_http(headers: dict[str, str]) -> None:
    """It is a 401 with the error object and the challenge, and no connection."""
    with serving(replace(scripted(), auth=KEYS)) as address:
        with pytest.raises(Refused) as refused, talking(address, **headers):
            pass
        plain = patient.post(
            f"{address}/v1/responses", json={}, headers={k.replace("_", "-"): headers[k] for k in headers}
        )
    assert (401, plain.json()["error"]) == (refused.value.status, refused.value.error)
    assert "www-authenticate: Bearer" in refused.value.headers.replace("WWW-A", "www-a")
    assert "x-request-id: req_" in refused.value.headers


def test_a_right_key_opens_it_in_either_header() -> None:
    """``api-key`` and ``Authorization: Bearer`` mean the same."""
    with serving(replace(scripted(), auth=KEYS)) as address:
        for headers in ({"api_key": "key-a"}, {"authorization": "Bearer key-a", "origin": "https://app.example"}):
            with talking(address, **headers) as talk:
                assert "response.completed" == talk.turn()["type"]


@pytest.mark.parametrize(
    ("origin", "is_open"),
    [
        ("http://localhost:3000", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:8080", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://[::1", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_open_server_answers_no_web_page_of_strangers(address: str, origin: str, *, is_open: bool) -> None:
    """Browsers open WebSockets for any page, so without keys the page must be of this machine."""
    if is_open:
        with talking(address, origin=origin) as talk:
            assert "response.completed" == talk.turn()["type"]
    else:
        with pytest.raises(Refused) as refused, talking(address, origin=origin):
            pass
        assert (403, "forbidden") == (refused.value.status, refused.value.error["code"])


def test_a_refused_handshake_is_no_error_of_the_server(address: str, caplog: pytest.LogCaptureFixture) -> None:
    """Anybody can be refused, any number of times: it is told, and it is not in the log as a fault."""
    for headers in ({"origin": "http://[::1"}, {"origin": "https://evil.example"}, {"host": "evil.example"}):
        with pytest.raises(Refused), talking(address, **headers):
            pass
    with talking(address) as talk:
        assert "response.completed" == talk.turn()["type"]
    assert [] == [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_open_server_answers_only_to_its_own_names(address: str) -> None:
    """A page that rebinds its own name to this machine is refused, as over HTTP."""
    with pytest.raises(Refused) as refused, talking(address, host="evil.example"):
        pass
    assert 403 == refused.value.status


def test_a_websocket_carries_the_events_of_a_stream(address: str) -> None:
    """The events are those of the same request over HTTP, each a frame of its own, in the same order and numbered."""
    body = {"model": "m", "input": "one two three", "stream": True}
    lines = patient.post(f"{address}/v1/responses", json=body).text.split("\n")
    streamed = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    with talking(address) as talk:
        talk.create(input="one two three", store=True)
        events = talk.until(*TERMINAL)
    assert [event["type"] for event in streamed] == [event["type"] for event in events]
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    assert all("stream_id" not in event for event in events)
    assert any("obfuscation" in event for event in events)


@pytest.mark.parametrize("stream", [{}, {"stream": True}, {"stream": False}])
def test_obfuscation_is_left_out_where_it_is_not_wanted(address: str, stream: dict[str, bool]) -> None:
    """The one option of a stream that has a meaning here, whatever ``stream`` says."""
    with talking(address) as talk:
        talk.create(stream_options={"include_obfuscation": False}, **stream)
        events = talk.until(*TERMINAL)
    assert "response.completed" == events[-1]["type"]
    assert [] == [event for event in events if "obfuscation" in event]
    assert [] != [event for event in events if "delta" in event]


def test_frames_of_every_length_arrive_whole(address: str) -> None:
    """Lengths of one, two and eight bytes: short deltas, envelopes, and a final response of 130,000 characters."""
    with talking(address) as talk:
        talk.create(input="long")
        events = talk.until(*TERMINAL)
    assert list(LENGTHS) == [len(event["delta"]) for event in events if "delta" in event]
    assert sum(LENGTHS) == len(text(events[-1]))


def test_creates_follow_each_other(address: str) -> None:
    """A connection carries one response after the other, stored or not, and only a stored one is found over HTTP."""
    with talking(address) as talk:
        stored, unstored = (talk.turn(store=store)["response"]["id"] for store in (True, False))
    assert 200 == patient.get(f"{address}/v1/responses/{stored}").status_code
    assert 404 == patient.get(f"{address}/v1/responses/{unstored}").status_code


def test_what_is_wrong_with_a_frame_is_told_and_the_connection_goes_on(address: str) -> None:
    """Each of them is an ``error`` frame of four keys with the status that HTTP would give."""
    with talking(address) as talk:
        told = []
        for payload in (
            b"{",
            b"[]",
            b"{}",
            b'{"type":"response.cancel"}',
            b'{"type":"response.create","model":"m","input":3}',
            b'{"type":"response.create","model":"m","input":"hi","background":true}',
            b'{"type":"response.create","model":"m","input":"hi","stream_id":"a b"}',
            b'{"type":"response.create","model":"m","input":"hi","stream_id":""}',
            b'{"type":"response.steer","input":"hi"}',
            b'{"type":"response.steer","previous_response_id":3}',
            b'{"type":"response.inject","input":[]}',
        ):
            talk.frame(TEXT, payload)
            told.append(talk.hear())
        talk.frame(BINARY, b'{"type":"response.create","model":"m","input":"hi"}')
        told.append(talk.hear())
        last = talk.turn()
    assert {"error"} == {each["type"] for each in told}
    assert {400} == {each["status"] for each in told}
    assert all({"message", "type", "param", "code"} == set(each["error"]) for each in told)
    assert [
        (None, None),
        (None, None),
        ("type", "missing_required_parameter"),
        ("type", "invalid_value"),
        ("input", "invalid_type"),
        ("background", "unsupported_parameter"),
        ("stream_id", "invalid_stream_id"),
        ("stream_id", "invalid_stream_id"),
        ("previous_response_id", "missing_required_parameter"),
        ("previous_response_id", "invalid_type"),
        ("response_id", "missing_required_parameter"),
        (None, None),
    ] == [(each["error"]["param"], each["error"]["code"]) for each in told]
    assert "response.completed" == last["type"]


@pytest.mark.parametrize("frame", [b'{"type":"response.cancel","stream_id":"a"}', b'{"stream_id":"a"}'])
def test_a_frame_of_no_known_type_is_refused_in_its_lane(address: str, frame: bytes) -> None:
    """A client that waits for an answer in a lane hears it there."""
    with talking(address) as talk:
        talk.frame(TEXT, frame)
        told = talk.hear()
    assert ("type", "a") == (told["error"]["param"], told["stream_id"])


def test_a_model_that_cannot_be_asked_is_told_with_its_status_and_its_headers(address: str) -> None:
    """What would have been an answer in HTTP is an ``error`` frame, in the lane of its create."""
    with talking(address) as talk:
        error = talk.turn(input="fail", stream_id="b")
        assert "response.completed" == talk.turn()["type"]
    assert (503, "server_error", "b") == (error["status"], error["error"]["code"], error["stream_id"])


def test_a_model_that_breaks_off_fails_its_response_alone(address: str) -> None:
    """After ``response.created`` there is one terminal event, as in a stream, and no ``error``."""
    with talking(address) as talk:
        assert "response.failed" == talk.turn(input="break")["type"]
        assert "response.completed" == talk.turn()["type"]


def test_a_chain_goes_on_without_being_stored(address: str) -> None:
    """What a connection has just said it remembers, with what it was asked."""
    with talking(address) as talk:
        first = talk.turn(input="first")
        second = talk.turn(input="second", previous_response_id=first["response"]["id"])
        third = talk.turn(input="third", previous_response_id=second["response"]["id"])
    assert ["response.completed"] * 3 == [each["type"] for each in (first, second, third)]
    usage = [each["response"]["usage"]["input_tokens"] for each in (first, second, third)]
    assert usage[0] < usage[1] < usage[2]


def test_only_the_newest_response_of_a_lane_is_remembered(address: str) -> None:
    """An older one that was not stored is not there; one that was stored is."""
    with talking(address) as talk:
        old, kept = talk.turn()["response"]["id"], talk.turn(store=True)["response"]["id"]
        talk.turn()
        lost, found = talk.turn(previous_response_id=old), talk.turn(previous_response_id=kept)
    assert (400, "previous_response_not_found", f"Previous response with id '{old}' not found.") == (
        lost["status"],
        lost["error"]["code"],
        lost["error"]["message"],
    )
    assert "response.completed" == found["type"]


def test_another_connection_never_sees_what_was_not_stored(address: str) -> None:
    """Neither beside the first one nor after it; the connection goes on, and stored responses are seen by all."""
    with talking(address) as first:
        hidden, stored = first.turn(stream_id="a")["response"]["id"], first.turn(store=True)["response"]["id"]
        with talking(address) as second:
            lost = second.turn(previous_response_id=hidden)
            found = second.turn(previous_response_id=stored)
            clean = second.turn()
    assert "previous_response_not_found" == lost["error"]["code"]
    assert ["response.completed"] * 2 == [found["type"], clean["type"]]


def test_a_failed_continuation_makes_its_parent_forgotten(address: str) -> None:
    """A create that is refused, or whose response fails, on the lane of its parent; a clean one goes on."""
    for failure in (
        {"input": [{"type": "function_call_output", "call_id": "call_unknown", "output": "x"}]},
        {"input": "fail"},
        {"input": "break"},
    ):
        with talking(address) as talk:
            id = talk.turn()["response"]["id"]
            failed = talk.turn(previous_response_id=id, **failure)
            again = talk.turn(previous_response_id=id)
            assert failed["type"] in {"error", "response.failed"}
            assert "previous_response_not_found" == again["error"]["code"]
            assert "response.completed" == talk.turn()["type"]


def test_a_failed_fork_on_another_lane_leaves_its_parent(address: str) -> None:
    """Lanes may fork from each other, and what fails there concerns nobody else."""
    with talking(address) as talk:
        id = talk.turn(stream_id="a")["response"]["id"]
        failed = talk.turn(previous_response_id=id, stream_id="b", input="break")
        forked = talk.turn(previous_response_id=id, stream_id="b")
        again = talk.turn(previous_response_id=id, stream_id="a")
    assert ["response.failed", "response.completed", "response.completed"] == [
        each["type"] for each in (failed, forked, again)
    ]


def test_what_all_connections_remember_has_an_end() -> None:
    """Once their histories are longer together than they may be, what was used longest ago goes first, whosever."""
    narrow = replace(scripted(), websocket=WebSocket(memory_mib=1))
    with serving(narrow) as address, talking(address) as one, talking(address) as two:
        first, second = (talk.turn(input="x" * 150_000)["response"]["id"] for talk in (one, two))
        third = one.turn(input="y", previous_response_id=first, stream_id="b")["response"]["id"]
        two.turn(input="x" * 150_000, stream_id="b")
        lost = two.turn(input="y", previous_response_id=second, stream_id="c")
        found = one.turn(input="y", previous_response_id=third, stream_id="c")
    assert ("previous_response_not_found", "response.completed") == (lost["error"]["code"], found["type"])


def test_a_connection_that_closes_gives_its_room_back() -> None:
    """What it remembered takes nothing from others."""
    narrow = replace(scripted(), websocket=WebSocket(memory_mib=1))
    with serving(narrow) as address, talking(address) as talk:
        id = talk.turn(input="x" * 150_000)["response"]["id"]
        for _ in range(3):
            with talking(address) as other:
                other.turn(input="x" * 150_000)
                other.frame(CLOSE)
                other.closed()
        assert "response.completed" == talk.turn(input="y", previous_response_id=id)["type"]


def test_what_goes_on_from_a_stored_chain_is_measured() -> None:
    """The items that the store gave count, though nobody has sent them over this connection."""
    narrow = replace(scripted(), websocket=WebSocket(memory_mib=1))
    with serving(narrow) as address, talking(address) as talk:
        long = patient.post(f"{address}/v1/responses", json={"model": "m", "input": "x" * 1_200_000}).json()["id"]
        id = talk.turn(previous_response_id=long, input="y")["response"]["id"]
        talk.turn(stream_id="b")
        assert "previous_response_not_found" == talk.turn(previous_response_id=id, input="z")["error"]["code"]


def test_outputs_of_calls_go_on_from_the_call(address: str) -> None:
    """The dialogue of a client with functions, nothing stored."""
    with talking(address) as talk:
        asked = talk.turn(input="weather", tools=[TOOL])["response"]
        call = asked["output"][0]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
        last = talk.turn(input=[output], previous_response_id=asked["id"], tools=[TOOL])
    assert ("function_call", "response.completed") == (call["type"], last["type"])


def test_nothing_is_generated_where_that_is_asked_for(address: str) -> None:
    """``generate: false`` gives a response without output at once, whose id can be gone on from."""
    with talking(address) as talk:
        talk.create(input="fail", generate=False)
        warm = talk.until(*TERMINAL)
        last = talk.turn(input="go", previous_response_id=warm[-1]["response"]["id"])
    assert ["response.created", "response.in_progress", "response.completed"] == [event["type"] for event in warm]
    assert [] == warm[-1]["response"]["output"]
    assert "response.completed" == last["type"]


def test_the_output_of_a_compaction_begins_a_new_chain(address: str) -> None:
    """A client sends it as the input of a create, with a message behind it."""
    compacted = patient.post(f"{address}/v1/responses/compact", json={"model": "m", "input": "a long story"}).json()
    with talking(address) as talk:
        last = talk.turn(input=[*compacted["output"], {"role": "user", "content": "go on"}], tools=[])
    assert "response.completed" == last["type"]


def test_nothing_can_be_injected(address: str) -> None:
    """No response here waits for input of a client's while it runs; the client gets its own back, and the reason."""
    item = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    with talking(address) as talk:
        ended = talk.turn()["response"]["id"]
        answers = []
        for id in (ended, "resp_unknown"):
            talk.say(type="response.inject", response_id=id, input=[item])
            answers.append(talk.hear())
    assert ["response_already_completed", "response_not_found"] == [answer["error"]["code"] for answer in answers]
    assert {"response.inject.failed"} == {answer["type"] for answer in answers}
    assert [[item], [item]] == [answer["input"] for answer in answers]
    assert [ended, "resp_unknown"] == [answer["response_id"] for answer in answers]
