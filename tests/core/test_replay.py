"""A run goes on from its log as if nothing had happened, or, within a turn, by closing it and asking anew."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis.errors import NoSuchExample
from msgspec.structs import replace

from antiphon.core.calls import Late, Lost, OpenCall
from antiphon.core.deltas import Began, Call, Finish, Made, Refused, Text, Thought
from antiphon.core.fold import fold
from antiphon.core.machine import IllegalStep, Machine
from antiphon.core.mcp_calls import McpKind
from antiphon.core.notes import CallAnswered, CallOpened, CallStarted, CallWritten, TurnBroken, TurnEnded
from antiphon.core.place import Place
from antiphon.core.replay import replayed
from antiphon.core.speech import Manner
from antiphon.core.writing import Shown
from antiphon.protocol.calls import (
    ApplyPatchCall,
    CodeInterpreterCall,
    DeleteFile,
    ImageGenerationCall,
    McpCall,
    McpListTools,
    ShellCall,
    WebSearchCall,
)
from antiphon.protocol.content import OutputText, ReasoningText, RefusalPart, SummaryText
from antiphon.protocol.events import ItemAdded, ItemDone, SummaryPartDone
from antiphon.protocol.items import Compaction, CustomToolCall, FunctionCall, Message, ReasoningItem
from antiphon.protocol.response import Response
from tests.core.dialogues import (
    CRASH,
    CUSTOM,
    FIND,
    GRANTS,
    KINDS,
    LOCAL,
    MCP,
    MEMBER,
    MOVE,
    PATCH,
    SHELL,
    Dialogue,
    Emission,
    Play,
    dialogues,
)
from tests.core.laws import expect_law_3, expect_laws
from tests.core.lives import Life, Lived, events_of, lived, lives, notes_of
from tests.core.stage import ADDED, COST, DONE, NOW, SEARCH, TEXT, function_call, message, names

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.items import OutputItem


class Process:
    """Runs a response and writes its log; ``successor`` gives the next one, which knows nothing but the log."""

    def __init__(self, *tools: str, log: Emission | None = None, raw: bool = False) -> None:
        self.log = log or []
        ids = count(100 * len(self.log))
        manner = Manner(kinds=dict.fromkeys(tools, SEARCH), shown=Shown(raw=raw, summary="detailed"))
        if log:
            self.machine = replayed(log, new_id=lambda prefix: f"{prefix}_{next(ids)}", manner=manner)
        else:
            self.machine = Machine(
                Response(id="resp_0", created_at=NOW, model="m", status="queued"),
                new_id=lambda prefix: f"{prefix}_{next(ids)}",
                manner=manner,
            )

    def told(self, events: list[StreamEvent]) -> list[str]:
        """Write what a step gave, and name it."""
        self.log += [*events, *self.machine.take_notes()]
        return names(events)

    def speaks(self, *deltas: Call | Finish | Refused | Text | Thought) -> list[str]:
        """A turn, or its beginning."""
        if not self.log:
            self.told(self.machine.start())
        self.machine.next_turn()
        return self.told(self.machine.feed([*deltas]))

    def successor(self, *tools: str) -> Process:
        """Who takes over."""
        return Process(*tools, log=self.log)


class Relay(Play):
    """A play in which another machine goes on after every step that leaves no turn open."""

    def _tell(self, events: list[StreamEvent]) -> None:
        super()._tell(events)
        if not self.machine.speaking and not self.machine.ended:
            self.change_machines()


@given(dialogues())
def test_between_turns_nobody_notices_that_another_machine_goes_on(dialogue: Dialogue) -> None:
    """Numbers, indexes, usage, the reason to finish, and the calls that wait: all is as it was."""
    one, many = Play(dialogue).run(), Relay(dialogue).run()
    assert one.emissions == many.emissions
    assert one.machine.said == many.machine.said
    assert one.machine.thoughts == many.machine.thoughts


@given(dialogues())
def test_what_a_log_holds_can_be_broken_off_at_once(dialogue: Dialogue) -> None:
    """After any step: as the machine would have done it itself, as far as it had told what it heard."""
    unheard = [False]
    play = Play(dialogue, watch=lambda play: hear(play, unheard)).run()
    *before, end = play.emissions
    machine = replayed(
        [entry for emission in before for entry in emission], new_id=str, manner=Manner(kinds=KINDS, grants=GRANTS)
    )
    events = machine.cancel() if dialogue.ending == "cancel" else machine.fail(CRASH)
    expect_laws([*events_of([entry for emission in before for entry in emission]), *events], machine.response)
    if dialogue.ending != "complete" and not unheard[0]:
        assert end == events


def hear(play: Play, unheard: list[bool]) -> None:
    """Whether deltas wait until a call is written, or arguments until they are whole: they are in no log."""
    if play.state != "ended":
        speech = play.machine._speech
        half = speech._call is not None and isinstance(speech._call.kind, McpKind) and bool(speech._call.arguments)
        added = {event.item.id for event in play.events if isinstance(event, ItemAdded)}
        untold = speech._call is not None and isinstance(speech._call.kind, Late) and speech._call.id not in added
        thought = speech._thought is not None and play.dialogue.sealed  # whole in its seal, and nowhere else
        unheard[0] = half or untold or thought or bool(speech._later)


@given(lives())
def test_the_laws_hold_over_any_number_of_lives(life: Life) -> None:
    """Wherever each of them ended; what the model is shown are its turns that ended, and no others."""
    whole = lived(life)
    expect_laws(whole.events, whole.machine.response)
    assert whole.said == [item.id for item in whole.machine.said]
    again = replayed(whole.log, new_id=str, manner=Manner(kinds=KINDS, grants=GRANTS))
    assert again.ended
    assert whole.machine.response == again.response == fold(whole.log)
    assert whole.said == [item.id for item in again.said]
    thought = {item.id for item in again.said if isinstance(item, ReasoningItem)}
    assert [whole.machine.thoughts.get(id) for id in thought] == [again.thoughts.get(id) for id in thought]
    if whole.machine.response.status in {"completed", "incomplete"}:  # else what was open is in no log
        assert thought <= {*again.thoughts, *(item.id for item in left_open(whole))}


def left_open(whole: Lived) -> list[OutputItem]:
    """The items that were open when a process died: what was heard of them and not told is in no log."""
    found: list[OutputItem] = []
    for attempt in whole.attempts[:-1]:
        entries = [entry for emission in attempt for entry in emission]
        done = {entry.output_index for entry in entries if isinstance(entry, ItemDone)}
        found += [entry.item for entry in entries if isinstance(entry, ItemAdded) and entry.output_index not in done]
    return found


def broken(kind: type[OutputItem]) -> Callable[[Lived], bool]:
    """Whether an item of this kind was open when a process died."""
    return lambda whole: any(isinstance(item, kind) for item in left_open(whole))


BROKEN = (
    *(Message, ReasoningItem, FunctionCall, McpCall, WebSearchCall),
    *(CustomToolCall, ShellCall),  # the others are broken below, at every point
)
REACHED: dict[str, Callable[[Lived], bool]] = {
    **{kind.__name__: broken(kind) for kind in BROKEN},
    "two broken turns": lambda whole: 2 == sum(isinstance(note, TurnBroken) for note in notes_of(whole.log)),
    "an attempt without a trace": lambda whole: any(not attempt for attempt in whole.attempts),
    "a response that was queued": lambda whole: "queued" in names(whole.events),
}


@pytest.mark.slow
def test_the_lives_reach_all_that_matters() -> None:
    """What the laws speak of does occur: no law holds for want of a case."""
    missing = set(REACHED)

    def is_all(life: Life) -> bool:
        whole = lived(life)
        missing.difference_update([feature for feature in missing if REACHED[feature](whole)])
        return not missing

    with suppress(NoSuchExample):
        find(lives(), is_all, settings=settings(max_examples=2000, phases=[Phase.generate], database=None))
    assert set() == missing


def test_a_response_waits_and_then_begins() -> None:
    """Who begins it knows its log alone."""
    first = Process()
    assert ["created", "queued"] == first.told(first.machine.queue())
    assert "queued" == first.machine.response.status
    second = first.successor()
    assert ["in_progress"] == second.told(second.machine.resume())
    assert "in_progress" == second.machine.response.status
    second.speaks(Text("Hi"), Finish(usage=COST))
    assert ["completed"] == second.told(second.machine.complete(NOW))
    assert fold(second.log) == second.machine.response


def test_who_queued_a_response_may_begin_it_too() -> None:
    """Once."""
    machine = Process().machine
    machine.queue()
    with pytest.raises(IllegalStep):
        machine.start()
    assert ["in_progress"] == names(machine.resume())
    assert [] == machine.resume()


def test_a_queued_response_can_be_cancelled() -> None:
    """Its terminal event is all."""
    first = Process()
    first.told(first.machine.queue())
    second = first.successor()
    assert ["failed"] == second.told(second.machine.cancel())
    assert ("cancelled", []) == (second.machine.response.status, second.machine.response.output)


def test_a_message_that_was_broken_off_stays_and_is_said_anew() -> None:
    """Under the next index; the model is not shown the broken one."""
    first = Process()
    first.speaks(Text("Once upo"))
    second = first.successor()
    assert not second.machine.turn_ended
    assert TEXT[3:] == second.told(second.machine.resume())
    assert [] == second.machine.said
    second.speaks(Text("Once upon a time"), Finish())
    whole = message("Once upon a time", id="msg_500")
    assert [whole] == second.machine.said
    second.told(second.machine.complete(NOW))
    assert [message("Once upo", status="incomplete"), whole] == second.machine.response.output


def test_a_thought_that_was_broken_off_says_so() -> None:
    """So that it can be told from the last thought of a response that a limit cut short."""
    for raw in (False, True):
        first = Process(raw=raw)
        first.speaks(Thought("Hm"))
        second = first.successor()
        events = second.machine.resume()
        assert ["incomplete"] * (not raw) == [e.status for e in events if isinstance(e, SummaryPartDone)]
        expected = ReasoningItem(
            id="rs_0",
            summary=[] if raw else [SummaryText(text="Hm")],
            status="incomplete",
        )
        if raw:
            expected = replace(expected, content=[ReasoningText(text="Hm")])
        assert [expected] == second.machine.finished


def test_a_message_of_text_and_refusal_is_taken_over_with_all_its_parts() -> None:
    """Each part once."""
    first = Process()
    first.speaks(Text("Well"), Refused("no"))
    second = first.successor()
    assert ["refusal.done", "content_part.done", DONE] == second.told(second.machine.resume())
    (item,) = second.machine.finished
    assert isinstance(item, Message)
    assert [OutputText(text="Well"), RefusalPart(refusal="no")] == item.content


def test_a_clients_call_that_was_half_written_is_incomplete() -> None:
    """Nobody waits for its output."""
    first = Process()
    first.speaks(Call("0", "f", '{"a'))
    second = first.successor()
    assert ["function_call_arguments.done", DONE] == second.told(second.machine.resume())
    assert [function_call('{"a', status="incomplete")] == second.machine.finished
    assert [] == second.machine.calls


def test_a_clients_call_that_was_whole_ends_its_turn() -> None:
    """The client was shown it and runs it: asked anew, the model would make it twice."""
    first = Process("search")
    first.speaks(Call("0", "f", "{}"), Call("1", "search", "{}"), Text("and"))
    second = first.successor("search")
    second.told(second.machine.resume())
    assert second.machine.turn_ended
    assert ["f", "search"] == [call.name for call in second.machine.calls]
    (waiting,) = second.machine.waiting
    second.told(second.machine.answer(waiting, WebSearchCall(id=waiting.id)))
    assert function_call("{}") == second.machine.said[0]
    assert ["function_call", "web_search_call", "message"] == [
        item.__struct_config__.tag for item in second.machine.said
    ]
    third = second.successor("search")
    assert [] == third.machine.resume()
    assert third.machine.turn_ended
    third.told(third.machine.complete(NOW))
    assert ["completed", "completed", "incomplete"] == [
        item.status
        for item in third.machine.response.output
        if isinstance(item, FunctionCall | WebSearchCall | Message)
    ]


def test_hosted_calls_of_a_broken_turn_are_closed() -> None:
    """Whether they were half written or waited."""
    first = Process("search")
    first.speaks(Call("0", "search", "{}"), Call("1", "search", '{"q'))
    second = first.successor("search")
    assert [DONE, DONE] == second.told(second.machine.resume())
    assert ["incomplete"] * 2 == [item.status for item in second.machine.finished if isinstance(item, WebSearchCall)]
    assert [] == second.machine.calls
    assert isinstance(second.log[-1], TurnBroken)


def test_hosted_calls_of_a_turn_that_ended_wait_for_their_answers() -> None:
    """With name and arguments, though no event shows the arguments of a search."""
    first = Process("search")
    first.speaks(Call("0", "search", '{"q":1}'), Call("1", "search"), Call("2", "f", "{}"), Finish(usage=COST))
    first.told(first.machine.answer(first.machine.calls[0], WebSearchCall(id="ws_0")))
    second = first.successor("search")
    assert second.machine.turn_ended
    assert [] == second.told(second.machine.resume())
    assert [("search", '{"q":1}', "call_1"), ("search", "{}", "call_3"), ("f", "{}", "call_5")] == [
        (call.name, call.arguments, call.call_id) for call in second.machine.calls
    ]
    (waiting,) = second.machine.waiting
    assert ("ws_2", "1") == (waiting.id, waiting.key)
    second.told(second.machine.phase(waiting, "response.web_search_call.searching"))
    assert [DONE] == second.told(second.machine.answer(waiting, WebSearchCall(id="ws_2")))
    assert ["ws_0", "ws_2", "fc_4"] == [item.id for item in second.machine.said]
    second.told(second.machine.complete(NOW))
    assert COST == second.machine.response.usage


def test_a_turn_that_a_client_ends_may_have_nothing_left_to_close() -> None:
    """Then only its note tells the next process, and it says which calls it means."""
    first = Process()
    first.speaks(Call("0", "f", '{"a"'), Text(""), Call("0", "", ":1}"))
    second = first.successor()
    assert [] == second.told(second.machine.resume())
    third = second.successor()
    assert third.machine.turn_ended
    assert ["f"] == [call.name for call in third.machine.calls]


def test_a_response_may_be_taken_over_within_the_same_turn_again_and_again() -> None:
    """What each left is closed by the next; only the turn that ended counts."""
    process = Process("search")
    process.speaks(Call("0", "search", "{}"), Finish(usage=COST))
    process.told(process.machine.answer(process.machine.calls[0], WebSearchCall(id="ws_0")))
    for _ in range(3):
        process.speaks(Thought("Hm"), Text("So"))
        process = process.successor("search")
        process.told(process.machine.resume())
    process.speaks(Text("There"), Finish(usage=COST))
    assert ["web_search_call", "message"] == [item.__struct_config__.tag for item in process.machine.said]
    process.told(process.machine.complete(NOW))
    response = process.machine.response
    assert 8 == len(response.output)
    assert 20 == (response.usage or COST).input_tokens
    expect_laws(events_of(process.log), response)


def test_an_attempt_that_left_nothing_is_the_same_as_none() -> None:
    """The turn before it is the last that is known."""
    first = Process("search")
    first.speaks(Call("0", "search", "{}"), Finish())
    first.told(first.machine.answer(first.machine.calls[0], WebSearchCall(id="ws_0")))
    first.machine.next_turn()
    second = first.successor("search")
    assert [] == second.told(second.machine.resume())
    assert second.machine.turn_ended
    assert [("ws_0", "completed")] == [(call.id, call.status) for call in second.machine.calls]
    assert [] == second.machine.waiting


def test_a_turn_that_a_limit_ended_is_over() -> None:
    """Its reason is known, and nothing is asked anew."""
    first = Process()
    first.speaks(Call("0", "f", '{"a'), Finish("max_output_tokens"))
    second = first.successor()
    assert [] == second.machine.resume()
    assert second.machine.cut_short
    assert [] == second.machine.calls
    assert ["incomplete"] == names(second.machine.complete(NOW))


def test_a_hosted_call_that_a_limit_cut_short_waits_for_nothing() -> None:
    """It was done when it was told."""
    first = Process("search")
    first.speaks(Call("0", "search", '{"q'), Finish("max_output_tokens"))
    second = first.successor("search")
    assert [] == second.machine.resume()
    assert [] == second.machine.calls


def test_notes_say_what_was_begun_and_what_the_model_reads() -> None:
    """By the id of the call."""
    first = Process("search")
    first.speaks(Call("0", "search", "{}"), Finish(usage=COST))
    assert [CallOpened("ws_0", "0", "search", "call_1"), CallWritten("ws_0", "{}"), TurnEnded("stop", COST)] == (
        notes_of(first.log)
    )
    first.log += [CallStarted("ws_0"), CallAnswered("ws_0", "found")]
    second = first.successor("search")
    assert ["ws_0"] == list(second.machine.started)
    assert {"ws_0": "found"} == second.machine.outputs
    assert [] == second.machine.take_notes()


def test_a_call_that_nobody_can_answer_any_more_is_closed() -> None:
    """The tool is gone; the turn had ended, and the call is still one of its calls."""
    first = Process("search")
    first.speaks(Call("0", "search", "{}"), Finish())
    second = first.successor()
    assert ["search"] == [call.name for call in second.machine.waiting]
    assert [DONE] == second.told(second.machine.resume())
    assert [WebSearchCall(id="ws_0", status="incomplete")] == second.machine.finished
    assert ["search"] == [call.name for call in second.machine.calls]
    assert [] == second.machine.waiting


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (WebSearchCall(id="x", status="in_progress"), WebSearchCall(id="x", status="incomplete")),
        (
            CodeInterpreterCall(id="x", status="in_progress", container_id="c"),
            CodeInterpreterCall(id="x", status="incomplete", container_id="c"),
        ),
        (ImageGenerationCall(id="x", status="generating"), ImageGenerationCall(id="x", status="failed", result="")),
        (
            ApplyPatchCall(id="x", status="in_progress", call_id="c", operation=DeleteFile(path="a")),
            ApplyPatchCall(id="x", status="in_progress", call_id="c", operation=DeleteFile(path="a")),
        ),
    ],
)
def test_an_item_of_which_nothing_more_is_known_is_closed_as_its_type_allows(
    item: OutputItem, expected: OutputItem
) -> None:
    """Incomplete, failed, or as it is."""
    first = Process()
    first.told(first.machine.start())
    log: Emission = [*first.log, ItemAdded(item=item, output_index=0, sequence_number=2)]
    machine = replayed(log, new_id=str)
    assert [DONE] == names(machine.resume())
    assert [expected] == machine.finished


def test_a_lost_call_says_nothing_by_itself() -> None:
    """What its kind would say is not known; its item is all there is."""
    item = WebSearchCall(id="ws_0", status="in_progress")
    call = OpenCall(Lost(item), Place("ws_0", 0, count().__next__), key="0", name="", call_id="")
    assert [ADDED] == names(call.open())
    assert [] == call.write("{}") == call.close("incomplete")


def test_a_lost_call_keeps_the_arguments_that_were_shown() -> None:
    """What was told adds up."""
    ids = count()
    first = Machine(
        Response(id="resp_0", created_at=NOW, model="m", status="queued"),
        new_id=lambda prefix: f"{prefix}_{next(ids)}",
        manner=Manner(kinds=KINDS),
    )
    log: Emission = [*first.start()]
    first.next_turn()
    log += [*first.feed([Call("0", MCP, '{"a": 1}'), Call("1", MCP, '{"b')]), *first.take_notes()]
    machine = replayed(log, new_id=str)
    machine.resume()
    calls = [item for item in machine.finished if isinstance(item, McpCall)]
    assert [("incomplete", '{"a": 1}'), ("incomplete", "")] == [(item.status, item.arguments) for item in calls]


WRITTEN = {
    MEMBER: '{"a":1}',
    CUSTOM: '{"input":"a\\nb"}',
    SHELL: '{"commands":["ls","cat a"],"timeout_ms":5}',
    LOCAL: '{"command":["ls"]}',
    PATCH: '{"type":"update_file","path":"a","diff":"@@"}',
    FIND: '{"query":"a"}',
    MOVE: '{"actions":[{"type":"wait"}],"pending_safety_checks":[{"id":""}]}',
}
"""A call of each tool of the client's."""


