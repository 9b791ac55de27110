"""What a run needs: the response as it opens, the first turn, who answers, and what comes before the model is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from antiphon.backends import Backend
from antiphon.core.calls import CallKind, OpenCall
from antiphon.core.machine import Machine
from antiphon.core.notes import Note
from antiphon.core.replay import replayed
from antiphon.core.speech import Manner
from antiphon.core.turn import Choice, Function, Turn
from antiphon.protocol.calls import McpListTools
from antiphon.protocol.errors import ApiError
from antiphon.protocol.events import ItemDone, StreamEvent
from antiphon.protocol.items import OutputItem
from antiphon.protocol.response import Response
from antiphon.tools import Tool, ToolServer

Show: TypeAlias = Callable[[Turn], Awaitable[Turn]]


class Equipment(Struct, frozen=True):
    """What a model may call, and who answers: see `Task`."""

    functions: list[Function]
    choice: Choice
    allowed: frozenset[str] | None
    tools: Mapping[str, Tool] = {}
    asks: Mapping[str, CallKind] = {}


class Grant(Struct, frozen=True):
    """A call that a person approved: the id of the request, which is its name among the tools, and the arguments."""

    id: str
    arguments: str


class Opening(Struct, frozen=True):
    """What comes before the model is asked, in this order.

    ``servers`` list their tools. ``equip`` takes all lists that were made and gives what the model may call by them; it
    raises ``ApiError`` where the request demands what is not there. ``spend`` uses up the answers that a person gave,
    durably and once; it raises ``ApiError`` where one was used before. ``granted`` calls are made.
    """

    servers: Sequence[ToolServer]
    granted: Sequence[Grant]
    equip: Callable[[Sequence[McpListTools]], Equipment]
    spend: Callable[[], Awaitable[None]]


class Task(Struct, frozen=True):
    """What a run needs.

    A call whose name is among ``tools`` is answered here; one among ``asks`` waits for a person; any other is the
    client's. ``grants`` make the calls that a person approved, by the ids of the requests, which no model can name.
    ``allowed`` names the only functions that may be called; with None a call of any name is heard. ``most_calls``: how
    many calls are made here for one response. ``show``, if given, makes of each turn what the model is to see.
    """

    response: Response
    turn: Turn
    backend: Backend
    tools: Mapping[str, Tool] = {}
    asks: Mapping[str, CallKind] = {}
    grants: Mapping[str, Tool] = {}
    allowed: frozenset[str] | None = None
    most_calls: int | None = None
    raw_thoughts: bool = False
    opening: Opening | None = None
    show: Show | None = None

    def machine(self, new_id: Callable[[str], str]) -> Machine:
        """The machine of a run that begins."""
        return Machine(self.response, new_id=new_id, manner=self.manner)

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
        """The task with the tools that the lists among these items name."""
        if self.opening is None:
            return self
        lists = [item for item in made if isinstance(item, McpListTools)]
        equipment = self.opening.equip(lists)
        return replace(
            self,
            turn=replace(self.turn, functions=equipment.functions, choice=equipment.choice),
            tools={**self.tools, **equipment.tools},
            asks=equipment.asks,
            allowed=equipment.allowed,
        )

    @property
    def manner(self) -> Manner:
        """How the model may speak."""
        return Manner(
            kinds={**self.asks, **_kinds(self.tools)},
            grants=_kinds(self.grants),
            allowed=self.allowed,
            most_calls=self.most_calls,
            raw_thoughts=self.raw_thoughts,
        )


def _kinds(tools: Mapping[str, Tool]) -> dict[str, CallKind]:
    return {name: tool.kind for name, tool in tools.items()}
