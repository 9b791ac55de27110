"""A picture for the examples: a red square on white, saved to disk or served from this machine."""

from __future__ import annotations

import struct
import tempfile
import threading
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

SIDE = 32
SQUARE = range(8, 24)
RED, WHITE = b"\xd0\x20\x20", b"\xff\xff\xff"


def png() -> bytes:
    """Draw the picture: 32 by 32 pixels."""
    rows = [b"\0" + b"".join(RED if x in SQUARE and y in SQUARE else WHITE for x in range(SIDE)) for y in range(SIDE)]
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def saved() -> str:
    """Write the picture to a file of its own, and give its path."""
    path = Path(tempfile.mkdtemp()) / "square.png"
    path.write_bytes(png())
    return str(path)


def served() -> str:
    """Serve the picture for as long as this program runs, and give its URL."""
    server = HTTPServer(("127.0.0.1", 0), _Gallery)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/square.png"


class _Gallery(BaseHTTPRequestHandler):
    """Answers every GET with the picture."""

    def do_GET(self) -> None:
        content = png()
        self.send_response(200)
        self.send_header("content-type", "image/png")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
