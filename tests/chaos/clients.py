"""Clients that read a response to its end, whatever is killed: they read on at any node from where they were."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any  # requests are open

import aiohttp
import msgspec
from msgspec import Struct

from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

TERMINAL = {"response.completed", "response.incomplete", "response.failed"}
AWAY = {500, 502, 503, 504}
"""What a node answers that has no database now."""

PAUSE = 0.1
"""Seconds before a client asks again where nobody answered it."""

UNHEARD = (aiohttp.ClientError, ConnectionError, TimeoutError)


class Named(Struct, frozen=True):
    """Of a response what a client goes by."""

    id: str


class Event(Struct, frozen=True):
    """Of an event what a client goes by."""

    type: str
    sequence_number: int
    response: Named | None = None


class Away(Exception):
    """A node cannot answer now."""


class Caller:
    """Asks any node, until one answers. ``urls`` are the nodes; ``random`` chooses among them."""

    def __init__(self, session: aiohttp.ClientSession, urls: list[str], random: Random) -> None:
        self._session = session
        self.urls = urls
        self.random = random

    async def ask(
        self, method: str, path: str, *, url: str | None = None, patience: float = 10.0, **options: Any
    ) -> tuple[int, bytes]:
        """Ask until there is an answer within ``patience`` seconds; give its status and its body."""
        while True:
            with suppress(Away, *UNHEARD):
                address = url or self.random.choice(self.urls)
                async with (
                    asyncio.timeout(patience),
                    self._session.request(method, address + path, **options) as answer,
                ):
                    return _there(answer), await answer.read()
            await asyncio.sleep(PAUSE)  # as any client does: nothing tells when a server is back

    async def queue(self, text: str) -> str:
        """Ask for a response in the background, and give its id. Where no answer comes it is asked for once more."""
        status, body = await self.ask("POST", "/v1/responses", patience=HANG_SECONDS, json=asked(text))
        assert status == 200, body
        return msgspec.json.decode(body, type=Named).id

    async def answers(self) -> None:
        """Wait until every node answers."""
        for url in self.urls:
            await self.ask("GET", "/v1/models", url=url)

    def reader(self, text: str = "", *, id: str = "") -> Reader:
        """Whoever reads a response; without its id, one that is asked for first."""
        return Reader(self._session, self, text=text, id=id)


class Reader:
    """Reads the events of one response, and checks their numbers. ``blocks`` are their bytes, comments left out."""

    def __init__(self, session: aiohttp.ClientSession, caller: Caller, *, text: str, id: str) -> None:
        self._session = session
        self._caller = caller
        self._text = text
        self.id = id
        self.blocks: list[bytes] = []
        self.connections = 0
        self.is_over = False
        self._grown = asyncio.Condition()

    @property
    def stream(self) -> bytes:
        """All bytes that came."""
        return b"".join(self.blocks)

    async def read(self, *, patience: Callable[[], float] = lambda: 60.0, url: str | None = None) -> Reader:
        """Read to the end, at any node or at one; the connection is dropped after ``patience`` seconds."""
        while not self.is_over:
            before = len(self.blocks)
            with suppress(Away, *UNHEARD):
                async with asyncio.timeout(patience()):
                    await self._listen(url or self._caller.random.choice(self._caller.urls))
            if len(self.blocks) == before and not self.is_over:
                await asyncio.sleep(PAUSE)  # as any client does
        return self

    async def hears(self, count: int) -> None:
        """Wait until so many events have come, while somebody reads."""
        async with self._grown:
            await self._grown.wait_for(lambda: len(self.blocks) >= count)

    async def _listen(self, url: str) -> None:
        async with self._asked(url) as answer:
            status = _there(answer)
            assert status == 200, (status, await answer.read())
            self.connections += 1
            rest = b""
            async for piece in answer.content.iter_any():
                *blocks, rest = (rest + piece).split(b"\n\n")
                self._hear([block + b"\n\n" for block in blocks if not block.startswith(b":")])
                async with self._grown:
                    self._grown.notify_all()

    def _asked(self, url: str) -> aiohttp.client._RequestContextManager:
        if not self.id:
            return self._session.post(f"{url}/v1/responses", json=asked(self._text, stream=True))
        after = {"starting_after": str(len(self.blocks) - 1)} if self.blocks else {}
        return self._session.get(f"{url}/v1/responses/{self.id}", params={"stream": "true", **after})

    def _hear(self, blocks: list[bytes]) -> None:
        for block in blocks:
            event = msgspec.json.decode(block.partition(b"\ndata: ")[2], type=Event)
            assert not self.is_over, f"{self.id}: {event.type} comes after the end"
            assert len(self.blocks) == event.sequence_number, f"{self.id}: a number is left out, or told twice"
            self.blocks.append(block)
            self.is_over = event.type in TERMINAL
            if not self.id and event.response is not None:
                self.id = event.response.id


def asked(text: str, **more: Any) -> dict[str, Any]:
    """The body of a request for a response in the background."""
    return {"model": "chaos", "input": text, "background": True, **more}


def _there(answer: aiohttp.ClientResponse) -> int:
    if answer.status in AWAY:
        raise Away
    return answer.status
