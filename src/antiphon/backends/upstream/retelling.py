"""Tells a model about calls: whoever ran them, each is that of a function, with its output."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from antiphon.core.naming import function_name, member_name
from antiphon.core.outputs import in_words
from antiphon.core.turn import Output
from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CodeInterpreterCall,
    ExecAction,
    FileSearchCall,
    ImageGenerationCall,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpCall,
    McpHttpError,
    McpProtocolError,
    McpToolExecutionError,
    OutcomeExit,
    ShellAction,
    ShellCall,
    ShellCallOutput,
    ShellOutput,
    ToolSearchCall,
    ToolSearchOutput,
    WebSearchCall,
)
from antiphon.protocol.computer import Action, ComputerCall, ComputerCallOutput
from antiphon.protocol.content import InputImage, InputText
from antiphon.protocol.items import CustomToolCall, CustomToolCallOutput, FunctionCall, FunctionCallOutput
from antiphon.protocol.media import result_url
from antiphon.protocol.tools import CustomTool, FunctionTool, McpTool, NamespaceTool, Tool

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.protocol.items import Item


class Called(Struct, frozen=True):
    """A call; ``output`` is what a hosted tool answered, None if somebody else answers."""

    id: str
    name: str
    arguments: str
    output: Output | None = None


class Answered(Struct, frozen=True):
    """What came of a call."""

    id: str
    output: Output


class Told(Struct, frozen=True):
    """What an item is to a model that knows functions alone; neither for an item that means nothing to it."""

    call: Called | None = None
    answer: Answered | None = None


class Command(Struct, frozen=True, omit_defaults=True):
    """The arguments of the older shell."""

    command: list[str]
    env: dict[str, str] = {}
    timeout_ms: int | UnsetType = UNSET
    user: str | UnsetType = UNSET
    working_directory: str | UnsetType = UNSET


class Commands(Struct, frozen=True, omit_defaults=True):
    """The arguments of a shell."""

    commands: list[str]
    timeout_ms: int | None = None
    max_output_length: int | None = None


class Input(Struct, frozen=True):
    """The arguments of a custom tool."""

    input: str


class Queries(Struct, frozen=True):
    """The arguments of a file search."""

    queries: list[str]


class Code(Struct, frozen=True):
    """The arguments of a code interpreter."""

    code: str


class Actions(Struct, frozen=True):
    """The arguments of a computer."""

    actions: list[Action]


class Prompt(Struct, frozen=True):
    """The arguments of an image tool."""

    prompt: str


class Garbled(Struct, frozen=True):
    """Arguments that are not the JSON of an object, as the model wrote them."""

    arguments: str


_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode


def retell(item: Item, outputs: Mapping[str, Output]) -> Told:
    """Tell of any item that is neither a message nor a thought. ``outputs`` holds what hosted calls answered, by id."""
    if item.id in outputs:
        return _hosted(item, outputs[item.id])
    match item:
        case FunctionCall():
            return Told(Called(item.call_id, member_name(item.namespace or None, item.name), _object(item.arguments)))
        case CustomToolCall():
            return Told(Called(item.call_id, member_name(item.namespace or None, item.name), _json(Input(item.input))))
        case FunctionCallOutput() | CustomToolCallOutput():
            return Told(answer=Answered(item.call_id, item.output))
        case McpCall(output=str(output)):
            return _hosted(item, output)
        case McpCall(error=error) if error is not None:
            return _hosted(item, f"The call of this tool failed: {_reason(error)}")
        case ImageGenerationCall():  # that of a response that is not kept here
            is_drawn = item.status in {"completed", "generating"}
            return _hosted(item, "The image was drawn and shown to the user." if is_drawn else "Nothing was drawn.")
        case McpCall(status="incomplete") if item.arguments:  # the run was broken off while the call was made
            return _hosted(item, "This call was cut short. Whether it took effect is not known.")
        case _:
            return _client_run(item)


def _reason(error: McpProtocolError | McpHttpError | McpToolExecutionError | str) -> str:
    match error:
        case McpProtocolError(message=message) | McpHttpError(message=message):
            return message
        case McpToolExecutionError(content=content):
            return _json(content)
        case _:
            return error


def short_id(id: str, limit: int) -> str:
    """An id of a call that an upstream takes: the same, or where it has more than ``limit`` characters, a digest."""
    return id if len(id) <= limit else "call_" + hashlib.blake2s(id.encode(), digest_size=16).hexdigest()


def _hosted(item: Item, output: Output) -> Told:
    match item:
        case McpCall() | McpApprovalRequest():
            name, arguments = function_name(item.server_label, item.name), _object(item.arguments)
        case FileSearchCall():
            name, arguments = "file_search", _json(Queries(item.queries))
        case WebSearchCall():
            name, arguments = "web_search", "{}" if item.action is UNSET else _json(item.action)
        case CodeInterpreterCall():
            name, arguments = "code_interpreter", _json(Code(item.code or ""))
        case ImageGenerationCall():
            name, arguments, output = "image_generation", _json(Prompt(item.revised_prompt or "")), _drawn(item, output)
        case ShellCall():
            name, arguments = "shell", _commands(item.action)
        case ToolSearchCall():
            name, arguments = "tool_search", _json(item.arguments)
        case _:
            return Told()
    return Told(Called(item.id, name, arguments, output))


def _drawn(item: ImageGenerationCall, output: Output) -> Output:
    """What a model reads of a drawing, and the picture where the turn brings it."""
    url = result_url(item.result) if isinstance(item.result, str) else None
    return [InputText(text=in_words(output)), InputImage(image_url=url)] if url is not None else output


def _client_run(item: Item) -> Told:
    match item:
        case LocalShellCall():
            return Told(Called(item.call_id, "local_shell", _command(item.action)))
        case LocalShellCallOutput():
            return Told(answer=Answered(item.call_id or item.id, item.output))
        case ShellCall():
            return Told(Called(item.call_id, "shell", _commands(item.action)))
        case ShellCallOutput():
            return Told(answer=Answered(item.call_id, _printed(item.output)))
        case ApplyPatchCall():
            return Told(Called(item.call_id, "apply_patch", _json(item.operation)))
        case ApplyPatchCallOutput():
            return Told(answer=Answered(item.call_id, _patched(item)))
        case ComputerCall():
            actions = item.actions or ([] if item.action is UNSET else [item.action])
            return Told(Called(item.call_id, "computer", _json(Actions(actions))))
        case ComputerCallOutput():
            seen = InputImage(image_url=item.output.image_url, file_id=item.output.file_id)
            return Told(answer=Answered(item.call_id, [InputText(text="The screen is shown below."), seen]))
        case _:
            return _searched(item)


def _searched(item: Item) -> Told:
    """A search for tools. One of the server's has its answer with it: what it found stands among the tools."""
    match item:
        case ToolSearchCall(execution="client", call_id=str(call_id)):
            return Told(Called(call_id, "tool_search", _json(item.arguments)))
        case ToolSearchCall():
            return _hosted(item, "The search is done. What it found is among the tools.")
        case ToolSearchOutput(execution="client", call_id=str(call_id)):
            return Told(answer=Answered(call_id, _loaded(item.tools)))
        case _:
            return Told()


