"""The turn loop: one terminal event whatever happens, kept before it is told."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any  # steps of a script are open

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from antiphon.backends import UpstreamError, UpstreamFault
from antiphon.core.deltas import Text
from antiphon.core.fold import fold
from antiphon.core.turn import Turn
from antiphon.engine import running
from antiphon.protocol.calls import WebSearchCall
from antiphon.protocol.items import Message
from tests.patient import HANG_SECONDS
from tests.playing import NOW, Dictionary, Model, Run, asking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.deltas import Delta
    from antiphon.core.tally import Ending
    from antiphon.protocol.events import StreamEvent

pytestmark = pytest.mark.anyio

HELLO = {"steps": [{"text": "Hello there."}]}


async def test_a_run_emits_its_response_event_by_event() -> None:
    """What is emitted adds up to what is returned and kept."""
    run = Run(HELLO)
    response = await run.perform()
    assert "completed" == response.status
    assert NOW + 1 == response.completed_at
    assert [response] == run.kept
    assert response == fold(run.emitted)
    assert list(range(len(run.emitted))) == [event.sequence_number for event in run.emitted]


async def test_a_response_is_kept_before_its_end_is_told() -> None:
    """Whoever hears the end can read it back."""
    run = Run(HELLO)
    await run.perform()
    assert run.is_kept_first


async def test_the_beginning_is_told_with_the_first_words() -> None:
    """Not before: until then a plain error is possible."""
    run = Run(HELLO)
    await run.perform()
    assert ["response.created", "response.in_progress", "response.output_item.added"] == run.emissions[0][:3]


async def test_an_upstream_that_refuses_is_a_plain_error() -> None:
    """Nothing is emitted and nothing is kept."""
    run = Run({"steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "Too fast.", "retry_after": 2}}]})
    with pytest.raises(UpstreamError, match="Too fast") as raised:
        await run.perform()
    assert 2 == raised.value.retry_after
    assert ([], []) == (run.emitted, run.kept)


async def test_an_upstream_that_says_nothing_at_all_is_a_plain_error() -> None:
    """A stream without its end was cut off."""
    run = Run({"steps": [{"die": True}]})
    with pytest.raises(UpstreamError, match="ended its stream early"):
        await run.perform()
    assert [] == run.emitted


async def test_a_backend_that_breaks_before_the_first_word_is_not_hidden() -> None:
    """Whoever asked can still answer with a plain error."""

    class Absent:
        def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
            raise ZeroDivisionError(turn)

        async def aclose(self) -> None:
            """There is nothing to let go of."""

    run = Run()
    run.task = replace(run.task, backend=Absent())
    with pytest.raises(ZeroDivisionError):
        await run.perform()
    assert ([], []) == (run.emitted, run.kept)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        ("context_length_exceeded", "context_length_exceeded"),
        ("content_filter", "invalid_prompt"),
        ("invalid_request", "invalid_prompt"),
        ("server_error", "server_error"),
        ("timeout", "server_error"),
        ("unavailable", "server_error"),
        ("misconfigured", "server_error"),
    ],
)
async def test_an_upstream_that_fails_after_the_first_word_fails_the_response(fault: UpstreamFault, code: str) -> None:
    """The error is told and kept, and so is what was said."""
    run = Run({"steps": [{"text": "Once upo"}, {"fail": {"fault": fault, "message": "Sorry."}}]})
    response = await run.perform()
    assert response.error is not None
    assert ("failed", code, "Sorry.") == (response.status, response.error.code, response.error.message)
    assert run.is_kept_first
    assert ["response.failed"] == run.terminal
    assert [response] == run.kept
    assert response == fold(run.emitted)
    assert ["incomplete"] == [item.status for item in response.output if isinstance(item, Message)]


async def test_an_upstream_that_is_cut_off_fails_the_response() -> None:
    """A stream without its end is no answer."""
    run = Run({"steps": [{"text": "Once upo"}, {"die": True}]})
    response = await run.perform()
    assert response.error is not None
    assert ("failed", "server_error") == (response.status, response.error.code)
    assert ["response.failed"] == run.terminal


async def test_a_fault_of_our_own_tells_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    """The log knows; the caller is told that there was an error."""
    run = Run(asking("antiphon"), tools={"look_up": Broken()})
    response = await run.perform()
    assert response.error is not None
    assert "The server had an error. Please try again." == response.error.message
    assert ["response.failed"] == run.terminal
    assert "run_failed" in [vars(record)["action"] for record in caplog.records]


class Broken(Dictionary):
    """A tool that breaks its promise never to raise."""

    async def search(self, word: str) -> None:
        """Break."""
        raise ZeroDivisionError(word)


class Forgetful(Run):
    """A store that cannot keep, as often as it is told."""

    times = 1

    async def keep(self, ending: Ending) -> None:
        """Fail, then keep."""
        if self.times:
            self.times -= 1
            raise OSError("disk full")
        await super().keep(ending)


async def test_a_store_that_cannot_keep_fails_the_response() -> None:
    """It is not told as completed, and the failure is kept if that can be."""
    run = Forgetful(HELLO)
    response = await run.perform()
    assert "failed" == response.status
    assert ["response.failed"] == run.terminal
    assert [response] == run.kept


async def test_a_store_that_can_keep_nothing_still_lets_the_end_be_told(caplog: pytest.LogCaptureFixture) -> None:
    """One terminal event, always."""
    run = Forgetful(HELLO)
    run.times = 2
    response = await run.perform()
    assert "failed" == response.status
    assert ["response.failed"] == run.terminal
    assert [] == run.kept
    assert ["run_failed", "response_not_kept"] == [vars(record)["action"] for record in caplog.records]


async def test_a_store_that_never_answers_fails_the_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is limited."""

    class Stuck(Run):
        async def keep(self, ending: Ending) -> None:
            await anyio.sleep_forever()

    monkeypatch.setattr(running, "ENDING_SECONDS", 0.02)
    run = Stuck(HELLO)
    with anyio.fail_after(HANG_SECONDS):
        response = await run.perform()
    assert "failed" == response.status
    assert ["response.failed"] == run.terminal


