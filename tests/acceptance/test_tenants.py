"""Tenants do not meet: every route and every kind of id, asked for by another tenant, against what was never there.

The routes are those of the OpenAPI document, so that a new one cannot be forgotten: it needs a line in
`tests.acceptance.naming`, which says how it names what is somebody's, or that it names nothing.
"""

from __future__ import annotations

import json
import secrets
import time
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any  # JSON

import httpx2 as httpx
import pytest
from msgspec.structs import replace

from antiphon import outbound
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from antiphon.http.openapi import document
from antiphon.http.operations import OPERATIONS as DESCRIBED
from tests.acceptance.naming import BODIES, MODEL, NAMELESS, OPERATIONS, said
from tests.http.talking import talking
from tests.mcp_servers import library
from tests.mcp_servers.shelves import PNG
from tests.patient import HANG_SECONDS
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.naming import Naming
    from tests.http.talking import Talk

    Ids = dict[str, str]

pytestmark = pytest.mark.slow

KEYS = Auth(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])
REPLIES: tuple[dict[str, Any], ...] = (
    {"when": "slowly", "tokens_per_second": 5, "steps": [{"text": "word " * 3000}]},
    {"when": "add", "after_output": False, "steps": [{"call": {"name": "lib__add", "arguments": {"a": 1, "b": 2}}}]},
    {"steps": [{"text": "Yes."}]},
)
MOUNTS = {"openai": "/v1", "azure": "/openai/v1", "azure, dated": "/openai"}
VARYING = {"x-request-id", "apim-request-id", "openai-processing-ms", "date"}
"""Headers that are different in two answers to the same request."""
UPLOAD = {"filename": "b.txt", "bytes": 3, "purpose": "user_data", "mime_type": "text/plain"}
TIMED = 60


class World:
    """A server, what tenant A has there, one of each kind, and what tenant B has itself."""

    def __init__(self, client: httpx.Client, address: str, mcp_url: str) -> None:
        self.client = client
        self.address = address
        self.ids = self._furnished(mcp_url)
        self.own = {
            "own": self.made("/conversations", "key-b", json={"items": []})["id"],
            "own upload": self.made("/uploads", "key-b", json=UPLOAD)["id"],
            "item": self.ids["conversation item"],
            "part": self.ids["part"],
        }
        self.seen = self.look()

    def ask(self, method: str, path: str, *, key: str, **more: Any) -> httpx.Response:
        """Ask as whoever has the key."""
        return self.client.request(method, path, headers={"api-key": key}, **more)

    def made(self, path: str, key: str = "key-a", **more: Any) -> Any:
        """Something new, and its JSON."""
        answer = self.ask("POST", f"/v1{path}", key=key, **more)
        assert 200 == answer.status_code, answer.text
        return answer.json()

    def _furnished(self, mcp_url: str) -> Ids:
        """What tenant A has: the ids of one thing of each kind."""
        conversation = self.made("/conversations", json={"items": [{"role": "user", "content": "One."}]})["id"]
        response = self.made("/responses", json=MODEL)
        tools = [{"type": "mcp", "server_label": "lib", "server_url": mcp_url, "require_approval": "always"}]
        asking = self.made("/responses", json={"model": "m", "input": "add", "tools": tools})
        upload = self.made("/uploads", json=UPLOAD)["id"]
        ended = self.made("/responses", json={**MODEL, "background": True})["id"]
        with self.client.stream("GET", f"/v1/responses/{ended}?stream=true", headers={"api-key": "key-a"}) as events:
            events.read()
        items = self.ask("GET", f"/v1/conversations/{conversation}/items", key="key-a").json()["data"]
        return {
            "response": response["id"],
            "running": self.made("/responses", json={"model": "m", "input": "slowly", "background": True})["id"],
            "ended": ended,
            "item": response["output"][0]["id"],
            "asking": asking["id"],
            "approval": next(item["id"] for item in asking["output"] if item["type"] == "mcp_approval_request"),
            "conversation": conversation,
            "conversation item": items[0]["id"],
            "file": self._file("a.txt", b"A secret.", "user_data"),
            "picture": self._file("a.png", PNG, "vision"),
            "upload": upload,
            "part": self.made(f"/uploads/{upload}/parts", files={"data": ("x", b"abc")})["id"],
        }

    def _file(self, name: str, content: bytes, purpose: str) -> str:
        id: str = self.made("/files", files={"file": (name, content)}, data={"purpose": purpose})["id"]
        return id

    def look(self) -> dict[str, Any]:
        """What tenant A sees of all that it has, but for the pace of what runs."""
        ids = self.ids
        paths = {
            "response": f"/responses/{ids['response']}",
            "ended": f"/responses/{ids['ended']}?stream=true",
            "asking": f"/responses/{ids['asking']}/input_items",
            "conversation": f"/conversations/{ids['conversation']}",
            "items": f"/conversations/{ids['conversation']}/items",
            "file": f"/files/{ids['file']}",
            "picture": f"/files/{ids['picture']}/content",
        }
        seen = {kind: self.ask("GET", f"/v1{path}", key="key-a") for kind, path in paths.items()}
        running = self.ask("GET", f"/v1/responses/{ids['running']}", key="key-a").json()
        return {
            "runs": running["status"] in {"queued", "in_progress"},
            **{kind: (answer.status_code, answer.content) for kind, answer in seen.items()},
        }

    def refused(self, naming: Naming, id: str, *, mount: str) -> tuple[int, str, dict[str, str]]:
        """What tenant B gets: the status, the body without the id, and the headers that do not vary."""
        marks = {"id": id, **self.own}
        answer = self.ask(naming.method, f"{mount}{naming.url(marks)}", key="key-b", **naming.sent(marks))
        headers = {name: value for name, value in answer.headers.items() if name not in VARYING}
        return answer.status_code, answer.text.replace(id, "ID"), headers

    def both(self, kind: str) -> tuple[str, str]:
        """The id of what is tenant A's, and one of the same form that nobody has."""
        return self.ids[kind], never_made(self.ids[kind])


