"""Events as server-sent events, as recorded: ``event: <type>``, ``data: <one line of JSON>``, an empty line, no more.

Deltas of text carry ``obfuscation``, filler that hides their length from who watches the wire: the delta and its filler
are together a multiple of 16 characters long. Refusals and the output of shells have none (recorded).
"""

from __future__ import annotations

import msgspec

from antiphon.protocol.events import (
    AudioDelta,
    AudioDone,
    CommandDelta,
    ItemDelta,
    ItemPhase,
    ReasoningTextDelta,
    Snapshot,
    StreamEvent,
    SummaryTextDelta,
    TextDelta,
)

FILLER_LENGTH = 1024
_STRIDE = 37  # coprime to the filler's usable length, so that neighbours differ

_encode = msgspec.json.Encoder().encode


def frames(events: list[StreamEvent], filler: str | None = None) -> bytes:
    """The bytes of these events. ``filler``: `FILLER_LENGTH` random letters and digits, or None for no obfuscation."""
    return b"".join([_frame(event, filler) for event in events])


def _frame(event: StreamEvent, filler: str | None) -> bytes:
    body = _encode(event)
    match event:
        case TextDelta() | ItemDelta() | ReasoningTextDelta() | SummaryTextDelta() | CommandDelta():
            if filler is not None:
                body = _obfuscated(body, len(event.delta), event.sequence_number, filler)
        case _:
            pass
    return b"event: " + name(event).encode() + b"\ndata: " + body + b"\n\n"


def name(event: StreamEvent) -> str:
    """The event's type."""
    match event:
        case Snapshot() | ItemDelta() | ItemPhase() | AudioDelta() | AudioDone():
            return event.type
        case _:
            return str(event.__struct_config__.tag)


def _obfuscated(body: bytes, length: int, sequence_number: int, filler: str) -> bytes:
    start = sequence_number * _STRIDE % (len(filler) - 16)
    padding = filler[start : start + (-length) % 16]
    return body[:-1] + b',"obfuscation":"' + padding.encode() + b'"}'
