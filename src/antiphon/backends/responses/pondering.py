"""Hears reasoning items: raw text, summaries, and the form that the upstream alone opens. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.core.deltas import Keepsake, Summary, Thought

if TYPE_CHECKING:
    from antiphon.backends.responses.events import Piece, Pondered
    from antiphon.core.deltas import Delta

BREAK = "\n\n"


class Pondering:
    """The reasoning of one turn, an item after another. An item that shows nothing of itself is told nevertheless."""

    def __init__(self) -> None:
        self._part: int | None = None
        self._is_open = False

    def begin(self) -> list[Delta]:
        """An item begins; one whose end was never told ends here."""
        return self._end("") if self._is_open else []

    def think(self, piece: Piece) -> list[Delta]:
        """Raw text. A blank line stands between its parts."""
        if not piece.delta:
            return []
        before, self._part = self._part, piece.content_index or 0
        moves = self._is_open and before is not None and before != self._part
        self._is_open = True
        return [Thought(BREAK), Thought(piece.delta)] if moves else [Thought(piece.delta)]

    def summarize(self, piece: Piece) -> list[Delta]:
        """A piece of a summary."""
        if not piece.delta:
            return []
        self._is_open = True
        return [Summary(piece.delta, piece.summary_index or 0)]

    def end(self, item: Pondered) -> list[Delta]:
        """The item is whole. An upstream that sent no pieces says all only here."""
        said: list[Delta] = []
        if not self._is_open:
            said += [Summary(part.text, index) for index, part in enumerate(item.summary or []) if part.text]
            if text := BREAK.join(part.text for part in item.content or []):
                said.append(Thought(text))
        return said + self._end(item.encrypted_content or "")

    def _end(self, token: str) -> list[Delta]:
        self._part, self._is_open = None, False
        return [Keepsake("encrypted", token)]
