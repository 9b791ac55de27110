"""Images behind URLs, fetched from a server on loopback that the configuration permits."""

from __future__ import annotations

from base64 import b64encode
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from aiohttp import web

from antiphon import images
from antiphon.images import IMAGES_AT_ONCE, sniffed, with_fetched_images
from antiphon.outbound import Config, Outbound
from antiphon.protocol.content import InputImage, InputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import CustomToolCallOutput, FunctionCall, FunctionCallOutput, Item, Message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
GIF = b"GIF89a" + bytes(10)


class Gallery:
    """A web server with pictures, and how often and by how many at once it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []
        self.most = 0
        self.crowded = anyio.Event()
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
                if self._now == IMAGES_AT_ONCE:
                    self.crowded.set()
                await self.crowded.wait()
            case "stuck":
                await anyio.sleep_forever()
            case "gone":
                return web.Response(status=404)
            case "words":
                return web.Response(body=b"<html>", content_type="image/png")
            case "gif":
                return web.Response(body=GIF, content_type="text/html")
            case _:
                pass
        return web.Response(body=PNG)


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


def shown(*urls: str) -> Message:
    """A user's message with pictures."""
    return Message(role="user", content=[InputText(text="Look:"), *(InputImage(image_url=url) for url in urls)])


def inlined(content: bytes, media_type: str) -> str:
    """A picture as a data URL."""
    return f"data:{media_type};base64,{b64encode(content).decode()}"


async def refusal(items: list[Item], outbound: Outbound) -> tuple[int, str | None, str]:
    """What a caller is told: status, code and words."""
    with pytest.raises(ApiError) as raised, anyio.fail_after(5):
        await with_fetched_images(items, outbound)
    assert "input" == raised.value.param
    return raised.value.status, raised.value.code, raised.value.message


async def test_images_become_data_wherever_they_stand() -> None:
    """In messages and in the outputs of functions and custom tools; all else stays as it is."""
    async with open_gallery() as (gallery, outbound):
        picture = InputImage(image_url=gallery.url("a"), detail="low")
        call = FunctionCall(call_id="1", name="f", arguments="{}")
        items: list[Item] = [
            shown(gallery.url("a"), gallery.url("gif"), "data:image/png;base64,AA"),
            call,
            FunctionCallOutput(call_id="1", output=[InputText(text="Here:"), picture]),
            CustomToolCallOutput(call_id="2", output=[picture]),
            FunctionCallOutput(call_id="3", output="words"),
        ]
        png, gif = inlined(PNG, "image/png"), inlined(GIF, "image/gif")
        picture_inside = InputImage(image_url=png, detail="low")
        assert [
            shown(png, gif, "data:image/png;base64,AA"),
            call,
            FunctionCallOutput(call_id="1", output=[InputText(text="Here:"), picture_inside]),
            CustomToolCallOutput(call_id="2", output=[picture_inside]),
            FunctionCallOutput(call_id="3", output="words"),
        ] == await with_fetched_images(items, outbound)
        assert ["a", "gif"] == sorted(gallery.asked)


async def test_images_that_are_data_or_files_are_left_alone() -> None:
    """There is nothing to fetch."""
    async with open_gallery() as (gallery, outbound):
        here = Message(
            role="user", content=[InputImage(image_url="data:image/png;base64,AA"), InputImage(file_id="file_1")]
        )
        items: list[Item] = [here]
        assert items is await with_fetched_images(items, outbound)
        assert [] == gallery.asked


async def test_a_url_that_stands_twice_is_fetched_once() -> None:
    """In however many items."""
    async with open_gallery() as (gallery, outbound):
        url = gallery.url("a")
        await with_fetched_images([shown(url, url), shown(url)], outbound)
        assert ["a"] == gallery.asked


async def test_images_are_fetched_a_few_at_a_time() -> None:
    """Neither one after the other nor all at once."""
    async with open_gallery() as (gallery, outbound):
        urls = [gallery.url(f"crowd-{number}") for number in range(IMAGES_AT_ONCE + 2)]
        with anyio.fail_after(5):
            await with_fetched_images([shown(*urls)], outbound)
        assert IMAGES_AT_ONCE == gallery.most
        assert len(urls) == len(gallery.asked)


async def test_what_is_no_image_is_refused() -> None:
    """Whatever its server calls it."""
    async with open_gallery() as (gallery, outbound):
        words = "A URL in the input does not lead to a PNG, JPEG, WebP or GIF image."
        refused = await refusal([shown(gallery.url("words"))], outbound)
        assert (400, "unsupported_image_media_type", words) == refused


async def test_an_image_that_cannot_be_fetched_is_refused() -> None:
    """With the reason."""
    async with open_gallery() as (gallery, outbound):
        status, code, message = await refusal([shown(gallery.url("gone"))], outbound)
        assert (400, "failed_to_download_image") == (status, code)
        assert message.startswith("Error while downloading an image: ")


async def test_an_image_behind_a_private_address_is_not_fetched() -> None:
    """Only what the configuration permits may be reached."""
    async with open_gallery() as (gallery, _):
        outbound = Outbound(Config())
        status, code, _ = await refusal([shown(gallery.url("a"))], outbound)
        await outbound.aclose()
        assert (400, "failed_to_download_image") == (status, code)
        assert [] == gallery.asked


async def test_an_image_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it arrives."""
    monkeypatch.setattr(images, "IMAGE_BYTES", len(PNG) - 1)
    async with open_gallery() as (gallery, outbound):
        status, code, _ = await refusal([shown(gallery.url("a"))], outbound)
        assert (400, "failed_to_download_image") == (status, code)


async def test_one_image_that_is_refused_stops_the_others() -> None:
    """The request is lost already."""
    async with open_gallery() as (gallery, outbound):
        refused = await refusal([shown(gallery.url("stuck"), gallery.url("words"))], outbound)
        assert "unsupported_image_media_type" == refused[1]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (GIF, "image/gif"),
        (b"GIF87a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", None),
        (b"<svg>", None),
        (b"", None),
    ],
)
async def test_an_image_is_known_by_its_first_bytes(content: bytes, media_type: str | None) -> None:
    """Not by what its server says."""
    assert media_type == sniffed(content)