def _loaded(tools: list[Tool]) -> str:
    names = [name for tool in tools for name in _names(tool)]
    return f"These tools were loaded: {', '.join(names)}" if names else "No tools were found."


def _names(tool: Tool) -> list[str]:
    """What a model calls a tool, and each of the tools that it holds."""
    match tool:
        case NamespaceTool():
            return [member_name(tool.name, member.name) for member in tool.tools]
        case FunctionTool() | CustomTool():
            return [tool.name]
        case McpTool():
            return [f"those of {tool.server_label}"]
        case other:
            return [other.type]


def _command(action: ExecAction) -> str:
    return _json(
        Command(
            action.command, action.env, action.timeout_ms, user=action.user, working_directory=action.working_directory
        )
    )


def _commands(action: ShellAction) -> str:
    return _json(Commands(action.commands, action.timeout_ms, action.max_output_length))


def _printed(outputs: list[ShellOutput]) -> str:
    """What commands printed and how each ended, as a person would read it."""
    return "\n\n".join(map(_ran, outputs)) or "(no output)"


def _ran(output: ShellOutput) -> str:
    match output.outcome:
        case OutcomeExit(exit_code=code):
            end = f"(exit code {code})"
        case _:
            end = "(stopped: it took too long)"
    errors = f"(stderr)\n{output.stderr}" if output.stderr else ""
    return "\n".join(text.rstrip("\n") for text in (output.stdout, errors, end) if text)


def _patched(item: ApplyPatchCallOutput) -> str:
    """What came of a change: a model must see that it failed, whatever the client says of it."""
    said = item.output or ""
    if item.status == "failed":
        return f"The change failed: {said}" if said else "The change failed."
    return said or "The change was made."


def _object(arguments: str) -> str:
    """The JSON text of an object: upstreams parse it, and refuse a conversation in which a model has garbled one."""
    try:
        _decode_object(arguments)
    except (msgspec.DecodeError, RecursionError):
        return _json(Garbled(arguments)) if arguments.strip() else "{}"
    return arguments


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
