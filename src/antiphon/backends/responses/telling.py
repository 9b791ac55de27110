"""Tells an upstream that speaks the Responses API what was said so far.

* The upstream has kept nothing, so an item has no ``id``; what a tool of the upstream's own made is the exception.
* A call that was answered here is told as that of a function, whatever made it; so is a call of a client's tool, but
  for those that the upstream knows itself.
* A thought is told in the form that the upstream gave, and else, if it takes that back, in plain text.
* What the MCP servers that were handed over made goes back as it came, so that an approval finds its request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UnsetType

from antiphon.backends import UpstreamError
from antiphon.backends.responses import shapes
from antiphon.backends.responses.natives import ID_LIMIT
from antiphon.backends.upstream.retelling import retell, short_id
from antiphon.core.turn import Thinking
from antiphon.protocol.calls import McpApprovalRequest, McpApprovalResponse, McpCall, McpListTools
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import ComputerScreenshot, InputFile, InputImage, OutputText, ReasoningText
from antiphon.protocol.items import CustomToolCallOutput, FunctionCallOutput, Message, ReasoningItem
from antiphon.protocol.tools import McpTool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from antiphon.backends.responses.config import Config
    from antiphon.backends.responses.natives import Natives
    from antiphon.core.turn import Output, Turn
    from antiphon.protocol.content import MessagePart
    from antiphon.protocol.items import Item


def tell(turn: Turn, config: Config, natives: Natives) -> list[shapes.Item | shapes.Bare]:
    """Give the input of a turn. Raises `UpstreamError` for a part that is a mere reference."""
    own = {id(item) for item in _upstreams_own(turn)}
    told: list[shapes.Item | shapes.Bare] = []
    for item in turn.items:
        native = None if item.id in turn.outputs else natives.told(item)
        if native is not None:
            _expect_whole_output(item)
            told.append(native)
        elif isinstance(item, ReasoningItem):
            told += _thought(item, turn.thoughts.get(item.id), is_plain=config.send_reasoning)
        else:
            told += _as_it_came(item) if id(item) in own else _told(item, turn.outputs)
    return told


def servers(turn: Turn) -> list[McpTool]:
    """The MCP servers that are handed over."""
    return [tool for tool in turn.handed_over if isinstance(tool, McpTool)]


def _upstreams_own(turn: Turn) -> list[Item]:
    """What the servers that were handed over made, and the answers to their requests."""
    labels = {tool.server_label for tool in servers(turn)}
    made = [item for item in turn.items if _label(item) in labels and item.id not in turn.outputs]
    requests = {item.id for item in made if isinstance(item, McpApprovalRequest)}
    answers = [
        item for item in turn.items if isinstance(item, McpApprovalResponse) and item.approval_request_id in requests
    ]
    return [*made, *answers]


def _label(item: Item) -> str | None:
    match item:
        case McpListTools() | McpCall() | McpApprovalRequest():
            return item.server_label
        case _:
            return None


def _as_it_came(item: Item) -> list[shapes.Item]:
    match item:
        case McpListTools() | McpCall() | McpApprovalRequest():
            return [item]
        case McpApprovalResponse():
            return [shapes.Approval(item.approval_request_id, item.approve, item.reason)]
        case _:
            return []


def _told(item: Item, outputs: Mapping[str, Output]) -> list[shapes.Item]:
    match item:
        case Message():
            return [shapes.Said(item.role, _content(item), item.phase)]
        case _:
            return _retold(item, outputs)


def _thought(item: ReasoningItem, thinking: Thinking | None, *, is_plain: bool) -> list[shapes.Item]:
    match thinking:
        case Thinking(form="encrypted", token=token) if token:
            return [shapes.Pondered(item.summary, encrypted_content=token)]
        case Thinking(text=text) if text and is_plain:
            return [shapes.Pondered(item.summary, content=[ReasoningText(text=text)], id=item.id)]
        case _:
            return []


def _retold(item: Item, outputs: Mapping[str, Output]) -> list[shapes.Item]:
    told, items = retell(item, outputs), list[shapes.Item]()
    if (call := told.call) is not None:
        call_id = short_id(call.id, ID_LIMIT)
        items.append(shapes.Called(call_id, call.name, call.arguments))
        if call.output is not None:
            items.append(shapes.Answered(call_id, _complete(call.output)))
    if (answer := told.answer) is not None:
        items.append(shapes.Answered(short_id(answer.id, ID_LIMIT), _complete(answer.output)))
    return items


def _content(message: Message) -> shapes.Content:
    """The parts; a plain answer of the model's is its text, since some upstreams take its parts only with an id."""
    match message.content:
        case [OutputText(annotations=[]) as part] if message.role == "assistant":
            return part.text
        case parts:
            _expect_whole(parts)
            return parts


def _complete(output: Output) -> Output:
    if not isinstance(output, str):
        _expect_whole(output)
    return output


def _expect_whole_output(item: Item) -> None:
    match item:
        case CustomToolCallOutput(output=list(parts)) | FunctionCallOutput(output=list(parts)):
            _expect_whole(parts)
        case ComputerCallOutput(output=ComputerScreenshot(file_id=str()) | ComputerScreenshot(image_url=UnsetType())):
            raise _refused("This model takes screenshots only by URL or as data URLs.")
        case _:
            pass


def _expect_whole(parts: Sequence[MessagePart]) -> None:
    for part in parts:
        match part:
            case InputImage(file_id=str()) | InputImage(image_url=UnsetType()):
                raise _refused("This model takes images only by URL or as data URLs.")
            case InputFile(file_id=str()) | InputFile(file_data=UnsetType(), file_url=UnsetType()):
                raise _refused("This model takes files only by URL or by their content.")
            case _:
                pass


def _refused(message: str) -> UpstreamError:
    return UpstreamError("invalid_request", message, param="input")
