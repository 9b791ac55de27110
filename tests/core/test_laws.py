"""The laws of the machine, over arbitrary legal dialogues."""

from __future__ import annotations

import json
import shlex
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import Phase, find, given, settings
from msgspec import UNSET
from msgspec.structs import replace

from antiphon.core.deltas import Call, Cited, Delta, Finish, Keepsake, Refused, Summary, Text, Thought, Voice
from antiphon.core.machine import IllegalStep
from antiphon.protocol.calls import (
    ApplyPatchCall,
    CreateFile,
    ImageGenerationCall,
    LocalShellCall,
    McpApprovalRequest,
    McpCall,
    McpListTools,
    ShellCall,
    ToolSearchCall,
    UpdateFile,
    WebSearchCall,
)
from antiphon.protocol.computer import ComputerCall
from antiphon.protocol.content import OutputText, ReasoningText, RefusalPart, SummaryText
from antiphon.protocol.events import (
    AnnotationAdded,
    DiffDone,
    ItemDone,
    McpArgumentsDone,
    PartialImage,
    Snapshot,
)
from antiphon.protocol.items import CustomToolCall, FunctionCall, Message, OutputItem, ReasoningItem
from antiphon.protocol.response import ResponseError
from tests.core.dialogues import (
    ASK,
    CRASH,
    DRAW,
    GRANTED,
    MCP,
    MEMBER,
    NOW,
    PAID,
    SEARCH,
    Dialogue,
    Play,
    Spoken,
    dialogues,
    finer,
    sealed,
)
from tests.core.laws import (
    called_name,
    expect_law_1,
    expect_law_2,
    expect_law_3,
    expect_law_3_of_parts,
    expect_law_4,
    expect_law_5,
    expect_law_7,
    part_text,
    told_logprobs,
    told_parts,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@given(dialogues())
def test_law_1_sequence_numbers_have_no_gaps(dialogue: Dialogue) -> None:
    """0, 1, 2 ..."""
    expect_law_1(Play(dialogue).run().events)


@given(dialogues())
def test_law_2_the_response_is_the_fold_of_its_events(dialogue: Dialogue) -> None:
    """Whoever reads the stream knows the response; without the terminal event, all that was said of it."""
    play = Play(dialogue).run()
    expect_law_2(play.events, play.machine.response)


@given(dialogues())
def test_law_3_every_item_is_added_once_in_index_order_and_done_once(dialogue: Dialogue) -> None:
    """And stands in the output at its index, as it was when it was done."""
    play = Play(dialogue).run()
    expect_law_3(play.events, play.machine.response)


@given(dialogues())
def test_law_3_holds_for_parts_too(dialogue: Dialogue) -> None:
    """Each is added once, in index order, written under its index, and done once."""
    play = Play(dialogue).run()
    expect_law_3_of_parts(play.events, play.machine.response)


@given(dialogues())
def test_law_4_deltas_add_up_to_their_done(dialogue: Dialogue) -> None:
    """In the text, in its part, in its item; log-probabilities too."""
    play = Play(dialogue).run()
    expect_law_4(play.events, play.machine.response)


@given(dialogues())
def test_law_5_there_is_exactly_one_terminal_event_the_last(dialogue: Dialogue) -> None:
    """Whatever happens."""
    events = Play(dialogue).run().events
    expect_law_5(events)
    names = [event.type for event in events if isinstance(event, Snapshot)]
    assert ["response.created", "response.in_progress"] == names[:2]
    assert len(names) == 3


@given(dialogues())
def test_law_6_cutting_the_text_of_a_model_finer_changes_no_response(dialogue: Dialogue) -> None:
    """Where an upstream cuts is its own business."""
    assert Play(dialogue).run().machine.response == Play(finer(dialogue)).run().machine.response


@given(dialogues())
def test_law_7_the_model_writes_one_item_at_a_time(dialogue: Dialogue) -> None:
    """What is written belongs to the last item that was added; before the next one, all but hosted calls are done."""
    play = Play(dialogue).run()
    expect_law_7(play.events, play.machine.response)


@given(dialogues())
def test_law_8_what_was_said_is_what_is_kept(dialogue: Dialogue) -> None:
    """Text, refusals, log-probabilities and the arguments of every call that may be said, in order."""
    play = Play(dialogue).run()
    said = [delta for turn in play.heard for delta in turn]
    output = play.machine.response.output
    assert "".join(delta.text for delta in said if isinstance(delta, Text)) == kept(output, OutputText)
    assert "".join(delta.text for delta in said if isinstance(delta, Refused)) == kept(output, RefusalPart)
    assert [logprob for delta in said if isinstance(delta, Text) for logprob in delta.logprobs] == [
        logprob for item in output for logprob in told_logprobs(item)
    ]
    said_calls = [(GRANTED, arguments) for arguments in dialogue.grants if play.is_granted] + admitted(play)
    calls = [called for called in said_calls if called[0] != ASK]
    told = [item for item in output if called_name(item) and not isinstance(item, McpApprovalRequest)]
    assert [name for name, _ in calls] == [called_name(item) for item in told]
    for (_, arguments), item in zip(calls, told, strict=True):
        match item:
            case FunctionCall() | McpCall():
                assert (arguments or ("{}" if is_whole(item, play) else "")) == item.arguments
            case CustomToolCall(status="completed"):
                assert free_text(arguments) == item.input
            case ShellCall(status="completed"):
                assert commands(arguments) == item.action.commands
            case ToolSearchCall(status="completed"):
                assert json.loads(arguments or "{}") == item.arguments
            case ComputerCall(status="completed"):
                assert json.loads(arguments)["actions"] == msgspec.to_builtins(item.actions)
            case ApplyPatchCall(status="completed", operation=CreateFile() | UpdateFile() as operation):
                assert operation.diff in "".join(texts(json.loads(arguments)))
            case _:  # a search keeps what it asked, not how it was called
                pass


@given(dialogues())
def test_law_8_what_was_thought_is_shown_as_asked_and_kept_beside_its_item(dialogue: Dialogue) -> None:
    """Whole, with what its upstream wants back, one for each reasoning item; sealed in the item where it shall be."""
    play = Play(dialogue).run()
    said = [delta for turn in play.heard for delta in turn]
    output = play.machine.response.output
    thought = "".join(delta.text for delta in said if isinstance(delta, Thought))
    summaries = "".join(delta.text for delta in said if isinstance(delta, Summary))
    shown = iter("".join(kept(output, SummaryText).split()))
    if dialogue.raw or not summaries:
        assert list("" if dialogue.raw else "".join(thought.split())) == list(shown)
    else:  # once an upstream has a summary of its own, none is made
        assert all(letter in shown for letter in "".join(summaries.split()))
    assert (thought if dialogue.raw else "") == kept(output, ReasoningText)
    items = [item for item in output if isinstance(item, ReasoningItem)]
    thoughts = [play.machine.thoughts[item.id] for item in items]
    assert len(items) == len(play.machine.thoughts)
    assert thought == "".join(thinking.text for thinking in thoughts)
    assert [(delta.form, delta.token) for delta in said if isinstance(delta, Keepsake)] == [
        (thinking.form, thinking.token) for thinking in thoughts if thinking.form is not None
    ]
    assert {"thinker"} >= {thinking.model for thinking in thoughts}
    assert [sealed(thinking) if dialogue.sealed else UNSET for thinking in thoughts] == [
        item.encrypted_content for item in items
    ]


@given(dialogues())
def test_law_8_phases_and_citations_are_kept(dialogue: Dialogue) -> None:
    """Each phase opens a message; a citation belongs to the text before it, and is dropped where there is none."""
    play = Play(dialogue).run()
    said = [delta for turn in play.heard for delta in turn]
    messages = [item for item in play.machine.response.output if isinstance(item, Message)]
    assert [delta.phase for delta in said if isinstance(delta, Voice)] == [
        item.phase for item in messages if item.phase is not UNSET
    ]
    parts = [part for item in messages for part in item.content if isinstance(part, OutputText)]
    cited = iter([delta.annotation for delta in said if isinstance(delta, Cited)])
    assert all(annotation in cited for part in parts for annotation in part.annotations)
    if not any(isinstance(delta, Call | Refused | Thought | Summary | Keepsake | Voice) for delta in said):
        turns = [[type(delta) for delta in turn if not isinstance(delta, Text) or delta.text] for turn in play.heard]
        due = sum(turn[turn.index(Text) :].count(Cited) for turn in turns if Text in turn)
        assert due == sum(len(part.annotations) for part in parts)


@given(dialogues())
def test_law_8_an_approval_is_asked_for_a_whole_call_or_not_at_all(dialogue: Dialogue) -> None:
    """None is asked for half a call, and where nothing is cut short none is forgotten; its id knows its arguments."""
    play = Play(dialogue).run()
    said = [arguments or "{}" for name, arguments in admitted(play) if name == ASK]
    told = [item for item in play.machine.response.output if isinstance(item, McpApprovalRequest)]
    left = iter(said)
    assert all(item.arguments in left for item in told)
    assert [str(len(item.arguments)) for item in told] == [item.id.rpartition("-")[2] for item in told]
    if dialogue.ending == "complete" and not any(is_cut_short(turn) for turn in dialogue.turns):
        assert len(said) == len(told)


@given(dialogues())
def test_law_9_the_reason_to_finish_is_the_status(dialogue: Dialogue) -> None:
    """The last turn's reason, unless the run was broken off."""
    response = Play(dialogue).run().machine.response
    last = dialogue.turns[-1].deltas[-1]
    assert isinstance(last, Finish)
    reason = response.incomplete_details.reason if response.incomplete_details else None
    expected: tuple[str, str | None, ResponseError | None, int | None]
    match dialogue.ending, last.reason:
        case "complete", "stop":
            expected = ("completed", None, None, NOW)
        case "complete", cause:
            expected = ("incomplete", cause, None, None)
        case "fail", _:
            expected = ("failed", None, CRASH, None)
        case _:
            expected = ("cancelled", None, None, None)
    assert expected == (response.status, reason, response.error, response.completed_at)


@given(dialogues())
def test_what_pictures_cost_is_told_however_the_response_ends(dialogue: Dialogue) -> None:
    """Each that was drawn is paid once."""
    response = Play(dialogue).run().machine.response
    pictures = len([item for item in response.output if isinstance(item, ImageGenerationCall) and item.result])
    assert pictures * PAID.total_tokens == response.tool_usage.image_gen.total_tokens
    details = response.tool_usage.image_gen.input_tokens_details
    assert (pictures * 3, pictures * 2) == (details.image_tokens, details.text_tokens)


@given(dialogues())
def test_an_illegal_step_is_refused_and_changes_nothing(dialogue: Dialogue) -> None:
    """All that is illegal is tried before every step; the dialogue goes on as if it had not been."""
    assert Play(dialogue).run().events == Play(dialogue, watch=try_what_is_illegal).run().events


def try_what_is_illegal(play: Play) -> None:
    """Try every step that the state of the play does not allow."""
    machine, before = play.machine, play.machine.response
    steps: list[Callable[[], object]] = []
    if play.state != "new":
        steps.append(machine.start)
    if play.state != "idle" or play.waiting:
        steps += [machine.next_turn, lambda: machine.complete(NOW), lambda: machine.outcome(NOW)]
    if play.state != "speaking":
        steps += [lambda: machine.feed([Text("late")]), lambda: machine.feed([Finish()]), lambda: machine.feed([])]
    else:
        steps.append(lambda: machine.feed([Text("a"), Finish(), Text("b")]))
    if play.state != "idle" or machine.has_spoken:
        steps.append(lambda: machine.open_list("late"))
    steps += [lambda: machine.close_list("nobody", []), lambda: machine.fail_list("nobody", "no")]
    if play.state != "idle" or play.waiting:
        steps.append(lambda: machine.grant([]))
    if play.state in {"new", "ended"}:
        steps += [machine.cancel, lambda: machine.fail(CRASH)]
    for call in play.answered if play.state != "ended" else machine.calls:
        item = replace(SEARCHED, id=call.id)
        steps += [lambda call=call, item=item: machine.answer(call, item)]  # type: ignore[misc]  # a default binds it
        steps += [lambda call=call: machine.phase(call, "response.web_search_call.searching")]  # type: ignore[misc]  # a default binds it
    steps += [lambda call=call: machine.answer(call, SEARCHED) for call in play.waiting]  # type: ignore[misc]  # a default binds it
    for step in steps:
        with pytest.raises(IllegalStep):
            step()
    assert before is machine.response


SEARCHED = WebSearchCall(id="ws_of_another")
"""A finished search that belongs to no call."""


def is_cut_short(turn: Spoken) -> bool:
    """Whether the model was stopped before it had said all."""
    last = turn.deltas[-1]
    return isinstance(last, Finish) and last.reason != "stop"


def kept(output: list[OutputItem], kind: type[OutputText | RefusalPart | ReasoningText | SummaryText]) -> str:
    """All text of one kind, in order."""
    return "".join(part_text(part) for item in output for part in told_parts(item) if isinstance(part, kind))


def free_text(arguments: str) -> str:
    """The text that a custom tool is meant to get: ``input``, the only string there is, or all that was written."""
    try:
        members = json.loads(arguments or "{}")
    except ValueError:
        return arguments
    strings = [value for value in members.values() if isinstance(value, str)]
    match members:
        case {"input": str(text)}:
            return text
        case {} if len(strings) == 1:
            return strings[0]
        case _:
            return arguments if members else ""


def commands(arguments: str) -> list[str]:
    """The commands that a shell is meant to run."""
    match json.loads(arguments):
        case {"commands": str(command)}:
            return [command]
        case {"commands": list(found)}:
            return [command for command in found if isinstance(command, str)]
        case {"command": list(vector)}:
            return [shlex.join(vector)]
        case other:
            raise AssertionError(other)


def texts(value: dict[str, object]) -> list[str]:
    """The strings of an object."""
    return [text for text in value.values() if isinstance(text, str)]


def is_whole(item: OutputItem, play: Play) -> bool:
    """Whether the writing of a call was ended by the model, so that a call without arguments got its ``{}``."""
    match item:
        case FunctionCall():
            return item.status == "completed"
        case _:  # a hosted call may be cut short after its writing
            return any(
                isinstance(event, McpArgumentsDone) and event.item_id == item.id and event.arguments
                for event in play.events
            )


def admitted(play: Play) -> list[tuple[str, str]]:
    """The calls of all turns that may be said, with their arguments."""
    calls: list[tuple[str, str]] = []
    hosted = len(play.dialogue.grants) if play.is_granted else 0
    most = 1_000 if play.dialogue.most is None else play.dialogue.most
    for turn in play.heard:
        said: list[tuple[str, str]] = []
        for called in allowed(play.dialogue, turn):
            is_hosted = called[0] in {SEARCH, DRAW, MCP}
            if (said and not play.dialogue.parallel) or (is_hosted and hosted >= most):
                continue
            said.append(called)
            hosted += is_hosted
        calls += said
    return calls


def allowed(dialogue: Dialogue, turn: list[Delta]) -> list[tuple[str, str]]:
    """The calls of a turn that are allowed."""
    names = {delta.key: delta.name for delta in reversed(turn) if isinstance(delta, Call) and delta.name}
    keys = list(dict.fromkeys(delta.key for delta in turn if isinstance(delta, Call)))
    said = [key for key in keys if dialogue.allowed is None or names[key] in dialogue.allowed]
    return [
        (names[key], "".join(delta.arguments for delta in turn if isinstance(delta, Call) and delta.key == key))
        for key in said
    ]


def has(*kinds: type[OutputItem]) -> Callable[[Play], bool]:
    """Whether items of all these kinds were said."""
    return lambda play: set(kinds) <= {type(item) for item in play.machine.response.output}


def interleaves(play: Play) -> bool:
    """Whether a call goes on after another one has begun."""
    keys = [delta.key for turn in play.heard[:1] for delta in turn if isinstance(delta, Call)]
    return len([key for key, _ in groupby(keys)]) > len(set(keys))


def answers_early(play: Play) -> bool:
    """Whether a hosted call was done while the model still spoke."""
    searches = {index for index, item in enumerate(play.machine.response.output) if isinstance(item, WebSearchCall)}
    done = [event for event in play.events if isinstance(event, ItemDone)]
    return any(one.output_index in searches and other.output_index not in searches for one, other in pairwise(done))


REACHED: dict[str, Callable[[Play], bool]] = {
    "messages and calls": has(Message, FunctionCall),
    "calls of servers": has(McpCall),
    "searches": has(WebSearchCall),
    "drawings": has(ImageGenerationCall),
    "thoughts": has(ReasoningItem),
    "a thought that nobody sees": lambda play: any(
        thinking.form is not None and not thinking.text for thinking in play.machine.thoughts.values()
    ),
    "several parts of a summary": lambda play: any(
        isinstance(item, ReasoningItem) and len(item.summary) > 1 for item in play.machine.response.output
    ),
    "a phase": lambda play: any(isinstance(item, Message) and item.phase for item in play.machine.response.output),
    "a citation": lambda play: any(isinstance(event, AnnotationAdded) for event in play.events),
    "an unfinished picture": lambda play: any(isinstance(event, PartialImage) for event in play.events),
    "what comes first": has(McpListTools, McpCall),
    "a request for an approval": has(McpApprovalRequest),
    **{
        kind.__name__: has(kind) for kind in (CustomToolCall, ShellCall, LocalShellCall, ApplyPatchCall, ToolSearchCall)
    },
    "what is to be done on a screen, after a person was asked": lambda play: any(
        isinstance(item, ComputerCall) and item.actions and item.pending_safety_checks
        for item in play.machine.response.output
    ),
    "a member of a namespace": lambda play: MEMBER in map(called_name, play.machine.response.output),
    "a diff": lambda play: any(isinstance(event, DiffDone) and event.diff for event in play.events),
    "a change that nobody could understand": lambda play: any(
        isinstance(item, ApplyPatchCall)
        and item.status == "in_progress"
        and item.operation == UpdateFile(path="", diff="")
        for item in play.machine.response.output
    ),
    "calls interleaved": interleaves,
    "early answers": answers_early,
    "three turns": lambda play: len(play.heard) == 3,
    **{
        status: lambda play, status=status: status == play.machine.response.status  # type: ignore[misc]  # a default binds it
        for status in ("completed", "incomplete", "failed", "cancelled")
    },
}


@pytest.mark.parametrize("feature", REACHED)
def test_the_dialogues_reach(feature: str) -> None:
    """What the laws speak of does occur: no law holds for want of a case."""
    # The rarest is one in a thousand.
    only_found = settings(max_examples=20_000, phases=[Phase.generate], database=None)
    find(dialogues(), lambda dialogue: REACHED[feature](Play(dialogue).run()), settings=only_found)
