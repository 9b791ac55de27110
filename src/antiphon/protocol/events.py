"""What a client's stream carries. 59 names, 27 shapes: a class a shape where several names share one.

Every event has a ``type`` and a ``sequence_number`` that starts at 0 and has no gaps. Only ``antiphon.core`` makes
events.Source: Responses API reference, sections 5.3 to 5.5, and the field sets of recorded streams.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from antiphon.protocol.calls import ShellOutput
from antiphon.protocol.content import Annotation, Logprob, OutputText, ReasoningText, RefusalPart, SummaryText
from antiphon.protocol.items import OutputItem
from antiphon.protocol.response import Response

SnapshotType = Literal[
    "response.created",
    "response.queued",
    "response.in_progress",
    "response.completed",
    "response.failed",
    "response.incomplete",
]

PhaseType = Literal[
    "response.code_interpreter_call.in_progress",
    "response.code_interpreter_call.interpreting",
    "response.code_interpreter_call.completed",
    "response.compaction.compacting",
    "response.file_search_call.in_progress",
    "response.file_search_call.searching",
    "response.file_search_call.completed",
    "response.image_generation_call.in_progress",
    "response.image_generation_call.generating",
    "response.image_generation_call.completed",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.mcp_list_tools.in_progress",
    "response.mcp_list_tools.completed",
    "response.mcp_list_tools.failed",
    "response.web_search_call.in_progress",
    "response.web_search_call.searching",
    "response.web_search_call.completed",
]

ItemDeltaType = Literal[
    "response.apply_patch_call_operation_diff.delta",
    "response.code_interpreter_call_code.delta",
    "response.custom_tool_call_input.delta",
    "response.function_call_arguments.delta",
    "response.mcp_call_arguments.delta",
]


class Event(Struct, frozen=True, kw_only=True):
    """Any event. Its ``type`` is the class's tag, or a field where a class serves several types."""

    sequence_number: int


class OnItem(Event, frozen=True, kw_only=True):
    """About one item."""

    item_id: str
    output_index: int


class OnPart(OnItem, frozen=True, kw_only=True):
    """About one content part of an item."""

    content_index: int


class OnSummary(OnItem, frozen=True, kw_only=True):
    """About one part of a reasoning summary."""

    summary_index: int


class OnCommand(Event, frozen=True, kw_only=True):
    """About one shell command. No ``item_id``, as recorded."""

    output_index: int
    command_index: int


class Snapshot(Event, frozen=True, kw_only=True):
    """The whole response, at its start and at its end."""

    type: SnapshotType
    response: Response


class ItemAdded(Event, frozen=True, kw_only=True, tag="response.output_item.added"):
    """An item begins."""

    item: OutputItem
    output_index: int


class ItemDone(Event, frozen=True, kw_only=True, tag="response.output_item.done"):
    """An item is finished."""

    item: OutputItem
    output_index: int


class PartAdded(OnPart, frozen=True, kw_only=True, tag="response.content_part.added"):
    """A content part begins."""

    part: OutputText | RefusalPart | ReasoningText


class PartDone(OnPart, frozen=True, kw_only=True, tag="response.content_part.done"):
    """A content part is finished."""

    part: OutputText | RefusalPart | ReasoningText


class TextDelta(OnPart, frozen=True, kw_only=True, gc=False, tag="response.output_text.delta"):
    """A piece of the answer."""

    delta: str
    logprobs: list[Logprob]


class TextDone(OnPart, frozen=True, kw_only=True, tag="response.output_text.done"):
    """The whole text of a part."""

    logprobs: list[Logprob]
    text: str


class AnnotationAdded(OnPart, frozen=True, kw_only=True, tag="response.output_text.annotation.added"):
    """The text cites something."""

    annotation: Annotation
    annotation_index: int


class RefusalDelta(OnPart, frozen=True, kw_only=True, tag="response.refusal.delta"):
    """A piece of a refusal."""

    delta: str


class RefusalDone(OnPart, frozen=True, kw_only=True, tag="response.refusal.done"):
    """The whole refusal."""

    refusal: str


class ReasoningTextDelta(OnPart, frozen=True, kw_only=True, tag="response.reasoning_text.delta"):
    """A piece of raw reasoning."""

    delta: str


class ReasoningTextDone(OnPart, frozen=True, kw_only=True, tag="response.reasoning_text.done"):
    """A whole part of raw reasoning."""

    text: str


class SummaryPartAdded(OnSummary, frozen=True, kw_only=True, tag="response.reasoning_summary_part.added"):
    """A part of a reasoning summary begins."""

    part: SummaryText


