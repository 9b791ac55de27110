"""A model that sees drives a screen through a whole server, in every mode; the screen here is a list of pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any  # JSON

import pytest
from openai import BadRequestError

from antiphon.lifecycle import seeing
from tests.acceptance.computer.driving import (
    BATCH,
    DONE,
    SCREENS,
    SINGLE,
    TASK,
    Loop,
    inlined,
)
from tests.acceptance.computer.pointing import CLICK, LOOK, TYPE

if TYPE_CHECKING:
    from openai import OpenAI

    from tests.acceptance.computer.pointing import Pointer

pytestmark = pytest.mark.slow


MODES = ["chain", "by hand", "unstored", "conversation", "stream", "background", "background stream"]


@pytest.mark.parametrize("by_file", [False, True], ids=["data url", "file"])
@pytest.mark.parametrize("mode", MODES)
def test_a_screen_is_driven_in_every_mode(client: OpenAI, model: Pointer, mode: str, *, by_file: bool) -> None:
    """The model points at a picture of half the size, and the client clicks on its display."""
    model.begins([LOOK], [CLICK, TYPE], [{"type": "keypress", "keys": ["ctrl+s"]}], DONE)
    loop = Loop(client, mode, by_file=by_file)
    assert DONE == loop.run(BATCH).output_text
    first, second, third = ([action.to_dict() for action in call.actions or []] for call in loop.calls)
    assert [LOOK] == first
    assert [{**CLICK, "x": 640, "y": 400}, TYPE] == second
    assert [{"type": "keypress", "keys": ["CTRL", "s"]}] == third
    assert [[LOOK], [CLICK, TYPE], [{"type": "keypress", "keys": ["CTRL", "s"]}]] == model.calls()
    assert 3 == len(model.pictures())
    assert "640 pixels wide and 400 high" in str(model.asked[-1]["tools"])


@pytest.mark.parametrize("mode", ["chain", "unstored"])
def test_the_older_tool_is_driven_one_action_a_call(client: OpenAI, model: Pointer, mode: str) -> None:
    """It knows its display from the beginning."""
    model.begins([CLICK], [TYPE], DONE)
    loop = Loop(client, mode, model="m")
    assert DONE == loop.run(SINGLE).output_text
    assert [CLICK, TYPE] == [call.action.to_dict() if call.action else None for call in loop.calls]
    assert [None, None] == [call.actions for call in loop.calls]


def test_a_model_may_point_in_thousandths(client: OpenAI, model: Pointer) -> None:
    """Of the screen's width and height."""
    model.begins([LOOK], [{**CLICK, "x": 500, "y": 1000}], DONE)
    loop = Loop(client, "chain", model="thousandths")
    loop.run(BATCH)
    assert [{**CLICK, "x": 640, "y": 799}] == [action.to_dict() for action in loop.calls[1].actions or []]


def test_a_picture_of_the_users_is_the_screen_before_the_first_step(client: OpenAI, model: Pointer) -> None:
    """As the guide of the hosted service begins."""
    model.begins([CLICK], DONE)
    shown = {"type": "input_image", "image_url": inlined(SCREENS[0]), "detail": "auto"}
    said: Any = [{"role": "user", "content": [{"type": "input_text", "text": TASK}, shown]}]
    [call] = client.responses.create(model="small", tools=[BATCH], input=said).output
    assert call.type == "computer_call"
    assert [{**CLICK, "x": 640, "y": 400}] == [action.to_dict() for action in call.actions or []]


def test_what_cannot_be_done_is_between_the_server_and_the_model(client: OpenAI, model: Pointer) -> None:
    """The client sees the step that can be made, and nothing else."""
    outside, unknown = {**CLICK, "x": 5000}, {"type": "keypress", "keys": ["HYPER"]}
    model.begins([LOOK], [outside], [unknown], [{"type": "type", "text": "x" * 1_000_000}], [CLICK])
    first = client.responses.create(model="m", tools=[BATCH], input=TASK)
    assert first.output[0].type == "computer_call"
    body: Any = [Loop(client, "chain").shown(first.output[0].call_id, 1)]
    second = client.responses.create(model="m", tools=[BATCH], input=body, previous_response_id=first.id)
    [call] = second.output
    assert call.type == "computer_call"
    assert [CLICK] == [action.to_dict() for action in call.actions or []]
    assert second.usage is not None
    assert 4 * 16 == second.usage.total_tokens, "each time it was asked counts"
    assert "there is no key 'HYPER'" in model.words()
    assert "xxxxxxxxxx" * 500 not in model.words()


def test_a_model_that_is_stuck_ends_incomplete(client: OpenAI, model: Pointer) -> None:
    """The client's loop is over after a bound, though the model never stops."""
    model.begins([LOOK], [CLICK])
    response = client.responses.create(model="m", tools=[BATCH], input=TASK)
    made = 0
    while response.status == "completed":
        [call] = response.output
        assert call.type == "computer_call"
        made += 1
        body: Any = [Loop(client, "chain").shown(call.call_id, 1)]
        response = client.responses.create(model="m", tools=[BATCH], input=body, previous_response_id=response.id)
    assert 1 + 3 == made
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert "max_messages" == response.incomplete_details.reason
    assert "in a row" in model.words()
    more = client.responses.create(model="m", input="Why?", previous_response_id=response.id)
    assert "completed" == more.status, "and the conversation goes on"


