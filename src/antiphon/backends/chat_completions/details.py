"""Reasoning in the list form of OpenRouter: text, summaries, and what the model's maker wants back unread.

A token that this module makes is the JSON of a detail without its text, so that it goes back as it came. Text of a
thought that is summarized is shown to nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from antiphon.core.deltas import Keepsake, Summary, Thought

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Thinking

TEXT = "reasoning.text"
SUMMARY = "reasoning.summary"
ENCRYPTED = "reasoning.encrypted"


class Detail(Struct, frozen=True, rename={"sealed": "data"}):
    """A piece of reasoning: its ``text``, a ``summary`` of it, or what is ``sealed``: only its maker reads that."""

    type: str = TEXT
    text: str | None | UnsetType = UNSET
    summary: str | None | UnsetType = UNSET
    sealed: str | None | UnsetType = UNSET
    signature: str | None | UnsetType = UNSET
    format: str | None | UnsetType = UNSET
    id: str | None | UnsetType = UNSET
    index: int | None | UnsetType = UNSET


class Details:
    """The details of one answer, as they come. ``is_summarized``: the thought that is told has a summary."""

    def __init__(self) -> None:
        self.is_summarized = False
        self._parts: list[int | None | UnsetType] = []
        self._kept: dict[str, None] = {}  # its keys alone: an empty set takes four times as much

    def feed(self, details: Raw) -> list[Delta]:
        """Give what the details of a chunk say. A token counts once, and what is no detail says nothing."""
        try:
            read: list[Detail] = msgspec.json.decode(details, type=list[Detail] | None) or []
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []
        heard: list[Delta] = []
        for at, detail in enumerate(read):
            self.is_summarized = self.is_summarized or _is_summarized(read[at:])
            heard += self._heard(detail)
        return heard

    def end(self) -> None:
        """Something else is heard: the thought is over."""
        self.is_summarized = False
        self._parts.clear()

    def _heard(self, detail: Detail) -> list[Delta]:
        heard: list[Delta] = []
        if detail.text:
            heard.append(Thought(detail.text, is_private=self.is_summarized))
        if detail.summary:
            heard.append(Summary(detail.summary, self._part(detail.index)))
        if detail.signature or detail.sealed:
            heard += self._keepsake(detail)
        return heard

    def _part(self, index: int | None | UnsetType) -> int:
        if index not in self._parts:
            self._parts.append(index)
        return self._parts.index(index)

    def _keepsake(self, detail: Detail) -> list[Delta]:
        token = msgspec.json.encode(replace(detail, text=UNSET, summary=UNSET)).decode()
        if token in self._kept:
            return []
        self._kept[token] = None
        self.end()
        return [Keepsake("encrypted" if detail.sealed else "signature", token)]


def _is_summarized(details: list[Detail]) -> bool:
    """Whether the first of these thoughts, which ends with a token, has a summary."""
    for detail in details:
        if detail.summary:
            return True
        if detail.signature or detail.sealed:
            break
    return False


def told(thinking: Thinking, summary: Sequence[str]) -> list[Detail]:
    """A thought as it goes back, its summary with it; a token that is none of this module's is left out."""
    kept = _kept(thinking.token)
    if kept is None or kept.sealed:
        texts = [Detail(TEXT, text=thinking.text)] if thinking.text else []
        summaries = [Detail(SUMMARY, summary=text) for text in summary] if kept else []
        return [*texts, *summaries, *([kept] if kept else [])]
    return [replace(kept, text=thinking.text)]


def _kept(token: str) -> Detail | None:
    try:
        detail = msgspec.json.decode(token, type=Detail)
    except (msgspec.DecodeError, RecursionError):
        return None
    return detail if detail.sealed or detail.signature else None
