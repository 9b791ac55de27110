"""Turns the bytes of a streamed chat completion into deltas. Pure: no I/O, no clock.

Every upstream has its own dialect of the same chunks; the tests hold one recording of each.

* A chunk may bring any mix of thought, content, refusal, calls, a finish reason and usage, or nothing at all.
* Usage comes in a chunk of its own after the finish reason, or with it, or in every chunk; the last one counts.
* Calls carry an index, or an id, or neither; see `Calls`.
* The stream ends with ``[DONE]``, or simply ends. A finish reason or ``[DONE]`` must have come.
* A plain chat completion, from an upstream that ignores ``stream``, is one chunk with a ``message``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from antiphon.backends import UpstreamError
from antiphon.backends.chat_completions.calling import Calls, Fragment, Named
from antiphon.backends.upstream.faults import Complaint, fault_of_event, read_complaint
from antiphon.backends.upstream.framing import Frames
from antiphon.core.deltas import Finish, Refused, Text, Thought
from antiphon.protocol.content import Logprob, TopLogprob
from antiphon.protocol.response import InputTokens, OutputTokens, Usage

if TYPE_CHECKING:
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


class Candidate(Struct, frozen=True):
    """A token with its natural-log probability; ``bytes`` is null where it has none."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class Chosen(Candidate, frozen=True):
    """A token that was said, with its rivals."""

    top_logprobs: list[Candidate] | None = None


class Logprobs(Struct, frozen=True):
    """The log-probabilities of a chunk."""

    content: list[Chosen] | None = None


class Piece(Struct, frozen=True):
    """A part of content that is a list (Mistral): text, or thinking made of such parts."""

    text: str = ""
    thinking: list[Piece] | str = ""


class Said(Struct, frozen=True, gc=False):
    """What one chunk adds, or the whole message. The two names for reasoning never differ where both are sent."""

    content: str | list[Piece] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[Fragment] | None = None
    function_call: Named | None = None


NOTHING = Said()


class Choice(Struct, frozen=True, gc=False):
    """One answer of those asked for; only the first is ever asked for."""

    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None
    index: int | None = None


class PromptDetails(Struct, frozen=True):
    """How much of the prompt was cached."""

    cached_tokens: int | None = None


class CompletionDetails(Struct, frozen=True):
    """How much of the answer was thought."""

    reasoning_tokens: int | None = None


class Spent(Struct, frozen=True):
    """Usage, in tokens. DeepSeek names the cache, and SGLang the thinking, at the top."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    reasoning_tokens: int | None = None


class Chunk(Struct, frozen=True, gc=False):
    """The fields of a chunk that matter here; all else is skipped undecoded."""

    choices: list[Choice] | None = None
    usage: Spent | None = None
    error: Complaint | str | None = None


class Decoder:
    """Hears one stream. ``finished`` turns true with the `Finish`, after which nothing more is heard."""

    def __init__(self) -> None:
        self.finished = False
        self._frames = Frames()
        self._decode = msgspec.json.Decoder(Chunk).decode
        self._calls = Calls()
        self._logprobs: list[Logprob] = []
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None

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
            self._usage = _usage(chunk.usage)
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
        if thought := said.reasoning_content or said.reasoning:
            deltas.append(Thought(thought))
        if said.content is not None:
            self._take_content(said.content, choice.logprobs, deltas)
        if said.refusal:
            deltas.append(Refused(said.refusal))
        for fragment in said.tool_calls or ():
            deltas.extend(self._calls.feed(fragment))
        if said.function_call is not None:
            deltas.extend(self._calls.feed(Fragment(index=0, function=said.function_call)))
        if choice.finish_reason:
            self._stop(choice.finish_reason)

    def _take_content(self, content: str | list[Piece], logprobs: Logprobs | None, deltas: list[Delta]) -> None:
        if not isinstance(content, str):
            deltas.extend(_pieces(content))
            return
        # A token that holds only part of a character comes with its probability and no text: the next text brings it.
        if logprobs is not None and logprobs.content:
            self._logprobs.extend(_logprob(token) for token in logprobs.content)
        if content and self._logprobs:
            deltas.append(Text(content, self._logprobs))
            self._logprobs = []
        elif content:
            deltas.append(Text(content))

    def _stop(self, reason: str) -> None:
        if reason in FAILURES:
            raise UpstreamError("server_error", "The model's server gave up on the answer.", detail=f"finish {reason}")
        self._reason = REASONS.get(reason, "stop")

    def _finish(self, deltas: list[Delta]) -> None:
        if self.finished:
            return
        deltas.extend(self._calls.end())
        deltas.append(Finish(self._reason or "stop", self._usage))
        self.finished = True


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
