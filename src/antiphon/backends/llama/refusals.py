"""What the embedded model cannot do, said before it is asked, and its engine's complaints in our words. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from antiphon.backends import UpstreamError
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import InputAudio, InputFile, InputImage
from antiphon.protocol.items import CustomToolCallOutput, FunctionCallOutput, Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.core.turn import Turn
    from antiphon.protocol.content import MessagePart
    from antiphon.protocol.items import Item

_GRAMMAR: Final = re.compile(r"grammar|json schema|samplers|peg-native", re.IGNORECASE)
_FULL: Final = re.compile(r"context size has been exceeded|exceed_context_size", re.IGNORECASE)


def refuse(turn: Turn, *, sees: bool) -> None:
    """Raise `UpstreamError` (``invalid_request``) for a turn that llama.cpp would take and answer with nonsense.

    ``sees`` says whether the model can look at images.
    """
    if not turn.items:
        raise UpstreamError("invalid_request", "There is no input for the model to answer.", param="input")
    for part in (part for item in turn.items for part in _parts(item)):
        match part:
            case InputImage() if not sees:
                raise UpstreamError("invalid_request", "This model cannot see images.", param="input")
            case InputAudio():
                raise UpstreamError("invalid_request", "This model cannot hear audio.", param="input")
            case InputFile():
                raise UpstreamError("invalid_request", "This model reads files only as text.", param="input")
            case _:
                pass


def explained(error: UpstreamError, turn: Turn) -> UpstreamError:
    """Return what an error of llama.cpp means for the caller of this turn."""
    complaint = f"{error} {error.detail or ''}"
    if _FULL.search(complaint):
        message = "Your input exceeds the context window of this model. Please adjust your input and try again."
        return UpstreamError("context_length_exceeded", message, param="input", detail=error.detail)
    if error.fault in ("invalid_request", "server_error") and _GRAMMAR.search(complaint):
        message = "The embedded model cannot follow this JSON Schema."
        param = "tools" if turn.functions else "text.format.schema"
        return UpstreamError("invalid_request", message, param=param, detail=error.detail)
    return error


def _parts(item: Item) -> Sequence[MessagePart]:
    match item:
        case Message(content=content):
            return content
        case FunctionCallOutput(output=list(content)) | CustomToolCallOutput(output=list(content)):
            return content
        case ComputerCallOutput():
            return [InputImage()]
        case _:
            return []
