"""Requests to a server of the images API, with aiohttp; imported with the first picture, for what aiohttp costs."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import aiohttp
import anyio
import msgspec
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from antiphon.tools.image_generation.images.asking import Question
    from antiphon.tools.image_generation.images.config import Config

CONNECT_SECONDS = 15.0


class Unreached(Exception):
    """The server cannot be reached, or broke off. The message is for the operator."""


class Elsewhere(Exception):
    """A URL leads to another server."""


class Reply:
    """An answer while it arrives."""

    def __init__(self, response: aiohttp.ClientResponse, idle_seconds: float) -> None:
        self._response = response
        self._idle_seconds = idle_seconds
        self.status = response.status
        self.is_compressed = response.headers.get("Content-Encoding", "identity").lower() != "identity"

    async def take(self) -> bytes:
        """The next bytes; none at the end. Raises ``TimeoutError`` where none come."""
        with anyio.fail_after(self._idle_seconds):
            return await self._response.content.readany()

    async def whole(self, limit: int) -> bytes | None:
        """All bytes, None where they are more than ``limit``."""
        blocks: list[bytes] = []
        room = limit
        while block := await self.take():
            blocks.append(block)
            room -= len(block)
            if room < 0:
                return None
        return b"".join(blocks)


class Wire:
    """One session. Each request has a connection of its own: a picture takes so long that a new one costs nothing.

    Nothing is read from the environment, no redirect is followed, no cookie is kept.
    """

    def __init__(self, config: Config) -> None:
        """Needs a running loop."""
        self._config = config
        self._root = URL(config.base_url.rstrip("/"))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            headers=_headers(config),
            auto_decompress=False,
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._session.close()

    @asynccontextmanager
    async def post(self, question: Question) -> AsyncGenerator[Reply, None]:
        """Ask. Leaving early closes the connection. Raises `Unreached`."""
        url = URL(f"{self._root}{question.path}")
        if self._config.api_version is not None:
            url = url.update_query({"api-version": self._config.api_version})
        if question.files:
            body: aiohttp.FormData | bytes = _form(question)
            headers = {}
        else:
            body = msgspec.json.encode(question.fields)
            headers = {"Content-Type": "application/json"}
        with _translated():
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                yield Reply(response, self._config.idle_timeout)

    @asynccontextmanager
    async def fetch(self, url: str) -> AsyncGenerator[Reply, None]:
        """Fetch what lies at a URL of the same server. Raises `Elsewhere` for others, and `Unreached`."""
        try:
            target = URL(f"{self._root}/").join(URL(url))
            is_here = target.origin() == self._root.origin()
        except ValueError as error:
            raise Elsewhere from error
        if not is_here:
            raise Elsewhere
        with _translated():
            async with self._session.get(target, allow_redirects=False) as response:
                yield Reply(response, self._config.idle_timeout)


@contextmanager
def _translated() -> Generator[None]:
    try:
        yield
    except TimeoutError:  # of ours, and those of aiohttp: all are an OSError too
        raise
    except (aiohttp.ClientError, OSError, UnicodeError) as error:
        raise Unreached(type(error).__name__) from error


def _headers(config: Config) -> dict[str, str]:
    headers = {"User-Agent": "antiphon", "Accept-Encoding": "identity"}
    if config.api_key is not None and config.api_version is not None:
        headers["api-key"] = config.api_key
    elif config.api_key is not None:
        headers["Authorization"] = f"Bearer {config.api_key}"
    return headers | config.headers


def _form(question: Question) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in question.form():
        form.add_field(name, value)
    for file in question.files:
        form.add_field(file.field, file.content, filename=file.name, content_type=file.media_type)
    return form
