"""Steps as the arguments of a call: written, read again, and what only looks."""

from __future__ import annotations

import json

import pytest

from antiphon.core.actions import Steps, only_look, steps_of, written
from antiphon.protocol.computer import Action, Click, Keypress, SafetyCheck, Screenshot, Type, Wait

STEPS = Steps(
    [Click(button="left", x=1, y=2), Type(text="é\n\0"), Wait()],
    [SafetyCheck(id="", code="sensitive_domain", message="Ask."), SafetyCheck(id="cu_sc_1")],
)


def test_steps_are_read_as_they_were_written() -> None:
    """With all that stands before them."""
    assert STEPS == steps_of(written(STEPS))
    assert {
        "actions": [{"type": "wait"}],
        "pending_safety_checks": [],
    } == json.loads(written(Steps([Wait()])))


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "{}",
        "[]",
        '{"actions":[',
        '{"actions":[{"type":"fly"}]}',
        '{"actions":[{"type":"click","x":1,"y":2}]}',
        '{"actions":[],"pending_safety_checks":[{"code":"a"}]}',
        '{"actions":' + "[" * 100_000,
        "\ud800",
        '{"actions":[{"type":"type","text":"\ud800"}]}',
    ],
)
def test_what_is_no_whole_steps_is_none(arguments: str) -> None:
    """Whatever stands there, nothing is raised."""
    assert steps_of(arguments) is None


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ([], True),
        ([Screenshot()], True),
        ([Wait(), Screenshot()], True),
        ([Wait(), Keypress(keys=["ENTER"])], False),
    ],
)
def test_to_look_and_to_wait_changes_nothing(actions: list[Action], *, expected: bool) -> None:
    """All else does something."""
    assert expected is only_look(actions)
