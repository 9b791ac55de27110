"""Items of tools that an upstream runs itself, as it tells of them: they are passed on in places of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.core.calls import unfinished
from antiphon.core.mcp_calls import arguments_delta, arguments_done
from antiphon.protocol.events import ItemPhase, PhaseType, StreamEvent

if TYPE_CHECKING:
    from antiphon.core.output import Output
    from antiphon.core.place import Place
    from antiphon.protocol.items import OutputItem

LAST_PHASES = frozenset({"response.mcp_call.completed", "response.mcp_call.failed"})


class Foreign:
    """One such item, open until the upstream has made it."""

    def __init__(self, place: Place, item: OutputItem) -> None:
        self._place = place
        self._item = item
        self._pieces: list[str] = []
        self._is_written = False

    def open(self) -> list[StreamEvent]:
        """The item begins."""
        return [self._place.added(self._item)]

    def write(self, arguments: str) -> list[StreamEvent]:
        """A piece of its arguments."""
        self._pieces.append(arguments)
        return arguments_delta(self._place, arguments)

    def go_on(self, phase: PhaseType) -> list[StreamEvent]:
        """It goes on; what was written is told whole before its last phase."""
        events = self._written() if phase in LAST_PHASES else []
        place = self._place
        number = place.number()
        return [
            *events,
            ItemPhase(type=phase, item_id=place.id, output_index=place.output_index, sequence_number=number),
        ]

    def close(self, item: OutputItem, output: Output) -> list[StreamEvent]:
        """It is finished."""
        events = self._written()
        return [*events, output.end(self._place, replace(item, id=self._place.id))]

    def break_off(self, output: Output) -> list[StreamEvent]:
        """It will not be finished."""
        return self.close(unfinished(self._item, "".join(self._pieces)), output)

    def _written(self) -> list[StreamEvent]:
        if self._is_written or not self._pieces:
            return []
        self._is_written = True
        return [arguments_done(self._place, "".join(self._pieces))]
