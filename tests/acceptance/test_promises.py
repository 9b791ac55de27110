"""The promises that are told in one sitting: nothing is silent, tenants do not meet, secrets are not kept."""

from __future__ import annotations

import asyncio
import time
from itertools import product
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest
from msgspec.structs import replace

from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from antiphon.wiring.running import serve
from tests import patient
from tests.acceptance.operating import configured, operating
from tests.patient import HANG_SECONDS
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any  # JSON

    from antiphon.http.app import App
    from tests.acceptance.operating import Operated

pytestmark = pytest.mark.slow

# 3. Nothing silent.

ECHOING = '[[deployments]]\nname = "*"\nbackend = "scripted"\n'
WITHOUT_EFFECT: dict[str, Any] = {
    "client_metadata": {"a": "b"},
    "context_management": [{"type": "compaction"}],
    "prompt_cache_options": {"prewarm": True},
    "moderation": {"model": "m"},
    "tools": [{"type": "web_search"}, {"type": "code_interpreter", "container": {"type": "auto"}}],
}
IGNORED = [
    "client_metadata",
    "context_management",
    "moderation",
    "prompt_cache_options.prewarm",
]
UNAVAILABLE = ["web_search", "code_interpreter"]


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """A server of an operator's, with a scripted model."""
    with operating(configured(tmp_path_factory.mktemp("operated"), ECHOING)) as server:
        yield server


@pytest.mark.parametrize("stream", [False, True])
def test_what_has_no_effect_is_named_in_headers_and_in_the_log(operated: Operated, *, stream: bool) -> None:
    """Ignored parameters and tools that cannot run here, for a body and for a stream; the log names the response."""
    body = {"model": "m", "input": "hi", "stream": stream, **WITHOUT_EFFECT}
    before = len(operated.log("request_without_effect"))
    answer = patient.post(f"{operated.address}/v1/responses", json=body)
    assert 200 == answer.status_code
    assert IGNORED == sorted(answer.headers["x-ignored-params"].split(", "))
    assert UNAVAILABLE == answer.headers["x-unavailable-tools"].split(", ")
    line = operated.logged("request_without_effect", before + 1)[-1]
    assert line["response"] in answer.text
    assert "warning" == line["level"]
    assert all(name in line["ignored"] for name in IGNORED)
    assert UNAVAILABLE == line["unavailable"]


def test_a_request_that_is_heard_whole_is_not_spoken_of(operated: Operated) -> None:
    """Neither header is there where everything had its effect."""
    answer = patient.post(f"{operated.address}/v1/responses", json={"model": "m", "input": "hi"})
    assert not {"x-ignored-params", "x-unavailable-tools"} & set(answer.headers)
    assert not any(line["response"] in answer.text for line in operated.log("request_without_effect"))


@pytest.mark.parametrize("stream", [False, True])
def test_a_chain_that_leads_nowhere_is_an_error(operated: Operated, *, stream: bool) -> None:
    """The model is not asked as if there had been no history."""
    body = {"model": "m", "input": "hi", "previous_response_id": "resp_gone", "stream": stream}
    answer = patient.post(f"{operated.address}/v1/responses", json=body)
    assert (400, "previous_response_not_found") == (answer.status_code, answer.json()["error"]["code"])


# 6. Tenants do not meet.

MINE, THEIRS = {"api-key": "key-a"}, {"api-key": "key-b"}
TWO_TENANTS = Auth(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])
WITHOUT_IDS = {
    *("/responses", "/responses/input_tokens", "/responses/compact"),
    *("/models", "/files", "/uploads", "/conversations"),
}
OF_NO_TENANT = {"/models/{id:path}"}
OF_A_RESPONSE = {"/responses/{id}", "/responses/{id}/cancel", "/responses/{id}/input_items"}
OF_A_FILE = {"/files/{id}", "/files/{id}/content"}
OF_AN_UPLOAD = {"/uploads/{id}/parts", "/uploads/{id}/complete", "/uploads/{id}/cancel"}
OF_A_CONVERSATION = {"/conversations/{id}", "/conversations/{id}/items", "/conversations/{id}/items/{item_id}"}
TIMES = 40


