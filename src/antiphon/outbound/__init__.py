"""The one way out: every URL that a caller names is fetched through it, and reaches public addresses alone.

The address that is checked is the address that is dialled, for each redirect anew.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync
from msgspec import Struct

from antiphon.outbound.reach import OutboundError, Reach, Reason

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

    from antiphon.outbound.courier import Courier
    from antiphon.outbound.line import Line

__all__ = ["Config", "Fetched", "Outbound", "OutboundError", "Reason"]

MOST_REDIRECTS = 5


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[outbound]``: what callers' URLs may reach besides public addresses.

    An entry is a host name, an IP address or a network, each with ``:port`` after it or for all ports. A name counts
    wherever it leads; an address counts whatever name led to it.
    """

    allow_private: list[str] = []

    def __post_init__(self) -> None:
        """Raises `ValueError` for an entry that is none of these."""
        Reach(self.allow_private)


class Fetched(Struct, frozen=True):
    """A body, its media type in lower case without parameters, and the URL that had it after all redirects."""

    content: bytes
    media_type: str
    url: str


class Outbound:
    """Fetches what callers name. ``resolver`` stands in for the system's name service; whoever gives it closes it.

    ``total_seconds`` bounds a fetch with all its redirects, however slowly it drips; ``connect_seconds`` each address
    that is dialled, ``idle_seconds`` each silence.
    """

    def __init__(
        self,
        config: Config,
        *,
        resolver: AbstractResolver | None = None,
        total_seconds: float = 60.0,
        connect_seconds: float = 10.0,
        idle_seconds: float = 20.0,
    ) -> None:
        self._reach = Reach(config.allow_private)
        self._resolver = resolver
        self._total_seconds = total_seconds
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._courier: Courier | None = None

    async def fetch(self, url: str, *, limit: int, accept: str = "*/*") -> Fetched:
        """GET a URL of at most ``limit`` bytes, following at most `MOST_REDIRECTS`. Raises `OutboundError`.

        ``accept`` is what the server is asked for; what it sent is the answer's ``media_type``.
        """
        try:
            with anyio.fail_after(self._total_seconds):
                return await self._follow(url, limit=limit, accept=accept)
        except TimeoutError as error:
            raise OutboundError("timeout", "The server of the URL did not answer in time.") from error

    async def line(self, url: str) -> Line:
        """Open a line to the origin of ``url``; whoever asks for it closes it. Nothing is dialled yet.

        Raises `OutboundError` for what is no http or https URL.
        """
        courier = self._courier or await self._open()
        from antiphon.outbound.line import Line  # noqa: PLC0415 - what costs about it was imported with the courier

        return Line(url, self._reach, resolver=courier.resolver, connect_seconds=self._connect_seconds)

    async def aclose(self) -> None:
        """Let go of the name service. Connections do not outlive a fetch."""
        courier, self._courier = self._courier, None
        if courier is not None:
            await courier.aclose()

    async def _follow(self, url: str, *, limit: int, accept: str) -> Fetched:
        courier = self._courier or await self._open()
        for _ in range(MOST_REDIRECTS + 1):
            found = await courier.fetch(url, limit=limit, accept=accept)
            if found.moved_to is None:
                return Fetched(content=found.content, media_type=found.media_type, url=found.url)
            url = found.moved_to
        raise OutboundError("too_many_redirects", f"The URL leads on more than {MOST_REDIRECTS} times.")

    async def _open(self) -> Courier:
        # aiohttp takes a quarter of a second and 12 MB: the first fetch pays for it, in a thread, and no start does.
        await run_sync(import_module, "antiphon.outbound.courier")
        from antiphon.outbound.courier import Courier  # noqa: PLC0415 - the thread has just imported it

        if self._courier is None:
            self._courier = Courier(
                self._reach,
                resolver=self._resolver,
                connect_seconds=self._connect_seconds,
                idle_seconds=self._idle_seconds,
            )
        return self._courier
