"""Compaction within requests, through a whole server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import OpenAI

from antiphon.config import Config
from tests import patient
from tests.acceptance.window import NOTES, window
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.window import Window

pytestmark = pytest.mark.slow

RULE = [{"type": "compaction", "compact_threshold": 1000}]


@pytest.fixture(scope="module")
def model() -> Iterator[Window]:
    """A model that reads as much as it is given."""
    with window() as made:
        yield made


@pytest.fixture(scope="module")
def address(model: Window) -> Iterator[str]:
    """A server, one of whose deployments has a window of 2,000 tokens."""
    known: dict[str, Any] = {"backend": "chat_completions", "base_url": model.url}
    deployments = [{"name": "m", **known}, {"name": "known", "context_window": 2000, **known}]
    with serving(Config(store=MEMORY, deployments=deployments)) as url:
        yield url


def asked(address: str, **body: Any) -> dict[str, Any]:  # JSON
    """The response."""
    answer = patient.post(f"{address}/v1/responses", json={"model": "m", **body})
    assert 200 == answer.status_code, answer.text
    response: dict[str, Any] = answer.json()
    return response


def talk(numbers: range) -> list[dict[str, Any]]:
    """What was said so far: many numbers, and what was answered."""
    return [
        {"role": role, "content": " ".join([f"umbrella {number}"] * 20)}
        for number in numbers
        for role in ("user", "assistant")
    ]


def said(response: dict[str, Any]) -> list[str]:
    """The types of what a response holds."""
    return [item["type"] for item in response["output"]]


def test_a_conversation_that_is_too_long_is_summed_up_before_it_is_answered(address: str, model: Window) -> None:
    """The summary is an item of the output; the model answers by it, and the usage covers both."""
    response = asked(
        address, input=[*talk(range(40)), {"role": "user", "content": "And now?"}], context_management=RULE
    )
    assert ["compaction", "message"] == said(response)
    *_, notes, answer = model.asked
    assert "handover notes" in notes[0]["content"]
    assert ["user", "user"] == [message["role"] for message in answer]
    assert NOTES.format(last="39") in answer[0]["content"]
    assert "And now?" == answer[1]["content"]
    assert 220 == response["usage"]["total_tokens"]


def test_a_conversation_that_is_short_enough_is_left_alone(address: str) -> None:
    """Below its threshold, and without one."""
    assert ["message"] == said(asked(address, input=talk(range(2)), context_management=RULE))
    assert ["message"] == said(asked(address, input=talk(range(40))))


def test_a_window_is_a_threshold(address: str) -> None:
    """Four fifths of it; a model whose window nobody knows is left alone."""
    rule = [{"type": "compaction"}]
    assert ["compaction", "message"] == said(
        asked(address, model="known", input=talk(range(60)), context_management=rule)
    )
    assert ["message"] == said(asked(address, input=talk(range(60)), context_management=rule))


def test_a_chain_goes_on_from_its_summary(address: str, model: Window) -> None:
    """With what followed it, and nothing that came before."""
    asking = [*talk(range(40)), {"role": "user", "content": "And now?"}]
    first = asked(address, input=asking, context_management=RULE)
    second = asked(address, input="What else?", previous_response_id=first["id"], context_management=RULE)
    assert ["message"] == said(second)
    texts = [message["content"] for message in model.asked[-1]]
    assert NOTES.format(last="39") in texts[0]
    assert ["And now?", "I read 2 messages.", "What else?"] == texts[1:]


def test_a_client_that_keeps_its_history_may_drop_what_was_summed_up(address: str, model: Window) -> None:
    """The item alone is enough, for a response that nobody keeps too."""
    asking = [*talk(range(40)), {"role": "user", "content": "And now?"}]
    first = asked(address, input=asking, context_management=RULE, store=False)
    dropped = [*first["output"], {"role": "user", "content": "What else?"}]
    asked(address, input=[*asking, *dropped], store=False)
    whole = model.asked[-1]
    asked(address, input=dropped, store=False)
    assert whole == model.asked[-1]
    assert ["And now?", "I read 2 messages.", "What else?"] == [message["content"] for message in whole[1:]]


def test_calls_that_are_answered_after_a_summary_are_found(address: str, model: Window) -> None:
    """The last call and its output are shown as they are."""
    loop = [
        {"role": "user", "content": "Count the umbrellas."},
        *talk(range(40))[1:],
        {"type": "function_call", "call_id": "c1", "name": "count", "arguments": '{"what": "umbrellas"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "2329"},
    ]
    assert ["compaction", "message"] == said(asked(address, input=loop, context_management=RULE))
    *_, call, output = model.asked[-1]
    assert ("c1", "2329") == (call["tool_calls"][0]["id"], output["content"])


def test_a_trigger_compacts_now_and_does_nothing_else(address: str, model: Window) -> None:
    """However short the conversation is; what comes of it is the next input."""
    response = asked(address, input=[*talk(range(2)), {"type": "compaction_trigger"}])
    assert ["compaction"] == said(response)
    assert "completed" == response["status"]
    asked(address, input=[*response["output"], {"role": "user", "content": "And now?"}])
    texts = [message["content"] for message in model.asked[-1]]
    assert NOTES.format(last="0") in texts[0] or NOTES.format(last="1") in texts[0]
    assert "And now?" == texts[-1]


def test_a_stream_tells_the_summary_as_an_item(address: str) -> None:
    """Added and done, and the official client knows both."""
    asking: Any = [*talk(range(40)), {"role": "user", "content": "And now?"}]
    rules: Any = RULE
    with OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0, _strict_response_validation=True) as client:
        stream = client.responses.create(model="m", input=asking, context_management=rules, stream=True)
        events = [event.model_dump() for event in stream]
    told = [event for event in events if event.get("item", {}).get("type") == "compaction"]
    assert ["response.output_item.added", "response.output_item.done"] == [event["type"] for event in told]
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    assert told[1]["item"] == events[-1]["response"]["output"][0] | {"created_by": None} | told[1]["item"]


def test_a_model_that_cannot_sum_up_fails_the_response(address: str, model: Window) -> None:
    """Before anything is told, it is a plain error."""
    model.is_broken = True
    try:
        body = {"model": "m", "input": talk(range(40)), "context_management": RULE}
        answer = patient.post(f"{address}/v1/responses", json=body)
    finally:
        model.is_broken = False
    assert (503, "server_error") == (answer.status_code, answer.json()["error"]["code"])


def test_no_summary_is_readable(address: str) -> None:
    """Neither in the response, nor in what is kept of it."""
    asking = [*talk(range(40)), {"role": "user", "content": "And now?"}]
    response = asked(address, input=asking, context_management=RULE)
    kept = patient.get(f"{address}/v1/responses/{response['id']}").text
    assert "NOTES" not in json.dumps(response) + kept
