"""How calls of MCP servers' tools show themselves: those that are made, and those that wait for a person's consent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.core.calls import Quiet, phase_event
from antiphon.protocol.calls import McpApprovalRequest, McpCall
from antiphon.protocol.events import ItemDelta, McpArgumentsDone, StreamEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.core.calls import OpenCall
    from antiphon.core.place import Place
    from antiphon.protocol.items import OutputItem

    Sign = Callable[[str, str], str]


class McpKind:
    """A call that the server makes. Its arguments come in one delta, as recorded."""

    prefix = "mcp"
    hosted = True

    def __init__(self, server_label: str, name: str, approval_request_id: str | None = None) -> None:
        self.server_label = server_label
        self.name = name
        self.approval_request_id = approval_request_id

    def item(self, call: OpenCall) -> OutputItem:
        """The call as far as it is told: its arguments are, once they are all written."""
        return McpCall(
            id=call.id,
            status="incomplete" if call.status == "incomplete" else "in_progress",
            approval_request_id=self.approval_request_id,
            arguments="" if call.status == "in_progress" else call.arguments,
            name=self.name,
            server_label=self.server_label,
        )

    def began(self, call: OpenCall) -> list[StreamEvent]:
        """The call is in progress."""
        return [phase_event(call, "response.mcp_call.in_progress")]

    def wrote(self, call: OpenCall, arguments: str) -> list[StreamEvent]:
        """Nothing: they are told when all are written."""
        return []

    def wrote_all(self, call: OpenCall) -> list[StreamEvent]:
        """The arguments, in one delta and whole."""
        return [*arguments_delta(call.place, call.arguments), arguments_done(call.place, call.arguments)]


class Asking(Quiet):
    """A call that a person has to approve: told when it is whole, for nobody approves half of one.

    ``sign`` takes a fresh id and the arguments, and gives the id by which the approval will know what it approves.
    """

    prefix = "mcpr"
    hosted = False

    def __init__(self, server_label: str, name: str, sign: Sign) -> None:
        self.server_label = server_label
        self.name = name
        self.sign = sign

    def item(self, call: OpenCall) -> OutputItem:
        """The request for an approval."""
        return McpApprovalRequest(id=call.id, arguments=call.arguments, name=self.name, server_label=self.server_label)


def arguments_delta(place: Place, arguments: str) -> list[StreamEvent]:
    """A piece of the arguments of a call, if it is not empty."""
    if not arguments:
        return []
    return [
        ItemDelta(
            type="response.mcp_call_arguments.delta",
            delta=arguments,
            item_id=place.id,
            output_index=place.output_index,
            sequence_number=place.number(),
        )
    ]


def arguments_done(place: Place, arguments: str) -> StreamEvent:
    """All the arguments of a call."""
    return McpArgumentsDone(
        arguments=arguments, item_id=place.id, output_index=place.output_index, sequence_number=place.number()
    )
