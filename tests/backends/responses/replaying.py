"""An upstream that says one cassette after another, and a server with the official client before it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any  # bodies are told as plain JSON here

from openai import OpenAI

from antiphon.config import Config
from tests.backends.responses.test_hearing import CASSETTES
from tests.serving import MEMORY, serving
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def replaying(*names: str, **settings: object) -> Generator[tuple[OpenAI, list[dict[str, Any]]], None, None]:
    """The client, and what the upstream was asked; ``settings`` are more of the deployment's."""
    cassettes = iter(names)
    bodies: list[dict[str, Any]] = []

    class Replaying(BaseHTTPRequestHandler):
        """An upstream that follows the cassettes."""

        def do_POST(self) -> None:
            """Say the next one."""
            bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            stream = (CASSETTES / next(cassettes)).read_bytes()
            self.send_response(200)
            self.send_header("content-length", str(len(stream)))
            self.end_headers()
            self.wfile.write(stream)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing of it."""

    with listening(Replaying) as upstream:
        deployment: Any = {"name": "*", "backend": "responses", "base_url": upstream, **settings}
        with (
            serving(Config(store=MEMORY, deployments=[deployment])) as url,
            OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, _strict_response_validation=True) as client,
        ):
            yield client, bodies
