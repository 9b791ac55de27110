"""The hub: every reader of a log gets every event once, in order, as it was, wherever its parts come from."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.core.log import Chunk, Pack
from antiphon.core.notes import CallStarted
from antiphon.core.sse import frames
from antiphon.protocol.events import Snapshot, TextDelta
from antiphon.protocol.response import Response
from antiphon.store import StoreUnavailable, hub
from antiphon.store.hub import KEEP_ALIVE, Hub, Reader
from antiphon.store.jobs import Jobs
from antiphon.store.waker import Waker
from tests.patient import HANG_SECONDS
from tests.store.ether import Ether, Station

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from antiphon.protocol.events import StreamEvent
    from antiphon.store.jobs import JobState

pytestmark = pytest.mark.anyio

SEQ = 7
COMPLETED = Response(id="r1", created_at=0, model="m", status="completed")


def words(first: int, count: int = 1, *, is_last: bool = False) -> list[StreamEvent]:
    """So many words from a number on, and behind them the end."""
    said: list[StreamEvent] = [
        TextDelta(
            content_index=0,
            delta=f"word {number}",
            item_id="msg_0",
            logprobs=[],
            output_index=0,
            sequence_number=number,
        )
        for number in range(first, first + count)
    ]
    if is_last:
        said.append(Snapshot(type="response.completed", response=COMPLETED, sequence_number=first + count))
    return said


def part(events: list[StreamEvent]) -> Chunk:
    """A part of a log with these events."""
    pack = Pack(events[0].sequence_number)
    pack.add(events)
    chunk = pack.take()
    assert chunk is not None
    return chunk


class Shelf(Jobs):
    """One job's log that a test writes, and reads that a test may hold up: before they look, and before they answer."""

    def __init__(self) -> None:
        self.log: list[Chunk] = []
        self.job: JobState | None = "running"
        self.is_away = False
        self.is_held = False
        self.reads = 0
        self.asked = asyncio.Event()
        self._turns: list[asyncio.Event] = []

    def write(self, chunk: Chunk, *, is_last: bool = False) -> None:
        """Commit a part."""
        self.log.append(chunk)
        self.job = "ended" if is_last else self.job

    def erase(self) -> None:
        """Erase it all."""
        self.log, self.job = [], None

    async def read(self, seq: int, *, after: int) -> list[Chunk]:
        """See `Jobs.read`."""
        assert SEQ == seq
        await self._turn()
        read = [chunk for chunk in self.log if chunk.last > after][: vars(hub)["PAGE"]]
        await self._turn()
        return read

    async def read_many(self, wanted: Mapping[int, int]) -> list[tuple[int, Chunk]]:
        """See `Jobs.read_many`."""
        return [(seq, chunk) for seq, after in wanted.items() for chunk in await self.read(seq, after=after)]

    async def state(self, seq: int) -> JobState | None:
        """See `Jobs.state`."""
        await self._turn()
        job = self.job
        await self._turn()
        return job

    def go_on(self, which: int = 0) -> None:
        """Let one of those that are held up take its next step."""
        if self._turns:
            self._turns.pop(which % len(self._turns)).set()

    def let_go(self) -> None:
        """Hold nobody up any more."""
        self.is_held = False
        while self._turns:
            self.go_on()

    async def _turn(self) -> None:
        self.reads += 1
        self.asked.set()
        if self.is_away:
            raise StoreUnavailable("The database is away.")
        if self.is_held:
            turn = asyncio.Event()
            self._turns.append(turn)
            await turn.wait()
        else:
            await anyio.lowlevel.checkpoint()


