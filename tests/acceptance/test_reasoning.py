"""What is shown of what a model thinks: nothing, a summary in the style that was asked for, or all of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import OpenAI
from openai.types.responses import ResponseReasoningSummaryTextDeltaEvent, ResponseReasoningTextDeltaEvent

from tests import patient
from tests.acceptance.operating import configured, operating
from tests.acceptance.thinking import MARKER, given_back, thinking, thought
from tests.oracle import check_event, check_response
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.operating import Operated
    from tests.acceptance.thinking import Thinker

pytestmark = pytest.mark.slow

CONFIG = """
[[deployments]]
name = "thinker"
backend = "chat_completions"
base_url = "{url}"
[[deployments]]
name = "open"
backend = "chat_completions"
base_url = "{url}"
show_reasoning = "text"
"""
FIRST, SECOND = thought(0).split("\n\n")
WEATHER: dict[str, Any] = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
ADDED, DONE = "output_item.added", "output_item.done"
PART = [f"reasoning_summary_{each}" for each in ("part.added", "text.delta", "text.done", "part.done")]
RAW = ["content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done"]
SEALED = ["reasoning.encrypted_content"]


@pytest.fixture(scope="module")
def model() -> Iterator[Thinker]:
    """A model that thinks."""
    with thinking() as made:
        yield made


@pytest.fixture(scope="module")
def server(model: Thinker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """A server between."""
    with operating(configured(tmp_path_factory.mktemp("reasoning"), CONFIG.format(url=model.url))) as running:
        yield running


@pytest.fixture
def official(server: Operated) -> Iterator[OpenAI]:
    """The official client, which validates all that it is sent and tries nothing again."""
    with OpenAI(
        base_url=f"{server.address}/v1",
        api_key="any",
        max_retries=0,
        timeout=HANG_SECONDS,
        _strict_response_validation=True,
    ) as made:
        yield made


def whole(server: Operated, **body: Any) -> dict[str, Any]:  # JSON
    """The body of an answer."""
    answer = patient.post(f"{server.address}/v1/responses", json={"model": "thinker", "input": "Hi.", **body})
    assert 200 == answer.status_code, answer.text
    check_response(answer.content)
    response: dict[str, Any] = answer.json()
    return response


def streamed(server: Operated, **body: Any) -> list[dict[str, Any]]:  # JSON
    """The events of an answer."""
    body = {
        "model": "thinker",
        "input": "Hi.",
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        **body,
    }
    answer = patient.post(f"{server.address}/v1/responses", json=body)
    assert 200 == answer.status_code, answer.text
    said = [frame.partition(b"data: ")[2] for frame in answer.content.split(b"\n\n") if b"data: " in frame]
    for event in said:
        check_event(event)
    return [json.loads(event) for event in said]


def told(events: list[dict[str, Any]], index: int = 0) -> list[str]:
    """The types of the events of an item, repeated deltas once."""
    names = [each["type"].removeprefix("response.") for each in events if each.get("output_index") == index]
    return [name for at, name in enumerate(names) if not (name.endswith("delta") and names[at - 1] == name)]


def thoughts(response: dict[str, Any]) -> list[dict[str, Any]]:
    """The reasoning items."""
    return [item for item in response["output"] if item["type"] == "reasoning"]


@pytest.mark.parametrize(
    ("style", "summary"),
    [
        (None, []),
        ("auto", [FIRST, SECOND]),
        ("detailed", [FIRST, SECOND]),
        ("concise", [f"{MARKER} first of 0.", f"{MARKER} second of 0."]),
    ],
)
def test_a_summary_is_shown_in_the_style_that_was_asked_for(
    server: Operated, style: str | None, summary: list[str]
) -> None:
    """One part a paragraph; a stream and a body say the same."""
    more: dict[str, Any] = {} if style is None else {"reasoning": {"effort": "low", "summary": style}}
    response, events = whole(server, **more), streamed(server, **more)
    (item,) = thoughts(response)
    assert [{"type": "summary_text", "text": text} for text in summary] == item["summary"]
    assert {"id", "type", "summary"} == set(item)
    assert [ADDED, *PART * len(summary), DONE] == told(events)
    (same,) = thoughts(events[-1]["response"])
    assert item["summary"] == same["summary"]
    assert ["reasoning", "message"] == [each["type"] for each in response["output"]]
    assert 5 == response["usage"]["output_tokens_details"]["reasoning_tokens"]


def test_the_older_name_of_the_setting_means_the_same(server: Operated) -> None:
    """Clients of last year send it."""
    (item,) = thoughts(whole(server, reasoning={"generate_summary": "concise"}))
    assert 2 == len(item["summary"])


def test_an_open_deployment_shows_all_that_is_thought(server: Operated) -> None:
    """As raw text, and no summary of it."""
    more: dict[str, Any] = {"model": "open", "reasoning": {"summary": "auto"}}
    (item,) = thoughts(whole(server, **more))
    assert ([], [{"type": "reasoning_text", "text": thought(0)}]) == (item["summary"], item["content"])
    assert [ADDED, *RAW, DONE] == told(streamed(server, **more))


def test_the_official_client_reads_summaries_and_raw_text(official: OpenAI) -> None:
    """And adds up the same as the last event says."""
    for name in ("thinker", "open"):
        with official.responses.stream(model=name, input="Hi.", reasoning={"summary": "auto"}) as events:
            told = [*events]
            final = events.get_final_response()
        kinds = ResponseReasoningSummaryTextDeltaEvent | ResponseReasoningTextDeltaEvent
        said = "".join(event.delta for event in told if isinstance(event, kinds))
        assert "".join(thought(0).split()) == "".join(said.split())
        assert "It is fine." == final.output_text


def test_a_thought_goes_out_sealed_where_it_was_asked_for_and_else_not_at_all(server: Operated) -> None:
    """The key is absent, never null; a stream says it when the item is done."""
    (plain,) = thoughts(whole(server))
    assert "encrypted_content" not in plain
    (item,) = thoughts(whole(server, include=SEALED))
    assert isinstance(item["encrypted_content"], str)
    events = streamed(server, include=SEALED)
    (done,) = [each["item"] for each in events if each["type"] == "response.output_item.done"][:1]
    assert thoughts(events[-1]["response"]) == [done]
    (unstored,) = thoughts(whole(server, store=False))
    assert isinstance(unstored["encrypted_content"], str)


def test_a_model_is_given_its_thoughts_back_through_what_is_stored(server: Operated, model: Thinker) -> None:
    """By the id of the response before, in a conversation, by a reference, and after a run in the background."""
    first = whole(server, tools=[WEATHER])
    call = next(item for item in first["output"] if item["type"] == "function_call")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."}
    whole(server, previous_response_id=first["id"], input=[output])
    assert [thought(0)] == given_back(model.asked[-1])

    user = {"role": "user", "content": "Hi."}
    references = [{"type": "item_reference", "id": item["id"]} for item in first["output"]]
    whole(server, input=[user, *references, output])
    assert [thought(0)] == given_back(model.asked[-1])

    named = patient.post(f"{server.address}/v1/conversations", json={}).json()["id"]
    called = whole(server, conversation=named, tools=[WEATHER])
    call = next(item for item in called["output"] if item["type"] == "function_call")
    whole(server, conversation=named, input=[{**output, "call_id": call["call_id"]}])
    assert [thought(0)] == given_back(model.asked[-1])

    queued = whole(server, background=True, tools=[WEATHER])
    done = finished(server, queued["id"])
    call = next(item for item in done["output"] if item["type"] == "function_call")
    more = whole(
        server, previous_response_id=queued["id"], input=[{**output, "call_id": call["call_id"]}], background=True
    )
    finished(server, more["id"])
    assert [thought(0)] == given_back(model.asked[-1])


def finished(server: Operated, id: str) -> dict[str, Any]:
    """A response of the background, once it has ended."""
    answer = patient.get(f"{server.address}/v1/responses/{id}?stream=true")
    last = json.loads(answer.content.strip().rpartition(b"data: ")[2])
    assert "response.completed" == last["type"]
    response: dict[str, Any] = last["response"]
    return response


def test_a_plain_thought_never_leaves(server: Operated) -> None:
    """No body, event, list, conversation or line of the log has it, wherever it was kept."""
    named = patient.post(f"{server.address}/v1/conversations", json={}).json()["id"]
    stored = whole(server, conversation=named, tools=[WEATHER], include=SEALED)
    call = next(item for item in stored["output"] if item["type"] == "function_call")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny."}
    more = whole(server, conversation=named, input=[output], include=SEALED)
    queued = whole(server, background=True, include=SEALED)
    finished(server, queued["id"])
    seen = [json.dumps([stored, more, streamed(server, include=SEALED), streamed(server, store=False)])]
    paths = [
        f"/conversations/{named}/items?include=reasoning.encrypted_content",
        f"/responses/{queued['id']}?stream=true",
    ]
    for id in (stored["id"], more["id"], queued["id"]):
        paths += [f"/responses/{id}", f"/responses/{id}/input_items", f"/responses/{id}?include[]={SEALED[0]}"]
    later = whole(server, previous_response_id=stored["id"], input=[output])
    paths.append(f"/responses/{later['id']}/input_items?limit=100")
    for path in paths:
        answer = patient.get(f"{server.address}/v1{path}")
        assert 200 == answer.status_code, (path, answer.text)
        seen.append(answer.text)
    assert "reasoning" in seen[-1]
    assert [] == [text for text in seen if MARKER in text]
    assert MARKER.encode() not in server.written
