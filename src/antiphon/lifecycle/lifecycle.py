"""Perform: a response that its client waits for, from a prepared request to its row."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from antiphon import engine
from antiphon.lifecycle import made_items

if TYPE_CHECKING:
    from collections.abc import Mapping

    from antiphon.core.turn import Output
    from antiphon.engine.running import Emit
    from antiphon.lifecycle import Caller, Prepared
    from antiphon.lifecycle.preparing import Preparing
    from antiphon.protocol.reading import Received
    from antiphon.protocol.response import Response
    from antiphon.store.store import Store

log = logging.getLogger(__name__)


class Lifecycle:
    """Takes requests to responses."""

    def __init__(self, preparing: Preparing, store: Store) -> None:
        self._preparing = preparing
        self._store = store

    async def prepare(self, received: Received, caller: Caller, *, path_deployment: str | None = None) -> Prepared:
        """See `Preparing.prepare`; what had no effect is logged."""
        prepared = await self._preparing.prepare(received, caller, path_deployment=path_deployment)
        if prepared.ignored or prepared.unavailable:
            log.warning(
                "parts of a request had no effect",
                extra={
                    "action": "request_without_effect",
                    "response": prepared.task.response.id,
                    "ignored": ascii(prepared.ignored)[:1000],
                    "unavailable": prepared.unavailable,
                },
            )
        return prepared

    async def perform(self, prepared: Prepared, emit: Emit, *, is_watched: bool) -> Response:
        """Run it, keep what came of it before its end is told, and return it final. Raises what `engine.run` raises."""

        async def keep(response: Response, outputs: Mapping[str, Output]) -> None:
            if response.store:
                row = self._preparing.row(response, prepared.caller)
                await self._store.save(row, inputs=prepared.inputs, outputs=made_items(response, outputs))

        response = await engine.run(
            prepared.task,
            new_id=prepared.ids.new,
            now=self._preparing.now,
            emit=emit,
            keep=keep,
            is_watched=is_watched,
        )
        log.info(
            "response finished",
            extra={"action": "response_finished", "response": response.id, "status": response.status},
        )
        return response
