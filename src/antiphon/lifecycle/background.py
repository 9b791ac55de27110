"""Background: a response that nobody has to wait for is queued, performed by whoever claims it, cancelled, deleted.

Its row and its job are committed before anybody hears of it. What its run emits goes into its log, and what the log
holds is all that is ever told; the end of the response is committed together with its terminal event.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from antiphon import engine
from antiphon.core.estimate import estimate
from antiphon.core.fold import fold
from antiphon.core.log import Chunk, Pack, entries, summed
from antiphon.core.machine import Machine
from antiphon.core.notes import Note
from antiphon.core.replay import replayed
from antiphon.core.tally import Ending, Unreported, tally
from antiphon.ids import Ids
from antiphon.lifecycle import Caller, encode, made_items
from antiphon.lifecycle.limiting import Limiting
from antiphon.lifecycle.tracing import resumed
from antiphon.protocol.errors import ApiError
from antiphon.protocol.refusals import (
    approval_spent,
    conversation_locked,
    not_cancellable_synchronous,
    response_not_found,
)
from antiphon.protocol.response import Response, ResponseError
from antiphon.store import ConversationHeld, Cost, Final
from antiphon.store.approvals import AlreadySpent
from antiphon.telemetry.trail import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from antiphon.core.tally import Tally
    from antiphon.engine.task import Task
    from antiphon.lifecycle import Order, Prepared
    from antiphon.lifecycle.keeping import Keeping
    from antiphon.lifecycle.preparing import Preparing
    from antiphon.protocol.events import StreamEvent
    from antiphon.store.jobs import Claim, Found, Jobs, Kept
    from antiphon.store.store import Store
    from antiphon.store.waker import Waker
    from antiphon.store.writer import RunLog

log = logging.getLogger(__name__)

SERVER_ERRORS = 500
"""From this status on, an error tells of this server or of one that it depends on."""

WORN_OUT = ResponseError(code="server_error", message="The run was interrupted too often, and is not tried again.")


class Glance(Struct, frozen=True):
    """What a kept response says of how it was asked for."""

    background: bool = False


class Background:
    """Responses that run in the background. ``told`` is given the chunks that are written beside a run, by job."""

    def __init__(  # noqa: PLR0913 - the parts of a run that nobody waits for
        self,
        preparing: Preparing,
        store: Store,
        jobs: Jobs,
        *,
        keeping: Keeping,
        waker: Waker,
        told: Callable[[Mapping[int, Chunk]], None],
        limiting: Limiting | None = None,
    ) -> None:
        self._limiting = limiting or Limiting()
        self._preparing = preparing
        self._keeping = keeping
        self.shelf = keeping.shelf
        self._store = store
        self._jobs = jobs
        self._waker = waker
        self._told = told

    # For whoever asks

    async def enqueue(self, prepared: Prepared) -> Queued:
        """Keep a response that shall run; it is durable when this returns, and whoever has a place free performs it.

        A person's answers are used up with it. Raises ``ApiError`` where one was used before.
        """
        async with prepared.held:
            queued = await self._enqueued(prepared)
            if prepared.hold is not None:  # the job holds the conversation now
                prepared.hold.keep()
            if prepared.ticket is not None:
                prepared.ticket.hand_over()
        self._waker.say("queued", [queued.seq])
        return queued

    async def _enqueued(self, prepared: Prepared) -> Queued:
        machine = prepared.task.machine(prepared.ids.new)
        pack = Pack(0)
        pack.add(machine.queue())
        for note in machine.take_notes():  # what was found in the prompt: whoever ends the response tells it
            pack.note(note)
        response = machine.response
        async with self.shelf.fresh_board(prepared.caller.tenant, response.id) as board:
            inputs = await self._keeping.inputs(prepared, board)
            sealed = await self._keeping.sealed(prepared, board)
        row = self._keeping.row(response, prepared.caller, inputs=inputs, content=encode(response))
        try:
            seq = await self._jobs.enqueue(
                replace(row, cost=_cost(prepared)),
                inputs=inputs,
                opening=_taken(pack),
                sealed=sealed,
                spending=self._preparing.spending(prepared),
            )
        except AlreadySpent as error:
            raise approval_spent(error.id) from error
        except ConversationHeld as error:
            raise conversation_locked() from error
        return Queued(seq, response)

    async def find(self, id: str, caller: Caller) -> Found:
        """The response of this id. Raises ``ApiError`` where there is none."""
        found = await self._jobs.find(id, tenant=caller.tenant)
        if found is None:
            raise response_not_found(id)
        return found

    async def as_it_is(self, found: Found, caller: Caller) -> bytes:
        """The JSON of a response: as it ended, or as far as it has come."""
        text = found.response
        if found.state not in {None, "ended"}:
            chunks = await self._jobs.whole_log(found.seq)
            text = await asyncio.to_thread(_so_far, chunks) or text  # a long log takes a while to read
        return await self.shelf.filled(text, caller.tenant)

    async def cancel(self, id: str, caller: Caller) -> bytes:
        """End a response that runs, and return it; one that has ended is returned as it is.

        It is final when this returns, whoever works on it and wherever. Raises ``ApiError`` where there is none, and
        where its client waits for it.
        """
        found = await self.find(id, caller)
        if not is_background(found):
            raise not_cancellable_synchronous()
        if found.state not in {None, "ended"}:
            await self._end(found.seq, Machine.cancel)
            found = await self.find(id, caller)
        return await self.shelf.filled(found.response, caller.tenant)

    async def delete(self, id: str, caller: Caller) -> None:
        """Forget a response; one that runs is cancelled first. The next sweep erases its log.

        Raises ``ApiError`` where there is none.
        """
        found = await self.find(id, caller)
        if found.state not in {None, "ended"}:
            await self._end(found.seq, Machine.cancel)
        if not await self._store.delete(id, tenant=caller.tenant):
            raise response_not_found(id)

    # For whoever works

    async def perform(self, claim: Claim, open_log: Callable[[int], RunLog]) -> None:
        """Run a claimed job, on from where its log ends. ``open_log`` takes the number that is written next."""
        kept = await self._jobs.kept(claim.seq)
        if kept is None:  # deleted since it was claimed
            return
        try:
            order = self._keeping.order(claim.sealed or "", kept.id, Caller(kept.tenant))
            with resumed(order.origin, tenant=kept.tenant, response=kept.id):
                await self._perform(order, kept, open_log)
        except ApiError as error:
            log.warning("job cannot run", extra={"action": "job_cannot_run", "response": kept.id, "code": error.code})
            code = error.code if error.status < SERVER_ERRORS and error.code else "server_error"
            await self.fail(claim.seq, ResponseError(code=code, message=error.error.message))

    async def _perform(self, order: Order, kept: Kept, open_log: Callable[[int], RunLog]) -> None:
        """Run what was ordered. Raises ``ApiError`` where it cannot be done any more."""
        ids = Ids.of_chain(kept.id, self._preparing.now)
        task = await self._preparing.again(order, _decode_response(kept.response), Caller(kept.tenant))
        if task is not None:  # else its response was deleted
            # a predecessor may have left a long log, which takes a while to read: others go on meanwhile
            machine = await asyncio.to_thread(task.machine_after, _entries(kept.log), ids.new)
            run_log = open_log(kept.log[-1].last + 1)
            settle = partial(self._limiting.settle_late, kept.tenant, order.reserved)
            response = await self._go_on(task, machine, run_log, caller=Caller(kept.tenant), settle=settle)
            log.info(
                "response finished",
                extra={"action": "response_finished", "response": response.id, "status": response.status},
            )

    async def wear_out(self, seq: int) -> None:
        """End a job whose every attempt was interrupted."""
        await self.fail(seq, WORN_OUT)

    async def fail(self, seq: int, error: ResponseError) -> None:
        """End a job that cannot be done."""
        await self._end(seq, lambda machine: machine.fail(error))

    async def _go_on(
        self, task: Task, machine: Machine, run_log: RunLog, *, caller: Caller, settle: Callable[[Tally], None]
    ) -> Response:
        finals: list[Final] = []
        board = self.shelf.board(caller.tenant, task.response.id)

        async def keep(ending: Ending) -> None:
            final = await self._keeping.final(ending, board)
            took = tally(ending, now=self._preparing.now())
            finals.append(replace(final, tally=took))
            settle(took)

        async def emit(events: list[StreamEvent]) -> None:
            noted = machine.take_notes()
            events = await board.events(events)
            notes = await self._keeping.notes(noted, board)
            if finals:
                await run_log.finish(events, notes, finals[-1])
            else:
                await run_log.append(events, notes)

        return await engine.go_on(task, machine, now=self._preparing.now, emit=emit, keep=keep, settle=run_log.written)

    async def _end(self, seq: int, step: Callable[[Machine], list[StreamEvent]]) -> None:
        """End a job from outside of its run. Whoever works on it hears of it, and so does everyone who reads it."""
        ended = await self._jobs.end(seq, partial(_ended, step, now=self._preparing.now))
        if ended is not None:
            if (figures := current().figures) is not None:
                figures.responses.add(ended.deployment, ended.status)
            self._waker.say("ended", [seq])
            self._told({seq: ended.chunk})


class Queued(Struct, frozen=True):
    """A response that waits, and the number of its job."""

    seq: int
    response: Response


_decode_response = msgspec.json.Decoder(Response).decode
_glance = msgspec.json.Decoder(Glance).decode


def is_background(found: Found) -> bool:
    """Whether a response was asked for in the background, whatever is left of its job."""
    return found.state is not None or _glance(found.response).background


def read_kept(text: bytes) -> Response:
    """A finished response from its JSON."""
    return _decode_response(text)


def _taken(pack: Pack) -> Chunk:
    chunk = pack.take()
    if chunk is None:
        raise ValueError("a step of the machine gave no events")
    return chunk


def _entries(log_so_far: list[Chunk]) -> Iterator[StreamEvent | Note]:
    return chain.from_iterable(entries(chunk.text, chunk.first) for chunk in log_so_far)


def _so_far(log_so_far: list[Chunk]) -> bytes:
    """The JSON of a response as far as its log tells it; nothing where there is no log any more."""
    response = fold(event for chunk in log_so_far for event in summed(chunk.text))
    return b"" if response is None else encode(response)


def _cost(prepared: Prepared) -> Cost:
    """What a response is counted under while it waits and runs."""
    quota = None if prepared.ticket is None else prepared.ticket.quota
    return Cost(prepared.deployment.name, asked=estimate(prepared.task.turn), quota=quota)


def _final(machine: Machine, unreported: Sequence[Unreported], now: int) -> Final:
    ending = Ending(machine.response, machine.outputs, machine.thoughts, unreported)
    return Final(machine.response.status, encode(machine.response), made_items(ending), tally(ending, now=now))


def _asked_unheard(machine: Machine) -> list[Unreported]:
    """The turn that a model may be thinking about: a log says nothing of it before it is heard."""
    is_waiting = machine.response.status != "in_progress" or machine.turn_ended or machine.lists or machine.finished
    return [] if is_waiting else [Unreported(0, 0)]


def _ended(
    step: Callable[[Machine], list[StreamEvent]], log_so_far: list[Chunk], *, now: Callable[[], int]
) -> tuple[Chunk, Final]:
    """The last part of a log that somebody else ends, and the response as it ends there."""
    ids = Ids.of_chain(None, now)
    machine = replayed(_entries(log_so_far), new_id=ids.new)
    pack = Pack(log_so_far[-1].last + 1)
    unheard, counted = _asked_unheard(machine), len(machine.unreported)
    pack.add(step(machine))
    unreported = machine.unreported if len(machine.unreported) > counted else [*machine.unreported, *unheard]
    return _taken(pack), _final(machine, unreported, now())
