"""Clients that others wrote, each against a real server: each gets what was said, in its own words.

A driver runs many scenarios in its client's own environment and prints what the client made of each; the tables here
say what that must be. `tests.conformance.script` is what the model says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests import patient
from tests.conformance.clients import KEY, busy, told
from tests.conformance.script import config
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = Any  # what a client makes of an answer

pytestmark = pytest.mark.clients

PERSON = {"name": "Ada", "age": 36}
PARIS = '{"city":"Paris"}'
NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
    "please wait a moment and try again."
)
NO_ITEM = (
    "Item with id 'msg_nothing' not found. Items are not persisted when `store` is set to false. Try again with "
    "`store` set to true, or remove this item from your input."
)

OPENAI: dict[str, Json] = {
    "text": ["Hello there.", "completed", 9, 4, 13],
    "stream": [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ],
    "stream_helper": [["Hello", " there."], "Hello there."],
    "tool": ["function_call", "get_weather", PARIS, "It is 22 degrees."],
    "tool_stream": [PARIS, {"city": "Paris"}, "It is 22 degrees."],
    "two_calls": [PARIS, '{"city":"Rome"}'],
    "chain": ["one", "You said: one", "two", "You said: two", "three"],
    "by_hand": "You said: two",
    "parsed": PERSON,
    "parsed_stream": PERSON,
    "refused": [None, "I would rather not."],
    "reasoning": [["reasoning", "message"], "Two and two."],
    "incomplete": ["response.incomplete", "incomplete", "max_output_tokens", "one two"],
    "failed": ["response.failed", "failed", "server_error", "So far"],
    "kept": [True, {"topic": "demo"}, 404],
    "background": [
        "queued",
        "completed",
        "Hello there.",
        [
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ],
    ],
    "background_stream": [
        ["response.created", "response.queued", "response.in_progress"],
        [3, 4, 5, 6, 7, 8, 9, 10],
        "Hello there.",
    ],
    "cancelled": ["in_progress", "cancelled", "So far", True],
    "models": ["busy", "gpt-4o", "gpt-5"],
    "azure_key": "Hello there.",
    "azure_token": "Hello there.",
    "azure_deployment": "Hello there.",
    "azure_unknown": ["NotFoundError", 404, "DeploymentNotFound", None],
    "not_found": ["NotFoundError", 404, None, None],
    "bad_request": ["BadRequestError", 400, "previous_response_not_found", "previous_response_id"],
    "bad_value": ["BadRequestError", 400, "decimal_above_max_value", "temperature"],
    "unknown_model": ["BadRequestError", 400, "model_not_found", "model"],
    "unauthorized": ["AuthenticationError", 401, "invalid_api_key", None],
    "limited": ["RateLimitError", 429, "rate_limit_exceeded", None],
    "limited_stream": ["RateLimitError", 429, "rate_limit_exceeded", None],
    "retried": "Asked 2 times.",
}

LANGCHAIN: dict[str, Json] = {
    "text": ["Hello there.", "completed", 9, 4],
    "stream": [["Hello", " there."], "Hello there.", 4],
    "background": ["Hello", " there."],
    "tool": ["get_weather", {"city": "Paris"}, "It is 22 degrees."],
    "tool_stream": ["get_weather", {"city": "Paris"}, "It is 22 degrees."],
    "parsed": PERSON,
    "reasoning": ["Two and two.", "Four.", "Hello there."],
    "azure": ["Hello there.", "Hello there."],
    "azure_unknown": ["OpenAIModelNotFoundError", 404, "DeploymentNotFound", None],
    "bad_request": ["OpenAIInvalidRequestError", 400, "previous_response_not_found", "previous_response_id"],
    "unauthorized": ["OpenAIAuthenticationError", 401, "invalid_api_key", None],
    "limited": ["OpenAIRateLimitError", 429, "rate_limit_exceeded", None],
    "retried": "Asked 2 times.",
}

AI_SDK: dict[str, Json] = {
    "text": ["Hello there.", "stop", 9, 4, 13],
    "stream": ["Hello", " there."],
    "stream_parts": [
        *("start", "start-step", "text-start", "text-delta", "text-delta", "text-end", "finish-step", "finish")
    ],
    "tool": ["get_weather", {"city": "Paris"}, "It is 22 degrees."],
    "tool_stream": [[{"city": "Paris"}], "It is 22 degrees."],
    "tool_unstored": "It is 22 degrees.",
    "two_calls": [{"city": "Paris"}, {"city": "Rome"}],
    "reasoning": ["Two and two.", "Four.", "Hello there."],
    "reasoning_stream": "Two and two.",
    "parsed": PERSON,
    "parsed_stream": PERSON,
    "incomplete": ["one two", "length"],
    "failed": ["So", " far"],
    "azure_key": "Hello there.",
    "azure_token": "Hello there.",
    "azure_deployment": "Hello there.",
    "azure_tool": "It is 22 degrees.",
    "azure_unknown": ["APICallError", 404, False, NO_DEPLOYMENT],
    "bad_request": ["APICallError", 400, False, "Previous response with id 'resp_nothing' not found."],
    "not_found": ["APICallError", 404, False, NO_ITEM],
    "limited": [
        "APICallError",
        429,
        True,
        "Rate limit reached for the model behind this server. Please try again in 0.01s.",
    ],
    "given_up": ["RetryError", "maxRetriesExceeded", 2],
    "retried": "Asked 2 times.",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that opens to one key, with a scripted model and one that is busy at first."""
    with busy() as upstream, serving(config(upstream)) as address:
        yield address