async def test_a_run_that_is_cancelled_is_kept_as_cancelled() -> None:
    """With what was said, and its terminal event; the model stops, and the cancellation goes on."""
    run = Run({"steps": [{"text": "Once upon a time"}, {"pause_ms": 60_000}]})
    returned = False
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:

            async def perform() -> None:
                nonlocal returned
                await run.perform()
                returned = True

            group.start_soon(perform)
            while "response.output_text.delta" not in run.names:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    assert not returned
    assert run.model.stopped
    assert ["cancelled"] == [response.status for response in run.kept]
    assert run.is_kept_first
    assert [("message", "incomplete")] == [
        ("message", item.status) for item in run.kept[0].output if isinstance(item, Message)
    ]


async def test_a_run_that_is_cancelled_before_the_first_word_leaves_nothing() -> None:
    """Nobody has heard of it."""
    run = Run({"steps": [{"pause_ms": 60_000}]})
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(run.perform)
            while not run.model.turns:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert run.model.stopped
    assert ([], []) == (run.emitted, run.kept)


class Stubborn(Dictionary):
    """A tool that never comes to an end, and breaks when it is stopped."""

    def __init__(self) -> None:
        self.working = anyio.Event()

    async def search(self, word: str) -> None:
        """Wait."""
        self.working.set()
        try:
            await anyio.sleep_forever()
        finally:
            raise ZeroDivisionError(word)


async def test_a_tool_that_breaks_when_it_is_stopped_does_not_hide_the_cancellation() -> None:
    """The response is cancelled, not failed; its call is incomplete."""
    tool = Stubborn()
    run = Run(asking("antiphon"), tools={"look_up": tool})
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(run.perform)
            await tool.working.wait()
            group.cancel_scope.cancel()
    assert ["cancelled"] == [response.status for response in run.kept]
    assert [WebSearchCall(id="ws_0", status="incomplete")] == run.kept[0].output
    assert ["response.failed"] == run.terminal