def mounted() -> dict[str, set[str]]:
    """Every path of the application below ``/v1``, with its methods."""
    found: dict[str, set[str]] = {}

    async def look(app: App) -> None:
        for route in app._router.routes:
            path = route.path.removeprefix("/v1")  # type: ignore[attr-defined] # all are `Route`s
            if path != route.path:  # type: ignore[attr-defined] # the same
                found[path] = set(route.endpoint._answers)  # type: ignore[attr-defined] # the same

    asyncio.run(serve(scripted(), look))
    return found


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[str, str, str]]:
    """A server of two tenants: its address, a response of the first tenant's, and an item of its output."""
    with serving(replace(scripted(), auth=TWO_TENANTS)) as address:
        body = {"model": "m", "input": "hi"}
        response = patient.post(f"{address}/v1/responses", json=body, headers=MINE).json()
        yield address, response["id"], response["output"][0]["id"]


def none_like(id: str) -> str:
    """An id of the same form that nobody has."""
    return id[:-6] + ("facade" if not id.endswith("facade") else "decade")


def test_every_route_is_known_to_these_tests() -> None:
    """A new route is added to one of the sets above, and so to the walk below."""
    known = WITHOUT_IDS | OF_NO_TENANT | OF_A_RESPONSE | OF_A_FILE | OF_AN_UPLOAD | OF_A_CONVERSATION
    assert known == mounted().keys()


@pytest.mark.parametrize("path", sorted(OF_A_RESPONSE))
def test_what_is_foreign_is_as_if_it_were_not(shared: tuple[str, str, str], path: str) -> None:
    """Every method of every route answers for another tenant's id as for one that nobody has: status, body, headers."""
    address, id, _ = shared
    for mount in ("/v1", "/openai/v1"):
        for method in mounted()[path]:
            for query in ("", "?stream=true", "?limit=1&after=msg_x"):
                foreign, missing = (
                    patient.request(method, f"{address}{mount}{path.replace('{id}', each)}{query}", headers=THEIRS)
                    for each in (id, none_like(id))
                )
                assert 404 == foreign.status_code
                assert seen(foreign, id) == seen(missing, none_like(id))
    assert 200 == patient.get(f"{address}/v1/responses/{id}", headers=MINE).status_code


@pytest.mark.parametrize("path", sorted(OF_A_FILE | OF_AN_UPLOAD))
def test_a_foreign_file_is_as_if_it_were_not(shared: tuple[str, str, str], path: str) -> None:
    """And so is an upload: status, body, headers."""
    address, _, _ = shared
    id = kept_file(address) if path in OF_A_FILE else begun_upload(address)
    for method in mounted()[path]:
        foreign, missing = (
            patient.request(
                method,
                f"{address}/v1{path.replace('{id}', each)}",
                headers=THEIRS,
                json={"part_ids": []} if path.endswith("complete") else None,
            )
            for each in (id, none_like(id))
        )
        assert 404 == foreign.status_code
        assert seen(foreign, id) == seen(missing, none_like(id))
    asked = {"model": "m", "input": [{"role": "user", "content": [{"type": "input_file", "file_id": id}]}]}
    if path in OF_A_FILE:
        assert 404 == patient.post(f"{address}/v1/responses", json=asked, headers=THEIRS).status_code
        assert 200 == patient.post(f"{address}/v1/responses", json=asked, headers=MINE).status_code


@pytest.mark.parametrize("path", sorted(OF_A_CONVERSATION))
def test_a_foreign_conversation_is_as_if_it_were_not(shared: tuple[str, str, str], path: str) -> None:
    """Nor is one of its items: status, body, headers; and no response goes on from it."""
    address, _, _ = shared
    said: Any = {"items": [{"role": "user", "content": "hi"}], "metadata": {}}
    id = patient.post(f"{address}/v1/conversations", headers=MINE, json=said).json()["id"]
    listed = patient.get(f"{address}/v1/conversations/{id}/items", headers=MINE).json()
    item = listed["data"][0]["id"]
    for method in mounted()[path]:
        foreign, missing = (
            patient.request(
                method,
                f"{address}/v1{path.replace('{id}', each).replace('{item_id}', item)}",
                headers=THEIRS,
                json=said if method == "POST" else None,
            )
            for each in (id, none_like(id))
        )
        assert 404 == foreign.status_code
        assert seen(foreign, id) == seen(missing, none_like(id))
    asked = {"model": "m", "input": "hi", "conversation": id}
    assert 404 == patient.post(f"{address}/v1/responses", json=asked, headers=THEIRS).status_code
    assert listed == patient.get(f"{address}/v1/conversations/{id}/items", headers=MINE).json()