class Client:
    """Whoever reads a stream: what it got. A ``slow`` one takes a block each time it is told to."""

    def __init__(self, after: int = -1, *, slow: bool = False) -> None:
        self.after = after
        self.got = b""
        self.blocks = 0
        self.is_over = False
        self.something = asyncio.Event()
        self._gate = asyncio.Semaphore(0)
        self._slow = slow

    async def send(self, block: bytes) -> None:
        """Take a block."""
        self.got += block
        self.blocks += 1
        self.something.set()
        if self._slow:
            await self._gate.acquire()

    def take(self) -> None:
        """Have taken one."""
        self._gate.release()

    def hurry(self) -> None:
        """Be slow no more."""
        self._slow = False
        self._gate.release()

    async def follow(self, readers: Hub) -> None:
        """Read to the end."""
        await readers.follow(SEQ, after=self.after, send=self.send)
        self.is_over = True

    def expected(self, events: list[StreamEvent]) -> bytes:
        """What it should get of these events."""
        return frames([event for event in events if event.sequence_number > self.after]) if events else b""


class Place:
    """A shelf, the hub before it, and what other processes say."""

    def __init__(self, *, is_shared: bool = False, is_deaf: bool = False) -> None:
        self.shelf = Shelf()
        self.ether = Ether()
        self.waker = Waker(Station(self.ether, is_deaf=is_deaf), "me")
        self.hub = Hub(self.shelf, self.waker, is_shared=is_shared)

    def commit(self, events: list[StreamEvent], *, is_told: bool = True) -> None:
        """Write events, and tell this process's readers."""
        chunk = part(events)
        self.shelf.write(chunk, is_last=isinstance(events[-1], Snapshot))
        if is_told:
            self.hub.committed({SEQ: chunk})


@asynccontextmanager
async def open_place(place: Place) -> AsyncGenerator[None, None]:
    """Look and listen for what other processes write meanwhile."""
    async with anyio.create_task_group() as group:
        group.start_soon(place.hub.run)
        group.start_soon(place.waker.run)
        yield
        group.cancel_scope.cancel()


@asynccontextmanager
async def reading(place: Place, *clients: Client) -> AsyncGenerator[None, None]:
    """Let clients read, and leave when all of them have come to their end."""
    with anyio.fail_after(HANG_SECONDS):
        async with open_place(place), anyio.create_task_group() as group:
            for client in clients:
                group.start_soon(client.follow, place.hub)
            await anyio.wait_all_tasks_blocked()
            yield


# Any schedule


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "tell", "both", "elsewhere", "go on", "join", "join slowly", "take", "pass"]),
        st.integers(0, 60),
    ),
    max_size=40,
)


@given(sizes=st.lists(st.integers(0, 3), max_size=12), steps=STEPS, is_shared=st.booleans())
@settings(max_examples=200)
def test_every_reader_gets_every_event_once_whatever_the_order_of_things(
    sizes: list[int], steps: list[tuple[str, int]], *, is_shared: bool
) -> None:
    """However reads, commits, messages, joining and slow clients come between each other: byte for byte, to the end."""
    limits = {"PAGE": 3, "HELD": 300, "LISTENING_LOOK": 0.001, "FIRST_LOOK": 0.001, "LAST_LOOK": 0.001}
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in limits.items():
            patch.setattr(hub, name, limit)
        asyncio.run(_scheduled(log_of(sizes), steps, is_shared=is_shared))


def log_of(sizes: list[int]) -> list[Chunk]:
    """Parts with so many events each, or notes alone, and behind them the end."""
    pack = Pack(0)
    chunks: list[Chunk] = []
    for size in sizes:
        first = chunks[-1].last + 1 if chunks else 0
        pack.add(words(first, size))
        if not size:
            pack.note(CallStarted("ws"))
        chunks += [chunk for chunk in (pack.take(),) if chunk]
    return [*chunks, part(words(sum(sizes), is_last=True))]


async def _scheduled(chunks: list[Chunk], steps: list[tuple[str, int]], *, is_shared: bool) -> None:
    schedule = Schedule(chunks, is_shared=is_shared)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as others:
            others.start_soon(schedule.place.hub.run)
            await schedule.play(steps)
            others.cancel_scope.cancel()
    events = words(0, chunks[-1].last, is_last=True)
    for client in schedule.clients:
        assert client.expected(events) == client.got


