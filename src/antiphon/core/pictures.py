"""The pictures of a conversation, in order: what a drawing may start from, and what an edit means by default."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from antiphon.core.transcript import OUTPUTS, is_spoken
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.content import InputImage
from antiphon.protocol.items import CustomToolCallOutput, FunctionCallOutput, Item, Message

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

Origin: TypeAlias = InputImage | ImageGenerationCall


class Shown(Struct, frozen=True):
    """A picture that stands in a conversation. ``is_default``: an edit that names no picture starts from it."""

    origin: Origin
    is_default: bool


def pictures(items: Sequence[Item], pointed: Container[str] = ()) -> list[Shown]:
    """Every picture, the first one first. ``pointed``: the ids of drawings to which the request points.

    An edit means what the person has just shown: these drawings, the pictures of the last words of the user's, and
    what stands behind them. Where nothing was shown, it means the picture that came last.
    """
    start = _last_words(items)
    shown = [
        Shown(origin, is_default=index >= start or _id(origin) in pointed)
        for index, item in enumerate(items)
        for origin in _origins(item)
    ]
    if shown and not any(each.is_default for each in shown):
        shown[-1] = Shown(shown[-1].origin, is_default=True)
    return shown


def pointed_first(items: Sequence[Item], pointed: Container[str]) -> list[Item]:
    """The same, but drawings at the end to which the request points stand before the words that they follow.

    Clients name a drawing behind what they want of it; there a model would take it for the answer to that.
    """
    behind = len(items)
    while behind > 0 and items[behind - 1].id in pointed and isinstance(items[behind - 1], ImageGenerationCall):
        behind -= 1
    words = behind
    while words > 0 and _is_users(items[words - 1]):
        words -= 1
    return [*items[:words], *items[behind:], *items[words:behind]]


def _id(origin: Origin) -> str:
    return origin.id if isinstance(origin, ImageGenerationCall) else ""


def _last_words(items: Sequence[Item]) -> int:
    """Where the last words of the user's begin: behind all that the model said or called before them."""
    last = max((index for index, item in enumerate(items) if _is_users(item)), default=len(items))
    while last > 0 and not is_spoken(items[last - 1]) and type(items[last - 1]) not in OUTPUTS:
        last -= 1
    return last


def _is_users(item: Item) -> bool:
    return isinstance(item, Message) and item.role == "user"


def _origins(item: Item) -> Iterable[Origin]:
    match item:
        case ImageGenerationCall(status="completed" | "generating", result=str(result)) if result:
            return [item]
        case Message(content=parts) | FunctionCallOutput(output=list(parts)) | CustomToolCallOutput(output=list(parts)):
            return [part for part in parts if isinstance(part, InputImage)]
        case _:
            return []
