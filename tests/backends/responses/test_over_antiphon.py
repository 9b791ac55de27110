"""One server over another: what the upstream answers is what the caller gets, through both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any  # bodies are told as plain JSON here

import pytest
from openai import OpenAI, RateLimitError
from openai.types.responses import ResponseCompletedEvent, ResponseFailedEvent

from antiphon.config import Config
from tests.serving import MEMORY, scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.types.responses import Response, ResponseStreamEvent

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
REPLIES: tuple[dict[str, Any], ...] = (
    {
        "when": "weather",
        "after_output": False,
        "steps": [
            {"thought": "Two cities."},
            {"call": {"name": "get_weather", "arguments": {"city": "Paris"}}},
            {"call": {"name": "get_weather", "arguments": {"city": "Oslo"}}},
        ],
    },
    {"when": "sunny", "steps": [{"text": "Take a hat."}]},
    {"when": "long", "steps": [{"text": "one two three"}], "finish": "max_output_tokens"},
    {"when": "refuse", "steps": [{"refusal": "I would rather not."}]},
    {"when": "limit", "steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "Slow.", "retry_after": 60}}]},
    {"when": "break", "steps": [{"text": "So far"}, {"fail": {"fault": "server_error", "message": "It broke."}}]},
    {"when": "again", "steps": [{"text": "Hello again."}]},
    {
        "steps": [{"text": ["Hello", " there."]}],
        "usage": {"input_tokens": 7, "output_tokens": 3, "cached_tokens": 2, "reasoning_tokens": 1},
    },
)


@pytest.fixture(scope="module")
def client() -> Iterator[OpenAI]:
    """The official client, before a server that asks another one."""
    with serving(scripted(*REPLIES)) as upstream:
        deployment = {"name": "*", "backend": "responses", "base_url": f"{upstream}/v1", "api_key": "any"}
        with (
            serving(Config(store=MEMORY, deployments=[deployment])) as url,
            OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, _strict_response_validation=True) as made,
        ):
            yield made


def streamed(client: OpenAI, **request: Any) -> list[ResponseStreamEvent]:
    """All events of a stream."""
    with client.responses.create(model="m", stream=True, **request) as events:
        return list(events)


def last(events: list[ResponseStreamEvent]) -> Response:
    """The response of the last event."""
    match events[-1]:
        case ResponseCompletedEvent(response=response) | ResponseFailedEvent(response=response):
            return response
        case event:
            pytest.fail(f"the stream ends with {event.type}")


def test_a_text_is_answered(client: OpenAI) -> None:
    """The words, and what they cost."""
    response = client.responses.create(model="m", input="hi")
    assert ("completed", "Hello there.", "m") == (response.status, response.output_text, response.model)
    assert response.usage is not None
    usage = response.usage
    assert (7, 3, 10) == (usage.input_tokens, usage.output_tokens, usage.total_tokens)
    assert (2, 1) == (usage.input_tokens_details.cached_tokens, usage.output_tokens_details.reasoning_tokens)


def test_a_text_is_streamed_as_it_is_spoken(client: OpenAI) -> None:
    """Each piece of the upstream's is one here."""
    events = streamed(client, input="hi")
    assert ["Hello", " there."] == [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "Hello there." == last(events).output_text


def test_functions_are_called_and_answered_along_a_chain(client: OpenAI) -> None:
    """Two calls side by side, their outputs, and the answer that knows them."""
    events = streamed(client, input="How is the weather?", tools=[WEATHER], reasoning={"summary": "auto"})
    first = last(events)
    calls = [item for item in first.output if item.type == "function_call"]
    assert [{"city": "Paris"}, {"city": "Oslo"}] == [json.loads(call.arguments) for call in calls]
    [thought] = [item for item in first.output if item.type == "reasoning"]
    assert "Two cities." == thought.summary[0].text
    outputs: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
    second = client.responses.create(model="m", previous_response_id=first.id, input=outputs, tools=[WEATHER])
    assert "Take a hat." == second.output_text
    third = client.responses.create(model="m", previous_response_id=second.id, input="and again")
    assert "Hello again." == third.output_text


def test_a_limit_and_a_refusal_come_through(client: OpenAI) -> None:
    """How the upstream's response ended is how this one ends."""
    cut = client.responses.create(model="m", input="a long one")
    assert cut.incomplete_details is not None
    assert ("incomplete", "max_output_tokens") == (cut.status, cut.incomplete_details.reason)
    [message] = client.responses.create(model="m", input="please refuse").output
    assert message.type == "message"
    assert ["I would rather not."] == [part.refusal for part in message.content if part.type == "refusal"]


def test_a_limit_of_the_upstreams_is_one_here(client: OpenAI) -> None:
    """Before a word was said it is a status, with the seconds that the upstream named."""
    with pytest.raises(RateLimitError) as caught:
        client.responses.create(model="m", input="limit")
    assert "60" == caught.value.response.headers["retry-after"]


def test_a_failure_in_the_middle_keeps_its_code(client: OpenAI) -> None:
    """What was said before it is told."""
    events = streamed(client, input="break")
    assert "So far" == "".join(event.delta for event in events if event.type == "response.output_text.delta")
    error = last(events).error
    assert error is not None
    assert ("server_error", "The model's server reported an error.") == (error.code, error.message)
