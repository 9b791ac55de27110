"""A model that drives a screen by a list of steps, behind chat completions; it notes what it is shown."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any  # JSON

from tests.acceptance.calling import USAGE
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

CLICK = {"type": "click", "button": "left", "x": 320, "y": 200}
LOOK = {"type": "screenshot"}
TYPE = {"type": "type", "text": "Hello"}


class Pointer:
    """What the model does, step by step: a list of actions, or words. The last step is done for ever.

    A step follows each screen that the model is shown, and each of its steps that could not be made.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[dict[str, Any]] = []
        self.steps: list[list[dict[str, Any]] | str] = []

    def begins(self, *steps: list[dict[str, Any]] | str) -> None:
        """From now on the model does this."""
        self.asked, self.steps = [], list(steps)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        """The delta of an answer."""
        self.asked.append(body)
        done = sum(message["role"] == "tool" for message in body["messages"])
        step = self.steps[min(done, len(self.steps) - 1)]
        if isinstance(step, str):
            return {"content": step}
        function = {"name": "computer", "arguments": json.dumps({"actions": step})}
        return {"tool_calls": [{"index": 0, "id": f"call_{done}", "type": "function", "function": function}]}

    def pictures(self, index: int = -1) -> list[str]:
        """The URLs of the pictures that it was shown."""
        return [part["image_url"]["url"] for part in self._parts(index) if part["type"] == "image_url"]

    def words(self, index: int = -1) -> str:
        """All text that it was shown."""
        return "\n".join(part["text"] for part in self._parts(index) if part["type"] == "text")

    def calls(self, index: int = -1) -> list[Any]:
        """The arguments of the calls that it was shown as its own."""
        made = [call for message in self.asked[index]["messages"] for call in message.get("tool_calls") or []]
        return [json.loads(call["function"]["arguments"])["actions"] for call in made]

    def _parts(self, index: int) -> list[dict[str, Any]]:
        contents = [message.get("content") or "" for message in self.asked[index]["messages"]]
        whole = [[{"type": "text", "text": each}] if isinstance(each, str) else each for each in contents]
        return [part for parts in whole for part in parts]


@contextmanager
def pointing() -> Iterator[Pointer]:
    """Serve such a model."""
    held: list[Pointer] = []

    class Answers(BaseHTTPRequestHandler):
        """Answers as chat completions do."""

        def do_POST(self) -> None:
            """Make the next step."""
            delta = held[0].answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            reason = "tool_calls" if "tool_calls" in delta else "stop"
            chunks: list[dict[str, Any]] = [
                {"choices": [{"index": 0, "delta": delta}]},
                {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
                {"choices": [], "usage": USAGE},
            ]
            stream = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(stream + b"data: [DONE]\n\n")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with listening(Answers) as url:
        held.append(Pointer(url))
        yield held[0]
