"""A machine whose model is about to speak, and short words for what is said and what comes of it."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any  # settings of a response are open

from antiphon.core.calls import Silent
from antiphon.core.deltas import Delta, Finish, FinishReason
from antiphon.core.machine import Machine
from antiphon.core.speech import Manner
from antiphon.core.sse import name
from antiphon.core.writing import Shown
from antiphon.protocol.calls import WebSearchCall
from antiphon.protocol.content import OutputText
from antiphon.protocol.items import FunctionCall, Message, OutputItem
from antiphon.protocol.response import InputTokens, OutputTokens, Response, Usage

if TYPE_CHECKING:
    from antiphon.protocol.events import StreamEvent
    from antiphon.protocol.parts import ItemStatus

NOW = 1_700_000_000
COST = Usage(
    input_tokens=10,
    input_tokens_details=InputTokens(cached_tokens=4, cache_write_tokens=1),
    output_tokens=5,
    output_tokens_details=OutputTokens(reasoning_tokens=2),
    total_tokens=15,
)
SEARCH = Silent(
    "ws", lambda call: WebSearchCall(id=call.id, status=call.status), "response.web_search_call.in_progress"
)
ADDED, DONE = "output_item.added", "output_item.done"
TEXT = [ADDED, "content_part.added", "output_text.delta", "output_text.done", "content_part.done", DONE]
CALL = [ADDED, "function_call_arguments.delta", "function_call_arguments.done", DONE]


def opened(
    *, tools: tuple[str, ...] = (), allowed: set[str] | None = None, raw: bool = False, **echo: Any
) -> Machine:  # any setting of a response
    """A machine that has begun and whose model may speak. ``tools`` names hosted searches."""
    numbers = count()
    machine = Machine(
        Response(id="resp_0", created_at=NOW, model="m", status="queued", **echo),
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        manner=Manner(
            kinds=dict.fromkeys(tools, SEARCH),
            allowed=None if allowed is None else frozenset(allowed),
            shown=Shown(raw=raw, summary="detailed"),
        ),
    )
    machine.start()
    machine.next_turn()
    return machine


def names(events: list[StreamEvent]) -> list[str]:
    """The types of events, without the prefix that all have."""
    return [name(event).removeprefix("response.") for event in events]


def said(
    *deltas: Delta, reason: FinishReason = "stop", **settings: Any
) -> tuple[list[str], list[OutputItem]]:  # any setting of a machine
    """The names of the events of one turn, and the items that came of it."""
    machine = opened(**settings)
    events = machine.feed([*deltas, Finish(reason)])
    return names(events), machine.finished


def message(text: str, *, id: str = "msg_0", status: ItemStatus = "completed") -> Message:
    """An assistant's message with one part."""
    return Message(id=id, status=status, role="assistant", content=[OutputText(text=text)])


def function_call(arguments: str, *, name: str = "f", at: int = 0, status: ItemStatus = "completed") -> FunctionCall:
    """A call, whose ids are the machine's next two from ``at`` on."""
    return FunctionCall(id=f"fc_{at}", status=status, arguments=arguments, call_id=f"call_{at + 1}", name=name)