def kept_file(address: str) -> str:
    """A file of the first tenant's."""
    form: Any = {"data": {"purpose": "user_data"}, "files": {"file": ("a.txt", b"mine")}}
    return str(patient.post(f"{address}/v1/files", headers=MINE, **form).json()["id"])


def begun_upload(address: str) -> str:
    """An upload of the first tenant's."""
    body = {"filename": "a.txt", "purpose": "user_data", "bytes": 4, "mime_type": "text/plain"}
    return str(patient.post(f"{address}/v1/uploads", headers=MINE, json=body).json()["id"])


def seen(answer: httpx.Response, id: str) -> tuple[int, str, list[str]]:
    """All of an answer that could tell something, the id apart."""
    return answer.status_code, answer.text.replace(id, "ID"), sorted(answer.headers)


def referring(id: str, item: str) -> dict[str, dict[str, Any]]:
    """The ways in which a new request names what is kept."""
    return {
        "previous_response_id": {"input": "hi", "previous_response_id": id},
        "item_reference": {"input": [{"type": "item_reference", "id": item}]},
        "id alone": {"input": [{"role": "user", "content": "hi"}, {"id": item}]},
        "item_reference to a response": {"input": [{"type": "item_reference", "id": id}]},
    }


def test_a_request_cannot_refer_to_what_is_foreign(shared: tuple[str, str, str]) -> None:
    """Neither chain nor item reference reaches another tenant's responses, and the refusal tells nothing."""
    address, id, item = shared
    foreign, missing = referring(id, item), referring(none_like(id), none_like(item))
    for way in foreign:
        one, other = (
            patient.post(f"{address}/v1/responses", json={"model": "m", **body}, headers=THEIRS)
            for body in (foreign[way], missing[way])
        )
        assert one.status_code in {400, 404}, way
        assert one.status_code == other.status_code
        assert one.text.replace(id, none_like(id)).replace(item, none_like(item)) == other.text
    assert (
        200
        == patient.post(f"{address}/v1/responses", json={"model": "m", **foreign["id alone"]}, headers=MINE).status_code
    )


def test_a_page_cannot_begin_at_what_is_foreign(shared: tuple[str, str, str]) -> None:
    """An item of another tenant's is no place in one's own list."""
    address, _, item = shared
    own = patient.post(f"{address}/v1/responses", json={"model": "m", "input": "hi"}, headers=THEIRS).json()["id"]
    foreign, missing = (
        patient.get(f"{address}/v1/responses/{own}/input_items?after={each}", headers=THEIRS)
        for each in (item, none_like(item))
    )
    assert 400 == foreign.status_code
    assert seen(foreign, item) == seen(missing, none_like(item))


def test_what_is_foreign_takes_no_longer_than_what_is_missing(shared: tuple[str, str, str]) -> None:
    """Nobody learns from a clock whether an id exists. The fastest of many counts: noise only adds."""
    address, id, _ = shared
    fastest: dict[tuple[str, str], float] = {}
    with httpx.Client(base_url=address, headers=THEIRS, timeout=HANG_SECONDS) as client:
        asks = timed(client)
        for way, each in list(product(asks, (id, none_like(id)))) * TIMES:
            began = time.perf_counter()
            asks[way](each)
            took = time.perf_counter() - began
            fastest[way, each] = min(fastest.get((way, each), took), took)
    for way in asks:
        foreign, missing = fastest[way, id], fastest[way, none_like(id)]
        assert abs(foreign - missing) < 0.001 + 0.5 * missing, way


def timed(client: httpx.Client) -> dict[str, Callable[[str], httpx.Response]]:
    """The questions whose answers are timed."""
    path = "/v1/responses/{}"
    body = {"model": "m", "input": "hi"}
    return {
        "retrieve": lambda each: client.get(path.format(each)),
        "input items": lambda each: client.get(path.format(f"{each}/input_items")),
        "cancel": lambda each: client.post(path.format(f"{each}/cancel")),
        "delete": lambda each: client.delete(path.format(each)),
        "chain": lambda each: client.post("/v1/responses", json={**body, "previous_response_id": each}),
    }
