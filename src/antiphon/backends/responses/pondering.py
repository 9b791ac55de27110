"""Hears reasoning items: raw text, summaries, and the form that the upstream alone opens. Pure.

Where a summary was asked for, it is made of the raw text unless the upstream writes one itself. Which it does is known
only when the item ends: until then its raw text is held, and where a summary came beside it, nobody is shown it. An
upstream that turns out to write none is not waited for again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from antiphon.core.deltas import Keepsake, Summary, Thought

if TYPE_CHECKING:
    from antiphon.backends.responses.events import Piece, Pondered
    from antiphon.core.deltas import Delta

BREAK = "\n\n"


class Custom:
    """Whether an upstream summarizes the raw text that it sends, as far as it has shown."""

    def __init__(self) -> None:
        self._summarizes: Literal["unknown", "never", "ever"] = "unknown"

    @property
    def may_summarize(self) -> bool:
        """Whether a summary may yet come behind raw text."""
        return self._summarizes != "never"

    @property
    def has_summarized(self) -> bool:
        """Whether one has."""
        return self._summarizes == "ever"

    def learn(self, *, summarized: bool) -> None:
        """A thought was heard with raw text. One that was summarized tells more than any that was not."""
        if summarized:
            self._summarizes = "ever"
        elif self._summarizes == "unknown":
            self._summarizes = "never"


class Pondering:
    """The reasoning of one turn, an item after another. An item that shows nothing of itself is told nevertheless.

    With ``custom``, which is the upstream's, a summary was asked for.
    """

    def __init__(self, custom: Custom | None = None) -> None:
        self._custom = custom
        self._part: int | None = None
        self._has_text = False
        self._has_summary = False
        self._held: list[str] = []

    def begin(self) -> list[Delta]:
        """An item begins; one whose end was never told ends here."""
        return self._end("") if self._has_text or self._has_summary else []

    def think(self, piece: Piece) -> list[Delta]:
        """Raw text. A blank line stands between its parts."""
        if not piece.delta:
            return []
        before, self._part = self._part, piece.content_index or 0
        moves = self._has_text and before is not None and before != self._part
        return [*(self._think(BREAK) if moves else []), *self._think(piece.delta)]

    def summarize(self, piece: Piece) -> list[Delta]:
        """A piece of a summary."""
        return self._summarize(piece.delta, piece.summary_index or 0)

    def end(self, item: Pondered) -> list[Delta]:
        """The item is whole. What came in no pieces is said only here."""
        said: list[Delta] = []
        if not self._has_summary:
            for index, part in enumerate(item.summary or []):
                said += self._summarize(part.text, index)
        if not self._has_text:
            said += self._think(BREAK.join(part.text for part in item.content or []))
        return said + self._end(item.encrypted_content or "")

    def leave(self) -> list[Delta]:
        """Something else is heard, or nothing any more, before the item has ended: no text is held any longer."""
        is_private = self._has_summary or (self._custom is not None and self._custom.has_summarized)
        return self._let_go(is_private=is_private)

    def _let_go(self, *, is_private: bool) -> list[Delta]:
        held, self._held = "".join(self._held), []
        return [Thought(held, is_private=is_private)] if held else []

    def _think(self, text: str) -> list[Delta]:
        if not text:
            return []
        self._has_text = True
        if self._custom is None:
            return [Thought(text)]
        if not self._has_summary and self._custom.may_summarize:
            self._held.append(text)
            return []
        return [Thought(text, is_private=self._has_summary)]

    def _summarize(self, text: str, part: int) -> list[Delta]:
        if not text:
            return []
        self._has_summary = True
        return [*self.leave(), Summary(text, part)]

    def _end(self, token: str) -> list[Delta]:
        said = self._let_go(is_private=self._has_summary)
        if self._custom is not None and self._has_text:
            self._custom.learn(summarized=self._has_summary)
        self._part, self._has_text, self._has_summary = None, False, False
        return [*said, Keepsake("encrypted", token)]
