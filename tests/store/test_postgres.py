"""PostgreSQL: errors in our words, retries, messages between processes, lost servers, and the schema's steps."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import asyncpg
import pytest

from antiphon.store import (
    LONGEST_MESSAGE,
    Batch,
    Conflict,
    ItemRow,
    Statement,
    StoreTooNew,
    StoreTooOld,
    StoreUnavailable,
    StoreUrlError,
    migrations,
)
from antiphon.store.postgres import connect, database, hearing, migrate
from antiphon.store.postgres.opening import LIMITS, SESSION, Place
from antiphon.store.store import Store
from tests.patient import HANG_SECONDS
from tests.servers import postgres
from tests.store.rows import chain, context, items, response, save

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from antiphon.store import Database, Dialogue, Row
    from tests.servers import PostgresServer
    from tests.store.conftest import Urls

pytestmark = pytest.mark.anyio

SECRET = "hunter2"
MEETING = """
    DO $$ BEGIN
        PERFORM pg_advisory_xact_lock_shared(1);
        WHILE (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1) < 2 LOOP
            PERFORM pg_sleep(0.01);
        END LOOP;
    END $$
"""
"""Waits until another transaction has come as far."""
TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE '{}%'"


@pytest.fixture
def url(urls: Urls) -> str:
    """A database with this version's schema and no rows."""
    return urls.fresh()


@pytest.fixture
async def opened(url: str) -> AsyncIterator[Database]:
    """The same, open."""
    connected = await connect(url)
    yield connected
    await connected.aclose()


def single(sql: str) -> Dialogue[list[Row]]:
    """A transaction of one statement."""
    return (yield Statement(sql))


def add(*ids: int) -> Dialogue[None]:
    """Add lineages in this order, one statement each."""
    for id in ids:
        yield Statement("INSERT INTO lineages (id, tenant, tip) VALUES (:id, 'a', 0)", {"id": id})


async def count(opened: Database) -> int:
    """How many lineages there are."""
    [(rows,)] = await opened.fetch("SELECT count(*) FROM lineages", {})
    assert isinstance(rows, int)
    return rows


async def test_it_says_what_it_is(opened: Database) -> None:
    """Several processes may open it."""
    assert ("postgres", True) == (opened.engine, opened.is_shared)


async def test_rows_that_do_not_fit_are_a_conflict(opened: Database) -> None:
    """The transaction is undone as a whole, and the error quotes no row."""
    with pytest.raises(Conflict, match="lineages_pkey") as refused:
        await opened.transaction(partial(add, 1, 2, 1))
    with pytest.raises(Conflict, match="not-null") as empty:
        await opened.transaction(partial(single, "INSERT INTO lineages (tenant, tip) VALUES ('confidential', NULL)"))

    assert await count(opened) == 0
    assert "(1)" not in f"{refused.value}{refused.value.__cause__}"
    assert "confidential" not in f"{empty.value}{empty.value.__cause__}"


@pytest.mark.parametrize("asked", ["SELECT 1 FROM nowhere", "SELECT 1 / 0", "nonsense"])
async def test_what_the_server_refuses_is_told(opened: Database, asked: str) -> None:
    """Whatever it says, callers hear it in our words, and the connections serve on."""
    for _ in range(10):
        with pytest.raises(StoreUnavailable, match="could not be used"):
            await opened.fetch(asked, {})
        with pytest.raises(StoreUnavailable, match="could not be used"):
            await opened.transaction(partial(single, asked))

    assert await opened.fetch("SELECT 1", {}) == [(1,)]


async def test_a_parameter_that_cannot_be_sent_is_told_without_its_content(opened: Database) -> None:
    """Neither the error nor its cause quotes it."""
    with pytest.raises(StoreUnavailable) as refused:
        await opened.fetch("SELECT CAST(:value AS BIGINT)", {"value": "confidential"})

    assert "confidential" not in f"{refused.value}{refused.value.__cause__}"


async def test_what_a_dialogue_raises_undoes_its_transaction(opened: Database) -> None:
    """It is raised as it is, whatever it looks like."""

    def stumble(error: Exception) -> Dialogue[None]:
        yield from add(1)
        raise error

    for error in (LookupError("mine"), TimeoutError("mine"), OSError("mine")):
        with pytest.raises(type(error), match="mine"):
            await opened.transaction(partial(stumble, error))

    assert await count(opened) == 0


