"""The turn loop: model, tools, model, tools, until the model has spoken or the client has a call to answer.

The engine knows backends, tools and the machine; it knows no store and no HTTP. Streaming, JSON and background runs
differ only in the ``emit`` that they pass.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from antiphon.backends import UpstreamError
from antiphon.engine.reins import Reins
from antiphon.engine.running import Running
from antiphon.engine.watching import Watched
from antiphon.protocol.errors import ApiError
from antiphon.protocol.response import Response, ResponseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.core.machine import Machine
    from antiphon.engine.running import Emit, Keep, Settle
    from antiphon.engine.task import Task

log = logging.getLogger(__name__)

FIRST_SERVER_ERROR = 424
"""From this status on, an error tells of somebody else's failure: this server's, or one's that it depends on."""


async def run(
    task: Task,
    *,
    new_id: Callable[[str], str],
    now: Callable[[], int],
    emit: Emit,
    keep: Keep,
    reins: Reins | None = None,
) -> Response:
    """Make a response, from ``response.created`` to its one terminal event, and return it final.

    Nothing is emitted before the upstream has accepted the first turn, or a call that a person approved is made: until
    then `UpstreamError` or ``ApiError`` is raised, and the caller can still answer with a plain error. With ``reins``
    somebody watches: the lists of tools that come before are emitted as they are made. Afterwards every fault ends in
    ``response.failed``, a cancellation in a response that is ``cancelled``, and nothing is raised but the cancellation
    itself. A final response is kept before its terminal event is emitted.
    """
    reins = reins or Reins(is_watched=False)
    running = Running(task, task.machine(new_id), emit=emit, keep=keep, reins=reins)
    try:
        with Watched(running):
            return await _run(running, now)
    finally:
        reins.drop()


async def go_on(
    task: Task, machine: Machine, *, now: Callable[[], int], emit: Emit, keep: Keep, settle: Settle
) -> Response:
    """Make a response from where ``machine``, made by `Task.machine_after`, stands; return it final.

    It is told at once that the run goes on, so that every fault ends in ``response.failed``. Before a call that must
    not be made twice its beginning is noted, and durable by ``settle``; one that another process began so is not made.
    """
    running = Running(task, machine, emit=emit, keep=keep, settle=settle)
    with Watched(running):
        return await _run(running, now)


async def _run(running: Running, now: Callable[[], int]) -> Response:
    response = running.machine.response
    try:
        await running.converse()
        await running.complete(now())
    except UpstreamError as error:
        log.warning(
            "upstream failed",
            extra={"action": "upstream_failed", "response": response.id, "fault": error.fault, "detail": error.detail},
        )
        if running.unheard:
            raise
        await running.fail(_response_error(error))
    except ApiError as error:
        if running.unheard:
            raise
        code = "server_error" if error.status >= FIRST_SERVER_ERROR else "invalid_prompt"
        await running.fail(ResponseError(code=code, message=error.error.message))
    except asyncio.CancelledError:
        await running.cancel()
        raise
    except Exception:
        if running.unheard:
            raise
        log.exception("run failed", extra={"action": "run_failed", "response": response.id})
        await running.fail(ResponseError(code="server_error", message="The server had an error. Please try again."))
    return running.machine.response


def _response_error(error: UpstreamError) -> ResponseError:
    match error.fault:
        case "rate_limit_exceeded" | "context_length_exceeded":
            return ResponseError(code=error.fault, message=str(error))
        case "content_filter" | "invalid_request":
            return ResponseError(code="invalid_prompt", message=str(error))
        case "server_error" | "timeout" | "unavailable" | "misconfigured":
            return ResponseError(code="server_error", message=str(error))
