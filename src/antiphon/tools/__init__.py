"""The second door: a hosted tool. It reports phases and returns an answer; it never makes an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from antiphon.protocol.items import OutputItem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from antiphon.core.calls import CallKind, OpenCall
    from antiphon.protocol.events import PhaseType

    Report = Callable[[PhaseType], Awaitable[None]]


class Answer(Struct, frozen=True):
    """The two faces of an answer: the finished *item* that the client sees, and the *output* that the model reads.

    A call that failed is an answer too: its item says ``failed`` and its output tells the model why.
    """

    item: OutputItem
    output: str


class Tool(Protocol):
    """A tool that the server runs."""

    kind: CallKind

    async def call(self, call: OpenCall, report: Report) -> Answer:
        """Run the call. ``report`` takes a phase's event name, such as ``response.web_search_call.searching``."""
        ...

    def repeats(self, call: OpenCall) -> bool:
        """Whether the call may be made again where nobody knows if it was made: it reads, or twice is as once."""
        ...

    def lost(self, call: OpenCall) -> Answer:
        """The answer to a call that was begun by a process that is gone, and that is not made again.

        Its item says that the outcome is unknown, and its output lets the model decide what to do.
        """
        ...
