"""Quotes for operators who ask for them: items as JSON text of bounded length, the latest first to be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType

from antiphon.core.echo import without_secrets
from antiphon.protocol.content import InputText, OutputText
from antiphon.protocol.items import FunctionCall, FunctionCallOutput, Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from antiphon.protocol.items import Item

QUOTED_CHARACTERS = 8_000
LONGEST_ITEM = 2_000
"""Characters that are quoted of all items, and of one."""
_encode = msgspec.json.Encoder().encode


class Part(Struct, frozen=True):
    """A part of a message, as OpenTelemetry's GenAI conventions have it; ``type`` may be any word."""

    type: str
    content: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    response: str | UnsetType = UNSET


class Said(Struct, frozen=True):
    """A message, as those conventions have it; one of a model says why it ended."""

    role: str
    parts: list[Part]
    finish_reason: str | UnsetType = UNSET


def quoted(items: Sequence[Item]) -> str:
    """The latest of the items, oldest first, without what opens servers; each is cut where it is long."""
    return "\n".join(_latest(_quote(item) for item in reversed(items)))


def messages(items: Sequence[Item], *, reason: str = "") -> str:
    """The latest of the items, as a JSON array of messages; ``reason``: why a model that said them has ended."""
    ended = reason or UNSET
    texts = (_encode(Said(_role(item), _parts(item), ended)).decode() for item in reversed(items))
    return f"[{','.join(_latest(texts))}]"


def _latest(texts: Iterable[str]) -> list[str]:
    """Of texts from the latest on, those for which there is room, oldest first."""
    kept: list[str] = []
    room = QUOTED_CHARACTERS
    for text in texts:
        room -= len(text)
        if room < 0:
            break
        kept.append(text)
    return kept[::-1]


def _role(item: Item) -> str:
    match item:
        case Message():
            return item.role
        case FunctionCallOutput():
            return "tool"
        case _:
            return "assistant"


def _parts(item: Item) -> list[Part]:
    match item:
        case Message(content=[InputText(text=text) | OutputText(text=text)]):
            return [Part("text", _cut(text))]
        case FunctionCall():
            return [Part("tool_call", id=item.call_id, name=item.name, arguments=_cut(item.arguments))]
        case FunctionCallOutput():
            output = item.output if isinstance(item.output, str) else _encode(item.output).decode()
            return [Part("tool_call_response", id=item.call_id, response=_cut(output))]
        case _:
            return [Part(str(type(item).__struct_config__.tag), _quote(item))]


def _quote(item: Item) -> str:
    return _cut(_encode(without_secrets(item)).decode())


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_ITEM else f"{text[:LONGEST_ITEM]}… ({len(text)} characters)"
