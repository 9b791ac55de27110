"""What a model says in a turn becomes items, one written at a time, in the order in which they were begun."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType

from antiphon.core.calls import FUNCTION, CallKind, Lost, OpenCall
from antiphon.core.deltas import (
    Began,
    Call,
    Cited,
    Delta,
    Finish,
    Judged,
    Keepsake,
    Made,
    Refused,
    Summary,
    Text,
    Thought,
    Voice,
    Went,
    Wrote,
)
from antiphon.core.foreign import Foreign
from antiphon.core.mcp_calls import Asking
from antiphon.core.notes import CallOpened, CallWritten, FilterNoted, Note, ThoughtKept
from antiphon.core.turn import Thinking
from antiphon.core.verdicts import joined
from antiphon.core.writing import Finished, Shown, WritingMessage, WritingThought

if TYPE_CHECKING:
    from antiphon.core.output import Output
    from antiphon.core.past import Past
    from antiphon.core.place import EndStatus, NewId, Place
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.items import MessagePhase, OutputItem
    from antiphon.protocol.response import ContentFilter


class Manner(Struct, frozen=True):
    """How a model may speak: which names stand for tools of the server, and what it may call.

    A call of a name that is not among ``kinds`` is the client's. ``allowed`` names the only functions that may be
    called (None: all); a call of another is not said. ``most_calls``: how many calls the server makes in one response;
    a further one is not said (None: no bound). ``grants`` are the calls that a person approved, by the ids of the
    requests: they are names for `Speech.grant` alone, and none that a model may say. ``shown`` says what is shown of
    its thoughts, ``seal``, if given, makes of a thought what its item carries sealed, and ``model`` is who thinks.
    """

    kinds: dict[str, CallKind] = {}
    grants: dict[str, CallKind] = {}
    allowed: frozenset[str] | None = None
    most_calls: int | None = None
    is_parallel: bool = True
    shown: Shown = Shown()
    seal: Callable[[Thinking], str] | None = None
    model: str = ""


class Speech:
    """The turns of a model, as items of an output. ``calls`` are those of the last turn, by the upstream's key.

    ``thoughts`` has what was thought in reasoning items, by their ids. ``filters`` is what a content filter found.
    """

    def __init__(self, output: Output, past: Past, *, new_id: NewId, note: Callable[[Note], None]) -> None:
        self.manner = Manner()
        self.calls = past.calls
        self.hosted_calls = past.hosted_calls
        self.thoughts = past.thoughts
        self.filters = past.filters
        self._output = output
        self._new_id = new_id
        self._note = note
        self._message, self._thought, self._call = past.message, past.thought, past.call
        self._foreign: dict[str, Foreign] = {}
        self._later: list[Delta] = []
        self._unsaid: dict[str, None] = {}  # its keys alone: an empty set takes four times as much
        self._has_called = bool(past.calls)

    def begin(self) -> None:
        """A new turn."""
        self.calls = {}
        self._unsaid = {}
        self._has_called = False

    def hear(self, delta: Delta) -> list[StreamEvent]:
        """What the model says next, anything but its end."""
        if type(delta) is Text and self._message is not None:
            return self._message.write(delta.text, delta.logprobs) if delta.text else []
        if isinstance(delta, Judged):
            self.judge(delta.filters)
            return []
        if self._call is not None and not self._goes_on(self._call, delta):
            self._later.append(delta)
            return []
        match delta:
            case Call():
                return self._said_call(delta)
            case Text() | Refused() | Thought() | Summary():
                return self._prose(delta) if delta.text else []
            case Keepsake():
                events, thought = self._thinking()
                return [*events, *self._end_thought(thought, delta, "completed")]
            case Voice(phase):
                return self._open_message(phase)[0]
            case Cited(annotation):
                return [] if self._message is None else self._message.cite(annotation)
            case foreign:
                return self._heard_of(foreign)

    def judge(self, filters: list[ContentFilter]) -> None:
        """What a content filter found in what was asked, or in what is said next."""
        self.filters = joined(self.filters, filters)
        self._note(FilterNoted(filters))

    def grant(self, call: Call) -> list[StreamEvent]:
        """A call that a person approved, which no model has to say again: whole, and past every rule for models."""
        return self._open_call(call, self.manner.grants[call.name]) + self.close("completed")

    def end(self, status: EndStatus) -> list[StreamEvent]:
        """Close all that is open, and hear what had to wait."""
        events: list[StreamEvent] = []
        while self._later:
            events += self.close(status)
            events += self._hear_later()
        events += self.close(status)
        for call in self.calls.values():
            if isinstance(call.kind, Lost) and call.status == "in_progress" and not self._output.is_done(call.place):
                events += self._close_call(call, status)  # it was open beside others, as a log told
        for foreign in self._foreign.values():
            events += foreign.break_off(self._output)
        self._foreign = {}
        return events

    def say_nothing(self) -> list[StreamEvent]:
        """The message of a turn in which nothing is said."""
        return self._writing_message()[0]

    def close(self, status: EndStatus) -> list[StreamEvent]:
        """End whatever is being written."""
        if self._call is not None:
            call, self._call = self._call, None
            return self._close_call(call, status)
        if self._thought is not None:
            return self._end_thought(self._thought, None, status)
        if self._message is None:
            return []
        message, self._message = self._message, None
        return self._keep(message.close(status))

    def break_off_thought(self) -> list[StreamEvent]:
        """End a thought that is left half thought."""
        if self._thought is None:
            return []
        thought, self._thought = self._thought, None
        return self._keep(thought.break_off())

    def _keep(self, ended: Finished) -> list[StreamEvent]:
        self._output.done[ended.output_index] = ended.item
        return ended.events

    # Prose

    def _prose(self, delta: Text | Refused | Thought | Summary) -> list[StreamEvent]:
        match delta:
            case Thought(text, is_private):
                events, thought = self._thinking()
                return [*events, *(thought.keep(text) if is_private else thought.write(text))]
            case Summary(text, part):
                events, thought = self._thinking()
                return [*events, *thought.summarize(text, part)]
            case Text(text, logprobs):
                events, message = self._writing_message()
                return [*events, *message.write(text, logprobs)]
            case refused:
                events, message = self._writing_message()
                return [*events, *message.refuse(refused.text)]

    def _thinking(self) -> tuple[list[StreamEvent], WritingThought]:
        """The thought that is open; one begins where none is."""
        if self._thought is not None:
            return [], self._thought
        events = self.close("completed")
        thought = self._thought = WritingThought(self._place("rs"), self.manner.shown)
        return [*events, *thought.open(self._sealed(Thinking(model=self.manner.model)))], thought

    def _sealed(self, thinking: Thinking) -> str | UnsetType:
        return UNSET if self.manner.seal is None else self.manner.seal(thinking)

    def _end_thought(self, thought: WritingThought, keepsake: Keepsake | None, status: EndStatus) -> list[StreamEvent]:
        """Close the thought, and keep what only the model may see of it."""
        self._thought = None
        form, token = (None, "") if keepsake is None else (keepsake.form, keepsake.token)
        thinking = Thinking(text=thought.text, form=form, token=token, model=self.manner.model)
        self.thoughts[thought.id] = thinking
        self._note(ThoughtKept(thought.id, thinking))
        return self._keep(thought.close(status, self._sealed(thinking)))

    def _writing_message(self) -> tuple[list[StreamEvent], WritingMessage]:
        return ([], self._message) if self._message is not None else self._open_message(UNSET)

    def _open_message(self, phase: MessagePhase | UnsetType) -> tuple[list[StreamEvent], WritingMessage]:
        events = self.close("completed")
        message = self._message = WritingMessage(self._place("msg"), phase)
        return [*events, *message.open()], message

    # Calls

    def _goes_on(self, call: OpenCall, delta: Delta) -> bool:
        """Whether a delta can be heard now: the model writes one item at a time, and leaves no call half written."""
        match delta:
            case Call(key=key) if key == call.key:
                return True
            case _:
                return not self._later and call.is_whole()

    def _said_call(self, delta: Call) -> list[StreamEvent]:
        known = self.calls.get(delta.key)
        if known is not None:
            return self._more_arguments(known, delta.arguments)
        if delta.key in self._unsaid:  # its fragments lack its name
            return []
        if self._may_call(delta.name):
            return self._open_call(delta, self.manner.kinds.get(delta.name, FUNCTION))
        self._unsaid[delta.key] = None
        return []

    def _may_call(self, name: str) -> bool:
        manner = self.manner
        if self._has_called and not manner.is_parallel:  # one that was dropped half said counts, too
            return False
        if name in manner.grants or (manner.allowed is not None and name not in manner.allowed):
            return False
        kind = manner.kinds.get(name, FUNCTION)
        return not kind.hosted or manner.most_calls is None or self.hosted_calls < manner.most_calls

    def _open_call(self, delta: Call, kind: CallKind) -> list[StreamEvent]:
        events = self.close("completed")
        place = self._output.nowhere() if isinstance(kind, Asking) else self._place(kind.prefix)
        call = OpenCall(kind, place, key=delta.key, name=delta.name, call_id=self._new_id("call"))
        self._call = self.calls[delta.key] = call
        self._has_called = True
        if kind.hosted:
            self.hosted_calls += 1
            self._note(CallOpened(call.id, call.key, call.name, call.call_id))
        opened = [] if isinstance(kind, Asking) else call.open()
        return [*events, *opened, *self._more_arguments(call, delta.arguments)]

    def _more_arguments(self, call: OpenCall, arguments: str) -> list[StreamEvent]:
        if not arguments or call is not self._call:  # a closed call was whole: white space is all that can follow
            return []
        events = call.write(arguments)
        if self._later and call.is_whole():
            events += self.close("completed")
            events += self._hear_later()
        return events

    def _hear_later(self) -> list[StreamEvent]:
        later, self._later = self._later, []
        return [event for delta in later for event in self.hear(delta)]

    def _close_call(self, call: OpenCall, status: EndStatus) -> list[StreamEvent]:
        events = call.close(status)
        if isinstance(call.kind, Asking):
            return self._ask(call, call.kind)
        if call.kind.hosted and call.status == "completed":
            self._note(CallWritten(call.id, call.arguments))
            return events
        return [*events, self._output.end(call.place, call.kind.item(call))]

    def _ask(self, call: OpenCall, kind: Asking) -> list[StreamEvent]:
        """Ask for the approval of a call; one that was cut short is forgotten."""
        if call.status != "completed":
            del self.calls[call.key]
            return []
        place = call.place = self._output.place(kind.sign(self._new_id(kind.prefix), call.arguments))
        item = kind.item(call)
        return [place.added(item), self._output.end(place, item)]

    # Tools of the upstream's own

    def _heard_of(self, delta: Began | Wrote | Went | Made | Finish) -> list[StreamEvent]:
        match delta:
            case Began(item):
                return self._began(item)
            case Wrote(id, arguments) if id in self._foreign:
                return self._foreign[id].write(arguments)
            case Went(id, phase) if id in self._foreign:
                return self._foreign[id].go_on(phase)
            case Made(item):
                events = [] if item.id in self._foreign else self._began(item)
                return events + self._foreign.pop(item.id).close(item, self._output)
            case _:  # of an item that never began, or is finished
                return []

    def _began(self, item: OutputItem) -> list[StreamEvent]:
        if item.id in self._foreign:
            return []
        events = self.close("completed")
        foreign = self._foreign[item.id] = Foreign(self._output.place(item.id), item)
        return events + foreign.open()

    def _place(self, prefix: str) -> Place:
        return self._output.place(self._new_id(prefix))
