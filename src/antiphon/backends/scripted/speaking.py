"""Performs a reply: its steps as deltas, with the time that passes before each. Pure: whoever reads the beats waits."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from antiphon.backends import UpstreamError
from antiphon.backends.scripted.hearing import word_count
from antiphon.core.deltas import Call, Cited, Delta, Finish, Keepsake, Refused, Summary, Text, Thought, Voice
from antiphon.protocol.content import Logprob, TopLogprob
from antiphon.protocol.response import InputTokens, OutputTokens, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from antiphon.backends.scripted import script
    from antiphon.core.deltas import FinishReason
    from antiphon.core.turn import Turn

WORDS = re.compile(r"\s*\S+(?:\s+\Z)?|\s+\Z")
PIECE = 8
"""How many characters of a call's arguments are one token."""


class Beat(Struct, frozen=True):
    """What is said at once, and how many seconds pass before it."""

    deltas: list[Delta]
    pause: float = 0.0


class Performance:
    """One turn of a scripted model."""

    def __init__(self, reply: script.Reply, turn: Turn, *, tokens_per_second: float | None) -> None:
        self._reply = reply
        self._turn = turn
        rate = reply.tokens_per_second or tokens_per_second
        self._gap = 0.0 if rate is None else 1 / rate
        self._calls = 0
        self._spoken = 0
        self._thought = 0
        self._part = 0

    def beats(self) -> Iterator[Beat]:
        """Play all steps, up to the limit of the turn. Raises `UpstreamError` where the script fails."""
        for step in self._reply.steps:
            if step.die is not UNSET and step.die:
                return
            if step.fail is not UNSET:
                raise UpstreamError(step.fail.fault, step.fail.message, retry_after=step.fail.retry_after)
            if step.pause_ms is not UNSET:
                yield Beat([], step.pause_ms / 1000)
            yield from self._marked(step)
            for delta in self._said(step):
                if self._spoken == self._turn.max_output_tokens:
                    yield self._end("max_output_tokens")
                    return
                self._spoken += 1
                yield Beat([delta], self._gap)
        yield self._end(self._reply.finish)

    def _marked(self, step: script.Step) -> Iterator[Beat]:
        """What a model's server says beside the model: it costs no token."""
        if step.summary is not UNSET:
            yield from (Beat([Summary(piece, self._part)]) for piece in _tokens(step.summary))
            self._part += 1
        elif step.pause_ms is UNSET:
            self._part = 0
        if step.keepsake is not UNSET:
            yield Beat([Keepsake(step.keepsake.form, step.keepsake.token)])
        if step.voice is not UNSET:
            yield Beat([Voice(step.voice)])
        if step.cite is not UNSET:
            yield Beat([Cited(step.cite)])

    def _said(self, step: script.Step) -> Iterator[Delta]:
        for token in _tokens(step.thought):
            self._thought += 1
            yield Thought(token)
        for token in _tokens(step.text):
            yield Text(token, self._logprobs(token))
        for token in _tokens(step.refusal):
            yield Refused(token)
        if step.call is not UNSET:
            yield from self._called(step.call)

    def _called(self, call: script.Call) -> Iterator[Delta]:
        key = str(self._calls)
        self._calls += 1
        arguments = call.arguments if isinstance(call.arguments, str) else msgspec.json.encode(call.arguments).decode()
        yield Call(key, call.name, arguments[:PIECE])
        for start in range(PIECE, len(arguments), PIECE):
            yield Call(key, arguments=arguments[start : start + PIECE])

    def _logprobs(self, token: str) -> list[Logprob]:
        """The script is certain of every token."""
        if not self._turn.logprobs and not self._turn.top_logprobs:
            return []
        utf8 = list(token.encode())
        rivals = [TopLogprob(token=token, logprob=0.0, bytes=utf8)] if self._turn.top_logprobs else []
        return [Logprob(token=token, logprob=0.0, bytes=utf8, top_logprobs=rivals)]

    def _end(self, reason: FinishReason) -> Beat:
        return Beat([Finish(reason, self._usage())])

    def _usage(self) -> Usage:
        cost = self._reply.usage
        if cost is None:
            heard = word_count(self._turn)
            return Usage(
                input_tokens=heard,
                output_tokens=self._spoken,
                output_tokens_details=OutputTokens(reasoning_tokens=self._thought),
                total_tokens=heard + self._spoken,
            )
        return Usage(
            input_tokens=cost.input_tokens,
            input_tokens_details=InputTokens(cached_tokens=cost.cached_tokens),
            output_tokens=cost.output_tokens,
            output_tokens_details=OutputTokens(reasoning_tokens=cost.reasoning_tokens),
            total_tokens=cost.input_tokens + cost.output_tokens,
        )


def _tokens(words: str | list[str] | msgspec.UnsetType) -> list[str]:
    if words is UNSET:
        return []
    return WORDS.findall(words) if isinstance(words, str) else words
