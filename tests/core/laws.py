"""What holds of the events of every response, however they came about: the laws that look at nothing else."""

from __future__ import annotations

from itertools import groupby

from msgspec import UNSET

from antiphon.core.fold import fold
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
from antiphon.protocol.content import Logprob, OutputText, ReasoningText, RefusalPart, SummaryText
from antiphon.protocol.events import (
    AnnotationAdded,
    CommandAdded,
    CommandDelta,
    CommandDone,
    CustomInputDone,
    DiffDone,
    FunctionArgumentsDone,
    ItemAdded,
    ItemDelta,
    ItemDone,
    ItemPhase,
    McpArgumentsDone,
    PartAdded,
    PartDone,
    PartialImage,
    ReasoningTextDelta,
    ReasoningTextDone,
    RefusalDelta,
    RefusalDone,
    Snapshot,
    StreamEvent,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryTextDelta,
    SummaryTextDone,
    TextDelta,
    TextDone,
)
from antiphon.protocol.items import CustomToolCall, FunctionCall, Message, OutputItem, ReasoningItem
from antiphon.protocol.response import Response
from tests.core.dialogues import KINDS

TERMINAL = ("response.completed", "response.incomplete", "response.failed")


def expect_law_1(events: list[StreamEvent]) -> None:
    """Sequence numbers are 0, 1, 2 ..."""
    assert list(range(len(events))) == [event.sequence_number for event in events]


def expect_law_2(events: list[StreamEvent], response: Response) -> None:
    """The response is the fold of its events; without the terminal event, so is its output."""
    assert response == fold(events)
    before_the_end = fold(events[:-1])
    assert before_the_end is not None
    assert response.output == before_the_end.output


def expect_law_3(events: list[StreamEvent], response: Response) -> None:
    """Every item is added once, in index order, and done once, as it stands in the output."""
    added = [event for event in events if isinstance(event, ItemAdded)]
    done = {event.output_index: event.item for event in events if isinstance(event, ItemDone)}
    assert list(range(len(added))) == [event.output_index for event in added]
    assert len(added) == sum(isinstance(event, ItemDone) for event in events)
    assert response.output == [done[index] for index in range(len(added))]
    assert [event.item.id for event in added] == [item.id for item in response.output]


def expect_law_3_of_parts(events: list[StreamEvent], response: Response) -> None:
    """So is every part, and it is written in between."""
    for index, item in enumerate(response.output):
        told = [event for event in events if place(event) == index and part_index(event) is not None]
        written = [number for number, _ in groupby(told, key=part_index)]
        assert list(range(len(told_parts(item)))) == written
        for number in written:
            whole = [event for event in told if part_index(event) == number]
            added = [isinstance(event, PartAdded | SummaryPartAdded) for event in whole]
            done = [isinstance(event, PartDone | SummaryPartDone) for event in whole]
            assert [True, *[False] * (len(whole) - 1)] == added
            assert [*[False] * (len(whole) - 1), True] == done


def expect_law_4(events: list[StreamEvent], response: Response) -> None:
    """Deltas add up to their done, in the text, in its part, in its item; log-probabilities too."""
    for index, item in enumerate(response.output):
        told = [event for event in events if place(event) == index]
        assert told_parts(item) == [event.part for event in told if isinstance(event, PartDone | SummaryPartDone)]
        assert told_texts(item) == [done_text(event) for event in told if done_text(event) is not None]
        assert "".join(told_texts(item)) == "".join(delta_text(event) for event in told)
        assert told_logprobs(item) == [
            logprob for event in told if isinstance(event, TextDelta) for logprob in event.logprobs
        ]
        assert told_logprobs(item) == [
            logprob for event in told if isinstance(event, TextDone) for logprob in event.logprobs
        ]


def expect_law_5(events: list[StreamEvent]) -> None:
    """There is exactly one terminal event, the last."""
    last = events[-1]
    assert isinstance(last, Snapshot)
    assert [last] == [event for event in events if isinstance(event, Snapshot) and event.type in TERMINAL]


def expect_law_7(events: list[StreamEvent], response: Response) -> None:
    """What is written belongs to the last item that was added; before the next one, all but hosted calls are done."""
    latest = -1
    undone: set[int] = set()
    for event in events:
        match event:
            case ItemAdded():
                assert undone <= {index for index, item in enumerate(response.output) if is_hosted(item)}
                latest = event.output_index
                undone.add(latest)
            case ItemDone():
                undone.discard(event.output_index)
            case Snapshot() | ItemPhase() | PartialImage():
                pass
            case _:
                assert latest == place(event)


