"""The trail: whose work goes on in this task, for logs, figures and spans. It is set once a request or job.

It travels in a context variable, so that every task that a request starts has it, and no floor hands it on to the next.
Nothing is read from it per event.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Container, Generator, Mapping

    from antiphon.telemetry.figures import Figures

    Attribute = str | int | float | bool | list[str]


class Span(Protocol):
    """A piece of work that a collector is told of."""

    @property
    def traceparent(self) -> str:
        """What names it to others (W3C Trace Context)."""
        ...

    @property
    def tracestate(self) -> str:
        """What other tracers gave along (W3C Trace Context); empty where that is nothing."""
        ...

    def child(self, name: str, *, kind: str, attributes: Mapping[str, Attribute]) -> Span:
        """A piece of this work. ``kind``: ``internal`` or ``client``."""
        ...

    def note(self, attributes: Mapping[str, Attribute]) -> None:
        """Say more of it."""
        ...

    def rename(self, name: str) -> None:
        """Call it otherwise, now that more is known."""
        ...

    def fail(self, kind: str) -> None:
        """Say that it failed, and how, in one word."""
        ...

    def end(self) -> None:
        """It is over."""
        ...


class Tracer(Protocol):
    """Makes the spans that have no parent here. What a caller gives as one's parent is looked at, not believed."""

    def begin(self, name: str, *, kind: str, parent: Mapping[str, str], attributes: Mapping[str, Attribute]) -> Span:
        """A span; ``parent`` has ``traceparent`` and ``tracestate`` as they came, if they came."""
        ...


class Trail:
    """What is known of the work that goes on. ``request``: the id in the answer, on every line, and asked upstream.

    ``client_request``: what its client calls it. ``content``: what is asked and answered may be logged, and told to the
    collector. ``parent``: what a caller said of its own trace, where what is done for it has no span yet.
    """

    __slots__ = ("client_request", "content", "figures", "parent", "request", "span", "tenant", "tracer")

    def __init__(
        self,
        *,
        figures: Figures | None = None,
        tracer: Tracer | None = None,
        content: bool = False,
        request: str = "",
        tenant: str = "",
    ) -> None:
        self.figures = figures
        self.tracer = tracer
        self.content = content
        self.request = request
        self.client_request = ""
        self.tenant = tenant
        self.span: Span | None = None
        self.parent: Mapping[str, str] = {}

    def branch(self, *, request: str | None = None, tenant: str | None = None, span: Span | None = None) -> Trail:
        """The same, for a part of the work."""
        branch = Trail(
            figures=self.figures,
            tracer=self.tracer,
            content=self.content,
            request=self.request if request is None else request,
            tenant=self.tenant if tenant is None else tenant,
        )
        branch.client_request = self.client_request
        branch.span = self.span if span is None else span
        branch.parent = self.parent
        return branch

    def lines(self, *, but: Container[str]) -> bytes:
        """The header lines by which an upstream's operator finds the request; ``but`` those that are sent anyhow."""
        headers = {"x-request-id": self.request}
        if self.span is not None:
            headers |= {"traceparent": self.span.traceparent, "tracestate": self.span.tracestate}
        lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value and name not in but]
        return "".join(lines).encode("ascii")


NOWHERE = Trail()
"""Where nobody has set a trail. It is never changed."""

_trail: ContextVar[Trail] = ContextVar("antiphon.trail", default=NOWHERE)

current = _trail.get
"""The trail of the work that goes on here."""


def enter(trail: Trail) -> Token[Trail]:
    """Let this be the trail until `leave` is given what this returns, by the same task."""
    return _trail.set(trail)


def leave(token: Token[Trail]) -> None:
    """Go back to the trail before `enter`."""
    _trail.reset(token)


def follow(trail: Trail) -> None:
    """Let this be the trail of the task that runs, and of all that it starts from now on."""
    _trail.set(trail)


@contextmanager
def along(trail: Trail) -> Generator[Trail]:
    """Let this be the trail within the block. Never around a ``yield`` of a generator: its caller would follow it."""
    token = _trail.set(trail)
    try:
        yield trail
    finally:
        _trail.reset(token)
