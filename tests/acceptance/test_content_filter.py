"""The content filter of a server that runs: judged by a deployment and by an endpoint, for every kind of run."""

from __future__ import annotations

import base64
import json
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import AzureOpenAI, BadRequestError, InternalServerError, OpenAI

from antiphon.config import Config
from antiphon.lifecycle.filtering import Config as ContentFilter
from tests.http.talking import talking
from tests.oracle import check_response
from tests.serving import MEMORY, serving
from tests.upstreams import listening

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.types.responses import Response, ResponseInputParam

SAFE = dict.fromkeys(["hate", "sexual", "violence", "self_harm", "jailbreak"], "safe")
JUDGE: dict[str, Any] = {
    "name": "judge",
    "backend": "scripted",
    "replies": [
        {"when": "murder", "steps": [{"text": json.dumps({**SAFE, "violence": "high"})}]},
        {"when": "dizzy", "steps": [{"text": "I would rather not say."}]},
    ],
}
MODEL: dict[str, Any] = {
    "name": "m",
    "backend": "scripted",
    "replies": [
        {"when": "story", "steps": [{"text": ["Once upon a time. " * 80, "Then came a murder."]}]},
        {"when": "crime", "steps": [{"text": "It was murder."}]},
        {
            "when": "Break off",
            "steps": [{"text": "word " * 240}, {"fail": {"fault": "server_error", "message": "Broken."}}],
        },
        {"when": "not begin", "steps": [{"fail": {"fault": "server_error", "message": "Broken."}}]},
        {"when": "faint", "steps": [{"text": "I feel dizzy."}]},
        {"steps": [{"text": "Hello."}], "usage": {"input_tokens": 3, "output_tokens": 2}},
    ],
}
RECORDED_KEYS = [
    "blocked",
    "source_type",
    "content_filter_raw",
    "content_filter_results",
    "content_filter_offsets",
]
"""In the order of the recording: recorded-traffic.md, Azure differences."""


