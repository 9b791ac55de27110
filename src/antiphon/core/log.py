"""The form of the durable log of a response: its events and notes, in chunks of one line of JSON each.

A line is a list of entries: an event as the wire has it (an object), a run of deltas (`antiphon.core.runs`), or a note
(`antiphon.core.notes`), both lists that begin with their tag. Deltas carry no number: entries are numbered in their
order from the chunk's first number on, notes left out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, get_args  # the part of a run is what its kind says

import msgspec
from msgspec import Raw, Struct

from antiphon.core.notes import Note
from antiphon.core.runs import AnyRun, ItemRun, ReasoningRun, RefusalRun, SummaryRun, TextRun
from antiphon.core.sse import frames
from antiphon.protocol.events import (
    ItemDelta,
    ItemDeltaType,
    ReasoningTextDelta,
    RefusalDelta,
    StreamEvent,
    SummaryTextDelta,
    TextDelta,
)

Key = tuple[str, str, int, int | ItemDeltaType]
"""Where a delta belongs: the tag of its run, item, output index, and part or type."""

_TERMINAL = frozenset({"response.completed", "response.failed", "response.incomplete"})

_encode = msgspec.json.Encoder().encode


class Head(Struct, frozen=True):
    """The type of an event."""

    type: str


class Chunk(Struct, frozen=True):
    """What one flush writes for one response: the events ``first`` to ``last``, and notes.

    ``last`` is ``first - 1`` where there are notes alone. ``text`` is one line.
    """

    first: int
    last: int
    text: str


class Told(Struct, frozen=True):
    """What a stream carries of a chunk, up to which number, and whether the terminal event stands in the chunk."""

    block: bytes
    last: int
    ended: bool


class Pack:
    """Events and notes on their way into the log, until they are taken. ``size``: their characters, roughly."""

    def __init__(self, next_number: int) -> None:
        self.size = 0
        self._first = self._next = next_number
        self._entries: list[bytes] = []
        self._key: Key | None = None
        self._deltas: list[str] = []

    def add(self, events: list[StreamEvent]) -> None:
        """Append events. Raises ``ValueError`` where their numbers leave a gap."""
        for event in events:
            if event.sequence_number != self._next:
                raise ValueError(f"event {event.sequence_number} cannot follow event {self._next - 1}")
            self._next += 1
            match event:
                case TextDelta() if not event.logprobs:
                    key = ("t", event.item_id, event.output_index, event.content_index)
                    self._append(key, event.delta)
                case ItemDelta():
                    self._append(("c", event.item_id, event.output_index, event.type), event.delta)
                case ReasoningTextDelta():
                    self._append(("r", event.item_id, event.output_index, event.content_index), event.delta)
                case SummaryTextDelta():
                    self._append(("s", event.item_id, event.output_index, event.summary_index), event.delta)
                case RefusalDelta():
                    self._append(("n", event.item_id, event.output_index, event.content_index), event.delta)
                case _:
                    self._write(_encode(event))

    def note(self, note: Note) -> None:
        """Append a note."""
        self._write(_encode(note))

    def take(self) -> Chunk | None:
        """All that was added since the last time; None where that is nothing."""
        self._end_run()
        if not self._entries:
            return None
        chunk = Chunk(self._first, self._next - 1, (b"[%b]" % b",".join(self._entries)).decode())
        self._first, self._entries, self.size = self._next, [], 0
        return chunk

    def _append(self, key: Key, delta: str) -> None:
        if key != self._key:
            self._end_run()
            self._key = key
            self.size += len(key[1]) + 16
        self._deltas.append(delta)
        self.size += len(delta) + 3

    def _write(self, entry: bytes) -> None:
        self._end_run()
        self._entries.append(entry)
        self.size += len(entry)

    def _end_run(self) -> None:
        if self._key is not None:
            self._entries.append(_encode((*self._key, self._deltas)))
            self._key, self._deltas = None, []


def entries(text: str, first: int) -> list[StreamEvent | Note]:
    """The events and notes of a chunk's text, as they were added."""
    read: list[StreamEvent | Note] = []
    number = first
    for raw in _line.decode(text):
        if _is_event(raw):
            read.append(_events[_head.decode(raw).type].decode(raw))
            number += 1
            continue
        match _entry.decode(raw):
            case TextRun() | ReasoningRun() | RefusalRun() | SummaryRun() | ItemRun() as run:
                read += [run.event(at, _delta.decode(delta)) for at, delta in enumerate(run.deltas, number)]
                number += len(run.deltas)
            case note:
                read.append(note)
    return read


