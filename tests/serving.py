"""A real server for tests: the whole application, on a free port of this machine, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from antiphon.config import Config, Storage
from antiphon.http.server import Patient, bind, url
from antiphon.wiring.running import serve
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any  # settings of a deployment are open

    import uvicorn

    from antiphon.http.app import App

MEMORY = Storage(url="sqlite://")


def scripted(*replies: dict[str, Any], name: str = "*", **settings: Any) -> Config:
    """A configuration with one deployment that speaks from a script, and a store in memory."""
    deployment = {"name": name, "backend": "scripted", **settings}
    if replies:
        deployment["replies"] = list(replies)
    return Config(store=MEMORY, deployments=[deployment])


@contextmanager
def serving(config: Config) -> Iterator[str]:
    """Serve a configuration; gives the server's address, such as ``http://127.0.0.1:40123``."""
    with bind("127.0.0.1", 0) as listener:
        server = Stoppable()
        thread = threading.Thread(target=asyncio.run, args=(serve(config, lambda app: server.run(app, [listener])),))
        thread.start()
        try:
            server.wait()
            yield url(listener)
        finally:
            server.stop()
            thread.join(HANG_SECONDS)


class Stoppable:
    """A server that another thread waits for and stops."""

    def __init__(self) -> None:
        self._server: uvicorn.Server | None = None
        self._ready = threading.Event()

    async def run(self, app: App, listeners: list[Any]) -> None:
        """Serve until stopped."""
        self._server = Announcing(app, self._ready)
        await self._server.serve(sockets=listeners)

    def wait(self) -> None:
        """Wait until requests are answered."""
        assert self._ready.wait(HANG_SECONDS), "the server did not start"

    def stop(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.should_exit = True


class Announcing(Patient):
    """A server that sets an event once it is ready."""

    def __init__(self, app: App, ready: threading.Event) -> None:
        super().__init__(app)
        self._event = ready

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._event.set()
