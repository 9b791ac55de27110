"""The turn loop: model, tools, model, tools, until the model has spoken or the client has a call to answer.

The engine knows backends, tools and the machine; it knows no store and no HTTP. Streaming, JSON and background runs
differ only in the ``emit`` that they pass.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import aclosing, suppress

import anyio
from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends import Backend, UpstreamError
from antiphon.core.calls import CallKind, OpenCall
from antiphon.core.machine import Machine
from antiphon.core.notes import CallAnswered, CallStarted, Note
from antiphon.core.replay import replayed
from antiphon.core.turn import Choice, Turn
from antiphon.protocol.events import PhaseType, StreamEvent
from antiphon.protocol.response import Response, ResponseError
from antiphon.tools import Tool

log = logging.getLogger(__name__)

Emit = Callable[[list[StreamEvent]], Awaitable[None]]
"""Takes events on. It is called by one task at a time."""

Keep = Callable[[Response, Mapping[str, str]], Coroutine[None, None, None]]
"""Stores a final response and what the model read of each hosted call, by item id; returns when both are durable, or
when they are certain to be with the terminal event, which is emitted next."""

Settle = Callable[[], Awaitable[None]]
"""Returns when all that was emitted is durable."""

ENDING_SECONDS = 10.0
"""How long the end of a run may take once nobody waits for it."""


class Task(Struct, frozen=True):
    """What a run needs: the response as it opens, the first turn, and who answers.

    ``allowed`` names the only functions that may be called; with None a call of any name is heard, as the client's.
    """

    response: Response
    turn: Turn
    backend: Backend
    tools: Mapping[str, Tool] = {}
    allowed: frozenset[str] | None = None
    raw_thoughts: bool = False

    def machine(self, new_id: Callable[[str], str]) -> Machine:
        """The machine of a run that begins."""
        return Machine(
            self.response, new_id=new_id, kinds=self.kinds, allowed=self.allowed, raw_thoughts=self.raw_thoughts
        )

    def machine_after(self, log: Iterable[StreamEvent | Note], new_id: Callable[[str], str]) -> Machine:
        """The machine of a run that goes on after what its log says."""
        return replayed(log, new_id=new_id, kinds=self.kinds, allowed=self.allowed, raw_thoughts=self.raw_thoughts)

    @property
    def kinds(self) -> dict[str, CallKind]:
        """How the calls of each tool show themselves."""
        return {name: tool.kind for name, tool in self.tools.items()}


async def run(task: Task, *, new_id: Callable[[str], str], now: Callable[[], int], emit: Emit, keep: Keep) -> Response:
    """Make a response, from ``response.created`` to its one terminal event, and return it final.

    Nothing is emitted before the upstream has accepted the first turn: until then `UpstreamError` is raised, and the
    caller can still answer with a plain error. Afterwards every fault ends in ``response.failed``, a cancellation in a
    response that is ``cancelled``, and nothing is raised but the cancellation itself. A final response is kept before
    its terminal event is emitted.
    """
    machine = task.machine(new_id)
    return await _run(Running(task, machine, held=machine.start(), emit=emit, keep=keep), now)


async def go_on(
    task: Task, machine: Machine, *, now: Callable[[], int], emit: Emit, keep: Keep, settle: Settle
) -> Response:
    """Make a response from where ``machine``, made by `Task.machine_after`, stands; return it final.

    It is told at once that the run goes on, so that every fault ends in ``response.failed``. Before a call that must
    not be made twice its beginning is noted, and durable by ``settle``; one that another process began so is not made.
    """
    running = Running(task, machine, emit=emit, keep=keep, settle=settle)
    return await _run(running, now)


async def _run(running: Running, now: Callable[[], int]) -> Response:
    response = running.machine.response
    try:
        await running.converse()
        await running.complete(now())
    except UpstreamError as error:
        log.warning(
            "upstream failed",
            extra={"action": "upstream_failed", "response": response.id, "fault": error.fault, "detail": error.detail},
        )
        if running.unheard:
            raise
        await running.fail(_response_error(error))
    except asyncio.CancelledError:
        await running.cancel()
        raise
    except Exception:
        if running.unheard:
            raise
        log.exception("run failed", extra={"action": "run_failed", "response": response.id})
        await running.fail(ResponseError(code="server_error", message="The server had an error. Please try again."))
    return running.machine.response


class Running:
    """A run in progress. ``held``: the opening events, for as long as they are held back.

    Without ``settle`` nobody can take the run over, and nothing needs to be noted.
    """

    def __init__(
        self,
        task: Task,
        machine: Machine,
        *,
        emit: Emit,
        keep: Keep,
        held: list[StreamEvent] | None = None,
        settle: Settle | None = None,
    ) -> None:
        self._task = task
        self._emit = emit
        self._keep = keep
        self._settle = settle
        self._outputs = dict(machine.outputs)
        self._turnstile = asyncio.Lock()
        self.machine = machine
        self._held = held or []

    @property
    def unheard(self) -> bool:
        """Whether nothing was emitted so far."""
        return bool(self._held)

    async def converse(self) -> None:
        """Model, tools, model, tools; on from a turn that was finished by another process, if there is one."""
        if self._settle is not None:
            await self._emit(self.machine.resume())
        is_spoken = self.machine.turn_ended
        while True:
            if not is_spoken:
                await self._speak(self._next_turn())
            is_spoken = False
            hosted = [call for call in self.machine.calls if call.kind.hosted]
            if not hosted:
                return
            await self._answers(self.machine.waiting)
            if len(hosted) < len(self.machine.calls) or self.machine.cut_short:
                return

    def _next_turn(self) -> Turn:
        """The first turn, or the one after what was said and answered."""
        first, said = self._task.turn, self.machine.said
        if not said:
            return first
        return replace(
            first,
            items=[*first.items, *said],
            outputs={**first.outputs, **self._outputs},
            choice=_relaxed(first.choice),
        )

    async def complete(self, now: int) -> None:
        """Keep the response, then say that it is over."""
        cancellation = await self._save(self.machine.outcome(now))
        await self._say(self.machine.complete(now))
        if cancellation is not None:
            raise cancellation

    async def fail(self, error: ResponseError) -> None:
        """End in ``response.failed``; as cancelled, if the fault came of the cancellation."""
        if _is_cancelled():
            await self.cancel()
        elif not self.machine.ended:  # else only the telling failed, and what is kept stays
            await self._end(self.machine.fail(error))

    async def cancel(self) -> None:
        """End as cancelled, whoever still listens."""
        if self.unheard or self.machine.ended:
            return
        with suppress(TimeoutError):
            await _to_the_end(self._end(self.machine.cancel()), seconds=2 * ENDING_SECONDS)

    async def _end(self, events: list[StreamEvent]) -> None:
        """Keep and tell a bad end, as far as either can be done: the one must come without the other."""
        cancellation: asyncio.CancelledError | None = None
        try:
            cancellation = await self._save(self.machine.response)
        except Exception:  # the terminal event must come, kept or not
            log.exception("response not kept", extra=self._named("response_not_kept"))
        try:
            await self._say(events)
        except Exception:  # the run is over, and who asked for it has the response
            log.exception("end not told", extra=self._named("end_not_told"))
        if cancellation is not None:
            raise cancellation

    async def _save(self, response: Response) -> asyncio.CancelledError | None:
        """Half a commit is none: a cancellation has to wait, and is returned."""
        return await _to_the_end(self._keep(response, self._outputs), seconds=ENDING_SECONDS)

    def _named(self, action: str) -> dict[str, str]:
        return {"action": action, "response": self._task.response.id}

    async def _speak(self, turn: Turn) -> None:
        self.machine.next_turn()
        async with aclosing(self._task.backend.stream(turn)) as heard:
            async for deltas in heard:
                events = self.machine.feed(deltas)
                if self._held:
                    await self._say(events)
                elif events or (self._settle is not None and self.machine.notes):
                    await self._emit(events)
        if self.machine.speaking:
            raise UpstreamError("server_error", "The model's server ended its stream early.")

    async def _answers(self, calls: list[OpenCall]) -> None:
        """A tool that breaks its word and raises stops none of the others: what they did is told and kept."""
        faults: list[Exception] = []

        async def answer(call: OpenCall) -> None:
            try:
                await self._answer(call)
            except Exception as fault:  # noqa: BLE001 - raised below
                faults.append(fault)

        async with anyio.create_task_group() as group:
            for call in calls:
                group.start_soon(answer, call)
        if faults:
            raise faults[0]

    async def _answer(self, call: OpenCall) -> None:
        """Tools answer side by side: events are numbered and emitted by one of them at a time."""

        async def report(phase: PhaseType) -> None:
            async with self._turnstile:
                await self._say(self.machine.phase(call, phase))

        tool = self._task.tools[call.name]
        if self._settle is None or tool.repeats(call):
            answered = await tool.call(call, report)
        elif call.id in self.machine.started:
            answered = tool.lost(call)
        else:
            await self._begin(call, self._settle)
            answered = await tool.call(call, report)
        self._outputs[call.id] = answered.output
        async with self._turnstile:
            events = self.machine.answer(call, answered.item)
            self.machine.notes.append(CallAnswered(call.id, answered.output))
            await self._say(events)

    async def _begin(self, call: OpenCall, settle: Settle) -> None:
        """Note durably that a call is about to be made: whoever finds the note does not make it again."""
        async with self._turnstile:
            self.machine.notes.append(CallStarted(call.id))
            await self._emit([])
        await settle()

    async def _say(self, events: list[StreamEvent]) -> None:
        held, self._held = self._held, []
        if held or events:
            await self._emit(held + events if held else events)


async def _to_the_end(work: Coroutine[None, None, None], *, seconds: float) -> asyncio.CancelledError | None:
    """Await ``work`` to its end and give the cancellation that came meanwhile, which did not reach it.

    Raises what it raises, and `TimeoutError` where it takes longer than ``seconds``.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)  # owned here: this function returns after it
    deadline = loop.call_later(seconds, task.cancel)
    cancellation: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancellation = error
    deadline.cancel()
    if task.cancelled():
        raise TimeoutError
    task.result()
    return cancellation


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _relaxed(choice: Choice) -> Choice:
    """What was demanded has been called: from now on the model may answer."""
    return replace(choice, mode="auto") if choice.mode == "required" else choice


def _response_error(error: UpstreamError) -> ResponseError:
    match error.fault:
        case "rate_limit_exceeded" | "context_length_exceeded":
            return ResponseError(code=error.fault, message=str(error))
        case "content_filter" | "invalid_request":
            return ResponseError(code="invalid_prompt", message=str(error))
        case "server_error" | "timeout" | "unavailable" | "misconfigured":
            return ResponseError(code="server_error", message=str(error))
