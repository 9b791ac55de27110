"""The routes that count and compact, as clients see them."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import OpenAI

from antiphon.config import Config
from antiphon.http.auth import Config as Auth
from antiphon.http.auth import Key
from tests import patient
from tests.drawing import noise
from tests.seeing import seeing
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response

KEYS = Auth(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])
A, B = {"authorization": "Bearer key-a"}, {"authorization": "Bearer key-b"}
REPLIES: list[dict[str, Any]] = [
    {"when": "limit", "steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "Too fast.", "retry_after": 2}}]},
    {"when": "handover notes", "steps": [{"text": "NOTES"}], "usage": {"input_tokens": 90, "output_tokens": 7}},
]
TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server of two tenants; the upstream of one model does not say what it costs."""
    with seeing() as upstream:
        deployments: list[dict[str, Any]] = [
            {"name": "m", "backend": "scripted", "replies": REPLIES},
            {"name": "uncounted", "backend": "chat_completions", "base_url": upstream},
        ]
        with serving(Config(store=MEMORY, deployments=deployments, auth=KEYS)) as url:
            yield url


@pytest.fixture
def client(address: str) -> Iterator[OpenAI]:
    """The official client. Its types know no message of the user's in an output, and the live service sends them."""
    with OpenAI(base_url=f"{address}/v1", api_key="key-a", max_retries=0) as made:
        yield made


def asked(address: str, path: str, *, headers: dict[str, str] = A, **body: Any) -> Response:  # JSON
    """What is answered."""
    return patient.post(f"{address}{path}", json={"model": "m", **body}, headers=headers)


def count(address: str, **body: Any) -> Response:  # JSON
    """How many tokens that are."""
    return asked(address, "/v1/responses/input_tokens", **body)


def compact(address: str, **body: Any) -> Response:  # JSON
    """What it is summed up to."""
    return asked(address, "/v1/responses/compact", **body)


# Counting


@pytest.mark.parametrize(("model", "tokens", "how"), [("m", 4, "exact"), ("uncounted", 12, "estimated")])
def test_an_input_is_counted(address: str, model: str, tokens: int, how: str) -> None:
    """By the model's own rule where it has one, and the header says how well."""
    answer = count(address, model=model, input="Hello, how are you?")
    assert 200 == answer.status_code
    assert {"object": "response.input_tokens", "input_tokens": tokens} == answer.json()
    assert how == answer.headers["x-token-count"]
    assert "x-ignored-params" not in answer.headers


def test_the_official_client_counts(client: OpenAI) -> None:
    """With its own method."""
    counted = client.responses.input_tokens.count(model="uncounted", input=[{"role": "user", "content": "Hello."}])
    assert "response.input_tokens" == counted.object
    assert 5 < counted.input_tokens < 15


def test_all_that_a_model_reads_is_counted(address: str) -> None:
    """Instructions, tools, the form of the text, images and the turns before."""
    text = "What is the weather in Paris, and what will it be tomorrow? " * 5
    plain = count(address, input="Hi", model="uncounted").json()["input_tokens"]
    before = asked(address, "/v1/responses", input=text).json()
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": text}}}
    picture = f"data:image/png;base64,{b64encode(noise('one', side=600)).decode()}"
    shown = [{"role": "user", "content": [{"type": "input_image", "image_url": picture}]}]
    for more in (
        {"input": text},
        {"input": "Hi", "instructions": text},
        {"input": "Hi", "tools": [{"type": "function", "name": "weather", "parameters": schema}]},
        {"input": "Hi", "text": {"format": {"type": "json_schema", "name": "city", "schema": schema}}},
        {"input": "Hi", "previous_response_id": before["id"]},
        {"input": shown},
    ):
        answer = count(address, model="uncounted", **more)
        assert 200 == answer.status_code, answer.text
        assert answer.json()["input_tokens"] > plain + 40


def test_what_does_not_count_is_named(address: str) -> None:
    """``personality`` is known, and changes nothing."""
    answer = count(address, input="Hi", personality="friendly", stream=True, temperature=0.3, colour="red")
    assert 200 == answer.status_code
    assert {"stream", "temperature", "colour"} == set(answer.headers["x-ignored-params"].split(", "))


@pytest.mark.parametrize("path", ["/v1/responses/input_tokens", "/v1/responses/compact"])
def test_what_cannot_be_created_cannot_be_asked_about(address: str, path: str) -> None:
    """It is refused in the same words."""
    unknown = asked(address, path, input="Hi", model="nobody")
    assert (400, "model_not_found") == (unknown.status_code, unknown.json()["error"]["code"])
    gone = asked(address, path, input="Hi", previous_response_id="resp_0")
    assert (400, "previous_response_not_found") == (gone.status_code, gone.json()["error"]["code"])
    assert (400, "missing_required_parameter") == (
        (nothing := asked(address, path)).status_code,
        nothing.json()["error"]["code"],
    )
    assert 401 == asked(address, path, input="Hi", headers={"authorization": "Bearer other"}).status_code
    assert 405 == patient.get(f"{address}{path}", headers=A).status_code


def test_counting_asks_no_model(address: str) -> None:
    """One that would refuse counts all the same."""
    assert 200 == count(address, input="limit").status_code


# Compacting