def call_by_call(name: str, *, log: Emission | None = None) -> Machine:
    """A machine that knows these tools; with a log, one that goes on from it."""
    ids = count()
    manner = Manner(kinds=KINDS)
    if log is not None:
        return replayed(log, new_id=lambda prefix: f"{prefix}_late", manner=manner)
    opening = Response(id="resp_0", created_at=NOW, model=name, status="queued")
    return Machine(opening, new_id=lambda prefix: f"{prefix}_{next(ids)}", manner=manner)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_clients_call_may_be_broken_off_at_every_letter(name: str) -> None:
    """What was told of it is closed as incomplete, as its own machine would have closed it, and the turn is anew."""
    text = WRITTEN[name]
    for length in range(1, len(text)):
        first = call_by_call(name)
        log: Emission = [*first.start()]
        first.next_turn()
        for delta in [Call("0", name), *(Call("0", "", letter) for letter in text[:length])]:
            log += [*first.feed([delta]), *first.take_notes()]
        told = any(isinstance(entry, ItemAdded) for entry in log)
        second = call_by_call(name, log=log)
        ending = second.fail(CRASH)
        expect_laws([*events_of(log), *ending], second.response)
        if told:
            assert first.fail(CRASH) == ending
        third = call_by_call(name, log=log)
        third.resume()
        assert [] == third.calls
        assert not third.turn_ended


