"""A small MCP server, written with the SDK, in a thread of its own; and what stands before it to spoil its answers."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import anyio
import msgspec
import uvicorn
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Era = Literal["newest", "handshake", "sse"]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)


class Seen:
    """What a server was asked, by HTTP; and answers that stand in for its own, each used once."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []  # a request as the test wants to look at it
        self.connections: list[tuple[str, int]] = []
        self.cancelled = threading.Event()
        self.begun = threading.Event()
        self.left = threading.Event()
        self.instead: dict[str, list[tuple[int, dict[str, str], bytes]]] = {}

    def methods(self) -> list[str]:
        """The JSON-RPC methods that arrived, or the HTTP ones of requests without a body."""
        return [request["method"] for request in self.requests]

    def times(self, method: str) -> int:
        """How often a method arrived."""
        return self.methods().count(method)


class Front:
    """Stands before a server: notes requests, refuses the newest protocol, and answers instead."""

    def __init__(self, app: ASGIApp, seen: Seen, era: Era) -> None:
        self.app = app
        self.seen = seen
        self.era = era

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = await read(receive) if scope["method"] == "POST" else b""
        asked = msgspec.json.decode(body) if body else {"method": scope["method"]}
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.seen.requests.append({"headers": headers, "method": asked.get("method", ""), "body": asked})
        if scope["method"] == "DELETE":
            self.seen.left.set()
        self.seen.connections.append(tuple(scope["client"]))
        if instead := self.seen.instead.get(asked.get("method", "")):
            status, extra, content = instead.pop(0)
            await answer(send, status, extra, content.replace(b'"ID"', str(asked.get("id")).encode()))
        elif self.era == "handshake" and asked.get("method") == "server/discover":
            await answer(send, 400, {}, b"no")
        elif self.era == "sse" and scope["path"] == "/sse" and scope["method"] == "POST":
            await answer(send, 405, {}, b"")
        else:
            await self.app(scope, replayed(body, receive) if body else receive, send)


async def read(receive: Receive) -> bytes:
    """A whole body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def replayed(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already, and then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def answer(send: Send, status: int, headers: dict[str, str], content: bytes) -> None:
    """Answer with bytes."""
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": content})


class Running:
    """A server that runs: its URL and what it was asked."""

    def __init__(self, url: str, seen: Seen) -> None:
        self.url = url
        self.seen = seen


def tools(seen: Seen) -> MCPServer:
    """A server with a tool for each thing that a tool may do."""
    server = MCPServer("tests", log_level="CRITICAL")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def fail(reason: str) -> str:
        raise ToolError(reason)

    @server.tool(annotations=ToolAnnotations(read_only_hint=False, idempotent_hint=True))
    def picture() -> Image:
        return Image(data=PNG, format="png")

    @server.tool()
    def long(length: int) -> str:
        return "x" * length

    @server.tool()
    async def wait(ctx: Context) -> str:
        await ctx.report_progress(1, 2)
        seen.begun.set()
        try:
            await anyio.sleep(HANG_SECONDS)
        except anyio.get_cancelled_exc_class():
            seen.cancelled.set()
            raise
        return "late"

    @server.tool()
    async def steps(count: int, seconds: float, ctx: Context) -> str:
        for step in range(count):
            await ctx.report_progress(step, count)
            await anyio.sleep(seconds)
        return "done"

    return server


@contextmanager
def serving(era: Era = "newest", *, json: bool = False) -> Iterator[Running]:
    """Serve on a free port: by the newest protocol, by the handshake before it, or by the older transport."""
    seen = Seen()
    server = tools(seen)
    app = server.sse_app() if era == "sse" else server.streamable_http_app(json_response=json)
    with served(Front(app, seen, era)) as port:
        yield Running(f"http://127.0.0.1:{port}/{'sse' if era == 'sse' else 'mcp'}", seen)


@contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    """Serve an app in a thread, and give its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, lifespan="on", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(HANG_SECONDS)
