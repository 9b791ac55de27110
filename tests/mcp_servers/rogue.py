"""An MCP server of the older protocol, by hand: good, but for one stage at which it may do what it likes."""

from __future__ import annotations

import json
import select
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal  # JSON
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.mcp_servers.watched import Rogue

Stage = Literal["initialize", "list", "call"]
Json = dict[str, Any]

STAGES: dict[str, Stage] = {
    "server/discover": "initialize",
    "initialize": "initialize",
    "tools/list": "list",
    "tools/call": "call",
}
PIECE_BYTES = 65_536
LOOK_SECONDS = 0.01
NO_METHOD = -32601

GOOD_TOOL = {
    "name": "search",
    "description": "Search.",
    "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    "annotations": {"readOnlyHint": True},
}
GOOD_RESULT = {"content": [{"type": "text", "text": "Found."}], "isError": False}


@contextmanager
def listening(host: str, answers: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve at a free port of an address; gives the URL."""
    with _Server((host, 0), answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(LOOK_SECONDS,))
        thread.start()
        try:
            yield f"http://{host}:{server.server_port}/mcp"
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:  # a connection, however it is told
        """Tell of faults; that a client leaves is none."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Strays(BaseHTTPRequestHandler):
    """Where nobody should come."""

    rogue: Rogue

    def do_POST(self) -> None:
        """Note who came."""
        self.rogue.strays.append(self.path)
        self.send_error(418)

    def do_GET(self) -> None:
        """Note who came."""
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


class Answers(BaseHTTPRequestHandler):
    """One connection to a server that behaves badly."""

    protocol_version = "HTTP/1.1"
    rogue: Rogue
    bad_stage: Stage
    loses_sessions = False

    def setup(self) -> None:
        """A client has connected."""
        super().setup()
        self.rogue.connect()

    def do_POST(self) -> None:
        """Answer a message, well or badly."""
        self._note_headers()
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        message = self.rogue.hear(body)
        stage = STAGES.get(message.get("method", ""))
        if self._is_lost(message):
            self.text(404, "No such session.")
        elif "id" not in message or "method" not in message:
            self.text(202, "")
        elif stage == self.bad_stage:
            self.badly(message)
        else:
            self.well(message)

    def do_GET(self) -> None:
        """There is no stream of events; a server that cannot even be greeted is bad here too."""
        self._note_headers()
        if self.bad_stage == "initialize":
            self.badly({"id": 0, "method": "initialize"})
        else:
            self.text(405, "POST, please.")

    def do_DELETE(self) -> None:
        """A session ends."""
        self._note_headers()
        self.text(200, "")

    def badly(self, message: Json) -> None:
        """Answer as one should not; GET comes here too, as the message that asks for a greeting."""
        raise NotImplementedError

    def well(self, message: Json) -> None:
        """Answer as one should."""
        headers = {}
        match message["method"]:
            case "initialize":
                headers["mcp-session-id"] = uuid4().hex
                self.result(message, welcome(message), headers)
            case "tools/list":
                self.result(message, {"tools": [GOOD_TOOL]})
            case "tools/call":
                self.result(message, GOOD_RESULT)
            case "ping":
                self.result(message, {})
            case _:
                self.json({"jsonrpc": "2.0", "id": message["id"], "error": {"code": NO_METHOD, "message": "No."}})

    def result(self, message: Json, result: Json, headers: dict[str, str] | None = None) -> None:
        """Answer with a result."""
        self.json({"jsonrpc": "2.0", "id": message["id"], "result": result}, headers)

    def json(self, content: object, headers: dict[str, str] | None = None) -> None:
        """Answer with JSON."""
        self.whole(200, "application/json", json.dumps(content).encode(), headers)

    def text(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        """Answer with text."""
        self.whole(status, "text/plain", text.encode(), headers)

    def whole(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Answer with a body of known length."""
        self.head(status, {"content-type": kind, "content-length": str(len(body)), **(headers or {})})
        for start in range(0, len(body), PIECE_BYTES):
            self.piece(body[start : start + PIECE_BYTES])

    def open(self, kind: str) -> None:
        """Begin an answer that ends with its connection."""
        self.close_connection = True
        self.head(200, {"content-type": kind, "connection": "close"})

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Send what stands before a body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def piece(self, piece: bytes) -> None:
        """Send a piece of a body. Raises ``OSError`` where the client has left."""
        try:
            self.wfile.write(piece)
        except OSError:
            self.rogue.cancel("closed")
            raise
        self.rogue.sent += len(piece)

    def goes_on(self, seconds: float) -> bool:
        """Wait; tell whether the client still listens, and the test still runs."""
        if self.rogue.stopped.is_set():
            return False
        if select.select([self.connection], [], [], seconds)[0]:  # it says nothing more once it has asked
            self.rogue.cancel("closed")
            return False
        return True

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _note_headers(self) -> None:
        self.rogue.headers.append({name.lower(): value for name, value in self.headers.items()})

    def _is_lost(self, message: Json) -> bool:
        """Whether the session of this request was good for one call, and has had it."""
        session = self.headers.get("mcp-session-id")
        if session is None or not self.loses_sessions:
            return False
        calls = self.rogue.sessions.get(session, 0)
        self.rogue.sessions[session] = calls + (message.get("method") == "tools/call")
        return calls > 0


def welcome(message: Json) -> Json:
    """The result of being greeted."""
    version = message.get("params", {}).get("protocolVersion", "2025-06-18")
    return {
        "protocolVersion": version,
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "rogue", "version": "1"},
    }
