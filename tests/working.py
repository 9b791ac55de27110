"""Processes that perform background jobs, in this one: the real parts over a database, and a model that waits."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import msgspec

from antiphon.core.deltas import Finish, Text
from antiphon.core.log import entries
from antiphon.core.sse import name
from antiphon.grammars import Grammars
from antiphon.lifecycle import Asker, Caller, Deployment, Policy
from antiphon.lifecycle.approving import Approving
from antiphon.lifecycle.background import Background
from antiphon.lifecycle.compacting import Compacting
from antiphon.lifecycle.conversing import Conversing
from antiphon.lifecycle.equipping import Equipping
from antiphon.lifecycle.preparing import Preparing
from antiphon.lifecycle.prompts import Config as PromptConfig
from antiphon.lifecycle.prompts import Prompts
from antiphon.lifecycle.recalling import Recalling
from antiphon.lifecycle.remotes import Remotes
from antiphon.lifecycle.tallying import Book
from antiphon.lifecycle.tokens import Tokens
from antiphon.outbound import Config, Outbound
from antiphon.protocol.events import StreamEvent
from antiphon.protocol.reading import read_request
from antiphon.protocol.response import Response
from antiphon.sealing import Seal
from antiphon.store.approvals import Approvals
from antiphon.store.conversations import Conversations
from antiphon.store.hub import Hub
from antiphon.store.jobs import Jobs
from antiphon.store.store import Store
from antiphon.store.usage import Usage
from antiphon.store.waker import Waker
from antiphon.tools.mcp.config import Config as McpConfig
from antiphon.tools.mcp.servers import Servers
from antiphon.worker import Terms, Worker
from tests.drawing import Shelves
from tests.patient import HANG_SECONDS
from tests.playing import NOW, TERMINAL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn
    from antiphon.lifecycle.background import Queued
    from antiphon.store import Database
    from antiphon.store.blobs import Blobs

CALLER = Caller("tenant")
TERMS = Terms(lease=60.0, drain=5.0)


class Speaker:
    """A model that says a word, waits until it may go on, and says another. It counts who listens."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.now = 0
        self.most = 0
        self.may_go_on = asyncio.Event()

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Speak."""
        self.turns.append(turn)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield [Text("One, ")]
            await self.may_go_on.wait()
            yield [Text("two."), Finish()]
        finally:
            self.now -= 1

    async def aclose(self) -> None:
        """There is nothing to let go of."""


class Process:
    """What performs jobs and answers for them. ``database`` may be shared with other processes, or be troubled."""

    def __init__(
        self,
        database: Database,
        speaker: Speaker,
        *,
        boot: str = "boot",
        terms: Terms = TERMS,
        kind: type[Background] = Background,
        jobs: Jobs | None = None,
    ) -> None:
        self.jobs = jobs or Jobs(database)
        self.store = Store(database)
        self.book = Book(Usage(database), now=lambda: NOW)
        self.waker = Waker(database, boot)
        self.hub = Hub(self.jobs, self.waker, is_shared=database.is_shared)
        outbound = Outbound(Config())
        approving = Approving(Seal(["secret"]), Approvals(database), now=lambda: NOW)
        deployments = {"m": Deployment("m", speaker)}
        self.shelves = Shelves(database, blobs=self.blobs(), deployments=deployments, outbound=outbound)
        tokens = Tokens(Seal(["secret"]), Policy(), now=lambda: NOW)
        conversing = Conversing(
            Conversations(database), self.store, self.shelves.keeping.shelf, tokens=tokens, now=lambda: NOW
        )
        self.grammars = Grammars()
        equipping = Equipping(
            drawings=self.shelves.drawings,
            remotes=Remotes(Servers(McpConfig(), outbound, audit=None), approving, {}),
            compacting=Compacting(tokens),
            grammars=self.grammars,
            screens=self.shelves.screens,
            policy=Policy(),
        )
        self.preparing = Preparing(
            deployments=deployments,
            recalling=Recalling(self.store, conversing, tokens),
            equipping=equipping,
            prompts=Prompts(PromptConfig()),
            policy=Policy(),
            now=lambda: NOW,
        )
        told, keeping = self.hub.committed, self.shelves.keeping
        self.background = kind(self.preparing, self.store, self.jobs, keeping=keeping, waker=self.waker, told=told)
        self.worker = Worker(self.background, self.jobs, self.waker, boot=boot, terms=terms, told=told)

    def blobs(self) -> Blobs | None:
        """Where pictures lie; None: in the memory of this process alone."""
        return None

    async def enqueue(self) -> Queued:
        """Queue a response."""
        received = read_request(b'{"model":"m","input":"Count!","background":true}')
        return await self.background.enqueue(await self.preparing.prepare(received, Asker(CALLER)))

    async def response(self, queued: Queued) -> Response:
        """A response as it is now."""
        found = await self.background.find(queued.response.id, CALLER)
        return msgspec.json.decode(await self.background.as_it_is(found, CALLER), type=Response)

    async def begun(self, queued: Queued) -> Response:
        """A response once it has words."""
        with anyio.fail_after(HANG_SECONDS):
            while not (response := await self.response(queued)).output:
                await a_moment()
        return response

    async def ended(self, queued: Queued) -> Response:
        """A response when it has ended. Its log has every number once, and one terminal event, the last."""

        async def drop(block: bytes) -> None:
            """It is the database's copy that is looked at."""

        await self.hub.follow(queued.seq, after=-1, send=drop)
        events = await self.events(queued)
        assert list(range(len(events))) == [event.sequence_number for event in events]
        assert [len(events) - 1] == [number for number, event in enumerate(events) if name(event) in TERMINAL]
        assert "ended" == await self.jobs.state(queued.seq)
        return await self.response(queued)

    async def events(self, queued: Queued) -> list[StreamEvent]:
        """What stands in a log for clients."""
        log = [entry for chunk in await self.jobs.whole_log(queued.seq) for entry in entries(chunk.text, chunk.first)]
        return [entry for entry in log if isinstance(entry, StreamEvent)]

    async def attempts(self, queued: Queued) -> int:
        """How often a queued job was begun so far, which it is once more by asking."""
        [claim] = await self.jobs.claim("who asks", limit=1)
        assert queued.seq == claim.seq
        return claim.attempt - 1


@asynccontextmanager
async def working(*processes: Process) -> AsyncGenerator[None, None]:
    """Let processes work meanwhile; in the end they are gone, as if they had been killed."""
    async with anyio.create_task_group() as group:
        for process in processes:
            for part in (process.waker.run, process.hub.run, process.worker.run):
                group.start_soon(part)
        yield
        group.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nothing announces."""
    with anyio.fail_after(HANG_SECONDS):
        while not condition():
            await a_moment()


async def a_moment() -> None:
    """Between two looks at what nothing announces."""
    await asyncio.sleep(0.002)
