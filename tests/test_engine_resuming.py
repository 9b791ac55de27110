"""The turn loop, gone on with by a successor: where a process died, and what must not happen twice."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any  # a script is open

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.core.fold import fold
from antiphon.core.machine import Machine
from antiphon.core.notes import CallAnswered, CallStarted, CallWritten, TurnBroken
from antiphon.core.sse import name
from antiphon.core.turn import Output
from antiphon.engine import go_on
from antiphon.engine.task import Task
from antiphon.protocol.calls import WebSearchCall
from antiphon.protocol.events import StreamEvent
from antiphon.protocol.items import Message
from tests.playing import ASKED, NOW, OPENED, TERMINAL, Dictionary, Model, asking

if TYPE_CHECKING:
    from antiphon.core.calls import OpenCall
    from antiphon.core.notes import Note
    from antiphon.core.tally import Ending
    from antiphon.protocol.response import Response

pytestmark = pytest.mark.anyio

HELLO = {"steps": [{"text": "Hello there."}]}
LOOKED = {"steps": [{"text": "I see."}], "outputs": 1}


class Counting(Dictionary):
    """A dictionary that counts what it is asked, and whether it may be asked twice."""

    def __init__(self, *, repeats: bool) -> None:
        self.asked: list[str] = []
        self._repeats = repeats

    def repeats(self, call: OpenCall) -> bool:
        """As it was said."""
        return self._repeats

    async def search(self, word: str) -> None:
        """Count it before anything can go wrong."""
        self.asked.append(word)
        await super().search(word)


class Succession:
    """Processes that make one response, one after the other, with a log between them."""

    def __init__(self, *replies: dict[str, Any], tool: Dictionary | None = None) -> None:
        self.tool = tool or Dictionary()
        self.log: list[StreamEvent | Note] = []
        self.emissions: list[list[StreamEvent | Note]] = []
        self.settled = 0
        self.models: list[Model] = []
        self.kept: list[Response] = []
        self.outputs: dict[str, Output] = {}
        self._replies = replies
        self._numbers = count()
        self._machine = self._task().machine(self._id)
        self._write(self._machine.queue())

    async def go_on(self, *, lives: int | None = None) -> Response | None:
        """Let a process go on. Where it emits more often than it ``lives`` it dies, and None is returned."""
        task = self._task()
        self._machine = task.machine_after(self.log, self._id)
        with anyio.CancelScope() as life:
            left = count(-1 if lives is None else lives, -1)

            async def emit(events: list[StreamEvent]) -> None:
                if next(left) == 0:
                    life.cancel()
                await anyio.lowlevel.checkpoint_if_cancelled()
                if not life.cancel_called:
                    self._write(events)
                await anyio.lowlevel.checkpoint()

            return await go_on(
                task, self._machine, now=lambda: NOW + 1, emit=emit, keep=self._keep, settle=self._settle
            )
        return None

    @property
    def events(self) -> list[StreamEvent]:
        """What clients were told."""
        return [entry for entry in self.log if isinstance(entry, StreamEvent)]

    def noted(self, kind: type[Note]) -> list[Note]:
        """The notes of a kind."""
        return [entry for entry in self.log if isinstance(entry, kind)]

    def cut(self, kind: type[Note], *, behind: bool) -> None:
        """Forget what was written after the first emission with such a note, or that emission too."""
        at = next(
            place for place, emission in enumerate(self.emissions) if any(isinstance(each, kind) for each in emission)
        )
        self.emissions = self.emissions[: at + behind]
        self.log = [entry for emission in self.emissions for entry in emission]

    def _task(self) -> Task:
        self.models.append(Model(*self._replies))
        return Task(OPENED, ASKED, self.models[-1], {"look_up": self.tool})

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers)}"

    def _write(self, events: list[StreamEvent]) -> None:
        emission = [*events, *self._machine.take_notes()]
        self.emissions.append(emission)
        self.log += emission

    async def _settle(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.settled = len(self.log)

    async def _keep(self, ending: Ending) -> None:
        await anyio.lowlevel.checkpoint()
        self.kept.append(ending.response)
        self.outputs = dict(ending.outputs)


def check(succession: Succession, response: Response | None) -> Response:
    """A response that ended: its numbers are in order, its one terminal event is the last, it is what was told."""
    events = succession.events
    assert response is not None
    assert list(range(len(events))) == [event.sequence_number for event in events]
    assert [len(events) - 1] == [number for number, event in enumerate(events) if name(event) in TERMINAL]
    assert response == fold(events) == succession.kept[-1]
    return response


async def test_a_response_that_was_queued_is_begun() -> None:
    """It is told that it is in progress before the model is asked."""
    succession = Succession(HELLO)
    response = check(succession, await succession.go_on())
    assert "completed" == response.status
    assert ["response.created", "response.queued", "response.in_progress"] == [
        name(event) for event in succession.events[:3]
    ]
    assert succession.emissions[1] == succession.events[2:3]


async def test_a_turn_that_was_broken_is_asked_anew() -> None:
    """What was said of it is closed and stays; the model is not shown it."""
    succession = Succession(HELLO)
    assert None is await succession.go_on(lives=2)
    assert "response.output_text.delta" == name(succession.events[-1])
    response = check(succession, await succession.go_on())
    assert ["incomplete", "completed"] == [item.status for item in response.output if isinstance(item, Message)]
    assert ["Hello", "Hello there."] == [
        "".join(getattr(part, "text", "") for part in item.content)  # a part may be a refusal
        for item in response.output
        if isinstance(item, Message)
    ]
    assert ASKED == succession.models[-1].turns[0]
    assert 1 == len(succession.noted(TurnBroken))


async def test_only_the_broken_turn_is_asked_anew() -> None:
    """The turns before it are shown to the model with what their calls gave, and their calls are not made again."""
    tool = Counting(repeats=True)
    succession = Succession(LOOKED, asking("duo"), tool=tool)
    check(succession, await succession.go_on())
    place = max(at for at, each in enumerate(succession.emissions) if any(isinstance(e, CallAnswered) for e in each))
    succession.emissions = succession.emissions[: place + 2]
    succession.log = [entry for emission in succession.emissions for entry in emission]
    response = check(succession, await succession.go_on())
    assert ["duo"] == tool.asked
    [turn] = succession.models[-1].turns
    search, *messages = response.output
    assert [*ASKED.items, search] == turn.items
    assert {search.id: "two at once"} == turn.outputs == succession.outputs
    assert ["incomplete", "completed"] == [item.status for item in messages if isinstance(item, Message)]


async def test_a_call_that_may_be_made_twice_is_made_again() -> None:
    """Where its answer is not known; nothing has to be noted before it, and nobody waits."""
    tool = Counting(repeats=True)
    succession = Succession(LOOKED, asking("duo"), tool=tool)
    check(succession, await succession.go_on())
    assert [] == succession.noted(CallStarted)
    assert 0 == succession.settled
    succession.cut(CallAnswered, behind=False)
    response = check(succession, await succession.go_on())
    assert ["duo", "duo"] == tool.asked
    assert "completed" == response.status
    assert 2 == len(response.output)
    [turn] = succession.models[-1].turns
    assert {response.output[0].id: "two at once"} == turn.outputs


async def test_a_call_that_may_have_been_made_is_not_made_again() -> None:
    """The model is told that nobody knows what came of it, and goes on."""
    tool = Counting(repeats=False)
    succession = Succession(LOOKED, asking("duo"), tool=tool)
    check(succession, await succession.go_on())
    succession.cut(CallStarted, behind=True)
    response = check(succession, await succession.go_on())
    assert ["duo"] == tool.asked
    assert "completed" == response.status
    assert ["failed"] == [item.status for item in response.output if isinstance(item, WebSearchCall)]
    [turn] = succession.models[-1].turns
    assert {response.output[0].id: "The search was interrupted."} == turn.outputs == succession.outputs


async def test_a_call_that_was_not_begun_is_made_once() -> None:
    """Though it may not be made twice."""
    tool = Counting(repeats=False)
    succession = Succession(LOOKED, asking("duo"), tool=tool)
    check(succession, await succession.go_on())
    tool.asked.clear()
    succession.cut(CallStarted, behind=False)
    assert 1 == len(succession.noted(CallWritten))
    response = check(succession, await succession.go_on())
    assert ["duo"] == tool.asked
    assert ["completed"] == [item.status for item in response.output if isinstance(item, WebSearchCall)]


async def test_a_call_that_was_answered_is_answered() -> None:
    """Its successor shows the model what it gave."""
    tool = Counting(repeats=False)
    succession = Succession(LOOKED, asking("duo"), tool=tool)
    check(succession, await succession.go_on())
    succession.cut(CallAnswered, behind=True)
    response = check(succession, await succession.go_on())
    assert ["duo"] == tool.asked
    [turn] = succession.models[-1].turns
    assert {response.output[0].id: "two at once"} == turn.outputs


async def test_of_several_calls_each_is_seen_to_by_itself() -> None:
    """One was answered, one may have been made: the turn goes on when both have an answer."""
    tool = Counting(repeats=False)
    succession = Succession({"steps": [{"text": "So."}], "outputs": 2}, asking("duo", "antiphon"), tool=tool)
    check(succession, await succession.go_on())
    succession.cut(CallAnswered, behind=True)
    response = check(succession, await succession.go_on())
    assert ["duo", "antiphon"] == sorted(tool.asked, reverse=True)
    assert {"two at once", "The search was interrupted."} == set(succession.outputs.values()) or {
        "a song of call and response",
        "The search was interrupted.",
    } == set(succession.outputs.values())
    assert 3 == len(response.output)


async def test_that_a_call_begins_is_durable_before_it_does() -> None:
    """For each of the calls of a turn, and of every turn."""

    class Watchful(Counting):
        """A dictionary that looks into the log when it is asked."""

        async def search(self, word: str) -> None:
            """Look."""
            self.asked.append(word)
            durable = succession.log[: succession.settled]
            assert len(self.asked) <= len([entry for entry in durable if isinstance(entry, CallStarted)])

    tool = Watchful(repeats=False)
    succession = Succession(
        asking("antiphon", "spam", after=1), {"steps": [{"text": "So."}], "outputs": 3}, asking("duo"), tool=tool
    )
    response = check(succession, await succession.go_on())
    assert "completed" == response.status
    assert ["antiphon", "duo", "spam"] == sorted(tool.asked)


async def test_a_turn_that_had_ended_is_not_asked_again() -> None:
    """Though the end of the response was not written: it ends, and that is all."""
    succession = Succession(HELLO)
    check(succession, await succession.go_on())
    succession.log.pop()
    response = check(succession, await succession.go_on())
    assert "completed" == response.status
    assert [] == succession.models[-1].turns


async def test_an_upstream_that_refuses_at_once_fails_the_response() -> None:
    """It was told already that it goes on: there is no plain error any more."""
    succession = Succession({"steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "Too fast."}}]})
    response = check(succession, await succession.go_on())
    assert "failed" == response.status
    assert response.error is not None
    assert "rate_limit_exceeded" == response.error.code


@given(deaths=st.lists(st.integers(0, 30), max_size=4), repeats=st.booleans())
@settings(max_examples=80)
def test_wherever_processes_die_a_response_ends_once_and_nothing_is_done_twice(
    *, deaths: list[int], repeats: bool
) -> None:
    """Each turn that ended was heard once, each call that may not be made twice was made once at most."""
    tool = Counting(repeats=repeats)
    succession = Succession(
        asking("duo", "antiphon", after=1), {"steps": [{"text": "So it is."}], "outputs": 3}, asking("spam"), tool=tool
    )

    async def live() -> Response | None:
        for lives in deaths:
            ended = await succession.go_on(lives=lives)
            if ended is not None:
                return ended
        return await succession.go_on()

    response = check(succession, anyio.run(live))
    assert "completed" == response.status
    if not repeats:
        assert len(tool.asked) == len(set(tool.asked))
    spoken = [turn for model in succession.models for turn in model.turns]
    shown = {item.id for turn in spoken for item in turn.items}
    broken = {item.id for item in response.output if isinstance(item, Message) and item.status == "incomplete"}
    assert not shown & broken
    answers = {
        "two at once",
        "a song of call and response",
        "Nobody knows spam.",
        *(() if repeats else ("The search was interrupted.",)),
    }
    assert set(succession.outputs.values()) <= answers
    assert set(spoken[-1].outputs) <= set(succession.outputs) or not spoken[-1].outputs
    assert isinstance(succession._machine, Machine)
