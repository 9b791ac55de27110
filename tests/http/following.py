"""Streams of responses, read as they come, and responses as they are: byte by byte, all of it held to the oracle."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any  # JSON

import httpx2 as httpx
from openai.types.responses import Response

from tests import patient
from tests.oracle import check_event, check_response, type_findings
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

"""Less than the silence after which a server says that it is there, and looks again."""
DONE = b"data: [DONE]"
LOOK_SECONDS = 0.01


class Following:
    """A stream whose client reads when the test wants it to. ``read`` is all that was read."""

    def __init__(self, answer: httpx.Response) -> None:
        self.read = b""
        self._pieces = answer.iter_raw()

    def until(self, type_: str) -> list[Any]:  # JSON
        """Read up to the first event of this type, and give all events so far. ``type_`` is without ``response.``."""
        mark = b"event: response." + type_.encode() + b"\n"
        while not (self.read.partition(mark)[2].count(b"\n\n") and self.read.endswith(b"\n\n")):
            self.read += next(self._pieces)
        return events(self.read)

    def rest(self) -> list[Any]:  # JSON
        """Read to the end of the stream, and give all events."""
        self.read += b"".join(self._pieces)
        return events(self.read)


def events(content: bytes) -> list[Any]:  # JSON
    """The events of a stream, each of which is checked."""
    assert not content or content.endswith(b"\n\n")
    bodies = [frame.partition(b"\ndata: ")[2] for frame in frames(content) if not frame.startswith(DONE)]
    for body in bodies:
        check_event(body)
    return [json.loads(body) for body in bodies]


def frames(content: bytes) -> list[bytes]:
    """The events of a stream, and its end mark, as they are written."""
    return [frame + b"\n\n" for frame in content.split(b"\n\n")[:-1] if not frame.startswith(b":")]


def types(told: list[Any]) -> list[str]:  # JSON
    """The types of events, without ``response.``."""
    return [event["type"].removeprefix("response.") for event in told]


def numbers(told: list[Any]) -> list[int]:  # JSON
    """The numbers of events."""
    return [event["sequence_number"] for event in told]


def created(url: str, model: str, **body: Any) -> Any:  # JSON
    """Ask for a response in the background, and give it as it was answered."""
    answer = patient.post(f"{url}/v1/responses", json={"model": model, "input": "hi", "background": True, **body})
    assert 200 == answer.status_code, answer.text
    check_response(answer.content)
    return answer.json()


def retrieved(url: str, id: str) -> Any:  # JSON
    """A response as it is now."""
    answer = patient.get(f"{url}/v1/responses/{id}")
    assert 200 == answer.status_code, answer.text
    _check_snapshot(answer.content)
    return answer.json()


def cancelled(url: str, id: str) -> Any:  # JSON
    """What a cancellation answers."""
    answer = patient.post(f"{url}/v1/responses/{id}/cancel")
    assert 200 == answer.status_code, answer.text
    check_response(answer.content)
    return answer.json()


def eventually(url: str, id: str, fits: Callable[[Any], bool]) -> Any:  # JSON
    """A response as it is once it fits; fails the test where that takes too long."""
    end = time.monotonic() + HANG_SECONDS
    while not fits(response := retrieved(url, id)):
        assert time.monotonic() < end, response
        time.sleep(LOOK_SECONDS)  # a client that polls
    return response


def ended(url: str, id: str) -> Any:  # JSON
    """A response once it has ended, by the loop that the documentation teaches."""
    return eventually(url, id, lambda response: response["status"] not in {"queued", "in_progress"})


def text(response: Any) -> str:  # JSON
    """The text of the first item of an output; empty where there is none yet."""
    return "".join(part["text"] for item in response["output"][:1] for part in item["content"])


@contextmanager
def posted(url: str, model: str, **body: Any) -> Iterator[Following]:  # JSON
    """Follow a response from its creation."""
    content = {"model": model, "input": "hi", "background": True, "stream": True, **body}
    with httpx.stream("POST", f"{url}/v1/responses", json=content, timeout=HANG_SECONDS) as answer:
        yield Following(streaming(answer))


@contextmanager
def followed(url: str, id: str, *, after: int | None = None) -> Iterator[Following]:
    """Follow a response that is there."""
    place = "" if after is None else f"&starting_after={after}"
    with httpx.stream("GET", f"{url}/v1/responses/{id}?stream=true{place}", timeout=HANG_SECONDS) as answer:
        yield Following(streaming(answer))


def told(url: str, id: str, *, after: int | None = None) -> bytes:
    """All that a stream of a response carries, to its end."""
    with followed(url, id, after=after) as stream:
        stream.rest()
        return stream.read


def _check_snapshot(body: bytes) -> None:
    """Check a response that may still run: what it has made so far is nowhere recorded, and the types allow it."""
    response = json.loads(body)
    if response["status"] == "in_progress":
        assert [] == type_findings(Response, body)
        body = json.dumps({**response, "output": []}).encode()
    check_response(body)


def streaming(answer: httpx.Response) -> httpx.Response:
    """The same answer, which is a stream."""
    assert 200 == answer.status_code, answer.read()
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer
