"""Which of its thoughts a model sees again: its own, and those of the turn that it is in, or of all turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from antiphon.core.turn import Thinking
from antiphon.protocol.items import Item, Message, ReasoningItem
from antiphon.protocol.response import InputTransformation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def visible(
    items: Sequence[Item], thoughts: Mapping[str, Thinking], *, model: str, every_turn: bool
) -> dict[str, Thinking]:
    """What a model sees again of the thoughts in these items: its own among those in sight."""
    seen = in_sight(items, thoughts, every_turn=every_turn)
    return {id: thinking for id, thinking in seen.items() if thinking.model == model}


def in_sight(items: Sequence[Item], thoughts: Mapping[str, Thinking], *, every_turn: bool) -> dict[str, Thinking]:
    """The thoughts of the turn that these items end in, or of all turns. A turn begins with what a user says."""
    begin = 0 if every_turn else _last_said(items)
    own = {item.id for item in items[begin:] if isinstance(item, ReasoningItem)}
    return {id: thinking for id, thinking in thoughts.items() if id in own}


def unsealed(item: ReasoningItem, model: str) -> Thinking:
    """What a reasoning item shows of a thought: all that is known of one that came without a sealed form."""
    content = [] if item.content is UNSET else item.content
    return Thinking(text="".join(part.text for part in content), model=model)


def removed(thoughts: Mapping[str, Thinking], *, model: str) -> list[InputTransformation]:
    """The reasoning items that another model thought, and that this one is not shown."""
    return [
        InputTransformation(id=id, reason="model_mismatch")
        for id, thinking in thoughts.items()
        if thinking.model != model
    ]


def _last_said(items: Sequence[Item]) -> int:
    said = [index for index, item in enumerate(items) if isinstance(item, Message) and item.role == "user"]
    return said[-1] if said else 0
