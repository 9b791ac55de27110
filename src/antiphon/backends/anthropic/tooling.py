"""Declares functions to the model, and says whether it may or must call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from antiphon.backends.anthropic import shapes

if TYPE_CHECKING:
    from antiphon.backends.anthropic.traits import Traits
    from antiphon.core.turn import Function, Turn

ANYTHING = Raw(b'{"type":"object"}')


class Tools(Struct, frozen=True):
    """What is declared, and the choice. ``demand`` says in words what the choice cannot."""

    tools: list[shapes.Tool]
    choice: shapes.ToolChoice | UnsetType = UNSET
    demand: str | None = None

    @property
    def forced(self) -> bool:
        """Whether a call is demanded of a model that obeys."""
        return isinstance(self.choice, shapes.Some | shapes.Named)


def offer(turn: Turn, messages: list[shapes.Message], traits: Traits) -> Tools:
    """Declare the functions of a turn. What was called in it before is declared in any case: the API wants it so."""
    allowed = [each for each in turn.functions if turn.choice.names is None or each.name in turn.choice.names]
    if turn.choice.mode == "none" or not allowed:
        tools = [*map(_tool, turn.functions)] or [shapes.Tool(name, ANYTHING) for name in _called(messages)]
        return Tools(tools, shapes.Never() if tools else UNSET)
    tools = [*map(_tool, allowed)]
    single: Literal[True] | UnsetType = True if turn.parallel_tool_calls is False else UNSET
    if turn.choice.mode == "auto":
        return Tools(tools, UNSET if single is UNSET else shapes.Auto(single))
    if not traits.forces:
        return Tools(tools, UNSET if single is UNSET else shapes.Auto(single), _demand(allowed))
    if turn.choice.names is not None and len(allowed) == 1:
        return Tools(tools, shapes.Named(allowed[0].name, single))
    return Tools(tools, shapes.Some(single))


def _demand(allowed: list[Function]) -> str:
    names = ", ".join(function.name for function in allowed)
    return f"Answer by a call, and not in words. You may call: {names}"


def _called(messages: list[shapes.Message]) -> list[str]:
    """The names of what the model called so far, each once."""
    names = dict[str, None]()
    for message in messages:
        names |= {block.name: None for block in message.content if isinstance(block, shapes.ToolUse)}
    return [*names]


def _tool(function: Function) -> shapes.Tool:
    return shapes.Tool(function.name, _schema(function.parameters), _description(function) or UNSET)


def _schema(parameters: Raw) -> Raw:
    """The schema, with the type that the API wants to see at its top."""
    schema = msgspec.json.decode(parameters, type=dict[str, Raw])
    return parameters if "type" in schema else Raw(msgspec.json.encode({"type": "object", **schema}))


def _description(function: Function) -> str:
    grammar = function.grammar
    rule = "" if grammar is None else f"Its input must fit this {grammar.syntax} grammar:\n{grammar.definition}"
    return "\n\n".join(filter(None, (function.description, rule)))
