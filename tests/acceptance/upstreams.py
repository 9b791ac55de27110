"""An upstream of chat completions in a thread of its own, which says, byte by byte, what a test tells it to."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from anyio.from_thread import start_blocking_portal

from tests.backends.upstream.raw_server import CHUNKED, raw_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any  # JSON

    from tests.backends.upstream.raw_server import Peer, RawServer, Script

HEAD = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-type: text/event-stream\r\n\r\n")
LAST = b"0\r\n\r\n"


def chunked(piece: bytes) -> bytes:
    """A piece of a body, framed."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def sse(value: Any) -> bytes:  # JSON
    """One server-sent event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def saying(text: str) -> bytes:
    """The event of a piece of text."""
    return sse({"choices": [{"index": 0, "delta": {"content": text}}]})


ROLE = saying("")
STOP = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
USAGE = sse({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
DONE = b"data: [DONE]\n\n"
EVENTS = (ROLE, saying("Hel"), saying("lo"), STOP, USAGE, DONE)
WHOLE = b"".join((HEAD, *map(chunked, EVENTS), LAST))


def asked(request: bytes) -> Any:  # JSON
    """The body of a request."""
    return json.loads(request.partition(b"\r\n\r\n")[2])


async def greeting(peer: Peer) -> None:
    """Say hello to every request."""
    while True:
        await peer.request()
        await peer.send(WHOLE)


@contextmanager
def upstream(script: Script = greeting) -> Iterator[RawServer]:
    """Serve chat completions on this machine; every connection follows the script."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(raw_server(script)) as server:
        yield server
