"""Takes a thought that stands in tags out of the text of an answer. Pure.

* A thought in tags stands at the very beginning of an answer, with nothing but white space before it. Tags anywhere
  else are text: a model may be asked to write about them.
* Where the chat template has written the opening tag into the prompt, the answer begins inside of the thought.
* White space around a thought is dropped, and a thought that is nothing else.
* A piece that may yet turn out to be the beginning of a tag waits for the next one, and so does white space before a
  tag, up to `MOST_SPACE`: what is longer is what it looks like, and no tag follows it at the beginning of an answer.
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

MOST_SPACE = 4096
"""How many characters of white space wait for what follows them."""


class Tags:
    """The text of one answer. ``over`` turns true once there can be no thought any more: all that comes is text."""

    def __init__(self, mode: ThinkTags) -> None:
        self.over = mode == "off"
        self._is_open = mode == "open"
        self._state: Literal["start", "thought", "gap"] = "start"
        self._closings: Iterable[str] = TAGS.values()
        self._has_thought = False
        self._space = _Space()
        self._tag = ""  # what may be the beginning of one, behind that white space
        self._logprobs: list[Logprob] = []  # of what waits at the beginning of an answer

    def feed(self, text: str, logprobs: list[Logprob]) -> list[Delta]:
        """Take a piece of text with the log-probabilities of its tokens, and give what is certain."""
        if self.over:
            return [Text(text, logprobs)]
        tag, self._tag = self._tag, ""
        match self._state:
            case "start":
                return self._begin(tag + text, logprobs)
            case "thought":
                return self._think(tag + text, logprobs)
            case "gap":
                return self._skip_space(text, logprobs)

    def flush(self) -> list[Delta]:
        """Something else comes, or nothing: what waits is what it looks like. A thought may go on afterwards."""
        if self.over:
            return []
        tag, self._tag = self._tag, ""
        if self._state == "start" and not self._is_open:
            return self._say(tag, [])
        if tag:
            self._state = "thought"
            return self._thought(tag)
        self._space.take()
        return []

    def leave(self) -> list[Delta]:
        """The upstream tells thoughts apart itself: there are none in its text."""
        deltas = self.flush()
        self.over = True
        return deltas

    def _begin(self, text: str, logprobs: list[Logprob]) -> list[Delta]:
        """Look whether the answer begins with a thought. Where one is open already, nothing waits to be text."""
        begun = text.lstrip()
        if not self._is_open:
            self._space.add(text[: len(text) - len(begun)])
            self._logprobs += logprobs
            if self._space.is_full:
                return self._say(begun, [])
        for opening, closing in TAGS.items():
            if begun.startswith(opening):
                self._state, self._closings = "thought", [closing]
                self._space.take()
                self._logprobs = []
                return self._think(begun[len(opening) :], logprobs)
        if any(opening.startswith(begun) for opening in TAGS):
            self._tag = begun
            return []
        if not self._is_open:
            return self._say(begun, [])
        self._state = "thought"
        return self._think(begun, logprobs)

    def _think(self, text: str, logprobs: list[Logprob]) -> list[Delta]:
        """Give the thought as far as it is certain, and look whether it ends."""
        ends = [(text.find(closing), closing) for closing in self._closings]
        place, closing = min((end for end in ends if end[0] >= 0), default=(-1, ""))
        if closing:
            self._state = "gap"
            ended = self._thought(text[:place])
            self._space.take()
            return [*ended, *self._skip_space(text[place + len(closing) :], logprobs)]
        whole = text[: len(text) - _begun(text, self._closings)]
        self._tag = text[len(whole) :]
        return self._thought(whole)

    def _thought(self, text: str) -> list[Delta]:
        """Text that is thought, with the white space that waited before it; none stands at the very beginning."""
        certain = text.rstrip()
        before = self._space.take() if certain else ""
        self._space.add(text[len(certain) :])
        text = before + certain + self._space.overflow()
        text = text if self._has_thought else text.lstrip()
        self._has_thought = self._has_thought or bool(text)
        return [Thought(text)] if text else []

    def _skip_space(self, text: str, logprobs: list[Logprob]) -> list[Delta]:
        said = text.lstrip()
        return self._say(said, _covering(said, logprobs)) if said else []

    def _say(self, text: str, logprobs: list[Logprob]) -> list[Delta]:
        """The thought is over: this is text, and so is what waited before it."""
        self.over = True
        text = self._space.take() + text
        logprobs = [*self._logprobs, *logprobs]
        self._logprobs = []
        return [Text(text, logprobs)] if text else []


class _Space:
    """White space that waits for what follows it; there is a bound to it."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0

    @property
    def is_full(self) -> bool:
        return self._length > MOST_SPACE

    def add(self, space: str) -> None:
        if space:
            self._pieces.append(space)
            self._length += len(space)

    def overflow(self) -> str:
        """What is over the bound, and what follows it of the same white space."""
        if not self.is_full:
            return ""
        space, self._pieces = "".join(self._pieces), []
        return space

    def take(self) -> str:
        """What waits, as something else comes."""
        space = "".join(self._pieces)
        self._pieces, self._length = [], 0
        return space


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
