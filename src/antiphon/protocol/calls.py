"""The items of tools other than functions: calls, what came of them, and the lists and approvals around them."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from antiphon.protocol.content import ImageUrl, LongText
from antiphon.protocol.parts import Caller, CallId, Identified, ItemStatus, Tagged
from antiphon.protocol.tools import Tool

ImageFormat = Literal["png", "webp", "jpeg", "gif", "svg"]


class FileSearchResult(Struct, frozen=True, kw_only=True):
    """A passage that was found; ``score`` lies between 0 and 1."""

    file_id: str
    filename: str
    score: float
    text: str
    attributes: dict[str, str | float | bool] | None = None
    vector_store_id: str | UnsetType = UNSET


class FileSearchCall(Identified, frozen=True, kw_only=True, tag="file_search_call"):
    """A search of vector stores."""

    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"] = "completed"
    queries: list[str]
    results: list[FileSearchResult] | None = None


class SearchSource(Tagged, frozen=True, kw_only=True, tag="url"):
    """A page that a search used."""

    url: str


class SearchAction(Tagged, frozen=True, kw_only=True, tag="search"):
    """A web search."""

    query: str | UnsetType = UNSET
    queries: list[str] | UnsetType = UNSET
    sources: list[SearchSource] | UnsetType = UNSET


class OpenPageAction(Tagged, frozen=True, kw_only=True, tag="open_page"):
    """A page that was opened."""

    url: str | UnsetType = UNSET


class FindInPageAction(Tagged, frozen=True, kw_only=True, tag="find_in_page"):
    """A pattern that was looked for in a page."""

    url: str
    pattern: str


class WebSearchCall(Identified, frozen=True, kw_only=True, tag="web_search_call"):
    """A search of the web."""

    status: Literal["in_progress", "searching", "completed", "failed", "incomplete"] = "completed"
    action: SearchAction | OpenPageAction | FindInPageAction | UnsetType = UNSET


class Program(Identified, frozen=True, kw_only=True, tag="program"):
    """A program of the model's that calls tools."""

    call_id: CallId
    code: LongText
    fingerprint: str


class ProgramOutput(Identified, frozen=True, kw_only=True, tag="program_output"):
    """What a program printed."""

    status: Literal["completed", "incomplete"] = "completed"
    call_id: CallId
    result: LongText


class ToolSearchCall(Identified, frozen=True, kw_only=True, tag="tool_search_call"):
    """The model looks for tools that were not loaded yet."""

    status: ItemStatus = "completed"
    arguments: Any  # the reference leaves the shape of the arguments open
    call_id: CallId | None = None
    execution: Literal["server", "client"] = "server"


class ToolSearchOutput(Identified, frozen=True, kw_only=True, tag="tool_search_output"):
    """The tools that were found."""

    status: ItemStatus = "completed"
    call_id: CallId | None = None
    execution: Literal["server", "client"] = "server"
    tools: list[Tool]


class ImageRefusal(Struct, frozen=True, kw_only=True):
    """What moderation found, and whether in the prompt or in the image."""

    categories: list[str]
    moderation_stage: Literal["input", "output", "unknown"]


class ImageFault(Struct, frozen=True, kw_only=True):
    """Why an image could not be made."""

    type: str
    code: str | None = None
    message: str
    param: str | None = None
    moderation_details: ImageRefusal | UnsetType = UNSET


class SvgUsage(Struct, frozen=True, kw_only=True):
    """What a drawing in SVG cost, in tokens, and which model wrote it."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    total_tokens: int = 0


class ImageGenerationCall(Identified, frozen=True, kw_only=True, tag="image_generation_call"):
    """An image that is or was made; ``result`` is base64."""

    status: Literal["in_progress", "completed", "generating", "failed"] = "completed"
    action: Literal["generate", "edit", "auto"] | UnsetType = UNSET
    background: Literal["transparent", "opaque", "auto"] | UnsetType = UNSET
    error: ImageFault | UnsetType = UNSET
    output_format: ImageFormat | UnsetType = UNSET
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto"] | UnsetType = UNSET
    result: str | UnsetType = UNSET
    revised_prompt: str | UnsetType = UNSET
    size: str | UnsetType = UNSET
    svg_usage: SvgUsage | UnsetType = UNSET


class OutputLogs(Tagged, frozen=True, kw_only=True, tag="logs"):
    """What code printed."""

    logs: str


class OutputImage(Tagged, frozen=True, kw_only=True, tag="image"):
    """A picture that code made."""

    url: ImageUrl


class CodeInterpreterCall(Identified, frozen=True, kw_only=True, tag="code_interpreter_call"):
    """Code that runs in a container."""

    status: Literal["in_progress", "completed", "incomplete", "interpreting", "failed"] = "completed"
    code: LongText | None = None
    container_id: str
    outputs: list[OutputLogs | OutputImage] | None = None


class ExecAction(Tagged, frozen=True, kw_only=True, tag="exec"):
    """A command for the client's shell; the time-out is in milliseconds."""

    command: list[str]
    env: dict[str, str] = {}
    timeout_ms: int | UnsetType = UNSET
    user: str | UnsetType = UNSET
    working_directory: str | UnsetType = UNSET


