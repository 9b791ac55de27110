"""``/metrics``: the figures of this process, for who has the key of the configuration, or asks from this machine."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

from antiphon.protocol.errors import bad_key, forbidden, missing_key
from antiphon.store import StoreUnavailable

if TYPE_CHECKING:
    from antiphon.http.exchange import Exchange
    from antiphon.store.jobs import Jobs
    from antiphon.telemetry.exposition import Page

log = logging.getLogger(__name__)

FRESH_SECONDS = 5.0
"""How long what the database said of the jobs holds."""
PATIENCE = 1.0
"""Seconds that it may take to say it; a scrape does not wait longer for it, and goes without."""


class Metrics:
    """Answers scrapes. Without a ``key`` it answers only requests that name this machine, as no web page's do."""

    def __init__(self, page: Page, jobs: Jobs, *, key: str | None) -> None:
        self._page = page
        self._jobs = jobs
        self._key = None if key is None else _digest(key)
        self._counts: dict[str, int] = {}
        self._asked = -FRESH_SECONDS
        self._turnstile = asyncio.Lock()

    async def answer(self, exchange: Exchange) -> None:
        """``GET /metrics``. Raises ``ApiError``: 401 without the key."""
        self._admit(exchange)
        began = time.perf_counter()
        await asyncio.sleep(0)
        lag = time.perf_counter() - began
        write = self._page(jobs=await self._job_counts(), lag=lag)
        body, media_type = await asyncio.to_thread(write, exchange.headers.get("accept", ""))
        await exchange.start(200, media_type.encode(), [(b"content-length", b"%d" % len(body))])
        await exchange.write(body, more=False)

    def _admit(self, exchange: Exchange) -> None:
        if self._key is None:
            if not _is_this_machine(exchange.headers.get("host", "")):
                raise forbidden(
                    "Without a [metrics] key, figures are given only to who names this machine as localhost."
                )
            return
        scheme, _, key = exchange.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise missing_key()
        if not hmac.compare_digest(_digest(key.strip()), self._key):
            raise bad_key("")

    async def _job_counts(self) -> dict[str, int]:
        """The jobs by their state; many scrapers ask the database once."""
        async with self._turnstile:
            if time.monotonic() - self._asked > FRESH_SECONDS:
                self._counts = await self._fresh_counts()
                self._asked = time.monotonic()
        return self._counts

    async def _fresh_counts(self) -> dict[str, int]:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._jobs.counts()
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("jobs not counted", extra={"action": "jobs_not_counted", "error": str(error)})
            return {}


def _is_this_machine(host: str) -> bool:
    """Whether a ``Host`` is a name of this machine's that no name server gives."""
    name = (host if host.endswith("]") else host.rpartition(":")[0] or host).strip("[]").lower()
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
