"""A client that leaves while its pictures are still being fetched: nothing more is fetched for it."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from antiphon.config import Config
from antiphon.outbound import Config as Outbound
from tests import patient
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving

pytestmark = pytest.mark.slow


def test_a_client_that_leaves_stops_what_is_fetched_for_it() -> None:
    """The first fetches are under way, and of the others none begins."""
    seen: list[str] = []
    asked, left = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        """Answers once the client has left."""

        def do_GET(self) -> None:
            """Note who asks."""
            seen.append(self.path)
            asked.set()
            left.wait(HANG_SECONDS)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as pictures:
        threading.Thread(target=pictures.serve_forever, daemon=True).start()
        deployment = {"name": "m", "backend": "scripted", "fetch_images": True}
        config = Config(store=MEMORY, outbound=Outbound(["127.0.0.1"]), deployments=[deployment])
        with serving(config) as url:
            urls = [f"http://127.0.0.1:{pictures.server_port}/{number}" for number in range(40)]
            parts = [{"type": "input_image", "image_url": each} for each in urls]
            body = json.dumps({"model": "m", "input": [{"role": "user", "content": parts}]}).encode()
            place = urlsplit(url)
            lines = ("POST /v1/responses HTTP/1.1", "host: localhost", "content-type: application/json")
            head = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""])
            with socket.create_connection((str(place.hostname), int(place.port or 0)), HANG_SECONDS) as client:
                client.sendall(head.encode() + body)
                assert asked.wait(HANG_SECONDS)
            assert 200 == patient.post(f"{url}/v1/responses", json={"model": "m", "input": "still there?"}).status_code
            left.set()
            assert 200 == patient.post(f"{url}/v1/responses", json={"model": "m", "input": "and now?"}).status_code
        pictures.shutdown()
    assert len(seen) <= 8
