"""Routing: a deployment that is no model of its own chooses one among others, by what a request brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from antiphon.core.estimate import estimate
from antiphon.core.turn import Turn
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import InputImage
from antiphon.protocol.items import CustomToolCallOutput, FunctionCallOutput, Message
from antiphon.protocol.refusals import no_fitting_model
from antiphon.protocol.settings import Effort

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from antiphon.core.turn import Output
    from antiphon.protocol.items import Item
    from antiphon.protocol.request import CreateResponse


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """A rule of a deployment with ``backend = "router"``: it fits where all that it says of a request is so."""

    deployment: str
    tools: bool | None = None
    images: bool | None = None
    min_input_tokens: Annotated[int, Meta(ge=1)] | None = None
    effort: list[Effort] | None = None


class Asked:
    """What a request brings, with the conversation that it goes on: each is looked up when a rule asks for it."""

    def __init__(self, request: CreateResponse, before: Sequence[Item], outputs: Mapping[str, Output]) -> None:
        self._request = request
        self._items = [*before, *request.input]
        self._outputs = dict(outputs)
        self._tokens: int | None = None

    def fits(self, rule: Rule) -> bool:
        """Whether a rule is for it. What is dear to know comes last."""
        if rule.effort is not None and self._effort not in rule.effort:
            return False
        if rule.tools is not None and rule.tools != self._brings_tools:
            return False
        if rule.images is not None and rule.images != any(_shows(self._items)):
            return False
        return rule.min_input_tokens is None or self._input_tokens() >= rule.min_input_tokens

    @property
    def _effort(self) -> str | None:
        return None if self._request.reasoning is None else self._request.reasoning.effort

    @property
    def _brings_tools(self) -> bool:
        return bool(self._request.tools) and self._request.tool_choice != "none"

    def _input_tokens(self) -> int:
        if self._tokens is None:
            request = self._request
            turn = Turn(
                items=self._items,
                instructions=request.instructions,
                outputs=self._outputs,
                text=request.text,
                handed_over=request.tools,
            )
            self._tokens = estimate(turn)
        return self._tokens


def routed(name: str, routers: Mapping[str, Sequence[Rule]], asked: Asked) -> str:
    """The deployment that answers for this name: its own, or the one that its rules choose.

    Raises ``ApiError`` where no rule fits. That no rules lead in a circle was seen to at the start.
    """
    chosen = name
    while chosen in routers:
        rule = next((rule for rule in routers[chosen] if asked.fits(rule)), None)
        if rule is None:
            raise no_fitting_model(name)
        chosen = rule.deployment
    return chosen


def circle(routers: Mapping[str, Sequence[Rule]]) -> list[str]:
    """Names whose rules lead from each to the next, and from the last to the first; empty where there are none."""
    for start in routers:
        if way := _way_back(start, routers):
            return way
    return []


def _way_back(start: str, routers: Mapping[str, Sequence[Rule]]) -> list[str]:
    ways = [[start]]
    seen: set[str] = set()
    for way in ways:  # which grows meanwhile
        for rule in routers.get(way[-1], ()):
            if rule.deployment == start:
                return way
            if rule.deployment not in seen:
                seen.add(rule.deployment)
                ways.append([*way, rule.deployment])
    return []


def _shows(items: Iterable[Item]) -> Iterator[bool]:
    """True for each picture among items."""
    for item in items:
        match item:
            case Message(content=parts):
                yield from (True for part in parts if isinstance(part, InputImage))
            case FunctionCallOutput(output=list() as parts) | CustomToolCallOutput(output=list() as parts):
                yield from (True for part in parts if isinstance(part, InputImage))
            case ComputerCallOutput() | ImageGenerationCall():
                yield True
            case _:
                pass
