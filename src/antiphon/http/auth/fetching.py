"""How the keys of an issuer are fetched, with aiohttp; imported with the first fetch, for what aiohttp costs.

The URLs are the operator's, or those that the operator's issuer names, so private addresses are as good as others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from msgspec import Struct

from antiphon.http.auth.ring import FetchError
from antiphon.protocol.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable

FETCH_SECONDS = 5.0
"""How long a fetch may take, with the question where the keys are."""
LONGEST_DOCUMENT = 512 * 1024
"""Bytes of a set of keys, or of what an issuer says of itself."""
WELL_KNOWN = "/.well-known/openid-configuration"
OK = 200


class _Metadata(Struct, frozen=True):
    """What an issuer says of itself (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    jwks_uri: str


class Fetcher:
    """Fetches a set of keys, from ``jwks`` or from where the issuer says that they are.

    ``is_trusted`` says of a URL whether what comes from there can be believed.
    """

    def __init__(
        self, issuer: str, jwks: str | None, *, is_trusted: Callable[[str], bool], seconds: float = FETCH_SECONDS
    ) -> None:
        """Needs a running loop."""
        self._seconds = seconds
        self._issuer = issuer
        self._jwks = jwks
        self._is_trusted = is_trusted
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            headers={"User-Agent": "antiphon", "Accept": "application/json"},
            trust_env=False,
        )

    async def fetch(self) -> bytes:
        """The text of the set. Raises `FetchError`."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._read(self._jwks or await self._discovered())
        except TimeoutError as error:
            place = self._jwks or self._issuer
            raise FetchError(f"{place} did not answer in {self._seconds:g} s") from error

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._session.close()

    async def _discovered(self) -> str:
        """Asked anew each time: an issuer may move its keys."""
        place = self._issuer.rstrip("/") + WELL_KNOWN
        try:
            found = msgspec.json.decode(await self._read(place), type=_Metadata)
        except (msgspec.DecodeError, RecursionError) as error:
            raise FetchError(f"{place} does not describe an OpenID issuer") from error
        if found.issuer.rstrip("/") != self._issuer.rstrip("/"):  # Discovery 1.0, section 4.3: or it is another's
            raise FetchError(f"{place} describes another issuer, {shown(found.issuer)!r}")
        if not self._is_trusted(found.jwks_uri):
            raise FetchError(f"{place} names keys at a URL that is not https")
        return found.jwks_uri

    async def _read(self, url: str) -> bytes:
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status != OK:
                    raise FetchError(f"{url} answered with status {response.status}")
                return await _bounded(response.content, url)
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: it is no URL
            raise FetchError(f"{url} cannot be reached: {error}") from error


async def _bounded(content: aiohttp.StreamReader, url: str) -> bytes:
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > LONGEST_DOCUMENT:
            raise FetchError(f"{url} answered with more than {LONGEST_DOCUMENT} bytes")
    return bytes(body)
