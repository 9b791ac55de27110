"""A web server with a picture, and with paths that lead to something else, or elsewhere."""

from __future__ import annotations

import threading
from base64 import b64decode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
"""A picture of one pixel."""

TOO_LONG = 20_971_521


class Gallery:
    """Where it stands, what it was asked for, and where ``/moved`` leads."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.seen: list[str] = []
        self.moved_to = ""


@contextmanager
def gallery() -> Iterator[Gallery]:
    """Serve pictures on this machine."""

    class Visit(BaseHTTPRequestHandler):
        """One visitor."""

        def do_GET(self) -> None:
            """Show what the path names."""
            shown.seen.append(self.path)
            match self.path:
                case "/moved":
                    self._answer(302, b"", location=shown.moved_to)
                case "/page":
                    self._answer(200, b"<html>")
                case "/gone":
                    self._answer(404, b"")
                case "/huge":
                    self._answer(200, b"", content_length=str(TOO_LONG))
                case _:
                    self._answer(200, PNG)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def _answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in ({"content_length": str(len(body))} | headers).items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Visit) as server:
        shown = Gallery(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield shown
        finally:
            server.shutdown()
            thread.join()
