"""What breaks which client, rule by rule: each was found in a client's own code, which is named beside it."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import pytest
from openai import OpenAI

from tests import patient
from tests.conformance.script import REPLIES
from tests.conformance.streams import FRAME, MODEL, create, named, post, stream
from tests.patient import HANG_SECONDS
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2 as httpx

Json: TypeAlias = Any  # bodies are told as plain JSON here

WEATHER = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
SAID = ("hello", "say nothing", "refuse", "weather", "both cities", "talk and call", "think", "long", "filter", "break")
LIFECYCLE = ("created", "queued", "in_progress", "completed", "incomplete", "failed")
IN_BODIES = {
    *("message", "function_call", "custom_tool_call", "reasoning", "web_search_call", "file_search_call"),
    *("code_interpreter_call", "image_generation_call", "local_shell_call", "computer_call", "mcp_call"),
    *("mcp_list_tools", "mcp_approval_request", "apply_patch_call", "shell_call", "shell_call_output"),
    *("tool_search_call", "tool_search_output", "compaction"),
}
OMITTED = {"phase", "encrypted_content", "content", "logprobs"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that speaks from the script of these tests."""
    with serving(scripted(*REPLIES)) as address:
        yield address


@pytest.fixture(params=SAID)
def said(request: pytest.FixtureRequest) -> str:
    """Each of the things that are said to the model."""
    text: str = request.param
    return text


@pytest.fixture
def told(url: str, said: str) -> list[Json]:
    """The events of the answer."""
    return stream(url, **body(said))


@pytest.fixture
def whole(url: str, said: str) -> Json:
    """The answer as a body."""
    return create(url, **body(said))


def body(said: str) -> dict[str, Json]:
    """A request that says it."""
    return {"input": said, "tools": [WEATHER], "reasoning": {"summary": "auto"}}


def identity(item: Json) -> Json:
    """What an item must keep while it grows."""
    return [item["type"], item["id"], item.get("call_id")]


def test_a_stream_begins_with_its_response_and_stays_with_it(told: list[Json]) -> None:
    """openai-python, openai-node: ``responses.stream()`` raises otherwise."""
    assert "response.created" == told[0]["type"]
    snapshots = [event["response"]["id"] for name in LIFECYCLE for event in named(told, name)]
    assert [told[0]["response"]["id"]] * 3 == snapshots


def test_an_item_keeps_its_identity(told: list[Json]) -> None:
    """openai-python, openai-node: an item that changes, or an index that is used twice, raises."""
    added = named(told, "output_item.added")
    assert list(range(len(added))) == [event["output_index"] for event in added]
    identities = [identity(event["item"]) for event in added]
    assert identities == [identity(event["item"]) for event in named(told, "output_item.done")]
    assert identities == [identity(item) for item in told[-1]["response"]["output"]]
    assert len({json.dumps(each) for each in identities}) == len(identities)


@pytest.mark.parametrize("said", ["hello", "refuse", "weather", "think", "say nothing"])
def test_a_final_response_is_there_for_the_asking(url: str, said: str) -> None:
    """openai-python: ``get_final_response()`` raises unless a stream contains ``response.completed``."""
    request = body(said)
    with (
        OpenAI(base_url=f"{url}/v1", api_key="any") as client,
        client.responses.stream(model=MODEL, **request) as asked,
    ):
        assert "completed" == asked.get_final_response().status


def test_no_event_looks_like_a_fatal_error(told: list[Json]) -> None:
    """openai-python raises at a truthy ``error`` in any event, openai-node at any event of that name."""
    assert [] == [event for event in told if event.get("error") or event["type"] == "error"]


def test_items_have_their_ids(told: list[Json], whole: Json) -> None:
    """@ai-sdk/openai: a message or a call without an id cannot be parsed."""
    items = [event["item"] for event in told if "item" in event] + whole["output"]
    assert all(isinstance(item["id"], str) and item["id"] for item in items)
    assert all(item["call_id"] for item in items if item["type"] == "function_call")


def test_a_failure_has_its_words_as_strings(url: str) -> None:
    """@ai-sdk/openai: the ``error`` of a body has a message, a type and a code, and the event has its response."""
    event = named(stream(url, **body("break")), "failed")[0]
    assert {"type", "sequence_number", "response"} == set(event)
    for error in (create(url, **body("break"))["error"], event["response"]["error"]):
        assert [str, str, str] == [type(error[key]) for key in ("message", "type", "code")]


def test_a_body_holds_only_items_that_are_known(whole: Json) -> None:
    """@ai-sdk/openai: its union of items is closed, and one stranger makes it reject the whole body."""
    assert {item["type"] for item in whole["output"]} <= IN_BODIES


def test_a_text_has_its_annotations(told: list[Json], whole: Json) -> None:
    """@ai-sdk/openai, Open Responses: a list, even where it is empty."""
    events = [event for event in told if event["type"].startswith("response.content_part")]
    messages = [item for item in whole["output"] if item["type"] == "message"]
    parts = [event["part"] for event in events] + [part for item in messages for part in item["content"]]
    assert all(part["annotations"] == [] for part in parts if part["type"] == "output_text")


def test_a_thought_has_its_summary(url: str) -> None:
    """All clients: a list, even where nothing is to be shown."""
    for reasoning in ({"summary": "auto"}, {}):
        thoughts = [
            event["item"]
            for event in stream(url, input="think", reasoning=reasoning)
            if event.get("item", {}).get("type") == "reasoning"
        ]
        assert [list, list] == [type(item["summary"]) for item in thoughts]