def summed(text: str) -> list[StreamEvent]:
    """The events of a chunk's text as far as `fold` needs them: a run is one delta, and nothing is numbered."""
    read: list[StreamEvent] = []
    for raw in _line.decode(text):
        if _is_event(raw):
            read.append(_events[_head.decode(raw).type].decode(raw))
            continue
        match _entry.decode(raw):
            case TextRun() | ReasoningRun() | RefusalRun() | SummaryRun() | ItemRun() as run:
                read.append(run.event(0, "".join([_delta.decode(delta) for delta in run.deltas])))
            case _:  # the response holds no notes
                pass
    return read


def told(chunk: Chunk, after: int) -> Told:
    """What a stream carries of a chunk behind the event ``after``: the bytes of `antiphon.core.sse.frames`."""
    blocks: list[bytes] = []
    number, type_ = chunk.first, ""
    for raw in _line.decode(chunk.text):
        if _is_event(raw):
            type_ = _head.decode(raw).type
            if number > after:
                blocks.append(b"event: %b\ndata: %b\n\n" % (type_.encode(), raw))
            number += 1
            continue
        match _entry.decode(raw):
            case TextRun() | ReasoningRun() | RefusalRun() | SummaryRun() | ItemRun() as run:
                blocks += _run_frames(run, number, after=after)
                number += len(run.deltas)
            case _:  # a note is not for clients
                pass
    return Told(b"".join(blocks), max(chunk.last, after), type_ in _TERMINAL)


def _run_frames(run: AnyRun, first: int, *, after: int) -> list[bytes]:
    """The frames of a run, whose deltas are not read: only they and their numbers differ from frame to frame."""
    frame = _template(type(run), run.item_id, run.output_index, run.part)
    skipped = max(after + 1 - first, 0)
    return [frame % (number, delta) for number, delta in enumerate(run.deltas[skipped:], first + skipped)]


@lru_cache(maxsize=4096)  # an item is told in many chunks; to make its template was two thirds of telling one
def _template(kind: type[AnyRun], item_id: str, output_index: int, part: Any) -> bytes:  # the kind says what it is
    blank = frames([kind(item_id, output_index, part, []).event(0, "")]).replace(b"%", b"%%")
    return blank.replace(b'"sequence_number":0', b'"sequence_number":%d', 1).replace(b'"delta":""', b'"delta":%b', 1)


def _is_event(raw: Raw) -> bool:
    return memoryview(raw)[0] == _BRACE


def _types(kind: type[StreamEvent]) -> list[str]:
    """The types that an event class serves."""
    tag = kind.__struct_config__.tag
    if tag is not None:
        return [str(tag)]
    return [name for field in msgspec.structs.fields(kind) if field.name == "type" for name in get_args(field.type)]


_BRACE = ord("{")
_line = msgspec.json.Decoder(list[Raw])
_head = msgspec.json.Decoder(Head)
_entry: msgspec.json.Decoder[AnyRun | Note] = msgspec.json.Decoder(AnyRun | Note)
_delta = msgspec.json.Decoder(str)
_events: dict[str, msgspec.json.Decoder[StreamEvent]] = {
    type_: msgspec.json.Decoder(kind) for kind in get_args(StreamEvent) for type_ in _types(kind)
}
