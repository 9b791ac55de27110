"""A model with a small window, behind chat completions: it notes what it is asked, and refuses what is too long."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any  # JSON

from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTES = "NOTES: the user counts; the last number was {last}."
TOO_LONG = {"error": {"message": "Too long.", "type": "invalid_request_error", "code": "context_length_exceeded"}}


class Window:
    """What the model was asked, and what it refused. ``most``: the words that it reads at most."""

    def __init__(self, url: str, most: int) -> None:
        self.url = url
        self.most = most
        self.asked: list[list[dict[str, Any]]] = []
        self.refused = 0
        self.is_broken = False

    def answer(self, messages: list[dict[str, Any]]) -> str | None:
        """What the model says, or None where that is too long for it."""
        words = sum(len(str(message.get("content")).split()) for message in messages)
        if words > self.most:
            self.refused += 1
            return None
        self.asked.append(messages)
        last = str(messages[-1].get("content"))
        if "handover notes" in str(messages[0].get("content")):
            numbers = [word for word in last.replace(".", " ").split() if word.isdigit()]
            return NOTES.format(last=numbers[-1] if numbers else "none")
        return f"I read {len(messages)} messages."


@contextmanager
def window(most: int = 1_000_000) -> Iterator[Window]:
    """Serve such a model."""
    held: list[Window] = []

    class Answers(BaseHTTPRequestHandler):
        """Answers as chat completions do."""

        def do_POST(self) -> None:
            """Read, and speak or refuse."""
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said = held[0].answer(body["messages"])
            if held[0].is_broken:
                self._send(503, "application/json", b"{}")
            elif said is None:
                self._send(400, "application/json", json.dumps(TOO_LONG).encode())
            else:
                self._send(200, "text/event-stream", streamed(said))

        def _send(self, status: int, media_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with listening(Answers) as url:
        held.append(Window(url, most))
        yield held[0]


def streamed(text: str) -> bytes:
    """A whole stream of chat completions."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    chunks = (
        {"choices": [{"index": 0, "delta": {"content": text}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    )
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
