"""An application of files and uploads alone, asked directly or through a real server."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Literal  # JSON, and the messages of ASGI

from antiphon.http.app import App
from antiphon.http.auth import Auth, Key
from antiphon.http.auth import Config as Keys
from antiphon.http.files import Files as FileRoutes
from antiphon.http.health import Health
from antiphon.http.server import bind, url
from antiphon.http.uploads import Uploads as UploadRoutes
from antiphon.lifecycle import Caller
from antiphon.lifecycle.filing import Asked, Filing, Terms
from antiphon.lifecycle.uploading import Uploading
from antiphon.store.blobs import MIB, Blobs
from antiphon.store.erasing import Erasing
from antiphon.store.files import Files
from antiphon.store.jobs import Jobs
from antiphon.store.sqlite import connect
from antiphon.store.uploads import Uploads
from tests.patient import HANG_SECONDS
from tests.serving import Stoppable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from antiphon.store import Database
    from antiphon.store.files import FileRow

NOW = 1_800_000_000
OWNER, STRANGER = Caller("a"), Caller("b")
SMALL = Terms(most_file_bytes=2 * MIB, most_upload_bytes=4 * MIB, part_bytes=MIB)
KEYS = Keys(keys=[Key(key="key-a", tenant="a"), Key(key="key-b", tenant="b")])
BOUNDARY = b"b0undary"
FORM = f"multipart/form-data; boundary={BOUNDARY.decode()}"


class Cabinet:
    """Files and uploads with all that is under them. ``now`` is a time that a test moves."""

    def __init__(self, database: Database, blobs: Blobs, terms: Terms = SMALL) -> None:
        self.now = NOW
        self.database = database
        self.blobs = blobs
        self.files = Files(database)
        self.uploads = Uploads(database)
        self.erasing = Erasing(database, self.time)
        self.filing = Filing(self.files, blobs, self.erasing, terms=terms, now=self.time)
        self.uploading = Uploading(self.uploads, self.filing, blobs, self.erasing, now=self.time)

    def time(self) -> int:
        """The time."""
        return self.now

    def app(self) -> App:
        """The application."""
        return App(
            {**FileRoutes(self.filing).routes(), **UploadRoutes(self.uploading).routes()},
            Auth(KEYS, host="127.0.0.1"),
            lambda: b"{}",
            health=Health(Jobs(self.database), "tests"),
            sockets=_unserved,
            started=_nothing,
            stop=_nothing,
        )

    async def left(self) -> list[str]:
        """What is kept anywhere: rows of each table, and blobs."""
        tables = ("files", "uploads", "upload_parts", "erasures")
        counts = [
            (table, (await self.database.fetch(f"SELECT count(*) FROM {table}", {}))[0][0])  # noqa: S608 - those above
            for table in tables
        ]
        storage = await self.blobs._open("a")
        blobs = [blob["path"] for found in storage.list() for blob in found]
        return [f"{count} {table}" for table, count in counts if count] + blobs


async def _unserved(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Nobody opens a WebSocket."""


def _nothing() -> None:
    """What the application tells of its start and its end."""


@asynccontextmanager
async def cabinet(blobs: str | Blobs = "memory:", terms: Terms = SMALL) -> AsyncGenerator[Cabinet, None]:
    """An empty cabinet in memory."""
    database = await connect("sqlite://")
    stored = Blobs(blobs) if isinstance(blobs, str) else blobs
    yield Cabinet(database, stored, terms)
    await stored.aclose()
    await database.aclose()


class Answered:
    """An answer: its status, its headers by name, and its body."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str | None, str | None]:
        """What went wrong: the status, the parameter and the code."""
        error = self.json["error"]
        assert {"message", "type", "param", "code"} == error.keys()
        return self.status, error["param"], error["code"]


async def ask(
    app: App,
    method: str,
    path: str,
    body: bytes | list[bytes] = b"",
    *,
    headers: dict[str, str] | None = None,
    then: Literal["ends", "leaves", "stalls", "chokes"] = "ends",
) -> Answered:
    """Ask the application, with a body in pieces.

    A client that ``leaves`` or ``stalls`` sends no end of it; one that ``chokes`` takes nothing of the answer's body.
    """
    pieces = body if isinstance(body, list) else [body]
    is_cut = then in {"leaves", "stalls"}
    answered = Answered()
    done = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": is_cut or bool(pieces)}
        if then != "leaves":
            await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answered.status = message["status"]
            answered.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif then == "chokes":
            await done.wait()
        else:
            answered.body += message.get("body", b"")

    sent = {"authorization": "Bearer key-a", **(headers or {})}
    bare, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": bare,
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }
    try:
        async with asyncio.timeout(HANG_SECONDS):
            await app(scope, receive, send)
    finally:
        done.set()
    return answered


def part(name: str, content: bytes | str, *, filename: str | None = None, more: str = "") -> bytes:
    """One part of a form."""
    file = "" if filename is None else f'; filename="{filename}"'
    head = f'Content-Disposition: form-data; name="{name}"{file}\r\n{more}\r\n'.encode()
    return b"--" + BOUNDARY + b"\r\n" + head + (content.encode() if isinstance(content, str) else content) + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + b"--" + BOUNDARY + b"--\r\n"


def upload_form(content: bytes = b"hello", *, purpose: str = "user_data", filename: str = "a.txt") -> bytes:
    """The form that brings a file."""
    return form(part("purpose", purpose), part("file", content, filename=filename))


async def filed(
    filing: Filing, chunks: AsyncIterable[bytes], *, caller: Caller = OWNER, filename: str = "a", purpose: str = "batch"
) -> FileRow:
    """Keep a file without a form, and give its row."""
    asked = Asked(filename, purpose)
    return await filing.receive(caller, chunks, asked=lambda: asked)


async def post(app: App, body: bytes | list[bytes], path: str = "/v1/files", **more: Any) -> Answered:
    """Send a form."""
    return await ask(app, "POST", path, body, headers={"content-type": FORM, **more.pop("headers", {})}, **more)


async def kept(app: App, content: bytes = b"hello", **more: str) -> str:
    """Keep a file, and give its id."""
    answered = await post(app, upload_form(content, **more))
    assert 200 == answered.status, answered.body
    id: str = answered.json["id"]
    return id


@contextmanager
def serving_files(folder: Path, terms: Terms = SMALL) -> Iterator[str]:
    """Serve files and uploads that are kept in a folder, in a thread; gives the server's address."""
    with bind("127.0.0.1", 0) as listener:
        server = Stoppable()

        async def run() -> None:
            database = await connect(f"sqlite://{folder}/store.db")
            stored = Blobs(f"file://{folder}/blobs")
            await server.run(Cabinet(database, stored, terms).app(), [listener])
            await stored.aclose()
            await database.aclose()

        thread = threading.Thread(target=asyncio.run, args=(run(),))
        thread.start()
        try:
            server.wait()
            yield url(listener)
        finally:
            server.stop()
            thread.join(HANG_SECONDS)


def in_folder(folder: Path) -> list[str]:
    """What a server has left in its folder: rows and blobs."""
    with sqlite3.connect(folder / "store.db") as connection:
        rows = [
            f"{count} {table}"
            for table in ("files", "uploads", "upload_parts", "erasures")
            if (count := connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - those above
        ]
    connection.close()
    return rows + [path.name for path in (folder / "blobs").rglob("*") if path.is_file()]
