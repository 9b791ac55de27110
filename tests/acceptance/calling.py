"""A model behind chat completions that calls what it is told to call, and reads what comes of it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any  # JSON

from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

USAGE = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}


def told(*calls: tuple[str, dict[str, Any]]) -> str:
    """What a user says to have these functions called, by the names that the model knows."""
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls])


class Caller:
    """What the model was asked. It calls what the user says last, once, and then it is done."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[dict[str, Any]] = []

    @property
    def tools(self) -> list[str]:
        """The names of the functions that it was last shown."""
        return [tool["function"]["name"] for tool in self.asked[-1].get("tools", [])]

    @property
    def outputs(self) -> list[str]:
        """What it last read of its calls."""
        return [message["content"] for message in self.asked[-1]["messages"] if message["role"] == "tool"]

    def answer(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The deltas of an answer."""
        self.asked.append(body)
        last = body["messages"][-1]
        wanted = _wanted(last["content"]) if last["role"] == "user" else []
        shown = {tool["function"]["name"] for tool in body.get("tools", [])}
        calls = [call for call in wanted if call["name"] in shown]
        pieces = [piece for index, call in enumerate(calls) for piece in _called(index, call)]
        return pieces or [{"content": "Done"}, {"content": "."}]


def _wanted(content: Any) -> list[dict[str, Any]]:
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    calls: list[dict[str, Any]] = json.loads(text) if text.startswith("[") else []
    return calls


def _called(index: int, call: dict[str, Any]) -> list[dict[str, Any]]:
    text = json.dumps(call["arguments"])
    function = {"name": call["name"], "arguments": ""}
    first: dict[str, Any] = {"index": index, "id": f"call_{index}", "type": "function", "function": function}
    rest = [{"index": index, "function": {"arguments": text[at : at + 3]}} for at in range(0, len(text), 3)]
    return [{"tool_calls": [each]} for each in [first, *rest]]


@contextmanager
def calling() -> Iterator[Caller]:
    """Serve such a model."""
    held: list[Caller] = []

    class Answers(BaseHTTPRequestHandler):
        """Answers as chat completions do."""

        def do_POST(self) -> None:
            """Call, or speak."""
            deltas = held[0].answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
            reason = "tool_calls" if "tool_calls" in deltas[-1] else "stop"
            chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}]
            chunks += [{"choices": [], "usage": USAGE}]
            stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
            stream += b"data: [DONE]\n\n"
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(stream)))
            self.end_headers()
            self.wfile.write(stream)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with listening(Answers) as url:
        held.append(Caller(url))
        yield held[0]
