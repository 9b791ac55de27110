"""How a turn is thought about: what is asked for, and what follows from it for the rest of the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType

from antiphon.backends.anthropic import shapes

if TYPE_CHECKING:
    from antiphon.backends.anthropic.traits import Traits
    from antiphon.core.turn import Turn
    from antiphon.protocol.settings import Reasoning

BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 65536}
"""Tokens for each effort."""

SMALLEST_BUDGET = 1024
"""The least that the API takes."""

SHARE = 0.8
"""The most of an answer's limit that thoughts may fill: what is left is for words and calls."""


class Mind(Struct, frozen=True):
    """What is sent of it. ``remembers``: earlier thoughts go back. ``samples``: a temperature may be named."""

    thinking: shapes.Thinking | UnsetType = UNSET
    effort: str | UnsetType = UNSET
    remembers: bool = True
    samples: bool = True


def mind(turn: Turn, traits: Traits, *, limit: int, forced: bool, messages: list[shapes.Message]) -> Mind:
    """Decide it. ``limit`` is that of the answer in tokens, ``forced`` whether a call is demanded."""
    match traits.thinking:
        case "off":
            return Mind(samples=traits.samples)
        case "adaptive":
            return _adaptive(turn.reasoning, traits, forced=forced)
        case "budget":
            tokens = 0 if forced or not resumes(messages) else _budget(turn.reasoning, limit)
            if tokens < SMALLEST_BUDGET:
                return Mind(remembers=False, samples=traits.samples)
            return Mind(shapes.Budget(tokens), remembers=traits.remembers, samples=False)


def resumes(messages: list[shapes.Message]) -> bool:
    """Whether the answer that is being given, if its calls were answered, began with a thought.

    With a budget the API refuses to think on in the middle of an answer that did not.
    """
    first: shapes.Assistant | None = None
    for message in reversed(messages):
        match message:
            case shapes.Assistant():
                first = message
            case shapes.User(content=content) if not all(isinstance(block, shapes.ToolResult) for block in content):
                break
            case _:
                pass
    return first is None or isinstance(first.content[0], shapes.Thought | shapes.Redacted)


def _adaptive(reasoning: Reasoning | None, traits: Traits, *, forced: bool) -> Mind:
    effort = reasoning.effort if reasoning else None
    if effort == "none" or (forced and not traits.forces_thoughtful):
        if traits.rests:
            return Mind(shapes.Disabled(), remembers=False, samples=traits.samples)
        return Mind(effort="low", remembers=traits.remembers, samples=False)
    shown = "low" if effort == "minimal" else effort
    return Mind(shapes.Adaptive(), UNSET if shown is None else shown, remembers=traits.remembers, samples=False)


def _budget(reasoning: Reasoning | None, limit: int) -> int:
    if reasoning is None:
        return 0
    effort = reasoning.effort or ("medium" if reasoning.summary else "none")
    return min(BUDGETS.get(effort, 0), int(limit * SHARE))
