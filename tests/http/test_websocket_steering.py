"""Tests of steering: what a user says into a response that is being made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

import pytest

from antiphon.config import Config
from tests.conducting import DONE
from tests.http.talking import TERMINAL, Talk, hurried, talking, text
from tests.serving import MEMORY, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conducting import Model, Models

STEERED = {"reason": "steered"}
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture(scope="module")
def address(models: Models) -> Iterator[str]:
    """A server whose models are conducted."""
    with serving(Config(store=MEMORY, deployments=[models.deployment])) as url:
        yield url


def begin(talk: Talk, name: str, model: Model, **body: Any) -> str:
    """Ask for a response, hear the model begin, and give the id of the response."""
    talk.create(model=name, **body)
    model.wait()
    model.say("So far ")
    id: str = talk.until("response.output_text.delta")[0]["response"]["id"]
    return id


def steer(talk: Talk, id: str, said: object = "Stop that.") -> Any:
    """Say something into a response, and give the answer to it."""
    talk.say(type="response.steer", previous_response_id=id, input=said)
    answer = talk.hear()
    while not answer["type"].startswith("response.steer"):
        answer = talk.hear()
    return answer


@pytest.mark.parametrize("lane", [{}, {"stream_id": "a"}])
@pytest.mark.parametrize("store", [True, False])
def test_a_steered_response_ends_and_its_successor_begins(
    address: str, name: str, model: Model, lane: dict[str, str], *, store: bool
) -> None:
    """It is incomplete with the reason, and what follows goes on from it, with its settings and what was said."""
    with talking(address) as talk:
        id = begin(talk, name, model, store=store, instructions="Be brief.", temperature=0.5, **lane)
        accepted = steer(talk, id)
        model.say("and more")
        ended = talk.until(*TERMINAL)[-1]
        asked = model.wait()
        model.say("As you like.")
        model.stop()
        events = talk.until(*TERMINAL)
    assert id == accepted["steer"]["previous_response_id"]
    assert accepted["steer"]["id"].startswith("steer_")
    assert ("response.incomplete", STEERED) == (ended["type"], ended["response"]["incomplete_details"])
    successor = events[0]["response"]
    assert ("response.created", id, store) == (events[0]["type"], successor["previous_response_id"], successor["store"])
    assert ("Be brief.", 0.5) == (successor["instructions"], successor["temperature"])
    assert ("response.completed", "As you like.") == (events[-1]["type"], text(events[-1]))
    assert ["system", "user", "assistant", "user"] == [message["role"] for message in asked["messages"]]
    assert "Stop that." == asked["messages"][-1]["content"]
    assert {lane.get("stream_id")} == {event.get("stream_id") for event in [accepted, ended, *events]}


def test_several_steers_join_in_one_successor(address: str, name: str, model: Model) -> None:
    """In the order in which they were accepted, in any of the forms of a user's message."""
    parts = [{"type": "input_text", "text": "in parts"}]
    said = ("plain", [{"role": "user", "content": "one"}], [{"type": "message", "role": "user", "content": parts}])
    with talking(address) as talk:
        id = begin(talk, name, model)
        ids = [steer(talk, id, each)["steer"]["id"] for each in said]
        model.say("more")
        talk.until("response.incomplete")
        asked = model.wait()
        model.stop()
        talk.until(*TERMINAL)
    assert 3 == len(set(ids))
    assert ["plain", "one", "in parts"] == [message["content"] for message in asked["messages"][-3:]]


def test_a_response_that_completes_before_it_hears_is_followed_as_well(address: str, name: str, model: Model) -> None:
    """What was accepted counts, though the model said nothing more that could be broken off."""
    with talking(address) as talk:
        id = begin(talk, name, model)
        steer(talk, id)
        finish(model)
        ended = talk.until(*TERMINAL)[-1]
        model.wait()
        model.say("Then this.")
        model.stop()
        assert "Then this." == text(talk.until(*TERMINAL)[-1])
    assert id == ended["response"]["id"]


def test_a_successor_can_be_steered_too(address: str, name: str, model: Model) -> None:
    """And comes before whatever waits in the lane."""
    with talking(address) as talk:
        id = begin(talk, name, model)
        talk.create(model=name, input="queued")
        for _ in range(2):
            steer(talk, id)
            model.say("x")
            talk.until("response.incomplete")
            model.wait()
            model.say("y")
            id = talk.until("response.output_text.delta")[0]["response"]["id"]
        model.stop()
        talk.until(*TERMINAL)
        assert "queued" == model.wait()["messages"][-1]["content"]
        model.stop()
        talk.until(*TERMINAL)


