"""What a request must keep to beyond its types: rules between its parameters, its tools and its items.

Only what the request itself shows is checked; what the store or the configuration knows is checked elsewhere. The words
were recorded where the live service was seen to say them (Responses API reference, section 1.6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.protocol.calls import (
    ImageGenerationCall,
    McpApprovalResponse,
    ToolSearchOutput,
)
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import InputFile, InputImage, InputText, MessagePart, OutputText
from antiphon.protocol.errors import (
    background_needs_store,
    invalid_request,
    invalid_value,
    missing_parameter,
    mutually_exclusive,
    shown,
)
from antiphon.protocol.items import (
    AdditionalTools,
    CompactionTrigger,
    ConfigurationUpdate,
    CustomToolCallOutput,
    FunctionCallOutput,
    Item,
    ItemReference,
    Message,
    ReasoningItem,
    Role,
    answered,
    called,
)
from antiphon.protocol.media import check_file, check_image, check_result
from antiphon.protocol.refusals import no_following_item
from antiphon.protocol.settings import FormatJsonObject, FormatJsonSchema, TextConfig
from antiphon.protocol.strictness import strict_problem
from antiphon.protocol.toolbox import check_choice, check_tools

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from antiphon.protocol.request import CreateResponse
    from antiphon.protocol.settings import TextFormat

_SAID_TO_A_MODEL = ("input_text", "input_image", "input_file", "input_audio")
_SAID_BY_A_MODEL = ("output_text", "refusal")


def check(request: CreateResponse) -> None:
    """Check the rules within one request. Raises ``ApiError`` 400 for the first that is broken."""
    _check_parameters(request)
    check_tools(request.tools)
    check_choice(request)
    _check_formats(request)
    _check_variables(request)
    for index, item in enumerate(request.input):
        _check_item(item, f"input[{index}]")
    _check_identities(request.input)
    _check_trigger(request.input)
    _check_thought(request)


def _check_parameters(request: CreateResponse) -> None:
    if request.previous_response_id is not None and request.conversation is not None:
        raise mutually_exclusive("previous_response_id", "conversation")
    if request.background is True and request.store is False:
        raise background_needs_store()
    if request.stream_options is not None and request.stream is not True:
        raise invalid_request(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )


def _check_formats(request: CreateResponse) -> None:
    """The format of the request, and those that its input brings."""
    if request.text is not None:
        _check_format(request.text.format, request, "text.format")
    for index, item in enumerate(request.input):
        match item:
            case ConfigurationUpdate(text=TextConfig(format=wanted)):
                _check_format(wanted, request, f"input[{index}].text.format")
            case _:
                pass


def _check_format(wanted: TextFormat | None, request: CreateResponse, at: str) -> None:
    match wanted:
        case FormatJsonSchema(strict=True):
            problem = strict_problem(wanted.schema_)
            if problem is not None:
                raise invalid_request(
                    f"Invalid schema for response_format '{wanted.name}': {problem}",
                    param=f"{at}.schema",
                    code="invalid_json_schema",
                )
        case FormatJsonObject() if not _may_say_json(request):
            raise invalid_request(
                "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
                "'json_object'.",
                param="input",
            )
        case _:
            pass


def _may_say_json(request: CreateResponse) -> bool:
    """Whether the word is said, or may be said where only the server can look."""
    if request.previous_response_id is not None or request.conversation is not None or request.prompt is not None:
        return True
    return "json" in (request.instructions or "").lower() or any(map(_item_may_say_json, request.input))


def _item_may_say_json(item: Item) -> bool:
    match item:
        case ItemReference():
            return True
        case FunctionCallOutput(output=str(text)) | CustomToolCallOutput(output=str(text)):
            return "json" in text.lower()
        case Message(content=parts) | FunctionCallOutput(output=parts) | CustomToolCallOutput(output=parts):
            return any("json" in text.lower() for text in _texts(parts))
        case _:
            return False


def _texts(parts: Iterable[MessagePart | str]) -> Iterable[str]:
    for part in parts:
        match part:
            case InputText(text=text) | OutputText(text=text):
                yield text
            case _:
                pass


def _check_variables(request: CreateResponse) -> None:
    variables = None if request.prompt is None else request.prompt.variables
    for name, value in (variables or {}).items():
        if not isinstance(value, str):
            _check_part(value, f"prompt.variables.{shown(name)}")


def _check_item(item: Item, at: str) -> None:
    match item:
        case Message(role=role, content=parts):
            _check_content(role, parts, f"{at}.content")
        case FunctionCallOutput(output=list(parts)) | CustomToolCallOutput(output=list(parts)):
            for index, part in enumerate(parts):
                _check_part(part, f"{at}.output[{index}]")
        case ComputerCallOutput(output=screenshot):
            check_image(screenshot, f"{at}.output")
        case ImageGenerationCall(result=str(result)) if result:
            check_result(result, f"{at}.result")
        case AdditionalTools(tools=tools) | ToolSearchOutput(tools=tools):
            check_tools(tools, f"{at}.tools")
        case ItemReference(id="") | ImageGenerationCall(id=""):
            raise missing_parameter(f"{at}.id")
        case _:
            pass


def _check_content(role: Role, parts: Sequence[MessagePart], at: str) -> None:
    supported = _SAID_BY_A_MODEL if role == "assistant" else _SAID_TO_A_MODEL
    for index, part in enumerate(parts):
        kind = str(part.__struct_config__.tag)
        if kind not in supported:
            raise invalid_value(f"{at}[{index}].type", kind, supported=supported)
        _check_part(part, f"{at}[{index}]")


def _check_part(part: MessagePart, at: str) -> None:
    match part:
        case InputImage():
            check_image(part, at)
        case InputFile():
            check_file(part, at)
        case _:
            pass


def _check_identities(items: Sequence[Item]) -> None:
    """No item, no call and no answer stands twice in an input."""
    ids: set[str] = set()
    calls: set[str] = set()
    outputs: set[str] = set()
    approvals: set[str] = set()
    for item in items:
        if item.id:
            _meet(item.id, ids, "Duplicate item found with id")
        match item:
            case Message() | ReasoningItem():  # most of a long history
                pass
            case McpApprovalResponse(approval_request_id=request_id):
                _meet(request_id, approvals, "Duplicate answer found to approval request")
            case _ if (call_id := called(item)) is not None:
                _meet(call_id, calls, "Duplicate tool call found with call_id")
            case _ if (call_id := answered(item)) is not None:
                _meet(call_id, outputs, "Duplicate tool call output found with call_id")
            case _:
                pass


def _meet(id: str, met: set[str], fault: str) -> None:
    if id in met:
        raise invalid_request(
            f"{fault} {shown(id)}. Remove duplicate items from your input and try again.", param="input"
        )
    met.add(id)


def _check_thought(request: CreateResponse) -> None:
    """A thought does not end a conversation: what it led to is missing.

    Only where that is certain: what is kept may hold more. A thought that the user interrupted is left out later.
    """
    match request.input[-1:]:
        case [ReasoningItem() as thought] if request.previous_response_id is None and request.conversation is None:
            if thought.summary or thought.encrypted_content:
                raise no_following_item(thought.id)
        case _:
            pass


def _check_trigger(items: Sequence[Item]) -> None:
    for index, item in enumerate(items[:-1]):
        if isinstance(item, CompactionTrigger):
            raise invalid_request(
                "Item of type 'compaction_trigger' must be the last item of the input.",
                param=f"input[{index}]",
                code="invalid_value",
            )
