"""A run in progress: what comes before the model, then model and tools in turns, then the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Container, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from msgspec import UNSET
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.core.deltas import Call, Finish
from antiphon.core.notes import CallAnswered, CallStarted
from antiphon.core.tally import Ending
from antiphon.core.turn import Choice, Turn
from antiphon.engine.reins import Reins
from antiphon.engine.slicing import sliced
from antiphon.engine.watching import Heard, Watch, watched_call
from antiphon.protocol.calls import McpListTools
from antiphon.protocol.events import StreamEvent
from antiphon.protocol.items import Compaction
from antiphon.protocol.refusals import mcp_refused, mcp_unreachable
from antiphon.protocol.response import Response
from antiphon.tools import Unlisted

if TYPE_CHECKING:
    from antiphon.core.calls import OpenCall, Phase
    from antiphon.core.deltas import Delta
    from antiphon.core.machine import Machine
    from antiphon.engine.task import Task
    from antiphon.protocol.errors import ApiError
    from antiphon.protocol.response import ResponseError
    from antiphon.tools import ToolServer

log = logging.getLogger(__name__)

Emit = Callable[[list[StreamEvent]], Awaitable[None]]
"""Takes events on. It is called by one task at a time."""

Keep = Callable[[Ending], Coroutine[None, None, None]]
"""Stores what came of a run, and counts what it took; returns when all is durable, or certain to be with the terminal
event, which is emitted next."""

Settle = Callable[[], Awaitable[None]]
"""Returns when all that was emitted is durable."""

ENDING_SECONDS = 10.0
"""How long the end of a run may take once nobody waits for it."""


class Running:
    """A run in progress; with ``reins`` one that begins, without them one that goes on after a log.

    What it begins with is held back until the model is heard. If somebody watches, the lists that come before are not.
    Without ``settle`` nobody can take the run over, or end it (``is_shared``), and nothing needs to be noted.
    """

    def __init__(
        self,
        task: Task,
        machine: Machine,
        *,
        emit: Emit,
        keep: Keep,
        settle: Settle | None = None,
        reins: Reins | None = None,
    ) -> None:
        self._task = task
        self._emit = emit
        self._keep = keep
        self._settle = settle
        self.is_shared = settle is not None
        self._outputs = dict(machine.outputs)
        self._reins = reins or Reins()
        self._turnstile = asyncio.Lock()
        self.machine = machine
        self.watch = Watch(task)
        self._held = [] if reins is None else machine.start()
        self._spend: Callable[[], Awaitable[None]] | None = None
        self._has_found = False
        self._reins.tie(self._beat)

    @property
    def unheard(self) -> bool:
        """Whether nothing was emitted so far."""
        return bool(self._held)

    async def converse(self) -> None:
        """Model, tools, model, tools; on from a turn that was finished by another process, if there is one."""
        if self._settle is not None:
            await self._emit(self.machine.resume())
        if self._task.purpose == "prepare":
            return
        is_spoken = await self._open() or self.machine.turn_ended
        while not self._is_summed_up():
            if not is_spoken:
                await self._speak(self._next_turn())
            is_spoken = False
            hosted = [call for call in self.machine.calls if call.kind.hosted]
            if not hosted:
                return
            await self._answers(self.machine.waiting)
            self._equip_anew()
            if self._reins.is_steered:
                self.machine.steer()
            if len(hosted) < len(self.machine.calls) or self.machine.cut_short:
                return

    # Before the model

    async def _open(self) -> bool:
        """Do what comes before the model is asked, if it is not done; whether calls that were approved wait now."""
        opening = self._task.opening
        if opening is None:
            return False
        if not self.machine.has_spoken:
            await self._lists(opening.servers)
        self._task = self._task.equipped(self.machine.finished)
        self.machine.allow(self._task.manner)
        if self.machine.has_spoken:
            return False
        self._spend = opening.spend
        if not opening.granted:
            return False
        await self._spend_answers()
        granted = [Call(key=grant.id, name=grant.id, arguments=grant.arguments) for grant in opening.granted]
        await self._tell(lambda: self.machine.grant(granted))
        return True

    async def _spend_answers(self) -> None:
        """Use a person's answers up, once something comes of them: whoever was told of an error may send them again."""
        spend, self._spend = self._spend, None
        if spend is not None:
            await spend()

    async def _lists(self, servers: Sequence[ToolServer]) -> None:
        """Ask servers for their tools, all at once. Raises ``ApiError`` for one that cannot say."""
        lists = [item for item in self.machine.finished if isinstance(item, McpListTools)]
        for item in lists:
            if item.error is not UNSET:  # as another process has told
                raise mcp_unreachable(item.server_label)
        listed = {item.server_label for item in lists}
        await _side_by_side([self._list(server) for server in servers if server.label not in listed])

    async def _list(self, server: ToolServer) -> None:
        if server.label not in self.machine.lists:
            await self._tell_list(lambda: self.machine.open_list(server.label))
        try:
            tools = await server.list()
        except Unlisted as fault:
            error = _unlisted(server.label, fault)
            await self._tell_list(lambda: self.machine.fail_list(server.label, error.error.message))
            raise error from fault
        await self._tell_list(lambda: self.machine.close_list(server.label, tools))

    async def _tell_list(self, step: Callable[[], list[StreamEvent]]) -> None:
        async with self._turnstile:
            if self._held and not self._reins.is_watched:
                self._held += step()
            else:
                await self._say(step())

    # Model and tools

    def _next_turn(self) -> Turn:
        """The first turn, or the one after what was said and answered."""
        first, said, thoughts = self._task.turn, self.machine.said, self.machine.thoughts
        if not self.machine.may_call_on:
            first = _without(first, self._task.tools)
        return replace(
            first,
            items=[*first.items, *said],
            outputs={**first.outputs, **self._outputs},
            thoughts={**first.thoughts, **{item.id: thoughts[item.id] for item in said if item.id in thoughts}},
            choice=_relaxed(first.choice) if self.machine.has_spoken else first.choice,
        )

    async def complete(self, now: int) -> None:
        """Keep the response, then say that it is over."""
        cancellation = await self._save(self.machine.outcome(now))
        await self._tell(lambda: self.machine.complete(now))
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
            await self._tell(lambda: events)
        except Exception:  # the run is over, and who asked for it has the response
            log.exception("end not told", extra=self._named("end_not_told"))
        if cancellation is not None:
            raise cancellation

    async def _save(self, response: Response) -> asyncio.CancelledError | None:
        """Half a commit is none: a cancellation has to wait, and is returned."""
        ending = Ending(response, self._outputs, self.machine.thoughts, self.machine.unreported)
        return await _to_the_end(self._keep(ending), seconds=ENDING_SECONDS)

    def _named(self, action: str) -> dict[str, str]:
        return {"action": action, "response": self._task.response.id}

    async def _speak(self, turn: Turn) -> None:
        turn = await self._shown(turn)
        if self._task.purpose == "compact":
            return
        self.machine.next_turn()
        deltas: list[Delta] = []
        async with Heard(self._task, turn, self.machine) as heard:
            async for deltas in heard.stream:
                if self._spend is not None:
                    await self._spend_answers()
                if self._reins.is_steered and type(deltas[-1]) is not Finish:
                    deltas = [*deltas, Finish("steered")]  # noqa: PLW2901 - what was said is kept, and no more is heard
                await self._hear_slices(sliced(deltas))
                if self._reins.is_steered and not self.machine.speaking:
                    break
            heard.finish(deltas)
            if self.machine.speaking:
                raise UpstreamError("server_error", "The model's server ended its stream early.")

    async def _hear_slices(self, slices: list[list[Delta]]) -> None:
        """Hear what was said at once, and let others in between where it is long."""
        for deltas in slices:
            await self._heard(deltas)
            if len(slices) > 1:
                await anyio.lowlevel.checkpoint()

    async def _heard(self, deltas: list[Delta]) -> None:
        """Tell what comes of what the model said."""
        async with self._turnstile:
            events = self.machine.feed(deltas)
            if self._held:
                await self._say(events)
            elif events or (self._settle is not None and self.machine.notes):
                await self._emit(events)

    async def _shown(self, turn: Turn) -> Turn:
        """The turn as the model is to see it, summed up where it has become too long."""
        task = self._task
        seen = turn if task.show is None else await task.show(turn)
        summed = None if task.compact is None else await task.compact(seen)
        if summed is None:
            return seen
        await self._tell(lambda: self.machine.compact(summed.encrypted_content, summed.usage))
        turn = self._next_turn()
        return turn if task.show is None else await task.show(turn)

    def _is_summed_up(self) -> bool:
        """Whether all that was asked for was to sum up, and that is done."""
        return self._task.purpose == "compact" and any(isinstance(item, Compaction) for item in self.machine.finished)

    async def _beat(self) -> None:
        """Tell that the run goes on. What is held back is told now: whoever waits so long wants to hear something."""
        async with self._turnstile:
            if not self.machine.ended:
                await self._say([] if self._held else self.machine.beat())

    async def _answers(self, calls: list[OpenCall]) -> None:
        """A tool that breaks its word and raises stops none of the others: what they did is told and kept."""
        await _side_by_side([self._answer(call) for call in calls])

    async def _answer(self, call: OpenCall) -> None:
        """Tools answer side by side: events are numbered and emitted by one of them at a time."""

        async def report(phase: Phase) -> None:
            await self._tell(lambda: self.machine.phase(call, phase))

        tool = self._task.tool(call)
        ask = partial(tool.call, call, report)
        if self._settle is None or tool.repeats(call):
            answered = await watched_call(self._task, call, ask)
        elif call.id in self.machine.started:
            answered = tool.lost(call)
        else:
            await self._begin(call, self._settle)
            answered = await watched_call(self._task, call, ask)
        self._outputs[call.id] = answered.output
        async with self._turnstile:
            events = self.machine.answer(call, answered.item, answered.usage, answered.found)
            self.machine.notes.append(CallAnswered(call.id, answered.output, answered.usage))
            await self._say(events)
        self._has_found = self._has_found or bool(answered.found)

    def _equip_anew(self) -> None:
        """The tools that searches of the last turn found can be called from now on."""
        if self._has_found:
            self._has_found = False
            self._task = self._task.equipped(self.machine.finished)
            self.machine.allow(self._task.manner)

    async def _begin(self, call: OpenCall, settle: Settle) -> None:
        """Note durably that a call is about to be made: whoever finds the note does not make it again."""
        async with self._turnstile:
            self.machine.notes.append(CallStarted(call.id))
            await self._emit([])
        await settle()

    async def _tell(self, step: Callable[[], list[StreamEvent]]) -> None:
        """Take a step and tell what comes of it, with nothing of anybody else's in between."""
        async with self._turnstile:
            await self._say(step())

    async def _say(self, events: list[StreamEvent]) -> None:
        held, self._held = self._held, []
        if held:
            self.watch.begun()
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


async def _side_by_side(works: list[Coroutine[None, None, None]]) -> None:
    """Do all to their ends; then raise the first fault, if there is one."""
    faults: list[Exception] = []

    async def do(work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as fault:  # noqa: BLE001 - raised below
            faults.append(fault)

    async with anyio.create_task_group() as group:
        for work in works:
            group.start_soon(do, work)
    if faults:
        raise faults[0]


def _unlisted(label: str, fault: Unlisted) -> ApiError:
    return mcp_refused(label) if fault.is_refused else mcp_unreachable(label, status=fault.status)


def _without(turn: Turn, names: Container[str]) -> Turn:
    """A turn in which the functions of these names cannot be called."""
    functions = [function for function in turn.functions if function.name not in names]
    choice = turn.choice
    if choice.names is not None:
        choice = replace(choice, names=[name for name in choice.names if name not in names])
    if not functions or choice.names == []:
        choice = Choice("none")
    return replace(turn, functions=functions, choice=choice)


def _relaxed(choice: Choice) -> Choice:
    """What was demanded has been called: from now on the model may answer."""
    return replace(choice, mode="auto") if choice.mode == "required" else choice
