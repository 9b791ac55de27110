"""Where the clients of other makers are, and how one is run; and a model that is busy when it is first asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.patient import STORY_SECONDS
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = Any  # what a driver prints

ROOT = Path(__file__).parent.parent.parent
PLACES = ROOT / "build" / "clients"
DRIVERS = Path(__file__).parent / "drivers"
KEY = "key-of-the-tests"


@cache
def told(driver: str, place: str, url: str) -> dict[str, Json]:
    """Run a driver where its client is installed, and give what it prints; run once for all tests of a server.

    ``place`` is a folder of ``build/clients``, or "" for the environment of the tests themselves.
    """
    folder = PLACES / place
    if not (folder / ".done").exists() and place:
        pytest.fail(f"The client in {folder} is not installed. `make clients` does it.", pytrace=False)
    script = (DRIVERS / driver).read_bytes()
    if driver.endswith(".mjs"):  # from standard input, so that its imports are looked for in the folder
        command, program = [str(Path(sys.executable).with_name("node")), "--input-type=module"], script
    else:
        command, program = [str(folder / "bin" / "python") if place else sys.executable, str(DRIVERS / driver)], b""
    ran = subprocess.run(
        command,
        cwd=folder if place else ROOT,
        env=_environment(url),
        input=program,
        capture_output=True,
        check=False,
        timeout=STORY_SECONDS,
    )
    if ran.returncode:
        pytest.fail(ran.stderr.decode(), pytrace=False)
    printed: dict[str, Json] = json.loads(ran.stdout)
    return printed


def _environment(url: str) -> dict[str, str]:
    """What a driver's process may know: the server, and nothing that sends it elsewhere."""
    elsewhere = ("OPENAI_", "AZURE_", "LANGSMITH_", "LANGCHAIN_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(elsewhere) and not name.lower().endswith("_proxy")
    }
    return {**kept, "ANTIPHON_URL": url, "ANTIPHON_KEY": KEY}


@contextmanager
def busy() -> Iterator[str]:
    """Serve a model that is busy when it first hears a question; gives what stands before ``/chat/completions``."""
    Busy.asked.clear()
    with listening(Busy) as url:
        yield url


class Busy(BaseHTTPRequestHandler):
    """Refuses a question when it is first asked, and says how often it was asked when it is asked again."""

    asked: dict[bytes, int] = {}

    def do_POST(self) -> None:
        """Answer with 429, or with a stream of chat completions."""
        body = self.rfile.read(int(self.headers["content-length"]))
        times = self.asked[body] = self.asked.get(body, 0) + 1
        if times == 1:
            self._answer(429, "application/json", b'{"error":{"message":"busy","type":"requests"}}')
            return
        delta = {"role": "assistant", "content": f"Asked {times} times."}
        choices = [{"index": 0, "delta": delta}, {"index": 0, "delta": {}, "finish_reason": "stop"}]
        chunks = [{"id": "c", "object": "chat.completion.chunk", "choices": [choice]} for choice in choices]
        lines = [b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks]
        self._answer(200, "text/event-stream", b"".join([*lines, b"data: [DONE]\n\n"]))

    def _answer(self, status: int, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body)))
        self.send_header("retry-after", "0.01")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
