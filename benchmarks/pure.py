"""The parts without I/O, in this process: what one call of each costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from antiphon.backends.chat_completions.hearing import Decoder
from antiphon.core.deltas import Delta, Finish, Text
from antiphon.core.fold import fold
from antiphon.core.machine import Machine
from antiphon.core.sse import FILLER_LENGTH, frames
from antiphon.core.transcript import transcript
from antiphon.protocol.items import Item
from antiphon.protocol.response import Response
from benchmarks.processes import own_seconds
from benchmarks.upstream import CHOICE, CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.samples import Samples
    from benchmarks.stage import Stage

SECONDS = 0.1
"""How long one sample of one part is taken."""
HISTORY = 200
FILLER = "x" * FILLER_LENGTH
SPOKEN = CHUNK % (CHOICE % (b'{"content":" token"}', b"null"), b',"usage":null')


def id_of(prefix: str) -> str:
    """Give an id of the usual length."""
    return f"{prefix}_{'0' * 50}"


def machine() -> Machine:
    """Give a machine whose first turn is being spoken and whose message is open."""
    opening = Response(id=id_of("resp"), created_at=0, model="bench", status="in_progress")
    speaking = Machine(opening, new_id=id_of)
    speaking.start()
    speaking.next_turn()
    speaking.feed([Text("Hello")])
    return speaking


def delta_to_frame() -> Callable[[], object]:
    """A delta becomes the bytes of its event."""
    speaking = machine()
    delta: list[Delta] = [Text(" token")]
    return lambda: frames(speaking.feed(delta), FILLER)


def chunk_to_frame() -> Callable[[], object]:
    """An upstream chunk becomes the bytes of its event."""
    speaking, decoder = machine(), Decoder()
    return lambda: frames(speaking.feed(decoder.feed(SPOKEN)), FILLER)


def short_response() -> Callable[[], object]:
    """A response of one token, from its first event to its last."""

    def tell() -> bytes:
        speaking = machine()
        return frames(speaking.feed([Finish()]) + speaking.complete(1), FILLER)

    return tell


def history_decoded() -> Callable[[], object]:
    """A history of 200 items is read."""
    body = history()
    decode = msgspec.json.Decoder(list[Item]).decode
    return lambda: decode(body)


def history_shown() -> Callable[[], object]:
    """A history of 200 items becomes a transcript."""
    items = msgspec.json.decode(history(), type=list[Item])
    return lambda: transcript(items)


def stream_folded() -> Callable[[], object]:
    """A stream of 200 deltas is folded."""
    opening = Response(id=id_of("resp"), created_at=0, model="bench", status="in_progress")
    speaking = Machine(opening, new_id=id_of)
    events = speaking.start()
    speaking.next_turn()
    events += [event for _ in range(HISTORY) for event in speaking.feed([Text(" token")])]
    return lambda: fold(events)


def history() -> bytes:
    """Give the JSON of a conversation, in the form in which items are kept."""
    return msgspec.json.encode([
        {
            "type": "message",
            "id": id_of("msg"),
            "status": "completed",
            "role": "user" if turn % 2 == 0 else "assistant",
            "content": [{"type": "input_text" if turn % 2 == 0 else "output_text", "text": "A short line. " * 4}],
        }
        for turn in range(HISTORY)
    ])


PARTS: dict[str, Callable[[], Callable[[], object]]] = {
    "delta to frame": delta_to_frame,
    "upstream chunk to frame": chunk_to_frame,
    "response of one token": short_response,
    "decode 200 items": history_decoded,
    "transcript of 200 items": history_shown,
    "fold 200 deltas": stream_folded,
}


def cost(call: Callable[[], object]) -> float:
    """Give the CPU time of one call in microseconds, over as many as fit into the time of a sample."""
    calls = 0
    began = now = own_seconds()
    while now - began < SECONDS:
        for _ in range(20):
            call()
        calls += 20
        now = own_seconds()
    return (now - began) * 1e6 / calls


async def pure(_stage: Stage, rounds: int) -> Samples:
    """Measure each part in each round."""
    samples: Samples = {name: [] for name in PARTS}
    for _ in range(rounds):
        for name, part in PARTS.items():
            samples[name].append(cost(part()))
    return samples
