"""Usage through a real server: every kind of run is counted once, also one that nobody heard the end of."""

from __future__ import annotations

import json
import socket
import time
from functools import reduce
from typing import TYPE_CHECKING, Any  # JSON
from urllib.parse import urlsplit

import anyio
import pytest
from openai import APIStatusError, OpenAI
from websockets.sync.client import connect

from antiphon.config import Config, Storage
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from antiphon.store.sqlite_guest import visit
from antiphon.store.usage import Charge, Usage, summed
from tests.conducting import conducting
from tests.patient import HANG_SECONDS
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from antiphon.core.tally import Tally
    from tests.conducting import Models

pytestmark = pytest.mark.slow

COST = {"input_tokens": 100, "cached_tokens": 40, "output_tokens": 20, "reasoning_tokens": 5}
REPLIES: tuple[dict[str, Any], ...] = (
    {"when": "limit", "steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "Too fast."}}]},
    {"when": "break", "steps": [{"text": "So far, so good."}, {"fail": {"fault": "server_error"}}]},
    {"when": "short", "steps": [{"text": "Cut"}], "finish": "max_output_tokens", "usage": COST},
    {"steps": [{"text": "Hello."}], "usage": COST},
)
KEYS = Auth(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])


class Place:
    """A server, its file, and the models that are conducted behind every name but ``scripted``."""

    def __init__(self, url: str, storage: Storage, models: Models) -> None:
        self.url = url
        self.storage = storage
        self.models = models

    def client(self, key: str = "key-a") -> OpenAI:
        """The official client, which tries nothing again."""
        return OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=HANG_SECONDS)

    def used(self) -> list[Charge]:
        """What was used, as an operator reads it beside the server."""

        async def read() -> list[Charge]:
            database = await visit(self.storage.place)
            try:
                return await Usage(database).read()
            finally:
                await database.aclose()

        return anyio.run(read)

    def counted(self, outcome: str, requests: int = 1, *, deployment: str = "scripted", tenant: str = "a") -> Tally:
        """What ended so, once that many are counted; a second later it is no more."""

        def now() -> list[Tally]:
            key = (tenant, deployment, outcome)
            used = self.used()
            return [each.tally for each in used if key == (each.tenant, each.deployment, each.tally.outcome)]

        until(lambda: sum(each.requests for each in now()) >= requests)
        tally = reduce(summed, now())  # there are two where a day has ended meanwhile
        assert requests == tally.requests
        return tally


def until(is_so: Callable[[], bool]) -> None:
    """Ask until it is so."""
    deadline = time.monotonic() + HANG_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it never was so"


def say_over_a_socket(place: Place, text: str) -> None:
    """Ask for a response that is not stored, and hear it to its end."""
    address = place.url.replace("http://", "ws://")
    with connect(f"{address}/v1/responses", additional_headers={"api-key": "key-a"}) as line:
        line.send(json.dumps({"type": "response.create", "model": "scripted", "input": text, "store": False}))
        until(lambda: "response.completed" == json.loads(line.recv(HANG_SECONDS))["type"])


