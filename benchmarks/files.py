"""A large file: what it costs to take it in and to give it back, in memory and in CPU."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks.background import FULL, Together, sized
from benchmarks.contenders import Contender, antiphon
from benchmarks.driver import OK, BrokenAnswerError
from benchmarks.processes import cpu_nanoseconds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from benchmarks.background import Taken
    from benchmarks.processes import Server
    from benchmarks.stage import Stage

MB = 1_000_000
LARGE = 512 * MB
SMALLER = 64 * MB
UPLOAD = "upload"
BACK = "read back"
TRANSFER_SECONDS = 120.0
BLOCK = MB
BOUNDARY = b"b6a1f0e2c94d47d89a3b5c7e8f102938"
OPENING = (
    b'--%b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    b'--%b\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
) % (BOUNDARY, BOUNDARY)
CLOSING = b"\r\n--%b--\r\n" % BOUNDARY
STANDING = b"host: 127.0.0.1\r\nauthorization: Bearer bench\r\nconnection: close\r\n"
POST = b"POST /v1/files HTTP/1.1\r\n%bcontent-type: multipart/form-data; boundary=%b\r\ncontent-length: %d\r\n\r\n"
GET = b"GET /v1/files/%b/content HTTP/1.1\r\n%b\r\n"
NOISE = hashlib.shake_128(b"a large file").digest(BLOCK)


class Filed(Struct, frozen=True):
    """The part of a file object that is looked at here."""

    id: str
    bytes: int


class Sent(Struct, frozen=True):
    """A file that was taken in: its id, its size in bytes and the digest of its content."""

    id: str
    size: int
    digest: str


class Rise(Struct, frozen=True):
    """By how many bytes resident memory was higher, at its height, than before: of a server, and of its children."""

    server: int
    children: int


class Watched:
    """The processes of a server from now on: their memory at its height, and the CPU that they use.

    Heights are the kernel's own marks, so that none is missed. Those of several children are added up, though they may
    not have come at once.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._cpu: dict[int, int] = {}
        self._idle = self.anew()

    def anew(self) -> dict[int, int]:
        """Begin anew, but heights are told over what was idle first. Give the bytes that each process holds now."""
        self._cpu = {pid: cpu_nanoseconds(pid) for pid in self._server.tree()}
        return {pid: lowered(pid) for pid in self._cpu}

    def rise(self) -> Rise:
        """Give the rise until now."""
        server, *children = (height(pid) - self._idle.get(pid, 0) for pid in self._server.tree())
        return Rise(server, sum(children))

    def cpu_seconds(self) -> tuple[float, float]:
        """Give the seconds of CPU that the server, and those of its children that still run, have used since then."""
        server, *children = (cpu_nanoseconds(pid) - self._cpu.get(pid, 0) for pid in self._server.tree())
        return server / 1e9, sum(children) / 1e9


def lowered(pid: int) -> int:
    """Set the mark of a process's highest resident memory to what it holds now, and give that in bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return height(pid)


def height(pid: int) -> int:
    """Give the highest resident memory of a process since its mark was set, in bytes; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def blocks(size: int) -> Iterator[bytes]:
    """Give the content of a file of so many bytes, no block of which is like another."""
    for number, start in enumerate(range(0, size, BLOCK)):
        yield (number.to_bytes(8, "big") + NOISE[8:])[: size - start]


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a server, for the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def uploaded(port: int, size: int) -> Sent:
    """Upload a file of so many bytes, in the form that the official packages send. Raises `BrokenAnswerError`."""
    digest = hashlib.sha256()
    try:
        async with asyncio.timeout(TRANSFER_SECONDS), connected(port) as (reader, writer):
            writer.write(POST % (STANDING, BOUNDARY, len(OPENING) + size + len(CLOSING)) + OPENING)
            for block in blocks(size):
                digest.update(block)
                writer.write(block)
                await writer.drain()
            writer.write(CLOSING)
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    except (OSError, TimeoutError) as error:
        raise BrokenAnswerError(f"a file of {size} bytes was not taken in: {error!r}") from error
    filed = read_file_object(head, body)
    if filed.bytes != size:
        raise BrokenAnswerError(f"{filed.bytes} bytes were taken in of {size}")
    return Sent(filed.id, size, digest.hexdigest())


def read_file_object(head: bytes, body: bytes) -> Filed:
    """Read the answer to an upload. Raises `BrokenAnswerError` where it is none of success."""
    try:
        check_status(head, body)
        return msgspec.json.decode(body, type=Filed)
    except msgspec.MsgspecError as error:
        raise BrokenAnswerError(f"no file object: {body[:200]!r}") from error


def check_status(head: bytes, body: bytes = b"") -> None:
    """Raise `BrokenAnswerError` where the head of an answer has another status than 200."""
    if head.split(b" ")[1:2] != [b"%d" % OK]:
        raise BrokenAnswerError(f"the answer begins with {(head + body)[:400]!r}")


async def read_back(port: int, sent: Sent) -> None:
    """Read the content of a file. Raises `BrokenAnswerError` where it is not what was sent."""
    digest, size = hashlib.sha256(), 0
    try:
        async with asyncio.timeout(TRANSFER_SECONDS), connected(port) as (reader, writer):
            writer.write(GET % (sent.id.encode(), STANDING))
            check_status(await reader.readuntil(b"\r\n\r\n"))
            while piece := await reader.read(BLOCK):
                digest.update(piece)
                size += len(piece)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise BrokenAnswerError(f"a file of {sent.size} bytes was not given back: {error!r}") from error
    if (size, digest.hexdigest()) != (sent.size, sent.digest):
        raise BrokenAnswerError(f"{size} other bytes were given back than the {sent.size} that were taken in")


async def large_file(stage: Stage, rounds: int) -> Taken:
    """Take in a large file and give it back, each time on a new server."""
    size = LARGE if sized(rounds) is FULL else SMALLER
    taken: Taken = {"memory": {UPLOAD: [], BACK: []}, "rate": {UPLOAD: [], BACK: []}}
    for _ in range(max(1, rounds // 3)):
        await transferred(stage, size, taken)
    return taken


async def transferred(stage: Stage, size: int, taken: Taken) -> None:
    """Take one sample of each row: megabytes over the new, idle server, and megabytes for a second of its CPU."""
    async with stage.play(Contender("antiphon", antiphon)) as running:
        watched = Watched(running.server)
        sent = await uploaded(running.port, size)
        note(taken, UPLOAD, size, watched)
        watched.anew()
        await read_back(running.port, sent)
        note(taken, BACK, size, watched)


def note(taken: Taken, name: str, size: int, watched: Watched) -> None:
    """Note what a transfer came to."""
    taken["memory"][name].append(watched.rise().server / MB)
    taken["rate"][name].append(size / MB / sum(watched.cpu_seconds()))


LARGE_FILE = Together(large_file)
