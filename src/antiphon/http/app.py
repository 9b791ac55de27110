"""The application: one router under every path that the official clients build, and the edge that words errors."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import date
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from starlette.routing import Route, Router

from antiphon.http.exchange import ClientLeft, Exchange
from antiphon.http.probes import Probes
from antiphon.http.watching import Watching
from antiphon.protocol.errors import ApiError, bad_api_version, method_not_allowed, old_api_version, unknown_url
from antiphon.protocol.refusals import server_error, store_away
from antiphon.store import StoreUnavailable
from antiphon.telemetry import trail

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from antiphon.http.auth import Auth
    from antiphon.http.health import Health
    from antiphon.http.models import Models
    from antiphon.http.responses import Responses
    from antiphon.lifecycle import Caller

    Answer = Callable[[Exchange, Caller], Awaitable[None]]

log = logging.getLogger(__name__)

MOUNTS = ("/v1", "/openai/v1", "/openai/deployments/{deployment}", "/openai", "")
"""Where the API stands (Responses API reference, section 1.1). The shorter path comes after the longer one."""

FIRST_API_VERSION = "2025-03-01"
_API_VERSION = re.compile(r"v1|preview|latest|(\d{4}-\d{2}-\d{2})(-preview)?")
_EXCHANGE = "antiphon.exchange"


class Routed(Protocol):
    """A part that answers paths of its own."""

    def routes(self) -> dict[str, Mapping[str, Answer]]:
        """The paths, and what answers each of their methods."""
        ...


def routes(responses: Responses, models: Models, *others: Routed) -> dict[str, Mapping[str, Answer]]:
    """Every path below a mount, and what answers each of its methods. What has a name goes before what has an id."""
    return {
        **{path: answers for other in others for path, answers in other.routes().items()},
        "/responses": {"POST": responses.create},
        "/responses/{id}": {"GET": responses.retrieve, "DELETE": responses.delete},
        "/responses/{id}/cancel": {"POST": responses.cancel},
        "/responses/{id}/input_items": {"GET": responses.input_items},
        "/models": {"GET": models.list_all},
        "/models/{id:path}": {"GET": models.retrieve},
    }


class Resource:
    """One path: the methods that it answers, for callers who are known."""

    def __init__(self, route: str, answers: Mapping[str, Answer], auth: Auth) -> None:
        self._route = route
        self._answers = answers
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ``ApiError``."""
        exchange: Exchange = scope[_EXCHANGE]
        exchange.params = scope["path_params"]
        exchange.route = self._route
        answer = self._answers.get(exchange.method)
        if answer is None:
            raise method_not_allowed(exchange.method, exchange.path, allowed=sorted(self._answers))
        caller = await self._auth.caller(exchange.headers)
        if exchange.is_azure:
            check_api_version(exchange.query.get("api-version"))
        trail.current().tenant = caller.tenant
        await answer(exchange, caller)


class Drain(Struct, frozen=True):
    """How the server leaves: for ``notice`` seconds it only says so, then answers have ``seconds`` to end."""

    seconds: float = 10.0
    notice: float = 0.0


def _nothing() -> None:
    """Nothing is to be done."""


class App:
    """The ASGI application. ``document`` makes the OpenAPI document when it is asked for; ``sockets`` are WebSockets.

    ``started`` is called once the server has said where it is, ``stop`` when it takes no more requests, before it waits
    for the answers that it is giving, and ``hurry`` when it is told a second time to stop. ``region`` is named to
    callers under ``/openai``. ``probes`` are what operators' machines ask, and ``watching`` tells operators of every
    request.
    """

    def __init__(  # noqa: PLR0913 - the parts of an application
        self,
        answers: Mapping[str, Mapping[str, Answer]],
        auth: Auth,
        document: Callable[[], bytes],
        *,
        health: Health,
        sockets: ASGIApp,
        started: Callable[[], None],
        stop: Callable[[], None],
        hurry: Callable[[], None] = _nothing,
        region: str | None = None,
        probes: Probes | None = None,
        watching: Watching | None = None,
        drain: Drain = Drain(),  # noqa: B008 - it is frozen
    ) -> None:
        self._region = region
        self._probes = probes or Probes(health)
        self._watching = watching or Watching(trail.NOWHERE)
        self.drain = drain
        self.started = started
        self.stop = stop
        self.hurry = hurry
        self._document = document
        self.health = health
        self._sockets = sockets
        self._router = Router(
            [
                Route(mount + path, Resource(mount + path, methods, auth))
                for mount in MOUNTS
                for path, methods in answers.items()
            ],
            redirect_slashes=False,
        )
        self._router.default = _nothing_there

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        if scope["type"] == "websocket":
            with self._watching.socket(scope):
                await self._sockets(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, region=self._region)
        scope[_EXCHANGE] = exchange
        with self._watching.request(exchange):
            try:
                await self._answer(exchange, send)
            except ClientLeft:
                pass
            except asyncio.CancelledError:  # the time to drain is over, and this task ends here anyhow
                await _break_off(exchange)
            except ApiError as error:
                await _refuse(exchange, error)
            except StoreUnavailable:
                log.exception("store unavailable", extra={"action": "store_unavailable"})
                await _refuse(exchange, store_away())
            except Exception:
                log.exception("request failed", extra={"action": "request_failed"})
                await _refuse(exchange, server_error())

    async def _answer(self, exchange: Exchange, send: Send) -> None:
        if await self._probes.answer(exchange):
            return
        if self.health.is_closing and exchange.method == "POST":
            exchange.extra += [(b"connection", b"close"), (b"retry-after", b"1")]
            raise server_error("The server is shutting down. Please try again.", status=503)
        if exchange.path == "/openapi.json":
            exchange.route = exchange.path
            await exchange.answer(self._document())
        else:
            await self._router(exchange.scope, exchange.receive, send)


async def _refuse(exchange: Exchange, error: ApiError) -> None:
    """Answer with an error; an answer that has begun can only be broken off, which the client sees."""
    if exchange.started:
        raise error
    log.info("request refused", extra={"action": "request_refused", "status": error.status, "code": error.code})
    await exchange.refuse(error)


async def _break_off(exchange: Exchange) -> None:
    """End an answer while the server stops; a stream has had its terminal event by now."""
    if exchange.started:
        await exchange.write(b"", more=False)
    else:
        await _refuse(exchange, server_error("The server is shutting down. Please try again.", status=503))


async def _nothing_there(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise unknown_url(scope["method"], scope["path"])


def check_api_version(version: str | None) -> None:
    """Azure's ``api-version``: absent, a word, or the date of a version that had this API."""
    if version is None:
        return
    match = _API_VERSION.fullmatch(version)
    if match is None or not _is_day(match[1]):
        raise bad_api_version()
    if match[1] is not None and match[1] < FIRST_API_VERSION:
        raise old_api_version(f"{FIRST_API_VERSION}-preview")


def _is_day(day: str | None) -> bool:
    """Whether a date is one of the calendar's; a version that is a word has none."""
    try:
        date.fromisoformat(day or FIRST_API_VERSION)
    except ValueError:
        return False
    return True
