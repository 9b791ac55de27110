"""A WebSocket client made of a plain socket: it says what it is told to, right or wrong, and hears every frame."""

from __future__ import annotations

import base64
import json
import os
import socket
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any  # JSON
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace
from openai.types.responses import responses_server_event
from pydantic import TypeAdapter

from antiphon.http.websocket import WebSockets
from tests.oracle import check_event
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from antiphon.http.auth import Auth
    from antiphon.http.websocket import Terms
    from antiphon.lifecycle.lifecycle import Lifecycle

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MODEL = {"model": "m", "store": False}
TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
_frame: TypeAdapter[Any] = TypeAdapter(responses_server_event.ResponsesServerEvent)


class Refused(Exception):
    """A handshake was refused: the status, and the JSON of the answer."""

    def __init__(self, status: int, headers: str, body: bytes) -> None:
        super().__init__(status, body)
        self.status = status
        self.headers = headers
        self.error = json.loads(body)["error"]


def framed(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, first: int = 0) -> bytes:
    """The bytes of one frame; ``first`` are further bits of its first byte."""
    length, mark = len(payload), 128 if masked else 0
    if length < 126:
        size = bytes([mark | length])
    elif length < 65_536:
        size = bytes([mark | 126]) + length.to_bytes(2)
    else:
        size = bytes([mark | 127]) + length.to_bytes(8)
    key = os.urandom(4) if masked else b""
    mask = (key * (length // 4 + 1))[:length]
    body = (int.from_bytes(payload) ^ int.from_bytes(mask)).to_bytes(length) if masked else payload
    return bytes([first | (128 if fin else 0) | opcode]) + size + key + body


class Talk:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.headers: dict[str, str] = {}
        self._file = connection.makefile("rb")

    def close(self) -> None:
        """Hear no more."""
        self._file.close()

    def handshake(self, path: str, host: str, headers: dict[str, str]) -> None:
        """Ask for a WebSocket. Raises `Refused`."""
        fields = {
            "host": host,
            "connection": "Upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.connection.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        status = int(self._file.readline().split()[1])
        lines = b"".join(iter(self._file.readline, b"\r\n")).decode()
        self.headers = dict(line.lower().split(": ", 1) for line in lines.splitlines())
        if status != 101:
            raise Refused(status, lines, self._file.read())

    def frame(
        self, opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, first: int = 0
    ) -> None:
        """Send one frame; see `framed`."""
        self.connection.sendall(framed(opcode, payload, fin=fin, masked=masked, first=first))

    def say(self, **message: Any) -> None:
        """Send a JSON text frame."""
        self.frame(TEXT, json.dumps(message).encode())

    def create(self, **body: Any) -> None:
        """Ask for a response."""
        self.say(type="response.create", **{**MODEL, "input": "hi", **body})

    def hear_frame(self) -> tuple[int, bytes]:
        """The next frame; a closed connection is a close frame without a code."""
        head = self._file.read(2)
        if len(head) < 2:
            return CLOSE, b""
        size = head[1] & 127
        if size > 125:
            size = int.from_bytes(self._file.read(2 if size == 126 else 8))
        assert head[1] < 128, "servers do not mask"
        assert 128 <= head[0] < 144, "a whole frame, without extensions"
        return head[0] & 15, self._file.read(size)

    def hear(self) -> Any:
        """The next JSON frame, held against the official types and the recordings."""
        opcode, payload = self.hear_frame()
        while opcode in {PING, PONG}:
            if opcode == PING:
                self.frame(PONG, payload)
            opcode, payload = self.hear_frame()
        assert opcode == TEXT, (opcode, payload)
        event = json.loads(payload)
        if event["type"] != "response.inject.failed":  # of the beta alone
            _frame.validate_json(payload)
        if event["type"].startswith("response.") and "steer" not in event["type"] and "inject" not in event["type"]:
            check_event(msgspec.json.encode({name: part for name, part in event.items() if name != "stream_id"}))
        return event

    def until(self, *types: str) -> list[Any]:
        """All JSON frames up to the first of these types."""
        heard = [self.hear()]
        while heard[-1]["type"] not in types:
            heard.append(self.hear())
        return heard

    def turn(self, **body: Any) -> Any:
        """Ask for a response, and give its last event."""
        self.create(**body)
        return self.until(*TERMINAL)[-1]

    def closed(self) -> int:
        """Hear until the connection is closed, and give the code; 0 without one."""
        opcode, payload = self.hear_frame()
        while opcode != CLOSE:
            opcode, payload = self.hear_frame()
        return int.from_bytes(payload[:2])


@contextmanager
def talking(address: str, path: str = "/v1/responses", **headers: str) -> Iterator[Talk]:
    """Open a connection; underscores of header names are hyphens. Raises `Refused`."""
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=HANG_SECONDS)
    with connection, closing(Talk(connection)) as talk:
        talk.handshake(path, parts.netloc, {name.replace("_", "-"): value for name, value in headers.items()})
        yield talk


def hurried(patch: pytest.MonkeyPatch, **changes: float) -> None:
    """Give the connections of all servers that start from now on other terms."""
    build = WebSockets.__init__

    def built(self: WebSockets, lifecycle: Lifecycle, auth: Auth, terms: Terms, *, region: str | None = None) -> None:
        build(self, lifecycle, auth, replace(terms, **changes), region=region)

    patch.setattr(WebSockets, "__init__", built)


def text(event: Any) -> str:
    """What was said in the response of a terminal event."""
    said: str = event["response"]["output"][0]["content"][0]["text"]
    return said