def test_a_conversation_is_compacted(address: str) -> None:
    """What the user said comes back as it was sent, then the summary; what that cost is told."""
    answer = compact(address, input=[{"role": "user", "content": "Hi", "id": "msg_mine"}, *TALK[1:]])
    body = answer.json()
    assert ("response.compaction", "resp_") == (body["object"], body["id"][:5])
    assert {"id", "object", "created_at", "output", "usage"} == set(body)
    said, summary = body["output"]
    assert {
        "type": "message",
        "id": "msg_mine",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "Hi"}],
    } == said
    assert ("compaction", "cmp_") == (summary["type"], summary["id"][:4])
    assert "NOTES" not in summary["encrypted_content"]
    assert (90, 7, 97) == tuple(body["usage"][key] for key in ("input_tokens", "output_tokens", "total_tokens"))


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # its types know no message of the user's here
def test_the_official_client_compacts_and_goes_on(client: OpenAI) -> None:
    """The output is the next input, unchanged: the model reads what the user said, and the summary."""
    compacted = client.responses.compact(model="m", input=[{"role": "user", "content": "Hi"}], prompt_cache_key="k")
    assert ["message", "compaction"] == [item.type for item in compacted.output]
    output: Any = compacted.output  # the client sends its own objects back
    answer = client.responses.create(model="m", input=[*output, {"role": "user", "content": "And now?"}])
    assert "You said: And now?" == answer.output_text
    assert "NOTES" in client.responses.create(model="m", input=output).output_text


def test_nothing_of_it_is_kept(address: str) -> None:
    """Its id leads nowhere."""
    id = compact(address, input=TALK).json()["id"]
    assert 404 == patient.get(f"{address}/v1/responses/{id}", headers=A).status_code


def test_a_chain_is_compacted(address: str) -> None:
    """All that the user said in it comes back, with the ids that it has in the chain."""
    first = asked(address, "/v1/responses", input="One").json()
    second = asked(address, "/v1/responses", input="Two", previous_response_id=first["id"]).json()
    *said, summary = compact(address, previous_response_id=second["id"]).json()["output"]
    assert ["One", "Two"] == [item["content"][0]["text"] for item in said]
    items = patient.get(f"{address}/v1/responses/{second['id']}/input_items", headers=A).json()["data"]
    assert {item["id"] for item in said} <= {item["id"] for item in items}
    assert "compaction" == summary["type"]


def test_a_picture_of_the_users_comes_back_whole(address: str) -> None:
    """From a chain, too, where it lies elsewhere."""
    picture = f"data:image/png;base64,{b64encode(noise('two', side=300)).decode()}"
    shown = {"role": "user", "content": [{"type": "input_image", "image_url": picture, "detail": "auto"}]}
    kept = asked(address, "/v1/responses", input=[shown]).json()
    for body in ({"input": [shown]}, {"previous_response_id": kept["id"]}):
        (said, _) = compact(address, **body).json()["output"]
        assert picture == said["content"][0]["image_url"]


def test_what_was_compacted_is_compacted_again(address: str) -> None:
    """The summary is summed up with what followed, and is no message of the user's."""
    output = compact(address, input=TALK).json()["output"]
    again = compact(address, input=[*output, {"role": "user", "content": "More"}]).json()["output"]
    assert ["message", "message", "compaction"] == [item["type"] for item in again]
    assert ["Hi", "More"] == [item["content"][0]["text"] for item in again[:2]]


def test_a_summary_of_anothers_is_refused(address: str) -> None:
    """And so is one that was changed."""
    output = compact(address, input=TALK).json()["output"]
    changed = [*output[:-1], {**output[-1], "encrypted_content": output[-1]["encrypted_content"][:-8] + "AAAAAAA="}]
    for body, headers in ((output, B), (changed, A)):
        answer = asked(address, "/v1/responses", input=body, headers=headers)
        assert (400, "invalid_encrypted_content") == (answer.status_code, answer.json()["error"]["code"])
        assert output[-1]["id"] in answer.json()["error"]["message"]


def test_a_model_that_cannot_be_asked_is_an_error(address: str) -> None:
    """Of the same kind as of a response."""
    answer = compact(address, input="limit")
    assert (429, "rate_limit_exceeded") == (answer.status_code, answer.json()["error"]["code"])
    assert "2" == answer.headers["retry-after"]


def test_compacting_needs_a_model(address: str) -> None:
    """In the body, or in the path."""
    bare = {"input": TALK}
    refused = patient.post(f"{address}/v1/responses/compact", json=bare, headers=A)
    assert (400, "model") == (refused.status_code, refused.json()["error"]["param"])
    assert 400 == patient.post(f"{address}/v1/responses/compact", json={**bare, "model": None}, headers=A).status_code
    named = patient.post(f"{address}/openai/deployments/m/responses/compact", json=bare, headers=A)
    assert 200 == named.status_code


def test_what_compacting_does_not_know_is_named(address: str) -> None:
    """It is no run, in the background or elsewhere."""
    answer = compact(address, input=TALK, background=True, stream=True, tools=[], store=False, colour="red")
    assert 200 == answer.status_code
    assert {"background", "stream", "store", "colour"} == set(answer.headers["x-ignored-params"].split(", "))


def test_a_cost_that_nobody_counted_is_estimated(address: str) -> None:
    """The answer must have one."""
    usage = compact(address, input=TALK, model="uncounted").json()["usage"]
    assert usage["input_tokens"] > 0
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]
