"""The states of the machine, found by trying every step in every state, and drawn."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from antiphon.core.calls import Silent
from antiphon.core.deltas import Call, Delta, Finish, Text
from antiphon.core.machine import IllegalStep, Machine
from antiphon.protocol.calls import SearchAction, WebSearchCall
from antiphon.protocol.response import Response, ResponseError
from scripts.reference.tables import MEANINGS, expect_same, table, written

if TYPE_CHECKING:
    from collections.abc import Callable

CALL: list[Delta] = [Call("1", "web_search", "{}")]

STEPS: dict[str, Callable[[Machine], object]] = {
    "start": Machine.start,
    "next_turn": Machine.next_turn,
    "feed": lambda machine: machine.feed([Text("word")]),
    "feed a finish": lambda machine: machine.feed([Finish("stop", None)]),
    "feed a hosted call and a finish": lambda machine: machine.feed([*CALL, Finish("stop", None)]),
    "answer": lambda machine: machine.answer(machine.calls[0], searched(machine.calls[0].id)),
    "complete": lambda machine: machine.complete(0),
    "fail": lambda machine: machine.fail(ResponseError(code="server_error", message="")),
    "cancel": Machine.cancel,
}

STATES: dict[str, list[str]] = {
    "new": [],
    "idle": ["start"],
    "speaking": ["start", "next_turn"],
    "waiting": ["start", "next_turn", "feed a hosted call and a finish"],
    "ended": ["start", "cancel"],
}
"""A way to each state. Which state another way leads to is known by what can be done there."""


def searched(id: str) -> WebSearchCall:
    """An answer to a hosted call."""
    return WebSearchCall(id=id, status="completed", action=SearchAction(query="word"))


def machine_after(steps: list[str]) -> Machine:
    """A machine that was taken some steps."""
    numbers = count()
    kind = Silent(
        "ws", lambda call: WebSearchCall(id=call.id, status="in_progress"), "response.web_search_call.in_progress"
    )
    response = Response(id="resp_1", created_at=0, status="queued", model="m")
    machine = Machine(response, new_id=lambda prefix: f"{prefix}_{next(numbers)}", kinds={"web_search": kind})
    for step in steps:
        STEPS[step](machine)
    return machine


def legal(steps: list[str]) -> frozenset[str]:
    """What can be done after these steps."""
    return frozenset(step for step in STEPS if is_legal(steps, step))


def is_legal(steps: list[str], step: str) -> bool:
    """Whether a step is allowed after others; to answer, something must have been asked."""
    machine = machine_after(steps)
    if step == "answer" and not machine.calls:
        return False
    try:
        STEPS[step](machine)
    except IllegalStep:
        return False
    return True


def edges() -> list[tuple[str, str, str]]:
    """Every allowed step: from which state, by which step, to which state."""
    named = {legal(steps): name for name, steps in STATES.items()}
    return [
        (name, step, named[legal([*steps, step])])
        for name, steps in STATES.items()
        for step in STEPS
        if step in legal(steps)
    ]


def page() -> str:
    """The page of the machine."""
    expect_same("the machine", STATES, MEANINGS.states)
    rows = [[f"**{before}**", f"`{step}`", f"**{after}**"] for before, step, after in edges()]
    return written(
        "machine",
        states=table(["state", "meaning"], [[f"**{name}**", MEANINGS.states[name]] for name in STATES]),
        steps=table(["in state", "the step", "leads to"], rows),
    )


PLACES = {"new": (70, 150), "idle": (250, 150), "speaking": (520, 70), "waiting": (520, 230), "ended": (770, 150)}
WIDTH, HEIGHT, HALF, TALL = 860, 300, 56, 20

CURVES: dict[tuple[str, str], tuple[str, int, int, str]] = {
    ("new", "idle"): ("M126 150 L190 150", 158, 142, "middle"),
    ("idle", "speaking"): ("M262 130 C300 80 390 56 460 62", 340, 66, "middle"),
    ("speaking", "idle"): ("M464 84 C410 100 340 118 306 138", 420, 124, "middle"),
    ("speaking", "speaking"): ("M498 50 C480 6 560 6 544 46", 520, 12, "middle"),
    ("speaking", "waiting"): ("M520 90 L520 206", 528, 156, "start"),
    ("waiting", "idle"): ("M464 222 C410 210 340 190 306 166", 380, 222, "middle"),
    ("idle", "ended"): ("M268 170 C330 320 700 320 762 174", 520, 274, "middle"),
    ("speaking", "ended"): ("M576 74 C660 80 720 100 748 126", 690, 84, "start"),
    ("waiting", "ended"): ("M576 226 C640 222 700 200 736 174", 588, 206, "start"),
}
"""How each pair of states is joined: a path, and where its label stands. A pair that is not here is an error."""


def drawing() -> str:
    """The states and steps as SVG."""
    steps: dict[tuple[str, str], list[str]] = {}
    for before, step, after in edges():
        steps.setdefault((before, after), []).append(
            step.removeprefix("feed a ").replace("hosted call and a finish", "hosted calls")
        )
    arrows = "".join(arrow(*pair, ", ".join(names)) for pair, names in steps.items())
    boxes = "".join(box(name, x, y) for name, (x, y) in PLACES.items())
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">
<title>The states of the machine</title>
<style>
.box {{ fill: #f4f1ea; stroke: #5b5348; stroke-width: 1.5 }} .way {{ fill: none; stroke: #5b5348; stroke-width: 1.5 }}
text {{ font: 14px sans-serif; fill: #2b2722 }} .step {{ font-size: 12px; fill: #7a3b1d }}
</style>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 L10 5 L0 10 z" fill="#5b5348"/></marker></defs>
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
{arrows}{boxes}</svg>
"""


def arrow(before: str, after: str, label: str) -> str:
    """An arrow and its label."""
    path, x, y, anchor = CURVES[before, after]
    return (
        f'<path class="way" d="{path}" marker-end="url(#tip)"/>'
        f'<text class="step" x="{x}" y="{y}" text-anchor="{anchor}">{label}</text>\n'
    )


def box(name: str, x: int, y: int) -> str:
    """A state."""
    corner = f'x="{x - HALF}" y="{y - TALL}" width="{2 * HALF}" height="{2 * TALL}" rx="8"'
    return f'<rect class="box" {corner}/><text x="{x}" y="{y + 5}" text-anchor="middle">{name}</text>\n'
