"""Items: what a conversation is a list of. One struct serves an item as input, as output and as kept.

Nulls that a client sends mean "absent" and are dropped before an item is read. An ``id`` that is empty is given by the
server. A key that is ``UNSET`` is left out of the JSON, one that is ``None`` is sent as null, as the live service does.
Items of hosted and client-run tools other than functions live in `antiphon.protocol.calls`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CodeInterpreterCall,
    FileSearchCall,
    ImageGenerationCall,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    Program,
    ProgramOutput,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
    WebSearchCall,
)
from antiphon.protocol.computer import ComputerCall, ComputerCallOutput
from antiphon.protocol.content import ImageUrl, InputPart, LongText, MessagePart, ReasoningText, SummaryText
from antiphon.protocol.parts import Caller, CallId, Identified, ItemStatus
from antiphon.protocol.settings import Reasoning, TextConfig
from antiphon.protocol.tools import Tool

Role = Literal["user", "assistant", "system", "developer"]
MAX_BROUGHT = 1024
"""Tools that one item brings."""
MessagePhase = Literal["commentary", "final_answer"]


class Message(Identified, frozen=True, kw_only=True, tag="message"):
    """What somebody said. The server's own messages have the role ``assistant``."""

    status: ItemStatus = "completed"
    role: Role
    content: list[MessagePart]
    phase: MessagePhase | UnsetType = UNSET


class FunctionCall(Identified, frozen=True, kw_only=True, tag="function_call", rename={"async_": "async"}):
    """The model asks the client to run a function; ``arguments`` is JSON text, cut short if the item is incomplete."""

    status: ItemStatus = "completed"
    arguments: LongText
    call_id: CallId
    name: str
    namespace: str | UnsetType = UNSET
    caller: Caller | UnsetType = UNSET
    async_: bool | UnsetType = UNSET


class FunctionCallOutput(Identified, frozen=True, kw_only=True, tag="function_call_output"):
    """What the client's function returned."""

    status: ItemStatus = "completed"
    call_id: CallId
    output: LongText | list[InputPart]
    name: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    caller: Caller | UnsetType = UNSET


class CustomToolCall(Identified, frozen=True, kw_only=True, tag="custom_tool_call", rename={"async_": "async"}):
    """The model asks the client to run a custom tool on free text."""

    status: ItemStatus = "completed"
    call_id: CallId
    input: LongText
    name: str
    namespace: str | UnsetType = UNSET
    caller: Caller | UnsetType = UNSET
    async_: bool | UnsetType = UNSET


class CustomToolCallOutput(Identified, frozen=True, kw_only=True, tag="custom_tool_call_output"):
    """What the client's custom tool returned."""

    status: ItemStatus = "completed"
    call_id: CallId
    output: LongText | list[InputPart]
    caller: Caller | UnsetType = UNSET


class ReasoningItem(Identified, frozen=True, kw_only=True, tag="reasoning"):
    """What the model thought: a summary, its raw text, or a sealed form of it."""

    summary: list[SummaryText]
    content: list[ReasoningText] | UnsetType = UNSET
    encrypted_content: ImageUrl | UnsetType = UNSET
    status: ItemStatus | UnsetType = UNSET


class Compaction(Identified, frozen=True, kw_only=True, tag="compaction"):
    """A sealed summary that stands for everything before it."""

    encrypted_content: ImageUrl


class CompactionTrigger(Identified, frozen=True, kw_only=True, tag="compaction_trigger"):
    """A wish to compact now; the last item of an input."""


class ItemReference(Identified, frozen=True, kw_only=True, tag="item_reference"):
    """An item that the server keeps, by its id."""


class AdditionalTools(Identified, frozen=True, kw_only=True, tag="additional_tools"):
    """Tools that join the request's from here on."""

    role: Role | Literal["unknown", "critic", "discriminator", "tool"] = "developer"
    tools: Annotated[list[Tool], Meta(max_length=MAX_BROUGHT)]


class ConfigurationUpdate(Identified, frozen=True, kw_only=True, tag="configuration_update"):
    """Settings that hold from here on until replaced."""

    reasoning: Reasoning | UnsetType = UNSET
    text: TextConfig | UnsetType = UNSET


OutputItem = (
    Message
    | FileSearchCall
    | FunctionCall
    | FunctionCallOutput
    | WebSearchCall
    | ComputerCall
    | ComputerCallOutput
    | ReasoningItem
    | Program
    | ProgramOutput
    | ToolSearchCall
    | ToolSearchOutput
    | AdditionalTools
    | Compaction
    | ImageGenerationCall
    | CodeInterpreterCall
    | LocalShellCall
    | LocalShellCallOutput
    | ShellCall
    | ShellCallOutput
    | ApplyPatchCall
    | ApplyPatchCallOutput
    | McpCall
    | McpListTools
    | McpApprovalRequest
    | McpApprovalResponse
    | CustomToolCall
    | CustomToolCallOutput
)
"""What a response may hold."""

Item = OutputItem | ItemReference | ConfigurationUpdate | CompactionTrigger
"""What a request may hold: any output that comes back, and what only callers send."""

PREFIXES: dict[type[Item], str] = {
    Message: "msg",
    FileSearchCall: "fs",
    FunctionCall: "fc",
    FunctionCallOutput: "fco",
    WebSearchCall: "ws",
    ComputerCall: "cu",
    ComputerCallOutput: "cuo",
    ReasoningItem: "rs",
    Program: "cm",
    ProgramOutput: "cmo",
    ToolSearchCall: "tsc",
    ToolSearchOutput: "tso",
    AdditionalTools: "at",
    Compaction: "cmp",
    ImageGenerationCall: "ig",
    CodeInterpreterCall: "ci",
    LocalShellCall: "lsh",
    LocalShellCallOutput: "lsho",
    ShellCall: "sh",
    ShellCallOutput: "sho",
    ApplyPatchCall: "apc",
    ApplyPatchCallOutput: "apco",
    McpCall: "mcp",
    McpListTools: "mcpl",
    McpApprovalRequest: "mcpr",
    McpApprovalResponse: "mcpa",
    CustomToolCall: "ctc",
    CustomToolCallOutput: "ctco",
    ItemReference: "ref",
    ConfigurationUpdate: "cu",
    CompactionTrigger: "ct",
}
"""The prefix of a new id, by the kind of item (recorded ids; those never recorded follow the same pattern)."""


def called(item: Item) -> str | None:
    """The id under which the output of a call is expected, as far as the item is a call and says one."""
    match item:
        case (
            FunctionCall(call_id=call_id)
            | CustomToolCall(call_id=call_id)
            | ComputerCall(call_id=call_id)
            | ShellCall(call_id=call_id)
            | LocalShellCall(call_id=call_id)
            | ApplyPatchCall(call_id=call_id)
            | ToolSearchCall(call_id=call_id)
            | Program(call_id=call_id)
        ):
            return call_id
        case _:
            return None


def answered(item: Item) -> str | None:
    """The id of the call that an output answers, as far as the item is an output and says one."""
    match item:
        case (
            FunctionCallOutput(call_id=call_id)
            | CustomToolCallOutput(call_id=call_id)
            | ComputerCallOutput(call_id=call_id)
            | ShellCallOutput(call_id=call_id)
            | ApplyPatchCallOutput(call_id=call_id)
            | ToolSearchOutput(call_id=call_id)
            | ProgramOutput(call_id=call_id)
        ):
            return call_id
        case LocalShellCallOutput(call_id=str(call_id)):
            return call_id
        case _:
            return None
