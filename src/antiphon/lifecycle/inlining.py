"""Inlining: content as base64 and data URLs, and back. What is large is never held more often than it must be."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from io import BytesIO
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import pybase64

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

THREADED = 256 * 1024
"""Bytes from which on base64 and JSON are made and read in a thread."""

PIECE_CHARACTERS = 256 * 1024
"""What is read of base64 at once: whole groups of four characters, which stand for three bytes."""
PIECE_BYTES = PIECE_CHARACTERS // 4 * 3


async def sized(size: int, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Work on so many bytes: in a thread, where it would hold up the others."""
    return await asyncio.to_thread(work, *arguments, **named) if size > THREADED else work(*arguments, **named)


async def encoded(content: bytes) -> bytes:
    """Content as base64."""
    return await sized(len(content), pybase64.b64encode, content)


async def headed(head: str, content: bytes) -> str:
    """Content as base64 behind something, such as the head of a data URL."""
    return await sized(len(content), _headed, head, content)


async def decoded(text: str, start: int) -> bytes:
    """What base64 stands for that begins at ``start``, however it is written. Raises ``ValueError``."""
    return await sized(len(text), _decoded, text, start)


async def regular(text: str, start: int) -> bytes | None:
    """What base64 stands for that begins at ``start``.

    None for what is none, or is written otherwise than it would be written again.
    """
    return await sized(len(text), _regular, text, start)


def _headed(head: str, content: bytes) -> str:
    told, view = BytesIO(), memoryview(content)
    told.write(head.encode())
    for at in range(0, len(content), PIECE_BYTES):
        told.write(pybase64.b64encode(view[at : at + PIECE_BYTES]))
    return str(told.getbuffer(), "utf-8")


def _decoded(text: str, start: int) -> bytes:
    content = _regular(text, start)
    return b64decode(text[start:]) if content is None else content


def _regular(text: str, start: int) -> bytes | None:
    content = BytesIO()
    for at in range(start, len(text), PIECE_CHARACTERS):
        piece = text[at : at + PIECE_CHARACTERS]
        try:
            read = pybase64.b64decode(piece, validate=True)
        except ValueError:  # whoever reads it will be told
            return None
        is_short = len(read) < PIECE_BYTES and at + PIECE_CHARACTERS < len(text)
        if is_short or pybase64.b64encode_as_string(read) != piece:
            return None
        content.write(read)
    return content.getvalue()