class Schedule:
    """A log that is written and told, and clients that read it, step by step."""

    def __init__(self, chunks: list[Chunk], *, is_shared: bool) -> None:
        self.place = Place(is_shared=is_shared)
        self.clients: list[Client] = []
        self._is_shared = is_shared
        self._unwritten = list(chunks)
        self._untold: list[Chunk] = []
        self._group = anyio.create_task_group()
        self._steps: dict[str, Callable[[int], None]] = {
            "write": self._write,
            "tell": self._tell,
            "both": self._write_and_tell,
            "elsewhere": self._write_elsewhere,
            "go on": self.place.shelf.go_on,
            "join": lambda number: self._join(Client(number - 1)),
            "join slowly": lambda number: self._join(Client(number - 1, slow=True)),
            "take": lambda number: self.clients[number % len(self.clients)].take(),
            "pass": lambda _: None,
        }

    async def play(self, steps: list[tuple[str, int]]) -> None:
        """Take these steps, and then let everything come to its end."""
        async with self._group:
            self._join(Client())
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            self.place.shelf.is_held = True
            for step, number in steps:
                self._steps[step](number)
                await anyio.lowlevel.checkpoint()
            for client in self.clients:
                client.hurry()
            while self._unwritten or self._untold:
                self._write_elsewhere() if self._is_shared else self._write_and_tell()
                await anyio.lowlevel.checkpoint()
            self.place.shelf.let_go()

    def _write(self, _: int = 0) -> None:
        if self._unwritten:
            chunk = self._unwritten.pop(0)
            self.place.shelf.write(chunk, is_last=not self._unwritten)
            self._untold.append(chunk)

    def _tell(self, _: int = 0) -> None:
        if self._untold:
            self.place.hub.committed({SEQ: self._untold.pop(0)})

    def _write_and_tell(self, _: int = 0) -> None:
        self._write()
        self._tell()

    def _write_elsewhere(self, _: int = 0) -> None:
        """What another process writes is not told here; in a process that is alone, it is written and told."""
        self._write()
        if self._is_shared:
            self._untold[-1:] = []

    def _join(self, client: Client) -> None:
        self.clients.append(client)
        self._group.start_soon(client.follow, self.place.hub)


# Joining


async def test_a_reader_that_joins_while_it_is_written_misses_nothing() -> None:
    """What was committed between its look and the answer was put aside for it."""
    place, client = Place(), Client()
    place.commit(words(0, 2))
    place.shelf.is_held = True
    async with reading(place, client):
        place.shelf.go_on()  # it has looked
        await anyio.wait_all_tasks_blocked()
        place.commit(words(2))
        place.commit(words(3))
        place.shelf.let_go()
        await anyio.wait_all_tasks_blocked()
        assert frames(words(0, 4)) == client.got
        reads = place.shelf.reads
        place.commit(words(4, is_last=True))
    assert frames(words(0, 5, is_last=True)) == client.got
    assert reads == place.shelf.reads


@pytest.mark.parametrize("turns", range(5))
async def test_an_end_that_comes_while_a_reader_joins_is_not_waited_for(turns: int) -> None:
    """At whichever moment it comes: the reader does not have to wait for the next look."""
    place, client = Place(), Client(after=3)
    place.commit(words(0, 4))
    place.shelf.is_held = True
    async with reading(place, client):
        for _ in range(turns):
            place.shelf.go_on()
            await anyio.wait_all_tasks_blocked()
        place.commit(words(4, is_last=True))
        place.shelf.let_go()
    assert frames(words(4, is_last=True)) == client.got


