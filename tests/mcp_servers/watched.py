"""What an MCP server of a test hears: every request to it, what it asks for, and whether who asked has left."""

from __future__ import annotations

import json
import threading
from typing import Any  # JSON

from tests.patient import HANG_SECONDS


class Watched:
    """A server at ``url``, and what it has heard so far, oldest first.

    ``headers`` has those of each HTTP request, their names in lower case, and ``methods`` what each JSON-RPC message
    asks for. ``calls`` has the tool and the arguments of each ``tools/call``. ``connections`` counts those of TCP, and
    ``refused`` the requests that were sent away for want of a token.

    A call is cancelled in one of three ways, and each is added to ``cancellations`` as it is noticed: ``told``, by a
    message; ``closed``, as its connection was closed before the answer was out; ``stopped``, as the tool itself was.
    With the first of them ``cancelled`` is set.
    """

    def __init__(self) -> None:
        self.url = ""
        self.headers: list[dict[str, str]] = []
        self.methods: list[str] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.connections = 0
        self.refused = 0
        self.cancellations: list[str] = []
        self.cancelled = threading.Event()
        self.called = threading.Event()
        self._lock = threading.Lock()

    @property
    def lists(self) -> int:
        """How often the tools were listed, each page counted."""
        return self.methods.count("tools/list")

    def wait_for_call(self) -> None:
        """Wait until a tool is called; fails the test where none is."""
        assert self.called.wait(HANG_SECONDS), "no tool was called"

    def wait_for_cancellation(self) -> None:
        """Wait until a call is cancelled; fails the test where none is."""
        assert self.cancelled.wait(HANG_SECONDS), "no call was cancelled"

    def connect(self) -> None:
        """Note a connection."""
        with self._lock:
            self.connections += 1

    def refuse(self) -> None:
        """Note a request that is sent away."""
        with self._lock:
            self.refused += 1

    def cancel(self, how: str) -> None:
        """Note that a call was cancelled."""
        self.cancellations.append(how)
        self.cancelled.set()

    def hear(self, body: bytes) -> dict[str, Any]:
        """Note a message, and give it; what is none is empty."""
        try:
            message = json.loads(body)
        except ValueError:
            return {}
        if not isinstance(message, dict):
            return {}
        self.methods.append(str(message.get("method", "")))
        match message:
            case {"method": "tools/call", "params": {"name": str(name)} as params}:
                self.calls.append((name, params.get("arguments") or {}))
                self.called.set()
            case {"method": "notifications/cancelled"}:
                self.cancel("told")
            case _:
                pass
        return message


class Rogue(Watched):
    """A server that behaves badly.

    ``sent`` counts the bytes of bodies that it got rid of. ``strays`` has the path of each request at the place to
    which it sends its clients, ``elsewhere`` or ``private``. ``answers`` has what clients answer to what it asks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere = self.private = ""
        self.sessions: dict[str, int] = {}
        self.sent = 0
        self.strays: list[str] = []
        self.answers: list[dict[str, Any]] = []
        self.answered = threading.Semaphore(0)
        self.stopped = threading.Event()

    def hear(self, body: bytes) -> dict[str, Any]:
        """Note a message, and give it; an answer is one too."""
        message = super().hear(body)
        if "method" not in message and "id" in message:
            self.answers.append(message)
            self.answered.release()
        return message
