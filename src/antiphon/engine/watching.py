"""What operators are told of a run: figures, spans and, where they ask for it, what was said. Nothing per event."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import TYPE_CHECKING, Self

from antiphon.backends import UpstreamError
from antiphon.core.deltas import Finish
from antiphon.engine.quoting import messages, quoted
from antiphon.protocol.calls import CodeInterpreterCall, FileSearchCall, ImageGenerationCall, McpCall, WebSearchCall
from antiphon.telemetry import trail as trails

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from contextvars import Token

    from antiphon.core.calls import OpenCall
    from antiphon.core.deltas import Delta
    from antiphon.core.machine import Machine
    from antiphon.core.turn import Turn
    from antiphon.engine.running import Running
    from antiphon.engine.task import Task
    from antiphon.protocol.items import OutputItem
    from antiphon.protocol.response import Response, Usage
    from antiphon.telemetry.trail import Attribute, Trail
    from antiphon.tools import Answer

log = logging.getLogger(__name__)

ENDS = frozenset({"completed", "incomplete", "failed", "cancelled"})


class Watch:
    """Watches one run, from its beginning to its end."""

    __slots__ = ("_began", "_task", "_trail")

    def __init__(self, task: Task) -> None:
        self._task = task
        self._trail = trails.current()
        self._began = perf_counter()

    def begin(self) -> None:
        """The run begins."""
        if (figures := self._trail.figures) is not None:
            figures.running.add(self._task.deployment)

    def leave(self) -> None:
        """The run goes on here no more, whatever becomes of it."""
        if (figures := self._trail.figures) is not None:
            figures.running.add(self._task.deployment, count=-1)

    def begun(self) -> None:
        """The first events are told."""
        if (figures := self._trail.figures) is not None:
            seconds = perf_counter() - self._began
            figures.first_event_seconds.add(self._task.deployment, seconds=seconds)

    def end(self, response: Response, outcome: str) -> None:
        """The run is over, and the response with it. ``outcome``: its status, or what became of it instead."""
        task = self._task
        if (figures := self._trail.figures) is not None:
            figures.responses.add(task.deployment, outcome)
            figures.response_seconds.add(task.deployment, seconds=perf_counter() - self._began)
        if self._trail.content:
            log.info(
                "what was said",
                extra={
                    "action": "response_content",
                    "response": response.id,
                    "asked": quoted(task.turn.items),
                    "answered": quoted(response.output),
                },
            )


class Watched:
    """A run while it goes on here: a context that tells what becomes of it, unless others take it over or end it."""

    __slots__ = ("_running",)

    def __init__(self, running: Running) -> None:
        self._running = running

    def __enter__(self) -> None:
        self._running.watch.begin()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        running, is_cancelled = self._running, isinstance(error, asyncio.CancelledError)
        running.watch.leave()
        if not (is_cancelled and running.is_shared):
            response = running.machine.response
            otherwise = "cancelled" if is_cancelled else "refused"
            running.watch.end(response, response.status if response.status in ENDS else otherwise)


class Heard:
    """A turn while its model is heard: a context around the stream of what the model says, which it closes.

    ``machine`` is the one that is fed with it.
    """

    __slots__ = (
        *("_began", "_machine", "_reason", "_said_before", "_task", "_token", "_trail", "_turn", "_usage", "stream"),
    )

    def __init__(self, task: Task, turn: Turn, machine: Machine) -> None:
        self._machine = machine
        self._task = task
        self._turn = turn
        self._trail = trails.current()
        self._token: Token[Trail] | None = None
        self._usage: Usage | None = None
        self._reason = ""
        self._said_before = 0
        self.stream: AsyncGenerator[list[Delta], None]

    async def __aenter__(self) -> Self:
        self._began = perf_counter()
        if self._trail.span is not None:
            name = f"chat {self._task.response.model}"
            span = self._trail.span.child(name, kind="client", attributes=_asked(self._task, self._turn))
            if self._trail.content:
                self._said_before = len(self._machine.said)
                span.note({"gen_ai.input.messages": messages(self._turn.items)})
            self._trail = self._trail.branch(span=span)
            self._token = trails.enter(self._trail)
        self.stream = self._task.backend.stream(self._turn)
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            await self.stream.aclose()
        finally:
            if self._token is not None:
                trails.leave(self._token)
            self._end(_fault(error))

    def finish(self, deltas: Sequence[Delta]) -> None:
        """The model has spoken; these were its last words."""
        if deltas and isinstance(last := deltas[-1], Finish):
            self._usage, self._reason = last.usage, last.reason

    def _end(self, fault: str | None) -> None:
        task, usage = self._task, self._usage
        if (figures := self._trail.figures) is not None:
            figures.turn_seconds.add(task.deployment, seconds=perf_counter() - self._began)
            if fault is not None:
                figures.upstream_errors.add(task.deployment, fault)
            if usage is not None:
                figures.take(task.deployment, tokens(usage))
        if self._token is not None and (span := self._trail.span) is not None:
            span.note(_answered(usage, self._reason))
            if self._trail.content:
                said = self._machine.said[self._said_before :]
                span.note({"gen_ai.output.messages": messages(said, reason=self._reason)})
            if fault is not None:
                span.fail(fault)
            span.end()


async def watched_call(task: Task, call: OpenCall, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make a hosted call, and tell what becomes of it. It runs in a task of its own."""
    trail, began, outcome = trails.current(), perf_counter(), "broken"
    kind = _kind(call.kind.item(call))
    if trail.span is not None:
        name = call.name if call.name in task.tools else "approved_call"
        span = trail.span.child(f"execute_tool {name}", kind="internal", attributes=_called(name, call.id))
        trail = trail.branch(span=span)
        trails.follow(trail)
    try:
        answered = await ask()
        kind, outcome = _outcome(answered)
    except asyncio.CancelledError:
        outcome = "cancelled"
        raise
    else:
        return answered
    finally:
        if (figures := trail.figures) is not None:
            figures.tool_calls.add(kind, outcome)
            figures.tool_seconds.add(kind, seconds=perf_counter() - began)
        if trail.span is not None:
            if outcome != "completed":
                trail.span.fail(outcome)
            trail.span.end()


