"""Hosted tools whose calls can be counted across processes: each call adds a line to one file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import anyio

from antiphon.core.calls import CallKind, OpenCall, Silent
from antiphon.protocol.calls import McpCall, McpProtocolError, SearchAction, WebSearchCall
from antiphon.tools import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from antiphon.protocol.events import PhaseType
    from antiphon.tools import Tool

    Report = Callable[[PhaseType], Awaitable[None]]

SECONDS = 0.05
"""What a call takes before its effect, and again after it: a kill falls on either side."""

UNKNOWN = McpProtocolError(code=-32000, message="The outcome is unknown: the process that made the call is gone.")


class Book:
    """A file with a line for each effect: the tool's name and the id of the call. Lines of any process stand whole."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def write(self, tool: str, call: str) -> None:
        """Add a line."""
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{tool} {call}\n".encode())
        finally:
            os.close(descriptor)

    def read(self) -> list[tuple[str, str]]:
        """All effects: the tool, and the call that had it."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [(tool, call) for tool, _, call in (line.partition(" ") for line in lines)]


class Count:
    """A tool whose effect must not happen twice."""

    kind: CallKind = Silent(
        "mcp",
        lambda call: McpCall(
            id=call.id, status="in_progress", arguments=call.arguments, name="count", server_label="chaos"
        ),
        "response.mcp_call.in_progress",
    )

    def __init__(self, book: Book) -> None:
        self._book = book

    async def call(self, call: OpenCall, report: Report) -> Answer:
        """Have the effect."""
        await effect(self._book, "count", call)
        await report("response.mcp_call.completed")
        return Answer(_counted(call, output="counted"), "It is counted.")

    def repeats(self, call: OpenCall) -> bool:
        """Twice is not once."""
        return False

    def lost(self, call: OpenCall) -> Answer:
        """Nobody knows whether it was counted."""
        return Answer(_counted(call, error=UNKNOWN), UNKNOWN.message)


class Look:
    """A tool that reads, and may do so again."""

    kind: CallKind = Silent(
        "ws", lambda call: WebSearchCall(id=call.id, status=call.status), "response.web_search_call.in_progress"
    )

    def __init__(self, book: Book) -> None:
        self._book = book

    async def call(self, call: OpenCall, report: Report) -> Answer:
        """Look something up."""
        await report("response.web_search_call.searching")
        await effect(self._book, "look", call)
        await report("response.web_search_call.completed")
        return Answer(WebSearchCall(id=call.id, status="completed", action=SearchAction(query="it")), "It is there.")

    def repeats(self, call: OpenCall) -> bool:
        """To look twice is as to look once."""
        return True

    def lost(self, call: OpenCall) -> Answer:
        """A call that is made again is never lost."""
        raise NotImplementedError


def tools(book: Book) -> dict[str, Tool]:
    """Both, by name."""
    return {"count": Count(book), "look": Look(book)}


async def effect(book: Book, tool: str, call: OpenCall) -> None:
    """Have an effect in the middle of a call that takes its time."""
    await anyio.sleep(SECONDS)
    book.write(tool, call.id)
    await anyio.sleep(SECONDS)


def _counted(call: OpenCall, *, output: str | None = None, error: McpProtocolError | None = None) -> McpCall:
    return McpCall(
        id=call.id,
        status="completed" if error is None else "failed",
        arguments=call.arguments,
        name="count",
        server_label="chaos",
        output=output,
        error=error,
    )
