"""Tests of what strangers send over a WebSocket, and of clients that do not read, or leave."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from antiphon.config import Config, Server
from antiphon.http import server
from tests.http.talking import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TERMINAL,
    TEXT,
    Refused,
    framed,
    hurried,
    talking,
    text,
)
from tests.http.test_streaming import Endless, Flood, endless, flooding
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, scripted, serving
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conducting import Models

CREATE = b'{"type":"response.create","model":"m","input":"hi","store":false}'
GOING_AWAY, PROTOCOL_ERROR, INVALID, POLICY, TOO_BIG, RESTARTING = 1001, 1002, 1007, 1008, 1009, 1012
LIMIT = 80 * 1024 * 1024


class Deluge(Endless):
    """A model that talks as fast as it is heard, and says so when it is stopped."""

    def do_POST(self) -> None:  # noqa: N802 - http.server calls it so
        """Talk."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        chunk = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"more " * 10_000)
        try:
            while True:
                self.wfile.write(chunk)
        except OSError:
            self.stopped.set()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server whose model says back what it hears, but for what is too long to be said back."""
    with serving(scripted({"when": "word word", "steps": [{"text": "So much?"}]}, {"steps": [{"text": "Hi."}]})) as url:
        yield url


def test_a_frame_that_is_too_long_is_refused_by_its_header(address: str) -> None:
    """Nothing of it has arrived when the connection is closed; others are not concerned."""
    with talking(address) as talk, talking(address) as other:
        talk.connection.sendall(bytes([0x81, 0xFF]) + (LIMIT + 1).to_bytes(8) + b"mask")
        assert TOO_BIG == talk.closed()
        assert "response.completed" == other.turn()["type"]


def test_a_client_that_goes_on_sending_still_reads_why_it_was_refused(address: str) -> None:
    """What still comes of a frame is swallowed for a while: a reset would cut the reason off."""
    with talking(address) as talk:
        talk.connection.sendall(bytes([0x81, 0xFF]) + (LIMIT + 1).to_bytes(8) + b"mask")
        for _ in range(64):
            talk.connection.sendall(bytes(65_536))
        assert TOO_BIG == talk.closed()


def test_fragments_are_too_long_together(address: str) -> None:
    """The limit is that of a whole message."""
    with talking(address) as talk:
        talk.frame(TEXT, bytes(1024), fin=False)
        talk.connection.sendall(bytes([0x80, 0xFF]) + LIMIT.to_bytes(8) + b"mask")
        assert TOO_BIG == talk.closed()


def test_a_long_message_is_taken(address: str) -> None:
    """What is within the limit is read, however long it is: here 3 MB, in a thread."""
    with talking(address) as talk:
        last = talk.turn(input="word " * 600_000)
    assert "So much?" == text(last)


@pytest.mark.parametrize(
    ("opcode", "settings", "code"),
    [
        (TEXT, {"masked": False}, PROTOCOL_ERROR),
        (TEXT, {"first": 0x40}, PROTOCOL_ERROR),
        (TEXT, {"first": 0x20}, PROTOCOL_ERROR),
        (3, {}, PROTOCOL_ERROR),
        (11, {}, PROTOCOL_ERROR),
        (CONTINUATION, {}, PROTOCOL_ERROR),
        (PING, {"fin": False}, PROTOCOL_ERROR),
    ],
)
def test_a_frame_that_breaks_the_protocol_closes_the_connection(
    address: str, opcode: int, settings: dict[str, bool], code: int
) -> None:
    """No mask, a compressed frame that was not agreed on, an unknown kind, a stray fragment, half a ping."""
    with talking(address) as talk:
        talk.frame(opcode, CREATE, **settings)
        assert code == talk.closed()


def test_text_that_is_none_closes_the_connection(address: str) -> None:
    """RFC 6455 asks for it."""
    with talking(address) as talk:
        talk.frame(TEXT, b'{"type":"\xff"}')
        assert INVALID == talk.closed()


def test_a_message_begun_within_another_closes_the_connection(address: str) -> None:
    """Fragments of two messages cannot be told apart."""
    with talking(address) as talk:
        talk.frame(TEXT, CREATE[:10], fin=False)
        talk.frame(BINARY, CREATE)
        assert PROTOCOL_ERROR == talk.closed()


def test_fragments_are_one_message(address: str) -> None:
    """In any cut, hundreds of empty ones among them, with a ping in between."""
    with talking(address) as talk:
        talk.frame(TEXT, CREATE[:3], fin=False)
        talk.connection.sendall(bytes([CONTINUATION, 0x80, 0, 0, 0, 0]) * 500)
        talk.frame(PING, b"there?")
        assert (PONG, b"there?") == talk.hear_frame()
        for byte in CREATE[3:]:
            talk.frame(CONTINUATION, bytes([byte]), fin=False)
        talk.frame(CONTINUATION)
        assert "response.completed" == talk.until(*TERMINAL)[-1]["type"]


@pytest.mark.parametrize("opcode", [CONTINUATION, PING, PONG])
def test_a_client_of_very_many_small_frames_is_closed(address: str, opcode: int) -> None:
    """More of them in a second than any client has use for cost more than they say; others are not concerned."""
    with talking(address) as talk, talking(address) as other:
        talk.frame(TEXT, CREATE[:3], fin=False)
        talk.connection.sendall(framed(opcode, fin=opcode != CONTINUATION) * 5000)
        assert POLICY == talk.closed()
        assert "response.completed" == other.turn()["type"]


def test_many_fragments_that_are_not_small_are_a_message(address: str) -> None:
    """Some clients send all in short pieces: here five thousand."""
    with talking(address) as talk:
        talk.frame(TEXT, CREATE, fin=False)
        talk.connection.sendall(framed(CONTINUATION, b" " * 64, fin=False) * 5000)
        talk.frame(CONTINUATION)
        assert "response.completed" == talk.until(*TERMINAL)[-1]["type"]


def test_messages_that_come_all_at_once_are_answered_in_their_order(address: str) -> None:
    """One waits to be heard at a time, and none is lost."""
    with talking(address) as talk:
        frames = [framed(TEXT, b'{"type":"no","stream_id":"%d"}' % number) for number in range(2000)]
        talk.connection.sendall(b"".join(frames))
        lanes = [talk.hear()["stream_id"] for _ in frames]
    assert [str(number) for number in range(2000)] == lanes


def test_half_a_frame_keeps_nobody_waiting(address: str) -> None:
    """A client may send the rest much later, or never."""
    with talking(address) as talk, talking(address) as other:
        talk.connection.sendall(bytes([0x81, 0xFE, 1]))
        assert "response.completed" == other.turn()["type"]
        other.connection.sendall(bytes([0x81]))


def test_of_pings_that_come_at_once_the_last_one_is_answered(address: str) -> None:
    """RFC 6455 allows it, and the answers are not heaped up."""
    with talking(address) as talk:
        talk.connection.sendall(framed(PING, bytes(125)) * 500 + framed(PING, b"last"))
        pongs = [talk.hear_frame()]
        while pongs[-1] != (PONG, b"last"):
            pongs.append(talk.hear_frame())
        assert len(pongs) < 100
        assert "response.completed" == talk.turn()["type"]


def test_a_pong_that_nobody_asked_for_is_no_message(address: str) -> None:
    """RFC 6455 lets a client send one as a beat."""
    with talking(address) as talk:
        talk.frame(PONG, b"beat")
        assert "response.completed" == talk.turn()["type"]


@pytest.mark.parametrize(
    ("goodbye", "code"),
    [(b"", 0), (b"\x03\xe8bye", 1000), (b"\x03", 1002), (b"\x00\x01", 1002), (b"\x03\xe8\xff", 1007)],
)
def test_a_goodbye_is_answered(address: str, goodbye: bytes, code: int) -> None:
    """With the same code, or the one for a goodbye that is none; without a code there is none."""
    with talking(address) as talk:
        talk.frame(CLOSE, goodbye)
        assert code == talk.closed()


def test_compression_is_not_agreed_on(address: str) -> None:
    """It would cost memory for each connection, and time for each event; a client that offers it does without."""
    with talking(address, sec_websocket_extensions="permessage-deflate; client_max_window_bits") as talk:
        assert "response.completed" == talk.turn()["type"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_websocket_key": "short"}, 400),
        ({"sec_websocket_version": "12"}, 400),
        ({"x_long": "x" * 10_000}, 431),
        ({f"x_{number}": "x" for number in range(200)}, 431),
    ],
)
def test_a_handshake_that_is_none_is_refused_in_the_form_of_every_error(
    address: str, headers: dict[str, str], status: int
) -> None:
    """It is answered at once, with the error object."""
    with pytest.raises(Refused) as refused, talking(address, **headers):
        pass
    assert status == refused.value.status
    assert {"message", "type", "param", "code"} == set(refused.value.error)
    assert "application/json" in refused.value.headers


def test_a_path_of_strange_bytes_is_answered(address: str) -> None:
    """Whatever stands there, the server goes on."""
    for path in ("/v1/%ff/responses", "/v1/responses/%00", "/\u00e9"):
        with pytest.raises((Refused, IndexError)), talking(address, path):
            pass
    with talking(address) as talk:
        assert "response.completed" == talk.turn()["type"]


def test_an_upgrade_behind_an_unfinished_request_is_not_made(address: str) -> None:
    """Nobody would tell the answer that is being given that its client has left."""
    parts = urlsplit(address)
    body = json.dumps({"model": "m", "input": "word " * 2000, "stream": True}).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    upgrade = (
        f"GET /v1/responses HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=HANG_SECONDS) as connection:
        connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body + upgrade.encode())
        first = http.client.HTTPResponse(connection)
        first.begin()
        assert b"response.completed" in first.read()
        first.close()


@pytest.mark.parametrize("says_so", [True, False])
def test_a_client_that_leaves_stops_its_models(*, says_so: bool) -> None:
    """The connection to the upstream closes when the client's does, with a close frame or without."""
    with endless() as config, serving(config) as address:
        with talking(address) as talk:
            talk.create()
            talk.until("response.output_text.delta")
            if says_so:
                talk.frame(CLOSE, (1000).to_bytes(2))
                assert 1000 == talk.closed()
        assert Endless.stopped.wait(HANG_SECONDS)


