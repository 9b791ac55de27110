"""The first door: a backend speaks one upstream dialect. It knows turns and deltas, no event and no HTTP of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn

UpstreamFault = Literal[
    "context_length_exceeded",
    "content_filter",
    "invalid_request",
    "rate_limit_exceeded",
    "server_error",
    "timeout",
    "unavailable",
    "misconfigured",
]


class Backend(Protocol):
    """One way to a model."""

    def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Ask the model and yield what it says: one list for each read, the last list ends with ``Finish``.

        Closing the generator stops the model. Raises `UpstreamError`, before the first list or between two.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections and child processes."""
        ...


@runtime_checkable
class Counting(Protocol):
    """What a backend may do beside: count with the upstream's own tokenizer."""

    async def count(self, turn: Turn) -> int:
        """How many tokens the upstream would read of a turn. Raises `UpstreamError` where it cannot say."""
        ...


class UpstreamError(Exception):
    """The upstream failed, or refused the turn.

    ``fault`` says whose fault it is and what may be done: ``invalid_request``, ``context_length_exceeded`` and
    ``content_filter`` are the caller's input; ``rate_limit_exceeded`` carries ``retry_after`` in seconds where the
    upstream gave it; ``misconfigured`` (a refused key, an unknown model) is the operator's. The message is written for
    the caller and holds nothing of the upstream's body; ``detail`` is for the operator's log alone.
    """

    def __init__(
        self,
        fault: UpstreamFault,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.fault: UpstreamFault = fault
        self.param = param
        self.code = code
        self.retry_after = retry_after
        self.detail = detail
