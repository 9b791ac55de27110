"""Listening: a socket, uvicorn on it, and the one line that says where the server is."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import resource
import secrets
import signal
import socket
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from antiphon.engine.running import ENDING_SECONDS
from antiphon.http.exchange import SHORT_WAY
from antiphon.http.sockets import FIRST_BYTES, Sockets
from antiphon.protocol.errors import invalid_request

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from antiphon.http.app import App
    from antiphon.http.probes import Probes

LOOK_SECONDS = 0.1
"""How often it is looked whether the last answers have ended."""
BACKLOG = 2048
HEAD_BYTES = 65_536
log = logging.getLogger(__name__)

PING_SECONDS = 20.0
PONG_SECONDS = 40.0
"""After so many seconds without an answer to a ping, a WebSocket is given up."""
COLLECTED = (20_000, 20, 20)  # little of a request is a circle: looking for them at each 700th object cost 4 %
NOT_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"x-request-id: req_%b\r\nconnection: close\r\n\r\n%b"
)


class CannotListen(Exception):
    """The address cannot be listened on; the message says what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `CannotListen`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it a body waits 40 ms behind its head.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another with --host or --port."
        ) from error
    return listener


def url(listener: socket.socket) -> str:
    """The address of a listening socket as a client writes it."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def listen(app: App, listener: socket.socket, *, ready: Callable[[], None]) -> None:
    """Serve until a signal comes; ``ready`` is called once requests are answered."""
    _allow_many_sockets()
    await Announced(app, ready).serve(sockets=[listener])


def settings(app: App) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return _settings(
        app,
        ws=Sockets,
        ws_max_size=FIRST_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PONG_SECONDS,
    )


class Bounded(HttpToolsProtocol):
    """A connection that takes a bounded head, trailer or chunk line: uvicorn's would hold whatever a stranger sends."""

    _undelivered = 0
    _has_asked = False

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and give up what goes on and on (asyncio)."""
        self._undelivered += len(data)
        super().data_received(data)
        if self._undelivered > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def _should_upgrade_to_ws(self) -> bool:
        """Not while an answer is being given on the same connection: nobody would tell it that its client left."""
        return not self._has_asked or self.cycle.response_complete

    def _unsupported_upgrade_warning(self) -> None:
        """A protocol that nobody speaks here: the request is answered as if it had not been offered."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._has_asked = True
        super()._start_asgi_task(cycle, app)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in the form of every error, and close (uvicorn)."""
        body = msgspec.json.encode(invalid_request(msg).body)
        self.transport.write(NOT_HTTP % (len(body), secrets.token_hex(16).encode(), body))
        self.transport.close()

    def on_headers_complete(self) -> None:
        """The head is whole (httptools)."""
        self._undelivered = 0
        super().on_headers_complete()
        self.scope["extensions"] = {SHORT_WAY: {"push": partial(_push, self.cycle)}}

    def on_body(self, body: bytes) -> None:
        """A piece of the body is there (httptools)."""
        self._undelivered = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole (httptools)."""
        self._undelivered = 0
        super().on_message_complete()


def _push(cycle: RequestResponseCycle, chunk: bytes) -> bool:
    """Write a piece of a chunked answer as uvicorn's ``send`` does; False where ``send`` has to, or has to wait."""
    if not cycle.chunked_encoding or cycle.flow.write_paused:
        return False
    if not cycle.disconnected:
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    return True


class Patient(uvicorn.Server):
    """A server that has ended once all its answers have: what they keep needs the store, which is closed after it.

    It leaves in steps. At first it only says that it is not ready, for as long as the ``drain`` of the application
    gives notice, so that no load balancer sends it anything more. Then it begins nothing new, and still answers probes
    while the answers that it is giving go on; those that have not ended in time are broken off, each with a proper end.
    """

    def __init__(self, app: App) -> None:
        super().__init__(settings(app))
        self._app = app
        self._forced = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; at once, where it is asked for a second time (uvicorn)."""
        super().handle_exit(sig, frame)
        if self.force_exit:
            self._forced.set()
            self._app.hurry()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, and wait for the answers that are broken off (uvicorn)."""
        left = await self._drain()
        self.config.timeout_graceful_shutdown = math.ceil(left)
        await super().shutdown(sockets)
        broken_off = list(self.server_state.tasks)
        if self.force_exit:
            for task in broken_off:
                task.cancel()
        if broken_off:
            await asyncio.wait(broken_off, timeout=2 * ENDING_SECONDS)
        for connection in list(self.server_state.connections):  # whose clients do not answer a goodbye
            connection.transport.close()
        await asyncio.sleep(0)

    async def _drain(self) -> float:
        """Let what goes on end by itself, and give how many seconds are left for it."""
        loop, drain = asyncio.get_running_loop(), self._app.drain
        log.info("draining", extra={"action": "draining", "answers": len(self.server_state.tasks)})
        self._app.health.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(drain.notice):
                await self._forced.wait()
        self._app.health.close()
        self._app.stop()
        end = loop.time() + drain.seconds
        while self.server_state.tasks and not self.force_exit and loop.time() < end:
            self._tell_sockets()
            await asyncio.wait(self.server_state.tasks, timeout=LOOK_SECONDS)
        return max(0.0, end - loop.time())

    def _tell_sockets(self) -> None:
        """Let WebSocket connections wind up; requests that are being answered know nothing of it."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, Sockets) and not connection.stopping.is_set():
                connection.shutdown()


class Announced(Patient):
    """A server that says when it is ready."""

    def __init__(self, app: App, ready: Callable[[], None]) -> None:
        super().__init__(app)
        self._ready = ready
        self._started = app.started

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on a signal and return: raising it again, as the original does, would skip all that is closed after.

        Signals are heard until the loop is closed: one that comes while background runs end must not end the process.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        gc.freeze()
        gc.set_threshold(*COLLECTED)
        self._ready()
        self._started()


_settings = partial(
    uvicorn.Config,
    access_log=False,
    http=Bounded,
    interface="asgi3",
    lifespan="off",
    log_config=None,
    proxy_headers=False,
    server_header=False,
    timeout_keep_alive=75,
)


async def probe(probes: Probes, listener: socket.socket) -> None:
    """Answer probes at a port of their own until cancelled."""
    server = Beside(_settings(probes, ws="none"))
    try:
        await server.serve(sockets=[listener])
    finally:
        server.close()


class Beside(uvicorn.Server):
    """A server beside the one that answers callers, which leaves signals to that one."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Hear none (uvicorn)."""
        yield

    def close(self) -> None:
        """Let go of the port and of whoever asks."""
        for listening in self.servers if self.started else []:
            listening.close()
        for connection in list(self.server_state.connections):
            connection.transport.close()


def _allow_many_sockets() -> None:
    """A stream takes a socket on either side; the soft limit of a shell is often a thousand."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
