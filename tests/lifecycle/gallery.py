"""A web server with pictures and documents, which knows how often and by how many at once it was asked."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from aiohttp import web

from antiphon.lifecycle.seeing import AT_ONCE
from antiphon.outbound import Config, Outbound
from tests.drawing import noise

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PNG = noise("gallery", side=8)
WORDS = b"All that is written."


class Gallery:
    """The server. ``asked`` are the paths, ``most`` is how many were wanted at once."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.most = 0
        self._crowded = anyio.Event()
        self._now = 0

    def url(self, path: str) -> str:
        """The URL of a picture."""
        return f"http://127.0.0.1:{self.port}/{path}"

    async def show(self, request: web.Request) -> web.Response:
        """Show what the path says."""
        path = request.path.removeprefix("/")
        self.asked.append(path)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            return await self._shown(path)
        finally:
            self._now -= 1

    async def _shown(self, path: str) -> web.Response:
        match path.partition("-")[0]:
            case "crowd":
                if self._now == AT_ONCE:
                    self._crowded.set()
                await self._crowded.wait()
            case "stuck":
                await anyio.sleep_forever()
            case "gone":
                return web.Response(status=404)
            case "page":
                return web.Response(body=b"<html>", content_type="image/png")
            case "words":
                return web.Response(body=WORDS)
            case _:
                pass
        return web.Response(body=PNG, content_type="text/html")


@asynccontextmanager
async def open_gallery() -> AsyncGenerator[tuple[Gallery, Outbound], None]:
    """A gallery, and a way out that may reach it."""
    gallery = Gallery()
    app = web.Application()
    app.router.add_get("/{path:.*}", gallery.show)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    gallery.port = runner.addresses[0][1]
    outbound = Outbound(Config([f"127.0.0.1:{gallery.port}"]))
    try:
        yield gallery, outbound
    finally:
        await outbound.aclose()
        await runner.cleanup()
