"""Frames of a client: from bytes to messages, one frame at a time (RFC 6455, section 5).

What arrives of a message is unmasked and checked at once, so that nothing is left to be done when a long one is whole.
A frame that is too long is refused by its header.
"""

from __future__ import annotations

import codecs
from io import BytesIO

from msgspec import Struct
from websockets.frames import CloseCode

try:
    from websockets.speedups import apply_mask
except ImportError:  # where it is not compiled
    from websockets.utils import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
SMALL = 64
"""A fragment of fewer bytes brings little for what it costs."""
_OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_FIN, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
_MASKED, _LENGTH = 0x80, 0x7F
_LONG, _LONGER = 126, 127
_SIZES = {_LONG: 8, _LONGER: 14}
_MOST_CONTROL = 125
_utf_8 = codecs.getincrementaldecoder("utf-8")


class Heard(Struct, frozen=True):
    """A whole message, a control frame, or a fragment (`CONTINUATION`), whose payload is kept until all are there.

    ``is_small``: one of those of which a client could send very many for little.
    """

    opcode: int
    payload: bytes = b""
    is_small: bool = False


class Broken(Exception):
    """A client broke the protocol. The message is the reason, and ``code`` the code with which it is closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Frame(Struct, frozen=True):
    opcode: int
    fin: bool
    length: int
    mask: bytes


class Unframing:
    """What one client says. ``limit``: the bytes that a message may have."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._unread = b""
        self._at = 0
        self._frame: _Frame | None = None
        self._left = 0
        self._kind = CONTINUATION
        self._whole = BytesIO()
        self._text = _utf_8()

    def feed(self, arrived: bytes) -> None:
        """Take bytes as they come."""
        self._unread = self._unread[self._at :] + arrived if self.has_unread else arrived
        self._at = 0

    @property
    def has_unread(self) -> bool:
        """Whether there are bytes that were not looked at."""
        return self._at < len(self._unread)

    def next(self) -> Heard | None:
        """Read one frame, or what there is of it; None where more has to come. Raises `Broken`."""
        frame = self._frame
        if frame is None:
            frame = self._head()
            if frame is None:
                return None
            self._frame, self._left = frame, frame.length
        if frame.opcode >= CLOSE:
            return self._control(frame)
        return self._piece(frame)

    def _head(self) -> _Frame | None:
        unread, at = self._unread, self._at
        there = len(unread) - at
        if there < 2:  # noqa: PLR2004 - the bytes that say how long a head is
            return None
        first, second = unread[at], unread[at + 1]
        self._check(first, second)
        length = second & _LENGTH
        size = _SIZES.get(length, 6)
        if there < size:
            return None
        if size > 6:  # noqa: PLR2004 - the length stands in bytes of its own
            length = int.from_bytes(unread[at + 2 : at + size - 4])
        opcode = first & _OPCODE
        if opcode < CLOSE and self._whole.tell() + length > self.limit:
            raise Broken(CloseCode.MESSAGE_TOO_BIG, f"A message may have {self.limit} bytes.")
        self._advance(at + size)
        return _Frame(opcode, first >= _FIN, length, unread[at + size - 4 : at + size])

    def _check(self, first: int, second: int) -> None:
        """Refuse a frame that must not come, or not now."""
        opcode = first & _OPCODE
        if first & _RESERVED or opcode not in _OPCODES:
            raise Broken(CloseCode.PROTOCOL_ERROR, "The frame is of no kind that was agreed on.")
        if not second & _MASKED:
            raise Broken(CloseCode.PROTOCOL_ERROR, "Frames of a client are masked.")
        if opcode >= CLOSE:
            if first < _FIN or second & _LENGTH > _MOST_CONTROL:
                raise Broken(CloseCode.PROTOCOL_ERROR, "A control frame is short, and whole.")
        elif (opcode == CONTINUATION) != (self._kind != CONTINUATION):
            raise Broken(CloseCode.PROTOCOL_ERROR, "The fragments of a message follow each other.")

    def _control(self, frame: _Frame) -> Heard | None:
        end = self._at + frame.length
        if len(self._unread) < end:
            return None
        payload = apply_mask(self._unread[self._at : end], frame.mask)
        self._frame = None
        self._advance(end)
        return Heard(frame.opcode, payload, is_small=True)

    def _piece(self, frame: _Frame) -> Heard | None:
        """Keep what there is of a frame."""
        at = self._at
        end = min(at + self._left, len(self._unread))
        turn = (frame.length - self._left) % 4
        mask = frame.mask[turn:] + frame.mask[:turn] if turn else frame.mask
        piece = apply_mask(self._unread[at:end], mask)
        self._left -= len(piece)
        self._advance(end)
        is_first = self._kind == CONTINUATION
        self._kind = frame.opcode or self._kind
        is_last = not self._left and frame.fin
        if self._kind == TEXT:
            self._read(piece, is_last=is_last)
        if not self._left:
            self._frame = None
        if not (is_first and is_last):
            self._whole.write(piece)
        if is_last:
            return self._message(piece if is_first else self._whole.getvalue())
        return None if self._left else Heard(CONTINUATION, is_small=frame.length < SMALL)

    def _advance(self, to: int) -> None:
        """What was read is let go: a connection may then be silent for an hour."""
        if to == len(self._unread):
            self._unread, to = b"", 0
        self._at = to

    def _read(self, piece: bytes, *, is_last: bool) -> None:
        try:
            self._text.decode(piece, is_last)
        except UnicodeDecodeError as error:
            raise Broken(CloseCode.INVALID_DATA, "A text message is UTF-8.") from error

    def _message(self, payload: bytes) -> Heard:
        heard = Heard(self._kind, payload)
        self._kind = CONTINUATION
        if self._whole.tell():
            self._whole = BytesIO()
        return heard