def test_old_screens_are_kept_and_not_shown(client: OpenAI, model: Pointer) -> None:
    """The model is shown the newest two, and reads that there were others."""
    model.begins([LOOK], [CLICK], [TYPE], [{"type": "wait"}], DONE)
    last = Loop(client, "chain", model="recent").run(BATCH)
    assert [inlined(SCREENS[3]), inlined(SCREENS[4])] == model.pictures()
    assert 2 == model.words().count("earlier screenshot")
    kept: list[Any] = list(
        client.responses.input_items.list(last.id, include=["computer_call_output.output.image_url"], order="asc")
    )
    screens = [item.output.image_url for item in kept if item.type == "computer_call_output"]
    assert [inlined(SCREENS[number]) for number in (1, 2, 3, 4)] == screens


def test_truncation_leaves_old_screens_out_before_anything_else(client: OpenAI, model: Pointer) -> None:
    """What was said and done stays."""
    model.begins([LOOK], [CLICK], [TYPE], [{"type": "wait"}], DONE)
    Loop(client, "unstored", model="narrow").run(BATCH)
    assert inlined(SCREENS[4]) == model.pictures()[-1]
    assert 1 <= len(model.pictures()) < 4
    assert 4 == len(model.calls())


def test_a_run_goes_on_beyond_what_can_be_shown_together(
    client: OpenAI, model: Pointer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With truncation the older half of too many screenshots is left out."""
    monkeypatch.setattr(seeing, "MOST_PARTS", 3)
    model.begins([LOOK], [CLICK], [TYPE], [{"type": "wait"}], DONE)
    assert DONE == Loop(client, "chain", model="m").run(BATCH).output_text
    assert [inlined(SCREENS[3]), inlined(SCREENS[4])] == model.pictures()
    assert 2 == model.words().count("earlier screenshot")


def test_a_model_that_sees_nothing_is_offered_no_computer(client: OpenAI, model: Pointer) -> None:
    """And its caller is told so."""
    model.begins(DONE)
    made = client.responses.with_raw_response.create(model="blind", tools=[BATCH], input=TASK)
    assert "computer" == made.headers["x-unavailable-tools"]
    assert "tools" not in model.asked[-1]
    with pytest.raises(BadRequestError):
        client.responses.create(model="blind", tools=[BATCH], input=TASK, tool_choice={"type": "computer"})


@pytest.mark.parametrize("name", ["computer", "computer_use", "computer_use_preview"])
def test_a_step_can_be_demanded_by_any_name_of_the_tool(client: OpenAI, model: Pointer, name: Any) -> None:
    """The model must call."""
    model.begins([LOOK])
    client.responses.create(model="m", tools=[BATCH], input=TASK, tool_choice={"type": name})
    assert {"type": "function", "function": {"name": "computer"}} == model.asked[-1]["tool_choice"]


# Over an upstream that knows the tools itself


@pytest.mark.parametrize("mode", ["chain", "unstored", "stream", "background"])
def test_an_upstream_that_knows_the_tool_gets_and_gives_the_items(native: OpenAI, model: Pointer, mode: str) -> None:
    """Its pictures and its places are its own matter, and a person is asked for what this server is told to ask for."""
    model.begins([LOOK], [CLICK, TYPE], DONE)
    loop = Loop(native, mode, model="m", leave=True)
    assert DONE == loop.run(BATCH).output_text
    assert [LOOK] == [action.to_dict() for action in loop.calls[0].actions or []]
    assert [{**CLICK, "x": 640, "y": 400}, TYPE] == [action.to_dict() for action in loop.calls[1].actions or []]
    assert [[], ["irrelevant_domain"]] == [[check.code for check in call.pending_safety_checks] for call in loop.calls]


def test_an_upstream_that_knows_the_older_tool_is_given_that(native: OpenAI, model: Pointer) -> None:
    """With its display."""
    model.begins([CLICK], DONE)
    loop = Loop(native, "chain", model="m", leave=True)
    assert DONE == loop.run(SINGLE).output_text
    assert [{**CLICK, "x": 320, "y": 200}] == [call.action.to_dict() if call.action else None for call in loop.calls]


def test_old_steps_are_left_out_for_such_an_upstream(native: OpenAI, model: Pointer) -> None:
    """Whole, for it takes no screen without its call, and no call without its screen."""
    model.begins([LOOK], [CLICK], [TYPE])
    Loop(native, "chain", model="recent", leave=True).run(BATCH, most=4)
    assert [inlined(SCREENS[3]), inlined(SCREENS[4])] == model.pictures()
    assert [[TYPE], [TYPE]] == model.calls()
