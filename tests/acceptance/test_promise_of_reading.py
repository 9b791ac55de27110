"""Promise 1: what a client was told is on the disk, whatever becomes of the process a moment later."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any  # JSON

import httpx2 as httpx
import pytest
from msgspec import Struct

from tests.acceptance.operating import configured, operating
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.operating import Operated

pytestmark = pytest.mark.slow

CRASHES = 20
CLIENTS = 6
SCRIPTED = """
[[deployments]]
name = "*"
backend = "scripted"
replies = [{ steps = [{ text = "One thing and another." }] }]
"""


class Told(Struct, frozen=True):
    """What a client was told: a response, and what it had said before."""

    response: Any  # JSON
    said: list[str]


class Clients:
    """Clients that talk to a server, each along a chain of its own, until it is dead."""

    def __init__(self, server: Operated, *, last: int) -> None:
        """The server is killed the instant that ``last`` responses were told."""
        self.told: list[Told] = []
        self._server = server
        self._last = last
        self._lock = threading.Lock()

    def talk(self, client: int) -> None:
        """Ask for streams and bodies, one after another, each continuing the last."""
        said: list[str] = []
        previous = None
        with suppress(httpx.HTTPError), httpx.Client(base_url=self._server.address, timeout=HANG_SECONDS) as http:
            for turn in range(1000):
                said = [*said, f"client {client}, turn {turn}"]
                body = {"model": "m", "input": said[-1], "previous_response_id": previous}
                response = streamed(http, body) if (client + turn) % 2 else http.post("/v1/responses", json=body).json()
                self._note(Told(response, said))
                previous = response["id"]

    def _note(self, told: Told) -> None:
        with self._lock:
            self.told.append(told)
            if len(self.told) == self._last:
                self._server.kill()


def streamed(http: httpx.Client, body: dict[str, Any]) -> Any:  # JSON
    """The response of the terminal event, as soon as that is there."""
    with http.stream("POST", "/v1/responses", json={**body, "stream": True}) as answer:
        for line in answer.iter_lines():
            if line.startswith('data: {"') and '"type":"response.completed"' in line[:80]:
                return json.loads(line.removeprefix("data: "))["response"]
    raise httpx.RemoteProtocolError("the stream had no end")


def look(address: str, told: Told) -> None:
    """Hold what a server knows against what its predecessor told."""
    id = told.response["id"]
    with httpx.Client(base_url=f"{address}/v1", timeout=HANG_SECONDS) as http:
        assert told.response == http.get(f"/responses/{id}").json()
        items = http.get(f"/responses/{id}/input_items", params={"order": "asc", "limit": 100}).json()["data"]
        assert told.said == [item["content"][0]["text"] for item in items if item["role"] == "user"]
        assert len(items) == 2 * len(told.said) - 1
        body = {"model": "m", "input": "and?", "previous_response_id": id, "store": False}
        goes_on = http.post("/responses", json=body)
        assert (200, "completed") == (goes_on.status_code, goes_on.json()["status"])


def test_what_a_client_was_told_survives_a_crash(tmp_path: Path) -> None:
    """After ``kill -9`` at the moment of a terminal event, or of a body, response, input and chain are there."""
    config = configured(tmp_path, SCRIPTED)
    told: list[Told] = []
    with ThreadPoolExecutor(CLIENTS) as threads:
        for crash in range(CRASHES):
            with operating(config) as server:
                list(threads.map(partial(look, server.address), told))
                clients = Clients(server, last=crash % 7 + 1)
                list(threads.map(clients.talk, range(CLIENTS)))
                told = clients.told
            assert len(told) > crash % 7
        with operating(config) as server:
            list(threads.map(partial(look, server.address), told))
            assert 0 == server.stop()