async def test_too_much_that_comes_while_a_reader_joins_is_not_kept_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads on, and misses nothing, the end least of all."""
    monkeypatch.setattr(hub, "HELD", 300)
    place, client = Place(), Client()
    place.commit(words(0))
    place.shelf.is_held = True
    async with reading(place, client):
        place.shelf.go_on()
        await anyio.wait_all_tasks_blocked()
        for number in range(1, 50):
            place.commit(words(number, is_last=number == 49))
        [reader] = place.hub._readers[SEQ]
        assert sum(len(chunk.text) for chunk in reader._chunks) <= 300
        place.shelf.let_go()
    assert frames(words(0, 50, is_last=True)) == client.got


async def test_a_page_is_not_the_whole_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be more behind a full one."""
    monkeypatch.setattr(hub, "PAGE", 2)
    place, client = Place(), Client(after=2)
    for number in range(9):
        place.commit(words(number, is_last=number == 8))
    async with reading(place, client):
        pass
    assert frames(words(3, 6, is_last=True)) == client.got


async def test_a_part_that_does_not_follow_is_read_with_what_is_before_it() -> None:
    """Another process wrote that, and its word is still on the way."""
    place, client = Place(is_shared=True), Client()
    place.commit(words(0))
    async with reading(place, client):
        place.commit(words(1), is_told=False)
        place.commit(words(2))
        await anyio.wait_all_tasks_blocked()
        assert frames(words(0, 3)) == client.got
        place.commit(words(3, is_last=True))
    assert frames(words(0, 4, is_last=True)) == client.got


# Places


@pytest.mark.parametrize("after", [9, 10, 10_000])
async def test_behind_the_end_there_is_nothing_to_wait_for(after: int) -> None:
    """A reader that has all of a finished response is done at once."""
    place, client = Place(), Client(after)
    place.commit(words(0, 9, is_last=True))
    async with reading(place, client):
        pass
    assert b"" == client.got


async def test_a_number_that_does_not_exist_yet_is_waited_for() -> None:
    """The reader hears what is behind it, and nothing before it."""
    place, client = Place(), Client(after=4)
    place.commit(words(0, 2))
    async with reading(place, client):
        place.commit(words(2))
        await anyio.wait_all_tasks_blocked()
        assert b"" == client.got
        place.commit(words(3, 4))
        await anyio.wait_all_tasks_blocked()
        assert frames(words(5, 2)) == client.got
        place.commit(words(7, is_last=True))
    assert frames(words(5, 3, is_last=True)) == client.got


# Slow and fast


async def test_a_slow_reader_falls_behind_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds so much at most, reads the rest from the database, and misses nothing."""
    monkeypatch.setattr(hub, "HELD", 1000)
    place, slow, fast = Place(), Client(slow=True), Client()
    place.commit(words(0))
    async with reading(place, slow, fast):
        for number in range(1, 200):
            place.commit(words(number, is_last=number == 199))
            await anyio.lowlevel.checkpoint()
            for reader in place.hub._readers[SEQ]:
                assert sum(len(chunk.text) for chunk in reader._chunks) <= 1000
        await anyio.wait_all_tasks_blocked()
        assert fast.is_over
        assert 1 == slow.blocks
        slow.hurry()
    assert frames(words(0, 200, is_last=True)) == fast.got == slow.got


def test_a_reader_holds_so_much_at_most() -> None:
    """However much is committed while its client does not read."""
    reader = Reader(-1)
    reader.begin()
    reader.join([])
    for number in range(200):
        reader.hear(Chunk(number, number, "x" * 10_000))
        assert sum(len(chunk.text) for chunk in reader._chunks) <= hub.HELD
    assert not reader.is_live


async def test_a_part_that_is_larger_than_what_a_reader_may_hold_is_read() -> None:
    """From the database."""
    place, client = Place(), Client()
    large = words(0)[0]
    assert isinstance(large, TextDelta)
    event = TextDelta(
        content_index=0, delta="x" * hub.HELD, item_id="msg_0", logprobs=[], output_index=0, sequence_number=0
    )
    async with reading(place, client):
        place.commit([event])
        place.commit(words(1, is_last=True))
    assert frames([event, *words(1, is_last=True)]) == client.got


# Ends


async def test_a_log_that_is_erased_ends_its_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """They look again after a while without news, and find that there is nothing."""
    monkeypatch.setattr(hub, "SILENCE", 0.01)
    place, client = Place(), Client()
    place.commit(words(0, 2))
    async with reading(place, client):
        place.shelf.erase()
    assert frames(words(0, 2)) == client.got.replace(KEEP_ALIVE, b"")


async def test_a_log_that_is_being_erased_is_not_read_with_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its beginning goes first; who has not had it gets nothing of the rest."""
    monkeypatch.setattr(hub, "PAGE", 2)
    place, client = Place(), Client(slow=True)
    for number in range(9):
        place.commit(words(number, is_last=number == 8))
    async with reading(place, client):
        del place.shelf.log[:5]
        client.hurry()
    assert frames(words(0, 2)) == client.got


