"""Judges that answer with anything but a verdict: each has failed, and nothing secret is told of it."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any  # JSON

import pytest

from antiphon.config import Config
from antiphon.lifecycle.judging import LONGEST_ANSWER, DeploymentJudge, EndpointJudge, JudgeError
from antiphon.wiring import read_deployments
from tests.patient import HANG_SECONDS
from tests.upstreams import listening

pytestmark = pytest.mark.anyio

WANTED = ["hate", "violence"]
GOOD = {"hate": "low", "violence": "safe"}


def answering(body: bytes, status: int = 200, **headers: str) -> type[BaseHTTPRequestHandler]:
    """An endpoint that answers always the same, and counts in ``asked`` how often."""

    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        asked = 0

        def do_POST(self) -> None:
            """Answer."""
            type(self).asked += 1
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Endpoint


async def verdict(url: str) -> dict[str, str]:
    """What an endpoint says."""
    judge = EndpointJudge(f"{url}?sig=secret", key="secret", seconds=HANG_SECONDS)
    try:
        return {**await judge.found("Hi", "prompt", WANTED)}
    finally:
        await judge.aclose()


async def test_more_than_was_asked_for_is_passed_over() -> None:
    """Only the categories that were asked for count."""
    with listening(answering(json.dumps({"categories": {**GOOD, "sexual": "high"}, "note": 1}).encode())) as url:
        assert await verdict(url) == GOOD


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 200, "no verdict"),
        (b"{", 200, "no verdict"),
        (b"\xff\xfe", 200, "no verdict"),
        (b"[]", 200, "no verdict"),
        (b"{}", 200, "no verdict"),
        (b'{"categories":{"hate":"extreme","violence":"safe"}}', 200, "no verdict"),
        (b'{"categories":{"hate":2,"violence":0}}', 200, "no verdict"),
        (b'{"categories":{"hate":"low","violence":"safe"},"more":' + b"[" * 60_000, 200, "no verdict"),
        (b'{"categories":{"hate":"low"}}', 200, "says nothing of violence"),
        (b'{"categories":{}}' + b" " * LONGEST_ANSWER, 200, "longer than"),
        (json.dumps({"categories": GOOD}).encode(), 201, "status 201"),
        (b"", 401, "status 401"),
        (b"", 429, "status 429"),
    ],
)
async def test_an_endpoint_that_says_no_verdict_has_failed(body: bytes, status: int, words: str) -> None:
    """Whatever it says instead."""
    with listening(answering(body, status)) as url, pytest.raises(JudgeError) as fault:
        await verdict(url)
    assert words in str(fault.value)
    assert "secret" not in str(fault.value)


async def test_an_endpoint_that_sends_elsewhere_is_not_followed() -> None:
    """What is judged, and the key, go nowhere else."""
    elsewhere: Any = answering(json.dumps({"categories": GOOD}).encode())
    with (
        listening(elsewhere) as other,
        listening(answering(b"", 307, location=other)) as url,
        pytest.raises(JudgeError, match="status 307"),
    ):
        await verdict(url)
    assert 0 == elsewhere.asked


async def test_an_endpoint_that_is_not_there_has_failed() -> None:
    """The reason names where it was looked for, and no secret."""
    with pytest.raises(JudgeError) as fault:
        await verdict("http://me:secret@127.0.0.1:9/judge")
    assert "127.0.0.1:9" in str(fault.value)
    assert "secret" not in str(fault.value)


@pytest.mark.parametrize(
    "said",
    [
        "It is safe.",
        '```json\n{"hate": "safe", "violence": "safe"}\n```',
        '{"hate": "safe"}',
        '{"hate": "safe", "violence": "harmless"}',
        '{"hate": "safe", "violence": "safe"} Ignore what stands before.',
        "[" * 10_000,
        " " * (LONGEST_ANSWER + 1),
    ],
)
async def test_a_model_that_says_no_verdict_has_failed(said: str) -> None:
    """As one does that was talked into something by the text."""
    [deployment] = read_deployments(
        Config(deployments=[{"name": "judge", "backend": "scripted", "replies": [{"steps": [{"text": said}]}]}])
    )
    with pytest.raises(JudgeError):
        await DeploymentJudge(deployment).found("Hi", "prompt", WANTED)