async def test_a_batch_is_run_for_each_of_its_parameters(opened: Database) -> None:
    """In order, and not at all where there are none."""

    def fill(ids: list[int]) -> Dialogue[list[Row]]:
        sql = "INSERT INTO lineages (id, tenant, tip) VALUES (:id, :tenant, :tip)"
        answered = yield Batch(sql, [{"tip": id, "tenant": "a", "id": id} for id in ids])
        rows = yield Statement("SELECT id, tip FROM lineages ORDER BY id")
        return [*answered, *rows]

    assert await opened.transaction(partial(fill, [])) == []
    assert await opened.transaction(partial(fill, [1, 2])) == [(1, 1), (2, 2)]


async def test_nul_is_replaced_in_what_is_written_and_in_what_is_asked_for(opened: Database) -> None:
    """The engine cannot keep it in a text; a document that escapes it is kept as it is."""
    store = Store(opened)
    kept = ItemRow(id="i\0", json=rb'"\u0000"', output="\0")
    await store.save(response("r\0"), inputs=[kept], outputs=[])

    rows = await store.context("r\0", tenant="a")

    assert rows == [ItemRow(id="i\ufffd", json=rb'"\u0000"', output="\0")]
    assert await store.find_items(["i\0"], tenant="a") == {"i\ufffd": rows[0]}


async def test_transactions_that_wait_for_each_other_are_both_made(opened: Database) -> None:
    """The one that is undone begins anew by itself."""
    turns = 0

    def cross(first: int, second: int) -> Dialogue[None]:
        nonlocal turns
        turns += 1
        yield Statement("UPDATE lineages SET tip = tip + 1 WHERE id = :id", {"id": first})
        if turns <= 2:
            yield Statement(MEETING)
        yield Statement("UPDATE lineages SET tip = tip + 1 WHERE id = :id", {"id": second})

    await opened.transaction(partial(add, 1, 2))
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(opened.transaction, partial(cross, 1, 2))
            group.start_soon(opened.transaction, partial(cross, 2, 1))

    assert turns > 2
    assert await opened.fetch("SELECT tip FROM lineages", {}) == [(2,), (2,)]


