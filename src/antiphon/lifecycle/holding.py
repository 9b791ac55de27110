"""Holding: where base64 stands in items, events and tools, and the same with other strings in its place.

Each function hands every string that may be base64, or a data URL, to ``swap``, and puts there what that gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import ComputerScreenshot, InputFile, InputImage
from antiphon.protocol.events import ItemDone, PartialImage, Snapshot
from antiphon.protocol.items import CustomToolCallOutput, FunctionCallOutput, Message
from antiphon.protocol.tool_settings import ImageMask
from antiphon.protocol.tools import ImageGenerationTool

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.core.turn import Output
    from antiphon.protocol.content import InputPart, MessagePart
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.items import Item, OutputItem
    from antiphon.protocol.response import Response
    from antiphon.protocol.tools import Tool

    Swap = Callable[[str], str]

PartT = TypeVar("PartT", bound="MessagePart | InputPart")

HOLDERS = frozenset({PartialImage, ItemDone, Snapshot})
"""The events that may hold base64."""


def in_event(event: StreamEvent, swap: Swap) -> StreamEvent:
    """An event of a run: of its items the drawings may hold base64."""
    match event:
        case PartialImage():
            return replace(event, partial_image_b64=swap(event.partial_image_b64))
        case ItemDone(item=ImageGenerationCall() as item):
            return replace(event, item=in_drawing(item, swap))
        case Snapshot() if event.response.output:
            return replace(event, response=in_response(event.response, swap))
        case _:
            return event


def in_response(response: Response, swap: Swap) -> Response:
    """A response: of its output the drawings."""
    output: list[OutputItem] = [
        in_drawing(item, swap) if isinstance(item, ImageGenerationCall) else item for item in response.output
    ]
    return replace(response, output=output)


def in_tool(tool: Tool, swap: Swap) -> Tool:
    """A tool: the mask of a drawing."""
    match tool:
        case ImageGenerationTool(input_image_mask=ImageMask(image_url=str(url)) as mask):
            return replace(tool, input_image_mask=replace(mask, image_url=swap(url)))
        case _:
            return tool


def in_item(item: Item, swap: Swap) -> Item:
    """An item of an input: pictures, documents and drawings."""
    match item:
        case Message():
            return replace(item, content=[in_part(part, swap) for part in item.content])
        case FunctionCallOutput(output=list() as parts) | CustomToolCallOutput(output=list() as parts):
            return replace(item, output=[in_part(part, swap) for part in parts])
        case ComputerCallOutput(output=ComputerScreenshot(image_url=str(url)) as screenshot):
            return replace(item, output=replace(screenshot, image_url=swap(url)))
        case ImageGenerationCall():
            return in_drawing(item, swap)
        case _:
            return item


def in_output(output: Output, swap: Swap) -> Output:
    """What a model read of a hosted call: the pictures in it."""
    if isinstance(output, str):
        return output
    return [in_part(part, swap) for part in output]


def in_drawing(item: ImageGenerationCall, swap: Swap) -> ImageGenerationCall:
    """A drawing: what it shows."""
    return replace(item, result=swap(item.result)) if isinstance(item.result, str) else item


def in_part(part: PartT, swap: Swap) -> PartT:
    """A part of a content: the picture or the document in it."""
    match part:
        case InputImage(image_url=str(url)):
            return replace(part, image_url=swap(url))
        case InputFile(file_data=str(content)):
            return replace(part, file_data=swap(content))
        case _:
            return part
