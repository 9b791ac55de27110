"""A run whose reins somebody holds: it is told to go on being heard, or to end at the next word of its model."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.backends import UpstreamError
from antiphon.core.deltas import Call, Finish, Text, Thought
from antiphon.core.fold import fold
from antiphon.engine import run
from antiphon.engine.reins import Reins
from antiphon.engine.task import Task
from antiphon.protocol.calls import WebSearchCall
from antiphon.protocol.content import OutputText
from antiphon.protocol.events import Snapshot
from antiphon.protocol.items import Message
from tests.patient import HANG_SECONDS
from tests.playing import ASKED, NOW, OPENED, Dictionary, Run

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.response import Response

pytestmark = pytest.mark.anyio

LOOK = Call("0", "look_up", '{"word":"duo"}')


class Cued:
    """A model that says each list of deltas once it is cued; a fault is raised in its place."""

    def __init__(self, *said: list[Delta] | UpstreamError) -> None:
        self.cues = [anyio.Event() for _ in said]
        self.turns: list[Turn] = []
        self.closed = 0
        self._said = list(zip(said, self.cues, strict=True))

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Speak, up to the end of a turn."""
        self.turns.append(turn)
        try:
            while self._said:
                deltas, cue = self._said.pop(0)
                await cue.wait()
                if isinstance(deltas, UpstreamError):
                    raise deltas
                yield deltas
                if isinstance(deltas[-1], Finish):
                    return
        finally:
            self.closed += 1

    async def aclose(self) -> None:
        """There is nothing to let go of."""


class Held(Run):
    """A run with its reins, in the hand of a test."""

    def __init__(self, *said: list[Delta] | UpstreamError, tool: Dictionary | None = None) -> None:
        super().__init__()
        self.cued = Cued(*said)
        self.reins = Reins()
        self.task = Task(OPENED, ASKED, self.cued, {"look_up": tool or Dictionary()})
        self.ended = anyio.Event()
        self.response: Response | None = None
        self.fault: UpstreamError | None = None

    async def begin(self) -> None:
        """Run it to its end."""
        numbers = count()
        try:
            self.response = await run(
                self.task,
                new_id=lambda prefix: f"{prefix}_{next(numbers)}",
                now=lambda: NOW + 1,
                emit=self.emit,
                keep=self.keep,
                reins=self.reins,
            )
        except UpstreamError as error:
            self.fault = error
        self.ended.set()

    async def cue(self, number: int) -> None:
        """Let the model say something, and wait until all that comes of it at once was emitted."""
        self.cued.cues[number].set()
        await settled()

    def short(self) -> list[str]:
        """The names of what was emitted."""
        return [name.removeprefix("response.") for name in self.names]


async def settled() -> None:
    """Let everybody go on until they wait for something else."""
    await anyio.wait_all_tasks_blocked()


def expect_whole(held: Held) -> Response:
    """Numbers without gaps, one terminal event, and a response that is the fold of its events."""
    assert list(range(len(held.emitted))) == [event.sequence_number for event in held.emitted]
    assert 1 == len(held.terminal)
    assert held.is_kept_first
    assert held.response == fold(held.emitted)
    assert held.response is not None
    return held.response


async def test_a_beat_tells_what_the_run_began_with_and_later_that_it_is_in_progress() -> None:
    """Before the model is heard the first is told what was held back, then each is one event; numbers go on."""
    held = Held([Text("Hel")], [Text("lo"), Finish()])
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(held.begin)
            await settled()
            assert [] == held.short()
            await held.reins.beat()
            assert ["created", "in_progress"] == held.short()
            await held.reins.beat()
            await held.cue(0)
            await held.reins.beat()
            await held.cue(1)
    response = expect_whole(held)
    assert ["created", "in_progress", "in_progress", "output_item.added"] == held.short()[:4]
    assert ["output_text.delta", "in_progress", "output_text.delta"] == held.short()[5:8]
    assert "completed" == response.status
    assert [[]] * 4 == [event.response.output for event in held.emitted if isinstance(event, Snapshot)][:-1]


async def test_reins_hang_loose_before_a_run_and_after_it() -> None:
    """Nothing is told."""
    held = Held([Text("Hello."), Finish()])
    await held.reins.beat()
    held.cued.cues[0].set()
    await held.begin()
    told = held.short()
    await held.reins.beat()
    assert told == held.short()
    expect_whole(held)


async def test_after_a_beat_a_fault_is_told_in_the_stream() -> None:
    """The response has begun for its client, so it fails; without a beat the error is plain."""
    held = Held(UpstreamError("rate_limit_exceeded", "Slow down."))
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(held.begin)
            await settled()
            await held.reins.beat()
            await held.cue(0)
    response = expect_whole(held)
    assert ["created", "in_progress", "failed"] == held.short()
    assert response.error is not None
    assert "rate_limit_exceeded" == response.error.code
    plain = Held(UpstreamError("rate_limit_exceeded", "Slow down."))
    plain.cued.cues[0].set()
    await plain.begin()
    assert plain.fault is not None
    assert [] == plain.short()


