"""The official client over a WebSocket, unchanged: its connection, its lanes, its steering."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from openai.lib.responses_websocket import (
    AsyncResponsesWebSocketSession,
    ResponsesWebSocketError,
    ResponsesWebSocketLimits,
    ResponsesWebSocketSession,
)

from tests.patient import HANG_SECONDS
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.resources.responses.responses import ResponsesConnection
    from openai.types.responses import Response

# The client opens its connections in a way that its own library is about to give up.
pytestmark = pytest.mark.filterwarnings(r"ignore:connect\(\) must be used as a context manager:DeprecationWarning")

SLOW = {"when": "slow", "tokens_per_second": 50, "steps": [{"text": "word " * 500}]}
STEERED = {"when": "in a word", "steps": [{"text": "Briefly."}]}
WORDS = {"steps": [{"text": "one two three"}]}
LIMITS = ResponsesWebSocketLimits(
    max_lanes=8,
    max_events_per_lane=2000,
    max_events=8000,
    max_bytes_per_lane=16_000_000,
    max_bytes=32_000_000,
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server whose model speaks three words, or many in their time."""
    with serving(scripted(STEERED, SLOW, WORDS)) as url:
        yield url


@pytest.fixture
def official(address: str) -> Iterator[OpenAI]:
    """The official client."""
    with OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0) as made:
        yield made


def turn(connection: ResponsesConnection) -> Response:
    """Hear a response to its end; its deltas are its text."""
    deltas: list[str] = []
    for event in connection:
        if event.type == "response.output_text.delta":
            deltas.append(event.delta)
        if event.type == "response.completed":
            assert event.response.output_text == "".join(deltas)
            return event.response
    raise AssertionError("the connection was closed")


def said(response: Response | None) -> str:
    """The text of a response."""
    assert response is not None
    return response.output_text


def test_the_official_client_hears_every_event(official: OpenAI) -> None:
    """As it iterates over a connection, turn after turn, the second going on from the first, which is not stored."""
    with official.responses.connect() as connection:
        connection.response.create(model="m", input="Hi.", store=False)
        first = turn(connection)
        connection.response.create(model="m", input="Hi.", store=False, previous_response_id=first.id)
        second = turn(connection)
    assert ["one two three"] * 2 == [first.output_text, second.output_text]


def test_the_client_for_azure_opens_the_same(address: str) -> None:
    """With its header, its path and its version."""
    with (
        AzureOpenAI(azure_endpoint=address, api_key="any", api_version="2025-04-01-preview", max_retries=0) as azure,
        azure.responses.connect() as connection,
    ):
        connection.response.create(model="m", input="Hi.")
        last = next(event for event in connection if event.type in {"response.completed", "error"})
    assert "response.completed" == last.type


def test_a_session_of_the_official_client_has_lanes(official: OpenAI) -> None:
    """Two of them at once, and the one without a name; an error is raised in the lane that it belongs to."""
    with official.responses.connect() as connection, ResponsesWebSocketSession(connection, limits=LIMITS) as session:
        lanes = [session.lane("one"), session.lane("two"), session.default]
        for lane in lanes:
            lane.send({"type": "response.create", "model": "m", "input": "Hi.", "store": False})
        texts = [said(lane.get_final_response(timeout=HANG_SECONDS)) for lane in lanes]
        lanes[0].send({"type": "response.create", "model": "m", "previous_response_id": "resp_unknown", "input": "x"})
        with pytest.raises(ResponsesWebSocketError) as raised:
            lanes[0].get_final_response(timeout=HANG_SECONDS)
    assert ["one two three"] * 3 == texts
    assert raised.value.event.type == "error"
    assert "previous_response_not_found" == raised.value.event.error.code


@pytest.mark.anyio
async def test_the_official_client_steers(address: str) -> None:
    """A response that takes its time is broken off, and its successor says what was wished."""
    async with (
        AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0) as official,
        official.responses.connect() as connection,
        AsyncResponsesWebSocketSession(connection, limits=LIMITS) as session,
    ):
        lane = session.lane("talk")
        await lane.send({"type": "response.create", "model": "m", "input": "slow", "store": False})
        id = ""
        ends: list[tuple[str, str]] = []
        while len(ends) < 2:
            event = await lane.recv()
            if event.type == "response.created" and not id:
                id = event.response.id
                await lane.send({"type": "response.steer", "previous_response_id": id, "input": "Say it in a word."})
            if event.type in {"response.incomplete", "response.completed", "response.failed"}:
                ends.append((event.type, event.response.output_text))
    assert ["response.incomplete", "response.completed"] == [kind for kind, _ in ends]
    assert "Briefly." == ends[1][1]
    assert ends[0][1].startswith("word")