class SummaryPartDone(OnSummary, frozen=True, kw_only=True, tag="response.reasoning_summary_part.done"):
    """A part of a reasoning summary is finished, or cut short."""

    part: SummaryText
    status: Literal["incomplete"] | UnsetType = UNSET


class SummaryTextDelta(OnSummary, frozen=True, kw_only=True, tag="response.reasoning_summary_text.delta"):
    """A piece of a reasoning summary."""

    delta: str


class SummaryTextDone(OnSummary, frozen=True, kw_only=True, tag="response.reasoning_summary_text.done"):
    """The whole text of a summary part."""

    text: str


class ItemDelta(OnItem, frozen=True, kw_only=True, gc=False):
    """A piece of what a call carries: arguments, code, free text or a diff."""

    type: ItemDeltaType
    delta: str


class FunctionArgumentsDone(OnItem, frozen=True, kw_only=True, tag="response.function_call_arguments.done"):
    """The whole arguments of a function call. No ``name``: the live service never sends one."""

    arguments: str


class McpArgumentsDone(OnItem, frozen=True, kw_only=True, tag="response.mcp_call_arguments.done"):
    """The whole arguments of an MCP call."""

    arguments: str


class CustomInputDone(OnItem, frozen=True, kw_only=True, tag="response.custom_tool_call_input.done"):
    """The whole text for a custom tool."""

    input: str


class CodeDone(OnItem, frozen=True, kw_only=True, tag="response.code_interpreter_call_code.done"):
    """The whole code for a container."""

    code: str


class DiffDone(OnItem, frozen=True, kw_only=True, tag="response.apply_patch_call_operation_diff.done"):
    """The whole diff of a patch."""

    diff: str


class ItemPhase(OnItem, frozen=True, kw_only=True):
    """A hosted call goes on: it began, works, or ended."""

    type: PhaseType


class PartialImage(OnItem, frozen=True, kw_only=True, tag="response.image_generation_call.partial_image"):
    """An image as far as it is drawn, in base64."""

    background: str | UnsetType = UNSET
    output_format: str | UnsetType = UNSET
    partial_image_b64: str
    partial_image_index: int
    quality: str | UnsetType = UNSET
    size: str | UnsetType = UNSET


class CommandAdded(OnCommand, frozen=True, kw_only=True, tag="response.shell_call_command.added"):
    """A shell command begins. No ``item_id``, as recorded."""

    command: str


class CommandDelta(OnCommand, frozen=True, kw_only=True, tag="response.shell_call_command.delta"):
    """A piece of a shell command."""

    delta: str


class CommandDone(OnCommand, frozen=True, kw_only=True, tag="response.shell_call_command.done"):
    """A whole shell command."""

    command: str


class ShellOutputDelta(Struct, frozen=True, kw_only=True):
    """A piece of what a command printed."""

    stdout: str | UnsetType = UNSET
    stderr: str | UnsetType = UNSET


class OutputDelta(OnItem, frozen=True, kw_only=True, tag="response.shell_call_output_content.delta"):
    """A command prints."""

    command_index: int
    delta: ShellOutputDelta


class OutputDone(OnItem, frozen=True, kw_only=True, tag="response.shell_call_output_content.done"):
    """All that the commands printed."""

    command_index: int
    output: list[ShellOutput]


class AudioDelta(Event, frozen=True, kw_only=True):
    """A piece of sound in base64, or of its transcript."""

    type: Literal["response.audio.delta", "response.audio.transcript.delta"]
    delta: str


class AudioDone(Event, frozen=True, kw_only=True):
    """The sound, or its transcript, is finished."""

    type: Literal["response.audio.done", "response.audio.transcript.done"]


class ErrorObject(Struct, frozen=True, kw_only=True):
    """What went wrong, with all four keys of the wire's error."""

    type: str
    code: str | None
    message: str
    param: str | None


class StreamError(Event, frozen=True, kw_only=True, tag="error"):
    """An error outside a response, nested as the live service sends it (its own types say flat)."""

    error: ErrorObject


StreamEvent = (
    Snapshot
    | ItemAdded
    | ItemDone
    | PartAdded
    | PartDone
    | TextDelta
    | TextDone
    | AnnotationAdded
    | RefusalDelta
    | RefusalDone
    | ReasoningTextDelta
    | ReasoningTextDone
    | SummaryPartAdded
    | SummaryPartDone
    | SummaryTextDelta
    | SummaryTextDone
    | ItemDelta
    | FunctionArgumentsDone
    | McpArgumentsDone
    | CustomInputDone
    | CodeDone
    | DiffDone
    | ItemPhase
    | PartialImage
    | CommandAdded
    | CommandDelta
    | CommandDone
    | OutputDelta
    | OutputDone
    | AudioDelta
    | AudioDone
    | StreamError
)
