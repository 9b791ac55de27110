"""Where the upstream shall keep a prompt: its places are marked, at most four of them.

The API reads a prompt as tools, system, messages. With caching on, the end of each is marked, and beside them the last
ones that the caller marked itself. All marks are kept for the same time, since a longer one may not follow a shorter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, Struct
from msgspec.structs import replace

from antiphon.backends.anthropic import shapes
from antiphon.protocol.content import CacheBreakpoint, InputFile, InputImage, InputText
from antiphon.protocol.items import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from antiphon.backends.anthropic.config import Config
    from antiphon.core.turn import Turn
    from antiphon.protocol.content import MessagePart

MARKS = 4
"""The most marks that the API takes."""


class Prompt(Struct, frozen=True):
    """What the model reads, in the order in which it is kept."""

    tools: list[shapes.Tool]
    system: list[shapes.Text]
    messages: list[shapes.Message]


class Caching(Struct, frozen=True):
    """The mark of a turn, or None for none; ``ends``: it is also put where the caller marked nothing."""

    mark: shapes.Cache | None = None
    ends: bool = False


def caching(turn: Turn, config: Config) -> Caching:
    """Decide it by the operator's word and the request's hints."""
    hints = turn.hints
    options, marked = hints.prompt_cache_options, [*_breakpoints(turn)]
    hinted = bool(hints.prompt_cache_key or hints.prompt_cache_retention or options)
    if config.cache == "never" or not (config.cache == "always" or hinted or marked):
        return Caching()
    is_long = hints.prompt_cache_retention == "24h" or bool(options and options.ttl)
    is_long = is_long or any(each.ttl is not UNSET for each in marked)
    is_explicit = options is not None and options.mode == "explicit"
    ends = config.cache == "always" or (hinted and not is_explicit)
    return Caching(shapes.Cache(ttl="1h") if is_long else shapes.Cache(), ends=ends)


def marked(prompt: Prompt, plan: Caching) -> Prompt:
    """Put the marks."""
    if plan.mark is None:
        return prompt
    tools, system, messages = prompt.tools, prompt.system, prompt.messages
    ends = 0
    if plan.ends:
        tools = [*tools[:-1], replace(tools[-1], cache_control=plan.mark)] if tools else tools
        system = [*system[:-1], replace(system[-1], cache_control=plan.mark)] if system else system
        messages = [*messages[:-1], _ended(messages[-1], plan.mark)]
        ends = bool(tools) + bool(system) + 1
    return _bounded(Prompt(tools, system, messages), MARKS - ends, ends=plan.ends)


def _ended(message: shapes.Message, mark: shapes.Cache) -> shapes.Message:
    match message:
        case shapes.User(content=[*others, last]):  # as the last message always is
            return shapes.User([*others, replace(last, cache_control=mark)])
        case _:
            return message


def _bounded(prompt: Prompt, room: int, *, ends: bool) -> Prompt:
    """Keep the last marks of the caller's, as many as there is room for beside those at the ends."""
    messages: list[shapes.Message] = []
    is_end = ends
    for message in reversed(prompt.messages):
        match message:
            case shapes.User(content=content):
                kept, room = _kept([*content], room, spared=is_end)
                messages.append(shapes.User(kept))
            case _:
                messages.append(message)
        is_end = False
    system, _ = _kept([*prompt.system], room, spared=ends)
    return Prompt(prompt.tools, [each for each in system if isinstance(each, shapes.Text)], messages[::-1])


def _kept(blocks: list[shapes.Asked], room: int, *, spared: bool) -> tuple[list[shapes.Asked], int]:
    """The blocks with at most ``room`` marks, and what is left of the room; ``spared``: the last does not count."""
    kept = list[shapes.Asked]()
    for place, block in enumerate(reversed(blocks)):
        if block.cache_control is UNSET or (spared and place == 0):
            kept.append(block)
        elif room > 0:
            room -= 1
            kept.append(block)
        else:
            kept.append(replace(block, cache_control=UNSET))
    return kept[::-1], room


def _breakpoints(turn: Turn) -> Iterator[CacheBreakpoint]:
    for item in turn.items:
        if isinstance(item, Message):
            yield from (each for part in item.content if (each := breakpoint_of(part)) is not None)


def breakpoint_of(part: MessagePart) -> CacheBreakpoint | None:
    """The mark that the caller put at a part."""
    match part:
        case InputText() | InputImage() | InputFile():
            found = part.prompt_cache_breakpoint
            return found if isinstance(found, CacheBreakpoint) else None
        case _:
            return None
