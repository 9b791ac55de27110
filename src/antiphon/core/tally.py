"""A tally: what a response took when it ended, well or badly: as its upstreams counted it, else estimated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from antiphon.core.estimate import weight
from antiphon.core.turn import Output, Thinking, Turn
from antiphon.protocol.calls import ImageGenerationCall, McpCall
from antiphon.protocol.response import Response

if TYPE_CHECKING:
    from antiphon.protocol.items import OutputItem
    from antiphon.protocol.response import Usage

Outcome = Literal["completed", "incomplete", "failed", "cancelled", "aside"]
"""How a response ended; ``aside`` is what the server asked a model beside any response's own turns."""

DAY_SECONDS = 86_400
MOST = 10**12
"""More than any response takes: what an upstream says beyond that is not so."""


class Unreported(Struct, frozen=True, array_like=True):
    """A turn that no upstream counted, or that was broken off first: the places of its items, ``end`` not within."""

    first: int
    end: int


class Ending(Struct, frozen=True):
    """What came of a run: its final response, and by item id what the model read of hosted calls, and what it thought.

    ``unreported``: the turns that no upstream counted.
    """

    response: Response
    outputs: Mapping[str, Output] = {}
    thoughts: Mapping[str, Thinking] = {}
    unreported: Sequence[Unreported] = ()


class Tally(Struct, frozen=True):
    """What a response took, on a ``day`` (UTC, counted from 1970). Estimated tokens are not among the counted ones.

    ``unread``: in how many turns what the model read of the request is not in ``estimated_input`` yet.
    """

    day: int
    outcome: Outcome
    requests: int = 1
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated_input: int = 0
    estimated_output: int = 0
    pictures: int = 0
    picture_tokens: int = 0
    unread: int = 0

    def reading(self, asked: int) -> Tally:
        """The same, where the first turn was about so many tokens long."""
        return replace(self, estimated_input=self.estimated_input + self.unread * asked, unread=0)


def tally(ending: Ending, *, now: int) -> Tally:
    """The tally of a response that has ended. ``now`` is in unix seconds.

    What the model was asked first is still to be read: see `Tally.reading`.
    """
    response = ending.response
    outcome: Outcome = "failed"
    match response.status:
        case "completed" | "incomplete" | "cancelled" as ended:
            outcome = ended
        case _:  # failed: a response that has not ended has no tally
            pass
    asked = [turn for turn in ending.unreported if not _is_granted(response.output[turn.first : turn.end])]
    mute = Turn([], thoughts={**ending.thoughts})
    heard = replace(mute, outputs={**ending.outputs})
    spent = response.tool_usage.image_gen
    bare = counted(response.usage, day=now // DAY_SECONDS, outcome=outcome)
    return replace(
        bare,
        estimated_input=ceil(sum(weight(item, heard) for turn in asked for item in response.output[: turn.first])),
        estimated_output=ceil(
            sum(weight(item, mute) for turn in asked for item in response.output[turn.first : turn.end])
        ),
        pictures=sum(isinstance(item, ImageGenerationCall) and bool(item.result) for item in response.output),
        picture_tokens=believed(spent.total_tokens),
        unread=len(asked),
    )


def _is_granted(items: Sequence[OutputItem]) -> bool:
    """Whether a turn is of calls that a person approved: no model was asked."""
    return bool(items) and all(isinstance(item, McpCall) and item.approval_request_id for item in items)


def counted(usage: Usage | None, *, day: int, outcome: Outcome, requests: int = 1) -> Tally:
    """The tally of what an upstream counted, and of nothing else."""
    if usage is None:
        return Tally(day, outcome, requests)
    return Tally(
        day,
        outcome,
        requests,
        input_tokens=believed(usage.input_tokens),
        cached_tokens=believed(usage.input_tokens_details.cached_tokens),
        output_tokens=believed(usage.output_tokens),
        reasoning_tokens=believed(usage.output_tokens_details.reasoning_tokens),
    )


def believed(count: int) -> int:
    """What somebody says that it took, as far as that can be."""
    return min(max(0, count), MOST)
