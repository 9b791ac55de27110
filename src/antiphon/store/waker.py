"""The waker: tells every process that something changed, so that nobody has to wait for the next look.

It carries no data and may lose a message: whoever listens looks at the database as well, from time to time. Inside this
process a word is heard at once; to others it goes in one notification for all that was said meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from antiphon.store import Database

    Heard = Callable[[list[int]], None]

Word = Literal["queued", "written", "ended"]
"""A job is there to be claimed; a log has grown; a job was ended by somebody else than its worker."""

WORDS: tuple[Word, ...] = ("queued", "written", "ended")
IDS_A_MESSAGE = 300
"""Jobs that one notification names: it holds 7,000 bytes at most."""


class Waker:
    """Words about jobs, said and heard. ``boot`` names this process."""

    def __init__(self, database: Database, boot: str) -> None:
        self._database = database
        self._boot = boot
        self._heard: dict[Word, list[Heard]] = {word: [] for word in WORDS}
        self._unsaid: dict[Word, set[int]] = {}
        self._something = asyncio.Event()
        self.is_heard = not database.is_shared
        """Whether words reach this process: there is no other one, or it listens."""

    def listen(self, word: Word, heard: Heard) -> None:
        """Call ``heard`` with the jobs each time the word is said; with none where any job may be meant."""
        self._heard[word].append(heard)

    def say(self, word: Word, jobs: Iterable[int], *, here: bool = True) -> None:
        """Say a word about jobs, to this process now, unless it knows, and to the others soon."""
        said = list(jobs)
        if here:
            self._tell(word, said)
        if self._database.is_shared:
            self._unsaid.setdefault(word, set()).update(said)
            self._something.set()

    async def run(self) -> None:
        """Carry words between processes, until cancelled."""
        self.is_heard = not self._database.is_shared or await self._database.listen(self._hear)
        while True:
            await self._something.wait()
            self._something.clear()
            unsaid, self._unsaid = self._unsaid, {}
            for message in self._messages(unsaid):
                await self._database.notify(message)

    def _messages(self, unsaid: dict[Word, set[int]]) -> list[str]:
        return [
            " ".join([self._boot, word, *map(str, ids[start : start + IDS_A_MESSAGE])])
            for word, ids in ((word, sorted(jobs)) for word, jobs in unsaid.items())
            for start in range(0, len(ids), IDS_A_MESSAGE)
        ]

    def _hear(self, message: str) -> None:
        """Hear a notification; an empty one means that some may have been missed."""
        boot, *rest = message.split(" ")
        if boot == self._boot:
            return
        for word in WORDS:
            if not rest:
                self._tell(word, [])
            elif rest[0] == word:
                self._tell(word, [int(each) for each in rest[1:] if each.isdecimal()])

    def _tell(self, word: Word, jobs: list[int]) -> None:
        for heard in self._heard[word]:
            heard(jobs)
