"""Tests of lanes: what follows what on one WebSocket, and what goes on side by side."""

from __future__ import annotations

import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from antiphon.config import Config
from tests.http.talking import TERMINAL, hurried, talking, text
from tests.serving import MEMORY, scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conducting import Model, Models

LIMIT = "websocket_stream_limit_reached"


@pytest.fixture(scope="module")
def address(models: Models) -> Iterator[str]:
    """A server whose models are conducted."""
    with serving(Config(store=MEMORY, deployments=[models.deployment])) as url:
        yield url


@contextmanager
def conducted(models: Models) -> Iterator[tuple[str, Model]]:
    """The name of a model that no other test conducts, and the model."""
    name = uuid.uuid4().hex
    yield name, models[name]
    models[name].die()


def test_a_slow_lane_slows_no_other(models: Models, address: str) -> None:
    """While a model thinks in one lane, another lane has its response from the first event to the last."""
    with conducted(models) as (slow, thinking), conducted(models) as (fast, talker), talking(address) as talk:
        talk.create(model=slow, stream_id="slow")
        thinking.wait()
        talk.create(model=fast, stream_id="fast")
        talker.say("done")
        talker.stop()
        events = talk.until(*TERMINAL)
        thinking.say("at last")
        thinking.stop()
        last = talk.until(*TERMINAL)[-1]
    assert {"fast"} == {event["stream_id"] for event in events}
    assert ("slow", "at last") == (last["stream_id"], text(last))


def test_what_is_said_in_two_lanes_at_once_is_told_at_once(models: Models, address: str) -> None:
    """The events of responses that are made side by side come as they are made, each with its lane and its numbers."""
    with conducted(models) as (one, first), conducted(models) as (two, second), talking(address) as talk:
        talk.create(model=one, stream_id="one")
        talk.create(model=two, stream_id="two")
        heard = []
        for _ in range(3):
            for model in (first, second):
                model.say("word ")
                heard += talk.until("response.output_text.delta")
        for model in (first, second):
            model.stop()
            heard += talk.until(*TERMINAL)
    assert ["one", "two"] * 3 == [each["stream_id"] for each in heard if each["type"] == "response.output_text.delta"]
    for lane in ("one", "two"):
        numbers = [each["sequence_number"] for each in heard if each["stream_id"] == lane]
        assert list(range(len(numbers))) == numbers


def test_creates_of_one_lane_follow_each_other(models: Models, address: str) -> None:
    """In the order in which they were sent, in a named lane and in the one without a name."""
    for lane in ({}, {"stream_id": "a"}):
        with ExitStack() as stack, talking(address) as talk:
            (one, first), (two, second) = (stack.enter_context(conducted(models)) for _ in range(2))
            talk.create(model=one, **lane)
            talk.create(model=two, **lane)
            second.say("second")
            second.stop()
            first.wait()
            first.say("first")
            first.stop()
            ends = [talk.until(*TERMINAL)[-1] for _ in range(2)]
        assert ["first", "second"] == [text(end) for end in ends]


def test_a_create_may_go_on_from_the_one_before_it_while_that_is_being_made(models: Models, address: str) -> None:
    """It waits in the lane until there is something to go on from."""
    with conducted(models) as (name, model), talking(address) as talk:
        talk.create(model=name)
        model.wait()
        model.say("one")
        created = talk.until("response.created")[-1]
        talk.create(model=name, input="and then?", previous_response_id=created["response"]["id"])
        model.stop()
        assert "one" == text(talk.until(*TERMINAL)[-1])
        assert "and then?" == model.wait()["messages"][-1]["content"]
        model.say("two")
        model.stop()
        assert "two" == text(talk.until(*TERMINAL)[-1])