def _outcome(answered: Answer) -> tuple[str, str]:
    """The kind of call that was answered, and how it ended: both words of the API."""
    kind = _kind(answered.item)
    match answered.item:
        case (
            McpCall(status="failed")
            | ImageGenerationCall(status="failed")
            | WebSearchCall(status="failed")
            | FileSearchCall(status="failed")
            | CodeInterpreterCall(status="failed")
        ):
            return kind, "failed"
        case _:
            return kind, "completed"


def tokens(usage: Usage) -> dict[str, int]:
    """The tokens of a turn by their kinds, as figures name them."""
    return {
        "input": usage.input_tokens,
        "cached": usage.input_tokens_details.cached_tokens,
        "output": usage.output_tokens,
        "reasoning": usage.output_tokens_details.reasoning_tokens,
    }


def _kind(item: OutputItem) -> str:
    return str(type(item).__struct_config__.tag)


def _fault(error: BaseException | None) -> str | None:
    """What went wrong with a model, if it was the model's; who leaves, or cancels, is no fault of its."""
    match error:
        case UpstreamError():
            return error.fault
        case Exception():
            return "internal"
        case _:
            return None


def _asked(task: Task, turn: Turn) -> dict[str, Attribute]:
    """The attributes of a call to a model (OpenTelemetry, GenAI)."""
    response = task.response
    attributes: dict[str, Attribute] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": task.provider,
        "gen_ai.system": task.provider,
        "gen_ai.request.model": response.model,
        "gen_ai.response.model": response.model,
        "gen_ai.response.id": response.id,
        "antiphon.deployment": task.deployment,
    }
    settings = {
        "gen_ai.request.temperature": turn.temperature,
        "gen_ai.request.top_p": turn.top_p,
        "gen_ai.request.max_tokens": turn.max_output_tokens,
        "gen_ai.conversation.id": response.conversation.id if response.conversation else None,
    }
    return attributes | {name: value for name, value in settings.items() if value is not None}


def _answered(usage: Usage | None, reason: str) -> dict[str, Attribute]:
    attributes: dict[str, Attribute] = {"gen_ai.response.finish_reasons": [reason]} if reason else {}
    if usage is not None:
        attributes["gen_ai.usage.input_tokens"] = usage.input_tokens
        attributes["gen_ai.usage.output_tokens"] = usage.output_tokens
        attributes["gen_ai.usage.cache_read.input_tokens"] = usage.input_tokens_details.cached_tokens
    return attributes


def _called(name: str, id: str) -> dict[str, Attribute]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.id": id,
        "gen_ai.tool.type": "extension",
    }
