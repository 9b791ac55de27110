"""What the operator's machines ask, and no caller: whether the process lives, whether it is ready, and its figures."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from antiphon.http.exchange import Exchange
from antiphon.protocol.errors import ApiError, method_not_allowed, unknown_url
from antiphon.protocol.refusals import server_error

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from antiphon.http.health import Health
    from antiphon.http.metrics import Metrics

log = logging.getLogger(__name__)

HEALTHY = b'{"status":"ok"}'
UNHEALTHY = b'{"status":"store unavailable"}'
LEAVING = b'{"status":"shutting down"}'
FIGURES = "/metrics"
PATHS = frozenset({"/health", "/health/ready", "/health/live", FIGURES})
METHODS = ("GET", "HEAD")


class Probes:
    """Answers ``/health``, ``/health/live``, ``/health/ready`` and, if figures are given here, ``/metrics``.

    It is an ASGI application of its own as well, for a port that no caller reaches.
    """

    def __init__(self, health: Health, metrics: Metrics | None = None) -> None:
        self._health = health
        self._metrics = metrics

    async def answer(self, exchange: Exchange) -> bool:
        """Answer what is asked here; False where it is something else. Raises ``ApiError``."""
        if exchange.path not in PATHS or (exchange.path == FIGURES and self._metrics is None):
            return False
        exchange.route = exchange.path
        if exchange.method not in METHODS:
            raise method_not_allowed(exchange.method, exchange.path, allowed=METHODS)
        await self._respond(exchange)
        return True

    async def _respond(self, exchange: Exchange) -> None:
        match exchange.path:
            case "/health":
                await self._tell(exchange, is_leaving=False)
            case "/health/ready":
                await self._tell(exchange, is_leaving=self._health.is_leaving)
            case "/health/live":
                await exchange.answer(HEALTHY)
            case _:
                if self._metrics is not None:
                    await self._metrics.answer(exchange)

    async def _tell(self, exchange: Exchange, *, is_leaving: bool) -> None:
        if is_leaving:
            await exchange.answer(LEAVING, status=503)
        elif await self._health.is_fine():
            await exchange.answer(HEALTHY)
        else:
            await exchange.answer(UNHEALTHY, status=503)

    async def _answer(self, exchange: Exchange) -> None:
        if not await self.answer(exchange):
            raise unknown_url(exchange.method, exchange.path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request at the port of its own (ASGI)."""
        exchange = Exchange(scope, receive, send)
        try:
            await self._answer(exchange)
        except ApiError as error:
            await exchange.refuse(error)
        except Exception:
            log.exception("probe failed", extra={"action": "probe_failed"})
            if not exchange.started:
                await exchange.refuse(server_error())
