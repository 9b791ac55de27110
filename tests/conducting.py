"""Models that tests conduct: each says a thing when it is told to, and knows to the millisecond when it is let go."""

from __future__ import annotations

import json
import queue
import select
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any  # JSON

from tests.patient import HANG_SECONDS
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOK_SECONDS = 0.001
DONE = b"data: [DONE]\n\n"


class Model:
    """A model that waits for its cues. ``asked`` has the body of each request to it.

    Once a connection was closed by who asked, ``left`` is set, and ``left_at`` is the time of it. A cue is what to say,
    and whether to close the connection with it: who has heard the end may close it first, and that is no leaving.
    """

    def __init__(self) -> None:
        self.asked: queue.SimpleQueue[Any] = queue.SimpleQueue()  # JSON
        self.left = threading.Event()
        self.left_at = 0.0
        self.cues: queue.SimpleQueue[tuple[bytes, bool]] = queue.SimpleQueue()

    def say(self, text: str) -> None:
        """Say a piece of text."""
        self._chunk({"content": text})

    def call(self, name: str, arguments: str) -> None:
        """Call a function."""
        called = {"index": 0, "id": f"call_{name}", "type": "function", "function": {"name": name}}
        self._chunk({"tool_calls": [called]})
        self._chunk({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]})

    def stop(self, reason: str = "stop") -> None:
        """Say that this was all."""
        self._chunk({}, reason)
        self.cues.put((DONE, True))

    def die(self) -> None:
        """Close the connection."""
        self.cues.put((b"", True))

    def wait(self) -> Any:  # JSON
        """The next request to the model; fails the test where none comes."""
        return self.asked.get(timeout=HANG_SECONDS)

    def gone(self) -> float:
        """The time at which who asked closed the connection; fails the test where nobody does."""
        assert self.left.wait(HANG_SECONDS), "the model was not let go"
        return self.left_at

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> None:  # JSON
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        self.cues.put((b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n", False))


class Models:
    """Models by name, made when they are first named; ``url`` is what stands before ``/chat/completions``."""

    def __init__(self) -> None:
        self.url = ""
        self._models: dict[str, Model] = {}

    def __getitem__(self, name: str) -> Model:
        """The model of this name."""
        return self._models.setdefault(name, Model())

    @property
    def deployment(self) -> dict[str, Any]:  # settings of a deployment are open
        """A deployment that answers every name."""
        return {"name": "*", "backend": "chat_completions", "base_url": self.url}


@contextmanager
def conducting() -> Iterator[Models]:
    """Serve models on this machine."""
    models = Models()

    class Answers(_Answers):
        conducted = models

    with listening(Answers) as models.url:
        yield models


class _Answers(BaseHTTPRequestHandler):
    conducted: Models

    def do_POST(self) -> None:
        """Say what the model of the request is told to say, as long as somebody listens."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        model = self.conducted[body["model"]]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        model.asked.put(body)
        while not self._is_left():
            try:
                said, is_last = model.cues.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            self.wfile.write(said)
            if is_last:
                return
        model.left_at = time.perf_counter()
        model.left.set()

    def _is_left(self) -> bool:
        """Whether who asked has closed the connection; a client says nothing more once it has asked."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""
