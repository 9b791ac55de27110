"""Notes: what a log carries beside the events and no client sees, for whoever takes a run over.

The notes of a step stand behind the events of that step, and both are in the log or neither is.
"""

from __future__ import annotations

from msgspec import Struct

from antiphon.core.deltas import FinishReason
from antiphon.core.turn import Output, Thinking
from antiphon.protocol.response import ContentFilter, ImageToolUsage, Usage


class ListOpened(Struct, frozen=True, array_like=True, tag="list"):
    """A list of tools was begun here, before the model was asked: the upstream may make such items too."""

    id: str


class CallOpened(Struct, frozen=True, array_like=True, tag="opened"):
    """The model opened a hosted call: its item's id, and what the model's side calls it."""

    id: str
    key: str
    name: str
    call_id: str


class CallWritten(Struct, frozen=True, array_like=True, tag="written"):
    """A hosted call is whole and waits for its answer. Not every kind shows its arguments in events."""

    id: str
    arguments: str


class TurnEnded(Struct, frozen=True, array_like=True, tag="ended"):
    """The model's turn is over: why, and what it cost as far as the upstream said."""

    reason: FinishReason
    usage: Usage | None


class TurnBroken(Struct, frozen=True, array_like=True, tag="broken"):
    """The last turn will never end: what it said stays in the output, and the model is asked again.

    ``items``: how many items the response has up to here, those of the broken turn included.
    """

    items: int


class CallStarted(Struct, frozen=True, array_like=True, tag="started"):
    """A hosted call with side effects is about to be made."""

    id: str


class CallAnswered(Struct, frozen=True, array_like=True, tag="answered"):
    """What the model reads of a hosted call, and what pictures cost in it."""

    id: str
    output: Output
    usage: ImageToolUsage | None = None


class ThoughtKept(Struct, frozen=True, array_like=True, tag="thought"):
    """What was thought in a reasoning item."""

    id: str
    thinking: Thinking


class FilterNoted(Struct, frozen=True, array_like=True, tag="judged"):
    """What a content filter found in the prompt, or in what was said since the last such note."""

    filters: list[ContentFilter]


class Compacted(Struct, frozen=True, array_like=True, tag="compacted"):
    """What was said so far was summed up, and what that cost."""

    usage: Usage | None


Note = (
    ListOpened
    | CallOpened
    | CallWritten
    | TurnEnded
    | TurnBroken
    | CallStarted
    | CallAnswered
    | ThoughtKept
    | FilterNoted
    | Compacted
)
