"""Models that are asked for notes, and note what they were asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.backends import UpstreamError
from antiphon.core.deltas import Finish, Text, Thought
from antiphon.core.estimate import estimate
from antiphon.protocol.content import InputText
from antiphon.protocol.items import Message
from antiphon.protocol.response import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.deltas import Delta, FinishReason
    from antiphon.core.turn import Turn


USAGE = Usage(input_tokens=10, output_tokens=5, total_tokens=15)


class Scribe:
    """Writes ``notes 1``, ``notes 2`` and so on; refuses what has more than ``window`` tokens."""

    def __init__(
        self,
        *said: str,
        window: int = 1_000_000,
        reason: FinishReason = "stop",
        usage: Usage | None = USAGE,
    ) -> None:
        self._said = said
        self._window = window
        self._reason: FinishReason = reason
        self._usage = usage
        self.turns: list[Turn] = []
        self.refused = 0

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Write."""
        if estimate(turn) > self._window:
            self.refused += 1
            raise UpstreamError("context_length_exceeded", "Too long.")
        self.turns.append(turn)
        yield [Thought("What matters?")]
        for text in self._said or (f"notes {len(self.turns)}",):
            yield [Text(text)]
        yield [Finish(self._reason, self._usage)]

    async def aclose(self) -> None:
        """There is nothing to let go of."""


def read(turn: Turn) -> str:
    """The words of the one message of a turn; of an image its name."""
    (message,) = turn.items
    assert isinstance(message, Message)
    return "".join(part.text if isinstance(part, InputText) else "<image>" for part in message.content)
