"""Tests of frames: what is read of one, and what errors look like in one."""

from __future__ import annotations

import msgspec
import pytest

from antiphon.protocol.errors import ApiError, rate_limited
from antiphon.protocol.frames import (
    Envelope,
    InvalidSteer,
    SteerFrame,
    life_over,
    read_create,
    read_envelope,
    read_inject,
    read_steer,
    read_steered,
    refused,
)
from antiphon.protocol.refusals import content_filtered
from antiphon.protocol.response import FilterVerdict


def test_an_envelope_is_read_without_the_rest() -> None:
    """What a create asks for is not looked at before its turn; of a repeated key the last value counts."""
    body = b'{"type":"x","type":"response.create","stream_id":"a.b-c_1","input":{"nobody":"looks"}}'
    assert Envelope("response.create", "a.b-c_1") == read_envelope(body)
    assert Envelope("response.steer", None) == read_envelope(b'{"stream_id":null,"type":"response.steer"}')
    assert "response.create" == read_envelope(body).type


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a"', b"null", b"\xff", b"[" * 100_000, b'{"type":"\xff"}'])
def test_what_is_no_object_has_no_envelope(body: bytes) -> None:
    """The words are those of a body that is none."""
    with pytest.raises(ApiError) as refusal:
        read_envelope(body)
    assert refusal.value.message.startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize(
    ("lane", "is_one"),
    [
        ('"a"', True),
        (f'"{"a" * 256}"', True),
        (f'"{"a" * 257}"', False),
        ('""', False),
        ('"a b"', False),
        ('"a\\n"', False),
        ('"\u00e9"', False),
        ("1", False),
        ("[]", False),
    ],
)
def test_a_lane_has_a_plain_name(lane: str, *, is_one: bool) -> None:
    """Letters, digits, underscores, hyphens and periods, 256 of them at most."""
    body = f'{{"type":"response.create","stream_id":{lane}}}'.encode()
    if is_one:
        assert lane == f'"{read_envelope(body).lane}"'
    else:
        with pytest.raises(ApiError) as refusal:
            read_envelope(body)
        assert "invalid_stream_id" == refusal.value.code


def test_a_frame_of_an_unknown_type_is_still_one_of_its_lane() -> None:
    """Its error is told where it belongs."""
    envelope = read_envelope(b'{"type":"response.cancel","stream_id":"a"}')
    with pytest.raises(ApiError) as refusal:
        _ = envelope.type
    assert ("a", "invalid_value") == (envelope.lane, refusal.value.code)


@pytest.mark.parametrize("kind", ["", ',"type":null', ',"type":3', ',"type":["response.create"]'])
def test_a_frame_without_a_type_is_none(kind: str) -> None:
    """It is the one parameter that every frame has."""
    envelope = read_envelope(f'{{"stream_id":"a"{kind}}}'.encode())
    with pytest.raises(ApiError) as refusal:
        _ = envelope.type
    assert "a" == envelope.lane
    assert ("type", "missing_required_parameter") == (refusal.value.param, refusal.value.code)


def test_a_create_is_a_request_that_is_streamed() -> None:
    """``type`` is no parameter that has no effect, and ``stream`` is what a WebSocket does anyway."""
    received = read_create(b'{"type":"response.create","stream_id":"a","stream":false,"input":"hi","odd":1}')
    assert (True, None) == (received.request.stream, received.request.stream_id)
    assert (["odd"], 1) == (received.ignored, len(received.request.input))


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"previous_response_id":"r","input":tru}', b'{"a":"\\ud800"}'])
def test_a_steer_that_is_no_json_is_none(body: bytes) -> None:
    """What is not looked into is JSON all the same: it goes back to the client."""
    with pytest.raises(ApiError) as refusal:
        read_steer(body)
    assert refusal.value.message.startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize("sent", ["{}", '{"response_id":null}', '{"response_id":7}'])
def test_an_injection_names_its_response(sent: str) -> None:
    """Otherwise nobody knows whom to tell."""
    with pytest.raises(ApiError) as refusal:
        read_inject(sent.encode())
    assert "response_id" == refusal.value.param


