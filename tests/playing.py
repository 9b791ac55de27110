"""Whoever takes part in a run: a model with a script, tools that do their work, and who listens and keeps."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any  # a script is open

import anyio
import msgspec
import pytest

from antiphon.backends.scripted import Config, Scripted
from antiphon.core.calls import CallKind, OpenCall, Silent
from antiphon.core.sse import name
from antiphon.core.turn import Output, Turn
from antiphon.engine import run
from antiphon.engine.task import Task
from antiphon.protocol.calls import SearchAction, WebSearchCall
from antiphon.protocol.content import InputText
from antiphon.protocol.events import StreamEvent
from antiphon.protocol.items import Message
from antiphon.protocol.response import Response
from antiphon.tools import Answer, Tool

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from antiphon.core.deltas import Delta
    from antiphon.core.tally import Ending
    from antiphon.protocol.events import PhaseType

    Report = Callable[[PhaseType], Awaitable[None]]

NOW = 1_700_000_000
TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
OPENED = Response(id="resp_0", created_at=NOW, model="m", status="in_progress")
ASKED = Turn([Message(id="msg_q", role="user", content=[InputText(text="Hello?")])])


def asking(*words: str, after: int = 0, **more: Any) -> dict[str, Any]:
    """A reply that looks words up, once ``after`` outputs are there."""
    calls = [{"call": {"name": "look_up", "arguments": {"word": word}}} for word in words]
    return {"steps": calls, "outputs": after, **more}


class Model:
    """A scripted model that notes the turns that it was asked, and whether it was let finish."""

    def __init__(self, *replies: dict[str, Any]) -> None:
        self._scripted = Scripted(msgspec.convert({"replies": replies}, Config))
        self.turns: list[Turn] = []
        self.stopped = False
        self.closed = False

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Speak."""
        self.turns.append(turn)
        self.stopped = True
        said = self._scripted.stream(turn)
        try:
            async for deltas in said:
                yield deltas
            self.stopped = False
        finally:
            await said.aclose()
            self.closed = True

    async def aclose(self) -> None:
        """There is nothing to let go of."""


class Dictionary:
    """A hosted tool that looks words up."""

    kind: CallKind = Silent(
        "ws", lambda call: WebSearchCall(id=call.id, status=call.status), "response.web_search_call.in_progress"
    )
    meanings: Mapping[str, str] = {"antiphon": "a song of call and response", "duo": "two at once"}

    async def call(self, call: OpenCall, report: Report) -> Answer:
        """Give the meaning of ``word``; an unknown word is an answer too."""
        await report("response.web_search_call.searching")
        word: str = msgspec.json.decode(call.arguments)["word"]
        await self.search(word)
        await report("response.web_search_call.completed")
        known = word in self.meanings
        item = WebSearchCall(id=call.id, status="completed" if known else "failed", action=SearchAction(query=word))
        return Answer(item, self.meanings.get(word, f"Nobody knows {word}."))

    def repeats(self, call: OpenCall) -> bool:
        """A word may be looked up twice."""
        return True

    def lost(self, call: OpenCall) -> Answer:
        """Nobody knows what came of it."""
        return Answer(WebSearchCall(id=call.id, status="failed"), "The search was interrupted.")

    async def search(self, word: str) -> None:
        """Take as long as a search takes."""
        await anyio.lowlevel.checkpoint()


class Run:
    """One run: who takes part, and what was emitted and kept, in order."""

    def __init__(self, *replies: dict[str, Any], turn: Turn = ASKED, **settings: Any) -> None:  # settings of a task
        self.model = Model(*replies)
        tools: dict[str, Tool] = settings.pop("tools", {})
        self.task = Task(OPENED, turn, self.model, tools, **settings)
        self.emitted: list[StreamEvent] = []
        self.emissions: list[list[str]] = []
        self.kept: list[Response] = []
        self.outputs: dict[str, Output] = {}
        self.order: list[str] = []
        self._listening = False

    async def perform(self) -> Response:
        """Run it."""
        numbers = count()
        return await run(
            self.task,
            new_id=lambda prefix: f"{prefix}_{next(numbers)}",
            now=lambda: NOW + 1,
            emit=self.emit,
            keep=self.keep,
        )

    async def emit(self, events: list[StreamEvent]) -> None:
        """Listen, to one at a time."""
        if self._listening:
            pytest.fail("emit was called by two tasks at once")
        self._listening = True
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            self._listening = False
        self.emitted += events
        self.emissions.append([name(event) for event in events])
        self.order += self.emissions[-1]

    async def keep(self, ending: Ending) -> None:
        """Keep."""
        await anyio.lowlevel.checkpoint()
        self.kept.append(ending.response)
        self.outputs = dict(ending.outputs)
        self.order.append("kept")

    @property
    def is_kept_first(self) -> bool:
        """Whether the response was kept once, and before its terminal event was emitted."""
        return ["kept", *self.terminal] == [each for each in self.order if each in {"kept", *TERMINAL}]

    @property
    def names(self) -> list[str]:
        """The types of what was emitted."""
        return [name(event) for event in self.emitted]

    @property
    def terminal(self) -> list[str]:
        """The terminal events that were emitted."""
        return [each for each in self.names if each in TERMINAL]
