"""Images that callers name by a URL, fetched for models that cannot fetch them, and handed on as data."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import anyio
from msgspec.structs import replace

from antiphon.outbound import OutboundError
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import ComputerScreenshot, InputImage
from antiphon.protocol.errors import ApiError, invalid_request
from antiphon.protocol.items import CustomToolCallOutput, FunctionCallOutput, Item, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from antiphon.outbound import Outbound
    from antiphon.protocol.content import MessagePart

    Part = MessagePart | ComputerScreenshot

IMAGE_BYTES = 20_971_520
IMAGES_AT_ONCE = 4
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


async def with_fetched_images(items: list[Item], outbound: Outbound) -> list[Item]:
    """The same items with every image that a URL names as a data URL. Each URL is fetched once.

    Raises ``ApiError`` for an image that cannot be fetched, is longer than `IMAGE_BYTES`, or is none.
    """
    urls = {url for item in items for part in _parts(item) if (url := _remote(part)) is not None}
    if not urls:
        return items
    fetched: dict[str, str] = {}
    refused: list[ApiError] = []
    limiter = anyio.CapacityLimiter(IMAGES_AT_ONCE)

    async def fetch(url: str) -> None:
        async with limiter:
            try:
                fetched[url] = await _inlined(url, outbound)
            except ApiError as error:
                refused.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for url in sorted(urls):
            group.start_soon(fetch, url)
    if refused:
        raise refused[0]
    return [_with_images(item, fetched) for item in items]


async def _inlined(url: str, outbound: Outbound) -> str:
    try:
        found = await outbound.fetch(url, limit=IMAGE_BYTES, accept="image/*")
    except OutboundError as error:
        raise invalid_request(
            f"Error while downloading an image: {error}", param="input", code="failed_to_download_image"
        ) from error
    media_type = sniffed(found.content)
    if media_type is None:
        raise invalid_request(
            "A URL in the input does not lead to a PNG, JPEG, WebP or GIF image.",
            param="input",
            code="unsupported_image_media_type",
        )
    return f"data:{media_type};base64,{b64encode(found.content).decode()}"


def sniffed(content: bytes) -> str | None:
    """The media type of an image by its first bytes; None where they are none that models read."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for start, media_type in _SIGNATURES.items() if content.startswith(start)), None)


def _parts(item: Item) -> Iterable[Part]:
    match item:
        case Message():
            return item.content
        case ComputerCallOutput():
            return [item.output]
        case FunctionCallOutput(output=list() as parts) | CustomToolCallOutput(output=list() as parts):
            return parts
        case _:
            return []


def _remote(part: Part) -> str | None:
    match part:
        case InputImage(image_url=str() as url) | ComputerScreenshot(image_url=str() as url):
            return None if url[:5].lower() == "data:" else url
        case _:
            return None


def _with_images(item: Item, fetched: dict[str, str]) -> Item:
    match item:
        case Message():
            return replace(item, content=[_shown(part, fetched) for part in item.content])
        case ComputerCallOutput(output=ComputerScreenshot(image_url=str() as url) as screenshot) if url in fetched:
            return replace(item, output=replace(screenshot, image_url=fetched[url]))
        case FunctionCallOutput(output=list() as parts) | CustomToolCallOutput(output=list() as parts):
            return replace(item, output=[_shown(part, fetched) for part in parts])
        case _:
            return item


def _shown(part: MessagePart, fetched: dict[str, str]) -> MessagePart:
    match part:
        case InputImage(image_url=str() as url) if url in fetched:
            return replace(part, image_url=fetched[url])
        case _:
            return part