class Lingering(Held):
    """A run to which somebody listens slowly."""

    def __init__(self, *said: list[Delta] | UpstreamError) -> None:
        super().__init__(*said)
        self.may_go_on = anyio.Event()

    async def emit(self, events: list[StreamEvent]) -> None:
        """Listen to one at a time, each as long as it takes."""
        if self._listening:
            pytest.fail("emit was called by two tasks at once")
        self._listening = True
        await self.may_go_on.wait()
        self._listening = False
        await super().emit(events)


async def test_a_beat_waits_for_what_is_being_told_and_what_is_told_waits_for_a_beat() -> None:
    """Whoever listens slowly hears one thing after the other, in the order of its numbers."""
    held = Lingering([Text("Hel")], [Text("lo"), Finish()])
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(held.begin)
            await settled()
            group.start_soon(held.reins.beat)  # tells what was held back, slowly
            await settled()
            held.cued.cues[0].set()
            await settled()
            group.start_soon(held.reins.beat)
            held.cued.cues[1].set()
            await settled()
            assert [] == held.short()
            held.may_go_on.set()
    expect_whole(held)
    assert 2 == held.short().count("in_progress")


async def test_a_beat_while_a_tool_works_is_told_in_between() -> None:
    """A long call is no reason to think that the run has died."""
    going = anyio.Event()

    class Slow(Dictionary):
        async def search(self, word: str) -> None:
            await going.wait()

    held = Held([LOOK, Finish()], [Text("I see."), Finish()], tool=Slow())
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(held.begin)
            await held.cue(0)
            await held.reins.beat()
            going.set()
            held.cued.cues[1].set()
    expect_whole(held)
    searching = held.short().index("web_search_call.searching")
    assert ["in_progress", "web_search_call.completed"] == held.short()[searching + 1 : searching + 3]


async def test_a_run_that_is_steered_ends_at_the_next_piece_of_its_model() -> None:
    """What was said stays, its message is incomplete, and the model is let go."""
    held = Held([Text("Once ")], [Text("upon ")], [Text("a time."), Finish()])
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(held.begin)
            await held.cue(0)
            held.reins.steer()
            assert not held.ended.is_set()
            await held.cue(1)
            await held.ended.wait()
    response = expect_whole(held)
    assert response.incomplete_details is not None
    assert ("incomplete", "steered") == (response.status, response.incomplete_details.reason)
    (message,) = response.output
    assert isinstance(message, Message)
    assert ("incomplete", [OutputText(text="Once upon ")]) == (message.status, message.content)
    assert 1 == held.cued.closed


async def test_a_run_that_is_steered_before_anything_is_heard_ends_with_the_first_piece() -> None:
    """The response has an end that its client can go on from."""
    held = Held([Thought("Hm.")], [Text("Late."), Finish()])
    held.reins.steer()
    held.cued.cues[0].set()
    await held.begin()
    response = expect_whole(held)
    assert "incomplete" == response.status
    assert ["reasoning"] == [item.__struct_config__.tag for item in response.output]


async def test_a_run_that_is_steered_during_a_hosted_call_is_not_asked_again() -> None:
    """The call is answered, as it was made; then the response ends."""
    steering: list[Reins] = []

    class Steering(Dictionary):
        async def search(self, word: str) -> None:
            steering[0].steer()

    held = Held([LOOK, Finish()], [Text("Late."), Finish()], tool=Steering())
    steering.append(held.reins)
    held.cued.cues[0].set()
    await held.begin()
    response = expect_whole(held)
    assert response.incomplete_details is not None
    assert ("incomplete", "steered") == (response.status, response.incomplete_details.reason)
    assert 1 == len(held.cued.turns)
    assert ["two at once"] == list(held.outputs.values())


async def test_what_is_whole_when_the_run_is_steered_is_completed() -> None:
    """The model had finished by itself."""
    held = Held([Text("All."), Finish()])
    held.reins.steer()
    held.cued.cues[0].set()
    await held.begin()
    assert "completed" == expect_whole(held).status


async def test_a_call_that_is_cut_short_by_steering_is_incomplete() -> None:
    """No client runs half a call, and no tool of the server's either."""
    held = Held([Call("0", "look_up", '{"wo')], [Call("0", "", 'rd":"duo"}')])
    held.reins.steer()
    held.cued.cues[0].set()
    await held.begin()
    response = expect_whole(held)
    assert ["incomplete"] == [item.status for item in response.output if isinstance(item, WebSearchCall)]
    assert {} == held.outputs
