"""Results of MCP tools, in the words of the client and in those of the model. Pure."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from antiphon.protocol.content import InputImage, InputPart, InputText
from antiphon.protocol.parts import Json
from antiphon.tools.mcp.headers import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.core.turn import Output

NO_OUTPUT = "(no output)"
MOST_BLOCKS_OF_AN_ERROR = 20
LONGEST_TEXT_OF_AN_ERROR = 4000
LONGEST_MESSAGE = 1000

_SHOWN = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})


class Block(Struct, frozen=True, kw_only=True, tag_field="type", rename="camel"):
    """Any block of content, told apart by its ``type``."""


class Text(Block, frozen=True, kw_only=True, tag="text"):
    """Text."""

    text: str


class Image(Block, frozen=True, kw_only=True, tag="image"):
    """A picture, in base64."""

    content: str = field(name="data")
    mime_type: str


class Audio(Block, frozen=True, kw_only=True, tag="audio"):
    """Sound, in base64."""

    content: str = field(name="data")
    mime_type: str


class Link(Block, frozen=True, kw_only=True, tag="resource_link"):
    """A resource that could be read."""

    uri: str
    name: str = ""


class Contents(Struct, frozen=True, kw_only=True, rename="camel"):
    """A resource: text, or bytes in base64."""

    uri: str
    mime_type: str | None = None
    text: str | None = None
    blob: str | None = None


class Embedded(Block, frozen=True, kw_only=True, tag="resource"):
    """A resource that comes along."""

    resource: Contents


class Unknown(Struct, frozen=True):
    """A block that we do not know, or that is none."""


AnyBlock: TypeAlias = Text | Image | Audio | Link | Embedded | Unknown


class _Raw(Struct, frozen=True, kw_only=True, rename="camel"):
    content: list[Any] = []  # each is read on its own, so that one that is none spoils no other
    structured_content: Any | UnsetType = UNSET  # any JSON
    is_error: Literal[True] | Any = False  # whatever else a server says here is no error


class Result(Struct, frozen=True, kw_only=True):
    """What a tool gave back. ``structured`` is JSON text, where the blocks do not say the same already."""

    blocks: list[AnyBlock]
    structured: str | None
    content: list[Any]  # the blocks as they were sent
    is_error: bool


def read(raw: dict[str, Any]) -> Result:  # as it was sent
    """Read a result as it was sent (a ``CallToolResult`` of the protocol)."""
    found = msgspec.convert(raw, _Raw)
    blocks = [_block(block) for block in found.content]
    structured: str | None = None
    if found.structured_content is not UNSET and found.structured_content is not None:
        told = _is_told(found.structured_content, [block.text for block in blocks if isinstance(block, Text)])
        structured = None if told else _encoded(found.structured_content)
    return Result(blocks=blocks, structured=structured, content=found.content, is_error=found.is_error is True)


def for_client(result: Result) -> str:
    """All of it as text."""
    lines = [_line(block) for block in result.blocks]
    return "\n".join(lines if result.structured is None else [*lines, result.structured])


def for_model(result: Result, *, sees_images: bool) -> Output:
    """What the model reads: the same, with pictures as such where it sees them."""
    if not sees_images or not any(_is_shown(block) for block in result.blocks):
        return for_client(result) or NO_OUTPUT
    parts: list[InputPart] = []
    for block in result.blocks:
        match block:
            case Image() if _is_shown(block):
                parts.append(InputImage(image_url=f"data:{_kind(block.mime_type)};base64,{block.content}"))
            case _:
                parts.append(InputText(text=_line(block)))
    return parts if result.structured is None else [*parts, InputText(text=result.structured)]


def error_content(result: Result, secrets: Sequence[str]) -> list[Any]:  # the reference leaves the shape open
    """The content of a failed call, as it was sent, but short and without secrets."""
    return [_short(block, secrets) for block in result.content[:MOST_BLOCKS_OF_AN_ERROR]]


def error_text(result: Result, secrets: Sequence[str]) -> str:
    """What a tool said about its failure, short and without secrets."""
    return shortened(redacted(for_client(result), secrets), LONGEST_TEXT_OF_AN_ERROR)


def error_message(text: str, secrets: Sequence[str]) -> str:
    """A server's message on one line, short, printable and without secrets."""
    line = "".join(character if character.isprintable() else " " for character in redacted(text, secrets))
    return shortened(line.strip(), LONGEST_MESSAGE)


def shortened(text: str, limit: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _block(block: object) -> AnyBlock:
    try:
        return msgspec.convert(block, Text | Image | Audio | Link | Embedded)
    except msgspec.ValidationError:
        return Unknown()


def _line(block: AnyBlock) -> str:
    match block:
        case Text(text=text):
            return text
        case Image(content=content, mime_type=kind):
            return f"[image: {kind}, {_size(content)} bytes]"
        case Audio(content=content, mime_type=kind):
            return f"[audio: {kind}, {_size(content)} bytes]"
        case Link(uri=uri, name=name):
            return f"[resource: {uri} ({name})]" if name else f"[resource: {uri}]"
        case Embedded(resource=Contents(uri=uri, text=str(text))):
            return f"[resource: {uri}]\n{text}"
        case Embedded(resource=Contents(uri=uri, blob=blob, mime_type=kind)):
            return f"[resource: {uri}, {kind or 'application/octet-stream'}, {_size(blob or '')} bytes]"
        case Unknown():
            return "[content of an unknown kind]"


def _size(content: str) -> int:
    """How many bytes base64 stands for."""
    return len(content) * 3 // 4 - content[-2:].count("=")


def _is_shown(block: object) -> bool:
    match block:
        case Image(content=content, mime_type=kind):
            return _kind(kind) in _SHOWN and _is_base64(content)
        case _:
            return False


def _kind(mime_type: str) -> str:
    return mime_type.partition(";")[0].strip().lower()


def _is_base64(content: str) -> bool:
    try:
        return bool(binascii.a2b_base64(content, strict_mode=True))
    except ValueError:
        return False


def _is_told(structured: Json, texts: list[str]) -> bool:
    """Whether texts say what the structured content says, as servers do for those who read no structured content.

    The SDK's servers wrap what is no object in ``{"result": ...}``, and write a list as a text for each element.
    """
    match structured:
        case {"result": inner, **others} if not others:
            wanted = [structured, inner]
        case _:
            wanted = [structured]
    whole = "\n".join(texts)
    told: list[Json] = [whole, _decoded(whole), [*texts], [_decoded(text) for text in texts]]
    return bool(texts) and any(value in told for value in wanted)


def _decoded(text: str) -> Json:
    try:
        decoded: Json = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
    return decoded


def _encoded(value: Json) -> str:
    return msgspec.json.encode(value).decode()


def _short(value: Json, secrets: Sequence[str]) -> Json:
    match value:
        case str():
            return shortened(redacted(value, secrets), LONGEST_TEXT_OF_AN_ERROR)
        case list():
            return [_short(inner, secrets) for inner in value[:MOST_BLOCKS_OF_AN_ERROR]]
        case dict():
            return {redacted(name, secrets): _short(inner, secrets) for name, inner in value.items()}
        case None | bool() | int() | float():
            return value
