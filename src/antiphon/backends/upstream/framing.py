"""Cuts the bytes of a reply into the data of its server-sent events.

The rules of the HTML standard hold (``data`` lines of one event are joined by line feeds, an empty line ends it, a line
that opens with a colon is a comment, a byte order mark at the start is skipped), with four differences that upstreams
ask for: the last event counts even if the empty line after it is missing, an ``error`` field is read as data (llama.cpp
once sent its errors so), a body that opens as JSON is one event, and a line that is no field at all is an error, since
something was lost. The space after a colon is kept: what is inside is JSON.
"""

from __future__ import annotations

from antiphon.backends import UpstreamError

EVENT_LIMIT = 16 * 1024 * 1024
"""How many bytes of an unfinished event are held."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NAMELESS_FIELDS = (b"event", b"id", b"retry")


class Frames:
    """Turns chunks, cut anywhere, into the data of whole events."""

    def __init__(self, *, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._begun = False
        self._is_json = False
        self._rest: list[bytes] = []
        self._fields: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes and give the data of each event that they complete.

        Raises `UpstreamError` for a line that is no field, and for an event over the limit.
        """
        if self._begun and not self._rest and not self._fields and _is_plain(chunk):
            return [chunk[5:-2]]
        if not self._begun:
            chunk = self._begin(chunk)
        if not self._begun or self._is_json or b"\n" not in chunk:
            self._hold(chunk)
            return []
        *lines, rest = self._joined(chunk).split(b"\n")
        events = self._read(lines)
        self._hold(rest)
        return events

    def end(self) -> list[bytes]:
        """Give what is left when the bytes are over: an event whose last line or empty line is missing, or the JSON."""
        rest = self._joined(b"")
        if self._is_json:
            return [rest]
        return self._read([rest, b""]) if self._begun else []

    def _begin(self, chunk: bytes) -> bytes:
        head = self._joined(chunk)
        text = head.removeprefix(BYTE_ORDER_MARK).lstrip()
        if text and not BYTE_ORDER_MARK.startswith(head):
            self._begun = True
            self._is_json = text[:1] in {b"{", b"["}
            return text
        return head

    def _joined(self, chunk: bytes) -> bytes:
        if not self._rest:
            return chunk
        whole = b"".join((*self._rest, chunk))
        self._rest.clear()
        self._held = 0
        return whole

    def _hold(self, chunk: bytes) -> None:
        if chunk:
            self._rest.append(chunk)
            self._held += len(chunk)
        if self._held + sum(map(len, self._fields)) > self._limit:
            raise UpstreamError("server_error", "The model's server sent an event that is too long.")

    def _read(self, lines: list[bytes]) -> list[bytes]:
        events: list[bytes] = []
        for raw in lines:
            line = raw[:-1] if raw[-1:] == b"\r" else raw
            if line[:5] == b"data:":
                self._fields.append(line[5:])
            elif line:
                self._note(line)
            elif self._fields:
                events.append(b"\n".join(self._fields))
                self._fields.clear()
        return events

    def _note(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"error":
            self._fields.append(value)
        elif name and name not in NAMELESS_FIELDS:
            raise UpstreamError("server_error", "The model's server sent something that is no event.")


def _is_plain(chunk: bytes) -> bool:
    """Whether a chunk is, as most are, one whole event of one ``data`` line: its only line feeds are its last bytes."""
    return chunk.find(b"\n") == len(chunk) - 2 and chunk.endswith(b"}\n\n") and chunk.startswith(b"data:")
