"""Takes a thought that stands in tags out of the text of an answer. Pure.

* A thought in tags stands at the very beginning of an answer, with nothing but white space before it. Tags anywhere
  else are text: a model may be asked to write about them.
* Where the chat template has written the opening tag into the prompt, the answer begins inside of the thought.
* White space around a thought is dropped, and a thought that is nothing else.
* A piece that may yet turn out to be the beginning of a tag waits for the next one.
* Log-probabilities are told of the text alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from antiphon.core.deltas import Text, Thought

if TYPE_CHECKING:
    from collections.abc import Iterable

    from antiphon.backends.chat_completions.config import ThinkTags
    from antiphon.core.deltas import Delta
    from antiphon.protocol.content import Logprob

TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
}
"""The tags of Qwen, DeepSeek and most others, of prompted models, of Gemini, of Seed-OSS and of Mistral."""


class Tags:
    """The text of one answer. ``over`` turns true once there can be no thought any more: all that comes is text."""

    def __init__(self, mode: ThinkTags) -> None:
        self.over = mode == "off"
        self._is_open = mode == "open"
        self._state: Literal["start", "thought", "gap"] = "start"
        self._closings: Iterable[str] = TAGS.values()
        self._has_thought = False
        self._held = ""
        self._logprobs: list[Logprob] = []

    def feed(self, text: str, logprobs: list[Logprob]) -> list[Delta]:
        """Take a piece of text with the log-probabilities of its tokens, and give what is certain."""
        if self.over:
            return [Text(text, logprobs)]
        self._held += text
        self._logprobs = [*self._logprobs, *logprobs]
        if self._state == "start":
            self._begin()
        deltas = self._think() if self._state == "thought" else []
        if self._state == "gap":
            self._skip_space()
        return [*deltas, *self._release()]

    def flush(self) -> list[Delta]:
        """Something else comes, or nothing: what waits is what it looks like. A thought may go on afterwards."""
        if self.over:
            return []
        if self._state == "start" and not self._is_open:
            self.over = True
            return self._release()
        deltas = self._thought(self._held.rstrip())
        self._held, self._logprobs = "", []
        return deltas

    def leave(self) -> list[Delta]:
        """The upstream tells thoughts apart itself: there are none in its text."""
        deltas = self.flush()
        self.over = True
        return deltas

    def _begin(self) -> None:
        """Look whether the answer begins with a thought."""
        text = self._held.lstrip()
        for opening, closing in TAGS.items():
            if text.startswith(opening):
                self._state, self._closings = "thought", [closing]
                self._held = text[len(opening) :]
                return
        if any(opening.startswith(text) for opening in TAGS):
            return
        if self._is_open:
            self._state = "thought"
        else:
            self.over = True

    def _think(self) -> list[Delta]:
        """Give the thought as far as it is certain, and look whether it ends."""
        ends = [(self._held.find(closing), closing) for closing in self._closings]
        place, closing = min((end for end in ends if end[0] >= 0), default=(-1, ""))
        if closing:
            deltas = self._thought(self._held[:place].rstrip())
            self._held = self._held[place + len(closing) :]
            self._state = "gap"
            return deltas
        certain = self._held[: len(self._held) - _begun(self._held, self._closings)].rstrip()
        deltas = self._thought(certain)
        self._held = self._held[len(certain) :]
        self._logprobs = _covering(self._held, self._logprobs)
        return deltas

    def _thought(self, text: str) -> list[Delta]:
        text = text if self._has_thought else text.lstrip()
        self._has_thought = self._has_thought or bool(text)
        return [Thought(text)] if text else []

    def _skip_space(self) -> None:
        self._held = self._held.lstrip()
        self.over = bool(self._held)
        self._logprobs = _covering(self._held, self._logprobs)

    def _release(self) -> list[Delta]:
        """Give what waits as text, if it is certain to be text."""
        if not self.over:
            return []
        text, logprobs = self._held, self._logprobs
        self._held, self._logprobs = "", []
        return [Text(text, logprobs)] if text else []


def estimated(output_tokens: int, *, thought: int, said: int) -> int:
    """How many tokens of an answer were thought, by its characters: for an upstream that counts them all as one."""
    if not thought:
        return 0
    return min(output_tokens, max(1, round(output_tokens * thought / (thought + said))))


def _begun(text: str, tags: Iterable[str]) -> int:
    """How many characters at the end of a text may be the beginning of a tag."""
    return max(
        (length for tag in tags for length in range(1, len(tag)) if text.endswith(tag[:length])),
        default=0,
    )


def _covering(text: str, logprobs: list[Logprob]) -> list[Logprob]:
    """The last of these tokens, as many as have the bytes of this text, with which they end."""
    missing = len(text.encode())
    start = len(logprobs)
    while missing > 0 and start > 0:
        start -= 1
        missing -= len(logprobs[start].bytes) or len(logprobs[start].token.encode())
    return logprobs[start:]
