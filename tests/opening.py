"""A server of somebody else's and a person who approves, for runs that begin with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from msgspec.structs import replace

from antiphon.core.mcp_calls import Asking, McpKind
from antiphon.core.turn import Choice, Function
from antiphon.engine.task import Equipment, Grant, Opening, Task
from antiphon.protocol.calls import McpCall, McpListTools, McpProtocolError, McpToolListing
from antiphon.tools import Answer, Tool, Unlisted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from antiphon.core.calls import CallKind, OpenCall
    from antiphon.protocol.events import PhaseType
    from antiphon.protocol.items import OutputItem

    Report = Callable[[PhaseType], Awaitable[None]]

LOOK = McpToolListing(name="look", input_schema={"type": "object"})
LATER = "library__look"
REQUEST = "mcpr_1"


class Library:
    """A server with one tool, which counts what it is asked. ``fault``: why it lists nothing."""

    label = "library"
    url = "https://library.example/mcp"

    def __init__(self, *, fault: Unlisted | None = None, slow: anyio.Event | None = None) -> None:
        self.lists = 0
        self.called: list[str] = []
        self._fault = fault
        self._slow = slow

    async def list(self) -> list[McpToolListing]:
        """One tool, or the fault."""
        self.lists += 1
        await anyio.lowlevel.checkpoint()
        if self._slow is not None:
            await self._slow.wait()
        if self._fault is not None:
            raise self._fault
        return [LOOK]

    def tool(self, listing: McpToolListing, approval_request_id: str | None = None) -> Tool:
        """The tool."""
        return Look(self, approval_request_id)


class Look:
    """The tool: it must not be used twice where once was meant."""

    def __init__(self, library: Library, approval_request_id: str | None) -> None:
        self.kind: CallKind = McpKind("library", "look", approval_request_id)
        self._library = library
        self._approval = approval_request_id

    async def call(self, call: OpenCall, report: Report) -> Answer:
        """Look, and count it before anything can go wrong."""
        self._library.called.append(call.arguments)
        await anyio.lowlevel.checkpoint()
        await report("response.mcp_call.completed")
        return Answer(self._item(call), "Found.")

    def repeats(self, call: OpenCall) -> bool:
        """Never."""
        return False

    def lost(self, call: OpenCall) -> Answer:
        """Nobody knows."""
        error = McpProtocolError(code=-32000, message="Unknown.")
        return Answer(replace(self._item(call), status="failed", output=None, error=error), "Unknown.")

    def _item(self, call: OpenCall) -> McpCall:
        return McpCall(
            id=call.id,
            status="completed",
            approval_request_id=self._approval,
            arguments=call.arguments,
            name="look",
            output="Found.",
            server_label="library",
        )


class Approvals:
    """What was used up, and by what fault it cannot be."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.spent = 0
        self._fault = fault

    async def spend(self) -> None:
        """Use all up."""
        await anyio.lowlevel.checkpoint()
        if self._fault is not None:
            raise self._fault
        self.spent += 1


def _as_it_is(fresh: str, _arguments: str) -> str:
    return fresh


def opened(
    task: Task,
    library: Library,
    *,
    approvals: Approvals | None = None,
    granted: Sequence[str] = (),
    asks: bool = False,
    lists: bool = True,
) -> Task:
    """A task that begins with a library; ``granted`` are the arguments of calls that a person approved."""
    grants = [Grant(f"{REQUEST}{number}", arguments) for number, arguments in enumerate(granted)]

    def equip(made: Sequence[OutputItem]) -> Equipment:
        known = [LOOK for item in made if isinstance(item, McpListTools) and item.tools] or ([] if lists else [LOOK])
        functions = [Function(LATER, b'{"type":"object"}') for _ in known]  # type: ignore[arg-type]  # Raw is bytes
        tools: dict[str, Tool] = {LATER: library.tool(LOOK)} if known and not asks else {}
        waiting: dict[str, CallKind] = {LATER: Asking("library", "look", _as_it_is)} if asks else {}
        return Equipment(functions, Choice(), None, tools=tools, clients=waiting)

    spend = (approvals or Approvals()).spend
    opening = Opening([library] if lists else [], grants, equip, spend)
    return replace(task, opening=opening, grants={grant.id: library.tool(LOOK, grant.id) for grant in grants})
