"""The application: one router under every path that the official clients build, and the edge that words errors."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Protocol

from starlette.routing import Route, Router

from antiphon.http.exchange import ClientLeft, Exchange
from antiphon.protocol.errors import ApiError, bad_api_version, method_not_allowed, unknown_url
from antiphon.protocol.refusals import server_error
from antiphon.store import StoreUnavailable

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

HEALTHY = b'{"status":"ok"}'
UNHEALTHY = b'{"status":"store unavailable"}'
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

    def __init__(self, answers: Mapping[str, Answer], auth: Auth) -> None:
        self._answers = answers
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ``ApiError``."""
        exchange: Exchange = scope[_EXCHANGE]
        exchange.params = scope["path_params"]
        answer = self._answers.get(exchange.method)
        if answer is None:
            raise method_not_allowed(exchange.method, exchange.path, allowed=sorted(self._answers))
        caller = self._auth.caller(exchange.headers)
        if exchange.is_azure:
            check_api_version(exchange.query.get("api-version"))
        await answer(exchange, caller)


class App:
    """The ASGI application. ``document`` makes the OpenAPI document when it is asked for; ``sockets`` are WebSockets.

    ``started`` is called once the server has said where it is, and ``stop`` when it takes no more requests, before it
    waits for the answers that it is giving.
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
    ) -> None:
        self.started = started
        self.stop = stop
        self._document = document
        self._health = health
        self._sockets = sockets
        self._router = Router(
            [Route(mount + path, Resource(methods, auth)) for mount in MOUNTS for path, methods in answers.items()],
            redirect_slashes=False,
        )
        self._router.default = _nothing_there

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        if scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        scope[_EXCHANGE] = exchange
        try:
            await self._answer(exchange, send)
        except ClientLeft:
            pass
        except asyncio.CancelledError:  # the time to drain is over, and this task ends here anyhow
            await _break_off(exchange)
        except ApiError as error:
            await _refuse(exchange, error)
        except StoreUnavailable:
            log.exception("store unavailable", extra={"action": "store_unavailable", "request": exchange.request_id})
            await _refuse(exchange, server_error("The server cannot reach its storage. Please try again.", status=503))
        except Exception:
            log.exception("request failed", extra={"action": "request_failed", "request": exchange.request_id})
            await _refuse(exchange, server_error())

    async def _answer(self, exchange: Exchange, send: Send) -> None:
        if exchange.path == "/health":
            is_fine = await self._health.is_fine()
            await exchange.answer(HEALTHY if is_fine else UNHEALTHY, status=200 if is_fine else 503)
        elif exchange.path == "/openapi.json":
            await exchange.answer(self._document())
        else:
            await self._router(exchange.scope, exchange.receive, send)


async def _refuse(exchange: Exchange, error: ApiError) -> None:
    """Answer with an error; an answer that has begun can only be broken off, which the client sees."""
    if exchange.started:
        raise error
    log.info(
        "request refused",
        extra={
            "action": "request_refused",
            "request": exchange.request_id,
            "status": error.status,
            "code": error.code,
        },
    )
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
    if match is None or (match[1] is not None and match[1] < FIRST_API_VERSION):
        raise bad_api_version()
