"""Ids in the form of the live service: the kind, the chain's partition, the time, and chance.

``resp_`` and the like are followed by 50 hex digits: 16 of the partition, which a whole chain shares, ``00``, 8 of the
unix time, and 24 of chance. Call ids are ``call_`` and 24 letters and digits. (Recorded ids, every one.)
"""

from __future__ import annotations

import os
import re
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TO_LETTERS = bytes(_LETTERS[number % len(_LETTERS)] for number in range(256))
PIECE = 16
PORTION = 256 * PIECE  # bytes: to ask the system for each id was 7 % of a small request
_PARTITIONED = re.compile(r"[a-z]+_([0-9a-f]{16})[0-9a-f]{34}")
_pieces: list[str] = []
os.register_at_fork(after_in_child=_pieces.clear)


class Ids:
    """Makes the ids of one response. ``now`` gives unix seconds."""

    def __init__(self, partition: str, now: Callable[[], int]) -> None:
        self.partition = partition
        self._now = now

    @classmethod
    def of_chain(cls, previous_id: str | None, now: Callable[[], int]) -> Ids:
        """Ids in the partition of the response before this one, or in a new partition."""
        match = _PARTITIONED.fullmatch(previous_id or "")
        return cls(match[1] if match else random_hex(8), now)

    def new(self, prefix: str) -> str:
        """A new id of this kind."""
        if prefix == "call":
            return "call_" + letters(24)
        return f"{prefix}_{self.partition}00{self._now():08x}{random_hex(12)}"


def random_hex(length: int) -> str:
    """So many random bytes, `PIECE` at most, as hexadecimal digits."""
    while True:
        try:
            return _pieces.pop()[: 2 * length]
        except IndexError:  # asked first, another thread might take the last one in between
            portion = secrets.token_hex(PORTION)
            _pieces.extend(portion[start : start + 2 * PIECE] for start in range(0, len(portion), 2 * PIECE))


def letters(length: int) -> str:
    """So many random letters and digits."""
    return secrets.token_bytes(length).translate(_TO_LETTERS).decode()