def test_a_client_that_does_not_read_holds_its_model_back() -> None:
    """What it does not take is not heaped up: the connection to the upstream is read no further."""
    with flooding() as config, serving(config) as address, talking(address) as talk:
        talk.create()
        talk.until("response.output_text.delta")
        assert Flood.held_back.wait(HANG_SECONDS)


def test_a_client_that_reads_nothing_for_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is closed, and its models are stopped."""
    hurried(monkeypatch, patience_seconds=0.2)
    Deluge.stopped.clear()
    with listening(Deluge) as base_url:
        deployment = {"name": "*", "backend": "chat_completions", "base_url": base_url}
        with serving(Config(store=MEMORY, deployments=[deployment])) as address, talking(address) as talk:
            talk.create()
            assert Deluge.stopped.wait(HANG_SECONDS)


def test_a_connection_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """When its time is over it is told so, and closed."""
    hurried(monkeypatch, life_seconds=0.2)
    with serving(scripted()) as address, talking(address) as talk:
        told = talk.hear()
        assert GOING_AWAY == talk.closed()
    assert (400, "websocket_connection_limit_reached") == (told["status"], told["error"]["code"])
    assert told["error"]["message"].endswith("Create a new websocket connection to continue.")


def test_a_response_that_runs_is_not_cut_off_by_the_end_of_its_connection(
    models: Models, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said to its end; what is asked for meanwhile is refused, and what waited as well."""
    hurried(monkeypatch, life_seconds=1.5)
    one, two = f"{name} one", f"{name} two"
    with serving(Config(store=MEMORY, deployments=[models.deployment])) as address, talking(address) as talk:
        talk.create(model=one)
        talk.create(model=two, stream_id="b")
        talk.create(model=one)
        heard = talk.until("error")
        talk.create(model=one, stream_id="c")
        heard += talk.until("error")
        for each in (one, two):
            models[each].say("begun and ended")
            models[each].stop()
        heard += talk.until("error")
        assert GOING_AWAY == talk.closed()
    refusals = [each for each in heard if each["type"] == "error"]
    assert ["websocket_connection_limit_reached"] * 3 == [each["error"]["code"] for each in refusals]
    assert [None, "c", None] == [each.get("stream_id") for each in refusals]
    ends = [each for each in heard if each["type"] == "response.completed"]
    assert ["begun and ended"] * 2 == [text(each) for each in ends]


