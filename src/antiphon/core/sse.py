"""Events as server-sent events, as recorded: ``event: <type>``, ``data: <one line of JSON>``, an empty line, no more.

Deltas of text carry ``obfuscation``, filler that hides their length from who watches the wire: the delta and its filler
are together a multiple of 16 characters long. Refusals and the output of shells have none (recorded).
"""

from __future__ import annotations

from typing import get_args

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
_STARTS = FILLER_LENGTH - 16
_STRIDE = 37  # coprime to the number of starts, so that neighbours differ

_encode = msgspec.json.Encoder().encode
_HEADS: dict[type[StreamEvent], bytes] = {
    kind: b"event: %b\ndata: " % str(kind.__struct_config__.tag).encode()
    for kind in get_args(StreamEvent)
    if kind.__struct_config__.tag is not None
}


def frames(events: list[StreamEvent], filler: str | None = None) -> bytes:
    """The bytes of these events. ``filler``: `FILLER_LENGTH` random letters and digits, or None for no obfuscation."""
    if len(events) == 1:
        return _frame(events[0], filler)
    return b"".join([_frame(event, filler) for event in events])


def written(event: StreamEvent, filler: str | None = None) -> bytes:
    """The JSON of an event, which is the same on every wire; ``filler`` as for `frames`."""
    match event:
        case TextDelta() | ItemDelta() | ReasoningTextDelta() | SummaryTextDelta() | CommandDelta() if filler:
            start = event.sequence_number * _STRIDE % _STARTS
            padding = filler[start : start + -len(event.delta) % 16].encode()
            return b'%b,"obfuscation":"%b"}' % (_encode(event)[:-1], padding)
        case _:
            return _encode(event)


def _frame(event: StreamEvent, filler: str | None) -> bytes:
    head = _HEADS.get(type(event)) or b"event: %b\ndata: " % name(event).encode()
    return b"%b%b\n\n" % (head, written(event, filler))


def name(event: StreamEvent) -> str:
    """The event's type."""
    match event:
        case Snapshot() | ItemDelta() | ItemPhase() | AudioDelta() | AudioDone():
            return event.type
        case _:
            return str(event.__struct_config__.tag)
