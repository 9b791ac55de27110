"""The hub: readers of logs, each at its own place. What is behind is read from the database, what is new is handed on.

A chunk that was committed is given to every reader of its log whose place it continues; whoever it does not continue
has missed something, or joined while a chunk was on its way, and reads on from the database. So no reader ever skips a
number or hears one twice, wherever its chunks come from. A reader that does not keep up holds `HELD` at most; then it
is behind too, and delays nobody.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from antiphon.core.log import told
from antiphon.store import StoreUnavailable
from antiphon.store.jobs import PAGE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from antiphon.core.log import Chunk
    from antiphon.store.jobs import Jobs
    from antiphon.store.waker import Waker

    Send = Callable[[bytes], Awaitable[None]]

log = logging.getLogger(__name__)

HELD = 262_144
"""Characters of log that wait for one reader."""

SILENCE = 15.0
"""Seconds after which a reader that has nothing to send says that it is there, at the latest."""

KEEP_ALIVE = b": keep-alive\n\n"

LISTENING_LOOK = 1.0
"""Seconds between looks at the database for what other processes wrote, where they say so too."""

CATCHING_UP = 3
"""Pages that are read at once: the writer and the signs of life need the database, too."""

FIRST_LOOK = 0.05
LAST_LOOK = 1.0
"""The same where they cannot: from the first look after something was found to the last one."""


class Reader:
    """One reader of a log. ``sent`` is the last number that its client has, ``reached`` the last one in its hands."""

    def __init__(self, after: int) -> None:
        self.sent = after
        self.reached = after
        self.is_live = False
        self.is_over = False
        self.has_ended = False
        self._is_joining = False
        self._chunks: list[Chunk] = []
        self._held = 0
        self._seen: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._something = asyncio.Event()

    def hear(self, chunk: Chunk) -> None:
        """Take a committed chunk if it continues what is there; fall behind where it does not, or is too much."""
        if self._is_joining:
            self._put_aside(chunk)
        if self.is_live and chunk.last <= self.sent and told(chunk, chunk.last).ended:
            self.stop()  # nothing can follow, whatever number the client named
        if not self.is_live or chunk.last <= self.reached:
            return
        self._held += len(chunk.text)
        if chunk.first > self.reached + 1 or self._held > HELD:
            self.is_live = False
        else:
            self._chunks.append(chunk)
            self.reached = chunk.last
        self._something.set()

    def begin(self) -> None:
        """Read from the database, from where the client is. What is heard meanwhile is put aside."""
        self._take()
        self._is_joining = True

    def join(self, read: list[Chunk]) -> None:
        """Hear from now on, after a page that was read; a whole page has more behind it."""
        has_all = self._held <= HELD
        heard = self._take()
        self._is_joining = False
        self.reached = read[-1].last if read else self.sent
        self.is_live = has_all and len(read) < PAGE
        for chunk in heard:
            self.hear(chunk)

    def stop(self) -> None:
        """Read no more: the process stops, and the client goes on elsewhere."""
        self.is_over = True
        self._something.set()

    def watch(self) -> None:
        """From now on notice silence: by one timer a reader, as one a chunk cost as much as the chunk."""
        if self.sent == self._seen:
            self._something.set()
        self._seen = self.sent
        self._timer = asyncio.get_running_loop().call_later(SILENCE / 2, self.watch)

    def leave(self) -> None:
        """Nobody reads any more."""
        if self._timer is not None:
            self._timer.cancel()

    async def chunks(self) -> list[Chunk]:
        """What waits; nothing where nothing was sent for about `SILENCE`, or where the reader fell behind."""
        await self._something.wait()
        return self._take() if self.is_live else []

    def block(self, chunks: list[Chunk]) -> bytes:
        """The events of these chunks that the client has not had, as they are sent."""
        blocks: list[bytes] = []
        for chunk in chunks:
            told_chunk = told(chunk, self.sent)
            blocks.append(told_chunk.block)
            self.sent = max(self.sent, chunk.last)
            self.has_ended = self.has_ended or told_chunk.ended
        self.is_over = self.is_over or self.has_ended
        return b"".join(blocks)

    def _put_aside(self, chunk: Chunk) -> None:
        self._held += len(chunk.text)
        if self._held <= HELD:
            self._chunks.append(chunk)

    def _take(self) -> list[Chunk]:
        self._something.clear()
        chunks, self._chunks, self._held = self._chunks, [], 0
        return chunks


class Hub:
    """All readers of this process, by job. ``is_shared``: other processes write logs as well."""

    def __init__(self, jobs: Jobs, waker: Waker, *, is_shared: bool) -> None:
        self._jobs = jobs
        self._waker = waker
        self._is_shared = is_shared
        self._readers: dict[int, set[Reader]] = {}
        self._woken: set[int] = set()
        self._something = asyncio.Event()
        self._catching_up = asyncio.Semaphore(CATCHING_UP)
        self._is_over = False
        waker.listen("written", self._wake)

    async def follow(self, seq: int, *, after: int, send: Send) -> bool:
        """Send the events of a job's log behind number ``after``, as server-sent events, to the terminal one.

        Returns whether that was sent: not where there was nothing behind the number, nor where the log is erased
        meanwhile or this process stops. While the database is away the client waits. Raises what ``send`` raises.
        """
        with self._reading(seq, after) as reader:
            while not reader.is_over:
                was_live = reader.is_live
                chunks = await (reader.chunks() if was_live else self._behind(seq, reader))
                if chunks:
                    await send(reader.block(chunks))
                elif was_live and reader.is_live and not reader.is_over:
                    reader.is_live = False  # looks whether there is still a log
                    await send(KEEP_ALIVE)
        return reader.has_ended

    def committed(self, chunks: Mapping[int, Chunk]) -> None:
        """This process has written: its readers hear it at once, the others that there is something."""
        for seq, chunk in chunks.items():
            for reader in self._readers.get(seq, ()):
                reader.hear(chunk)
        self._waker.say("written", chunks, here=False)

    async def run(self) -> None:
        """Look for what other processes wrote, until cancelled."""
        pause, looked = FIRST_LOOK, 0.0
        while self._is_shared:
            rest = looked + (LISTENING_LOOK if self._waker.is_heard else pause) - time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, rest)):
                    await self._something.wait()
            self._something.clear()
            woken, self._woken = self._woken, set()
            if rest <= 0 or not woken:  # however often it is woken for some, it looks for all in time
                woken, looked = set(self._readers), time.monotonic()
            try:
                found = await self._look(woken)
            except StoreUnavailable as error:
                found = False
                log.warning("logs cannot be read", extra={"action": "logs_not_read", "error": str(error)})
            pause = FIRST_LOOK if found else min(2 * pause, LAST_LOOK)

    def stop(self) -> None:
        """End all reading: the process stops."""
        self._is_over = True
        for readers in self._readers.values():
            for reader in readers:
                reader.stop()

    async def _behind(self, seq: int, reader: Reader) -> list[Chunk]:
        """A page of what a reader has not had; it hears from then on what follows, if that was all."""
        reader.begin()
        try:
            async with self._catching_up:
                chunks = await self._page(seq, reader)
        except StoreUnavailable:
            await asyncio.sleep(LAST_LOOK)
            return []
        reader.join(chunks)
        if self._is_shared and reader.is_live:
            self._wake([seq])  # a word that came while it joined found no reader
        return chunks

    async def _page(self, seq: int, reader: Reader) -> list[Chunk]:
        chunks = await self._jobs.read(seq, after=reader.sent)
        if not chunks and await self._jobs.state(seq) in {None, "ended"}:
            chunks = await self._jobs.read(seq, after=reader.sent)
            reader.is_over = reader.is_over or not chunks
        if chunks and chunks[0].first > reader.sent + 1:  # it is being erased, from its beginning on
            chunks, reader.is_over = [], True
        return chunks

    async def _look(self, seqs: set[int]) -> bool:
        """Hand on what these logs have behind their live readers; False where that is nothing."""
        wanted = {
            seq: min(reader.reached for reader in live)
            for seq in seqs
            if (live := [reader for reader in self._readers.get(seq, ()) if reader.is_live])
        }
        if not wanted:
            return False
        found = await self._jobs.read_many(wanted)
        for seq, chunk in found:
            for reader in self._readers.get(seq, ()):
                reader.hear(chunk)
        return bool(found)

    def _wake(self, seqs: list[int]) -> None:
        """Others have written to these logs; to any, where none is named."""
        self._woken |= self._readers.keys() & seqs if seqs else self._readers.keys()
        if self._woken:
            self._something.set()

    @contextmanager
    def _reading(self, seq: int, after: int) -> Generator[Reader, None, None]:
        reader = Reader(after)
        reader.is_over = self._is_over
        readers = self._readers.setdefault(seq, set())
        readers.add(reader)
        reader.watch()
        try:
            yield reader
        finally:
            reader.leave()
            readers.discard(reader)
            if not readers and self._readers.get(seq) is readers:
                del self._readers[seq]
