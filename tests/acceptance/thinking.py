"""A model behind chat completions that thinks before all that it says, and wants its own thoughts back."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any  # JSON

from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER = "plum-7f3a"
"""Stands in every thought, and in nothing else."""
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 7,
    "total_tokens": 16,
    "completion_tokens_details": {"reasoning_tokens": 5},
}


class Thinker:
    """What the model was asked, and the thoughts that it was not given back as it had thought them.

    It calls ``weather`` once for each message of the user's, where it has that function, and then speaks. A thought
    has two paragraphs of two sentences, and says how many times the model has thought in this conversation.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[dict[str, Any]] = []
        self.lost: list[str] = []

    def answer(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The deltas of an answer."""
        self.asked.append(body)
        messages: list[dict[str, Any]] = body["messages"]
        said = [message for message in messages if message["role"] == "assistant"]
        self.lost += [f"{number} of {len(said)}" for number, each in enumerate(said) if not _is_own(number, each)]
        pieces = [{"reasoning_content": piece} for piece in _cut(thought(len(said)))]
        may_call = bool(body.get("tools")) and messages[-1]["role"] == "user"
        return [*pieces, *(_called(len(said), body) if may_call else [{"content": "It is "}, {"content": "fine."}])]


def thought(number: int) -> str:
    """What the model thinks, the so-manieth time in a conversation."""
    return f"{MARKER} first of {number}. And more.\n\n{MARKER} second of {number}. And more."


def given_back(body: dict[str, Any]) -> list[str | None]:
    """The thoughts that a request brought, one for each thing that the model had said."""
    return [message.get("reasoning_content") for message in body["messages"] if message["role"] == "assistant"]


def _is_own(number: int, message: dict[str, Any]) -> bool:
    return bool(message.get("reasoning_content") == thought(number))


def _cut(text: str) -> list[str]:
    return [text[at : at + 7] for at in range(0, len(text), 7)]


def _called(number: int, body: dict[str, Any]) -> list[dict[str, Any]]:
    name = body["tools"][0]["function"]["name"]
    first = {"index": 0, "id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": ""}}
    return [
        {"tool_calls": [first]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]},
    ]


@contextmanager
def thinking() -> Iterator[Thinker]:
    """Serve such a model."""
    held: list[Thinker] = []

    class Answers(BaseHTTPRequestHandler):
        """Answers as chat completions do."""

        def do_POST(self) -> None:
            """Think and speak."""
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            deltas = held[0].answer(body)
            reason = "tool_calls" if "tool_calls" in deltas[-1] else "stop"
            chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
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
        held.append(Thinker(url))
        yield held[0]
