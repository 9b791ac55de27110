"""Tests of the OpenAPI document: it is valid, it is whole, and what it shows is accepted."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any  # an OpenAPI document is open

import jsonschema_rs
import pytest
from msgspec.structs import replace
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from antiphon.http.openapi import EXTENSION, REQUESTS, document
from antiphon.http.operations import OPERATIONS
from antiphon.lifecycle.limiting import Rule
from scripts.reference.http import answers
from tests import patient
from tests.http.talking import talking
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

Document = dict[str, Any]  # an OpenAPI document is open

FOUR_KEYS = {"message", "type", "param", "code"}


@pytest.fixture(scope="module")
def described() -> Document:
    """The document, read."""
    read: Document = json.loads(document())
    return read


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server with limits whose model says one thing, calls the function it is offered, and waits at "busy"."""
    replies = (
        {"when": "weather", "steps": [{"call": {"name": "weather", "arguments": {"city": "Paris"}}}]},
        {"when": "busy", "steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "No.", "retry_after": 1}}]},
        {"steps": [{"text": ['{"city": "Paris",', ' "country": "France"}']}]},
    )
    limits = [Rule(requests_per_minute=10_000, tokens_per_minute=10_000_000)]
    with serving(replace(scripted(*replies), limits=limits)) as url:
        yield url


def faults(described: Document, name: str, value: object) -> list[str]:
    """Where a value is not what a component says."""
    return faults_in(described, {"$ref": f"#/components/schemas/{name}"}, value)


def faults_in(described: Document, schema: Document, value: object) -> list[str]:
    """Where a value is not what a schema of the document says."""
    validator = jsonschema_rs.Draft202012Validator({**schema, "components": described["components"]})
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]


def routed() -> dict[str, set[str]]:
    """The paths and methods that the application answers, in the words of OpenAPI."""
    return {re.sub(r":\w+}", "}", path): methods for path, methods in answers().items()}


def test_the_document_names_every_route_and_no_other(described: Document) -> None:
    """What is answered is described, and what is described is answered."""
    beside = {path: {"GET"} for path in ("/health", "/health/live", "/health/ready", "/openapi.json")}
    paths = {
        path: {key.upper() for key in each if key in {"get", "post", "delete", "put", "patch"}}
        for path, each in described["paths"].items()
    }
    assert routed() | beside == paths


