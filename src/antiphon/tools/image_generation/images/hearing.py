"""Cuts the bytes of an answer into what it says: JSON, whole or as server-sent events. Pure.

Lines end with LF or CRLF, comments are skipped, a last event counts even if the empty line after it is missing, and a
body that opens as JSON is one answer, whatever its headers say.
"""

from __future__ import annotations

import re

import msgspec

from antiphon.protocol.response import ImageTokens, ImageToolUsage
from antiphon.tools.image_generation.images.shapes import Said, TokenDetails, Usage

MOST_TOKENS = 1_000_000_000

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
_PARTIAL = re.compile(r"\w+\.partial_image\Z")
_COMPLETED = re.compile(r"\w+\.completed\Z")


class Nonsense(Exception):
    """What arrived is no answer of an images API; the message says what it is instead, in our words."""


class TooLong(Exception):
    """An answer, or an event, is longer than its limit."""


class Hearing:
    """Turns chunks, cut anywhere, into what they say. ``limit``: bytes of one event, or of a whole answer."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest: list[bytes] = []
        self._held = 0
        self._fields: list[bytes] = []
        self._begun = False
        self._is_json = False

    def feed(self, chunk: bytes) -> list[Said]:
        """Take the next bytes. Raises `Nonsense` and `TooLong`."""
        if not self._begun:
            chunk = self._begin(chunk)
        if not self._begun or self._is_json or b"\n" not in chunk:
            self._hold(chunk)
            return []
        *lines, rest = self._joined(chunk).split(b"\n")
        said = self._read(lines)
        self._hold(rest)
        return said

    def end(self) -> list[Said]:
        """Give what is left when the bytes are over. Raises `Nonsense`."""
        rest = self._joined(b"")
        if self._is_json:
            return [_decoded(rest)]
        if not self._begun:
            raise Nonsense("an empty answer")
        return self._read([rest, b""])

    def _begin(self, chunk: bytes) -> bytes:
        head = self._joined(chunk)
        text = head.removeprefix(_BYTE_ORDER_MARK).lstrip()
        if not text or _BYTE_ORDER_MARK.startswith(head):
            return head
        self._begun = True
        self._is_json = text[:1] == b"{"
        return text

    def _joined(self, chunk: bytes) -> bytes:
        whole = b"".join((*self._rest, chunk)) if self._rest else chunk
        self._rest.clear()
        self._held = 0
        return whole

    def _hold(self, chunk: bytes) -> None:
        if chunk:
            self._rest.append(chunk)
            self._held += len(chunk)
        if self._held + sum(map(len, self._fields)) > self._limit:
            raise TooLong

    def _read(self, lines: list[bytes]) -> list[Said]:
        said: list[Said] = []
        for raw in lines:
            line = raw.removesuffix(b"\r")
            name, _, value = line.partition(b":")
            if name == b"data":
                self._fields.append(value.removeprefix(b" "))
            elif not line and self._fields:
                event = b"\n".join(self._fields)
                self._fields.clear()
                said += [] if event.strip() == _DONE else [_decoded(event)]
            elif name not in {b"", b"event", b"id", b"retry"}:
                raise Nonsense("something that is neither JSON nor a stream of events")
        return said


def is_partial(said: Said) -> bool:
    """Whether this is a picture that is not finished."""
    return _PARTIAL.match(said.type or "") is not None


def is_final(said: Said) -> bool:
    """Whether this is the finished picture."""
    return _COMPLETED.match(said.type or "") is not None or (said.type is None and said.picture is not None)


def usage_of(said: Said) -> ImageToolUsage | None:
    """What the picture cost; None where nothing that fits was said."""
    try:
        usage = msgspec.json.decode(said.usage, type=Usage | None)
    except msgspec.DecodeError:
        return None
    if usage is None:
        return None
    spent, made = _count(usage.input_tokens), _count(usage.output_tokens)
    return ImageToolUsage(
        input_tokens=spent,
        input_tokens_details=_details(usage.input_tokens_details or TokenDetails(text_tokens=spent)),
        output_tokens=made,
        output_tokens_details=_details(usage.output_tokens_details or TokenDetails(image_tokens=made)),
        total_tokens=spent + made if usage.total_tokens is None else _count(usage.total_tokens),
    )


def _details(details: TokenDetails) -> ImageTokens:
    return ImageTokens(image_tokens=_count(details.image_tokens), text_tokens=_count(details.text_tokens))


def _count(tokens: int | None) -> int:
    """A number of tokens that can be meant."""
    return min(max(tokens or 0, 0), MOST_TOKENS)


def _decoded(text: bytes) -> Said:
    try:
        return msgspec.json.decode(text, type=Said)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Nonsense("JSON that is broken, or of another form") from error
