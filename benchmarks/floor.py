"""The floor: the least that Python can do for a streamed Responses request, with no store, no checks and no framework.

One ``asyncio.Protocol`` speaks to the client, one to the upstream, and bytes that arrive from the one leave through the
other in the same call: no task wakes, nothing waits. The work between is the real work: HTTP is parsed, the request is
decoded and mapped, chunks are decoded, and all nine event types are written, with full snapshots, sequence numbers and
obfuscation. Every row of the table is read against this one.

    python -m benchmarks.floor --port 9001 --upstream 9100
"""

from __future__ import annotations

import argparse
import asyncio

import httptools
import uvloop

from benchmarks.telling import ChatUsage, Chunk, Telling, chat, decode_chunk, decode_request, encode

EVENT_STREAM = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
JSON_BODY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
UPSTREAM_REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer bench\r\n"
    b"content-type: application/json\r\naccept: text/event-stream\r\ncontent-length: %d\r\n\r\n%b"
)


class UpstreamLine(asyncio.Protocol):
    """One connection to the upstream. It asks for one client line at a time and waits in the pool between."""

    _transport: asyncio.Transport
    _parser: httptools.HttpResponseParser

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._asker: ClientLine | None = None
        self._rest = b""
        self._bodies: list[bytes] = []
        self._whole = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport  # type: ignore[assignment]  # asyncio types it as the base of all transports

    def ask(self, body: bytes, asker: ClientLine) -> None:
        """Send one request; what comes back goes to ``asker``."""
        self._asker, self._rest, self._whole = asker, b"", False
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(UPSTREAM_REQUEST % (len(body), body))

    def abort(self) -> None:
        """Cut the connection, which stops the model; nobody waits for it any more."""
        self._asker = None
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Hand on every whole chunk of this read at once."""
        self._parser.feed_data(data)
        asker = self._asker
        if asker is None:
            return
        *frames, self._rest = b"".join([self._rest, *self._bodies]).split(b"\n\n")
        self._bodies.clear()
        asker.heard([decode_chunk(frame[6:]) for frame in frames if frame != b"data: [DONE]"])
        if self._whole:
            self._asker = None
            asker.finished()
            self._floor.idle.append(self)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body from the parser."""
        self._bodies.append(body)

    def on_message_complete(self) -> None:
        """Note the end of the body."""
        self._whole = True

    def connection_lost(self, _exc: Exception | None) -> None:
        """Leave the pool; a client that still waits is cut off."""
        if self in self._floor.idle:
            self._floor.idle.remove(self)
        if self._asker is not None:
            self._asker.cut()


class ClientLine(asyncio.Protocol):
    """One connection from a client."""

    _transport: asyncio.Transport
    _telling: Telling

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._parser = httptools.HttpRequestParser(self)
        self._bodies: list[bytes] = []
        self._upstream: UpstreamLine | None = None
        self._streams = False
        self._usage = ChatUsage(0, 0, 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport  # type: ignore[assignment]  # asyncio types it as the base of all transports

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body from the parser."""
        self._bodies.append(body)

    def on_message_complete(self) -> None:
        """Answer a request without a body as healthy; open the stream of any other."""
        body = b"".join(self._bodies)
        self._bodies.clear()
        if not body:
            self._transport.write(JSON_BODY % (15, b'{"status":"ok"}'))
            return
        request = decode_request(body)
        self._streams = request.stream
        self._telling = Telling(request)
        start = self._telling.start()
        if self._streams:
            self._transport.write(b"%b%x\r\n%b\r\n" % (EVENT_STREAM, len(start), start))
        self._floor.ask(encode(chat(request)), self)

    def through(self, upstream: UpstreamLine) -> None:
        """Remember which line answers, to close it when the client leaves."""
        self._upstream = upstream

    def heard(self, chunks: list[Chunk]) -> None:
        """Write the events of one read from the upstream as one block."""
        texts = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
        for chunk in chunks:
            self._usage = chunk.usage or self._usage
        if texts:
            events = self._telling.feed(texts)
            if self._streams:
                self._transport.write(b"%x\r\n%b\r\n" % (len(events), events))

    def finished(self) -> None:
        """Write the end of the stream, or the body that nobody watched."""
        self._upstream = None
        events, body = self._telling.complete(self._usage)
        if self._streams:
            self._transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events))
        else:
            self._transport.write(JSON_BODY % (len(body), body))

    def cut(self) -> None:
        """Close the connection: the upstream went away."""
        self._upstream = None
        self._transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Stop the model where one still speaks."""
        if self._upstream is not None:
            self._upstream.abort()


class Floor:
    """The server: the pool of upstream lines, the last one used first."""

    def __init__(self, upstream_port: int, group: asyncio.TaskGroup) -> None:
        self.idle: list[UpstreamLine] = []
        self._upstream_port = upstream_port
        self._group = group

    def ask(self, body: bytes, asker: ClientLine) -> None:
        """Send the request over a line of the pool, or over a new one."""
        if self.idle:
            self._over(self.idle.pop(), body, asker)
        else:
            self._group.create_task(self._over_a_new_line(body, asker))

    def _over(self, line: UpstreamLine, body: bytes, asker: ClientLine) -> None:
        asker.through(line)
        line.ask(body, asker)

    async def _over_a_new_line(self, body: bytes, asker: ClientLine) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            _, line = await loop.create_connection(lambda: UpstreamLine(self), "127.0.0.1", self._upstream_port)
        self._over(line, body, asker)

    async def listen(self, port: int) -> asyncio.Server:
        """Listen on a port of the loopback; 0 takes a free one."""
        return await asyncio.get_running_loop().create_server(lambda: ClientLine(self), "127.0.0.1", port, backlog=2048)

    def close(self) -> None:
        """Cut the lines of the pool."""
        for line in self.idle:
            line.abort()


async def run(port: int, upstream_port: int) -> None:
    """Serve until the process is told to end."""
    async with asyncio.TaskGroup() as group:
        server = await Floor(upstream_port, group).listen(port)
        await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=int, required=True, help="the port of the upstream on the loopback")
    asked = parser.parse_args()
    uvloop.run(run(asked.port, asked.upstream))


if __name__ == "__main__":
    main()