def never_made(id: str) -> str:
    """An id of the same form and length that nobody has: its last half is another."""
    half = len(id) // 2
    return id[:half] + secrets.token_hex(len(id))[: len(id) - half]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A server of two tenants."""
    with library() as mcp:
        place = httpx.URL(mcp.url).netloc.decode()
        config = replace(scripted(*REPLIES), auth=KEYS, outbound=outbound.Config(allow_private=[place]))
        with serving(config) as address, httpx.Client(base_url=address, timeout=HANG_SECONDS) as client:
            made = World(client, address, mcp.url)
            assert made.seen["runs"]
            yield made
            made.ask("POST", f"/v1/responses/{made.ids['running']}/cancel", key="key-a")
            ended = made.made(f"/uploads/{made.ids['upload']}/complete", json={"part_ids": [made.ids["part"]]})
            assert "completed" == ended["status"], "nobody else has ended it"


def test_every_operation_of_the_document_is_walked() -> None:
    """A new one needs a line in the table; what stands beside the API needs no key, and names nothing."""
    of_the_api = {operation.id for methods in DESCRIBED.values() for operation in methods.values()}
    assert of_the_api == OPERATIONS.keys() | NAMELESS
    paths = json.loads(document())["paths"]
    beside = [
        path
        for path, methods in paths.items()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"} and operation.get("operationId") not in of_the_api
    ]
    assert [] == [path for path in beside if "{" in path]


@pytest.mark.parametrize("mount", MOUNTS.values(), ids=MOUNTS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_foreign_is_what_was_never_there(world: World, operation: str, mount: str) -> None:
    """The same status, the same bytes but for the id, and the same headers; it is a refusal, and changes nothing."""
    for naming in OPERATIONS[operation]:
        foreign, missing = [world.refused(naming, id, mount=mount) for id in world.both(naming.kind)]
        assert missing == foreign, naming
        is_in_path = "{id}" in naming.path.partition("?")[0]
        assert foreign[0] in ({404} if is_in_path else {400, 404}), (naming, foreign)
    assert world.seen == world.look()


def test_what_is_listed_is_ones_own(world: World) -> None:
    """Nothing of another's stands in a list."""
    lists = [world.ask("GET", "/v1/files?limit=100", key=key).text for key in ("key-a", "key-b")]
    assert [True, False] == [world.ids["file"] in listed for listed in lists]
    assert [] == [id for id in world.ids.values() if id in lists[1]]


def test_a_file_in_a_conversation_is_looked_up_for_who_asks(world: World) -> None:
    """Items are kept as they are sent; that they name another's file is found out when a model is to read it."""
    answers: list[tuple[int, str]] = []
    for id in world.both("file"):
        items = [said({"type": "input_file", "file_id": id})]
        conversation = world.made("/conversations", "key-b", json={"items": items})["id"]
        answer = world.ask("POST", "/v1/responses", key="key-b", json={**MODEL, "conversation": conversation})
        answers.append((answer.status_code, answer.text.replace(id, "ID")))
    assert answers[0] == answers[1]
    assert answers[0][0] in {400, 404}


@pytest.mark.parametrize("kind", BODIES)
def test_a_socket_is_its_tenants(world: World, kind: str) -> None:
    """What it names of another's is what was never there."""
    with talking(world.address, api_key="key-b") as talk:
        foreign, missing = [
            json.dumps(talk.turn(**json.loads(json.dumps(BODIES[kind]).replace("{id}", id)))).replace(id, "ID")
            for id in world.both(kind)
        ]
    assert missing == foreign
    assert "error" == json.loads(foreign)["type"]


def test_a_socket_remembers_for_its_own_tenant(world: World) -> None:
    """A response that is kept nowhere but in the memory of a connection."""
    with talking(world.address, api_key="key-a") as mine, talking(world.address, api_key="key-b") as theirs:
        id = mine.turn(store=False)["response"]["id"]
        assert "response.completed" == mine.turn(previous_response_id=id)["type"]
        ids = (id, never_made(id))
        foreign, missing = [json.dumps(theirs.turn(previous_response_id=each)).replace(each, "ID") for each in ids]
        assert missing == foreign
        told = [told_of(theirs, each) for each in ids]
        assert told[0] == told[1]


def told_of(talk: Talk, id: str) -> dict[str, Any]:
    """What is answered to input for a response, without its id and the number of the event."""
    talk.say(type="response.inject", response_id=id, input=[])
    event: dict[str, Any] = json.loads(json.dumps(talk.hear()).replace(id, "ID"))
    del event["sequence_number"]
    return event


@contextmanager
def timed(taken: list[float]) -> Iterator[None]:
    """Note how long something takes."""
    began = time.perf_counter()
    yield
    taken.append(time.perf_counter() - began)


def test_foreign_and_missing_take_the_same_time(world: World) -> None:
    """In turn, so that whatever else the machine does falls on both: the median of each is about that of the other."""
    foreign: list[float] = []
    missing: list[float] = []
    ask = partial(world.ask, "GET", key="key-b")
    for _ in range(TIMED):
        theirs, nobodys = world.both("response")
        with timed(foreign):
            ask(f"/v1/responses/{theirs}")
        with timed(missing):
            ask(f"/v1/responses/{nobodys}")
    assert 0.5 < median(foreign) / median(missing) < 2
