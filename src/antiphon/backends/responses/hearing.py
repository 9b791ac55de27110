"""Turns the bytes of a Responses stream into deltas. Pure: no I/O, no clock.

* An event whose type means nothing here is skipped, and so is an item that nobody asked for: ``ignored`` has its
  type.
* A message that says what it is for is one of its own. Where another follows without a word, a blank line stands
  between them, and what it cites is counted from the beginning of the whole.
* ``response.completed`` and ``response.incomplete`` end the stream, ``response.failed`` and ``error`` fail it. What
  follows is not heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from antiphon.backends import UpstreamError
from antiphon.backends.responses import events
from antiphon.backends.responses.calling import Calls
from antiphon.backends.responses.citing import read_annotation
from antiphon.backends.responses.hosting import TYPES, Hosted
from antiphon.backends.responses.pondering import BREAK, Pondering
from antiphon.backends.upstream.faults import Complaint, fault_of_event, read_complaint
from antiphon.backends.upstream.framing import Frames
from antiphon.core.deltas import Cited, Finish, Keepsake, Refused, Summary, Text, Thought, Voice, Went, Wrote
from antiphon.protocol.content import Logprob, TopLogprob
from antiphon.protocol.response import InputTokens, OutputTokens, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.backends.responses.config import NativeTool
    from antiphon.backends.responses.pondering import Custom
    from antiphon.core.deltas import Delta, FinishReason
    from antiphon.protocol.items import MessagePhase

PHASES: dict[object, MessagePhase] = {"commentary": "commentary", "final_answer": "final_answer"}
NO_NAMES: Mapping[NativeTool, str] = {}
NO_EVENT = "The model's server sent something that is no event of the Responses API."


class Decoder:
    """Hears one stream. ``finished`` turns true with the `Finish`, after which nothing more is heard.

    With ``hosted`` the upstream was handed tools, and what they make is told; else it is ignored. ``names`` are the
    functions that stand for those of the client's tools which the upstream knows without a name. With ``custom``,
    which outlives the stream, a summary of what is thought was asked for.
    """

    def __init__(
        self, *, hosted: bool = False, names: Mapping[NativeTool, str] = NO_NAMES, custom: Custom | None = None
    ) -> None:
        self.finished = False
        self.error: UpstreamError | None = None
        self.ignored: set[str] = set()
        self._frames = Frames()
        self._head = msgspec.json.Decoder(events.Head).decode
        self._piece = msgspec.json.Decoder(events.Piece).decode
        self._calls = Calls(names)
        self._pondering = Pondering(custom)
        self._hosted = Hosted() if hosted else None
        self._message: int | None = None  # the output index of the message that is written
        self._start = 0  # where its text begins, in characters of the message that is told
        self._length = 0
        self._logprobs: list[Logprob] = []

    def feed(self, chunk: bytes) -> list[Delta]:
        """Take the next bytes, cut anywhere, and give what they complete.

        Raises `UpstreamError` if the upstream reports an error or sends what is no event. Where something was said
        before it in the same bytes, that is given, and ``error`` holds what is to be raised then.
        """
        return self._all(self._frames.feed(chunk))

    def end(self) -> list[Delta]:
        """The bytes are over: give what is left. If they were cut short, there has been no `Finish`."""
        return [*self._all(self._frames.end()), *self._pondering.leave()]

    def _all(self, frames: list[bytes]) -> list[Delta]:
        deltas: list[Delta] = []
        for frame in frames:
            if self.finished or self.error is not None or frame.strip() == b"[DONE]":
                break
            try:
                deltas += self._heard(frame)
            except UpstreamError as error:
                self.error = error
                deltas += self._pondering.leave()
        if self.error is not None and not deltas:
            raise self.error
        return deltas

    def _heard(self, frame: bytes) -> list[Delta]:
        try:
            deltas = self._hear(self._head(frame).type, frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamError("server_error", NO_EVENT, detail=str(error)) from error
        is_thought = any(isinstance(delta, Thought | Summary | Keepsake) for delta in deltas[:1])
        return deltas if is_thought or not deltas else [*self._pondering.leave(), *deltas]

    def _hear(self, type: str, frame: bytes) -> list[Delta]:
        if type in events.PIECES:
            return self._hear_piece(type, self._piece(frame))
        if type in events.SHOWN:
            shown = msgspec.json.decode(frame, type=events.Shown)
            return self._begin(shown) if type.endswith("added") else self._end(shown)
        if type in events.WHOLES:
            return [*self._calls.whole(msgspec.json.decode(frame, type=events.Whole))]
        if type == "response.output_text.annotation.added":
            return self._cite(msgspec.json.decode(frame, type=events.Noted))
        if type in events.MCP_PHASES:
            return self._go_on(type, msgspec.json.decode(frame, type=events.Phase))
        if type in events.ENDS:
            return self._finish(type, msgspec.json.decode(frame, type=events.Ended).response)
        if type in {"response.failed", "error", ""}:
            raise _fault(frame)
        return []

    def _hear_piece(self, type: str, piece: events.Piece) -> list[Delta]:
        match type:
            case "response.output_text.delta":
                return self._text(piece)
            case "response.refusal.delta":
                self._break_off()
                return [Refused(piece.delta)] if piece.delta else []
            case "response.reasoning_text.delta" | "response.reasoning.delta":
                return self._pondering.think(piece)
            case "response.reasoning_summary_text.delta":
                return self._pondering.summarize(piece)
            case "response.mcp_call_arguments.delta":
                is_open = self._hosted is not None and self._hosted.is_open(piece.item_id)
                return [Wrote(piece.item_id, piece.delta)] if is_open else []
            case _:
                return [*self._calls.feed(piece)]

    def _text(self, piece: events.Piece) -> list[Delta]:
        # A token that holds only part of a character has a probability and no text: the next text brings it.
        logprobs = [*self._logprobs, *map(_logprob, piece.logprobs or ())]
        self._logprobs = [] if piece.delta else logprobs
        if not piece.delta:
            return []
        said: list[Delta] = []
        if self._length and piece.output_index != self._message:
            said.append(Text(BREAK))
            self._length += len(BREAK)
            self._start = self._length
        self._message = piece.output_index
        self._length += len(piece.delta)
        return [*said, Text(piece.delta, logprobs)]

    def _cite(self, noted: events.Noted) -> list[Delta]:
        annotation = read_annotation(noted.annotation, self._start)
        return [] if annotation is None else [Cited(annotation)]

    def _break_off(self) -> None:
        """Something that is no text comes: what is said next is another message."""
        self._start = self._length = 0

    def _begin(self, shown: events.Shown) -> list[Delta]:
        item = msgspec.json.decode(shown.item, type=events.ItemHead)
        if item.type == "message":
            phase = PHASES.get(item.phase) if isinstance(item.phase, str) else None
            if phase is None:
                return []
            self._break_off()
            return [Voice(phase)]
        if item.type == "reasoning":
            self._break_off()
            return self._pondering.begin()
        if self._calls.knows(item.type):
            self._break_off()
            return [*self._calls.begin(item, shown.output_index)]
        if self._hosted is not None and item.type in TYPES:
            self._break_off()
            return self._hosted.begin(shown.item)
        self.ignored.add(item.type)
        return []

    def _end(self, shown: events.Shown) -> list[Delta]:
        item = msgspec.json.decode(shown.item, type=events.ItemHead)
        if item.type == "reasoning":
            self._break_off()
            return self._pondering.end(msgspec.json.decode(shown.item, type=events.Pondered))
        if self._calls.knows(item.type):
            return [*self._calls.end(item, shown.output_index)]
        if self._hosted is not None and item.type in TYPES:
            return self._hosted.end(shown.item)
        return []

    def _go_on(self, type: str, phase: events.Phase) -> list[Delta]:
        if self._hosted is None or not self._hosted.is_open(phase.item_id):
            return []
        return [Went(phase.item_id, events.MCP_PHASES[type])]

    def _finish(self, type: str, final: events.Final) -> list[Delta]:
        self.finished = True
        made = [] if self._hosted is None else self._hosted.settle(final.output or [])
        usage = None if final.usage is None else _usage(final.usage)
        return [*made, Finish("stop" if type == "response.completed" else _reason(final), usage)]


def _reason(final: events.Final) -> FinishReason:
    """What cut a response short; for a reason that is unknown here, a limit."""
    details = final.incomplete_details
    return "content_filter" if details and details.reason == "content_filter" else "max_output_tokens"


def _fault(frame: bytes) -> UpstreamError:
    """What an event means that tells of an error, or what stands in place of one."""
    complaint = read_complaint(frame)
    if complaint is None:
        response = msgspec.json.decode(frame, type=dict[str, msgspec.Raw]).get("response")
        complaint = None if response is None else read_complaint(bytes(response))
    if complaint is None and msgspec.json.decode(frame, type=events.Head).type == "":
        return UpstreamError("server_error", NO_EVENT)
    return fault_of_event(complaint or Complaint())


def _logprob(token: events.Token) -> Logprob:
    rivals = [
        TopLogprob(token=rival.token, logprob=rival.logprob, bytes=rival.bytes or [])
        for rival in token.top_logprobs or ()
    ]
    return Logprob(token=token.token, logprob=token.logprob, bytes=token.bytes or [], top_logprobs=rivals)


def _usage(spent: events.Spent) -> Usage:
    heard, said = spent.input_tokens or 0, spent.output_tokens or 0
    details = spent.input_tokens_details or events.InputDetails()
    thought = spent.output_tokens_details or events.OutputDetails()
    return Usage(
        input_tokens=heard,
        input_tokens_details=InputTokens(
            cached_tokens=details.cached_tokens or 0, cache_write_tokens=details.cache_write_tokens or 0
        ),
        output_tokens=said,
        output_tokens_details=OutputTokens(reasoning_tokens=thought.reasoning_tokens or 0),
        total_tokens=heard + said,
    )
