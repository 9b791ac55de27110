"""A server that is watched from all sides: what it answers to raw bytes, what it keeps, and what it logs."""

from __future__ import annotations

import json
import logging
import socket
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any  # JSON
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from antiphon.config import Server, Storage
from tests.patient import HANG_SECONDS
from tests.serving import scripted, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CANARY = "canary-5f1e9c"
"""Put into what a caller sends; it must never be logged."""

KEYS = {"message", "type", "param", "code"}
BODY_MIB = 1
CLIENTS = ("httpx", "httpcore", "urllib3", "requests", "schemathesis", "hypothesis", "openai")
"""The loggers of what asks; all others are the server's."""

Header = tuple[bytes, bytes]
JSON: Header = (b"content-type", b"application/json")
HOST: Header = (b"host", b"127.0.0.1")

REPLIES: tuple[dict[str, Any], ...] = (  # steps of a script are open
    {"when": "weather", "after_output": False, "steps": [{"call": {"name": "weather", "arguments": {"city": "Oslo"}}}]},
    {"when": "busy", "steps": [{"fail": {"fault": "rate_limit_exceeded", "message": "Too fast.", "retry_after": 1}}]},
    {"when": "break", "steps": [{"text": "So far"}, {"fail": {"fault": "server_error", "message": "It broke."}}]},
    {"steps": [{"thought": "Well."}, {"text": ["Hello", " there."]}]},
)


class Answer(Struct, frozen=True):
    """An answer as it came. ``status`` is 0 where the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # JSON
        """The body, read."""
        return json.loads(self.body)


class Journal(logging.Handler):
    """Keeps all that the server logs, at every level, with all that hangs on a record."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []
        self._traces = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        if record.name.startswith(CLIENTS):
            return
        trace = self._traces.formatException(record.exc_info) if record.exc_info else ""
        self._lines.append(f"{record.getMessage()} {record.__dict__!r} {trace}")

    def read(self) -> str:
        """All that was logged since it was last read."""
        lines, self._lines = self._lines, []
        return "\n".join(lines)


class Observed:
    """A server under watch, at ``url``."""

    def __init__(self, url: str, database: sqlite3.Connection, journal: Journal) -> None:
        self.url = url
        self.journal = journal
        self._database = database
        place = urlsplit(url)
        self._place = (place.hostname, place.port)

    def rows(self) -> int:
        """How many responses and lineages the store holds: who keeps anything of a request keeps one of each.

        Items and events come at any time, of what still runs in the background.
        """
        kept = "SELECT (SELECT count(*) FROM responses) + (SELECT count(*) FROM lineages)"
        count: int = self._database.execute(kept).fetchone()[0]
        return count

    def send(self, raw: bytes) -> Answer:
        """Write bytes to a new connection and read until the server closes it."""
        with socket.create_connection(self._place, timeout=HANG_SECONDS) as connection:
            with suppress(ConnectionError):  # refused before it was whole; the answer says why
                connection.sendall(raw)
            return _answer(_received(connection))

    def judge(self, raw: bytes) -> Answer:
        """Send bytes and hold the server to its promises: no fault of its own, errors in form, nothing leaked."""
        before = self.rows()
        answer = self.send(raw)
        assert 200 <= answer.status < 500, (answer, raw[:2000])
        if answer.status >= 400:
            assert KEYS == set(answer.json["error"]), answer
            assert isinstance(answer.json["error"]["message"], str)
            assert before == self.rows(), ("a refused request was kept", raw[:2000])
        assert CANARY not in self.journal.read(), raw[:2000]
        return answer


def request(
    method: str, target: bytes, headers: Sequence[Header] = (HOST, JSON), *, body: bytes = b"", version: bytes = b"1.1"
) -> bytes:
    """The bytes of a request that ends its connection; nothing of it is checked or escaped."""
    lines = [method.encode() + b" " + target + b" HTTP/" + version, *(b": ".join(header) for header in headers)]
    if body or method == "POST":
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*lines, b"connection: close", b"", body])


def posted(body: bytes, *headers: Header, target: bytes = b"/v1/responses") -> bytes:
    """The bytes of a request for a response."""
    return request("POST", target, headers or (HOST, JSON), body=body)


@contextmanager
def observed(folder: Path) -> Iterator[Observed]:
    """Serve from a script, with a store in ``folder``, and watch."""
    file = folder / "store.db"
    config = scripted(*REPLIES)
    config = replace(config, store=Storage(url=f"sqlite:///{file}"), server=Server(max_body_mib=BODY_MIB))
    journal = Journal()
    root = logging.getLogger()
    level = root.level
    root.addHandler(journal)
    root.setLevel(logging.DEBUG)
    try:
        with serving(config) as url, closing(sqlite3.connect(file)) as database:
            yield Observed(url, database, journal)
    finally:
        root.removeHandler(journal)
        root.setLevel(level)


def _received(connection: socket.socket) -> bytes:
    chunks: list[bytes] = []
    while True:
        try:
            chunk = connection.recv(65_536)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def _answer(raw: bytes) -> Answer:
    if not raw:
        return Answer(0, {}, b"")
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(": ") for line in lines]
    headers = {name.lower(): value for name, _, value in pairs}
    return Answer(int(first.split()[1]), headers, body)