class LocalShellCall(Identified, frozen=True, kw_only=True, tag="local_shell_call"):
    """The model asks the client to run a command."""

    status: ItemStatus = "completed"
    action: ExecAction
    call_id: CallId


class LocalShellCallOutput(Identified, frozen=True, kw_only=True, tag="local_shell_call_output"):
    """What the command printed, as JSON text."""

    status: ItemStatus | UnsetType = UNSET
    call_id: CallId | UnsetType = UNSET
    output: LongText


class ShellAction(Struct, frozen=True, kw_only=True):
    """Commands for a shell; the time-out is in milliseconds, the length in characters."""

    commands: list[str]
    max_output_length: int | None = None
    timeout_ms: int | None = None


class Skill(Struct, frozen=True, kw_only=True):
    """A folder of instructions on the client's machine."""

    name: str
    description: str
    path: str


class LocalEnvironment(Tagged, frozen=True, kw_only=True, tag="local"):
    """The client's machine."""

    skills: list[Skill] | UnsetType = UNSET


class ContainerReference(Tagged, frozen=True, kw_only=True, tag="container_reference"):
    """A container of the server's."""

    container_id: str


class ShellCall(Identified, frozen=True, kw_only=True, tag="shell_call"):
    """Commands that the model wants run."""

    status: ItemStatus = "completed"
    action: ShellAction
    call_id: CallId
    environment: LocalEnvironment | ContainerReference | UnsetType = UNSET
    caller: Caller | UnsetType = UNSET


class OutcomeExit(Tagged, frozen=True, kw_only=True, tag="exit"):
    """A command ended."""

    exit_code: int


class OutcomeTimeout(Tagged, frozen=True, kw_only=True, tag="timeout"):
    """A command was stopped."""


class ShellOutput(Struct, frozen=True, kw_only=True):
    """What one command printed and how it ended."""

    stdout: LongText
    stderr: LongText
    outcome: OutcomeExit | OutcomeTimeout


class ShellCallOutput(Identified, frozen=True, kw_only=True, tag="shell_call_output"):
    """What came of the commands."""

    status: ItemStatus = "completed"
    call_id: CallId
    max_output_length: int | None = None
    output: list[ShellOutput]
    caller: Caller | UnsetType = UNSET


class CreateFile(Tagged, frozen=True, kw_only=True, tag="create_file"):
    """Make a file."""

    path: str
    diff: LongText


class UpdateFile(Tagged, frozen=True, kw_only=True, tag="update_file"):
    """Change a file."""

    path: str
    diff: LongText


class DeleteFile(Tagged, frozen=True, kw_only=True, tag="delete_file"):
    """Remove a file."""

    path: str


class ApplyPatchCall(Identified, frozen=True, kw_only=True, tag="apply_patch_call"):
    """A change to files that the model wants made."""

    status: Literal["in_progress", "completed"] = "completed"
    call_id: CallId
    operation: CreateFile | UpdateFile | DeleteFile
    caller: Caller | UnsetType = UNSET


class ApplyPatchCallOutput(Identified, frozen=True, kw_only=True, tag="apply_patch_call_output"):
    """What came of the change."""

    status: Literal["completed", "failed"] = "completed"
    call_id: CallId
    output: LongText | UnsetType = UNSET
    caller: Caller | UnsetType = UNSET


class McpToolListing(Struct, frozen=True, kw_only=True):
    """A tool as its MCP server describes it."""

    name: str
    input_schema: dict[str, Any]  # JSON Schema is open
    description: str | UnsetType = UNSET
    annotations: dict[str, Any] | UnsetType = UNSET  # servers put what they like here


class McpListTools(Identified, frozen=True, kw_only=True, tag="mcp_list_tools"):
    """The tools of an MCP server."""

    server_label: str
    tools: list[McpToolListing]
    error: str | UnsetType = UNSET


class McpProtocolError(Tagged, frozen=True, kw_only=True, tag="mcp_protocol_error"):
    """The server broke the protocol or refused the call."""

    code: int
    message: str


class McpToolExecutionError(Tagged, frozen=True, kw_only=True, tag="mcp_tool_execution_error"):
    """The tool ran and failed."""

    content: Any  # the reference leaves it open


class McpHttpError(Tagged, frozen=True, kw_only=True, tag="http_error"):
    """The server could not be reached, or answered with an error."""

    code: int
    message: str


class McpCall(Identified, frozen=True, kw_only=True, tag="mcp_call"):
    """A call of an MCP server's tool; ``arguments`` is JSON text."""

    status: Literal["in_progress", "completed", "incomplete", "calling", "failed"] | UnsetType = UNSET
    approval_request_id: str | None = None
    arguments: LongText
    error: McpProtocolError | McpToolExecutionError | McpHttpError | str | None = None
    name: str
    output: LongText | None = None
    server_label: str


class McpApprovalRequest(Identified, frozen=True, kw_only=True, tag="mcp_approval_request"):
    """A call that waits for a person's consent."""

    arguments: LongText
    name: str
    server_label: str


class McpApprovalResponse(Identified, frozen=True, kw_only=True, tag="mcp_approval_response"):
    """A person's answer to an approval request."""

    approval_request_id: str
    approve: bool
    reason: str | UnsetType = UNSET