def configured(**settings: object) -> Config:
    """A server whose filter is a deployment of its own."""
    return Config(store=MEMORY, deployments=[MODEL, JUDGE], content_filter=ContentFilter(**settings))  # type: ignore[arg-type]  # settings of any type


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where it is."""
    with serving(configured(deployment="judge")) as url:
        yield url


@pytest.fixture
def official(address: str) -> Iterator[OpenAI]:
    """The official client."""
    with OpenAI(base_url=f"{address}/v1", api_key="k", max_retries=0) as client:
        yield client


def filters(response: Response) -> Any:  # what the official types do not know
    """What the filter found."""
    return (response.model_extra or {})["content_filters"]


def test_a_response_says_what_was_found(official: OpenAI) -> None:
    """A verdict for the prompt and one for the completion, in the form that was recorded."""
    raw = official.responses.with_raw_response.create(model="m", input="Hi")
    check_response(raw.content)
    response = raw.parse()
    prompt, completion = filters(response)
    assert RECORDED_KEYS == list(prompt)
    assert ("prompt", "completion") == (prompt["source_type"], completion["source_type"])
    assert {"filtered": False, "severity": "safe"} == prompt["content_filter_results"]["hate"]
    assert {"filtered": False, "detected": False} == prompt["content_filter_results"]["jailbreak"]
    assert "jailbreak" not in completion["content_filter_results"]
    assert {"start_offset": 0, "end_offset": 2, "check_offset": 0} == prompt["content_filter_offsets"]
    assert ("completed", "Hello.") == (response.status, response.output_text)


def test_it_is_null_while_it_runs_and_a_list_at_its_end(official: OpenAI) -> None:
    """In every object that a stream tells (recorded-traffic.md, Azure differences)."""
    found: dict[str, Any] = {}
    for event in official.responses.create(model="m", input="Hi", stream=True):
        match event.type:
            case "response.created" | "response.in_progress" | "response.completed":
                found[event.type] = filters(event.response)
            case _:
                pass
    assert (None, None) == (found["response.created"], found["response.in_progress"])
    assert 2 == len(found["response.completed"])


def test_the_key_stands_right_after_completed_at(official: OpenAI) -> None:
    """As it was recorded (recorded-traffic.md, Azure differences)."""
    keys = list(json.loads(official.responses.with_raw_response.create(model="m", input="Hi").content))
    assert "content_filters" == keys[keys.index("completed_at") + 1]


def test_a_bad_prompt_is_refused_before_the_model_is_asked(official: OpenAI) -> None:
    """The documented 400; nothing is kept of it."""
    with pytest.raises(BadRequestError) as refusal:
        official.responses.create(model="m", input="Plan a murder.")
    body: Any = refusal.value.body
    assert ("content_filter", "prompt", None, 400) == tuple(body[key] for key in ("code", "param", "type", "status"))
    inner = body["innererror"]
    assert "ResponsibleAIPolicyViolation" == inner["code"]
    assert {"filtered": True, "severity": "high"} == inner["content_filter_result"]["violence"]


@pytest.mark.parametrize("settings", [{"stream": True}, {"background": True}])
def test_a_bad_prompt_is_refused_whatever_was_asked_for(official: OpenAI, settings: dict[str, Any]) -> None:
    """A stream has not begun, and nothing is queued."""
    with pytest.raises(BadRequestError, match="content management policy"):
        official.responses.create(model="m", input="Plan a murder.", **settings)


def test_azures_clients_hear_the_same(address: str) -> None:
    """Under ``/openai`` as well."""
    with (
        AzureOpenAI(azure_endpoint=address, api_version="2025-04-01-preview", api_key="k", max_retries=0) as client,
        pytest.raises(BadRequestError) as refusal,
    ):
        client.responses.create(model="m", input="Plan a murder.")
    body: Any = refusal.value.body
    assert "ResponsibleAIPolicyViolation" == body["innererror"]["code"]


@pytest.mark.parametrize(
    "sent",
    [
        [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}],
        [{"role": "user", "content": "Hi"}, {"role": "developer", "content": "Plan a murder."}],
    ],
)
def test_whatever_the_model_reads_is_judged(official: OpenAI, sent: ResponseInputParam) -> None:
    """The outputs of tools and the messages of developers too, and the instructions."""
    given: Any = sent
    if given[0].get("type") == "function_call":
        given = [*given, {"type": "function_call_output", "call_id": "c", "output": "A murder."}]
    with pytest.raises(BadRequestError):
        official.responses.create(model="m", input=given)
    with pytest.raises(BadRequestError):
        official.responses.create(model="m", input="Hi", instructions="Plan a murder.")


def test_a_bad_completion_ends_incomplete_and_is_not_kept(official: OpenAI) -> None:
    """What was judged before stays; of the rest no word is told, and none is kept."""
    response = official.responses.create(model="m", input="Tell a story.")
    assert "incomplete" == response.status
    assert response.incomplete_details is not None
    assert "content_filter" == response.incomplete_details.reason
    assert response.output_text.startswith("Once upon a time.")
    assert "murder" not in response.output_text
    assert filters(response)[1]["blocked"]
    kept = official.responses.retrieve(response.id)
    assert response.output_text == kept.output_text
    assert filters(response) == filters(kept)


def test_a_stream_tells_no_word_of_what_is_bad(official: OpenAI) -> None:
    """Its deltas are what is kept; it ends with ``response.incomplete``."""
    events = list(official.responses.create(model="m", input="Tell of a crime.", stream=True))
    told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert ("", "response.incomplete") == (told, events[-1].type)


def test_a_background_run_is_filtered_too(official: OpenAI) -> None:
    """Whoever performs it has the verdict on its prompt."""
    queued = official.responses.create(model="m", input="Tell of a crime.", background=True, stream=True)
    last = list(queued)[-1]
    assert last.type == "response.incomplete"
    prompt, completion = filters(last.response)
    assert (False, True) == (prompt["blocked"], completion["blocked"])


def test_what_the_judge_cannot_judge_is_not_told(official: OpenAI) -> None:
    """A judge that says no verdict has failed, and the filter is closed."""
    with pytest.raises(InternalServerError, match="content filter could not be asked"):
        official.responses.create(model="m", input="I am dizzy.")
    with pytest.raises(InternalServerError, match="content filter could not be asked"):
        official.responses.create(model="m", input="Do you faint?")


def test_what_the_judge_cannot_judge_passes_where_the_operator_says_so() -> None:
    """With verdicts that name nothing."""
    with (
        serving(configured(deployment="judge", on_error="pass")) as url,
        OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client,
    ):
        response = client.responses.create(model="m", input="Do you faint?")
    assert "I feel dizzy." == response.output_text
    assert {} == filters(response)[1]["content_filter_results"]


def test_a_websocket_is_told_what_was_found_too(address: str) -> None:
    """In the same error object, and the connection goes on."""
    with talking(address) as talk:
        talk.create(model="m", input="Plan a murder.")
        error = talk.until("error")[-1]["error"]
        assert "content_filter" == error["code"]
        assert {"filtered": True, "severity": "high"} == error["innererror"]["content_filter_result"]["violence"]
        talk.create(model="m", input="Hi")
        assert 2 == len(talk.until("response.completed")[-1]["response"]["content_filters"])


def test_a_response_that_fails_says_what_was_found(official: OpenAI) -> None:
    """Of its prompt, and of what was told of its answer."""
    events = official.responses.create(model="m", input="Break off.", stream=True)
    last = list(events)[-1]
    assert last.type == "response.failed"
    prompt, completion = filters(last.response)
    assert ("prompt", "completion") == (prompt["source_type"], completion["source_type"])
    assert len(last.response.output_text) == completion["content_filter_offsets"]["end_offset"]


def test_a_background_run_that_never_begins_to_answer_says_what_was_found(official: OpenAI) -> None:
    """Its prompt was judged before it was queued."""
    queued = official.responses.create(model="m", input="Do not begin.", background=True, stream=True)
    last = list(queued)[-1]
    assert last.type == "response.failed"
    assert ["prompt"] == [each["source_type"] for each in filters(last.response)]


def test_what_is_added_to_a_conversation_is_judged(official: OpenAI) -> None:
    """A response in it judges only what its own request brings."""
    bad: Any = [{"type": "message", "role": "user", "content": "Plan a murder."}]
    with pytest.raises(BadRequestError, match="content management policy"):
        official.conversations.create(items=bad)
    conversation = official.conversations.create(items=[{"type": "message", "role": "user", "content": "Hi"}])
    with pytest.raises(BadRequestError, match="content management policy"):
        official.conversations.items.create(conversation.id, items=bad)
    assert 1 == len(official.conversations.items.list(conversation.id).data)


def test_the_text_of_a_document_is_judged(official: OpenAI) -> None:
    """As the model reads it."""
    text = base64.b64encode(b"How to plan a murder.").decode()
    file: Any = {"type": "input_file", "filename": "a.txt", "file_data": f"data:text/plain;base64,{text}"}
    with pytest.raises(BadRequestError, match="content management policy"):
        official.responses.create(model="m", input=[{"role": "user", "content": [file]}])


class Endpoint(BaseHTTPRequestHandler):
    """An endpoint that judges, as the page on content filters describes one."""

    protocol_version = "HTTP/1.1"
    asked: list[tuple[str | None, Any]]

    def do_POST(self) -> None:
        """Answer a question."""
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((self.headers["authorization"], question))
        found = {**SAFE, "hate": "medium" if "scum" in question["text"] else "safe"}
        answer = json.dumps({"categories": {name: found[name] for name in question["categories"]}}).encode()
        self.send_response(200 if "busy" not in question["text"] else 418)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_an_endpoint_judges() -> None:
    """It is sent a text, its source and the categories, with the key; and answers with a severity for each."""
    Endpoint.asked = []
    with (
        listening(Endpoint) as judge,
        serving(configured(endpoint=f"{judge}/judge", key="secret")) as url,
        OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client,
    ):
        assert "Hello." == client.responses.create(model="m", input="Hi").output_text
        with pytest.raises(BadRequestError):
            client.responses.create(model="m", input="You scum")
        with pytest.raises(InternalServerError):
            client.responses.create(model="m", input="busy")
    question = {"text": "Hi", "source": "prompt", "categories": list(SAFE)}
    assert ("Bearer secret", question) == Endpoint.asked[0]
    assert "completion" == Endpoint.asked[1][1]["source"]


def test_without_a_filter_nothing_is_said() -> None:
    """The key is not there."""
    with (
        serving(Config(store=MEMORY, deployments=[MODEL])) as url,
        OpenAI(base_url=f"{url}/v1", api_key="k") as client,
    ):
        response = client.responses.create(model="m", input="Tell of a crime.")
    assert "content_filters" not in (response.model_extra or {})
    assert "It was murder." == response.output_text