@pytest.mark.parametrize("name", WRITTEN)
def test_a_clients_call_that_was_told_whole_is_not_asked_for_twice(name: str) -> None:
    """Whatever its type: its turn is over."""
    first = call_by_call(name)
    log: Emission = [*first.start()]
    first.next_turn()
    log += [*first.feed([Call("0", name, WRITTEN[name]), Text("and")]), *first.take_notes()]
    second = call_by_call(name, log=log)
    log += [*second.resume(), *second.take_notes()]
    assert second.turn_ended
    (item, _) = second.finished
    assert item == first.finished[0]
    for machine in (second, call_by_call(name, log=log)):
        assert [item.id] == [call.id for call in machine.calls]
    log += second.complete(NOW)
    expect_laws(events_of(log), second.response)


def test_a_clients_call_that_nobody_could_understand_ends_its_turn_too() -> None:
    """The client was told of it; after a limit it was cut short like any other."""
    for reason, calls in (("stop", 1), ("max_output_tokens", 0)):
        first = call_by_call(SHELL)
        log: Emission = [*first.start()]
        first.next_turn()
        log += [*first.feed([Call("0", SHELL, "{}"), Finish(reason)]), *first.take_notes()]  # type: ignore[arg-type]  # a literal of the protocol
        assert calls == len(call_by_call(SHELL, log=log).calls) == len(first.calls)


