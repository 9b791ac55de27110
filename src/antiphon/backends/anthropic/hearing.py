"""Turns the bytes of a Messages stream into deltas. Pure: no I/O, no clock.

* A message is made of blocks, one after another: text, thinking, thinking that nobody may read, calls. A block of
  another sort is skipped, since nobody asked for it: ``ignored`` has its type. So is an event of a type that means
  nothing here, such as ``ping``.
* A thought ends with its signature, which comes before the end of its block.
* ``message_delta`` tells why the model ended and what it cost, ``message_stop`` ends the stream, ``error`` fails it.
* Where the upstream does not count what was thought, it is estimated from its share of all characters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import astuple

from antiphon.backends import UpstreamError
from antiphon.backends.anthropic import events
from antiphon.backends.anthropic.faults import breakdown
from antiphon.backends.upstream.framing import Frames
from antiphon.core.deltas import Call, Finish, Keepsake, Refused, Text, Thought
from antiphon.protocol.response import InputTokens, OutputTokens, Usage

if TYPE_CHECKING:
    from antiphon.core.deltas import Delta, FinishReason

REASONS: dict[str, FinishReason] = {
    "max_tokens": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "pause_turn": "max_output_tokens",  # a tool of the upstream's own was cut short; none is ever offered
    "refusal": "content_filter",
}
"""What stopped the model, where it was not the model itself; every other word means that it had spoken."""

DECLINED = "The model declined to answer."
NO_EVENT = "The model's server sent something that is no event of the Messages API."
NO_INPUTS = frozenset({b"{}", b"null"})


class Forming:
    """A block that is being heard: its type and, of a thought, its signature so far."""

    def __init__(self, type: str) -> None:
        self.type = type
        self.signature = ""


class Said(Struct):
    """How many characters were thought and said."""

    thought: int = 0
    spoken: int = 0


class Decoder:
    """Hears one stream. ``finished`` turns true with the `Finish`, after which nothing more is heard."""

    def __init__(self) -> None:
        self.finished = False
        self.error: UpstreamError | None = None
        self.ignored: set[str] = set()
        self._frames = Frames()
        self._decode = msgspec.json.Decoder(events.Event).decode
        self._blocks: dict[int, Forming] = {}
        self._said = Said()
        self._spent = events.Spent()
        self._reason: str | None = None
        self._why: str | None = None

    @property
    def spoken(self) -> bool:
        """Whether the model has said why it ended: nothing but the end of the stream is missing."""
        return self._reason is not None

    def feed(self, chunk: bytes) -> list[Delta]:
        """Take the next bytes, cut anywhere, and give what they complete.

        Raises `UpstreamError` if the upstream reports an error or sends what is no event. Where something was said
        before it in the same bytes, that is given, and ``error`` holds what is to be raised then.
        """
        return self._all(self._frames.feed(chunk))

    def end(self) -> list[Delta]:
        """The bytes are over: give what is left. If they were cut short, there has been no `Finish`."""
        deltas = self._all(self._frames.end())
        return deltas + self._finish() if self.spoken and not self.finished and self.error is None else deltas

    def _all(self, frames: list[bytes]) -> list[Delta]:
        deltas: list[Delta] = []
        for frame in frames:
            if self.finished or self.error is not None:
                break
            try:
                deltas += self._hear(frame)
            except UpstreamError as error:
                self.error = error
        if self.error is not None and not deltas:
            raise self.error
        return deltas

    def _hear(self, frame: bytes) -> list[Delta]:
        try:
            event = self._decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamError("server_error", NO_EVENT, detail=str(error)) from error
        match event:
            case events.Event(type="content_block_delta", delta=events.Piece() as piece):
                return self._go_on(event.index, piece)
            case events.Event(type="content_block_start", content_block=events.Block() as block):
                return self._begin(event.index, block)
            case events.Event(type="content_block_stop"):
                return self._end(event.index)
            case events.Event(type="message_start", message=events.Begun(usage=spent)):
                self._spend(spent)
            case events.Event(type="message_delta", delta=events.Piece() as piece):
                self._spend(event.usage)
                self._stop(piece.stop_reason, piece.stop_details)
            case events.Event(type="message_stop"):
                return self._finish()
            case events.Event(type="message", content=list() as blocks):
                return self._whole(event, blocks)
            case events.Event(type="error" | ""):
                raise breakdown(frame)
            case _:
                pass
        return []

    def _begin(self, index: int, block: events.Block) -> list[Delta]:
        self._blocks[index] = forming = Forming(block.type)
        match block.type:
            case "text" | "thinking":
                return self._go_on(index, events.Piece(text=block.text, thinking=block.thinking))
            case "redacted_thinking":
                return [Keepsake("redacted", block.content)] if block.content else []
            case "tool_use" if block.name:
                return [Call(str(index), block.name, self._arguments(block.input))]
            case "tool_use":
                raise UpstreamError("server_error", "The model called a function without naming it.")
            case _:
                self.ignored.add(forming.type)
                return []

    def _arguments(self, input: Raw) -> str:
        """The arguments of a call that is told whole; a stream begins with an empty object and tells them later."""
        whole = bytes(input)
        if whole in NO_INPUTS:
            return ""
        self._said.spoken += len(whole)
        return whole.decode()

    def _go_on(self, index: int, piece: events.Piece) -> list[Delta]:
        forming = self._blocks.get(index)
        match None if forming is None else forming.type:
            case "text" if piece.text:
                self._said.spoken += len(piece.text)
                return [Text(piece.text)]
            case "tool_use" if piece.partial_json:
                self._said.spoken += len(piece.partial_json)
                return [Call(str(index), arguments=piece.partial_json)]
            case "thinking" if forming is not None:
                forming.signature += piece.signature or ""
                self._said.thought += len(piece.thinking or "")
                return [Thought(piece.thinking)] if piece.thinking else []
            case _:
                return []

    def _end(self, index: int) -> list[Delta]:
        forming = self._blocks.pop(index, None)
        return [Keepsake("signature", forming.signature)] if forming is not None and forming.signature else []

    def _whole(self, message: events.Event, blocks: list[events.Block]) -> list[Delta]:
        """An answer that is no stream."""
        deltas: list[Delta] = []
        for index, block in enumerate(blocks):
            deltas += self._begin(index, block)
            self._blocks[index].signature = block.signature or ""
            deltas += self._end(index)
        self._spend(message.usage)
        self._stop(message.stop_reason, message.stop_details)
        return deltas + self._finish()

    def _stop(self, reason: str | None, why: events.Why | None) -> None:
        self._reason = reason or self._reason
        self._why = why.explanation if why is not None else self._why

    def _spend(self, spent: events.Spent | None) -> None:
        if spent is not None:
            pairs = zip(astuple(self._spent), astuple(spent), strict=True)
            self._spent = events.Spent(*(before if later is None else later for before, later in pairs))

    def _finish(self) -> list[Delta]:
        self.finished = True
        deltas: list[Delta] = [delta for index in sorted(self._blocks) for delta in self._end(index)]
        if self._reason == "refusal":
            deltas.append(Refused(self._why or DECLINED))
        deltas.append(Finish(REASONS.get(self._reason or "", "stop"), _usage(self._spent, self._said)))
        return deltas


def _usage(spent: events.Spent, said: Said) -> Usage | None:
    if spent == events.Spent():
        return None
    read, written = spent.cache_read_input_tokens or 0, spent.cache_creation_input_tokens or 0
    heard, spoken = (spent.input_tokens or 0) + read + written, spent.output_tokens or 0
    return Usage(
        input_tokens=heard,
        input_tokens_details=InputTokens(cached_tokens=read, cache_write_tokens=written),
        output_tokens=spoken,
        output_tokens_details=OutputTokens(reasoning_tokens=_thought(spent, said)),
        total_tokens=heard + spoken,
    )


def _thought(spent: events.Spent, said: Said) -> int:
    counted = spent.output_tokens_details.thinking_tokens if spent.output_tokens_details else None
    if counted is not None or not said.thought:
        return counted or 0
    return round((spent.output_tokens or 0) * said.thought / (said.thought + said.spoken))
