"""Steps on a screen: held back, checked against it, asked for again, and never passed on unchecked."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any  # actions are open

import msgspec
import pytest
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.core.actions import Steps, steps_of
from antiphon.core.arguments import MOST_ARGUMENTS
from antiphon.core.client_tools import client_tools, function_of
from antiphon.core.concerns import Concern
from antiphon.core.deltas import Call, Finish, Text, Thought
from antiphon.core.image_size import Pixels
from antiphon.core.offer import Computer
from antiphon.core.screen import Screen
from antiphon.core.turn import Choice, Function, Turn
from antiphon.engine.driving import PATIENCE, TRIES, Drive, Driving, Repeats
from antiphon.protocol.computer import (
    Click,
    ComputerCall,
    ComputerCallOutput,
    SafetyCheck,
    Screenshot,
    Wait,
)
from antiphon.protocol.content import ComputerScreenshot, InputText
from antiphon.protocol.items import FunctionCall, FunctionCallOutput, Message
from antiphon.protocol.tools import ComputerTool, ComputerUsePreviewTool
from tests.test_engine_fitting import Speaking, usage

if TYPE_CHECKING:
    from antiphon.core.deltas import Delta
    from antiphon.protocol.computer import Action
    from antiphon.protocol.items import Item

pytestmark = pytest.mark.anyio

BATCH = Computer("computer", ComputerTool())
SINGLE = Computer("computer", ComputerUsePreviewTool(display_width=1280, display_height=800, environment="browser"))
SCREEN = Screen(display=Pixels(1280, 800), picture=Pixels(640, 400), is_seen=True)
DRIVE = Drive(screen=SCREEN)
ASKED: list[Item] = [Message(role="user", content=[InputText(text="Click.")])]
CLICK = {"type": "click", "button": "left", "x": 10, "y": 20}
CLICKED = Click(button="left", x=20, y=40)
OUTSIDE = {**CLICK, "x": 640}
STOP = Finish(usage=usage(3))
WARNED = Concern("irrelevant_domain", "Elsewhere.")


def answer(*deltas: Delta) -> list[list[Delta] | UpstreamError]:
    """An answer, a read for each delta."""
    return [*([delta] for delta in deltas), [STOP]]


def function(computer: Computer) -> Function:
    """The function that stands for a computer."""
    [client] = client_tools([computer.tool])
    return function_of(client)


def turn(computer: Computer = BATCH, *items: Item) -> Turn:
    """A turn that brings a computer."""
    return Turn(items=[*ASKED, *items], functions=[function(computer), Function("f", msgspec.Raw(b"{}"))])


def call(*actions: dict[str, Any], key: str = "0") -> Call:
    """A call with such actions, as a model writes it."""
    return Call(key, "computer", msgspec.json.encode({"actions": actions}).decode())


class Warner:
    """Who says what speaks against a step, and counts how often it was asked."""

    def __init__(self, *concerns: Concern) -> None:
        self.asked = 0
        self._concerns = list(concerns)

    async def __call__(self) -> list[Concern]:
        """What speaks against it."""
        self.asked += 1
        return self._concerns


async def heard(
    backend: Speaking,
    *,
    drive: Drive = DRIVE,
    computer: Computer = BATCH,
    concerns: Warner | None = None,
    said: Turn | None = None,
) -> list[Delta]:
    """All that is passed on."""
    driving = Driving(backend, computer, drive, concerns or Warner())
    return [delta async for deltas in driving.stream(said or turn(computer)) for delta in deltas]


def steps(deltas: list[Delta]) -> list[Steps]:
    """What the calls among these say."""
    found = [steps_of(delta.arguments) for delta in deltas if isinstance(delta, Call) and delta.name == "computer"]
    return [each for each in found if each is not None]


def actions(deltas: list[Delta]) -> list[Action]:
    """The actions of the one call among these."""
    [step] = steps(deltas)
    return step.actions


def told(backend: Speaking, number: int) -> str:
    """What the model was told when it was asked for that time, from 0 on."""
    last = backend.turns[number].items[-1]
    assert isinstance(last, FunctionCallOutput)
    assert isinstance(last.output, str)
    return last.output


async def test_a_step_goes_on_whole_and_in_pixels_of_the_display() -> None:
    """The words before it go on as they come."""
    whole = call(CLICK).arguments
    pieces: list[Delta] = [Call("0", "computer", whole[:5]), *(Call("0", arguments=each) for each in whole[5:])]
    backend = Speaking([[Text("I click.")], *([each] for each in pieces), [STOP]])
    deltas = await heard(backend)
    assert [Text, Call, Finish] == [type(delta) for delta in deltas]
    assert [CLICKED] == actions(deltas)
    assert STOP == deltas[-1]


async def test_the_model_sees_its_own_coordinates_in_what_it_did() -> None:
    """Whatever the client was told."""
    past: list[Item] = [
        ComputerCall(id="cu_1", call_id="c1", actions=[CLICKED, Wait()]),
        ComputerCall(id="cu_2", call_id="c2", action=CLICKED),
        ComputerCall(id="cu_3", call_id="c3"),
    ]
    backend = Speaking([[STOP]])
    await heard(backend, said=turn(BATCH, *past))
    _, first, second, third = backend.turns[0].items
    assert isinstance(first, ComputerCall)
    assert isinstance(second, ComputerCall)
    assert [Click(button="left", x=10, y=20), Wait()] == first.actions
    assert Click(button="left", x=10, y=20) == second.action
    assert past[-1] == third
    assert "640 pixels wide and 400 high" in (backend.turns[0].functions[0].description or "")


async def test_without_a_computer_in_the_turn_the_backend_is_heard_as_it_is() -> None:
    """Nothing is held back."""
    backend = Speaking([[call(OUTSIDE), STOP]])
    deltas = await heard(backend, said=Turn(items=ASKED))
    assert [call(OUTSIDE), STOP] == deltas
    driving = Driving(backend, BATCH, DRIVE, Warner())
    await driving.aclose()
    assert backend.is_closed


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (call(OUTSIDE), "is not on the screen"),
        (call({"type": "keypress", "keys": ["HYPER"]}), "there is no key 'HYPER'"),
        (call({"type": "type", "text": "x" * 1_000_000}), "types 1000000 characters"),
        (call(), "no action"),
        (Call("0", "computer", '{"actions": [{"type": "click"'), "not JSON"),
        (Call("0", "computer", "[" * 100_000), "not JSON"),
        (Call("0", "computer", " " * (MOST_ARGUMENTS + 2)), "too long"),
    ],
    ids=["outside", "key", "text", "nothing", "broken", "deep", "endless"],
)
async def test_the_model_is_told_what_cannot_be_done_and_the_client_is_not(wrong: Call, words: str) -> None:
    """It is asked again, with what it wanted and why that cannot be."""
    backend = Speaking([[Text("Hm.")], [wrong], [STOP]], [[call(CLICK, key="0")], [STOP]])
    deltas = await heard(backend)
    assert [CLICKED] == actions(deltas)
    assert Finish(usage=usage(6)) == deltas[-1]
    assert words in told(backend, 1)
    made = backend.turns[1].items[-2]
    assert isinstance(made, FunctionCall)
    assert len(made.arguments) <= 2_000


async def test_the_second_answer_may_be_words() -> None:
    """Then the turn is over."""
    backend = Speaking([[call(OUTSIDE)], [STOP]], [[Text("It cannot be done.")], [STOP]])
    assert [Text("It cannot be done."), Finish(usage=usage(6))] == await heard(backend)


async def test_a_model_that_never_learns_ends_incomplete(caplog: pytest.LogCaptureFixture) -> None:
    """After a bound, and with all that it cost."""
    backend = Speaking(*(answer(call(OUTSIDE)) for _ in range(TRIES)))
    with caplog.at_level(logging.WARNING):
        assert [Finish("max_messages", usage(3 * TRIES))] == await heard(backend)
    assert TRIES == len(backend.turns)
    assert 1 + 2 * (TRIES - 1) == len(backend.turns[-1].items), "it was told of each"
    assert ["computer not moved"] == [record.message for record in caplog.records]


async def test_what_is_cut_short_is_not_done() -> None:
    """Half a step is none."""
    backend = Speaking([[Call("0", "computer", '{"actions":[')], [Finish("max_output_tokens")]])
    assert [Finish("max_output_tokens")] == await heard(backend)
    assert [] == await heard(Speaking([[call(CLICK)]])), "nor what has no end"


async def test_a_step_is_one_call() -> None:
    """The model sees the screen before it goes on."""
    two = [call(CLICK), call({"type": "wait"}, key="1")]
    deltas = await heard(Speaking([[*two], [Call("1", arguments=" ")], [STOP]]))
    assert [CLICKED] == actions(deltas)
    assert [Call, Finish] == [type(delta) for delta in deltas]


async def test_a_right_call_beside_a_wrong_one_is_made() -> None:
    """And the model is not asked again."""
    deltas = await heard(Speaking([[call(OUTSIDE), call(CLICK, key="1")], [Text("Done."), STOP]]))
    assert [CLICKED] == actions(deltas)


async def test_what_is_called_after_a_step_stays_behind_it() -> None:
    """Where the client takes one call at a time, it is the first."""
    whole = call(CLICK).arguments
    backend = Speaking([
        [Call("0", "computer", whole[:9])],
        [Call("0", arguments=whole[9:])],
        [Call("1", "f", "{}"), STOP],
    ])
    deltas = await heard(backend)
    assert ["computer", "f"] == [delta.name for delta in deltas if isinstance(delta, Call)]
    assert STOP == deltas[-1]


async def test_what_is_called_beside_a_wrong_step_is_called_once() -> None:
    """The model hears of that call first: asked at once, it would make it again."""
    other = Call("1", "f", "{}")
    backend = Speaking([[other, call(OUTSIDE)], [STOP]], [[other, call(CLICK)], [STOP]])
    assert [other, STOP] == await heard(backend)
    assert 1 == len(backend.turns)


@pytest.mark.parametrize(("name", "choice"), [("g", Choice()), ("f", Choice("required", ["computer"]))])
async def test_what_may_not_be_called_is_no_reason_to_wait(name: str, choice: Choice) -> None:
    """The model is asked again, and the keys of its second answer are others."""
    other = Call("1", name, "{}")
    backend = Speaking([[other, call(OUTSIDE)], [STOP]], [[other, call(CLICK)], [STOP]])
    said = replace(turn(), choice=choice)
    deltas = [delta for delta in await heard(backend, said=said) if isinstance(delta, Call)]
    assert [("1", name), ("1/1", name), ("1/0", "computer")] == [(delta.key, delta.name) for delta in deltas]


async def test_the_older_tool_takes_one_action_a_call() -> None:
    """More would not fit into its item."""
    backend = Speaking([[call(CLICK, CLICK)], [STOP]], [[call(CLICK)], [STOP]])
    assert [CLICKED] == actions(await heard(backend, computer=SINGLE))
    assert "at most one action" in told(backend, 1)


async def test_before_the_screen_is_seen_nothing_is_clicked() -> None:
    """Nobody knows what lies there."""
    backend = Speaking([[call(CLICK)], [STOP]], [[call({"type": "screenshot"})], [STOP]])
    assert [Screenshot()] == actions(await heard(backend, drive=Drive()))
    assert "not seen the screen" in told(backend, 1)
    assert "begin with a screenshot" in (backend.turns[0].functions[0].description or "")


# Checks


async def test_what_speaks_against_a_step_goes_with_it() -> None:
    """Its ids come with the item."""
    asked = Warner(WARNED)
    [step] = steps(await heard(Speaking([[call(CLICK)], [STOP]]), concerns=asked))
    assert [SafetyCheck(id="", code="irrelevant_domain", message="Elsewhere.")] == step.pending_safety_checks
    assert 1 == asked.asked


async def test_to_look_and_to_wait_needs_nobodys_leave() -> None:
    """It changes nothing."""
    asked = Warner(WARNED)
    [step] = steps(await heard(Speaking([[call({"type": "screenshot"}, {"type": "wait"})], [STOP]]), concerns=asked))
    assert [] == step.pending_safety_checks
    assert 0 == asked.asked


# The same for ever


@pytest.mark.parametrize(
    ("past", "is_stuck"),
    [
        (Repeats([CLICKED], count=4, unchanged=4), False),
        (Repeats([CLICKED], count=5, unchanged=5), True),
        (Repeats([CLICKED], count=30, unchanged=2), False),
        (Repeats([CLICKED], count=5 * PATIENCE, unchanged=0), True),
        (Repeats([Wait()], count=50, unchanged=50), False),
    ],
)
async def test_a_step_that_changes_nothing_is_not_made_for_ever(past: Repeats, is_stuck: bool) -> None:  # noqa: FBT001 - a case
    """Sooner where the screen stays as it is."""
    backend = Speaking([[call(CLICK)], [STOP]], [[Text("I am stuck.")], [STOP]])
    deltas = await heard(backend, drive=Drive(SCREEN, past))
    assert is_stuck == (not steps(deltas))
    if is_stuck:
        assert "in a row" in told(backend, 1)


async def test_one_may_wait_longer_than_click() -> None:
    """Pages take their time."""
    wait = answer(call({"type": "wait"}))
    assert [Wait()] == actions(await heard(Speaking(wait), drive=Drive(SCREEN, Repeats([Wait()], 49, 49))))
    backend = Speaking(*[answer(call({"type": "wait"})) for _ in range(TRIES)])
    assert [Finish("max_messages", usage(3 * TRIES))] == await heard(
        backend, drive=Drive(SCREEN, Repeats([Wait()], 50, 50))
    )


# An upstream that knows the tool itself

NATIVE = Drive(SCREEN, is_native=True)


async def test_a_native_call_goes_on_as_it_is_with_its_checks_and_ours() -> None:
    """Places are its own matter."""
    theirs = SafetyCheck(id="cu_sc_9", code="malicious_instructions", message="Careful.")
    far = Click(button="left", x=5_000, y=0)
    said = Call("0", "computer", msgspec.json.encode(Steps([far], [theirs])).decode())
    item = ComputerCallOutput(id="cuo_1", call_id="c1", output=ComputerScreenshot(file_id="file-1"))
    backend = Speaking([[Thought("Hm."), said], [STOP]])
    asked = turn(BATCH, ComputerCall(id="cu_1", call_id="c1", actions=[CLICKED]), item)
    deltas = await heard(backend, drive=NATIVE, concerns=Warner(WARNED), said=asked)
    [step] = steps(deltas)
    assert [far] == step.actions
    assert ["cu_sc_9", ""] == [check.id for check in step.pending_safety_checks]
    assert asked == backend.turns[0], "the upstream gets the conversation as it is"


async def test_a_native_call_that_is_none_is_the_upstreams_fault() -> None:
    """There is nobody to be told."""
    with pytest.raises(UpstreamError, match="call of the computer that is none"):
        await heard(Speaking([[call({"type": "fly"})], [STOP]]), drive=NATIVE)


async def test_a_native_model_that_is_stuck_is_not_asked_again() -> None:
    """It has no way to be told."""
    said = answer(call({"type": "click", "button": "left", "x": 20, "y": 40}))
    drive = Drive(SCREEN, Repeats([CLICKED], 5, 5), is_native=True)
    assert [Finish("max_messages", usage(3))] == await heard(Speaking(said), drive=drive)
