"""A TCP server on loopback whose connections follow a script, byte by byte: the upstream that misbehaves on demand."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Awaitable, Callable

    Script = Callable[["Peer"], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Peer:
    """One connection, from the server's side."""

    def __init__(self, server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Read a whole request, keep it in the server's list and give it."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        request = head + await self._reader.readexactly(size)
        self.server.requests.append(request)
        self.server.asked.set()
        return request

    async def send(self, said: bytes) -> None:
        """Write and flush."""
        self._writer.write(said)
        await self._writer.drain()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        with suppress(ConnectionError):
            assert await self._reader.read() == b"", "the client sent more than a request"
        self.server.left.set()

    async def drained(self) -> None:
        """Read whatever comes, and answer nothing, until the client has closed the connection."""
        with suppress(ConnectionError):
            await self._reader.read()
        self.server.left.set()

    def reset(self) -> None:
        """End the connection with a RST."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """End the connection with a FIN."""
        self._writer.close()


class RawServer:
    """What the server saw: its requests in order, how many connections, and two events, ``asked`` and ``left``."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self.scripts = scripts
        self.requests: list[bytes] = []
        self.peers: list[Peer] = []
        self.failures: list[BaseException] = []
        self.asked = anyio.Event()
        self.left = anyio.Event()
        self.port = 0
        self._gate = anyio.Event()

    async def step(self) -> None:
        """Wait for the next `go_on`."""
        await self._gate.wait()
        self._gate = anyio.Event()

    def go_on(self) -> None:
        """Let the script take its next step."""
        self._gate.set()

    @property
    def url(self) -> str:
        """The server's base URL."""
        return f"http://127.0.0.1:{self.port}"

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Follow the script of the n-th connection; the last script serves all that come after it."""
        peer = Peer(self, reader, writer)
        self.peers.append(peer)
        script = self.scripts[min(len(self.peers), len(self.scripts)) - 1]
        try:
            await script(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        except Exception as failure:  # noqa: BLE001 - raised again where the test ends
            self.failures.append(failure)
        peer.close()


@asynccontextmanager
async def raw_server(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncGenerator[RawServer, None]:
    """Serve one script for each connection, the last one for all further ones."""
    server = RawServer(scripts)
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for peer in server.peers:
            peer.close()
    assert server.failures == []


def answering(*answers: bytes) -> Script:
    """Answer one request after another with whole responses, then wait until the client leaves."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.send(answer)
        await peer.gone()

    return script


def breaking(answer: bytes) -> Script:
    """Read a request, say ``answer`` and close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    return script


async def resetting(peer: Peer) -> None:
    """Read a request and end the connection with a RST."""
    await peer.request()
    peer.reset()
