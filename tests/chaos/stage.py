"""What runs while things are killed: a model that speaks and calls tools in several turns, and where it is all kept."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING

import aiohttp

from tests import servers
from tests.chaos.clients import Caller
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
    from pathlib import Path
    from random import Random

    import pytest

    from tests.chaos.fleet import Fleet
    from tests.servers import PostgresServer

    Ask = Callable[[str], list[list[str]]]

LONG = (("count",), ("look",), ("count", "look"), ("count",), ("look", "count"))
SHORT = (("count",), ("look",))
"""The calls with which the model ends each turn but the last."""

SLOW = 600_000
"""Milliseconds that pass after the first words to who asks for something slow: whoever breaks it off is in time."""


def config(
    url: str, *, turns: Iterable[tuple[str, ...]] = LONG, words: int, pace: int, background: str, store: str = ""
) -> str:
    """A configuration whose model speaks ``words`` words a turn, ``pace`` a second."""
    text = " ".join(f"word{number}" for number in range(words))
    read = 0
    replies: list[str] = []
    for calls in (*turns, ()):
        said = [f'{{ thought = "Hm, {read}." }}', f'{{ text = "{text}" }}']
        said += [f'{{ call = {{ name = "{name}", arguments = {{ number = {read} }} }} }}' for name in calls]
        replies.append(f"[[deployments.replies]]\noutputs = {read}\nsteps = [{', '.join(said)}]\n")
        read += len(calls)
    slow = f'[[deployments.replies]]\nwhen = "slow"\nsteps = [{{ text = "{text}" }}, {{ pause_ms = {SLOW} }}]\n'
    return (
        f'[store]\nurl = "{url}"\n{store}\n'
        f"[background]\nmax_attempts = 50\n{background}\n"
        f'[[deployments]]\nname = "chaos"\nbackend = "scripted"\ntokens_per_second = {pace}\n'
        f"{slow}{''.join(replies)}"
    )


def asking_postgres(server: PostgresServer, url: str) -> Ask:
    """Run statements in a PostgreSQL database: they give rows, each a list of texts."""

    def ask(sql: str) -> list[list[str]]:
        return [line.split("|") for line in server.run(sql, url=url).splitlines()]

    return ask


def asking_sqlite(file: Path) -> Ask:
    """Run statements in a SQLite file, beside the process that serves it or without one."""

    def ask(sql: str) -> list[list[str]]:
        with closing(sqlite3.connect(file, timeout=HANG_SECONDS)) as connection, connection:
            return [[str(value) for value in row] for row in connection.execute(sql)]

    return ask


@asynccontextmanager
async def calling(fleet: Fleet, random: Random) -> AsyncGenerator[Caller, None]:
    """Clients of a fleet."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
        caller = Caller(session, fleet.urls, random)
        await caller.answers()
        yield caller


@contextmanager
def durable(patch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    """A PostgreSQL of its own that forces to disk what it commits, as an operator's does."""
    patch.setattr(tempfile, "tempdir", None)
    patch.setitem(servers.SETTINGS, "fsync", "on")
    with servers.postgres() as server:
        yield server
