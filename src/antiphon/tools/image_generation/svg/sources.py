"""Where a sketch begins: the drawing inside a picture of ours, or the picture itself. Pure, and for a thread.

A PNG of ours carries its SVG in an ``iTXt`` chunk (PNG specification, section 11.3.3.4); others have none, or one that
anybody may have put there, which is cleaned like what a model writes.
"""

from __future__ import annotations

import zlib
from struct import unpack_from

from antiphon.documents.sketches import SOURCE
from antiphon.tools.image_generation.svg.cleaning import MOST_CHARACTERS, Drawing, cleaned
from antiphon.tools.image_generation.svg.elements import Undrawable
from antiphon.tools.image_generation.svg.mending import found, mended

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 1_000
_HEAD = 8  # of a chunk: its length and its type
_CHECK = 4  # of a chunk: its checksum
_SHOWN_OF_TEXT = 512


def drawing_in(content: bytes) -> Drawing | None:
    """The drawing in an encoded picture, or in the text of one; None where there is none that can be drawn."""
    text = _text_of(content)
    document = found(text) if text is not None else None
    if document is None or len(document) > MOST_CHARACTERS:
        return None
    try:
        return cleaned(mended(document))
    except Undrawable:
        return None


def is_svg(content: bytes) -> bool:
    """Whether this is the text of an SVG document and no encoded picture."""
    return b"<svg" in content[:_SHOWN_OF_TEXT] and b"\0" not in content[:_SHOWN_OF_TEXT]


def _text_of(content: bytes) -> str | None:
    if is_svg(content):
        return content[: 4 * MOST_CHARACTERS].decode("utf-8", "replace")
    if not content.startswith(_SIGNATURE):
        return None
    at = len(_SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if at + _HEAD > len(content):
            return None
        length, kind = unpack_from(">I4s", content, at)
        start = at + _HEAD
        if kind == b"iTXt" and (text := _inner(content[start : start + length])) is not None:
            return text
        at = start + length + _CHECK
    return None


def _inner(chunk: bytes) -> str | None:
    """The text of a chunk under our key: keyword, compression flag and method, language, translated keyword, text."""
    key = SOURCE.encode() + b"\0"
    if not chunk.startswith(key):
        return None
    flags, rest = chunk[len(key) : len(key) + 2], chunk[len(key) + 2 :]
    *_, text = rest.split(b"\0", 2)
    if flags[:1] == b"\1":
        try:
            text = zlib.decompressobj().decompress(text, 4 * MOST_CHARACTERS)
        except zlib.error:
            return None
    return text.decode("utf-8", "replace")
