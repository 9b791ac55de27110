"""The states of the machine, found by trying every step in every state, and drawn."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from antiphon.core.calls import Silent
from antiphon.core.deltas import Call, Delta, Finish, Text
from antiphon.core.machine import IllegalStep, Machine
from antiphon.core.replay import replayed
from antiphon.core.speech import Manner
from antiphon.protocol.calls import SearchAction, WebSearchCall
from antiphon.protocol.response import Response, ResponseError
from scripts.reference.tables import MEANINGS, expect_same, table, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.core.calls import CallKind
    from antiphon.core.notes import Note
    from antiphon.protocol.events import StreamEvent

    Step = Callable[[Machine], list[StreamEvent] | None]

CALL: list[Delta] = [Call("1", "web_search", "{}")]

STEPS: dict[str, Step] = {
    "start": Machine.start,
    "queue": Machine.queue,
    "resume": Machine.resume,
    "beat": Machine.beat,
    "compact": lambda machine: machine.compact("sealed", None),
    "grant": lambda machine: machine.grant([Call("1", "approved", "{}")]),
    "next_turn": Machine.next_turn,
    "feed": lambda machine: machine.feed([Text("word")]),
    "feed a finish": lambda machine: machine.feed([Finish("stop", None)]),
    "feed a hosted call and a finish": lambda machine: machine.feed([*CALL, Finish("stop", None)]),
    "answer": lambda machine: machine.answer(machine.calls[0], searched(machine.calls[0].id)),
    "steer": Machine.steer,
    "answer a search": lambda machine: machine.answer(machine.calls[0], searched(machine.calls[0].id), found=[]),
    "complete": lambda machine: machine.complete(0),
    "fail": lambda machine: machine.fail(ResponseError(code="server_error", message="")),
    "cancel": Machine.cancel,
}

REPLAY = "replay"
"""What is no step: another machine from the log of the first."""

STATES: dict[str, list[str]] = {
    "new": [],
    "queued": ["queue"],
    "idle": ["start"],
    "speaking": ["start", "next_turn", "feed"],
    "broken": ["start", "next_turn", "feed", REPLAY],
    "waiting": ["start", "next_turn", "feed a hosted call and a finish"],
    "ended": ["start", "cancel"],
}
"""A way to each state. Which state another way leads to is known by what can be done there, and whether it waits."""


class Life:
    """A machine that is taken steps, and the log of it."""

    def __init__(self) -> None:
        self._numbers = count()
        self._log: list[StreamEvent | Note] = []
        self.machine = Machine(
            Response(id="resp_1", created_at=0, status="in_progress", model="m"), new_id=self.new_id, manner=MANNER
        )

    def new_id(self, prefix: str) -> str:
        """An id."""
        return f"{prefix}_{next(self._numbers)}"

    def take(self, step: str) -> None:
        """Take a step. Raises `IllegalStep`."""
        if step == REPLAY:
            self.machine = replayed(self._log, new_id=self.new_id, manner=MANNER)
        else:
            self._log += STEPS[step](self.machine) or []
            self._log += self.machine.take_notes()


def searched(id: str) -> WebSearchCall:
    """An answer to a hosted call."""
    return WebSearchCall(id=id, status="completed", action=SearchAction(query="word"))


KINDS: dict[str, CallKind] = {
    "web_search": Silent(
        "ws", lambda call: WebSearchCall(id=call.id, status="in_progress"), "response.web_search_call.in_progress"
    )
}


MANNER = Manner(kinds=KINDS, grants={"approved": KINDS["web_search"]})


def life_of(steps: list[str]) -> Life:
    """A machine that was taken some steps."""
    life = Life()
    for step in steps:
        life.take(step)
    return life


def known_by(steps: list[str]) -> tuple[bool, frozenset[str]]:
    """What tells the state after these steps from all others: whether the response waits, and what can be done."""
    return life_of(steps).machine.response.status == "queued", legal(steps)


def legal(steps: list[str]) -> frozenset[str]:
    """What can be done after these steps."""
    return frozenset(step for step in STEPS if is_legal(steps, step))


def is_legal(steps: list[str], step: str) -> bool:
    """Whether a step is allowed after others; to answer, something must have been asked."""
    life = life_of(steps)
    if step.startswith("answer") and not life.machine.calls:
        return False
    try:
        life.take(step)
    except IllegalStep:
        return False
    return True


def edges() -> list[tuple[str, str, str]]:
    """Every allowed step: from which state, by which step, to which state."""
    named = {known_by(steps): name for name, steps in STATES.items()}
    taken = [(name, steps, step) for name, steps in STATES.items() for step in STEPS if step in legal(steps)]
    taken.append(("speaking", STATES["speaking"], REPLAY))
    return [(name, step, named[known_by([*steps, step])]) for name, steps, step in taken]


def page() -> str:
    """The page of the machine."""
    expect_same("the machine", STATES, MEANINGS.states)
    rows = [[f"**{before}**", f"`{step}`", f"**{after}**"] for before, step, after in edges()]
    return written(
        "machine",
        states=table(["state", "meaning"], [[f"**{name}**", MEANINGS.states[name]] for name in STATES]),
        steps=table(["in state", "the step", "leads to"], rows),
    )


PLACES = {
    "new": (70, 90),
    "queued": (70, 240),
    "idle": (270, 170),
    "speaking": (540, 70),
    "waiting": (540, 200),
    "broken": (540, 330),
    "ended": (820, 170),
}
WIDTH, HEIGHT, HALF, TALL = 910, 470, 56, 20

CURVES: dict[tuple[str, str], tuple[str, int, int, str]] = {
    ("new", "idle"): ("M126 100 C170 110 200 130 224 146", 176, 104, "start"),
    ("new", "queued"): ("M70 110 L70 216", 78, 166, "start"),
    ("queued", "idle"): ("M126 232 C170 222 200 206 224 194", 184, 230, "start"),
    ("idle", "idle"): ("M248 150 C224 62 300 62 284 146", 226, 70, "middle"),
    ("idle", "speaking"): ("M300 150 C340 96 410 62 480 62", 390, 62, "middle"),
    ("idle", "waiting"): ("M318 190 C380 232 430 240 484 214", 400, 244, "middle"),
    ("speaking", "idle"): ("M484 84 C430 100 360 130 330 152", 436, 124, "middle"),
    ("speaking", "speaking"): ("M518 50 C500 6 580 6 564 46", 540, 12, "middle"),
    ("speaking", "waiting"): ("M540 90 L540 176", 548, 138, "start"),
    ("waiting", "idle"): ("M484 196 C430 190 390 182 330 176", 410, 204, "middle"),
    ("waiting", "waiting"): ("M520 220 C502 264 580 264 562 224", 540, 270, "middle"),
    ("speaking", "broken"): ("M596 84 C690 130 690 280 600 320", 676, 236, "start"),
    ("broken", "idle"): ("M484 324 C400 310 330 250 298 194", 386, 300, "end"),
    ("idle", "ended"): ("M262 190 C270 440 800 440 820 194", 540, 400, "middle"),
    ("queued", "ended"): ("M70 260 C70 520 840 520 834 194", 400, 434, "middle"),
    ("speaking", "ended"): ("M596 66 C690 66 770 100 806 146", 706, 72, "start"),
    ("waiting", "ended"): ("M596 200 C660 198 720 184 760 176", 688, 170, "start"),
    ("broken", "ended"): ("M596 334 C690 330 780 260 810 194", 608, 350, "start"),
}
"""How each pair of states is joined: a path, and where its label stands. A pair that is not here is an error."""


def drawing() -> str:
    """The states and steps as SVG."""
    steps: dict[tuple[str, str], list[str]] = {}
    for before, step, after in edges():
        steps.setdefault((before, after), []).append(
            step.removeprefix("feed a ").replace("hosted call and a finish", "hosted calls").removesuffix(" a search")
        )
    arrows = "".join(arrow(*pair, ", ".join(dict.fromkeys(names))) for pair, names in steps.items())
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
