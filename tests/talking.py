"""An application of conversations alone, asked directly or through a real server."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any  # JSON

from antiphon.http.app import App
from antiphon.http.auth import Auth
from antiphon.http.conversations import Conversations as Routes
from antiphon.http.health import Health
from antiphon.http.server import bind, url
from antiphon.lifecycle import Caller, Policy
from antiphon.lifecycle.conversing import Conversing
from antiphon.lifecycle.tokens import Tokens
from antiphon.sealing import Seal
from antiphon.store.blobs import MIB
from antiphon.store.conversations import Conversations
from antiphon.store.jobs import Jobs
from antiphon.store.sqlite import connect
from antiphon.store.store import Store
from tests.drawing import Shelves
from tests.filing import KEYS, NOW, ask
from tests.patient import HANG_SECONDS
from tests.serving import Stoppable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from starlette.types import Receive, Scope, Send

    from antiphon.store import Database
    from tests.filing import Answered

OWNER, STRANGER = Caller("a"), Caller("b")
JSON = {"content-type": "application/json"}
HELLO = {"type": "message", "role": "user", "content": "Hello."}


class Parlour:
    """Conversations with all that is under them. ``now`` is a time that a test moves."""

    def __init__(self, database: Database) -> None:
        self.now = NOW
        self.database = database
        self.store = Store(database)
        self.talks = Conversations(database)
        self.shelves = Shelves(database, now=self.time)
        self.tokens = Tokens(Seal(["secret"]), Policy(), now=self.time)
        self.conversing = self.process()

    def process(self) -> Conversing:
        """Conversing as one more process does it."""
        return Conversing(self.talks, self.store, self.shelves.shelf, tokens=self.tokens, now=self.time)

    def time(self) -> int:
        """The time."""
        return self.now

    def app(self) -> App:
        """The application."""
        return App(
            Routes(self.conversing, body_limit=MIB).routes(),
            Auth(KEYS, host="127.0.0.1"),
            lambda: b"{}",
            health=Health(Jobs(self.database), "tests"),
            sockets=_no_socket,
            started=_nothing,
            stop=_nothing,
        )


async def _no_socket(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Nobody opens one."""
    raise NotImplementedError


def _nothing() -> None:
    """What the application tells of its start and its end."""


@asynccontextmanager
async def parlour() -> AsyncGenerator[Parlour]:
    """An empty one, in memory."""
    database = await connect("sqlite://")
    made = Parlour(database)
    yield made
    await made.shelves.aclose()
    await database.aclose()


@contextmanager
def serving_talks() -> Iterator[str]:
    """Serve conversations, in a thread; gives the server's address."""
    with bind("127.0.0.1", 0) as listener:
        server = Stoppable()

        async def run() -> None:
            async with parlour() as made:
                await server.run(made.app(), [listener])

        thread = threading.Thread(target=asyncio.run, args=(run(),))
        thread.start()
        try:
            server.wait()
            yield url(listener)
        finally:
            server.stop()
            thread.join(HANG_SECONDS)


async def post(app: App, path: str, body: object, **headers: str) -> Answered:
    """Send JSON."""
    return await ask(app, "POST", f"/v1/conversations{path}", json.dumps(body).encode(), headers={**JSON, **headers})


async def got(app: App, path: str) -> Any:
    """What is there, as JSON."""
    answered = await ask(app, "GET", f"/v1/conversations{path}")
    assert 200 == answered.status, answered.body
    return answered.json


async def begun(app: App, *items: Any) -> str:
    """A conversation with items; gives its id."""
    answered = await post(app, "", {"items": items} if items else {})
    assert 200 == answered.status, answered.body
    id: str = answered.json["id"]
    return id
