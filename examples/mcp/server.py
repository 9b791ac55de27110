"""A small MCP server, to be asked by a model: a notebook. It speaks streamable HTTP at /mcp.

``python examples/mcp/server.py --port 9000``; with ``--token secret`` it wants ``Authorization: Bearer secret``.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

notebook = MCPServer("notebook")
notes = {
    "Sailing": "The wind turns at noon. Be back before the tide.",
    "Bread": "Let it rest for a day; then it needs no kneading.",
}


@notebook.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
def find(words: str) -> str:
    """Find notes that hold these words."""
    found = [f"{title}: {text}" for title, text in notes.items() if words.lower() in f"{title} {text}".lower()]
    return "\n".join(found) or "There is no such note."


@notebook.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
def titles() -> str:
    """List the titles of all notes."""
    return "\n".join(notes)


@notebook.tool(structured_output=False)
def write(title: str, text: str) -> str:
    """Write a note; one of the same title is replaced."""
    notes[title] = text
    return f"Noted under {title}."


def guarded(app: ASGIApp, token: str) -> ASGIApp:
    """Let in only who brings the token."""
    expected = f"Bearer {token}".encode()

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (b"authorization", expected) in scope["headers"]:
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]})
        await send({"type": "http.response.body", "body": b"This notebook is locked."})

    return guard


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=9000)
    arguments.add_argument("--token", default="")
    chosen = arguments.parse_args()
    app = notebook.streamable_http_app()
    uvicorn.run(guarded(app, chosen.token) if chosen.token else app, port=chosen.port)