def test_a_broken_turn_must_be_resumed_before_the_next() -> None:
    """No step but an end is legal before."""
    first = Process()
    first.speaks(Text("a"))
    machine = first.successor().machine
    for step in (machine.start, machine.queue, machine.next_turn, lambda: machine.feed([Text("b")])):
        with pytest.raises(IllegalStep):
            step()
    with pytest.raises(IllegalStep):
        machine.complete(NOW)
    assert [*TEXT[3:], "failed"] == names(machine.fail(CRASH))


def test_what_has_ended_is_not_resumed() -> None:
    """Its log says so."""
    first = Process()
    first.speaks(Text("a"), Finish())
    first.told(first.machine.complete(NOW))
    machine = first.successor().machine
    assert machine.ended
    with pytest.raises(IllegalStep):
        machine.resume()


def test_a_log_without_its_beginning_or_with_a_gap_is_refused() -> None:
    """Nothing is made up."""
    first = Process()
    first.speaks(Text("a"))
    with pytest.raises(ValueError, match="beginning"):
        replayed([], new_id=str)
    with pytest.raises(ValueError, match="lacks event 0"):
        replayed(first.log[1:], new_id=str)
    with pytest.raises(ValueError, match="lacks event 3"):
        replayed([*first.log[:3], *first.log[4:]], new_id=str)


