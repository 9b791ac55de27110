"""Children for tests, and what is left of them afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from antiphon.documents import Config, Documents, Unreadable
from tests.documents import rogue
from tests.patient import HANG_SECONDS, STORY_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

ROGUE = (sys.executable, "-B", "-P", "-s", str(Path(rogue.__file__)))


def children() -> set[int]:
    """The processes that this one has, zombies included."""
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[1]) == os.getpid():
            found.add(int(stat.parent.name))
    return found


def descriptors() -> Counter[str]:
    """What this process has open. uvloop keeps a way to nowhere from its first process on, which does not count."""
    found: Counter[str] = Counter()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            found[str(descriptor.readlink())] += 1
    del found["/dev/null"]
    return found


@asynccontextmanager
async def rogues(
    config: Config | None = None, *, idle_seconds: float = 60.0, now: Callable[[], float] = time.monotonic
) -> AsyncGenerator[Documents]:
    """Documents whose children misbehave where a file says so; nothing of them is left."""
    opened, born = descriptors(), children()
    documents = Documents(config or Config(workers=2, seconds=20), command=ROGUE, idle_seconds=idle_seconds, now=now)
    try:
        with anyio.fail_after(STORY_SECONDS):
            yield documents
    finally:
        await documents.aclose()
    with anyio.fail_after(HANG_SECONDS):
        while descriptors() - opened or children() - born:  # what tests before this one let go of may go meanwhile
            await anyio.lowlevel.checkpoint()  # a loop closes pipes in its own time


async def refused(asked: Awaitable[object]) -> tuple[str, str]:
    """Why a file was not read: the reason and the words."""
    with pytest.raises(Unreadable) as caught:
        await asked
    return caught.value.reason, str(caught.value)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own, until it ends."""
    return subprocess.run(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )
