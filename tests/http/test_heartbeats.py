"""Streams in which nothing is said for a while: comments for connections, events for clients that count only those."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any  # JSON

import pytest
from msgspec import Struct
from openai import APIError, OpenAI

from antiphon.config import Config, Server
from tests import patient
from tests.conducting import Models, conducting
from tests.oracle import check_event
from tests.patient import HANG_SECONDS
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx2 as httpx

COMMENT = ": keep-alive"


class Stage(Struct, frozen=True):
    """A server and the models behind it."""

    address: str
    models: Models


@contextmanager
def beating(comments: float, events: float) -> Iterator[Stage]:
    """A server whose heart beats so often, in seconds."""
    with conducting() as models:
        times = Server(heartbeat_seconds=comments, heartbeat_event_seconds=events)
        with serving(Config(server=times, store=MEMORY, deployments=[models.deployment])) as address:
            yield Stage(address, models)


@pytest.fixture(scope="module")
def both() -> Iterator[Stage]:
    """A server that comments often, and says now and then that the response is in progress."""
    with beating(0.02, 0.1) as stage:
        yield stage


@contextmanager
def streamed(stage: Stage, model: str, **more: Any) -> Iterator[httpx.Response]:  # JSON
    """A stream that is being answered."""
    body = {"model": model, "input": "Hi.", "stream": True, **more}
    with patient.stream("POST", f"{stage.address}/v1/responses", json=body) as answer:
        yield answer


class Reader:
    """Reads a stream block by block. ``events`` are those so far, ``blocks`` all that came."""

    def __init__(self, answer: httpx.Response) -> None:
        self.events: list[dict[str, Any]] = []
        self.blocks: list[str] = []
        self._lines = answer.iter_lines()

    def block(self) -> str:
        """The type of the next event, or the next comment."""
        lines: list[str] = []
        for line in self._lines:
            if not line:
                break
            lines.append(line)
        text = "\n".join(lines)
        self.blocks.append(text)
        if "data: {" not in text:
            return text
        check_event(text.partition("data: ")[2].encode())
        event: dict[str, Any] = json.loads(text.partition("data: ")[2])
        self.events.append(event)
        return str(event["type"]).removeprefix("response.")

    def until(self, what: str, times: int = 1) -> list[str]:
        """All blocks up to the so-manieth of these."""
        found: list[str] = []
        while found.count(what) < times:
            found.append(self.block())
            assert found[-1], "the stream ended"
        return found

    def expect_contiguous(self) -> None:
        """Numbers without gaps."""
        assert list(range(len(self.events))) == [event["sequence_number"] for event in self.events]


def test_a_silent_model_is_no_silent_stream(both: Stage) -> None:
    """First what the response begins with, then comments, and after some of them events; then all that is said."""
    model = both.models["silent"]
    with streamed(both, "silent") as answer:
        reader = Reader(answer)
        assert ["created", "in_progress", COMMENT, COMMENT] == [reader.block() for _ in range(4)]
        beats = reader.until("in_progress", 2)
        assert {COMMENT, "in_progress"} == set(beats)
        model.say("Hello.")
        reader.until("output_text.delta")
        assert COMMENT in reader.until("in_progress")
        model.stop()
        reader.until("completed")
        assert "" == reader.block()
    reader.expect_contiguous()
    response = reader.events[-1]["response"]
    assert ["Hello."] == [part["text"] for item in response["output"] for part in item["content"]]
    assert {"in_progress"} == {
        each["response"]["status"] for each in reader.events if each["type"] == "response.in_progress"
    }


def test_what_is_kept_is_the_same_as_without_a_beat(both: Stage) -> None:
    """Beats are told and not stored."""
    model = both.models["kept"]
    with streamed(both, "kept") as answer:
        reader = Reader(answer)
        reader.until("in_progress", 2)
        model.say("Hello.")
        model.stop()
        reader.until("completed")
    last = reader.events[-1]["response"]
    assert last == patient.get(f"{both.address}/v1/responses/{last['id']}").json()


@pytest.mark.parametrize(
    ("comments", "events", "expected"),
    [(0.02, 0.0, {COMMENT}), (0.0, 0.02, {"in_progress"}), (0.05, 0.02, {"in_progress"})],
)
def test_either_kind_of_beat_may_be_turned_off(comments: float, events: float, expected: set[str]) -> None:
    """Events that come often enough leave no room for comments."""
    with beating(comments, events) as stage, streamed(stage, "m") as answer:
        reader = Reader(answer)
        assert ["created", "in_progress"] == [reader.block() for _ in range(2)]
        assert expected == {reader.block() for _ in range(4)}
        stage.models["m"].say("Hello.")
        stage.models["m"].stop()
        reader.until("completed")
        reader.expect_contiguous()


def test_without_beats_nothing_is_said_before_the_model(both: Stage) -> None:
    """Neither where both are turned off, nor of what is no stream."""
    with beating(0.0, 0.0) as stage, OpenAI(base_url=f"{stage.address}/v1", api_key="any", max_retries=0) as client:
        stage.models["m"].die()
        with pytest.raises(APIError, match="ended its stream early"):
            client.responses.create(model="m", input="Hi.", stream=True)
    model = both.models["whole"]
    model.say("Hello.")
    model.stop()
    body = {"model": "whole", "input": "Hi."}
    assert "completed" == patient.post(f"{both.address}/v1/responses", json=body).json()["status"]


def test_a_fault_before_the_first_beat_is_a_plain_error_and_after_it_the_response_fails(both: Stage) -> None:
    """A client that has heard something can be told no status any more."""
    body = {"model": "early", "input": "Hi.", "stream": True}
    with beating(HANG_SECONDS, 0.0) as stage:
        stage.models["early"].die()
        early = patient.post(f"{stage.address}/v1/responses", json=body)
    assert (502, "application/json") == (early.status_code, early.headers["content-type"])
    late = both.models["late"]
    with streamed(both, "late") as stream:
        reader = Reader(stream)
        reader.until(COMMENT)
        late.die()
        reader.until("failed")
        assert "" == reader.block()
    reader.expect_contiguous()
    assert ("failed", "server_error") == (
        reader.events[-1]["response"]["status"],
        reader.events[-1]["response"]["error"]["code"],
    )


def test_the_official_client_does_not_mind(both: Stage) -> None:
    """It validates every event, skips comments, and adds up the same response."""
    model = both.models["official"]
    with (
        OpenAI(
            base_url=f"{both.address}/v1",
            api_key="any",
            max_retries=0,
            timeout=HANG_SECONDS,
            _strict_response_validation=True,
        ) as client,
        client.responses.stream(model="official", input="Hi.") as events,
    ):
        beats = 0
        numbers: list[int] = []
        for event in events:
            numbers.append(event.sequence_number)
            beats += event.type == "response.in_progress"
            if beats == 3 and event.type == "response.in_progress":
                model.say("Hello.")
            if event.type == "response.output_text.delta":
                model.stop()
        assert "Hello." == events.get_final_response().output_text
    assert list(range(len(numbers))) == numbers


def test_a_client_that_leaves_between_beats_stops_the_model(both: Stage) -> None:
    """At once; the heart beats for nobody."""
    model = both.models["left"]
    with streamed(both, "left") as answer:
        Reader(answer).until(COMMENT)
        model.wait()
    model.gone()


def test_whoever_follows_a_response_in_the_background_hears_comments(both: Stage) -> None:
    """Its events are those of its log, and no beat is among them."""
    model = both.models["background"]
    with streamed(both, "background", background=True) as answer:
        reader = Reader(answer)
        assert COMMENT in reader.until(COMMENT, 8)
        model.say("Hello.")
        model.stop()
        reader.until("completed")
    reader.expect_contiguous()
    assert 1 == [event["type"] for event in reader.events].count("response.in_progress")
