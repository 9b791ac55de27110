"""The server: what it was asked, and its answers, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from tests.images_api.asked import Asked, read
from tests.images_api.misbehaving import BEHAVIOURS, Exchange
from tests.images_api.telling import SECRET, error, well
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.images_api.misbehaving import Behaviour


class ImagesApi:
    """A server that runs, and what it was asked."""

    def __init__(self, *, expects_key: bool = False) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.begun = threading.Event()
        """Something was asked."""
        self.left = threading.Event()
        """A client went before its answer was whole."""
        self.expects_key = expects_key
        self.kept: dict[str, bytes] = {}
        """Files that answers name by a URL."""

    @property
    def root(self) -> str:
        """What stands before the paths of other routes."""
        return self.url.removesuffix("/v1")


@contextmanager
def images_api(how: str | None = None, *, expects_key: bool = False) -> Iterator[ImagesApi]:
    """Serve; ``how`` is a name of `HOW` for one that behaves badly. ``expects_key``: `SECRET`, in either header."""
    api = ImagesApi(expects_key=expects_key)
    started, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_route("*", "/{path:.*}", _Answers(api, how, stop).answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(HANG_SECONDS), "the server did not start"
        yield api
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(HANG_SECONDS)
        loop.close()


class _Answers:
    def __init__(self, api: ImagesApi, how: str | None, stop: asyncio.Event) -> None:
        self._api = api
        self._behaviour: Behaviour | None = BEHAVIOURS[how] if how is not None else None
        self._stop = stop

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer, and note a client that goes before it is answered."""
        if request.method == "GET":
            return self._kept(request)
        asked = await read(request)
        self._api.asked.append(asked)
        self._api.begun.set()
        try:
            return await self._answer(request, asked)
        except (asyncio.CancelledError, ConnectionError):
            self._api.left.set()
            raise

    def _kept(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/moved.png":
            raise web.HTTPFound("/v1/kept.png")
        content = self._api.kept.get(request.path)
        return web.Response(status=404) if content is None else web.Response(body=content, content_type="image/png")

    async def _answer(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        if self._api.expects_key and SECRET not in {
            asked.headers.get("api-key", ""),
            asked.headers.get("authorization", "").removeprefix("Bearer "),
        }:
            return error(401, "invalid_api_key", f"Incorrect API key provided: {asked.headers.get('authorization')}")
        if self._behaviour is not None:
            bad = await self._behaviour(Exchange(request, asked, self._api, self._stop))
            if bad is not None:
                return bad
        return await well(request, asked)
