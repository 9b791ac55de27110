"""Tells what people show: text, images, and the documents that the API reads itself, which are PDF and plain text."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.anthropic import shapes
from antiphon.backends.anthropic.caching import breakpoint_of
from antiphon.protocol.content import InputAudio, InputFile, InputImage, InputText, OutputText, RefusalPart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import UnsetType

    from antiphon.protocol.content import MessagePart

PDF = "application/pdf"
PDF_START = "JVBERi"
"""How a PDF begins in base64."""

TEXTS = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
"""Media types besides ``text/...`` of which the content is text."""


def tell_parts(parts: Sequence[MessagePart], mark: shapes.Cache | None) -> list[shapes.Shown]:
    """Give the blocks of parts; text of white space alone is left out, since the API refuses it.

    ``mark`` is put where the caller marked a part. Raises `UpstreamError` for a part that the API does not take.
    """
    told = list[shapes.Shown]()
    for part in parts:
        block = _block(part)
        if isinstance(block, shapes.Text) and not block.text.strip():
            continue
        told.append(_marked(block, mark) if mark is not None and breakpoint_of(part) is not None else block)
    return told


def words(parts: Sequence[MessagePart]) -> list[str]:
    """The words of a message; an instruction or an answer of the model's has nothing else."""
    return [block.text for block in tell_parts(parts, None) if isinstance(block, shapes.Text)]


def _marked(block: shapes.Shown, mark: shapes.Cache) -> shapes.Shown:
    return replace(block, cache_control=mark)


def _block(part: MessagePart) -> shapes.Shown:
    match part:
        case InputText() | OutputText():
            return shapes.Text(part.text)
        case RefusalPart():
            return shapes.Text(part.refusal)
        case InputImage(image_url=str(url)):
            return _image(url)
        case InputFile(file_data=str(content)):
            return _document(content, part.filename)
        case InputFile(file_url=str(url)):
            return shapes.Document(shapes.Url(url), part.filename)
        case InputAudio():
            raise _refused("This model does not take sound.")
        case InputImage():
            raise _refused("This model takes images only by URL or as data URLs.")
        case InputFile():
            raise _refused("This model takes files only by URL or by their content.")


def _image(url: str) -> shapes.Image:
    if url[:5].lower() != "data:":
        return shapes.Image(shapes.Url(url))
    media_type, content = _taken_apart(url)
    return shapes.Image(shapes.Base64(media_type.replace("image/jpg", "image/jpeg"), content))


def _document(content: str, name: str | UnsetType) -> shapes.Shown:
    media_type, base64 = _taken_apart(content)
    if media_type == PDF or base64.startswith(PDF_START):
        return shapes.Document(shapes.Base64(PDF, base64), name)
    if media_type.startswith("image/"):
        return _image(content)
    if media_type.startswith("text/") or media_type in TEXTS:
        return shapes.Document(shapes.Plain(_decoded(base64)), name)
    raise _refused("This model reads no files of this type, only PDF and plain text.")


def _taken_apart(url: str) -> tuple[str, str]:
    """The media type of a data URL and its base64; bare base64 has no type."""
    if url[:5].lower() != "data:":
        return "", url
    head, _, content = url.partition(",")
    return head[5:].partition(";")[0].lower(), content


def _decoded(base64: str) -> str:
    try:
        return binascii.a2b_base64(base64).decode()
    except ValueError as error:
        raise _refused("This model reads text files only in UTF-8.") from error


def _refused(message: str) -> UpstreamError:
    return UpstreamError("invalid_request", message, param="input")
