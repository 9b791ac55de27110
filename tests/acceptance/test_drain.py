"""SIGTERM in the middle of a hundred streams: nothing is lost, and everybody hears an end."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any  # JSON

import httpx2 as httpx
import pytest
from openai import APIStatusError, OpenAI

from tests.acceptance.operating import configured, operating, working
from tests.http.following import eventually
from tests.patient import HANG_SECONDS, get, post
from tests.servers import reserved_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.operating import Operated
    from tests.servers import PostgresServer

pytestmark = pytest.mark.slow

STREAMS = 100
SCRIPT = """
[[deployments]]
name = "m"
backend = "scripted"
[[deployments.replies]]
when = "short"
steps = [{ text = "begun " }, { pause_ms = 2000 }, { text = "ended" }]
[[deployments.replies]]
steps = [{ text = "begun " }, { pause_ms = 600000 }, { text = "never" }]
"""

SHORT, LONG = "short", "long"


def client(address: str) -> OpenAI:
    """A client that does not try again."""
    return OpenAI(base_url=f"{address}/v1", api_key="any", timeout=HANG_SECONDS, max_retries=0)


def heard(openai: OpenAI, words: str, begun: Barrier) -> list[Any]:  # JSON
    """All events of a stream; says when it has begun."""
    events: list[Any] = []
    has_begun = False
    with openai.responses.create(model="m", input=words, stream=True) as stream:
        for event in stream:
            events.append(event)
            if event.type == "response.output_text.delta" and not has_begun:
                has_begun = True
                begun.wait(HANG_SECONDS)
    return events


def refused(server: Operated) -> int:
    """The status of a new request, which nobody answers any more."""
    with client(server.address) as openai, pytest.raises(APIStatusError, match="shutting down") as refusal:
        openai.responses.create(model="m", input="new")
    assert "1" == refusal.value.response.headers["retry-after"]
    return refusal.value.status_code


def asked(url: str) -> int:
    """The status of a probe; 0 where the connection is closed on the last one."""
    try:
        return get(url).status_code
    except httpx.TransportError:
        return 0


def leave(address: str, pid: int) -> None:
    """Ask a process that is ready to stop, and wait until it says that it is not ready any more."""
    assert 200 == asked(f"{address}/health/ready")
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + HANG_SECONDS
    while asked(f"{address}/health/ready") == 200:
        assert time.monotonic() < end


def test_a_hundred_streams_hear_their_end_and_nothing_is_lost(tmp_path: Path) -> None:
    """Half of them end by themselves; the others are broken off by a second signal, as by the end of the time.

    Meanwhile the server says that it is not ready, and that it lives; new requests are refused in words, and reads are
    answered. The background run is handed over, and goes on in the next process. The status of the exit is 0.
    """
    config = configured(tmp_path, f"server = {{ drain_seconds = 600 }}\nbackground = {{ drain_seconds = 1 }}\n{SCRIPT}")
    begun = Barrier(STREAMS + 1)
    with (
        operating(config) as server,
        client(server.address) as openai,
        ThreadPoolExecutor(STREAMS) as threads,
    ):
        job = post(f"{server.address}/v1/responses", json={"model": "m", "input": "job", "background": True}).json()
        eventually(server.address, job["id"], lambda response: response["status"] == "in_progress")
        streams = [threads.submit(heard, openai, (SHORT, LONG)[number % 2], begun) for number in range(STREAMS)]
        begun.wait(HANG_SECONDS)
        leave(server.address, server.pid)
        probes = [asked(server.address + path) for path in ("/health/ready", "/health/live", "/health")]
        new, read = refused(server), asked(f"{server.address}/v1/responses/{job['id']}")
        events = [stream.result(HANG_SECONDS) for stream in streams[::2]]
        os.kill(server.pid, signal.SIGINT)
        broken = [stream.result(HANG_SECONDS) for stream in streams[1::2]]
        status = server.ended()
    assert (503, 200, 200, 503, 200) == (*probes, new, read)
    assert 0 == status
    ends = [each[-1] for each in events + broken]
    half = STREAMS // 2
    assert [*half * ["response.completed"], *half * ["response.failed"]] == [end.type for end in ends]
    assert {"begun ended"} == {end.response.output_text for end in ends[:half]}
    with operating(config) as server:
        kept = [get(f"{server.address}/v1/responses/{end.response.id}").json()["status"] for end in ends]
        again = get(f"{server.address}/v1/responses/{job['id']}").json()["status"]
    assert [end.response.status for end in ends] == kept
    assert {"cancelled"} == set(kept[half:])
    assert again in {"queued", "in_progress"}


def test_notice_is_given_before_anything_is_refused(tmp_path: Path) -> None:
    """A load balancer hears it first; what it sends until it has is answered as ever. A second signal ends the wait."""
    config = configured(tmp_path, f"server = {{ notice_seconds = 600 }}\n{SCRIPT}")
    with operating(config) as server:
        leave(server.address, server.pid)
        with client(server.address) as openai:
            answer = openai.responses.create(model="m", input=SHORT)
        assert 503 == asked(f"{server.address}/health/ready")
        os.kill(server.pid, signal.SIGINT)
        status = server.ended()
    assert ("begun ended", 0) == (answer.output_text, status)


@pytest.mark.parametrize("moment", ["answers", "runs"])
def test_a_second_signal_hands_background_runs_over_at_once(tmp_path: Path, moment: str) -> None:
    """While answers end, and as well once only runs are left: nothing is cut off, and the status of the exit is 0."""
    drain = {"answers": 600, "runs": 0}[moment]
    config = configured(
        tmp_path, f"server = {{ drain_seconds = {drain} }}\nbackground = {{ drain_seconds = 600 }}\n{SCRIPT}"
    )
    with operating(config) as server, client(server.address) as openai, ThreadPoolExecutor(1) as threads:
        job = post(f"{server.address}/v1/responses", json={"model": "m", "input": "job", "background": True}).json()
        eventually(server.address, job["id"], lambda response: response["status"] == "in_progress")
        begun = Barrier(2)
        stream = threads.submit(heard, openai, LONG, begun)
        begun.wait(HANG_SECONDS)
        leave(server.address, server.pid)
        if moment == "runs":
            assert "response.failed" == stream.result(HANG_SECONDS)[-1].type
            server.gone()
            os.kill(server.pid, signal.SIGTERM)  # as some do that wait no longer
        os.kill(server.pid, signal.SIGINT)
        status = server.ended()
        assert "response.failed" == stream.result(HANG_SECONDS)[-1].type
    assert 0 == status
    with operating(config) as server:
        assert get(f"{server.address}/v1/responses/{job['id']}").json()["status"] in {"queued", "in_progress"}


@pytest.mark.whole
def test_a_worker_that_is_told_twice_gives_its_runs_back_at_once(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    """The first signal lets them end, a second Ctrl+C does not; another worker goes on. The status of the exit is 0."""
    config = tmp_path / "antiphon.toml"
    shared = f'store = {{ url = "{postgres_server.url}" }}\nbackground = {{ drain_seconds = 600 }}\n'
    config.write_text(f"{shared}{SCRIPT}")
    watched = tmp_path / "watched.toml"
    with reserved_port() as port, operating(config, "--no-worker") as server:
        watched.write_text(f"{shared}metrics = {{ enabled = true, port = {port} }}\n{SCRIPT}")
        job = post(f"{server.address}/v1/responses", json={"model": "m", "input": "job", "background": True}).json()
        with working(watched) as worker:
            eventually(server.address, job["id"], lambda response: bool(response["output"]))
            leave(f"http://127.0.0.1:{port}", worker.pid)
            worker.send_signal(signal.SIGINT)
            assert 0 == worker.wait(HANG_SECONDS)
        with working(config) as other:
            eventually(server.address, job["id"], lambda response: response["status"] == "in_progress")
            assert "cancelled" == post(f"{server.address}/v1/responses/{job['id']}/cancel").json()["status"]
            assert other.poll() is None
