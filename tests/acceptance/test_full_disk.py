"""A disk that is full: what cannot be kept is refused in words, and all goes on once there is room."""

from __future__ import annotations

import resource
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any  # JSON

import httpx2 as httpx
import pytest

from tests.acceptance.operating import configured, operating
from tests.http.following import ended
from tests.patient import HANG_SECONDS, get, post

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.operating import Operated

pytestmark = pytest.mark.slow

NO_LIMIT = resource.RLIM_INFINITY
KEY = "scraper"
CONFIG = f"""
metrics = {{ enabled = true, key = "{KEY}" }}
[[deployments]]
name = "m"
backend = "scripted"
[[deployments.replies]]
when = "slow"
steps = [{{ text = "begun " }}, {{ pause_ms = 3000 }}, {{ text = "ended" }}]
[[deployments.replies]]
steps = [{{ text = "fine" }}]
"""
ENDS = {"event: response.completed", "event: response.failed", "event: response.incomplete"}


@contextmanager
def full(server: Operated) -> Iterator[None]:
    """Let no file of the server's take another byte, as on a disk without room."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, NO_LIMIT))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (NO_LIMIT, NO_LIMIT))


def ask(server: Operated, **more: Any) -> httpx.Response:  # JSON
    """Ask for a response."""
    return post(f"{server.address}/v1/responses", json={"model": "m", "input": "hi", **more})


def ready(server: Operated, status: int) -> Any:  # JSON
    """What the server says of being ready, once it has this status."""
    end = time.monotonic() + HANG_SECONDS
    while (answer := get(f"{server.address}/health/ready")).status_code != status:
        assert time.monotonic() < end, answer.text
        time.sleep(0.05)  # as whoever watches it
    return answer.json()


def test_a_full_disk_is_told_to_everybody_and_outlived(tmp_path: Path) -> None:
    """A body is a 503 in the form of every error, a stream ends as failed, and what is not to be kept is answered.

    The probe says so, a scrape counts it, and when there is room again everything is as before, without a restart.
    """
    with operating(configured(tmp_path, CONFIG)) as server:
        first = ask(server).json()
        with full(server):
            whole, streamed, unstored = ask(server), ask(server, stream=True), ask(server, store=False)
            chained = ask(server, store=False, previous_response_id=first["id"])
            unready = ready(server, 503)
            figures = get(f"{server.address}/metrics", headers={"authorization": f"Bearer {KEY}"})
        fine = ready(server, 200)
        again = ask(server, previous_response_id=first["id"])
        kept = get(f"{server.address}/v1/responses/{again.json()['id']}")
    assert 503 == whole.status_code, whole.text
    error = whole.json()["error"]
    assert (["message", "type", "param", "code"], "server_error") == (list(error), error["code"])
    assert "storage" in error["message"]
    assert "event: response.failed" in streamed.text
    assert "event: response.completed" not in streamed.text
    assert ["completed", "completed"] == [each.json()["status"] for each in (unstored, chained)]
    assert ({"status": "store unavailable"}, {"status": "ok"}) == (unready, fine)
    assert 'antiphon_store_errors_total{operation="write"}' in figures.text
    assert (200, "completed") == (kept.status_code, kept.json()["status"])


def uploaded(server: Operated) -> httpx.Response:
    """Send a file."""
    return post(f"{server.address}/v1/files", files={"file": ("a.txt", b"x" * 100_000)}, data={"purpose": "user_data"})


def test_what_goes_on_while_the_disk_fills_has_an_end(tmp_path: Path) -> None:
    """A stream in the middle of its answer ends once, as failed, and a background run ends as completed, later.

    What is written elsewhere, such as files, is refused in the same words, and taken as soon as there is room again.
    """
    with operating(configured(tmp_path, CONFIG)) as server, httpx.Client(timeout=HANG_SECONDS) as http:
        job = ask(server, input="slow", background=True).json()["id"]
        question = {"model": "m", "input": "slow", "stream": True}
        with http.stream("POST", f"{server.address}/v1/responses", json=question) as stream:
            lines = stream.iter_lines()
            assert any("output_text.delta" in line for line in lines)
            with full(server):
                events = [line for line in lines if line.startswith("event: ")]
                file, queued = uploaded(server), ask(server, background=True)
                deleted = http.delete(f"{server.address}/v1/responses/{job}")
                read = get(f"{server.address}/v1/responses/{job}")
        ready(server, 200)
        run = ended(server.address, job)
        again = uploaded(server)
    assert ["event: response.failed"] == [event for event in events if event in ENDS]
    assert [503, 503, 503] == [each.status_code for each in (file, queued, deleted)]
    assert {"server_error"} == {each.json()["error"]["code"] for each in (file, queued, deleted)}
    assert (200, "completed", 200) == (read.status_code, run["status"], again.status_code)
