"""Perform: a response that its client waits for, from a prepared request to its row."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon import engine
from antiphon.lifecycle import Asker, History
from antiphon.lifecycle.limiting import Limiting
from antiphon.store import Cost, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from antiphon.core.tally import Ending, Tally
    from antiphon.engine.reins import Reins
    from antiphon.engine.running import Emit
    from antiphon.lifecycle import Caller, Prepared
    from antiphon.lifecycle.keeping import Keeping
    from antiphon.lifecycle.preparing import Preparing
    from antiphon.lifecycle.tallying import Bill, Book
    from antiphon.protocol.reading import Received
    from antiphon.protocol.response import Response
    from antiphon.store.store import Store

    Remember = Callable[[Response, History], None]

log = logging.getLogger(__name__)


class Lifecycle:
    """Takes requests to responses."""

    def __init__(
        self, preparing: Preparing, store: Store, keeping: Keeping, book: Book, *, limiting: Limiting | None = None
    ) -> None:
        self.limiting = limiting or Limiting()
        self._preparing = preparing
        self._store = store
        self._keeping = keeping
        self._book = book

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

        What is prepared has to be performed or queued, or left by its ``held``. Where a limit is reached, nothing is
        done.
        """
        asker = Asker(caller, path_deployment=path_deployment, painter=painter, memory=memory)
        async with AsyncExitStack() as admitted:
            ticket = admitted.enter_context(await self.limiting.admit(received.request, caller, path_deployment))
            prepared = await self._preparing.prepare(received, asker)
            prepared.held.push(ticket)
            admitted.pop_all()  # it holds nothing any more
        prepared = replace(prepared, ticket=ticket, order=replace(prepared.order, reserved=ticket.reserved))
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

    def bill(self, prepared: Prepared) -> Bill:
        """What counts a request that `perform` does not."""
        return self._book.bill(prepared)

    async def perform(
        self, prepared: Prepared, emit: Emit, *, reins: Reins | None = None, remember: Remember | None = None
    ) -> Response:
        """Run it, keep what came of it before its end is told, and return it final. Raises what `engine.run` raises.

        However it ends, what it took is counted. ``remember`` is given the response and the conversation with it, once
        it is kept. Without ``reins`` nobody watches: raises `StoreUnavailable` where it could not be kept.
        """
        bill = self._book.bill(prepared)
        lost: list[StoreUnavailable] = []

        async def keep(ending: Ending) -> None:
            took, response = bill.ended(ending), ending.response
            if prepared.ticket is not None:
                prepared.ticket.settle(took)
            if response.store:
                with bill.kept(), _noted(lost):
                    await self._keep(prepared, ending, took)
            else:
                await prepared.held.aclose()  # who is told of the end may go on in the conversation at once
            if remember is not None:
                made = History([*response.output], {**ending.outputs}, {**ending.thoughts})
                remember(response, prepared.context.and_then(made))

        with bill:
            async with prepared.held:
                response = await engine.run(
                    prepared.task, new_id=prepared.ids.new, now=self._preparing.now, emit=emit, keep=keep, reins=reins
                )
        if lost and reins is None:  # nobody was told anything yet, and there is nothing that could be read again
            raise lost[0]
        log.info(
            "response finished",
            extra={"action": "response_finished", "response": response.id, "status": response.status},
        )
        return response

    async def _keep(self, prepared: Prepared, ending: Ending, took: Tally) -> None:
        """Store a final response, and count what it took in the same transaction."""
        async with self._keeping.shelf.fresh_board(prepared.caller.tenant, ending.response.id) as board:
            inputs = await self._keeping.inputs(prepared, board)
            final = await self._keeping.final(ending, board)
        row = self._keeping.row(ending.response, prepared.caller, inputs=inputs, content=final.response)
        row = replace(row, cost=Cost(prepared.deployment.name, took))
        await self._store.save(row, inputs=inputs, outputs=final.outputs)
        if prepared.hold is not None:
            prepared.hold.keep()


@contextmanager
def _noted(lost: list[StoreUnavailable]) -> Generator[None]:
    """Note what the store could not do, and let it pass."""
    try:
        yield
    except StoreUnavailable as error:
        lost.append(error)
        raise
