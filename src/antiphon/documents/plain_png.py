"""PNGs that hold nothing but pixels, as screenshots do: seen to be whole in an eighth of the time of opening them.

A screen is looked at in each step of a model that drives it, and its pixels are not needed here: no picture is made of
them, so this is done in the server, in a thread. Only what is flawless is passed, and what takes little time; all else
is left to whoever opens pictures, and to what they say of it.
"""

from __future__ import annotations

import struct
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import zlib  # whose names and types those of the faster one are
    from collections.abc import Iterator
else:
    from zlib_ng import zlib_ng as zlib

_MARK = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")
_PART = struct.Struct(">I4s")
_CRC = struct.Struct(">I")
_PLAIN = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7}
"""Parts that say nothing of what is seen but its colours, its grain and its date, with their lengths."""
_DEPTHS = b"sBIT"
"""The same, with a byte for each channel."""
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_BITS = 8
_MOST_FILTER = 4
_PIECE = 256 * 1024
_BITE = 64 * 1024
"""What is inflated of a part at once: what is left of it is copied for each piece that comes of it."""
_MOST_PARTS = 4096
_MOST_PIXELS = 16_777_216
"""More than any screen has. So many that compress well take some hundredths of a second."""
_MOST_BYTES = 4 * 1024 * 1024
"""More than a screen comes to. Codes may be made to take long: so much takes a quarter of a second at most."""


def plain_size(content: bytes, *, side: int) -> tuple[int, int] | None:
    """Width and height of a plain PNG of 8 bits a channel with all of its rows, no edge longer than ``side`` pixels.

    None says nothing of it.
    """
    if len(content) > _MOST_BYTES:
        return None
    try:
        parts = list(islice(_parts(content), _MOST_PARTS))
        if [parts[0][0], parts[-1]] != [b"IHDR", (b"IEND", b"")]:
            return None
        width, height, bits, colour, *ways = _HEADER.unpack(parts[0][1])
        if bits != _BITS or colour not in _CHANNELS or any(ways):
            return None
        pixels = [held for kind, held in parts if kind == b"IDAT"]
        if not _are_plain(parts[1:-1], len(pixels), _CHANNELS[colour]):
            return None
        if max(width, height) > side or not 0 < width * height <= _MOST_PIXELS:
            return None
        return (width, height) if _have_rows(pixels, 1 + width * _CHANNELS[colour], height) else None
    except (IndexError, struct.error, zlib.error):
        return None


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


def _are_plain(parts: list[tuple[bytes, memoryview]], pixels: int, channels: int) -> bool:
    """Whether pixels stand together, and nothing else is there that changes them."""
    before = len(parts) - pixels
    lengths = _PLAIN | {_DEPTHS: channels}
    are_known = all(lengths.get(kind) == len(held) for kind, held in parts[:before])
    return are_known and pixels > 0 and all(kind == b"IDAT" for kind, _ in parts[before:])


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
    for compressed in (held[at : at + _BITE] for held in pixels for at in range(0, len(held), _BITE)):
        if inflater.eof:  # it would keep what follows, and copy all of it for each piece more
            raise zlib.error
        piece = inflater.decompress(compressed, _PIECE)
        while piece:
            yield piece
            piece = inflater.decompress(inflater.unconsumed_tail, _PIECE)
    if not inflater.eof or inflater.unused_data:
        raise zlib.error
