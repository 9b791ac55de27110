"""A summary made of a thought: its paragraphs, one part each, or of each paragraph the first sentence.

No model is asked for it, so it costs nothing and invents nothing. However a thought is cut, its summary is the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from antiphon.protocol.settings import Summary

_SPACE = re.compile(r"\s+")
_SENTENCE_ENDS = (".", "!", "?", "。", "！", "？")  # noqa: RUF001 - the marks of Chinese and Japanese


class Piece(Struct, frozen=True):
    """What a summary goes on with, in the part it stands in or in a new one."""

    text: str
    is_new_part: bool


class Summing:
    """Makes a summary while a thought is thought. ``auto`` shows as much as ``detailed``."""

    def __init__(self, style: Summary) -> None:
        self._first_sentences = style == "concise"
        self._space = "\n\n"  # white space that may part two paragraphs: its length is known when text follows
        self._last = ""
        self._is_full = False

    def feed(self, thought: str) -> list[Piece]:
        """What the next piece of the thought adds."""
        pieces: list[Piece] = []
        position = 0
        for match in _SPACE.finditer(thought):
            self._word(thought[position : match.start()], pieces)
            self._space += match[0]
            position = match.end()
        self._word(thought[position:], pieces)
        return pieces

    def _word(self, word: str, pieces: list[Piece]) -> None:
        if not word:
            return
        space, self._space = self._space, ""
        is_new = space.count("\n") > 1
        if is_new:
            self._is_full = False
        elif space and self._first_sentences and self._last in _SENTENCE_ENDS:
            self._is_full = True
        self._last = word[-1]
        if self._is_full:
            return
        text = word if is_new else space + word
        if pieces and not is_new:
            pieces[-1] = Piece(pieces[-1].text + text, pieces[-1].is_new_part)
        else:
            pieces.append(Piece(text, is_new))