async def test_readers_of_a_process_that_stops_are_let_go() -> None:
    """Those that are there, and those that come; what they have is a beginning."""
    place, live, slow, late = Place(), Client(), Client(slow=True), Client()
    place.commit(words(0, 3))
    async with reading(place, live, slow):
        place.commit(words(3))
        await anyio.wait_all_tasks_blocked()
        place.hub.stop()
        slow.hurry()
    async with reading(place, late):
        pass
    assert frames(words(0, 4)) == live.got
    assert frames(words(0, 4)).startswith(slow.got)
    assert b"" == late.got


async def test_a_client_that_leaves_is_forgotten() -> None:
    """What its sending raises is raised; others read on."""

    async def gone(block: bytes) -> None:
        raise ConnectionResetError(len(block))

    place, client = Place(), Client()
    place.commit(words(0))
    async with reading(place, client):
        with pytest.raises(ConnectionResetError):
            await place.hub.follow(SEQ, after=-1, send=gone)
        assert 1 == len(place.hub._readers[SEQ])
        place.commit(words(1, is_last=True))
    assert {} == place.hub._readers


async def test_a_reader_without_news_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """And looks whether there is something that nobody told it."""
    monkeypatch.setattr(hub, "SILENCE", 0.01)
    place, client = Place(), Client()
    async with reading(place, client):
        await client.something.wait()
        assert client.got.startswith(KEEP_ALIVE)
        place.commit(words(0, is_last=True), is_told=False)
    assert frames(words(0, is_last=True)) == client.got.replace(KEEP_ALIVE, b"")


# Troubles, and other processes


async def test_while_the_database_is_away_a_reader_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins where it was."""
    monkeypatch.setattr(hub, "LAST_LOOK", 0.001)
    place, client = Place(), Client()
    place.commit(words(0))
    place.shelf.is_away = True
    async with reading(place, client):
        for _ in range(3):
            place.shelf.asked.clear()
            await place.shelf.asked.wait()
        place.commit(words(1))
        assert b"" == client.got
        place.shelf.is_away = False
        await client.something.wait()
        place.commit(words(2, is_last=True))
    assert frames(words(0, 3, is_last=True)) == client.got


async def test_what_another_process_wrote_is_looked_for_when_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and once for all readers that are up to date; of logs that nobody reads nothing is asked."""
    monkeypatch.setattr(hub, "LISTENING_LOOK", 60.0)
    place, clients = Place(is_shared=True), [Client() for _ in range(10)]
    place.commit(words(0))
    other = Station(place.ether)
    async with reading(place, *clients):
        reads = place.shelf.reads
        await other.notify(f"other written {SEQ + 1}")
        await anyio.wait_all_tasks_blocked()
        assert reads == place.shelf.reads
        place.commit(words(1), is_told=False)
        await other.notify(f"other written {SEQ}")
        for client in clients:
            while frames(words(0, 2)) != client.got:
                await anyio.lowlevel.checkpoint()
        assert reads + 2 == place.shelf.reads
        place.commit(words(2, is_last=True), is_told=False)
        for heard in place.ether.listeners:
            heard("")
    for client in clients:
        assert frames(words(0, 3, is_last=True)) == client.got