@pytest.mark.parametrize(
    "said",
    [
        "",
        [],
        None,
        7,
        [{"role": "system", "content": "x"}],
        [{"role": "user", "content": "x", "id": "msg_1"}],
        [{"role": "user", "content": [{"type": "output_text", "text": "x", "annotations": []}]}],
        [{"type": "function_call_output", "call_id": "call_1", "output": "x"}],
        ["x"],
    ],
)
def test_only_messages_of_a_user_can_steer(address: str, name: str, model: Model, said: object) -> None:
    """Anything else comes back as it was sent, and the response goes on."""
    with talking(address) as talk:
        id = begin(talk, name, model)
        talk.say(type="response.steer", previous_response_id=id, input=said)
        opcode, payload = talk.hear_frame()
        model.stop()
        assert "So far " == text(talk.until(*TERMINAL)[-1])
    assert b'"code":"invalid_input"' in payload
    assert 1 == opcode


def test_a_steer_has_no_other_keys(address: str, name: str, model: Model) -> None:
    """The response that is steered determines the lane."""
    with talking(address) as talk:
        id = begin(talk, name, model, stream_id="a")
        talk.say(type="response.steer", previous_response_id=id, input="x", stream_id="a")
        failed = talk.hear()
    assert ("invalid_input", "a", "x") == (failed["error"]["code"], failed["stream_id"], failed["steer"]["input"])
    assert "id" not in failed["steer"]


def test_who_is_not_there_cannot_be_steered(address: str, name: str, model: Model) -> None:
    """A response of nobody's, of another connection's, and one that has ended."""
    with talking(address) as other, talking(address) as talk:
        theirs = begin(other, name, model)
        codes = [steer(talk, id)["error"]["code"] for id in ("resp_unknown", theirs)]
        model.stop()
        other.until(*TERMINAL)
        codes.append(steer(other, theirs)["error"]["code"])
    assert ["response_not_found", "response_not_found", "response_already_completed"] == codes


def test_what_cannot_be_steered_says_so(address: str, name: str, model: Model) -> None:
    """A response whose context the server manages."""
    rule = [{"type": "compaction", "compact_threshold": 100_000}]
    with talking(address) as talk:
        id = begin(talk, name, model, context_management=rule)
        assert "steering_not_supported" == steer(talk, id)["error"]["code"]


def test_no_more_than_eight_steers_wait(address: str, name: str, model: Model) -> None:
    """The ninth comes back; the others count."""
    with talking(address) as talk:
        id = begin(talk, name, model)
        answers = [steer(talk, id, f"steer {number}") for number in range(9)]
        model.say("more")
        talk.until("response.incomplete")
        asked = model.wait()
    assert ["response.steer.accepted"] * 8 == [answer["type"] for answer in answers[:8]]
    assert ("too_many_pending_steers", "steer 8") == (answers[8]["error"]["code"], answers[8]["steer"]["input"])
    assert "steer 7" == asked["messages"][-1]["content"]
    assert list(range(9)) == [answer["sequence_number"] for answer in answers]


def test_no_more_bytes_wait_than_a_message_may_have(models: Models, name: str, model: Model) -> None:
    """However few the steers are."""
    with pytest.MonkeyPatch.context() as patch:
        hurried(patch, message_bytes=50_000)
        with serving(Config(store=MEMORY, deployments=[models.deployment])) as address, talking(address) as talk:
            id = begin(talk, name, model)
            answers = [steer(talk, id, "x" * 20_000) for _ in range(3)]
            model.die()
            talk.until(*TERMINAL)
    assert ["accepted", "accepted", "failed"] == [answer["type"].rpartition(".")[2] for answer in answers]


def finish(model: Model, reason: str = "stop") -> None:
    """Say that this was all, and be left: of a response that was steered nothing more is heard."""
    model._chunk({}, reason)
    model.cues.put((DONE, False))
    model.gone()


def waiting(talk: Talk, name: str, model: Model, **body: Any) -> tuple[str, Any, Any]:
    """Steer a response that ends with a call; give its id, its last event, and what is told of the steer after it."""
    id = begin(talk, name, model, tools=[TOOL], **body)
    model.call("look", "{}")
    talk.until("response.function_call_arguments.delta")
    steer(talk, id, "Hurry.")
    finish(model, "tool_calls")
    return id, talk.until(*TERMINAL)[-1], talk.hear()


