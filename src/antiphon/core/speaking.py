"""What an item says in words, for whoever judges it: pictures and sounds have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET

from antiphon.core.outputs import in_words
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import InputText, OutputText, RefusalPart
from antiphon.protocol.items import (
    AdditionalTools,
    Compaction,
    CompactionTrigger,
    ConfigurationUpdate,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    ItemReference,
    Message,
    ReasoningItem,
)

if TYPE_CHECKING:
    from antiphon.protocol.content import MessagePart
    from antiphon.protocol.items import Item

MUTE = Compaction | CompactionTrigger | ConfigurationUpdate | ItemReference
"""Items that say nothing themselves: what they mean is said elsewhere, or not at all."""

_encode = msgspec.json.Encoder().encode


def spoken(item: Item) -> str:
    """The words of an item; of one whose form is not known here, its JSON."""
    match item:
        case Message(content=parts):
            return "\n".join(text for part in parts if (text := written(part)))
        case FunctionCall(arguments=text) | CustomToolCall(input=text):
            return text
        case FunctionCallOutput(output=output) | CustomToolCallOutput(output=output):
            return in_words(output)
        case ReasoningItem(summary=summary, content=content):
            shown = [] if content is UNSET else content
            return "\n".join([*(part.text for part in summary), *(part.text for part in shown)])
        case ImageGenerationCall(revised_prompt=str(text)):
            return text
        case ImageGenerationCall() | ComputerCallOutput():
            return ""
        case AdditionalTools(tools=tools):
            return _encode(tools).decode()
        case _:
            return "" if isinstance(item, MUTE) else _encode(item).decode()


def written(part: MessagePart) -> str | None:
    """The words of a part; None for one that is shown or heard."""
    match part:
        case InputText(text=text) | OutputText(text=text) | RefusalPart(refusal=text):
            return text
        case _:
            return None