def test_no_more_than_sixteen_responses_are_made_at_a_time(models: Models, address: str) -> None:
    """The seventeenth waits until one of them has ended."""
    with ExitStack() as stack, talking(address) as talk:
        pairs = [stack.enter_context(conducted(models)) for _ in range(17)]
        for number, (name, _) in enumerate(pairs[:16]):
            talk.create(model=name, stream_id=f"lane-{number}")
        for _, model in pairs[:16]:
            model.wait()
        late, last = pairs[16]
        talk.create(model=late, stream_id="late")
        pairs[3][1].say("over")
        pairs[3][1].stop()
        assert ("lane-3", "over") == ((end := talk.until(*TERMINAL)[-1])["stream_id"], text(end))
        last.wait()
        last.say("me too")
        last.stop()
        assert ("late", "me too") == ((end := talk.until(*TERMINAL)[-1])["stream_id"], text(end))


def test_a_response_that_waits_for_a_place_has_not_begun(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one place, the lanes take turns: no event of the second comes before the end of the first."""
    hurried(monkeypatch, in_flight=1)
    with serving(Config(store=MEMORY, deployments=[models.deployment])) as address, ExitStack() as stack:
        (one, first), (two, second) = (stack.enter_context(conducted(models)) for _ in range(2))
        talk = stack.enter_context(talking(address))
        talk.create(model=one, stream_id="one")
        talk.create(model=two, stream_id="two")
        for model in (second, first):
            model.say("x")
            model.stop()
        events = talk.until(*TERMINAL) + talk.until(*TERMINAL)
    lanes = [event["stream_id"] for event in events]
    assert sorted(lanes) == lanes


def test_a_connection_has_thirty_two_lanes_with_names() -> None:
    """And the one without; a name more is refused, and the known ones go on."""
    with serving(scripted()) as address, talking(address) as talk:
        for number in range(32):
            assert "response.completed" == talk.turn(stream_id=f"lane.{number}_-")["type"]
        refused = talk.turn(stream_id="one-too-many")
        ends = [talk.turn(stream_id="lane.7_-"), talk.turn(), talk.turn(stream_id=None)]
    assert (400, LIMIT, "stream_id", "one-too-many") == (
        refused["status"],
        refused["error"]["code"],
        refused["error"]["param"],
        refused["stream_id"],
    )
    assert ["response.completed"] * 3 == [end["type"] for end in ends]


def test_what_waits_has_an_end(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for more than it may is told to try again; what was taken is answered."""
    hurried(monkeypatch, waiting=3)
    with serving(Config(store=MEMORY, deployments=[models.deployment])) as address, ExitStack() as stack:
        name, model = stack.enter_context(conducted(models))
        talk = stack.enter_context(talking(address))
        talk.create(model=name)
        model.wait()
        for _ in range(4):
            talk.create(model=name)
        refused = talk.until("error")[-1]
        model.say("one")
        model.stop()
        assert "one" == text(talk.until(*TERMINAL)[-1])
        for _ in range(3):
            model.wait()
            model.say("another")
            model.stop()
            assert "another" == text(talk.until(*TERMINAL)[-1])
    assert (429, "rate_limit_exceeded") == (refused["status"], refused["error"]["code"])
    assert {"retry-after": "1", "retry-after-ms": "1000"} == refused["error"]["headers"]


def test_what_waits_is_no_longer_than_a_message_may_be(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message of any allowed length may wait; a second one only if both together are no longer than that."""
    hurried(monkeypatch, message_bytes=100_000)
    with serving(Config(store=MEMORY, deployments=[models.deployment])) as address, ExitStack() as stack:
        name, model = stack.enter_context(conducted(models))
        talk = stack.enter_context(talking(address))
        talk.create(model=name)
        model.wait()
        talk.create(model=name, input="x" * 60_000)
        talk.create(model=name, input="y" * 60_000)
        talk.create(model=name, input="z" * 1000)
        refused = talk.until("error")[-1]
        for _ in range(3):
            model.say("said")
            model.stop()
            assert "said" == text(talk.until(*TERMINAL)[-1])
    assert 429 == refused["status"]
