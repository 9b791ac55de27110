"""A server that speaks the protocol by hand, so that it can break it: by the handshake, or by the older transport."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Message = dict[str, Any]  # of JSON-RPC
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
ACCEPTED = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
DONE: Message = {"content": [{"type": "text", "text": "done"}]}


class Rough:
    """A server whose tools and manners tests write. ``asked`` are the messages that came."""

    def __init__(self) -> None:
        self.asked: list[Message] = []
        self.resumptions: int = 0
        self.url = ""
        self.serving: set[asyncio.Task[None] | None] = set()
        self.over = anyio.Event()

    async def hang(self) -> None:
        """Answer nothing any more."""
        await self.over.wait()
        raise ConnectionError

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.serving.add(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
                content = await reader.readexactly(int(length[1]) if length else 0)
                await self.heard(head, content, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def heard(self, head: bytes, content: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer a request."""
        if not head.startswith(b"POST"):
            await self.read(writer)
            return
        message = msgspec.json.decode(content)
        self.asked.append(message)
        if "method" not in message or "id" not in message:
            await self.notified(message, writer)
        elif message["method"] == "tools/call":
            await self.call(message, writer)
        else:
            self.tell(writer, self.answer(message))

    async def read(self, writer: asyncio.StreamWriter) -> None:
        """Answer a GET."""
        self.resumptions += 1
        writer.write(b"HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n")

    async def notified(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Take what has no answer."""
        writer.write(ACCEPTED)

    async def call(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Call a tool."""
        self.tell(writer, reply(message, DONE))

    def answer(self, message: Message) -> Message:
        """Give the answer to any other request."""
        match message["method"]:
            case "initialize":
                server = {"name": "rough", "version": "1"}
                kept: Message = {"protocolVersion": "2024-11-05", "capabilities": {"tools": {}}, "serverInfo": server}
                return reply(message, kept)
            case "tools/list":
                return reply(message, self.page(message))
            case _:
                return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}

    def page(self, message: Message) -> Message:
        """A page of the list of tools."""
        return {"tools": [tool("t")]}

    def tell(self, writer: asyncio.StreamWriter, message: Message, extra: str = "") -> None:
        """Answer with a message."""
        content = msgspec.json.encode(message)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{extra}content-length: {len(content)}\r\n\r\n"
        writer.write(head.encode("latin-1") + content)

    def times(self, name: str) -> int:
        """How often a method was asked for, or a tool called."""
        return sum(name in {asked.get("method"), asked.get("params", {}).get("name")} for asked in self.asked)


_Rough = TypeVar("_Rough", bound=Rough)


class RoughOlder(Rough):
    """The same by the older transport: answers go into one stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stream: asyncio.StreamWriter | None = None

    async def heard(self, head: bytes, content: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer a request."""
        if head.startswith(b"POST /mcp"):
            writer.write(b"HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n")
            return
        await super().heard(head, content, writer)
        if head.startswith(b"POST"):
            writer.write(ACCEPTED)

    async def read(self, writer: asyncio.StreamWriter) -> None:
        """Open the stream."""
        writer.write(EVENTS + b"event: endpoint\ndata: /messages\n\n")
        self.stream = writer

    async def notified(self, message: Message, writer: asyncio.StreamWriter) -> None:
        """Take what has no answer."""

    def tell(self, writer: asyncio.StreamWriter, message: Message, extra: str = "") -> None:
        """Answer with an event."""
        assert self.stream is not None
        self.stream.write(event(message))


def reply(message: Message, result: Message) -> Message:
    """The answer to a request."""
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def progress(message: Message) -> Message:
    """A notification of a request's progress."""
    token = message["params"]["_meta"]["progressToken"]
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}


def event(message: Message) -> bytes:
    """A message as an event."""
    return b"data: " + msgspec.json.encode(message) + b"\n\n"


def tool(name: str, **others: Any) -> Message:  # whatever a server may say of a tool
    """A tool of a list."""
    return {"name": name, "inputSchema": {"type": "object"}, **others}


@asynccontextmanager
async def rough(server: _Rough) -> AsyncGenerator[_Rough, None]:
    """Serve in the loop of the test."""
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/mcp"
    try:
        yield server
    finally:
        listening.close()
        server.over.set()
        await asyncio.wait([task for task in server.serving if task is not None])
