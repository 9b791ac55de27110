"""Perform: a response that its client waits for, from a prepared request to its row."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from antiphon import engine
from antiphon.lifecycle import Asker, History

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from antiphon.core.turn import Output, Thinking
    from antiphon.engine.reins import Reins
    from antiphon.engine.running import Emit
    from antiphon.lifecycle import Caller, Prepared
    from antiphon.lifecycle.keeping import Keeping
    from antiphon.lifecycle.preparing import Preparing
    from antiphon.protocol.reading import Received
    from antiphon.protocol.response import Response
    from antiphon.store.store import Store

    Remember = Callable[[Response, History], None]

log = logging.getLogger(__name__)


class Lifecycle:
    """Takes requests to responses."""

    def __init__(self, preparing: Preparing, store: Store, keeping: Keeping) -> None:
        self._preparing = preparing
        self._store = store
        self._keeping = keeping

    async def prepare(
        self,
        received: Received,
        caller: Caller,
        *,
        path_deployment: str | None = None,
        painter: str | None = None,
        memory: Mapping[str, History] | None = None,
    ) -> Prepared:
        """See `Preparing.prepare` and `Asker`; what had no effect is logged.

        What is prepared has to be performed or queued, or left by its ``held``.
        """
        asker = Asker(caller, path_deployment=path_deployment, painter=painter, memory=memory)
        prepared = await self._preparing.prepare(received, asker)
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

    async def survey(self, received: Received, caller: Caller, *, path_deployment: str | None = None) -> Prepared:
        """See `Preparing.survey`."""
        return await self._preparing.survey(received, Asker(caller, path_deployment=path_deployment))

    async def perform(
        self, prepared: Prepared, emit: Emit, *, reins: Reins | None = None, remember: Remember | None = None
    ) -> Response:
        """Run it, keep what came of it before its end is told, and return it final. Raises what `engine.run` raises.

        ``remember`` is given the response and the conversation with it, once it is kept.
        """

        async def keep(response: Response, outputs: Mapping[str, Output], thoughts: Mapping[str, Thinking]) -> None:
            if response.store:
                await self._keep(prepared, response, outputs, thoughts)
            else:
                await prepared.held.aclose()  # who is told of the end may go on in the conversation at once
            if remember is not None:
                made = History([*response.output], {**outputs}, {**thoughts})
                remember(response, prepared.context.and_then(made))

        async with prepared.held:
            response = await engine.run(
                prepared.task, new_id=prepared.ids.new, now=self._preparing.now, emit=emit, keep=keep, reins=reins
            )
        log.info(
            "response finished",
            extra={"action": "response_finished", "response": response.id, "status": response.status},
        )
        return response

    async def _keep(
        self,
        prepared: Prepared,
        response: Response,
        outputs: Mapping[str, Output],
        thoughts: Mapping[str, Thinking],
    ) -> None:
        """Store a final response."""
        async with self._keeping.shelf.fresh_board(prepared.caller.tenant, response.id) as board:
            inputs = await self._keeping.inputs(prepared, board)
            final = await self._keeping.final(response, outputs, thoughts, board)
        row = self._keeping.row(response, prepared.caller, inputs=inputs, content=final.response)
        await self._store.save(row, inputs=inputs, outputs=final.outputs)
        if prepared.hold is not None:
            prepared.hold.keep()
