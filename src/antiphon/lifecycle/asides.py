"""Asides: what the server asks a model beside the turns of a response, such as what a picture shows, is counted too."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.backends import Backend, UpstreamError
from antiphon.core.deltas import Finish, Text
from antiphon.core.estimate import estimate, text_tokens
from antiphon.engine.watching import tokens
from antiphon.telemetry.trail import current

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn
    from antiphon.lifecycle import Deployment
    from antiphon.lifecycle.tallying import Book
    from antiphon.protocol.response import Usage

NOBODY = ""
"""The tenant of what the server asks for itself."""


class Aside:
    """The backend of a deployment, whose turns are counted as a tenant's. It is not closed here."""

    def __init__(self, deployment: Deployment, book: Book, tenant: str) -> None:
        self._deployment = deployment
        self._book = book
        self._tenant = tenant

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """See `Backend.stream`. What is not heard to its end is estimated, as far as it was heard."""
        heard = self._deployment.backend.stream(turn)
        said: list[str] = []
        usage: Usage | None = None
        is_refused = False
        figures = current().figures
        try:
            async for deltas in heard:
                said += [delta.text for delta in deltas if isinstance(delta, Text)]
                if isinstance(deltas[-1], Finish):
                    usage = deltas[-1].usage
                yield deltas
        except UpstreamError as error:
            is_refused = not said
            if figures is not None:
                figures.upstream_errors.add(self._deployment.name, error.fault)
            raise
        finally:
            guess = (0, 0) if is_refused or usage is not None else _guess(turn, said)
            if figures is not None and usage is not None:
                figures.take(self._deployment.name, tokens(usage))
            self._book.aside(self._tenant, self._deployment.name, usage, estimated=guess)
            await heard.aclose()

    async def aclose(self) -> None:
        """Whoever opened the deployment closes it."""


def asked(deployment: Deployment, book: Book | None, tenant: str) -> Backend:
    """The backend of a deployment, for a tenant; without a book nothing is counted."""
    return deployment.backend if book is None else Aside(deployment, book, tenant)


def own(deployments: Mapping[str, Deployment], book: Book) -> dict[str, Deployment]:
    """Deployments as the server asks them for itself."""
    return {name: replace(each, backend=Aside(each, book, NOBODY)) for name, each in deployments.items()}


def _guess(turn: Turn, said: list[str]) -> tuple[int, int]:
    return estimate(turn), ceil(text_tokens("".join(said)))
