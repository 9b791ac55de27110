"""Asks the server over plain HTTP, and reads its streams byte by byte; all that comes is held against the oracle."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from tests import patient
from tests.oracle import check_event, check_response

if TYPE_CHECKING:
    import httpx2 as httpx

Json: TypeAlias = Any  # bodies are told as plain JSON here

FRAME = re.compile(rb"event: (?P<name>[a-z_.]+)\ndata: (?P<body>\{[^\r\n]*\})\n\n")
MODEL = "gpt-4o"


def post(url: str, **body: Json) -> httpx.Response:
    """Ask for a response."""
    return patient.post(f"{url}/v1/responses", json={"model": MODEL, **body})


def create(url: str, **body: Json) -> Json:
    """Ask for a response, and give it."""
    answer = post(url, **body)
    assert 200 == answer.status_code, answer.text
    check_response(answer.content)
    return answer.json()


def stream(url: str, **body: Json) -> list[Json]:
    """Ask for a stream, and give its events."""
    answer = post(url, stream=True, **body)
    assert 200 == answer.status_code, answer.text
    return events(answer.content)


def events(content: bytes) -> list[Json]:
    """The events of a whole stream, which is made of frames and of nothing else."""
    frames = list(FRAME.finditer(content))
    assert content == b"".join(frame[0] for frame in frames)
    for frame in frames:
        check_event(frame["body"])
    read = [json.loads(frame["body"]) for frame in frames]
    assert [frame["name"].decode() for frame in frames] == [event["type"] for event in read]
    return read


def named(events: list[Json], name: str) -> list[Json]:
    """The events of one type; ``name`` is written without ``response.``."""
    return [event for event in events if event["type"] == f"response.{name}"]
