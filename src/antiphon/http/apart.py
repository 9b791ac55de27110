"""Reading what is long apart from the loop, which has others to serve."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S")
T = TypeVar("T")

THREADED = 1024 * 1024
"""Bytes from which on something is read in a thread: that takes milliseconds."""


async def read_apart(read: Callable[[S], T], what: S, *, size: int) -> T:
    """What ``read`` makes of something, in a thread where that is long. Raises what ``read`` raises."""
    return await asyncio.to_thread(read, what) if size > THREADED else read(what)
