"""A WebSocket refuses what HTTP refuses, in the same words, and goes on; whatever models and clients do with it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from openai import OpenAI
from openai.lib.responses_websocket import (
    ResponsesWebSocketError,
    ResponsesWebSocketLimits,
    ResponsesWebSocketSession,
)

from antiphon.config import Server
from tests.acceptance import test_hostile_items as items
from tests.acceptance import test_hostile_settings as settings
from tests.acceptance import test_hostile_tools as tools
from tests.acceptance.bad_requests import ALL
from tests.acceptance.hostile import (
    CALLED,
    FUNCTION,
    TOOLS,
    Fault,
    Json,
    answered,
    call,
    calls,
    ids,
    kinds,
    outputs,
    standing,
    turn,
)
from tests.http.talking import BINARY, PING, PONG, TERMINAL, TEXT, talking
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.bad_bodies import Refused
    from tests.acceptance.hostile import Stand
    from tests.http.talking import Talk

pytestmark = [
    pytest.mark.slow,
    # The client opens its connections in a way that its own library is about to give up.
    pytest.mark.filterwarnings(r"ignore:connect\(\) must be used as a context manager:DeprecationWarning"),
]

NEXT: Json = {"role": "user", "content": "And now?"}
LONG = 1_000_000
OTHERWISE = {"stream_id", "background", "stream_options"}
"""What a WebSocket takes, or refuses in other words: see `tests.http.test_websocket`."""
LIMITS = ResponsesWebSocketLimits(
    max_lanes=8,
    max_events_per_lane=2000,
    max_events=8000,
    max_bytes_per_lane=16_000_000,
    max_bytes=32_000_000,
)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    """A server."""
    with standing(server=Server(max_body_mib=32, max_tool_calls=20)) as made:
        yield made


@pytest.fixture(scope="module")
def plain(stand: Stand) -> Iterator[Talk]:
    """A connection that lasts through all refusals."""
    with talking(stand.address, api_key="key-a") as talk:
        yield talk


@pytest.fixture(scope="module")
def azure(stand: Stand) -> Iterator[Talk]:
    """One on Azure's path."""
    with talking(stand.address, "/openai/v1/responses?api-version=preview", api_key="key-a") as talk:
        yield talk


@pytest.fixture(autouse=True)
def silent(stand: Stand) -> None:
    """What one test wanted to be said is not said in the next."""
    stand.model.will()


CASES = [
    case
    for case in (
        *(*ALL, *items.PAIRS, *items.THOUGHTS, *items.SETTINGS),
        *(*tools.CHOICES, *settings.LIMITS),
    )
    if not OTHERWISE & case.body.keys() and case.param != "model"
]


@ids(CASES)
def test_a_create_is_refused_in_the_words_of_http(stand: Stand, plain: Talk, azure: Talk, refused: Refused) -> None:
    """To the letter, with the lane that it came in; no model hears of it."""
    before = len(stand.model.asked)
    body = {"model": "m", "input": "hi", **refused.body}
    error = {
        "message": refused.message,
        "type": "invalid_request_error",
        "param": refused.param,
        "code": refused.code,
    }
    answer = stand.post(body)
    assert (refused.status, error["code"], error["param"]) == (
        answer.status_code,
        answer.json()["error"]["code"],
        answer.json()["error"]["param"],
    )
    for talk, lane in ((plain, "a-lane"), (azure, None)):
        more = {} if lane is None else {"stream_id": lane}
        frame = talk.turn(**body, **more)
        assert ("error", refused.status, lane) == (frame["type"], frame["status"], frame.get("stream_id"))
        assert answer.json()["error"] == frame["error"]
    assert before == len(stand.model.asked)


def test_the_connections_go_on_after_all_of_that(stand: Stand, plain: Talk, azure: Talk) -> None:
    """As if nothing had been."""
    for talk in (plain, azure):
        assert "response.completed" == talk.turn(stream_id="a-lane")["type"]
    assert stand.model.asked


def test_a_model_that_is_not_named_is_missed_in_the_words_of_the_path(plain: Talk, azure: Talk) -> None:
    """Azure has but a message for it."""
    known, foreign = plain.turn(model=None), azure.turn(model=None)
    assert (400, "missing_required_parameter", "model") == (
        known["status"],
        known["error"]["code"],
        known["error"]["param"],
    )
    assert (400, "Missed model deployment", None) == (
        foreign["status"],
        foreign["error"]["message"],
        foreign["error"]["code"],
    )


