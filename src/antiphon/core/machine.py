"""The machine: deltas and answers in, events out. No I/O, no clock, no ids of its own.

Its laws, each a property test in ``tests/core/test_laws.py``:

1. Sequence numbers are 0, 1, 2 ... without gaps.
2. The response is the fold of its events.
3. Every item is added once, in index order, and done once.
4. Deltas add up to their ``done``.
5. There is exactly one terminal event, the last.
6. Cutting the text of a model finer changes no response.
7. The model writes one item at a time.
8. What was said is what is kept.
9. The reason to finish is the status.

And: an illegal step is refused with `IllegalStep` and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count

from msgspec.structs import replace

from antiphon.core.calls import FUNCTION, CallKind, Lost, OpenCall, phase_event
from antiphon.core.deltas import Call, Delta, Finish, FinishReason, Refused, Text, Thought
from antiphon.core.notes import CallOpened, CallWritten, Note, TurnBroken, TurnEnded
from antiphon.core.past import Past, Phase
from antiphon.core.place import Counter, EndStatus, Place
from antiphon.core.usage import NO_USAGE, total
from antiphon.core.writing import Finished, WritingMessage, WritingThought
from antiphon.protocol.events import PhaseType, Snapshot, SnapshotType, StreamEvent
from antiphon.protocol.items import OutputItem
from antiphon.protocol.response import IncompleteDetails, Response, ResponseError

NewId = Callable[[str], str]


class IllegalStep(Exception):
    """The machine was asked for a step that its state does not allow."""


class Machine:
    """One response on its way: ``start``, then turns of ``feed``, then one of ``complete``, ``fail`` and ``cancel``.

    One that has to wait begins with ``queue``; one that a log gave back (`antiphon.core.replay`) goes on with
    ``resume``. ``outputs`` and ``started`` are what that log says of hosted calls, by item id: what the model reads,
    and which were about to be made. ``turn_ended``: the last turn that began has ended. ``notes`` wait to be taken.

    ``kinds`` names the hosted tools; a call of any other name is the client's. ``allowed`` names the only functions
    that may be called (None: all); a call of another is not said. ``raw_thoughts`` shows reasoning as it is, not as a
    summary. ``past``: where it goes on from.
    """

    def __init__(
        self,
        response: Response,
        *,
        new_id: NewId,
        kinds: Mapping[str, CallKind] | None = None,
        allowed: frozenset[str] | None = None,
        raw_thoughts: bool = False,
        past: Past | None = None,
    ) -> None:
        past = past or Past()
        self.response = response
        self.notes: list[Note] = []
        self.outputs, self.started, self.turn_ended = past.outputs, past.started, past.turn_ended
        self._new_id = new_id
        self._kinds = kinds or {}
        self._allowed = allowed
        self._raw_thoughts = raw_thoughts
        self._number: Counter = count(past.next_number).__next__
        self._phase: Phase = past.phase
        self._next_index, self._first_index = past.next_index, past.first_index
        self._done, self._broken = past.done, past.broken
        self._usage = past.usage
        self._reason: FinishReason = past.reason
        self._message, self._thought, self._call = past.message, past.thought, past.call
        self._later: list[Delta] = []
        self._calls = past.calls
        for place in past.places:
            place.number = self._number

    # Steps

    def queue(self) -> list[StreamEvent]:
        """The response is there and waits; ``resume`` begins it."""
        self._expect("new")
        self._phase, self.response = "queued", replace(self.response, status="queued")
        return [self._snapshot("response.created"), self._snapshot("response.queued")]

    def start(self) -> list[StreamEvent]:
        """The response begins."""
        self._expect("new")
        self._phase, self.response = "idle", replace(self.response, status="in_progress")
        return [self._snapshot("response.created"), self._snapshot("response.in_progress")]

    def resume(self) -> list[StreamEvent]:
        """Begin a response that was queued, or go on after a replay.

        What a broken turn left open is closed as incomplete: the model will be asked that turn anew. A call that nobody
        here can answer any more is closed too. The other calls of a turn that ended wait on.
        """
        events: list[StreamEvent] = []
        if self._phase == "queued":
            self._phase, self.response = "idle", replace(self.response, status="in_progress")
            return [self._snapshot("response.in_progress")]
        if self._phase == "broken":
            self._phase = "idle"
            events = self._break_turn()
        self._expect("idle")
        lost = [call for call in self.waiting if isinstance(call.kind, Lost)]
        return events + [event for call in lost for event in self._end_call(call, call.kind.item(call))]

    def next_turn(self) -> None:
        """The model is about to be asked, for the first time or with the answers of the last turn."""
        self._expect("idle")
        self._expect_answers()
        self._phase = "speaking"
        self.turn_ended = False
        self._calls = {}
        self._first_index = self._next_index

    def feed(self, deltas: list[Delta]) -> list[StreamEvent]:
        """What the model says. `Finish` ends the turn and stands last."""
        if self._phase != "speaking":
            self._expect("speaking")
        if len(deltas) == 1:
            return self._feed(deltas[0])
        if any(type(delta) is Finish for delta in deltas[:-1]):
            raise IllegalStep("nothing can be said after the turn is finished")
        return [event for delta in deltas for event in self._feed(delta)]

    @property
    def calls(self) -> list[OpenCall]:
        """The whole calls of the last turn, hosted ones and the client's, answered or not."""
        return [call for call in self._calls.values() if call.status == "completed"]

    @property
    def waiting(self) -> list[OpenCall]:
        """The hosted calls among them that have no answer yet."""
        return [call for call in self.calls if call.place.output_index not in self._done]

    def phase(self, call: OpenCall, phase: PhaseType) -> list[StreamEvent]:
        """A hosted call goes on."""
        self._expect_waiting(call)
        return [phase_event(call, phase)]

    def answer(self, call: OpenCall, item: OutputItem) -> list[StreamEvent]:
        """A hosted call is answered; ``item`` is what the client sees of it and has the call's id."""
        self._expect_waiting(call)
        if item.id != call.id:
            raise IllegalStep(f"the answer to {call.id} is an item with another id")
        return self._end_call(call, item)

    def outcome(self, now: int) -> Response:
        """What `complete` would make of the response, so that it can be kept before its end is told."""
        self._expect("idle")
        self._expect_answers()
        usage = self._usage or NO_USAGE
        ending = replace(self.response, output=self.finished, usage=usage, service_tier="default")
        if self._reason == "stop":
            return replace(ending, status="completed", completed_at=now)
        return replace(ending, status="incomplete", incomplete_details=IncompleteDetails(reason=self._reason))

    def complete(self, now: int) -> list[StreamEvent]:
        """Model and tools have spoken; the last reason to finish is the status. ``now``: unix seconds."""
        ending = self.outcome(now)
        return self._end(ending, "response.completed" if ending.status == "completed" else "response.incomplete")

    def fail(self, error: ResponseError) -> list[StreamEvent]:
        """The run failed. What was said is kept."""
        return self._break_off(replace(self.response, status="failed", error=error))

    def cancel(self) -> list[StreamEvent]:
        """The run was cancelled. What was said is kept. The wire has no event of its own for it."""
        return self._break_off(replace(self.response, status="cancelled"))

    def take_notes(self) -> list[Note]:
        """What the log of the last steps must hold behind their events; each is given once."""
        notes, self.notes = self.notes, []
        return notes

    @property
    def speaking(self) -> bool:
        """Whether a turn has begun and not finished."""
        return self._phase == "speaking"

    @property
    def ended(self) -> bool:
        """Whether the terminal event was said."""
        return self._phase == "ended"

    @property
    def cut_short(self) -> bool:
        """Whether the last turn ended before the model had said all: nothing can be asked of it again."""
        return self._reason != "stop"

    @property
    def finished(self) -> list[OutputItem]:
        """The finished items, in order."""
        return [self._done[index] for index in sorted(self._done)]

    @property
    def said(self) -> list[OutputItem]:
        """The finished items of the turns that ended, in order: what the model has to be shown of its own words."""
        ended = self._next_index if self.turn_ended else self._first_index
        return [self._done[index] for index in sorted(self._done) if index < ended and index not in self._broken]

    # What the model says

    def _feed(self, delta: Delta) -> list[StreamEvent]:
        if type(delta) is Text and self._message is not None:
            return self._message.write(delta.text, delta.logprobs) if delta.text else []
        if self._call is not None and not self._goes_on(self._call, delta):
            self._later.append(delta)
            return []
        match delta:
            case Call():
                return self._said_call(delta)
            case Finish():
                return self._finish(delta)
            case prose:
                return self._prose(prose) if prose.text else []

    def _goes_on(self, call: OpenCall, delta: Delta) -> bool:
        """Whether a delta can be heard now: the model writes one item at a time, and leaves no call half written."""
        match delta:
            case Call(key=key) if key == call.key:
                return True
            case Finish():
                return True
            case _:
                return not self._later and call.is_whole()

    def _prose(self, delta: Text | Refused | Thought) -> list[StreamEvent]:
        match delta:
            case Thought(text):
                if self._thought is not None:
                    return self._thought.write(text)
                events = self._close_item("completed")
                thought = self._thought = WritingThought(self._place("rs"), raw=self._raw_thoughts)
                return [*events, *thought.open(), *thought.write(text)]
            case Text(text, logprobs):
                events, message = self._writing_message()
                return [*events, *message.write(text, logprobs)]
            case refused:
                events, message = self._writing_message()
                return [*events, *message.refuse(refused.text)]

    def _writing_message(self) -> tuple[list[StreamEvent], WritingMessage]:
        if self._message is not None:
            return [], self._message
        events = self._close_item("completed")
        message = self._message = WritingMessage(self._place("msg"))
        return [*events, *message.open()], message

    def _said_call(self, delta: Call) -> list[StreamEvent]:
        known = self._calls.get(delta.key)
        if known is not None:
            return self._more_arguments(known, delta.arguments)
        if not self._may_call(delta.name):
            return []
        events = self._close_item("completed")
        kind = self._kinds.get(delta.name, FUNCTION)
        place = self._place(kind.prefix)
        call = OpenCall(kind, place, key=delta.key, name=delta.name, call_id=self._new_id("call"))
        self._call = self._calls[delta.key] = call
        if kind.hosted:
            self.notes.append(CallOpened(call.id, call.key, call.name, call.call_id))
        return [*events, *call.open(), *self._more_arguments(call, delta.arguments)]

    def _may_call(self, name: str) -> bool:
        if self._calls and not self.response.parallel_tool_calls:
            return False
        return self._allowed is None or name in self._allowed

    def _more_arguments(self, call: OpenCall, arguments: str) -> list[StreamEvent]:
        if not arguments or call is not self._call:  # a closed call was whole: white space is all that can follow
            return []
        events = call.write(arguments)
        if self._later and call.is_whole():
            events += self._close_item("completed")
            events += self._hear_later()
        return events

    def _hear_later(self) -> list[StreamEvent]:
        later, self._later = self._later, []
        return [event for delta in later for event in self._feed(delta)]

    def _finish(self, finish: Finish) -> list[StreamEvent]:
        status: EndStatus = "completed" if finish.reason == "stop" else "incomplete"
        events: list[StreamEvent] = []
        while self._later:
            events += self._close_item(status)
            events += self._hear_later()
        if self._next_index == self._first_index:  # a turn in which nothing is said still has its message
            events += self._writing_message()[0]
        events += self._close_item(status)
        self._reason = finish.reason
        self._usage = total(self._usage, finish.usage)
        self._phase = "idle"
        self.turn_ended = True
        self.notes.append(TurnEnded(finish.reason, finish.usage))
        return events

    # Items

    def _place(self, prefix: str) -> Place:
        index = self._next_index
        self._next_index = index + 1
        return Place(self._new_id(prefix), index, self._number)

    def _close_item(self, status: EndStatus) -> list[StreamEvent]:
        """End whatever is being written."""
        if self._call is not None:
            call, self._call = self._call, None
            events = call.close(status)
            if call.kind.hosted and status == "completed":
                self.notes.append(CallWritten(call.id, call.arguments))
                return events
            return events + self._end_call(call, call.kind.item(call))
        writing = self._message or self._thought
        if writing is None:
            return []
        self._message = self._thought = None
        ended: Finished = writing.close(status)
        self._done[ended.output_index] = ended.item
        return ended.events

    def _end_call(self, call: OpenCall, item: OutputItem) -> list[StreamEvent]:
        self._done[call.place.output_index] = item
        return [call.place.done(item)]

    # The end

    def _break_off(self, ending: Response) -> list[StreamEvent]:
        if self._phase in ("new", "ended"):
            raise IllegalStep(f"a response that is {self._phase} cannot be broken off")
        events: list[StreamEvent] = []
        while self._later:
            events += self._close_item("incomplete")
            events += self._hear_later()
        events += self._cut_short()
        ending = replace(ending, output=self.finished, usage=self._usage, service_tier="default")
        return events + self._end(ending, "response.failed")

    def _cut_short(self) -> list[StreamEvent]:
        """Close all that is open: what is being written, and the calls that nobody will answer."""
        events = self._close_item("incomplete")
        for call in self.waiting:
            call.status = "incomplete"
            events += self._end_call(call, call.kind.item(call))
        return events

    def _break_turn(self) -> list[StreamEvent]:
        """End a turn that was left half spoken. What it had finished stays done, for it was told.

        The model speaks it anew; but a client that was shown a whole call runs it, and a second one would run twice
        what must perhaps be done once. So that turn is over.
        """
        events: list[StreamEvent] = []
        if self._thought is not None:
            thought, self._thought = self._thought.break_off(), None
            self._done[thought.output_index] = thought.item
            events += thought.events
        if any(not call.kind.hosted for call in self.calls):
            self.turn_ended, self._reason = True, "stop"
            self.notes.append(TurnEnded("stop", None))
            return events + self._close_item("incomplete")
        events += self._cut_short()
        self._broken.update(range(self._first_index, self._next_index))
        self._first_index = self._next_index
        self._calls = {}
        self.notes.append(TurnBroken(self._next_index))
        return events

    def _end(self, ending: Response, type_: SnapshotType) -> list[StreamEvent]:
        self._phase = "ended"
        self.notes = []  # nobody takes over what has ended
        self.response = ending
        return [self._snapshot(type_)]

    def _snapshot(self, type_: SnapshotType) -> StreamEvent:
        return Snapshot(type=type_, response=self.response, sequence_number=self._number())

    # What is legal

    def _expect(self, phase: Phase) -> None:
        if self._phase != phase:
            raise IllegalStep(f"the machine is {self._phase}, not {phase}")

    def _expect_answers(self) -> None:
        if self._calls and self.waiting:
            raise IllegalStep("a hosted call still waits for its answer")

    def _expect_waiting(self, call: OpenCall) -> None:
        if call not in self.waiting:
            raise IllegalStep(f"{call.id} does not wait for an answer")
