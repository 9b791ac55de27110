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

from itertools import count

from msgspec.structs import replace

from antiphon.core.calls import Lost, OpenCall, phase_event
from antiphon.core.calls import Phase as CallPhase
from antiphon.core.deltas import Call, Delta, Finish, FinishReason
from antiphon.core.notes import Compacted, ListOpened, Note, TurnBroken, TurnEnded
from antiphon.core.output import Output
from antiphon.core.past import Past, Phase
from antiphon.core.place import EndStatus, NewId, Place
from antiphon.core.speech import Manner, Speech
from antiphon.core.tally import Unreported
from antiphon.core.turn import Thinking
from antiphon.core.usage import NO_USAGE, drawn, total
from antiphon.protocol.calls import McpCall, McpListTools, McpToolListing, ToolSearchOutput
from antiphon.protocol.events import Snapshot, SnapshotType, StreamEvent
from antiphon.protocol.items import Compaction, OutputItem
from antiphon.protocol.response import ContentFilter, ImageToolUsage, IncompleteDetails, Response, ResponseError, Usage
from antiphon.protocol.tools import Tool


class IllegalStep(Exception):
    """The machine was asked for a step that its state does not allow."""


class Machine:
    """One response on its way: ``start``, then turns of ``feed``, then one of ``complete``, ``fail`` and ``cancel``.

    One that has to wait begins with ``queue``; one that a log gave back (`antiphon.core.replay`) goes on with
    ``resume``. ``outputs`` and ``started`` are what that log says of hosted calls, by item id: what the model reads,
    and which were about to be made. ``thoughts`` has what was thought, by item id. ``turn_ended``: the last turn that
    began has ended. ``lists``: the lists of tools that were begun, by the label of their server. ``notes`` wait to be
    taken. ``unreported`` are the turns that no upstream counted.

    ``manner`` says what the model may call, and who answers; it may change between turns. ``past``: what its log says.
    """

    def __init__(
        self, response: Response, *, new_id: NewId, manner: Manner | None = None, past: Past | None = None
    ) -> None:
        past = past or Past()
        self.response = response
        self.notes: list[Note] = []
        self.outputs, self.started, self.turn_ended = past.outputs, past.started, past.turn_ended
        self.lists, self.has_spoken, self.unreported = past.lists, past.has_spoken, past.unreported
        self._new_id = new_id
        self._phase: Phase = past.phase
        self._first_index, self._broken = past.first_index, past.broken
        self._usage, self._drawn = past.usage, past.drawn
        self._reason: FinishReason = past.reason
        self._output = Output(past.next_index, past.done, count(past.next_number).__next__)
        self._speech = Speech(self._output, past, new_id=new_id, note=self._note)
        self.allow(manner or Manner())
        for place in past.places:
            place.number = self._output.number

    # Steps

    def allow(self, manner: Manner) -> None:
        """How the model may speak from now on."""
        self._speech.manner = replace(manner, is_parallel=self.response.parallel_tool_calls)

    def judge(self, filters: list[ContentFilter]) -> None:
        """What a content filter found in what was asked."""
        self._speech.judge(filters)

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
        here can answer any more is closed too. The other calls of a turn that ended wait on, and so do open lists.
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
        return events + [self._output.end(call.place, call.kind.item(call)) for call in lost]

    def open_list(self, label: str) -> list[StreamEvent]:
        """The tools of a server are about to be asked for, before the model is."""
        self._expect("idle")
        if self.has_spoken or label in self.lists:
            raise IllegalStep(f"the tools of {label} cannot be listed now")
        place = self.lists[label] = self._output.place(self._new_id("mcpl"))
        self._first_index = self._output.next_index
        self._note(ListOpened(place.id))
        return [
            place.added(McpListTools(id=place.id, server_label=label, tools=[])),
            place.phase("response.mcp_list_tools.in_progress"),
        ]

    def close_list(self, label: str, tools: list[McpToolListing]) -> list[StreamEvent]:
        """They are known."""
        place = self._open_place(label)
        item = McpListTools(id=place.id, server_label=label, tools=tools)
        return [place.phase("response.mcp_list_tools.completed"), self._output.end(place, item)]

    def fail_list(self, label: str, error: str) -> list[StreamEvent]:
        """They cannot be had."""
        place = self._open_place(label)
        item = McpListTools(id=place.id, server_label=label, tools=[], error=error)
        return [place.phase("response.mcp_list_tools.failed"), self._output.end(place, item)]

    def grant(self, calls: list[Call]) -> list[StreamEvent]:
        """A turn of calls that a person approved, before the model is asked: they wait for their answers."""
        self.next_turn()
        events = [event for call in calls for event in self._speech.grant(call)]
        return events + self._finish(Finish())

    def next_turn(self) -> None:
        """The model is about to be asked, for the first time or with the answers of the last turn."""
        self._expect("idle")
        self._expect_answers()
        self._phase = "speaking"
        self.turn_ended, self.has_spoken = False, True
        self._speech.begin()
        self._first_index = self._output.next_index

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
        return [call for call in self._speech.calls.values() if call.status == "completed"]

    @property
    def waiting(self) -> list[OpenCall]:
        """The hosted calls among them that have no answer yet."""
        return [call for call in self.calls if not self._output.is_done(call.place)]

    def phase(self, call: OpenCall, phase: CallPhase) -> list[StreamEvent]:
        """A hosted call goes on."""
        self._expect_waiting(call)
        return [phase_event(call, phase)]

    def answer(
        self,
        call: OpenCall,
        item: OutputItem,
        usage: ImageToolUsage | None = None,
        found: list[Tool] | None = None,
    ) -> list[StreamEvent]:
        """A hosted call is answered; ``item`` is what the client sees of it and has the call's id.

        ``usage``: what pictures cost in it. ``found``: the tools that a search found, which an item of their own tells.
        """
        self._expect_waiting(call)
        if item.id != call.id:
            raise IllegalStep(f"the answer to {call.id} is an item with another id")
        if usage is not None:
            self._drawn = drawn(self._drawn, usage)
        events = [self._output.end(call.place, item)]
        return events if found is None else events + self._found(found)

    def compact(self, encrypted_content: str, usage: Usage | None) -> list[StreamEvent]:
        """What was said so far is summed up, at this cost; the model is shown the summary in its place."""
        self._expect("idle")
        self._expect_answers()
        self._usage = total(self._usage, usage)
        self._note(Compacted(usage))
        place = self._output.place(self._new_id("cmp"))
        item = Compaction(id=place.id, encrypted_content=encrypted_content)
        self._first_index = self._output.next_index
        return [place.added(item), self._output.end(place, item)]

    def steer(self) -> None:
        """Something else was said to the model: it is not asked again for this response."""
        self._expect("idle")
        self._reason = "steered"

    def beat(self) -> list[StreamEvent]:
        """The response is still in progress, and nothing else is to be told."""
        if self._phase not in {"idle", "speaking"}:
            raise IllegalStep(f"a response that is {self._phase} is not in progress")
        return [self._snapshot("response.in_progress")]

    def outcome(self, now: int) -> Response:
        """What `complete` would make of the response, so that it can be kept before its end is told."""
        self._expect("idle")
        self._expect_answers()
        usage = self._usage or NO_USAGE
        ending = self._with_all(self.response, usage)
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
    def thoughts(self) -> dict[str, Thinking]:
        """What was thought in the reasoning items, by their ids."""
        return self._speech.thoughts

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
    def may_call_on(self) -> bool:
        """Whether the server makes further calls for this response."""
        most = self._speech.manner.most_calls
        return most is None or self._speech.hosted_calls < most

    @property
    def finished(self) -> list[OutputItem]:
        """The finished items, in order."""
        return self._output.finished

    @property
    def said(self) -> list[OutputItem]:
        """The finished items of the turns that ended, in order: what the model has to be shown of its own words."""
        ended = self._output.next_index if self.turn_ended else self._first_index
        done = sorted(self._output.done.items())
        return [item for index, item in done if index < ended and index not in self._broken]

    def _feed(self, delta: Delta) -> list[StreamEvent]:
        return self._finish(delta) if type(delta) is Finish else self._speech.hear(delta)

    def _finish(self, finish: Finish) -> list[StreamEvent]:
        status: EndStatus = "completed" if finish.reason == "stop" else "incomplete"
        events = self._speech.end(status)
        if self._output.next_index == self._first_index:  # a turn in which nothing is said still has its message
            events += self._speech.say_nothing()
            events += self._speech.close(status)
        self._reason = finish.reason
        if finish.usage is None:
            self.unreported.append(Unreported(self._first_index, self._output.next_index))
        self._usage = total(self._usage, finish.usage)
        self._phase = "idle"
        self.turn_ended = True
        self._note(TurnEnded(finish.reason, finish.usage))
        return events

    def _found(self, tools: list[Tool]) -> list[StreamEvent]:
        """What a search found, which is there at once."""
        place = self._output.place(self._new_id("tso"))
        item = ToolSearchOutput(id=place.id, tools=tools)
        return [place.added(replace(item, status="in_progress")), self._output.end(place, item)]

    # The end

    def _note(self, note: Note) -> None:
        self.notes.append(note)

    def _break_off(self, ending: Response) -> list[StreamEvent]:
        if self._phase in ("new", "ended"):
            raise IllegalStep(f"a response that is {self._phase} cannot be broken off")
        if self._phase in {"speaking", "broken"}:
            self.unreported.append(Unreported(self._first_index, self._output.next_index))
        events = self._cut_short()
        return events + self._end(self._with_all(ending, self._usage), "response.failed")

    def _with_all(self, ending: Response, usage: Usage | None) -> Response:
        """A response with what was made and what it cost."""
        tools = replace(ending.tool_usage, image_gen=self._drawn)
        ending = replace(ending, content_filters=self._speech.filters or ending.content_filters)
        return replace(ending, output=self.finished, usage=usage, service_tier="default", tool_usage=tools)

    def _cut_short(self) -> list[StreamEvent]:
        """Close all that is open: what is being written, the calls that nobody will answer, and the lists."""
        events = self._speech.end("incomplete")
        for call in self.waiting:
            call.status = "incomplete"
            events.append(self._output.end(call.place, call.kind.item(call)))
        for label, place in self.lists.items():
            if not self._output.is_done(place):
                item = McpListTools(id=place.id, server_label=label, tools=[], error="The listing was broken off.")
                events.append(self._output.end(place, item))
        return events

    def _break_turn(self) -> list[StreamEvent]:
        """End a turn that was left half spoken. What it had finished stays done, for it was told.

        The model speaks it anew; but a client that was shown a whole call runs it, and a second one would run twice
        what must perhaps be done once, and so would an upstream that has made a call itself. So that turn is over.
        """
        events = self._speech.break_off_thought()
        self.unreported.append(Unreported(self._first_index, self._output.next_index))
        if self._cannot_be_asked_again:
            self.turn_ended, self.has_spoken, self._reason = True, True, "stop"
            self._note(TurnEnded("stop", None))
            return events + self._speech.end("incomplete")
        events += self._cut_short()
        self._broken |= dict.fromkeys(range(self._first_index, self._output.next_index))
        self._first_index = self._output.next_index
        self._speech.begin()
        self._note(TurnBroken(self._output.next_index))
        return events

    @property
    def _cannot_be_asked_again(self) -> bool:
        """Whether the turn that was broken has told its client of a call, or its upstream has made one itself."""
        if any(not call.kind.hosted for call in self.calls):
            return True
        done = self._output.done
        made = [done[index] for index in range(self._first_index, self._output.next_index) if index in done]
        return any(isinstance(item, McpCall) and item.status in {"completed", "failed"} for item in made)

    def _end(self, ending: Response, type_: SnapshotType) -> list[StreamEvent]:
        self._phase = "ended"
        self.notes = []  # nobody takes over what has ended
        self.response = ending
        return [self._snapshot(type_)]

    def _snapshot(self, type_: SnapshotType) -> StreamEvent:
        return Snapshot(type=type_, response=self.response, sequence_number=self._output.number())

    # What is legal

    def _expect(self, phase: Phase) -> None:
        if self._phase != phase:
            raise IllegalStep(f"the machine is {self._phase}, not {phase}")

    def _expect_answers(self) -> None:
        if self._speech.calls and self.waiting:
            raise IllegalStep("a hosted call still waits for its answer")
        if any(not self._output.is_done(place) for place in self.lists.values()):
            raise IllegalStep("a list of tools is still open")

    def _expect_waiting(self, call: OpenCall) -> None:
        if call not in self.waiting:
            raise IllegalStep(f"{call.id} does not wait for an answer")

    def _open_place(self, label: str) -> Place:
        place = self.lists.get(label)
        if place is None or self._output.is_done(place):
            raise IllegalStep(f"no list of {label} is open")
        return place
