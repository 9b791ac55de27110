"""Promise 2: one terminal event, always, whatever the upstream does, and the connection closes right after it."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from anyio.to_thread import run_sync
from msgspec import Struct

from antiphon.config import Config
from tests.acceptance.misbehaving import WAYS, Way
from tests.acceptance.upstreams import asked, chunked, upstream
from tests.oracle import check_event, check_response
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from typing import Any  # JSON

    from tests.backends.upstream.raw_server import Peer

pytestmark = pytest.mark.slow

SILENCE_SECONDS = 1.0
END_SECONDS = HANG_SECONDS / 2
AT_ONCE = 8
TERMINAL = {"response.completed", "response.failed", "response.incomplete"}
WATCHED = " (watched)"
FLOOD = chunked(b"x" * 65_536)


class Heard(Struct, frozen=True):
    """What a client got: a status and a body, and how many seconds the body went on after its terminal event."""

    status: int
    body: bytes
    lingered: float = 0.0

    @property
    def is_stream(self) -> bool:
        """Whether the body is events."""
        return self.body.startswith(b"event: ")

    @property
    def events(self) -> list[bytes]:
        """The JSON of each event."""
        return [line[6:] for line in self.body.split(b"\n") if line.startswith(b"data: ")]

    @property
    def response(self) -> Any:  # JSON
        """The response as it ended."""
        return json.loads(self.events[-1])["response"] if self.is_stream else json.loads(self.body)


class Misbehaved:
    """An upstream that takes the way which a request names, and clients that ask for it."""

    def __init__(self) -> None:
        self.address = ""
        self._ways = {way.name: way for way in WAYS}
        self._begun = {way.name: threading.Event() for way in WAYS}

    @property
    def silent(self) -> list[str]:
        """The models whose silence has to end: all others say what they say however long that takes."""
        names = [way.name for way in WAYS if way.is_silent]
        return [*names, *(name + WATCHED for name in names)]

    async def script(self, peer: Peer) -> None:
        """Follow the way that each request's model names; a connection that stays may be used again."""
        staying = True
        while staying:
            model: str = asked(await peer.request())["model"]
            way = self._ways[model.removesuffix(WATCHED)]
            await peer.send(way.said)
            if way.later and model.endswith(WATCHED):
                assert await run_sync(self._begun[way.name].wait, HANG_SECONDS)
            await peer.send(way.later)
            while way.then == "flood":
                await peer.send(FLOOD)
            if way.then == "reset":
                peer.reset()
            staying = way.then == "stay"

    def whole(self, way: Way) -> Heard:
        """Ask for a body."""
        answer = httpx.post(self._url, json={"model": way.name, "input": "hi"}, timeout=HANG_SECONDS)
        return Heard(answer.status_code, answer.content)

    def streamed(self, way: Way) -> Heard:
        """Ask for a stream, and say when it has begun."""
        body = {"model": way.name + WATCHED, "input": "hi", "stream": True}
        got, ended = b"", 0.0
        with httpx.stream("POST", self._url, json=body, timeout=HANG_SECONDS) as answer:
            for piece in answer.iter_bytes():
                got += piece
                if b"response.output_text.delta" in got:
                    self._begun[way.name].set()
                if not ended and any(f"event: {end}\n".encode() in got for end in TERMINAL):
                    ended = time.monotonic()
        return Heard(answer.status_code, got, time.monotonic() - ended if ended else 0.0)

    @property
    def _url(self) -> str:
        return f"{self.address}/v1/responses"


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, tuple[Future[Heard], Future[Heard]]]]:
    """What clients are told of each way, streamed and as a body; all ask at once, as silence takes its time."""
    misbehaved = Misbehaved()
    with upstream(misbehaved.script) as server:
        known = {"backend": "chat_completions", "base_url": server.url}
        silent = [{"name": name, "idle_timeout": SILENCE_SECONDS, **known} for name in misbehaved.silent]
        config = Config(store=MEMORY, deployments=[*silent, {"name": "*", **known}])
        with serving(config) as address, ThreadPoolExecutor(AT_ONCE) as clients:
            misbehaved.address = address
            yield {
                way.name: (clients.submit(misbehaved.streamed, way), clients.submit(misbehaved.whole, way))
                for way in WAYS
            }


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_stream_has_one_end_whatever_the_upstream_does(
    told: dict[str, tuple[Future[Heard], Future[Heard]]], way: Way
) -> None:
    """One terminal event that is the last, or a plain error where nothing was said before; the body ends right then."""
    heard = told[way.name][0].result(HANG_SECONDS)
    assert way.outcome == _outcome(heard), heard.body
    if not heard.is_stream:
        return
    events = [json.loads(event) for event in heard.events]
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    assert [events[-1]["type"]] == [event["type"] for event in events if event["type"] in TERMINAL]
    assert way.text == _text(heard.response)
    assert heard.lingered < END_SECONDS
    for event in heard.events:
        check_event(event)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_body_comes_whatever_the_upstream_does(
    told: dict[str, tuple[Future[Heard], Future[Heard]]], way: Way
) -> None:
    """The response as far as it came, or a plain error: which of the two hangs on how the bytes came."""
    heard = told[way.name][1].result(HANG_SECONDS)
    if heard.status != 200 and way.later and way.outcome == "failed":
        assert _outcome(heard) in {429, 502}
        return
    assert way.outcome == _outcome(heard), heard.body
    if heard.status == 200:
        assert way.text == _text(heard.response)
        check_response(heard.body)


def _outcome(heard: Heard) -> int | str:
    """The status of a response, or of a plain error, which has its four keys and nothing of the upstream in it."""
    if heard.status == 200:
        status: str = heard.response["status"]
        return status
    error = json.loads(heard.body)["error"]
    assert {"message", "type", "param", "code"} == error.keys()
    assert not any(word in error["message"] for word in ("nginx", "CUDA", "127.0.0.1", "<"))
    return heard.status


def _text(response: Any) -> str:  # JSON
    """All that a response says."""
    parts = [part for item in response["output"] for part in item.get("content", [])]
    return "".join(part["text"] for part in parts)