async def test_a_response_that_is_being_kept_is_not_cancelled_any_more() -> None:
    """Half a commit is none: what was completed stays so."""

    class Slow(Run):
        async def keep(self, ending: Ending) -> None:
            group.cancel_scope.cancel()
            await anyio.lowlevel.checkpoint()
            await super().keep(ending)

    run = Slow(HELLO)
    async with anyio.create_task_group() as group:
        group.start_soon(run.perform)
    assert ["completed"] == [response.status for response in run.kept]


class Brittle(Model):
    """A model that breaks when it is stopped."""

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Speak, and never come to an end."""
        try:
            yield [Text("Once upo")]
            await anyio.sleep_forever()
        finally:
            raise UpstreamError("unavailable", "It is gone.")


async def test_a_model_that_breaks_when_it_is_stopped_does_not_hide_the_cancellation() -> None:
    """The response is cancelled, not failed."""
    run = Run()
    run.task = replace(run.task, backend=Brittle())
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(run.perform)
            while not run.emitted:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
    assert ["cancelled"] == [response.status for response in run.kept]
    assert ["response.failed"] == run.terminal


@pytest.mark.parametrize(
    ("steps", "status"),
    [([{"text": "Hello there."}], "completed"), ([{"text": "Once upo"}, {"fail": {}}], "failed")],
)
async def test_a_cancellation_waits_until_a_response_is_kept_and_told(steps: list[Any], status: str) -> None:
    """Then it goes on."""

    class Late(Run):
        async def keep(self, ending: Ending) -> None:
            here.cancel()
            await super().keep(ending)

    current = asyncio.current_task()
    assert current is not None
    here = current
    run = Late({"steps": steps})
    with pytest.raises(asyncio.CancelledError):
        await run.perform()
    here.uncancel()
    assert [status] == [response.status for response in run.kept]
    assert [f"response.{status}"] == run.terminal


class Deaf(Run):
    """A listener that breaks at one kind of event and hears nothing more."""

    at = ""

    async def emit(self, events: list[StreamEvent]) -> None:
        """Listen until then."""
        await super().emit(events)
        if self.at in self.names:
            raise ConnectionResetError

    async def keep(self, ending: Ending) -> None:
        """The model has stopped by then."""
        assert self.model.closed
        await super().keep(ending)


@pytest.mark.parametrize(
    ("at", "status"), [("response.output_text.delta", "failed"), ("response.completed", "completed")]
)
async def test_a_listener_that_breaks_does_not_lose_the_response(at: str, status: str) -> None:
    """It is kept and returned: failed if the run was not over, else as it was."""
    run = Deaf(HELLO)
    run.at = at
    response = await run.perform()
    assert status == response.status
    assert [response] == run.kept


STEPS = st.lists(
    st.sampled_from([
        {"text": "One two."},
        {"thought": "Hm."},
        {"refusal": "No."},
        {"call": {"name": "look_up", "arguments": {"word": "duo"}}},
        {"call": {"name": "look_up", "arguments": "{"}},
        {"call": {"name": "ask_user", "arguments": {}}},
        {"fail": {}},
        {"die": True},
    ]),
    max_size=4,
)


@given(st.lists(STEPS, min_size=1, max_size=3), st.integers(0, 2), st.sampled_from(["stop", "content_filter"]))
def test_whatever_happens_there_is_one_terminal_event_or_a_plain_error(
    replies: list[list[dict[str, Any]]], forgets: int, finish: str
) -> None:
    """Also with a store that fails and tools that break; the terminal event is the last and holds what is returned."""
    logging.disable(logging.CRITICAL)
    run = Forgetful(
        *({"steps": steps, "outputs": number, "finish": finish} for number, steps in enumerate(replies)),
        tools={"look_up": Dictionary()},
    )
    run.times = forgets
    try:
        response = anyio.run(run.perform)
    except UpstreamError:
        assert ([], []) == (run.emitted, run.kept)
        return
    finally:
        logging.disable(logging.NOTSET)
    assert list(range(len(run.emitted))) == [event.sequence_number for event in run.emitted]
    assert 1 == len(run.terminal)
    assert run.terminal == run.names[-1:]
    assert response == fold(run.emitted)
