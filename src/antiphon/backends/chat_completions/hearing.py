"""Turns the bytes of a streamed chat completion into deltas. Pure: no I/O, no clock.

Every upstream has its own dialect of the same chunks; the tests hold one recording of each.

* A chunk may bring any mix of thought, content, refusal, calls, a finish reason and usage, or nothing at all.
* Usage comes in a chunk of its own after the finish reason, or with it, or in every chunk; the last one counts.
* Calls carry an index, or an id, or neither; see `Calls`.
* Reasoning comes in a field of its own, as a list of details (see `Details`), or in tags (see `Tags`). An upstream that
  does not count it is believed to have thought as large a share of its tokens as of its characters.
* The stream ends with ``[DONE]``, or simply ends. A finish reason or ``[DONE]`` must have come.
* A plain chat completion, from an upstream that ignores ``stream``, is one chunk with a ``message``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from antiphon.backends import UpstreamError
from antiphon.backends.chat_completions.calling import Calls, Fragment
from antiphon.backends.chat_completions.chunks import NONE, Chunk, Said
from antiphon.backends.chat_completions.details import Details
from antiphon.backends.chat_completions.thinking import Tags, estimated
from antiphon.backends.upstream.faults import Complaint, fault_of_event, read_complaint
from antiphon.backends.upstream.framing import Frames
from antiphon.core.deltas import Call, Finish, Refused, Summary, Text, Thought
from antiphon.protocol.content import Logprob, TopLogprob
from antiphon.protocol.response import InputTokens, OutputTokens, Usage

if TYPE_CHECKING:
    from antiphon.backends.chat_completions.chunks import Choice, Chosen, Logprobs, Piece, Spent
    from antiphon.backends.chat_completions.config import ThinkTags
    from antiphon.core.deltas import Delta, FinishReason

REASONS: dict[str, FinishReason] = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "content_filter": "content_filter",
}
"""What stopped the model, where it was not the model itself; every other word means that it had spoken."""

FAILURES = frozenset({"error", "abort", "insufficient_system_resource"})
"""Finish reasons of OpenRouter, vLLM and DeepSeek that mean that the upstream gave up."""

NOTHING = Said()


class Decoder:
    """Hears one stream. ``finished`` turns true with the `Finish`, after which nothing more is heard."""

    def __init__(self, think_tags: ThinkTags = "auto") -> None:
        self.finished = False
        self._frames = Frames()
        self._decode = msgspec.json.Decoder(Chunk).decode
        self._calls = Calls()
        self._details = Details()
        self._tags = Tags(think_tags)
        self._logprobs: list[Logprob] = []
        self._reason: FinishReason | None = None
        self._spent: Spent | None = None
        self._thought = 0  # characters
        self._said = 0

    @property
    def spoken(self) -> bool:
        """Whether the model has said why it ended: all that may still come is what it cost."""
        return self._reason is not None

    def feed(self, chunk: bytes) -> list[Delta]:
        """Take the next bytes, cut anywhere, and give what they complete; `Finish` comes with ``[DONE]``.

        Raises `UpstreamError` if the upstream reports an error or sends what is no chat completion.
        """
        deltas: list[Delta] = []
        for event in self._frames.feed(chunk):
            self._hear(event, deltas)
        if not self.finished:
            self._count(deltas)
        return deltas

    def end(self) -> list[Delta]:
        """The bytes are over: give what is left, `Finish` last. Raises `UpstreamError` if they were cut short."""
        deltas: list[Delta] = []
        for event in self._frames.end():
            self._hear(event, deltas)
        if self._reason is None and not self.finished:
            raise UpstreamError("server_error", "The model's server ended its stream early.")
        self._finish(deltas)
        return deltas

    def _hear(self, event: bytes, deltas: list[Delta]) -> None:
        if self.finished:
            return
        try:
            chunk = self._decode(event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if event.strip() != b"[DONE]":
                raise UpstreamError(
                    "server_error", "The model's server sent something that is no chat completion.", detail=str(error)
                ) from error
            self._finish(deltas)
            return
        if chunk.error is not None or chunk.choices is None:
            self._check(chunk, event)
        if chunk.usage is not None:
            self._spent = chunk.usage
        for choice in chunk.choices or ():
            if not choice.index:
                self._take(choice, deltas)

    def _check(self, chunk: Chunk, event: bytes) -> None:
        match chunk.error:
            case Complaint() as complaint:
                raise fault_of_event(complaint)
            case str(message):
                raise fault_of_event(Complaint(message=message))
            case None if chunk.usage is None and (found := read_complaint(event)) is not None:
                raise fault_of_event(found)
            case None:
                return

    def _take(self, choice: Choice, deltas: list[Delta]) -> None:
        said = choice.delta or choice.message or NOTHING
        if said.reasoning_content or said.reasoning or said.reasoning_details is not NONE:
            self._take_reasoning(said, deltas)
        if said.content is not None:
            self._take_content(said.content, choice.logprobs, deltas)
        if said.refusal:
            self._details.end()
            deltas.extend(self._tags.flush())
            deltas.append(Refused(said.refusal))
        if said.tool_calls or said.function_call is not None:
            self._take_calls(said, deltas)
        if choice.finish_reason:
            self._stop(choice.finish_reason)

    def _take_reasoning(self, said: Said, deltas: list[Delta]) -> None:
        detailed = self._details.feed(said.reasoning_details)
        plain = said.reasoning_content or said.reasoning
        if plain and not any(isinstance(delta, Thought | Summary) for delta in detailed):
            detailed.insert(0, Thought(plain, is_private=self._details.is_summarized))
        if detailed:
            deltas.extend(self._tags.leave())
            deltas.extend(detailed)

    def _take_content(self, content: str | list[Piece], logprobs: Logprobs | None, deltas: list[Delta]) -> None:
        if not isinstance(content, str):
            self._details.end()
            deltas.extend(self._tags.leave())
            deltas.extend(_pieces(content))
            return
        # A token that holds only part of a character comes with its probability and no text: the next text brings it.
        if logprobs is not None and logprobs.content:
            self._logprobs.extend(_logprob(token) for token in logprobs.content)
        if not content:
            return
        self._details.end()
        waiting, self._logprobs = self._logprobs, []
        if self._tags.over:
            deltas.append(Text(content, waiting))
        else:
            deltas.extend(self._tags.feed(content, waiting))

    def _take_calls(self, said: Said, deltas: list[Delta]) -> None:
        self._details.end()
        deltas.extend(self._tags.flush())
        for fragment in said.tool_calls or ():
            deltas.extend(self._calls.feed(fragment))
        if said.function_call is not None:
            deltas.extend(self._calls.feed(Fragment(index=0, function=said.function_call)))

    def _stop(self, reason: str) -> None:
        if reason in FAILURES:
            raise UpstreamError("server_error", "The model's server gave up on the answer.", detail=f"finish {reason}")
        self._reason = REASONS.get(reason, "stop")

    def _finish(self, deltas: list[Delta]) -> None:
        if self.finished:
            return
        deltas.extend(self._tags.flush())
        deltas.extend(self._calls.end())
        self._count(deltas)
        deltas.append(Finish(self._reason or "stop", self._usage()))
        self.finished = True

    def _count(self, deltas: list[Delta]) -> None:
        """Count the characters that were thought, and those that were said."""
        for delta in deltas:
            if type(delta) is Text:  # nearly all are: a match takes three times as long
                self._said += len(delta.text)
                continue
            match delta:
                case Thought(text):
                    self._thought += len(text)
                case Refused(text):
                    self._said += len(text)
                case Call(_, name, arguments):
                    self._said += len(name) + len(arguments)
                case _:  # a summary is no token of the model's
                    pass

    def _usage(self) -> Usage | None:
        if self._spent is None:
            return None
        usage = _usage(self._spent)
        if usage.output_tokens_details.reasoning_tokens:
            return usage
        thought = estimated(usage.output_tokens, thought=self._thought, said=self._said)
        return replace(usage, output_tokens_details=OutputTokens(reasoning_tokens=thought))


def _pieces(pieces: list[Piece]) -> list[Delta]:
    deltas: list[Delta] = []
    for piece in pieces:
        if thought := _plain(piece.thinking):
            deltas.append(Thought(thought))
        if piece.text:
            deltas.append(Text(piece.text))
    return deltas


def _plain(thinking: list[Piece] | str) -> str:
    return thinking if isinstance(thinking, str) else "".join(piece.text for piece in thinking)


def _logprob(token: Chosen) -> Logprob:
    rivals = [
        TopLogprob(token=rival.token, logprob=rival.logprob, bytes=rival.bytes or [])
        for rival in token.top_logprobs or ()
    ]
    return Logprob(token=token.token, logprob=token.logprob, bytes=token.bytes or [], top_logprobs=rivals)


def _usage(spent: Spent) -> Usage:
    prompt, completion = spent.prompt_tokens or 0, spent.completion_tokens or 0
    cached = spent.prompt_tokens_details.cached_tokens if spent.prompt_tokens_details else spent.prompt_cache_hit_tokens
    details = spent.completion_tokens_details
    thought = details.reasoning_tokens if details else spent.reasoning_tokens
    return Usage(
        input_tokens=prompt,
        input_tokens_details=InputTokens(cached_tokens=cached or 0),
        output_tokens=completion,
        output_tokens_details=OutputTokens(reasoning_tokens=thought or 0),
        total_tokens=prompt + completion,
    )
