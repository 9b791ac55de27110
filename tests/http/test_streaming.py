"""Tests of streams and their clients."""

from __future__ import annotations

import http.client
import json
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any  # JSON
from urllib.parse import urlsplit

from msgspec.structs import replace
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from antiphon.config import Config, Server
from antiphon.http import server
from tests import patient
from tests.http.following import LOOK_SECONDS
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, scripted, serving
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

SILENCE_SECONDS = 0.5


class Endless(BaseHTTPRequestHandler):
    """A model that talks until it is stopped, and then says so."""

    asked = threading.Event()
    stopped = threading.Event()

    def do_POST(self) -> None:
        """Talk."""
        self.rfile.read(int(self.headers["content-length"]))
        self.asked.set()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        chunk = b'data: {"choices":[{"index":0,"delta":{"content":"more "}}]}\n\n'
        try:
            while True:
                self.wfile.write(chunk)
                threading.Event().wait(0.002)
        except OSError:
            self.stopped.set()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def endless() -> Iterator[Config]:
    """A configuration whose model never ends."""
    Endless.asked.clear()
    Endless.stopped.clear()
    with listening(Endless) as base_url:
        yield Config(store=MEMORY, deployments=[{"name": "*", "backend": "chat_completions", "base_url": base_url}])


class Flood(Endless):
    """A model that talks as fast as it is heard, and says so when it is heard no more."""

    held_back = threading.Event()

    def do_POST(self) -> None:
        """Talk."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        chunk = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"more " * 10_000)
        self.connection.settimeout(SILENCE_SECONDS)
        try:
            while True:
                self.wfile.write(chunk)
        except TimeoutError:
            self.held_back.set()
        except OSError:
            pass


@contextmanager
def flooding() -> Iterator[Config]:
    """A configuration whose model talks as fast as it is heard."""
    Flood.held_back.clear()
    with listening(Flood) as base_url:
        yield Config(store=MEMORY, deployments=[{"name": "*", "backend": "chat_completions", "base_url": base_url}])


def ask(address: str, **body: object) -> http.client.HTTPConnection:
    """Post a request without waiting for its answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=HANG_SECONDS)
    content = json.dumps({"model": "m", "input": "hi", **body})
    connection.request("POST", "/v1/responses", content, {"content-type": "application/json"})
    return connection


def test_a_client_that_leaves_a_stream_stops_the_model() -> None:
    """The connection to the upstream closes when the client's does; what was said is kept as cancelled."""
    with endless() as config, serving(config) as address:
        connection = ask(address, stream=True)
        response = connection.getresponse()
        response.readline()
        id = json.loads(response.readline().removeprefix(b"data: "))["response"]["id"]
        for _ in range(60):
            response.readline()
        response.close()
        connection.close()
        assert Endless.stopped.wait(HANG_SECONDS)
        kept = _eventually(f"{address}/v1/responses/{id}")
    assert "cancelled" == kept["status"]
    assert str(kept["output"][0]["content"][0]["text"]).startswith("more more")


def test_a_client_that_leaves_before_its_body_stops_the_model() -> None:
    """The same holds for a client that waits for JSON."""
    with endless() as config, serving(config) as address:
        connection = ask(address)
        assert Endless.asked.wait(HANG_SECONDS)
        connection.close()
        assert Endless.stopped.wait(HANG_SECONDS)


def test_a_stream_ends_right_after_its_terminal_event() -> None:
    """The last bytes are the terminal event's and the empty line after it: no marker, and no waiting."""
    with serving(scripted()) as address:
        answer = patient.post(f"{address}/v1/responses", json={"model": "m", "input": "hi", "stream": True})
    last = answer.content.rstrip(b"\n").rpartition(b"\n\n")[2]
    assert last.startswith(b"event: response.completed\ndata: {")
    assert answer.content.endswith(b"}\n\n")


def test_a_done_marker_is_sent_where_it_is_asked_for() -> None:
    """With done_marker a stream ends as the Open Responses wording has it."""
    with serving(replace(scripted(), server=Server(done_marker=True))) as address:
        answer = patient.post(f"{address}/v1/responses", json={"model": "m", "input": "hi", "stream": True})
    assert answer.content.endswith(b"}\n\ndata: [DONE]\n\n")


def test_a_server_without_the_short_way_sends_the_same_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application is plain ASGI: what uvicorn's own protocol sends through ``send`` is what ours writes itself."""
    with serving(scripted()) as address:
        short = _shapes(address)
    monkeypatch.setattr(server, "Bounded", HttpToolsProtocol)
    with serving(scripted()) as address:
        assert short == _shapes(address)
    assert "response.output_text.delta" in short


def test_a_connection_is_kept_after_a_stream() -> None:
    """The next request on it is answered."""
    with serving(scripted()) as address, ExitStack() as opened:
        connection = ask(address, stream=True)
        opened.callback(connection.close)
        assert connection.getresponse().read().endswith(b"}\n\n")
        kept = connection.sock
        connection.request("GET", "/health")
        assert 200 == connection.getresponse().status
        assert kept is connection.sock


def test_a_client_that_does_not_read_holds_its_model_back() -> None:
    """What it does not take is not heaped up: the connection to the upstream is read no further."""
    with flooding() as config, serving(config) as address, ExitStack() as opened:
        connection = ask(address, stream=True)
        opened.callback(connection.close)
        opened.enter_context(connection.getresponse()).readline()
        assert Flood.held_back.wait(HANG_SECONDS)


def _shapes(address: str) -> list[str]:
    """The types of a stream's events, in order."""
    answer = patient.post(f"{address}/v1/responses", json={"model": "m", "input": "one two three", "stream": True})
    return [json.loads(line.removeprefix("data: "))["type"] for line in answer.text.split("\n") if line[:5] == "data:"]


def _eventually(url: str) -> Any:
    """What a URL answers once it is there."""
    end = time.monotonic() + HANG_SECONDS
    while (answer := patient.get(url)).status_code != 200:
        assert time.monotonic() < end, url
        time.sleep(LOOK_SECONDS)  # a client that polls
    return answer.json()