def test_a_turn_that_was_ended_for_its_client_has_been_spoken() -> None:
    """What comes before the model is not done again, though a hosted call of the turn still waits."""
    first = Process("search")
    first.speaks(Call("0", "search", "{}"), Call("1", "lookup", "{}"), Text("a"))
    machine = first.successor("search").machine
    machine.resume()
    assert (True, 1) == (machine.has_spoken, len(machine.waiting))
    with pytest.raises(IllegalStep):
        machine.open_list("late")


def test_a_list_of_the_upstreams_own_is_none_of_the_opening() -> None:
    """A turn that broke while the upstream listed is asked again; what was open is closed, all of it."""
    first = Process()
    listing = McpListTools(id="mcpl_u", server_label="s", tools=[])
    call = McpCall(id="mcp_u", server_label="s", name="n", arguments="", status="in_progress")
    first.told(first.machine.start())
    first.machine.next_turn()
    first.told(first.machine.feed([Began(listing), Began(call)]))
    second = first.successor()
    second.told(second.machine.resume())
    assert {} == second.machine.lists
    assert ["mcpl_u", "mcp_u"] == [item.id for item in second.machine.finished]
    second.speaks(Text("So."), Finish())
    assert ["completed"] == second.told(second.machine.complete(NOW))
    expect_law_3(events_of(second.log), second.machine.response)