def test_the_document_is_valid(described: Document) -> None:
    """It is OpenAPI 3.1, and its schemas are JSON Schema."""
    OPENAPI_31_VALIDATOR.validate(described)
    for schema in described["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def test_every_reference_leads_somewhere(described: Document) -> None:
    """Nothing is referred to that is not there, and nothing is there that is not used."""
    wanted = set(re.findall(r'"#/components/(\w+/[^"]+)"', document().decode()))
    there = {f"{kind}/{name}" for kind, parts in described["components"].items() for name in parts}
    beside = {name for name in there if name.startswith("securitySchemes/")}
    assert there == wanted | beside


def test_every_operation_has_its_own_name(described: Document) -> None:
    """Programs name their functions by it."""
    names = [operation.id for methods in OPERATIONS.values() for operation in methods.values()]
    assert len(names) == len(set(names))


def test_patterns_are_read_alike_in_every_language(described: Document) -> None:
    """No pattern holds what only Python understands."""
    patterns = re.findall(r'"pattern":"([^"]*)"', document().decode())
    assert patterns
    assert [] == [pattern for pattern in patterns if re.search(r"\\[AZz]|\(\?P", pattern)]


def test_the_server_gives_the_document(address: str) -> None:
    """It is read without a key, and is the same each time."""
    first, second = (patient.get(f"{address}/openapi.json") for _ in range(2))
    assert (200, "application/json", document()) == (first.status_code, first.headers["content-type"], first.content)
    assert first.content == second.content


def test_the_document_is_made_when_it_is_asked_for() -> None:
    """A start does not wait for it, and it is made once."""
    document.cache_clear()
    with serving(scripted()) as url:
        assert 0 == document.cache_info().misses
        for _ in range(2):
            patient.get(f"{url}/openapi.json")
    assert 1 == document.cache_info().misses


@pytest.mark.parametrize("name", REQUESTS)
def test_examples_fit_their_schema(described: Document, name: str) -> None:
    """What is shown is what is described."""
    assert [] == faults(described, "CreateResponse", REQUESTS[name])


@pytest.mark.parametrize("name", REQUESTS)
def test_examples_are_accepted(described: Document, address: str, name: str) -> None:
    """Each example can be sent as it stands, and its answer is what is described."""
    answer = patient.post(f"{address}/v1/responses", json=REQUESTS[name])
    assert 200 == answer.status_code, answer.text
    if REQUESTS[name].get("stream"):
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        assert "response.completed" == events[-1]["type"]
        assert [] == [fault for event in events for fault in faults(described, "StreamEvent", event)]
    else:
        assert [] == faults(described, "Response", answer.json())


SHORTHAND: dict[str, Any] = {  # bodies are told as plain JSON here
    "a text": "hi",
    "nothing but instructions": None,
    "a message with a text": [{"role": "user", "content": "hi"}],
    "a message with parts": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    "a typed message with a text": [{"type": "message", "role": "developer", "content": "hi"}],
    "a full message": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    "a message with a key of the caller's": [{"role": "user", "content": "hi", "mine": 1}],
}


@pytest.mark.parametrize("way", SHORTHAND)
def test_every_way_to_write_an_input_is_described(described: Document, address: str, way: str) -> None:
    """The shorthand that the server takes is what the document says, nulls of the top level included."""
    nulls = dict.fromkeys(set(described["components"]["schemas"]["CreateResponse"]["properties"]))
    body = {**nulls, "model": "m", "instructions": "Be brief.", "input": SHORTHAND[way]}
    assert [] == faults(described, "CreateResponse", body)
    answer = patient.post(f"{address}/v1/responses", json=body)
    assert 200 == answer.status_code, answer.text


def test_a_reference_may_be_an_id_alone(described: Document, address: str) -> None:
    """An item that is kept is named by its id, with or without a type."""
    kept = patient.post(f"{address}/v1/responses", json=REQUESTS["text"]).json()["output"][0]["id"]
    body = {"model": "m", "input": [{"id": kept}, {"role": "user", "content": "more"}]}
    assert [] == faults(described, "CreateResponse", body)
    assert 200 == patient.post(f"{address}/v1/responses", json=body).status_code


@pytest.mark.parametrize(
    "body",
    [
        {"input": 1},
        {"input": [1]},
        {"input": [{"content": "hi"}]},
        {"input": [{"role": "nobody", "content": "hi"}]},
        {"input": [{"type": "nothing"}]},
        {"temperature": 3},
        {"model": 4},
        {"tools": [{"type": "function"}]},
        {"metadata": {"a": 1}},
    ],
    ids=str,
)
def test_what_the_document_forbids_is_refused(described: Document, address: str, body: Document) -> None:
    """A body that does not fit its schema is a 400, and its answer is what is described."""
    sent = {"model": "m", "input": "hi", **body}
    assert faults(described, "CreateResponse", sent)
    answer = patient.post(f"{address}/v1/responses", json=sent)
    assert (400, FOUR_KEYS) == (answer.status_code, set(answer.json()["error"]))
    assert [] == faults(described, "ErrorBody", answer.json())


def test_what_is_read_back_is_what_the_document_says(described: Document, address: str) -> None:
    """Every answer of the other routes fits its schema."""
    id = patient.post(f"{address}/v1/responses", json=REQUESTS["function"]).json()["id"]
    kept = f"{address}/v1/responses/{id}"
    answers = {
        "Response": patient.get(kept),
        "ItemPage": patient.get(f"{kept}/input_items"),
        "Deleted": patient.delete(kept),
        "ModelList": patient.get(f"{address}/v1/models"),
        "Model": patient.get(f"{address}/v1/models/m"),
        "Health": patient.get(f"{address}/health"),
    }
    assert [200] * len(answers) == [answer.status_code for answer in answers.values()]
    found = {name: faults(described, name, answer.json()) for name, answer in answers.items()}
    assert {name: [] for name in answers} == found


def test_background_answers_are_what_the_document_says(described: Document, address: str) -> None:
    """What is queued, its events and its cancellation, which leaves it as it ended."""
    queued = patient.post(f"{address}/v1/responses", json=REQUESTS["background"])
    kept = f"{address}/v1/responses/{queued.json()['id']}"
    stream = patient.get(f"{kept}?stream=true").text
    told = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    found = [fault for event in told for fault in faults(described, "StreamEvent", event)]
    for answer in (queued, patient.post(f"{kept}/cancel")):
        assert 200 == answer.status_code, answer.text
        found += faults(described, "Response", answer.json())
    assert ("response.completed", []) == (told[-1]["type"], found)
    followed = described["paths"]["/responses/{id}"]["get"]["responses"]
    assert {"application/json", "text/event-stream"} == set(followed["200"]["content"])
    assert {"$ref": "#/components/responses/Conflict"} == followed["409"]


def test_headers_of_answers_are_described(described: Document, address: str) -> None:
    """An answer carries the headers that the document promises for its status."""
    sent = {"model": "m", "input": "busy", "unheard_of": 1, "tools": [{"type": "web_search"}]}
    busy = patient.post(f"{address}/v1/responses", json=sent)
    done = patient.post(f"{address}/v1/responses", json={**sent, "input": "hi"})
    answers = described["paths"]["/responses"]["post"]["responses"]
    promised = described["components"]["responses"]["TooManyRequests"]["headers"]
    assert {"$ref": "#/components/responses/TooManyRequests"} == answers["429"]
    assert set() == set(promised) - set(busy.headers)
    assert set() == set(answers["200"]["headers"]) - set(done.headers)


def test_headers_of_a_count_are_described(described: Document, address: str) -> None:
    """A count says how good it is, and what had no effect on it."""
    counted = patient.post(f"{address}/v1/responses/input_tokens", json={**REQUESTS["text"], "temperature": 1})
    promised = described["paths"]["/responses/input_tokens"]["post"]["responses"]["200"]["headers"]
    assert {"x-token-count", "x-ignored-params"} < set(promised)
    assert (200, set()) == (counted.status_code, set(promised) - set(counted.headers))
    assert [] == faults(described, "TokenCount", counted.json())


def test_a_compaction_is_what_the_document_says(described: Document, address: str) -> None:
    """Its answer fits its schema."""
    compacted = patient.post(f"{address}/v1/responses/compact", json=REQUESTS["messages"])
    assert (200, []) == (compacted.status_code, faults(described, "CompactedResponse", compacted.json()))


def test_conversations_are_what_the_document_says(described: Document, address: str) -> None:
    """What is sent and what is answered on each of their routes fits its schema."""
    sent: Document = {
        "CreateConversation": {"items": [{"role": "user", "content": "hi"}], "metadata": {"topic": "music"}},
        "UpdateConversation": {"metadata": {}},
        "AddItems": {"items": [{"role": "user", "content": [{"type": "input_text", "text": "more"}]}]},
    }
    assert {name: [] for name in sent} == {name: faults(described, name, body) for name, body in sent.items()}
    begun = patient.post(f"{address}/v1/conversations", json=sent["CreateConversation"])
    kept = f"{address}/v1/conversations/{begun.json()['id']}"
    added = patient.post(f"{kept}/items", json=sent["AddItems"])
    item = f"{kept}/items/{added.json()['first_id']}"
    answers = [
        ("ConversationObject", begun),
        ("ConversationObject", patient.post(kept, json=sent["UpdateConversation"])),
        ("ConversationObject", patient.get(kept)),
        ("ItemPage", added),
        ("ItemPage", patient.get(f"{kept}/items")),
        ("Item", patient.get(item)),
        ("ConversationObject", patient.delete(item)),
        ("ConversationDeleted", patient.delete(kept)),
    ]
    assert [(200, [])] * len(answers) == [
        (answer.status_code, faults(described, name, answer.json())) for name, answer in answers
    ]


def test_a_conversation_may_begin_without_a_body(described: Document, address: str) -> None:
    """The document says so, and so it is."""
    assert described["paths"]["/conversations"]["post"]["requestBody"]["required"] is False
    assert 200 == patient.post(f"{address}/v1/conversations").status_code


def test_frames_of_a_websocket_are_what_the_document_says(described: Document, address: str) -> None:
    """What is sent as a frame, and what comes back: events, errors, and what becomes of a steer."""
    frames = described["paths"]["/responses"][EXTENSION]
    asked: list[Document] = [
        {"type": "response.create", **REQUESTS["text"], "stream_id": "lane"},
        {"type": "response.create", "model": "m", "input": "hi", "background": True},
        {"type": "response.steer", "previous_response_id": "resp_1", "input": "No."},
        {"type": "response.inject", "response_id": "resp_1", "input": []},
    ]
    ends = {"response.completed", "error", "response.steer.failed", "response.inject.failed"}
    heard: list[Document] = []
    with talking(address) as talk:
        for frame in asked:
            assert [] == faults_in(described, frames["received"], frame)
            talk.say(**frame)
            heard.append(talk.hear())
            while heard[-1]["type"] not in ends:
                heard.append(talk.hear())
    assert ends == {frame["type"] for frame in heard if frame["type"] in ends}
    assert [] == [fault for frame in heard for fault in faults_in(described, frames["sent"], frame)]


def test_queries_are_described_by_the_structs_that_read_them(described: Document) -> None:
    """Each parameter has its bounds and words for people."""
    listed = {each["name"]: each for each in described["paths"]["/responses/{id}/input_items"]["get"]["parameters"]}
    assert {"limit", "order", "after", "include"} == set(listed)
    assert {"type": "integer", "minimum": 1, "maximum": 100, "default": 20} == listed["limit"]["schema"]
    assert {"type": "string"} == listed["after"]["schema"]
    assert all(each["description"] for each in listed.values())