async def test_a_word_that_comes_while_a_reader_joins_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds no reader that could look, so whoever has joined looks once more."""
    monkeypatch.setattr(hub, "LISTENING_LOOK", 60.0)
    place, client = Place(is_shared=True), Client()
    place.commit(words(0))
    other = Station(place.ether)
    async with reading(place, client):
        await anyio.wait_all_tasks_blocked()
        place.shelf.is_held = True
        place.commit(words(1), is_told=False)
        late = Client()
        async with anyio.create_task_group() as group:
            group.start_soon(late.follow, place.hub)
            await anyio.wait_all_tasks_blocked()
            place.shelf.go_on()  # it has looked, and was not answered
            await anyio.wait_all_tasks_blocked()
            place.commit(words(2, is_last=True), is_told=False)
            await other.notify(f"other written {SEQ}")
            await anyio.wait_all_tasks_blocked()
            place.shelf.let_go()
    assert frames(words(0, 3, is_last=True)) == client.got == late.got


async def test_who_is_woken_again_and_again_looks_for_all_others_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word may have been lost, however many others come."""
    monkeypatch.setattr(hub, "LISTENING_LOOK", 0.05)
    place, client = Place(is_shared=True), Client()
    place.commit(words(0))
    async with reading(place, client):
        await anyio.wait_all_tasks_blocked()
        place.hub._readers[SEQ + 1] = set()
        place.commit(words(1, is_last=True), is_told=False)
        while not client.is_over:
            place.hub._wake([SEQ + 1])
            await anyio.lowlevel.checkpoint()
        del place.hub._readers[SEQ + 1]
    assert frames(words(0, 2, is_last=True)) == client.got


async def test_few_read_from_the_database_at_once() -> None:
    """A crowd that comes back after a crash leaves room for who writes."""
    place, clients = Place(), [Client() for _ in range(20)]
    place.commit(words(0))
    place.shelf.is_held = True
    async with reading(place, *clients):
        await anyio.wait_all_tasks_blocked()
        assert hub.CATCHING_UP == place.shelf.reads
        place.shelf.let_go()
        place.commit(words(1, is_last=True))
    for client in clients:
        assert frames(words(0, 2, is_last=True)) == client.got


@pytest.mark.parametrize("is_deaf", [False, True])
async def test_what_another_process_wrote_is_found_without_its_saying_so(
    monkeypatch: pytest.MonkeyPatch, *, is_deaf: bool
) -> None:
    """By looking, though the database was away once."""
    for look in ("LISTENING_LOOK", "FIRST_LOOK", "LAST_LOOK"):
        monkeypatch.setattr(hub, look, 0.02)
    place, client = Place(is_shared=True, is_deaf=is_deaf), Client()
    place.commit(words(0))
    async with reading(place, client):
        place.shelf.is_away = True
        for _ in range(2):
            place.shelf.asked.clear()
            await place.shelf.asked.wait()
        place.shelf.is_away = False
        place.commit(words(1), is_told=False)
        while frames(words(0, 2)) != client.got:
            await anyio.lowlevel.checkpoint()
        place.commit(words(2, is_last=True), is_told=False)
    assert frames(words(0, 3, is_last=True)) == client.got


async def test_what_is_written_here_is_said_to_the_others() -> None:
    """Once it can be read there."""
    place = Place(is_shared=True)
    async with anyio.create_task_group() as group:
        group.start_soon(place.waker.run)
        place.commit(words(0))
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert [f"me written {SEQ}"] == place.ether.said
