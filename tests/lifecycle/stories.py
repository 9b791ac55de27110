"""Stories of drawings: a process with a scripted model, what is asked of it, and what its database holds."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any  # JSON

import msgspec

from antiphon.lifecycle import Asker, Caller
from antiphon.lifecycle.lifecycle import Lifecycle
from antiphon.lifecycle.shelf import LARGE, PLANNED_SECONDS
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.reading import read_request
from antiphon.protocol.response import Response
from antiphon.store.erasing import Erasing
from tests.playing import NOW, Model
from tests.working import CALLER, Process, Speaker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.core.deltas import Delta
    from antiphon.core.turn import Turn
    from antiphon.lifecycle import Prepared
    from antiphon.lifecycle.background import Queued
    from antiphon.protocol.events import StreamEvent
    from antiphon.store import Database
    from antiphon.store.blobs import Blobs

DRAW: dict[str, Any] = {"type": "image_generation"}  # JSON
THERE: dict[str, Any] = {"steps": [{"text": "There."}], "outputs": 1}  # a script is open
_LONG = re.compile(rf"[A-Za-z0-9+/=]{{{LARGE},}}")


def drawing(prompt: str, **arguments: Any) -> dict[str, Any]:  # a script is open
    """A reply that draws."""
    call = {"name": "image_generation", "arguments": {"prompt": prompt, **arguments}}
    return {"steps": [{"call": call}], "outputs": 0}


class Scribe(Speaker):
    """A scripted model."""

    def __init__(self, *replies: dict[str, Any]) -> None:  # a script is open
        super().__init__()
        self._model = Model(*replies)

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Delta], None]:
        """Speak."""
        self.turns.append(turn)
        said = self._model.stream(turn)
        try:
            async for deltas in said:
                yield deltas
        finally:
            await said.aclose()


class Atelier(Process):
    """A process in which pictures are drawn, over blobs that others may have too."""

    def __init__(self, database: Database, scribe: Scribe, blobs: Blobs, **settings: Any) -> None:  # of a process
        self._blobs = blobs
        self.scribe = scribe
        super().__init__(database, scribe, **settings)
        self.brush = self.shelves.brush
        self.lifecycle = Lifecycle(self.preparing, self.store, self.shelves.keeping, self.book)

    def blobs(self) -> Blobs:
        """The shared ones."""
        return self._blobs

    async def prepare(self, *, caller: Caller = CALLER, **body: Any) -> Prepared:  # JSON
        """Prepare a request; without anything else it asks for a picture."""
        whole = {"model": "m", "input": "Draw!", "tools": [DRAW], **body}
        return await self.preparing.prepare(read_request(json.dumps(whole).encode()), Asker(caller))

    async def queue(self, **body: Any) -> Queued:  # JSON
        """Queue a request."""
        return await self.background.enqueue(await self.prepare(background=True, **body))

    async def make(self, *, caller: Caller = CALLER, **body: Any) -> Response:  # JSON
        """Make a response while its client waits."""

        async def emit(events: list[StreamEvent]) -> None:
            """Nobody listens."""

        return await self.lifecycle.perform(await self.prepare(caller=caller, **body), emit)

    async def told(self, id: str, caller: Caller = CALLER) -> Response:
        """A response as it is told."""
        found = await self.background.find(id, caller)
        return msgspec.json.decode(await self.background.as_it_is(found, caller), type=Response)


def drawn(response: Response) -> list[ImageGenerationCall]:
    """The drawings of a response."""
    return [item for item in response.output if isinstance(item, ImageGenerationCall)]


async def expect_small_rows(database: Database) -> None:
    """Nothing that the database holds has a picture in it."""
    for column, table in (
        ("response", "responses"),
        ("data", "items"),
        ("output", "items"),
        ("data", "events"),
        ("sealed", "jobs"),
    ):
        for (text,) in await database.fetch(f"SELECT {column} FROM {table}", {}):  # noqa: S608 - our own names
            assert not _LONG.search(str(text)), (table, column)


async def swept(database: Database, blobs: Blobs) -> int:
    """Erase all that is planned, long after it was."""
    return await Erasing(database, lambda: NOW + 2 * PLANNED_SECONDS).erase(blobs)
