"""Tells a model about calls: whoever ran them, each is that of a function, with its output."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, Struct

from antiphon.core.naming import function_name
from antiphon.core.outputs import in_words
from antiphon.core.turn import Output
from antiphon.protocol.calls import (
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CodeInterpreterCall,
    FileSearchCall,
    ImageGenerationCall,
    LocalShellCall,
    LocalShellCallOutput,
    McpApprovalRequest,
    McpCall,
    McpHttpError,
    McpProtocolError,
    McpToolExecutionError,
    ShellCall,
    ShellCallOutput,
    WebSearchCall,
)
from antiphon.protocol.computer import Action, ComputerCall, ComputerCallOutput
from antiphon.protocol.content import InputImage, InputText
from antiphon.protocol.items import CustomToolCall, CustomToolCallOutput, FunctionCall, FunctionCallOutput
from antiphon.protocol.media import result_url

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
            return Told(Called(item.call_id, item.name, _object(item.arguments)))
        case CustomToolCall():
            return Told(Called(item.call_id, item.name, _json(Input(item.input))))
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
            name, arguments = "shell", _json(item.action)
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
            return Told(Called(item.call_id, "local_shell", _json(item.action)))
        case LocalShellCallOutput():
            return Told(answer=Answered(item.call_id or item.id, item.output))
        case ShellCall():
            return Told(Called(item.call_id, "shell", _json(item.action)))
        case ShellCallOutput():
            return Told(answer=Answered(item.call_id, _json(item.output)))
        case ApplyPatchCall():
            return Told(Called(item.call_id, "apply_patch", _json(item.operation)))
        case ApplyPatchCallOutput():
            return Told(answer=Answered(item.call_id, item.output or item.status))
        case ComputerCall():
            actions = item.actions or ([] if item.action is UNSET else [item.action])
            return Told(Called(item.call_id, "computer", _json(Actions(actions))))
        case ComputerCallOutput():
            seen = InputImage(image_url=item.output.image_url, file_id=item.output.file_id)
            return Told(answer=Answered(item.call_id, [InputText(text="The screen is shown below."), seen]))
        case _:
            return Told()


def _object(arguments: str) -> str:
    """The JSON text of an object: upstreams parse it, and refuse a conversation in which a model has garbled one."""
    try:
        _decode_object(arguments)
    except (msgspec.DecodeError, RecursionError):
        return _json(Garbled(arguments)) if arguments.strip() else "{}"
    return arguments


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