def history(url: str, id: str) -> tuple[bool, list[str]]:
    """Whether a response continues another, and the texts of all that was said before it."""
    headers = {"api-key": KEY}
    response = patient.get(f"{url}/v1/responses/{id}", headers=headers).json()
    items = patient.get(f"{url}/v1/responses/{id}/input_items?order=asc", headers=headers).json()["data"]
    return response["previous_response_id"] is not None, [item["content"][0]["text"] for item in items]


@pytest.mark.parametrize("place", ["", "openai-2", "openai-1"])
def test_the_official_python_client_of_any_version_gets_what_was_said(url: str, place: str) -> None:
    """The versions 3, 2 and 1 validate all that they are sent, and map errors to their classes."""
    got = dict(told("openai_python.py", place, url))
    assert re.fullmatch("req_[0-9a-f]{32}", got.pop("request_id"))
    assert ["Hello there.", "Hello there."] == got.pop("asynchronous")
    assert OPENAI == got


def test_the_official_node_client_gets_what_was_said(url: str) -> None:
    """The same scenarios have the same results."""
    got = dict(told("openai_node.mjs", "node", url))
    assert re.fullmatch("req_[0-9a-f]{32}", got.pop("request_id"))
    assert OPENAI == got


def test_langchain_gets_what_was_said(url: str) -> None:
    """Its second turns are told by hand, or go by the id of the response where it is asked to."""
    got = dict(told("langchain_python.py", "frameworks", url))
    chained, by_hand = got.pop("chain"), got.pop("by_hand")
    assert LANGCHAIN == got
    said = ["one", "You said: one", "two"]
    assert ["You said: two", (True, said)] == [chained[0], history(url, chained[1])]
    assert ["You said: two", (False, said)] == [by_hand[0], history(url, by_hand[1])]


def test_the_ai_sdk_gets_what_was_said(url: str) -> None:
    """Its second turns name earlier items by their ids, or go by the id of the response where it is asked to."""
    got = dict(told("ai_sdk.mjs", "node", url))
    by_reference, chained, refused = got.pop("by_reference"), got.pop("chain"), got.pop("unauthorized")
    assert AI_SDK == got
    said = ["one", "You said: one", "two"]
    assert ["You said: two", 1, (False, said)] == [*by_reference[:2], history(url, by_reference[2])]
    assert ["You said: two", (True, said)] == [chained[0], history(url, chained[1])]
    assert ["APICallError", 401, False] == refused[:3]
    assert "wrong" not in refused[3]
