"""Lives: a response that several processes run one after the other, each until it dies, with a log between them."""

from __future__ import annotations

from hypothesis import strategies as st
from msgspec import Struct

from antiphon.core.log import Chunk, Pack
from antiphon.core.machine import Machine
from antiphon.core.notes import (
    CallAnswered,
    CallOpened,
    CallStarted,
    CallWritten,
    Compacted,
    FilterNoted,
    ListOpened,
    Note,
    ThoughtKept,
    TurnBroken,
    TurnEnded,
)
from antiphon.protocol.calls import McpListTools
from antiphon.protocol.events import ItemAdded, StreamEvent
from antiphon.protocol.response import Response
from tests.core.dialogues import NOW, Dialogue, Emission, Play, dialogues

NOTES = (
    *(ListOpened, CallAnswered, CallOpened, CallStarted, CallWritten, TurnBroken, TurnEnded),
    *(ThoughtKept, FilterNoted, Compacted),
)


class Attempt(Struct, frozen=True):
    """What one process would make of a response, and after how many emissions it dies (as a remainder)."""

    dialogue: Dialogue
    cut: int


class Life(Struct, frozen=True):
    """Attempts, of which the last one comes to its end. ``queued``: the first one has to wait for it."""

    queued: bool
    attempts: list[Attempt]
    last: Dialogue


class Lived(Struct, frozen=True):
    """What came of a life: its log, the emissions of each attempt in it, and the last machine."""

    attempts: list[list[Emission]]
    machine: Machine

    @property
    def log(self) -> Emission:
        """All entries."""
        return [entry for emissions in self.attempts for emission in emissions for entry in emission]

    @property
    def events(self) -> list[StreamEvent]:
        """What a client is told."""
        return events_of(self.log)

    @property
    def said(self) -> list[str]:
        """The ids of the lists, and of the items of the turns that came to their end and were not broken."""
        said: list[str] = []
        turn: list[str] = []
        for entry in self.log:
            match entry:
                case ItemAdded(item=McpListTools()):
                    said.append(entry.item.id)
                case ItemAdded():
                    turn.append(entry.item.id)
                case TurnBroken():
                    turn = []
                case TurnEnded():
                    said += turn
                    turn = []
                case _:
                    pass
        return said


def lived(life: Life) -> Lived:
    """Live it."""
    attempts: list[list[Emission]] = []
    if life.queued:
        machine = Machine(Response(id="resp_0", created_at=NOW, model="m", status="queued"), new_id=str)
        attempts.append([[*machine.queue()]])
    for attempt in [*life.attempts, Attempt(life.last, -1)]:
        before = [emission for emissions in attempts for emission in emissions]
        play = Play(attempt.dialogue, before=before).run()
        length = len(play.emissions)
        kept = length if attempt.cut < 0 else max(attempt.cut % (length + 1), 0 if before else 1)
        attempts.append(play.emissions[:kept])
        if kept == length:
            return Lived(attempts, play.machine)
    raise AssertionError


def events_of(entries: Emission) -> list[StreamEvent]:
    """The entries without the notes."""
    return [entry for entry in entries if not isinstance(entry, NOTES)]


def notes_of(entries: Emission) -> list[Note]:
    """The notes among the entries."""
    return [entry for entry in entries if isinstance(entry, NOTES)]


def packed(entries: Emission, cuts: list[int]) -> list[Chunk]:
    """The entries as a log holds them, flushed after so many entries, over and over."""
    pack = Pack(0)
    chunks: list[Chunk | None] = []
    left = 0
    for number, entry in enumerate(entries):
        left = left or cuts[number % len(cuts)]
        if isinstance(entry, NOTES):
            pack.note(entry)
        else:
            pack.add([entry])
        left -= 1
        if not left:
            chunks.append(pack.take())
    return [chunk for chunk in [*chunks, pack.take()] if chunk is not None]


CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """A whole life."""
    attempts = draw(st.lists(st.builds(Attempt, dialogues(), st.integers(0, 30)), min_size=1, max_size=3))
    return Life(draw(st.booleans()), attempts, draw(dialogues()))