def test_an_unknown_model_is_named_in_the_words_of_the_path(plain: Talk, azure: Talk) -> None:
    """Azure's code, and a type, which frames always have."""
    known, foreign = plain.turn(model="nobody"), azure.turn(model="nobody")
    assert (400, "model_not_found", "model") == (known["status"], known["error"]["code"], known["error"]["param"])
    assert (404, "DeploymentNotFound", "invalid_request_error") == (
        foreign["status"],
        foreign["error"]["code"],
        foreign["error"]["type"],
    )


NO_FRAMES: dict[str, bytes] = {
    "nothing": b"",
    "words": b"hello",
    "half": b'{"type":"response.create","model":"m","input":"h',
    "a list": b"[]",
    "null": b"null",
    "a type that is none": b'{"type":"response.destroy"}',
    "no type": b'{"model":"m","input":"hi"}',
    "a type that is a list": b'{"type":["response.create"]}',
    "a lane that is a number": b'{"type":"response.create","stream_id":5,"model":"m","input":"hi"}',
    "a lane of blanks": b'{"type":"response.create","stream_id":" ","model":"m","input":"hi"}',
    "a lane that is too long": b'{"type":"response.create","stream_id":"%b","model":"m"}' % (b"x" * 257),
    "many levels": b'{"type":"response.create","model":"m","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "open brackets": b"[" * 500_000,
    "half a surrogate pair": b'{"type":"response.create","model":"m","input":"\\ud800"}',
    "no number": b'{"type":"response.create","model":"m","input":"hi","temperature":NaN}',
    "a steer of nothing": b'{"type":"response.steer"}',
    "a steer of a list": b'{"type":"response.steer","previous_response_id":[]}',
    "an injection of nothing": b'{"type":"response.inject"}',
}


@pytest.mark.parametrize("path", ["/v1/responses", "/openai/v1/responses?api-version=preview"])
@pytest.mark.parametrize("what", [*NO_FRAMES, "binary"])
def test_a_frame_that_is_none_is_an_error_in_form(stand: Stand, what: str, path: str) -> None:
    """A 400 with all four keys, beside a response that goes on."""
    with talking(stand.address, path, api_key="key-a") as talk:
        talk.frame(*((BINARY, b"\x00") if what == "binary" else (TEXT, NO_FRAMES[what])))
        frame = talk.hear()
        assert ("error", 400) == (frame["type"], frame["status"])
        assert {"message", "type", "param", "code"} == frame["error"].keys()
        assert "invalid_request_error" == frame["error"]["type"]
        assert len(frame["error"]["message"]) < 500
        assert "response.completed" == talk.turn()["type"]


def test_an_error_in_one_lane_leaves_the_others(stand: Stand) -> None:
    """Thirty-two of them at once, every second one wrong; each error names its lane."""
    with talking(stand.address, api_key="key-a") as talk:
        for number in range(32):
            talk.create(stream_id=f"lane-{number}", input=[answered("shell_call")] if number % 2 else "hi")
        ends: dict[str, str] = {}
        while len(ends) < 32:
            last = talk.until(*TERMINAL)[-1]
            ends[last["stream_id"]] = last["type"]
        talk.create(stream_id="lane-32")
        assert "websocket_stream_limit_reached" == talk.hear()["error"]["code"]
    assert ["response.completed", "error"] * 16 == [ends[f"lane-{number}"] for number in range(32)]


def test_the_official_client_raises_what_was_refused(stand: Stand) -> None:
    """With its code, in the lane that it belongs to; the session goes on."""
    with (
        OpenAI(base_url=f"{stand.address}/v1", api_key="key-a", max_retries=0) as client,
        client.responses.connect() as connection,
        ResponsesWebSocketSession(connection, limits=LIMITS) as session,
    ):
        lane = session.lane("one")
        create: Json = {"type": "response.create", "model": "m", "input": "hi", "store": False}
        for more, code in (
            ({"conversation": "conv_x", "previous_response_id": "resp_x"}, "mutually_exclusive_parameters"),
            ({"context_management": []}, "empty_array"),
            ({"previous_response_id": "resp_x"}, "previous_response_not_found"),
        ):
            asked: Json = {**create, **more}
            lane.send(asked)
            with pytest.raises(ResponsesWebSocketError) as raised:
                lane.get_final_response(timeout=HANG_SECONDS)
            event: Json = raised.value.event
            assert code == event.error.code
        lane.send(create)
        response = lane.get_final_response(timeout=HANG_SECONDS)
    assert response is not None
    assert "completed" == response.status


