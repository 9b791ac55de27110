"""The hosted tool ``tool_search``: it loads the tools that a model asks for by their paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from antiphon.core.deferring import Searching
from antiphon.protocol.calls import ToolSearchCall
from antiphon.tools import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.core.calls import CallKind, OpenCall
    from antiphon.core.deferring import Deferred
    from antiphon.tools import Report


class Wanted(Struct, frozen=True):
    """What a model asks for. Some write one path where a list is wanted."""

    paths: list[str] | str = []


class ToolSearch:
    """Finds deferred tools. What it finds depends on the request alone, so a search may be made again."""

    def __init__(self, offered: Sequence[Deferred]) -> None:
        self.kind: CallKind = Searching()
        self._offered = {each.path: each for each in offered}
        self._found: set[str] = set()

    async def call(self, call: OpenCall, report: Report) -> Answer:
        """The tools of the paths; a path that leads nowhere is told to the model."""
        paths = _paths(call.arguments)
        known = [path for path in paths if path in self._offered]
        found = [self._offered[path] for path in known if path not in self._found]
        self._found.update(known)  # what another search of this turn has found is there already
        unknown = [path for path in paths if path not in self._offered]
        item = ToolSearchCall(id=call.id, arguments={"paths": paths}, call_id=None, execution="server")
        words = [f"Loaded, and ready to be called: {', '.join(known)}."] if known else []
        if unknown or not paths:
            words.append(
                f"There is nothing to load at: {', '.join(unknown)}. Possible paths: {', '.join(self._offered)}."
            )
        return Answer(item, " ".join(words), found=[each.tool for each in found])

    def repeats(self, call: OpenCall) -> bool:
        """It only looks."""
        return True

    def lost(self, call: OpenCall) -> Answer:
        """Never asked for, as the search is made again."""
        item = ToolSearchCall(id=call.id, arguments={}, call_id=None, execution="server", status="incomplete")
        return Answer(item, "The search was broken off.")


def _paths(arguments: str) -> list[str]:
    try:
        wanted = msgspec.json.decode(arguments, type=Wanted).paths
    except (msgspec.DecodeError, RecursionError):
        return []
    return [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted))