def test_the_input_of_a_frame_is_kept_as_it_was_sent() -> None:
    """It goes back to the client where it does not count; what is absent goes back as nothing."""
    assert b'[ 1, "x" ]' == bytes(read_inject(b'{"response_id":"r","input":[ 1, "x" ]}').input)
    assert b"[]" == bytes(read_inject(b'{"response_id":"r"}').input)
    assert b"null" == bytes(read_steer(b'{"previous_response_id":"r"}').input)


def test_a_steer_says_what_a_user_says() -> None:
    """Text, or messages with text, images and files."""
    parts = b'[{"type":"input_image","image_url":"data:image/png;base64,x"},{"type":"input_text","text":"x"}]'
    for sent, count in ((b'"x"', 1), (b'[{"role":"user","content":"x"},{"role":"user","content":%b}]' % parts, 2)):
        received = read_steered(SteerFrame(previous_response_id="r", input=msgspec.Raw(sent)))
        assert count == len(received.request.input) == len(received.extras)


@pytest.mark.parametrize("key", ["stream_id", "model"])
def test_a_steer_with_another_key_is_none(key: str) -> None:
    """It has a type, a response and an input."""
    frame = read_steer(f'{{"type":"response.steer","previous_response_id":"r","input":"x","{key}":"a"}}'.encode())
    with pytest.raises(InvalidSteer, match=key):
        read_steered(frame)


@pytest.mark.parametrize(
    "sent",
    [
        b"null",
        b'""',
        b"[]",
        b"7",
        b"{}",
        b'["x"]',
        b'[{"role":"assistant","content":"x"}]',
        b'[{"role":"user","content":"x","status":"completed"}]',
        b'[{"role":"user","content":[{"type":"output_text","text":"x","annotations":[]}]}]',
        b'[{"role":"user","content":[{"type":"nothing"}]}]',
        b'[{"type":"item_reference","id":"msg_1"}]',
    ],
)
def test_a_steer_says_nothing_else(sent: bytes) -> None:
    """No other role, no output, no item of another sort, and nothing that is empty."""
    with pytest.raises(InvalidSteer):
        read_steered(SteerFrame(previous_response_id="r", input=msgspec.Raw(sent)))


def test_an_error_in_a_frame_has_a_type_and_its_headers() -> None:
    """Some errors of HTTP have no type; what their answers say in headers is said in the frame."""
    frame = msgspec.json.decode(msgspec.json.encode(refused(rate_limited("you", retry_after=1.5), "a")))
    assert ("error", 429, "a") == (frame["type"], frame["status"], frame["stream_id"])
    assert {"retry-after": "2", "retry-after-ms": "1500"} == frame["error"]["headers"]
    plain = msgspec.json.decode(msgspec.json.encode(refused(content_filtered())))
    assert ("invalid_request_error", "content_filter") == (plain["error"]["type"], plain["error"]["code"])
    assert {"type", "status", "error"} == set(plain)
    assert {"message", "type", "param", "code"} == set(plain["error"])


def test_an_error_in_a_frame_says_what_a_content_filter_found() -> None:
    """As it does over HTTP."""
    error = content_filtered({"violence": FilterVerdict(filtered=True, severity="high")})
    frame, over_http = (msgspec.json.decode(msgspec.json.encode(each)) for each in (refused(error), error.body))
    assert {**over_http["error"], "type": "invalid_request_error"} == frame["error"]
    assert "ResponsibleAIPolicyViolation" == frame["error"]["innererror"]["code"]


@pytest.mark.parametrize(("seconds", "words"), [(3600.0, "60 minutes"), (60.0, "1 minute"), (90.0, "1.5 minutes")])
def test_the_life_of_a_connection_is_told_in_minutes(seconds: float, words: str) -> None:
    """As the live service words it."""
    assert (
        f"Responses websocket connection limit reached ({words}). Create a new websocket connection to continue."
        == life_over(seconds).message
    )
