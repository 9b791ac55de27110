"""Promise 8: constant cost. A client that does not read holds up itself alone, and little memory."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import httpx2 as httpx
import pytest

from tests import patient
from tests.acceptance.operating import configured, operating
from tests.acceptance.upstreams import DONE, HEAD, LAST, STOP, asked, chunked, saying, upstream
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.operating import Operated
    from tests.backends.upstream.raw_server import Peer

pytestmark = pytest.mark.slow

SLOW_CLIENTS = 8
HELD_SECONDS = 0.5
"""After so long an upstream whose bytes nobody takes is held up."""

PIECE = chunked(saying("x" * 8192))
MIB = 1_048_576
MOST_TAKEN = 32 * MIB
"""More than the buffers of two connections and two processes can hold."""

MOST_GROWN = 10 * MIB
"""The memory that one stream may cost while nobody reads it: what lies in its socket's buffer is said, and kept."""

LONG = b"".join((HEAD, chunked(b"".join(saying(f"{number} ") for number in range(4000)) + STOP + DONE), LAST))
CONFIG = '[[deployments]]\nname = "*"\nbackend = "chat_completions"\nbase_url = "{}"\n'


class Endless:
    """An upstream that talks for ever, notes when it is held up, and answers other models at length."""

    def __init__(self) -> None:
        self.held = threading.Semaphore(0)
        self.left = threading.Semaphore(0)
        self.taken: list[int] = []

    async def script(self, peer: Peer) -> None:
        """Talk."""
        while asked(await peer.request())["model"] != "endless":
            await peer.send(LONG)
        await peer.send(HEAD)
        try:
            await self._talk(peer)
        finally:
            self.left.release()

    async def _talk(self, peer: Peer) -> None:
        taken = 0
        while taken < MOST_TAKEN:
            taken += len(PIECE)
            with anyio.move_on_after(HELD_SECONDS) as patience:
                await peer.send(PIECE)
            if patience.cancelled_caught:
                self.taken.append(taken)
                self.held.release()
                await peer.drained()
                return
        self.taken.append(taken)
        self.held.release()


@pytest.fixture
def endless() -> Endless:
    """The upstream; `served` is built on it."""
    return Endless()


@pytest.fixture
def served(tmp_path: Path, endless: Endless) -> Iterator[Operated]:
    """A server in front of the endless upstream."""
    with upstream(endless.script) as model, operating(configured(tmp_path, CONFIG.format(model.url))) as server:
        yield server


def staring(address: str) -> socket.socket:
    """A client that asks for a stream and reads nothing of it."""
    body = json.dumps({"model": "endless", "input": "hi", "stream": True}).encode()
    head = "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(body)}\r\n\r\n"
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    parts = urlsplit(address)
    client.connect((parts.hostname, parts.port))
    client.sendall(head.encode() + body)
    return client


def streamed(address: str) -> float:
    """Read a long stream whole; gives how many seconds that took."""
    body = {"model": "long", "input": "hi", "stream": True}
    began = time.perf_counter()
    answer = httpx.post(f"{address}/v1/responses", json=body, timeout=HANG_SECONDS)
    took = time.perf_counter() - began
    assert b"event: response.completed" in answer.content
    assert 4000 == answer.content.count(b"event: response.output_text.delta")
    return took


def fastest(address: str, *, enough: float) -> float:
    """The least seconds of many reads of a long stream, of no more than are needed: noise only adds."""
    took = streamed(address)
    for _ in range(20):
        if took < enough:
            break
        took = min(took, streamed(address))
    return took


def memory(pid: int) -> int:
    """The resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def test_clients_that_do_not_read_hold_up_themselves_alone(served: Operated, endless: Endless) -> None:
    """Another stream is as fast beside them, their upstreams are held back, and they cost little memory each."""
    alone = min(streamed(served.address) for _ in range(3))
    before = memory(served.pid)
    with ExitStack() as clients:
        for _ in range(SLOW_CLIENTS):
            clients.enter_context(staring(served.address))
        for _ in range(SLOW_CLIENTS):
            assert endless.held.acquire(timeout=HANG_SECONDS)
        beside = fastest(served.address, enough=2 * alone + 0.2)
        grown = memory(served.pid) - before
    assert max(endless.taken) < MOST_TAKEN
    assert beside < 2 * alone + 0.2
    assert grown < SLOW_CLIENTS * MOST_GROWN
    for _ in range(SLOW_CLIENTS):
        assert endless.left.acquire(timeout=HANG_SECONDS)


HEADS = {
    "a value": (b"GET /health HTTP/1.1\r\nhost: localhost\r\nx-more: ", b"a" * 65_536),
    "headers": (b"GET /health HTTP/1.1\r\nhost: localhost\r\n", b"x-more: y\r\n" * 6_000),
    "a name": (b"GET /health HTTP/1.1\r\nhost: localhost\r\n", b"x" * 65_536),
    "trailers": (
        b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        b"x-more: y\r\n" * 6_000,
    ),
    "an extension of a chunk": (
        b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n1;x=",
        b"y" * 65_536,
    ),
}


@pytest.mark.parametrize("what", HEADS)
def test_a_head_that_does_not_end_is_not_held(served: Operated, what: str) -> None:
    """Nobody has shown a key yet, so little is taken from him: the connection is closed."""
    opening, more = HEADS[what]
    before = memory(served.pid)
    with pytest.raises(ConnectionError):
        flood(served.address, opening, more)
    assert memory(served.pid) - before < MOST_GROWN
    assert 200 == patient.get(f"{served.address}/health", headers={"x-long": "y" * 32_000}).status_code


def flood(address: str, opening: bytes, more: bytes) -> None:
    """Send an opening, and then the same piece again and again."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=HANG_SECONDS) as client:
        client.sendall(opening)
        for _ in range(MOST_TAKEN // len(more)):
            client.sendall(more)
