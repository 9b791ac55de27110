"""PNGs that hold nothing but pixels, as screenshots do: seen to be whole in about half the time of opening them.

A screen is looked at in each step of a model that drives it, and its pixels are not needed here. Only what is flawless
is passed; all else is left to whoever opens pictures, and to what they say of it.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_PART = struct.Struct(">I4s")
_CRC = struct.Struct(">I")
_PLAIN = frozenset({b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"sBIT", b"tIME"})
"""Parts that say nothing of what is seen but its colours and its date."""
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_BITS = 8
_MOST_FILTER = 4
_PIECE = 256 * 1024


def is_whole(content: bytes) -> bool:
    """Whether this is a plain PNG of 8 bits a channel, with all of its rows. False says nothing of it."""
    try:
        parts = list(_parts(content))
        kinds = [kind for kind, _ in parts]
        pixels = [held for kind, held in parts if kind == b"IDAT"]
        if [kinds[0], kinds[-1]] != [b"IHDR", b"IEND"] or not _are_plain(kinds[1:-1], len(pixels)):
            return False
        width, height, bits, colour, *ways = _HEADER.unpack(parts[0][1])
        if bits != _BITS or colour not in _CHANNELS or any(ways) or not width or not height:
            return False
        return _have_rows(pixels, 1 + width * _CHANNELS[colour], height)
    except (IndexError, struct.error, zlib.error):
        return False


def _parts(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """All parts, as far as each is undamaged and nothing stands between them."""
    at, view = len(_MARK), memoryview(content)
    while content.startswith(_MARK) and at < len(content):
        length, kind = _PART.unpack_from(content, at)
        start = at + _PART.size
        at = start + length + _CRC.size
        if _CRC.unpack_from(content, at - _CRC.size) != (zlib.crc32(view[start - len(kind) : start + length]),):
            return
        yield kind, view[start : start + length]


def _are_plain(kinds: list[bytes], pixels: int) -> bool:
    """Whether pixels stand together, and nothing else is there that changes them."""
    before = len(kinds) - pixels
    return pixels > 0 and kinds[before:] == [b"IDAT"] * pixels and _PLAIN.issuperset(kinds[:before])


def _have_rows(pixels: list[memoryview], row: int, height: int) -> bool:
    """Whether they are so many rows, each of so many bytes, whose first tells how it is filtered."""
    size = 0
    for piece in _inflated(pixels):
        if max(piece[-size % row :: row], default=0) > _MOST_FILTER or size + len(piece) > row * height:
            return False
        size += len(piece)
    return size == row * height


def _inflated(pixels: list[memoryview]) -> Iterator[bytes]:
    """What is compressed in all of these together. Raises ``zlib.error`` where it ends too early or too late."""
    inflater = zlib.decompressobj()
    for compressed in pixels:
        piece = inflater.decompress(compressed, _PIECE)
        while piece:
            yield piece
            piece = inflater.decompress(inflater.unconsumed_tail, _PIECE)
    if not inflater.eof or inflater.unused_data:
        raise zlib.error
