"""How many pixels an image has, from its first bytes or those of its base64: none is decoded, however large it is."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    Peek = Callable[[int, int], bytes]

_HEADER_CHARACTERS = 512
_SEGMENTS = 64
"""Segments of a JPEG that are stepped over before its frame; a camera writes a dozen."""
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PNG = b"\x89PNG\r\n\x1a\n"


class Pixels(Struct, frozen=True):
    """Width and height, in pixels."""

    width: int
    height: int


def size_of(content: bytes) -> Pixels | None:
    """The size of an image; None where it is no PNG, JPEG, GIF or WebP."""
    return _sized(lambda at, length: content[at : at + length])


def image_size(url: str) -> Pixels | None:
    """The size of the image of a data URL; None where it lies elsewhere, or is no PNG, JPEG, GIF or WebP."""
    start = url.find(",", 0, _HEADER_CHARACTERS) + 1
    if url[:5].lower() != "data:" or not start:
        return None

    def peek(at: int, length: int) -> bytes:
        group = start + at // 3 * 4
        groups = (at % 3 + length + 2) // 3
        try:
            read = binascii.a2b_base64(url[group : group + 4 * groups])
        except (binascii.Error, ValueError):  # broken, or no ASCII
            return b""
        return read[at % 3 :][:length]

    return _sized(peek)


def _sized(peek: Peek) -> Pixels | None:
    found = _found(peek)
    return found if found is not None and found.width and found.height else None


def _found(peek: Peek) -> Pixels | None:
    head = peek(0, 30)
    if head.startswith(_PNG) and len(head) >= 24:  # noqa: PLR2004 - where the header chunk has both sizes
        return Pixels(_big(head[16:20]), _big(head[20:24]))
    if head.startswith(b"GIF8"):
        return Pixels(_little(head[6:8]), _little(head[8:10]))
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(head)
    return _jpeg(peek) if head.startswith(b"\xff\xd8") else None


def _webp(head: bytes) -> Pixels | None:
    """The three forms of a WebP (RFC 9649, sections 2.5 to 2.7)."""
    match head[12:16]:
        case b"VP8X":
            return Pixels(_little(head[24:27]) + 1, _little(head[27:30]) + 1)
        case b"VP8L":
            packed = _little(head[21:25])
            return Pixels((packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1)
        case b"VP8 ":
            return Pixels(_little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF)
        case _:
            return None


def _jpeg(peek: Peek) -> Pixels | None:
    """Step from segment to segment to the frame, which has the size (ITU-T T.81, annex B)."""
    at = 2
    for _ in range(_SEGMENTS):
        head = peek(at, 9)
        if len(head) < 9 or head[0] != 0xFF:  # noqa: PLR2004 - a marker and what a frame begins with
            return None
        if head[1] in _FRAMES:
            return Pixels(_big(head[7:9]), _big(head[5:7]))
        at += 1 if head[1] == 0xFF else 2 + _big(head[2:4])  # noqa: PLR2004 - a marker may be padded with its first byte
    return None


def _big(number: bytes) -> int:
    return int.from_bytes(number, "big")


def _little(number: bytes) -> int:
    return int.from_bytes(number, "little")
