"""What a run needs: the response as it opens, the first turn, who answers, and what comes before the model is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends import Backend
from antiphon.core.calls import CallKind, OpenCall
from antiphon.core.machine import Machine
from antiphon.core.notes import Note
from antiphon.core.replay import replayed
from antiphon.core.speech import Manner
from antiphon.core.turn import Choice, Function, Thinking, Turn
from antiphon.core.writing import Shown
from antiphon.protocol.errors import ApiError
from antiphon.protocol.events import ItemDone, StreamEvent
from antiphon.protocol.items import OutputItem
from antiphon.protocol.response import ContentFilter, Response, Usage
from antiphon.tools import Tool, ToolServer

Show: TypeAlias = Callable[[Turn], Awaitable[Turn]]


class Summed(Struct, frozen=True):
    """What stands for a conversation that was summed up: its sealed summary, and what the summary cost."""

    encrypted_content: str
    usage: Usage | None = None


Compact: TypeAlias = Callable[[Turn], Awaitable[Summed | None]]


class Equipment(Struct, frozen=True):
    """What a model may call, and who answers: see `Task`."""

    functions: list[Function]
    choice: Choice
    allowed: frozenset[str] | None
    tools: Mapping[str, Tool] = {}
    clients: Mapping[str, CallKind] = {}


class Grant(Struct, frozen=True):
    """A call that a person approved: the id of the request, which is its name among the tools, and the arguments."""

    id: str
    arguments: str


class Opening(Struct, frozen=True):
    """What comes before the model is asked, in this order.

    ``servers`` list their tools. ``equip`` takes all that was made and gives what the model may call by it; it
    raises ``ApiError`` where the request demands what is not there. ``spend`` uses up the answers that a person gave,
    durably and once; it raises ``ApiError`` where one was used before. ``granted`` calls are made. What was made in
    the response counts for ``equip``: lists of tools, and tools that a search found.
    """

    servers: Sequence[ToolServer]
    granted: Sequence[Grant]
    equip: Callable[[Sequence[OutputItem]], Equipment]
    spend: Callable[[], Awaitable[None]]


class Task(Struct, frozen=True):
    """What a run needs.

    A call whose name is among ``tools`` is answered here; one among ``clients`` is the client's, which shows it in its
    own way or waits for a person; any other is that of a client's function. ``grants`` make the calls that a person
    approved, by the ids of the requests, which no model can name.
    ``allowed`` names the only functions that may be called; with None a call of any name is heard. ``most_calls``: how
    many calls are made here for one response. ``show``, if given, makes of each turn what the model is to see;
    ``compact``, if given, sums a turn up that has become too long. ``purpose``: what the run is for; to ``compact`` is
    to do that alone, to ``prepare`` is to ask nobody. ``shown``, ``seal`` and ``thinker``: see `Manner`.
    ``deployment`` and ``provider`` tell operators who answers, as the configuration has it. ``filters``: what a content
    filter found in the prompt.
    """

    response: Response
    turn: Turn
    backend: Backend
    tools: Mapping[str, Tool] = {}
    clients: Mapping[str, CallKind] = {}
    grants: Mapping[str, Tool] = {}
    allowed: frozenset[str] | None = None
    most_calls: int | None = None
    shown: Shown = Shown()
    seal: Callable[[Thinking], str] | None = None
    thinker: str = ""
    opening: Opening | None = None
    show: Show | None = None
    compact: Compact | None = None
    purpose: Literal["answer", "compact", "prepare"] = "answer"
    deployment: str = ""
    provider: str = ""
    filters: list[ContentFilter] = []

    def machine(self, new_id: Callable[[str], str]) -> Machine:
        """The machine of a run that begins."""
        machine = Machine(self.response, new_id=new_id, manner=self.manner)
        if self.filters:
            machine.judge(self.filters)
        return machine

    def machine_after(self, log: Iterable[StreamEvent | Note], new_id: Callable[[str], str]) -> Machine:
        """The machine of a run that goes on after what its log says."""
        entries = list(log)
        made = [entry.item for entry in entries if isinstance(entry, ItemDone)]
        try:
            manner = self.equipped(made).manner
        except ApiError:  # it will be raised again where it can be told
            manner = self.manner
        return replayed(entries, new_id=new_id, manner=manner)

    def tool(self, call: OpenCall) -> Tool:
        """Who answers a hosted call."""
        return self.grants[call.name] if call.name in self.grants else self.tools[call.name]

    def equipped(self, made: Sequence[OutputItem]) -> Task:
        """The task with the tools that these items bring."""
        if self.opening is None:
            return self
        equipment = self.opening.equip(made)
        return replace(
            self,
            turn=replace(self.turn, functions=equipment.functions, choice=equipment.choice),
            tools={**self.tools, **equipment.tools},
            clients=equipment.clients,
            allowed=equipment.allowed,
        )

    @property
    def manner(self) -> Manner:
        """How the model may speak."""
        return Manner(
            kinds={**self.clients, **_kinds(self.tools)},
            grants=_kinds(self.grants),
            allowed=self.allowed,
            most_calls=self.most_calls,
            shown=self.shown,
            seal=self.seal,
            model=self.thinker,
        )


def _kinds(tools: Mapping[str, Tool]) -> dict[str, CallKind]:
    return {name: tool.kind for name, tool in tools.items()}
