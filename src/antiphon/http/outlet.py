"""The way out of a WebSocket: frames in the order in which they are written, at the pace of the client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import Send


class Push(Protocol):
    """Sends messages at once; False where the client has to read first."""

    def __call__(self, texts: Sequence[bytes], *, lingers: bool = False) -> bool:
        """See `antiphon.http.sockets.Sockets.push`."""
        ...


class Line(Protocol):
    """The short way to a socket: see `antiphon.http.sockets.Sockets`."""

    stopping: asyncio.Event

    def admit(self, limit: int) -> None:
        """Take messages of so many bytes."""
        ...

    def push(self, texts: Sequence[bytes], *, lingers: bool = False) -> bool:
        """Send messages at once; False where the client has to read first. What ``lingers`` may wait for the next."""
        ...

    async def drained(self, seconds: float) -> bool:
        """Wait until the client has read enough; False where it has read nothing for so many seconds."""
        ...

    def abort(self) -> None:
        """Close the connection at once."""
        ...


class Outlet:
    """Writes to a client, and gives up one that has read nothing for ``patience`` seconds: then ``stalled`` is called.

    Without a ``line`` it writes as any ASGI server lets it.
    """

    def __init__(self, send: Send, line: Line | None, *, patience: float, stalled: Callable[[], None]) -> None:
        self._send = send
        self._line = line
        self._patience = patience
        self._stalled = stalled
        self._turnstile = asyncio.Lock()
        self.push: Push = _no_way if line is None else line.push
        """Write messages now; False where they have to be written, which may wait."""

    async def write(self, texts: Sequence[bytes]) -> None:
        """Write messages, each a text frame. What a client cannot be sent any more is dropped."""
        if self._line is None:
            await self._plainly(texts)
            return
        while not self._line.push(texts):
            if not await self._line.drained(self._patience):
                self._line.abort()
                self._stalled()
                return

    async def close(self, code: int, reason: str = "") -> None:
        """Close the connection."""
        await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _plainly(self, texts: Sequence[bytes]) -> None:
        try:
            async with self._turnstile, asyncio.timeout(self._patience * len(texts)):
                for text in texts:
                    await self._send({"type": "websocket.send", "text": text.decode()})
        except (TimeoutError, OSError):  # ASGI: whoever sends to a client that left may be told so by an OSError
            self._stalled()


def _no_way(texts: Sequence[bytes], *, lingers: bool = False) -> bool:  # noqa: ARG001 - the signature of `Push`
    return False
