"""MCP servers that are what they should be, written with the official SDK: a library, an archive, and older ones."""

from __future__ import annotations

from base64 import b64decode, b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from pydantic import BaseModel

from tests.mcp_servers.serving import demanding, serving
from tests.mcp_servers.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Iterator

PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC")
"""A picture of one red pixel."""

BEAT_SECONDS = 0.05


class Book(BaseModel):
    """A book."""

    title: str
    year: int | None = None


class Shelf(BaseModel):
    """Books in a place."""

    name: str
    books: list[Book]
    beside: Shelf | None = None


@contextmanager
def library(*, json_response: bool = False, stateless_http: bool = False) -> Iterator[Watched]:
    """A library at a URL of streamable HTTP, for clients of the new protocol and of the older ones.

    It answers with events, or with JSON alone; ``stateless_http`` gives older clients no session.
    """
    watched = Watched()
    app = _library(watched).streamable_http_app(json_response=json_response, stateless_http=stateless_http)
    with serving(app, watched, "/mcp"):
        yield watched


@contextmanager
def archive() -> Iterator[Watched]:
    """Another server, with a tool ``search`` of its own."""
    watched = Watched()
    server = MCPServer("archive")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
    def search(query: str) -> str:
        """Search the archive."""
        return f"In the archive: three letters about {query}."

    with serving(server.streamable_http_app(), watched, "/mcp"):
        yield watched


@contextmanager
def legacy() -> Iterator[Watched]:
    """The library, with no other transport than the older one: a stream of events, and a POST beside it."""
    watched = Watched()
    with serving(_library(watched).sse_app(), watched, "/sse"):
        yield watched


@contextmanager
def guarded(token: str) -> Iterator[Watched]:
    """The library, for who brings a bearer token with every request."""
    watched = Watched()
    app = demanding(_library(watched).streamable_http_app(), watched, token)
    with serving(app, watched, "/mcp"):
        yield watched


def _library(watched: Watched) -> MCPServer:
    server = MCPServer("library", instructions="Ask for books.")
    _add_plain_tools(server)
    _add_rich_tools(server)
    _add_odd_tools(server, watched)
    return server


def _add_plain_tools(server: MCPServer) -> None:
    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool(annotations=ToolAnnotations(title="Search", read_only_hint=True), structured_output=False)
    def search(query: str) -> str:
        """Search the library."""
        return f"In the library: two books about {query}."

    @server.tool(structured_output=False)
    def delete_book(title: str) -> str:
        """Throw a book away."""
        return f"{title} is gone."

    @server.tool(annotations=ToolAnnotations(read_only_hint=False, idempotent_hint=True), structured_output=False)
    def renew(title: str) -> str:
        """Keep a book for longer."""
        return f"{title} is yours for another month."


def _add_rich_tools(server: MCPServer) -> None:
    @server.tool()
    def picture() -> Image:
        """Show a picture."""
        return Image(data=PNG, format="png")

    @server.tool(structured_output=False)
    def many_kinds() -> CallToolResult:
        """Give something of every kind."""
        page = TextResourceContents(uri="book://moby-dick/1", mime_type="text/plain", text="Call me Ishmael.")
        return CallToolResult(
            content=[
                TextContent(text="A whale."),
                ImageContent(data=b64encode(PNG).decode(), mime_type="image/png"),
                ResourceLink(uri="book://moby-dick", name="moby-dick", title="Moby-Dick", mime_type="text/plain"),
                EmbeddedResource(resource=page),
            ],
            structured_content={"title": "Moby-Dick", "pages": 635},
        )

    @server.tool(structured_output=False)
    def catalogue(shelf: Shelf, also: list[Book]) -> str:
        """Count books."""
        return f"{len(shelf.books) + len(also)} books on {shelf.name}."

    @server.tool(structured_output=False)
    def unions(value: int | str | list[Book]) -> str:
        """Say what a value is."""
        return type(value).__name__


def _add_odd_tools(server: MCPServer, watched: Watched) -> None:
    @server.tool(structured_output=False)
    async def slow(seconds: float, context: Context) -> str:
        """Take a while, and tell how far it is."""
        try:
            for beat in range(beats := max(1, round(seconds / BEAT_SECONDS))):
                await context.report_progress(beat, beats, f"Shelf {beat}")
                await anyio.sleep(BEAT_SECONDS)
        except anyio.get_cancelled_exc_class():
            watched.cancel("stopped")
            raise
        return f"That took {seconds:g} seconds."

    @server.tool(structured_output=False)
    def breaks() -> str:
        """Fail."""
        raise ToolError("The shelf fell over.")

    @server.tool(structured_output=False)
    def no_arguments() -> str:
        """Need nothing."""
        return "Nothing was needed."