# Models that misbehave


def last(talk: Talk, **body: Json) -> Json:
    """The last event of a response. The types of the frames lack those of patches, so they are not asked."""
    talk.create(**body)
    while True:
        opcode, payload = talk.hear_frame()
        if opcode == PING:
            talk.frame(PONG, payload)
        elif (event := json.loads(payload))["type"] in TERMINAL:
            return event


@pytest.mark.parametrize("kind", CALLED)
def test_a_call_that_is_broken_is_gone_on_from(stand: Stand, kind: str) -> None:
    """By its response, which nobody has stored, or by its items; also where the arguments are none, or without end."""
    name = CALLED[kind][0]
    with talking(stand.address, api_key="key-a") as talk:
        for arguments, finish in (("not JSON", "stop"), ('{"a": "' + "x" * LONG, "stop"), ('{"a"', "length")):
            stand.model.will(turn(*call(name, arguments), finish=finish))
            end = last(talk, tools=[TOOLS[kind]])
            assert end["type"] in {"response.completed", "response.incomplete"}
            response = end["response"]
            assert [kind] == kinds(response)
            stand.model.will()
            rest = [*outputs(response), NEXT]
            assert "response.completed" == last(talk, previous_response_id=response["id"], input=rest)["type"]
            assert "response.completed" == last(talk, input=[*response["output"], *rest])["type"]


def test_a_chain_that_nobody_stores_holds_calls_of_every_kind(stand: Stand) -> None:
    """One after the other over one connection; the model sees them all in the end."""
    with talking(stand.address, api_key="key-a") as talk:
        more: Json = {}
        for kind, (name, arguments) in CALLED.items():
            stand.model.will(calls(name, arguments))
            response = last(talk, tools=[*TOOLS.values()], **more)["response"]
            assert [kind] == kinds(response)
            more = {"previous_response_id": response["id"], "input": outputs(response)}
        stand.model.will()
        assert "response.completed" == last(talk, tools=[*TOOLS.values()], **more)["type"]
    called = [each["function"]["name"] for message in stand.model.heard for each in message.get("tool_calls", [])]
    assert [name for name, _ in CALLED.values()] == called


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(400, {"message": "Bad."}), 400, None),
        (Fault(401, {"message": "Who?"}), 502, "server_error"),
        (Fault(429, {"message": "Slow."}), 429, "rate_limit_exceeded"),
        (Fault(500, {"message": "Boom."}), 502, "server_error"),
        (Fault(503, {"message": "Busy."}), 503, "server_error"),
    ],
)
def test_a_model_that_refuses_is_told_as_over_http(stand: Stand, fault: Fault, status: int, code: str | None) -> None:
    """The same error, and the connection goes on."""
    stand.model.will(*[fault] * 8)
    answer = stand.ask()
    assert (status, code) == (answer.status_code, answer.json()["error"]["code"]), answer.text
    with talking(stand.address, api_key="key-a") as talk:
        stand.model.will(*[fault] * 8)
        frame = talk.turn()
        stand.model.will()
        assert "response.completed" == talk.turn()["type"]
    told = {name: word for name, word in frame["error"].items() if name != "headers"}
    assert (status, answer.json()["error"]) == (frame["status"], told)


def test_clients_that_read_nothing_hold_nobody_up(stand: Stand) -> None:
    """Sixteen of them, each with megabytes to read; another is answered meanwhile, and so are they when they read."""
    stand.model.will(*[turn(*[{"content": "x" * 4000}] * (LONG // 4000))] * 16)
    with ExitStack() as stack:
        deaf = [stack.enter_context(talking(stand.address, api_key="key-a")) for _ in range(16)]
        for talk in deaf:
            talk.create()
        with talking(stand.address, api_key="key-b") as other:
            assert "response.completed" == other.turn()["type"]
        assert 200 == stand.ask().status_code
        ends = [talk.until(*TERMINAL)[-1] for talk in deaf]
    assert {"response.completed"} == {end["type"] for end in ends}
    assert len(json.dumps(ends)) > LONG


def test_a_tool_that_may_not_be_called_is_not_called(stand: Stand) -> None:
    """Over a WebSocket as over HTTP."""
    stand.model.will(calls("f", {}))
    with talking(stand.address, api_key="key-a") as talk:
        response = talk.turn(tools=[FUNCTION], tool_choice="none")["response"]
    assert ["message"] == kinds(response)
