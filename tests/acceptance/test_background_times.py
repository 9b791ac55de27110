"""How soon things are heard, of one process and of two: a first word, and a cancellation.

The bounds are far above what an idle machine needs, which is a few milliseconds: a busy one is slow and right.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from tests import patient
from tests.acceptance.operating import configured, operating, working
from tests.http.following import cancelled, created, eventually, followed, text
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conducting import Models
    from tests.servers import PostgresServer

pytestmark = pytest.mark.slow

LEASE = "[background]\nlease_seconds = 600\n"
HEARD_SECONDS = HANG_SECONDS / 2
"""What a busy machine may need. Who is not told finds out at a beat of its lease, after minutes."""

FIRST_WORD_SECONDS = 0.1
"""By how much the first word may come later in the background."""

TIMES = 15
ROUNDS = 4
"""Noise only adds, and does not stay: one quiet round is enough."""


@pytest.fixture(scope="module", params=["one process", "two processes"])
def url(request: pytest.FixtureRequest, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on SQLite, and one on PostgreSQL whose worker is a process of its own."""
    folder = tmp_path_factory.mktemp("times")
    speaking = '[[deployments]]\nname = "scripted"\nbackend = "scripted"\n'
    conducted = f'{LEASE}[[deployments]]\nname = "*"\nbackend = "chat_completions"\nbase_url = "{models.url}"\n'
    if request.param == "one process":
        with operating(configured(folder, speaking + conducted)) as server:
            yield server.address
    else:
        database: PostgresServer = request.getfixturevalue("postgres_server")
        with apart(folder, f'store = {{ url = "{database.url}" }}\n' + speaking + conducted) as address:
            yield address


@contextmanager
def apart(folder: Path, text: str) -> Iterator[str]:
    """A server that performs no runs, and a worker that does."""
    config = folder / "antiphon.toml"
    config.write_text(text)
    with operating(config, "--no-worker") as server, working(config):
        yield server.address


@pytest.mark.parametrize("is_talking", [False, True], ids=["silent", "talking"])
def test_a_cancellation_is_heard_at_once(
    url: str, models: Models, request: pytest.FixtureRequest, *, is_talking: bool
) -> None:
    """The model's connection is closed about when the answer to the cancellation comes."""
    name = request.node.name
    id = created(url, name)["id"]
    models[name].wait()
    if is_talking:
        models[name].say("Hel")
        eventually(url, id, lambda response: text(response) == "Hel")
    with followed(url, id) as stream:
        stream.until("in_progress")
        began = time.perf_counter()
        response = cancelled(url, id)
        assert models[name].gone() - began < HEARD_SECONDS
        assert response == stream.rest()[-1]["response"]
        assert time.perf_counter() - began < 2 * HEARD_SECONDS


def test_a_deletion_is_heard_at_once(url: str, models: Models, request: pytest.FixtureRequest) -> None:
    """The same where the response goes with its run."""
    name = request.node.name
    id = created(url, name)["id"]
    models[name].wait()
    began = time.perf_counter()
    assert 200 == patient.delete(f"{url}/v1/responses/{id}").status_code
    assert models[name].gone() - began < HEARD_SECONDS


def test_the_first_word_comes_about_as_soon_in_the_background(url: str) -> None:
    """What a queue, a claim and two commits add is little."""
    with httpx.Client(base_url=url, timeout=HANG_SECONDS) as client:
        for is_background in (False, True):
            first_word(client, is_background=is_background)
        assert any(added(client) < FIRST_WORD_SECONDS for _ in range(ROUNDS))


def added(client: httpx.Client) -> float:
    """Seconds by which the first word usually comes later in the background."""
    pairs = [[first_word(client, is_background=each) for each in (False, True)] for _ in range(TIMES)]
    return median(background - synchronous for synchronous, background in pairs)


def first_word(client: httpx.Client, *, is_background: bool) -> float:
    """Seconds from a request to its first word."""
    body = {"model": "scripted", "input": "hi", "stream": True, "background": is_background}
    began = time.perf_counter()
    with client.stream("POST", "/v1/responses", json=body) as answer:
        times = [time.perf_counter() - began for piece in answer.iter_raw() if b"output_text.delta" in piece]
    return times[0]
