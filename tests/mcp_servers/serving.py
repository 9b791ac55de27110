"""Serving an application in a thread: on a free port, watched, and ended with the test."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any  # messages between a server and its application

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.mcp_servers.watched import Watched
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@contextmanager
def serving(app: Application, watched: Watched, path: str) -> Iterator[None]:
    """Serve an application, and watch what comes to it; ``path`` is where it answers."""

    class Counting(H11Protocol):
        def connection_made(self, transport: Any) -> None:  # one of asyncio's
            watched.connect()
            super().connection_made(transport)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        watched.url = f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
        started = threading.Event()
        settings = uvicorn.Config(
            watching(app, watched), http=Counting, ws="none", log_config=None, timeout_graceful_shutdown=1
        )
        server = _Announcing(settings, started)
        thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[listener]),))
        thread.start()
        try:
            assert started.wait(HANG_SECONDS), "the server did not start"
            yield
        finally:
            server.should_exit = True
            thread.join(HANG_SECONDS)


class _Announcing(uvicorn.Server):
    def __init__(self, settings: uvicorn.Config, started: threading.Event) -> None:
        super().__init__(settings)
        self._started = started

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets)
        self._started.set()


def watching(app: Application, watched: Watched) -> Application:
    """An application before which all that it hears is noted."""

    async def watch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        watched.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        exchange = _Exchange(watched, receive, send)
        await app(scope, exchange.receive, exchange.send)

    return watch


def demanding(app: Application, watched: Watched, token: str) -> Application:
    """An application before which every request needs a bearer token."""
    expected = f"Bearer {token}".encode()

    async def demand(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (b"authorization", expected) in scope["headers"]:
            await app(scope, receive, send)
            return
        watched.refuse()
        headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b'Bearer error="invalid_token"')]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b"No token, no book."})

    return demand


class _Exchange:
    """One request, as it is read and answered."""

    def __init__(self, watched: Watched, receive: Receive, send: Send) -> None:
        self._watched, self._receive, self._send = watched, receive, send
        self._body = b""
        self._is_call = self._is_answered = False

    async def receive(self) -> Message:
        """Hand on what comes, and note a message that is whole, and a call that nobody waits for any more."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            if self._is_call and not self._is_answered:
                self._is_call = False
                self._watched.cancel("closed")
            return message
        self._body += message.get("body", b"")
        if self._body and not message.get("more_body"):
            self._is_call = self._watched.hear(self._body).get("method") == "tools/call"
        return message

    async def send(self, message: Message) -> None:
        """Hand on what goes."""
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._is_answered = True
        await self._send(message)