def test_log_probabilities_are_a_list(told: list[Json]) -> None:
    """openai-python: its types require the list in the deltas of a text and at its end."""
    texts = named(told, "output_text.delta") + named(told, "output_text.done")
    assert [[]] * len(texts) == [event["logprobs"] for event in texts]


def test_what_is_not_there_is_left_out(told: list[Json], whole: Json) -> None:
    """Open Responses: these keys are left out of items and parts where they have no value, and never null."""
    assert [] == list(nulls(whole["output"])) + list(nulls([event for event in told if "response" not in event]))


def nulls(value: Json) -> Iterator[str]:
    """The keys among those that hold null."""
    match value:
        case dict():
            yield from (key for key in OMITTED if value.get(key, "") is None)
            for member in value.values():
                yield from nulls(member)
        case list():
            for element in value:
                yield from nulls(element)
        case _:
            pass


def test_times_are_integers_and_settings_are_numbers(told: list[Json], whole: Json) -> None:
    """Open Responses: a fraction of a second or a null is refused."""
    for response in (told[0]["response"], told[-1]["response"], whole):
        assert isinstance(response["created_at"], int)
        assert isinstance(response["completed_at"], int | None)
        settings = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs")
        assert [] == [name for name in settings if not isinstance(response[name], int | float)]


def test_an_event_is_never_cut(url: str) -> None:
    """Open Responses: its parser forgets half an event between two reads, so each write holds whole events."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=HANG_SECONDS)
    content = json.dumps({"model": MODEL, "stream": True, **body("talk and call")})
    connection.request("POST", "/v1/responses", content, {"content-type": "application/json", "connection": "close"})
    answer = connection.getresponse()
    raw = answer.fp.read()  # with the marks of its chunks, which `read` would take away
    connection.close()
    chunks = []
    while raw:
        size, _, rest = raw.partition(b"\r\n")
        length = int(size, 16)
        chunks.append(rest[:length])
        raw = rest[length + 2 :]
    frames = [b"".join(frame[0] for frame in FRAME.finditer(chunk)) for chunk in chunks]
    assert frames == chunks
    assert len(chunks) > len(named(stream(url, **body("talk and call")), "output_text.delta"))


def test_lists_can_be_paged(url: str) -> None:
    """openai-python, openai-node: without ``has_more`` and ids a loop over pages stops early, or never."""
    response = create(url, input=[{"role": "user", "content": text} for text in "abc"])
    path = f"{url}/v1/responses/{response['id']}/input_items?order=asc&limit=2"
    first = patient.get(path).json()
    second = patient.get(f"{path}&after={first['last_id']}").json()
    assert [("list", True, 2), ("list", False, 1)] == [
        (page["object"], page["has_more"], len(page["data"])) for page in (first, second)
    ]
    for page in (first, second):
        assert [page["data"][0]["id"], page["data"][-1]["id"]] == [page["first_id"], page["last_id"]]
    assert "list" == patient.get(f"{url}/v1/models").json()["object"]


PERMANENT: dict[str, dict[str, Json]] = {
    "no model": {"json": {"input": "hello"}},
    "no JSON": {"content": b"{", "headers": {"content-type": "application/json"}},
    "another media type": {"content": b"hello", "headers": {"content-type": "text/plain"}},
    "a wrong type": {"json": {"model": MODEL, "input": 3}},
    "a wrong value": {"json": {"model": MODEL, "input": "hello", "temperature": 3}},
    "a wrong word": {"json": {"model": MODEL, "input": "hello", "truncation": "never"}},
    "a chain from nowhere": {"json": {"model": MODEL, "input": "hello", "previous_response_id": "resp_nothing"}},
    "an item from nowhere": {"json": {"model": MODEL, "input": [{"type": "item_reference", "id": "msg_nothing"}]}},
    "more than fits": {"json": {"model": MODEL, "input": "too much"}},
    "a stream of more than fits": {"json": {"model": MODEL, "input": "too much", "stream": True}},
}
ELSEWHERE = [
    ("GET", "/v1/responses/resp_nothing"),
    ("DELETE", "/v1/responses/resp_nothing"),
    ("POST", "/v1/responses/resp_nothing/cancel"),
    ("GET", "/v1/responses/resp_nothing/input_items"),
    ("GET", "/v1/responses"),
    ("POST", "/v1/nothing"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize("mount", ["/v1", "/openai/v1"])
@pytest.mark.parametrize("fault", PERMANENT)
def test_what_cannot_be_mended_by_asking_again_is_not_asked_again(url: str, mount: str, fault: str) -> None:
    """All SDKs: they read the ``error`` of a body, and ask again at 408, 409, 429 and all from 500."""
    refused(patient.post(f"{url}{mount}/responses", **PERMANENT[fault]))


@pytest.mark.parametrize(("method", "path"), ELSEWHERE)
def test_what_is_not_there_is_not_asked_for_again(url: str, method: str, path: str) -> None:
    """The same for other paths."""
    refused(patient.request(method, f"{url}{path}"))


def refused(answer: httpx.Response) -> None:
    """Expect an error in full that clients do not try again."""
    assert answer.status_code in {400, 401, 403, 404, 405, 413, 415, 422}
    error = answer.json()["error"]
    assert {"message", "type", "param", "code"} == set(error)
    assert isinstance(error["message"], str)
    assert error["message"]


def test_a_client_asks_again_when_it_is_told_to(url: str) -> None:
    """All SDKs: a 429 is the server's word to wait, in seconds and in milliseconds."""
    answer = post(url, input="limit")
    assert (429, "1", "10") == (answer.status_code, answer.headers["retry-after"], answer.headers["retry-after-ms"])
    assert "rate_limit_exceeded" == answer.json()["error"]["code"]