def test_a_response_that_waits_for_its_client_keeps_what_was_said(address: str, name: str, model: Model) -> None:
    """The steer is pending until the outputs come in the next create, and the model hears both."""
    with talking(address) as talk:
        id, ended, pending = waiting(talk, name, model)
        stub = pending["required_input"][0]
        call = next(item for item in ended["response"]["output"] if item["type"] == "function_call")
        output = {key: stub[key] for key in ("type", "call_id")} | {"output": "sunny"}
        talk.create(model=name, input=[output, {"role": "user", "content": "Here."}], previous_response_id=id)
        asked = model.wait()
        model.say("Thanks.")
        model.stop()
        last = talk.until(*TERMINAL)[-1]
        done = talk.turn(model=name, previous_response_id="resp_unknown")
    assert ("response.steer.pending", "waiting_for_required_input") == (pending["type"], pending["reason"])
    assert {"type": "function_call_output", "call_id": call["call_id"], "name": "look"} == stub
    said = [(message["role"], message.get("content")) for message in asked["messages"]]
    assert [("tool", "sunny"), ("user", "Hurry."), ("user", "Here.")] == said[-3:]
    assert "Thanks." == text(last)
    assert "error" == done["type"]


def test_a_lane_that_goes_elsewhere_gives_back_what_was_said(address: str, name: str, model: Model) -> None:
    """Once another response is the last of the lane, nobody goes on from the one that waits."""
    with talking(address) as talk:
        id, _, _ = waiting(talk, name, model)
        talk.create(model=name)
        model.wait()
        model.say("Something else.")
        model.stop()
        talk.until(*TERMINAL)
        failed = talk.hear()
    assert ("response_not_active", "Hurry.", id) == (
        failed["error"]["code"],
        failed["steer"]["input"],
        failed["steer"]["previous_response_id"],
    )
    assert failed["steer"]["id"].startswith("steer_")


def test_a_continuation_that_fails_gives_back_what_was_said(address: str, name: str, model: Model) -> None:
    """The response that waits is forgotten, as its lane has failed to go on from it."""
    with talking(address) as talk:
        id, _, _ = waiting(talk, name, model, stream_id="a")
        talk.create(model=name, input="no output", previous_response_id=id, stream_id="a")
        told = [talk.hear(), talk.hear()]
    assert ["error", "response.steer.failed"] == sorted(each["type"] for each in told)
    assert {"a"} == {each["stream_id"] for each in told}


def test_another_lane_does_not_take_what_waits(address: str, name: str, model: Model) -> None:
    """A fork has the outputs alone, and what was said still waits for its own lane."""
    with talking(address) as talk:
        id, _, pending = waiting(talk, name, model, stream_id="a")
        stub = pending["required_input"][0]
        output = {key: stub[key] for key in ("type", "call_id")} | {"output": "sunny"}
        heard = []
        for lane in ("b", "a"):
            talk.create(model=name, input=[output], previous_response_id=id, stream_id=lane)
            heard.append([message["content"] for message in model.wait()["messages"]][-1])
            model.stop()
            talk.until(*TERMINAL)
    assert ["sunny", "Hurry."] == heard


def test_a_response_that_fails_gives_back_what_was_said(address: str, name: str, model: Model) -> None:
    """There is nothing to go on from."""
    with talking(address) as talk:
        id = begin(talk, name, model)
        steer(talk, id)
        model.die()
        ended = talk.until(*TERMINAL)[-1]
        failed = talk.hear()
    assert ("response.failed", "response.steer.failed") == (ended["type"], failed["type"])
    assert ("successor_creation_failed", "Stop that.") == (failed["error"]["code"], failed["steer"]["input"])


def test_a_successor_that_cannot_be_made_gives_back_what_was_said(address: str, name: str, model: Model) -> None:
    """Here the model answers the second question with nothing; nobody sent a create, so there is no ``error``."""
    with talking(address) as talk:
        id = begin(talk, name, model)
        steer(talk, id)
        model.say("more")
        talk.until("response.incomplete")
        model.wait()
        model.die()
        failed = talk.hear()
        lost = talk.turn(model=name, previous_response_id=id)
    assert ("response.steer.failed", "successor_creation_failed") == (failed["type"], failed["error"]["code"])
    assert "previous_response_not_found" == lost["error"]["code"]


def test_a_call_that_was_broken_off_waits_for_nothing(address: str, name: str, model: Model) -> None:
    """It is incomplete as its response is, and the successor begins without an output of it."""
    with talking(address) as talk:
        id = begin(talk, name, model, tools=[TOOL])
        model.call("look", '{"where": "')
        talk.until("response.function_call_arguments.delta")
        steer(talk, id)
        model.say("more")
        ended = talk.until(*TERMINAL)[-1]
        model.wait()
        model.say("Well.")
        model.stop()
        last = talk.until(*TERMINAL)[-1]
    assert ("response.incomplete", STEERED) == (ended["type"], ended["response"]["incomplete_details"])
    assert ["completed", "incomplete"] == [item["status"] for item in ended["response"]["output"]][:2]
    assert "Well." == text(last)