def leave_unheard(place: Place, name: str, text: str) -> None:
    """Ask a model for something, and hang up once it was asked."""
    body = json.dumps({"model": name, "input": text})
    where = urlsplit(place.url)
    head = (
        f"POST /v1/responses HTTP/1.1\r\nhost: {where.netloc}\r\napi-key: key-a\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((where.hostname, where.port)) as line:
        line.sendall(f"{head}{body}".encode())
        place.models[name].wait()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A server that has counted nothing yet."""
    storage = Storage(url=f"sqlite://{tmp_path}/antiphon.db")
    with conducting() as models:
        deployments = [*scripted(*REPLIES, name="scripted").deployments, models.deployment]
        with serving(Config(store=storage, deployments=deployments, auth=KEYS)) as url:
            yield Place(url, storage, models)


def test_every_kind_of_run_is_counted(place: Place) -> None:
    """A body, a stream, what is not stored, in the background, over a WebSocket, a summary: each once, as reported."""
    with place.client() as client:
        client.responses.create(model="scripted", input="hi")
        for _ in client.responses.create(model="scripted", input="hi", stream=True):
            pass
        client.responses.create(model="scripted", input="hi", store=False)
        queued = client.responses.create(model="scripted", input="hi", background=True)
        until(lambda: client.responses.retrieve(queued.id).status == "completed")
        client.responses.compact(model="scripted", input="hi")
    say_over_a_socket(place, "hi")
    told = place.counted("completed", 6)
    assert (600, 240, 120, 30) == (told.input_tokens, told.cached_tokens, told.output_tokens, told.reasoning_tokens)
    assert (0, 0) == (told.estimated_input, told.estimated_output)


def test_tenants_are_counted_apart_and_for_good(place: Place) -> None:
    """What they took stays when the responses are deleted."""
    for key in ("key-a", "key-b", "key-b"):
        with place.client(key) as client:
            client.responses.delete(client.responses.create(model="scripted", input="hi").id)
    assert 100 == place.counted("completed").input_tokens
    assert 200 == place.counted("completed", 2, tenant="b").input_tokens


def test_a_run_that_ends_badly_is_counted_as_what_it_was(place: Place) -> None:
    """Refused before it began, broken off, and cut short; of what was broken off the tokens are estimated."""
    with place.client() as client:
        with pytest.raises(APIStatusError):
            client.responses.create(model="scripted", input="limit")
        refused = place.counted("failed")
        assert (0, 0) == (refused.input_tokens + refused.output_tokens, refused.estimated_input)
        assert "failed" == client.responses.create(model="scripted", input="break").status
        assert "incomplete" == client.responses.create(model="scripted", input="short").status
    failed = place.counted("failed", 2)
    assert 0 == failed.input_tokens + failed.output_tokens
    assert failed.estimated_input > 0
    assert failed.estimated_output > 0
    assert 100 == place.counted("incomplete").input_tokens


def test_a_run_whose_client_left_is_counted(place: Place) -> None:
    """In the middle of a stream, stored or not, and before anything was said: what was asked is estimated."""
    for store in (True, False):
        place.models["heard"].say("one two three four five")
        with place.client() as client:
            stream = client.responses.create(model="heard", input="count " * 50, stream=True, store=store)
            next(event for event in stream if event.type == "response.output_text.delta")
            stream.close()
        place.counted("cancelled", 1 + (not store), deployment="*")
    heard = place.counted("cancelled", 2, deployment="*")
    assert 60 < heard.estimated_input < 300
    assert 5 < heard.estimated_output < 40
    leave_unheard(place, "mute", "count " * 50)
    unheard = place.counted("cancelled", 3, deployment="*")
    assert unheard.estimated_input > heard.estimated_input
    assert unheard.estimated_output == heard.estimated_output


@pytest.mark.parametrize("is_heard", [False, True])
def test_a_cancelled_background_run_is_counted(place: Place, *, is_heard: bool) -> None:
    """With what its model was asked, and what it had said: nobody counted that, so it is estimated."""
    model = place.models["slow"]
    with place.client() as client:
        queued = client.responses.create(model="slow", input="count " * 50, background=True)
        model.wait()
        if is_heard:
            model.say("one two three four five")
            until(lambda: bool(client.responses.retrieve(queued.id).output_text))
        assert "cancelled" == client.responses.cancel(queued.id).status
        assert "cancelled" == client.responses.cancel(queued.id).status
        model.gone()
    told = place.counted("cancelled", deployment="*")
    assert 0 == told.input_tokens + told.output_tokens
    assert 30 < told.estimated_input < 150
    assert (2 if is_heard else 0) <= told.estimated_output < 20


def test_what_a_router_chose_is_counted(tmp_path: Path) -> None:
    """Under the deployment that answered, and so it is priced: also in the background, and where nothing is stored."""
    storage = Storage(url=f"sqlite://{tmp_path}/antiphon.db")
    router = {"name": "auto", "backend": "router", "rules": [{"deployment": "scripted"}]}
    config = Config(store=storage, deployments=[*scripted(*REPLIES, name="scripted").deployments, router], auth=KEYS)
    with serving(config) as url, conducting() as models:
        place = Place(url, storage, models)
        with place.client() as client:
            client.responses.create(model="auto", input="hi")
            client.responses.create(model="auto", input="hi", store=False)
            client.responses.create(model="auto", input="hi", background=True)
        assert 300 == place.counted("completed", 3).input_tokens
        assert {"scripted"} == {each.deployment for each in place.used()}