def test_a_summary_of_the_upstreams_own_is_part_of_its_turn() -> None:
    """A turn that broke behind it is asked again, while one that the server made itself stands between turns."""
    for first_said in ([Text("Well.")], []):
        first = Process()
        first.told(first.machine.start())
        first.told(first.machine.compact("sealed", COST))
        first.machine.next_turn()
        made = Compaction(id="cmp_u", encrypted_content="theirs")
        first.told(first.machine.feed([*first_said, Began(made), Made(made), Text("I ")]))
        second = first.successor()
        second.told(second.machine.resume())
        assert not second.machine.turn_ended
        assert [Compaction(id="cmp_0", encrypted_content="sealed")] == second.machine.said[:1]
        second.speaks(Text("So."), Finish())
        assert ["completed"] == second.told(second.machine.complete(NOW))
        expect_law_3(events_of(second.log), second.machine.response)


def test_a_call_that_the_upstream_made_itself_is_not_made_again() -> None:
    """Its turn is over as it stands."""
    first = Process()
    made = McpCall(id="mcp_u", server_label="s", name="pay", arguments="{}", status="completed", output="Paid.")
    first.told(first.machine.start())
    first.machine.next_turn()
    first.told(first.machine.feed([Began(replace(made, status="in_progress", output=None)), Made(made), Text("I ")]))
    second = first.successor()
    second.told(second.machine.resume())
    assert second.machine.turn_ended
    assert ["completed"] == second.told(second.machine.complete(NOW))
    assert ["mcp_u"] == [item.id for item in second.machine.finished if isinstance(item, McpCall)]