async def test_a_transaction_that_others_are_always_in_the_way_of_is_given_up(opened: Database) -> None:
    """After a few attempts, each from the beginning."""
    begun = 0

    def fail() -> Dialogue[None]:
        nonlocal begun
        begun += 1
        yield from add(begun)
        yield Statement("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    with pytest.raises(StoreUnavailable, match="in the way"):
        await opened.transaction(fail)

    assert begun == database.ATTEMPTS
    assert await count(opened) == 0


async def test_a_transaction_that_is_given_up_is_undone(opened: Database) -> None:
    """Whoever leaves while a statement runs leaves nothing behind, and the connection serves on."""

    def linger() -> Dialogue[None]:
        yield from add(1)
        yield Statement("SELECT pg_sleep(60)")

    with anyio.fail_after(HANG_SECONDS):
        for _ in range(10):
            with anyio.move_on_after(0.05):
                await opened.transaction(linger)
        await opened.transaction(partial(add, 1))

    assert await count(opened) == 1


async def test_nobody_waits_for_ever(opened: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that takes too long ends in an error."""
    monkeypatch.setattr(database, "DEADLINE", 0.1)
    with pytest.raises(StoreUnavailable, match="did not answer"):
        await opened.fetch("SELECT pg_sleep(60)", {})
    monkeypatch.undo()

    assert await opened.fetch("SELECT 1", {}) == [(1,)]


@pytest.mark.slow
async def test_who_holds_a_row_and_hangs_keeps_nobody_for_long(urls: Urls) -> None:
    """Whoever waits for the row lets go of its connection and says so; whoever holds it is put an end to.

    However the holder asks, in a session of its own or in one that it shares; both at once, as both wait.
    """
    async with anyio.create_task_group() as group:
        for pooled in (False, True):
            group.start_soon(held_up, urls.fresh(), pooled)


async def held_up(url: str, pooled: bool) -> None:  # noqa: FBT001 - a task group passes it by position
    """Wait for a row that somebody holds, until nobody does."""
    opened = await connect(url)
    await opened.transaction(partial(add, 1))
    holder = await asyncpg.connect(url, server_settings={} if pooled else SESSION | LIMITS)
    ended = asyncio.Event()
    holder.add_termination_listener(lambda _: ended.set())
    await holder.execute(Place(url, is_pooled=pooled).begin)
    await holder.execute("UPDATE lineages SET tip = 1 WHERE id = 1")
    with anyio.fail_after(HANG_SECONDS):
        with pytest.raises(StoreUnavailable):
            await opened.transaction(partial(single, "UPDATE lineages SET tip = 2 WHERE id = 1 RETURNING tip"))
        assert await opened.transaction(partial(single, "UPDATE lineages SET tip = 3 WHERE id = 1 RETURNING tip"))
        await ended.wait()
    assert [(3,)] == await opened.fetch("SELECT tip FROM lineages WHERE id = 1", {})
    await opened.aclose()


async def test_two_processes_serve_one_chain(url: str) -> None:
    """What one saves the other continues, and of children saved at once none is lost; sweeps meet no save."""
    stores = [Store(await connect(url)) for _ in range(2)]
    await chain(stores[0], "r1", "r2")
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(partial(save, stores[number % 2], f"c{number}", after="r2", expires_at=number % 4))
                group.start_soon(stores[number % 2].sweep, 1)
    for store in stores:
        await store.sweep(1)

    for number in range(40):
        expected = None if number % 4 < 2 else ["r1.in", "r1.out", "r2.in", "r2.out", f"c{number}.in", f"c{number}.out"]
        assert await context(stores[number % 2], f"c{number}") == expected
    for store in stores:
        await store.aclose()


@pytest.mark.parametrize("pooled", [False, True])
async def test_a_closed_database_says_so(url: str, pooled: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    """Nobody waits for an answer that cannot come; closing twice is no error, and nothing is heard or told."""
    connected = await connect(url, pooled=pooled)
    await connected.aclose()
    await connected.aclose()
    await connected.reclaim()
    await connected.notify("r1")

    assert await connected.listen(print) is False
    with pytest.raises(StoreUnavailable, match="closed"):
        await connected.fetch("SELECT 1", {})


async def test_closing_finishes_what_was_asked(url: str) -> None:
    """More saves than there are connections are all made."""
    store = Store(await connect(url))
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(save, store, f"r{number}")
        await anyio.lowlevel.checkpoint()
        await store.aclose()

    again = await connect(url)
    assert await count(again) == 20
    await again.aclose()


# Messages


class Ear:
    """What was heard, and a way to wait for more."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, message: str) -> None:
        """Hear a message."""
        self.heard.append(message)
        self._more.set()

    async def until(self, message: str) -> None:
        """Wait until this was heard."""
        with anyio.fail_after(HANG_SECONDS):
            while message not in self.heard:
                self._more.clear()
                await self._more.wait()


async def test_a_message_reaches_every_process(url: str) -> None:
    """In the order in which it was told, the teller too."""
    processes = [await connect(url) for _ in range(3)]
    ears = [Ear() for _ in processes]
    for process, ear in zip(processes, ears, strict=True):
        assert await process.listen(ear)

    for number in range(10):
        await processes[0].notify(f"r{number}")

    for process, ear in zip(processes, ears, strict=True):
        await ear.until("r9")
        assert ear.heard == [f"r{number}" for number in range(10)]
        await process.aclose()


async def test_a_long_message_is_refused(opened: Database) -> None:
    """The longest is told, one byte more is the caller's mistake."""
    ear = Ear()
    await opened.listen(ear)
    await opened.notify("x" * LONGEST_MESSAGE)
    await ear.until("x" * LONGEST_MESSAGE)

    with pytest.raises(ValueError, match="7000 bytes"):
        await opened.notify("ž" * (LONGEST_MESSAGE // 2) + "x")


async def test_what_one_listener_raises_reaches_no_other(opened: Database) -> None:
    """It is reported where the loop reports, and listening goes on."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    ear = Ear()

    def stumble(message: str) -> None:
        raise LookupError(message)

    await opened.listen(stumble)
    await opened.listen(ear)
    for message in ("r1", "r2"):
        await opened.notify(message)
        await ear.until(message)

    assert ["r1", "r2"] == [str(error) for error in told]


async def test_listening_comes_back_after_a_lost_connection(url: str, postgres_server: PostgresServer) -> None:
    """An empty message says that some may have been missed; then messages are heard again."""
    process, ear = await connect(url), Ear()
    assert await process.listen(ear)

    for message in ("r1", "r2"):
        postgres_server.run(TERMINATE.format("LISTEN"))
        await ear.until("")
        ear.heard.clear()
        await process.notify(message)
        await ear.until(message)

    await process.aclose()


async def test_a_lost_connection_does_not_keep_from_telling(url: str, postgres_server: PostgresServer) -> None:
    """What cannot be told is logged and raises nothing; the next message is told."""
    process, ear = await connect(url), Ear()
    assert await process.listen(ear)
    await process.notify("r1")

    postgres_server.run(TERMINATE.format("SELECT pg_notify"))
    await process.notify("r2")
    await process.notify("r3")

    await ear.until("r3")
    await process.aclose()


async def test_a_connection_that_died_silently_is_found_out(
    opened: Database, monkeypatch: pytest.MonkeyPatch, postgres_server: PostgresServer
) -> None:
    """The connection that listens is looked after; while the server answers, it is kept."""
    monkeypatch.setattr(hearing, "CHECK", 0.01)
    ear = Ear()
    await opened.listen(ear)
    looked = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT 1'"
    with anyio.fail_after(HANG_SECONDS):
        while await anyio.to_thread.run_sync(postgres_server.run, looked) == "0":
            pass
    await opened.notify("r1")
    await ear.until("r1")

    assert ear.heard == ["r1"]


async def test_through_a_pooler_nothing_is_heard(pooled_urls: Urls, urls: Urls) -> None:
    """It says so, and what it tells is heard by others."""
    url = pooled_urls.fresh()
    pooled, ear = await connect(url, pooled=True), Ear()

    assert await pooled.listen(ear) is False
    await pooled.notify("r1")
    await pooled.aclose()


# The server goes away


@pytest.mark.slow
async def test_a_server_that_crashes_is_found_again(caplog: pytest.LogCaptureFixture) -> None:
    """While it is gone callers hear that the store is unavailable; then everything works, and nothing is lost."""
    with postgres() as server:
        url = server.database()
        process, ear = await connect(url), Ear()
        store = Store(process)
        await process.listen(ear)
        await save(store, "r1")

        async def interrupted() -> None:
            with pytest.raises(StoreUnavailable):
                await process.transaction(partial(single, "SELECT pg_sleep(60)"))

        async with anyio.create_task_group() as group:
            group.start_soon(interrupted)
            await anyio.sleep(0.2)
            await anyio.to_thread.run_sync(server.stop, "immediate")
        with pytest.raises(StoreUnavailable):
            await save(store, "lost")
        with pytest.raises(StoreUnavailable):
            await store.response("r1", tenant="a")
        with caplog.at_level(logging.WARNING):
            await process.notify("nobody hears")
        await anyio.to_thread.run_sync(server.start)
        await save(store, "r2", after="r1")
        await ear.until("")
        await process.notify("r2")
        await ear.until("r2")

        assert await context(store, "r2") == ["r1.in", "r1.out", "r2.in", "r2.out"]
        assert "message_not_told" in {vars(record).get("action") for record in caplog.records}
        await store.aclose()


async def test_a_server_that_is_not_there_is_told() -> None:
    """Whoever opens the store hears it, without the password."""
    with pytest.raises(StoreUnavailable, match="could not be reached") as gone:
        await connect(f"postgresql://me:{SECRET}@127.0.0.1:1/antiphon")

    assert SECRET not in f"{gone.value}{gone.value.__cause__}"


async def test_a_database_that_is_not_there_is_told(postgres_server: PostgresServer) -> None:
    """By its name."""
    with pytest.raises(StoreUnavailable, match='database "nowhere" does not exist'):
        await connect(postgres_server.place("nowhere"))


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{SECRET}@host/db",
        f"postgresql://me:{SECRET}@host",
        f"postgresql://me:{SECRET}@host/",
        f"postgresql://me:{SECRET}@host/db#part",
        f"postgresql://me:{SECRET}@host:port/db",
        f"postgresql://me:{SECRET}@host/db?sslmode=never",
        f"postgresql://me:{SECRET}@[host/db",
    ],
)
async def test_a_wrong_url_is_refused_without_quoting_it(url: str) -> None:
    """It holds the password, and errors are logged with all that led to them."""
    with pytest.raises(StoreUrlError) as refused:
        await connect(url)

    assert SECRET not in f"{refused.value}{refused.value.__cause__}{refused.value.__context__}"


# The schema's steps


async def test_processes_that_start_at_once_share_an_empty_database(urls: Urls) -> None:
    """One makes the schema, and all serve."""
    url = urls.empty()
    opened: list[Database] = []

    async def start() -> None:
        opened.append(await connect(url))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(start)

    steps = await opened[0].fetch("SELECT number, name FROM migrations ORDER BY number", {})
    assert steps == [(step.number, step.name) for step in migrations.read("postgres")]
    for connected in opened:
        await connected.aclose()


async def test_an_older_database_is_not_served_until_it_was_migrated(
    urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how, and a second run finds nothing to do."""
    url = urls.empty()
    first, *later = migrations.read("postgres")
    monkeypatch.setattr(migrations, "read", lambda _: [first])
    await migrate(url)
    monkeypatch.undo()
    with pytest.raises(StoreTooOld, match="antiphon migrate --config FILE"):
        await connect(url)

    assert await migrate(url) == [step.name for step in later]
    assert await migrate(url, post=True) == []
    await (await connect(url)).aclose()


async def test_it_is_migrated_while_an_older_version_serves(urls: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saves go on while steps are run, also through plans that were made before, and *post* steps wait to be asked."""
    url = urls.fresh()
    store = Store(await connect(url))
    await save(store, "r1")
    known = migrations.read("postgres")
    newer = [
        *known,
        migrations.Migration(900, "wider", "ALTER TABLE responses ADD COLUMN extra TEXT; CREATE TABLE fresh (id INT);"),
        migrations.Migration(901, "narrow_post", "ALTER TABLE responses DROP COLUMN extra;"),
    ]
    monkeypatch.setattr(migrations, "read", lambda _: newer)

    assert await migrate(url) == ["wider"]
    await save(store, "r2", after="r1")
    assert await context(store, "r2") == ["r1.in", "r1.out", "r2.in", "r2.out"]
    monkeypatch.undo()
    await (await connect(url)).aclose()
    monkeypatch.setattr(migrations, "read", lambda _: newer)
    assert await migrate(url, post=True) == ["narrow_post"]
    monkeypatch.undo()
    with pytest.raises(StoreTooNew, match="schema 901"):
        await connect(url)
    with pytest.raises(StoreTooNew, match="schema 901"):
        await migrate(url)
    await store.aclose()


async def test_a_step_that_fails_leaves_nothing_behind(urls: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what it did nor its record, so that it can be run again."""
    url = urls.fresh()
    broken = migrations.Migration(900, "broken", "CREATE TABLE fresh (id INT); SELECT 1 FROM nowhere;")
    steps = [*migrations.read("postgres"), broken]
    monkeypatch.setattr(migrations, "read", lambda _: steps)

    with pytest.raises(StoreUnavailable, match="nowhere"):
        await migrate(url)
    monkeypatch.undo()

    connected = await connect(url)
    assert await connected.fetch("SELECT to_regclass('fresh')::text", {}) == [(None,)]
    assert await connected.fetch("SELECT 1 FROM migrations WHERE number = 900", {}) == []
    await connected.aclose()


def test_every_engine_has_the_same_steps() -> None:
    """So a number means the same wherever it is read."""
    steps = {
        engine: [(step.number, step.name) for step in migrations.read(engine)] for engine in ("sqlite", "postgres")
    }

    assert steps["sqlite"] == steps["postgres"]
    assert [number for number, _ in steps["sqlite"]] == list(range(1, len(steps["sqlite"]) + 1))


async def test_items_of_a_page_come_from_one_place_each(opened: Database) -> None:
    """An item that was sent again is listed where it stood last."""
    store = Store(opened)
    await store.save(response("r1"), inputs=items("i1", "i2"), outputs=[])
    await store.save(response("r2", after="r1"), inputs=items("i1"), outputs=[])

    page = await store.input_items("r2", tenant="a", limit=9, order="asc", after=None)

    assert page is not None
    assert [row.id for row in page.rows] == ["i2", "i1"]