def expect_laws(events: list[StreamEvent], response: Response) -> None:
    """All of them."""
    expect_law_1(events)
    expect_law_2(events, response)
    expect_law_3(events, response)
    expect_law_3_of_parts(events, response)
    expect_law_4(events, response)
    expect_law_5(events)
    expect_law_7(events, response)


def place(event: StreamEvent) -> int | None:
    """The output index of an event."""
    match event:
        case Snapshot():
            return None
        case (
            ItemAdded()
            | ItemDone()
            | PartAdded()
            | PartDone()
            | AnnotationAdded()
            | TextDelta()
            | TextDone()
            | RefusalDelta()
            | RefusalDone()
            | ReasoningTextDelta()
            | ReasoningTextDone()
            | SummaryPartAdded()
            | SummaryPartDone()
            | SummaryTextDelta()
            | SummaryTextDone()
            | ItemDelta()
            | FunctionArgumentsDone()
            | McpArgumentsDone()
            | ItemPhase()
            | PartialImage()
            | CustomInputDone()
            | CommandAdded()
            | CommandDelta()
            | CommandDone()
            | DiffDone()
        ):
            return event.output_index
        case other:  # the core makes no others
            raise AssertionError(other)


def part_index(event: StreamEvent) -> int | None:
    """The index of the part that an event is about; None where it is about none."""
    match event:
        case PartAdded() | PartDone() | AnnotationAdded() | TextDelta() | TextDone() | RefusalDelta() | RefusalDone():
            return event.content_index
        case ReasoningTextDelta() | ReasoningTextDone():
            return event.content_index
        case SummaryPartAdded() | SummaryPartDone() | SummaryTextDelta() | SummaryTextDone():
            return event.summary_index
        case _:
            return None


def delta_text(event: StreamEvent) -> str:
    """The text of a delta; nothing of any other event."""
    match event:
        case TextDelta() | RefusalDelta() | ReasoningTextDelta() | SummaryTextDelta() | ItemDelta() | CommandDelta():
            return event.delta
        case _:
            return ""


def done_text(event: StreamEvent) -> str | None:
    """The whole text of an event that ends one; None of any other."""
    match event:
        case TextDone() | ReasoningTextDone() | SummaryTextDone():
            return event.text
        case RefusalDone():
            return event.refusal
        case FunctionArgumentsDone() | McpArgumentsDone():
            return event.arguments
        case CustomInputDone():
            return event.input
        case CommandDone():
            return event.command
        case DiffDone():
            return event.diff
        case _:
            return None


def told_parts(item: OutputItem) -> list[object]:
    """The parts of an item."""
    match item:
        case Message():
            return [*item.content]
        case ReasoningItem():
            return [*item.summary, *([] if item.content is UNSET else item.content)]
        case _:
            return []


def told_texts(item: OutputItem) -> list[str]:
    """The texts of an item: of its parts, or its arguments."""
    match item:
        case FunctionCall() | McpCall():
            return [item.arguments]
        case CustomToolCall():
            return [item.input]
        case ShellCall():
            return item.action.commands
        case ApplyPatchCall(operation=CreateFile() | UpdateFile() as operation):
            return [operation.diff]
        case _:
            return [part_text(part) for part in told_parts(item)]


def part_text(part: object) -> str:
    """The text of a part."""
    match part:
        case OutputText() | ReasoningText() | SummaryText():
            return part.text
        case RefusalPart():
            return part.refusal
        case other:
            raise AssertionError(other)


def told_logprobs(item: OutputItem) -> list[Logprob]:
    """The log-probabilities of an item."""
    return [logprob for part in told_parts(item) if isinstance(part, OutputText) for logprob in part.logprobs]


def called_name(item: OutputItem) -> str:
    """The name of the function that an item calls; empty if it calls none."""
    match item:
        case FunctionCall(namespace=str(namespace)):
            return f"{namespace}__{item.name}"
        case FunctionCall() | McpCall() | McpApprovalRequest() | CustomToolCall():
            return item.name
        case ShellCall() | LocalShellCall() | ApplyPatchCall() | ToolSearchCall():
            return str(item.__struct_config__.tag).removesuffix("_call")
        case WebSearchCall():
            return "search"
        case ComputerCall():
            return "computer"
        case ImageGenerationCall():
            return "draw"
        case _:
            return ""


def is_hosted(item: OutputItem) -> bool:
    """Whether the server answers this item."""
    return isinstance(item, McpListTools | McpCall) or (
        called_name(item) in KINDS and KINDS[called_name(item)].hosted and not isinstance(item, McpApprovalRequest)
    )
