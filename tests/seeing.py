"""An upstream that sees, a little: it says what kind of image it was shown and how large that is."""

from __future__ import annotations

import json
import re
import struct
from base64 import b64decode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
SIZE = slice(16, 24)
IMAGE = re.compile(rb'"url":\s*"(?P<url>[^"]*)"')


@contextmanager
def seeing() -> Iterator[str]:
    """Serve chat completions on this machine; gives what stands before ``/chat/completions``."""
    with listening(Eyes) as url:
        yield url


class Eyes(BaseHTTPRequestHandler):
    """Answers a question about an image with a stream of chat completions."""

    def do_POST(self) -> None:
        """Look at the image of the request, and say what it is."""
        body = self.rfile.read(int(self.headers["content-length"]))
        choices = [
            {"index": 0, "delta": {"role": "assistant", "content": described(body)}},
            {"index": 0, "delta": {}, "finish_reason": "stop"},
        ]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for choice in choices:
            chunk = {"id": "seen", "object": "chat.completion.chunk", "choices": [choice]}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def described(body: bytes) -> str:
    """Say what image stands in a request's body."""
    found = IMAGE.search(body)
    url = found["url"].decode() if found else ""
    if not url.startswith("data:image/png;base64,"):
        return f"I cannot see {url or 'any image'}."
    image = b64decode(url.partition(",")[2])
    width, height = struct.unpack(">II", image[SIZE])
    return f"A PNG of {width} by {height} pixels." if image.startswith(PNG) else "This is no PNG."