def test_a_server_that_stops_closes_its_connections() -> None:
    """One that is idle at once; on one with a response this gets its terminal event first, as a stream does."""
    with endless() as config:
        with serving(replace(config, server=Server(drain_seconds=1))) as address, ExitStack() as opened:
            quiet, talk = (opened.enter_context(talking(address)) for _ in range(2))
            talk.create()
            talk.create()
            talk.until("response.output_text.delta")
            rest = opened.pop_all()
        with rest:
            assert RESTARTING == quiet.closed()
            events = talk.until("response.failed", "response.incomplete", "response.completed")
            assert RESTARTING == talk.closed()
    assert "response.failed" == events[-1]["type"]
    assert [503] == [event["status"] for event in events if event["type"] == "error"]


def test_a_client_that_answers_no_pings_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose other end is gone without a word is closed; one that answers stays."""
    monkeypatch.setattr(server, "PING_SECONDS", 0.05)
    monkeypatch.setattr(server, "PONG_SECONDS", 1.0)
    with serving(scripted()) as address, talking(address) as dead, talking(address) as alive:
        for _ in range(30):
            opcode, payload = alive.hear_frame()
            assert PING == opcode
            alive.frame(PONG, payload)
        assert 1011 == dead.closed()
        assert "response.completed" == alive.turn()["type"]


def test_a_server_without_the_short_way_sends_the_same_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application is plain ASGI: what goes through ``send`` is what is written by the short way."""
    shapes = []
    for has_short_way in (True, False):
        if not has_short_way:
            monkeypatch.setattr(server, "Sockets", WebSocketsSansIOProtocol)
        with serving(scripted()) as address, talking(address) as talk:
            talk.create(input="one two three", stream_id="a")
            shapes.append([event["type"] for event in talk.until(*TERMINAL)])
            talk.frame(CLOSE, (1000).to_bytes(2))
            assert 1000 == talk.closed()
    assert shapes[0] == shapes[1]
