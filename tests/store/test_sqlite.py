"""SQLite: group commit, failures, kill -9, and one process."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import anyio
import pytest

from antiphon.store import (
    Conflict,
    ItemRow,
    Statement,
    StoreBusy,
    StoreTooNew,
    StoreUnavailable,
    StoreUrlError,
    migrations,
    sqlite,
)
from antiphon.store import sqlite_files as files
from antiphon.store.sqlite import READERS, connect, migrate
from antiphon.store.store import Store
from tests.patient import HANG_SECONDS
from tests.store.rows import context, response, save

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from antiphon.store import Database, Dialogue

pytestmark = pytest.mark.anyio

LEISURE_SECONDS = 2.0
"""Between two commits: far more than one takes."""

SAVER = Path(__file__).parent / "saver.py"
COUNT = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :top) SELECT max(i) FROM n"


class Gate:
    """A transaction that keeps the writer busy until the gate is opened."""

    def __init__(self) -> None:
        self.entered = Event()
        self.opened = Event()

    def pass_through(self) -> Dialogue[None]:
        """Wait on the writer's thread."""
        self.entered.set()
        assert self.opened.wait(HANG_SECONDS)
        yield Statement("SELECT 1")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database in a folder that is not there yet."""
    return f"sqlite://{tmp_path}/made/store.db"


async def test_saves_that_wait_together_share_one_commit(traced: Database, statements: list[str]) -> None:
    """A hundred callers pay for one commit."""
    gate, store = Gate(), Store(traced)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(traced.transaction, gate.pass_through)
            await anyio.to_thread.run_sync(gate.entered.wait, HANG_SECONDS)
            for number in range(100):
                group.start_soon(save, store, f"r{number}")
            await anyio.wait_all_tasks_blocked()
            gate.opened.set()

    assert statements.count("COMMIT") == 2
    for number in range(100):
        assert await context(store, f"r{number}") == [f"r{number}.in", f"r{number}.out"]


@pytest.fixture
def leisure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that lets a while pass between two commits."""
    monkeypatch.setattr(sqlite, "PACE", LEISURE_SECONDS)


@pytest.mark.usefixtures("leisure")
async def test_saves_that_follow_a_commit_share_the_next(traced: Database, statements: list[str]) -> None:
    """Who saves alone is not kept waiting; those who come right after it, one by one, pay for one commit together."""
    store = Store(traced)
    with anyio.fail_after(HANG_SECONDS):
        began = time.monotonic()
        await save(store, "alone")
        assert time.monotonic() - began < LEISURE_SECONDS
        async with anyio.create_task_group() as group:
            for name in ("second", "third"):
                group.start_soon(save, store, name)
                await anyio.wait_all_tasks_blocked()
    assert statements.count("COMMIT") == 2


async def test_a_transaction_that_fails_does_not_fail_its_neighbours(traced: Database, statements: list[str]) -> None:
    """In one commit, a conflict and a fault of the caller's own undo only themselves."""
    gate, store = Gate(), Store(traced)
    await save(store, "r1")
    statements.clear()

    def stumble() -> Dialogue[None]:
        yield Statement("DELETE FROM items")
        raise LookupError("mine")

    async def fails(expected: type[Exception], attempt: Callable[[], Awaitable[None]]) -> None:
        with pytest.raises(expected):
            await attempt()

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(traced.transaction, gate.pass_through)
            await anyio.to_thread.run_sync(gate.entered.wait, HANG_SECONDS)
            group.start_soon(save, store, "before")
            group.start_soon(fails, Conflict, partial(save, store, "r1"))
            group.start_soon(fails, LookupError, partial(traced.transaction, stumble))
            group.start_soon(save, store, "after")
            await anyio.wait_all_tasks_blocked()
            gate.opened.set()

    assert statements.count("COMMIT") == 2
    for turn in ("r1", "before", "after"):
        assert await context(store, turn) == [f"{turn}.in", f"{turn}.out"]


async def test_a_save_that_was_given_up_before_it_began_is_not_made(traced: Database) -> None:
    """A caller that left the queue leaves nothing behind."""
    gate, store = Gate(), Store(traced)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(traced.transaction, gate.pass_through)
            await anyio.to_thread.run_sync(gate.entered.wait, HANG_SECONDS)
            async with anyio.create_task_group() as leaving:
                leaving.start_soon(save, store, "r1")
                await anyio.wait_all_tasks_blocked()
                leaving.cancel_scope.cancel()
            gate.opened.set()
    await save(store, "r2")

    assert await store.response("r1", tenant="a") is None
    assert await store.response("r2", tenant="a") is not None


async def test_nobody_waits_for_ever(traced: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a writer that hangs, a save ends in an error; it is not made afterwards."""
    gate, store = Gate(), Store(traced)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(traced.transaction, gate.pass_through)
            await anyio.to_thread.run_sync(gate.entered.wait, HANG_SECONDS)
            monkeypatch.setattr(sqlite, "DEADLINE", 0.01)
            with pytest.raises(StoreUnavailable, match="did not answer"):
                await save(store, "r1")
            monkeypatch.undo()
            gate.opened.set()

    assert await store.response("r1", tenant="a") is None


async def test_reading_waits_for_no_writer(traced: Database) -> None:
    """While a transaction runs, what was committed before it is read."""
    gate, store = Gate(), Store(traced)
    await save(store, "r1")
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(traced.transaction, gate.pass_through)
            await anyio.to_thread.run_sync(gate.entered.wait, HANG_SECONDS)
            assert await store.response("r1", tenant="a") is not None
            gate.opened.set()


async def test_a_slow_read_does_not_stop_the_event_loop(url: str) -> None:
    """Other callers are served while a statement takes its time."""
    database = await connect(url)
    store, done = Store(database), []

    async def read_slowly() -> None:
        assert await database.fetch(COUNT, {"top": 3_000_000}) == [(3_000_000,)]
        done.append("slow")

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(read_slowly)
            await anyio.wait_all_tasks_blocked()
            await save(store, "r1")
            assert await store.response("r1", tenant="a") is not None
            done.append("quick")
    await store.aclose()

    assert done == ["quick", "slow"]


async def test_a_full_disk_is_told_and_later_writes_work(url: str) -> None:
    """All that wait for the commit hear that the store is unavailable; with room again, saving goes on."""
    database = await connect(url)
    store, refused = Store(database), []
    await save(store, "r1")
    [(pages,)] = await database.transaction(partial(single, "PRAGMA page_count"))
    await database.transaction(partial(single, f"PRAGMA max_page_count = {pages}"))

    async def fails(id: str) -> None:
        with pytest.raises(StoreUnavailable):
            await store.save(response(id), inputs=[ItemRow(id=id, json=b"x" * 100_000)], outputs=[])
        refused.append(id)

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(fails, f"big{number}")
    await database.transaction(partial(single, "PRAGMA max_page_count = 100000"))
    await save(store, "r2", after="r1")

    assert len(refused) == 5
    assert await context(store, "r2") == ["r1.in", "r1.out", "r2.in", "r2.out"]
    assert await store.find_items(refused, tenant="a") == {}
    await store.aclose()


async def test_an_io_error_is_told_and_later_writes_work(url: str) -> None:
    """A log that cannot grow fails the commit; when it can again, saving goes on."""
    store = Store(await connect(url))
    await save(store, "r1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, ((await anyio.Path(f"{files.path(url)}-wal").stat()).st_size + 4096, hard)
    )
    try:
        with pytest.raises(StoreUnavailable):
            await store.save(response("big"), inputs=[ItemRow(id="big", json=b"x" * 100_000)], outputs=[])
        assert await store.response("r1", tenant="a") is not None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await save(store, "r2", after="r1")

    assert await store.response("big", tenant="a") is None
    assert await context(store, "r2") == ["r1.in", "r1.out", "r2.in", "r2.out"]
    await store.aclose()


async def test_a_commit_that_is_refused_fails_those_who_wait_and_no_other(url: str) -> None:
    """The rows fit each transaction but not the commit: nothing is kept, and the next transaction begins anew."""
    database = await connect(url)
    store = Store(database)

    def owe() -> Dialogue[None]:
        yield Statement("PRAGMA defer_foreign_keys = ON")
        yield Statement("INSERT INTO lineages (tenant, parent, tip) VALUES ('a', 999, 0)")

    with pytest.raises(StoreUnavailable):
        await database.transaction(owe)
    await save(store, "r1")

    assert await context(store, "r1") == ["r1.in", "r1.out"]
    assert await database.fetch("SELECT count(*) FROM lineages", {}) == [(1,)]
    await store.aclose()


async def test_a_read_that_fails_is_told(url: str) -> None:
    """Whatever the engine says, its callers hear it in our words, and the reader serves on."""
    database = await connect(url)
    for _ in range(READERS + 1):
        with pytest.raises(StoreUnavailable, match="no such table"):
            await database.fetch("SELECT 1 FROM nowhere", {})

    assert await database.fetch("SELECT 1", {}) == [(1,)]
    await database.aclose()


def single(sql: str) -> Dialogue[list[tuple[str | int | None, ...]]]:
    """A transaction of one statement."""
    return (yield Statement(sql))


def killed_while_saving(url: str, name: str, *, turns: int) -> list[str]:
    """Let another process save at least so many turns, kill it, and return what it acknowledged."""
    with subprocess.Popen([sys.executable, SAVER, url, name], stdout=subprocess.PIPE, text=True) as saver:
        assert saver.stdout is not None
        acknowledged = [saver.stdout.readline() for _ in range(turns)]
        saver.kill()
        acknowledged += [line for line in saver.stdout if line.endswith("\n")]
    return [line.strip() for line in acknowledged]


async def test_what_was_acknowledged_outlives_kill_9(url: str) -> None:
    """A process that is killed while it saves has lost nothing that it acknowledged, three times over."""
    acknowledged: list[str] = []
    for life in range(3):
        acknowledged += await anyio.to_thread.run_sync(
            partial(killed_while_saving, url, f"life{life}", turns=40 * (life + 1))
        )

    database = await connect(url)
    store = Store(database)
    assert len(acknowledged) >= 40 + 80 + 120
    assert [turn for turn in acknowledged if await store.response(turn, tenant="a") is None] == []
    for tip in acknowledged[-4:]:
        chain, last = tip.rsplit("-", 1)
        assert await context(store, tip) == [f"{chain}-{turn}.in" for turn in range(1, int(last) + 1)]
    assert await database.fetch("PRAGMA integrity_check", {}) == [("ok",)]
    assert await database.fetch("PRAGMA foreign_key_check", {}) == []
    await store.aclose()


async def test_a_second_process_is_told_who_holds_the_database(url: str) -> None:
    """The error names the process that holds it, and what serves several; a released database is free again."""
    database = await connect(url)
    program = f"import anyio; from antiphon.store.sqlite import connect; anyio.run(connect, {url!r})"
    with anyio.fail_after(HANG_SECONDS):
        second = await anyio.run_process([sys.executable, "-c", program], check=False)
    with pytest.raises(StoreBusy):
        await connect(url)
    await database.aclose()
    again = await connect(url)
    await again.aclose()

    assert second.returncode == 1
    assert f"StoreBusy: Process {os.getpid()} holds {files.path(url)}" in second.stderr.decode()
    assert "PostgreSQL" in second.stderr.decode()


async def test_the_database_is_its_owners_alone(url: str) -> None:
    """The folder that is made and all files in it are closed to others."""
    store = Store(await connect(url))
    await save(store, "r1")
    folder = Path(files.path(url)).parent

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    await store.aclose()

    assert modes == {
        "made": 0o700,
        "store.db": 0o600,
        "store.db-wal": 0o600,
        "store.db-shm": 0o600,
        "store.db.lock": 0o600,
    }


async def test_an_erased_response_leaves_no_trace_in_the_files(url: str) -> None:
    """After the sweep the words are in no file, and the room is given back."""
    store = Store(await connect(url))
    folder = Path(files.path(url)).parent
    for number in range(300):
        secret = ItemRow(id=f"i{number}", json=b'"' + b"confidential" * 300 + b'"', output="private" * 100)
        await store.save(response(f"r{number}", expires_at=10), inputs=[secret], outputs=[])
    grown = sum(path.stat().st_size for path in folder.iterdir())
    assert any(b"confidential" in path.read_bytes() for path in folder.iterdir())

    assert await store.sweep(10) == 300

    for word in (b"confidential", b"private"):
        assert [path.name for path in folder.iterdir() if word in path.read_bytes()] == []
    assert sum(path.stat().st_size for path in folder.iterdir()) < grown / 10
    await store.aclose()


async def test_an_opened_database_syncs_each_commit(url: str) -> None:
    """The settings on which durability and privacy rest are the ones that hold."""
    database = await connect(url)
    held = {
        name: (await database.transaction(partial(single, f"PRAGMA {name}")))[0][0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "auto_vacuum")
    }
    await database.aclose()

    assert held == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1, "auto_vacuum": 2}


async def test_opening_again_runs_no_migration_twice(url: str) -> None:
    """Each step is recorded once, and what was saved is still there."""
    for _ in range(2):
        database = await connect(url)
        steps = await database.fetch("SELECT number, name FROM migrations ORDER BY number", {})
        assert steps == [(step.number, step.name) for step in migrations.read("sqlite")]
        await database.aclose()


async def test_a_database_that_a_newer_version_has_changed_is_refused(url: str) -> None:
    """It is left as it is, for the version that understands it, and is not held."""
    await (await connect(url)).aclose()
    with closing(files.open_to_write(files.path(url))) as connection:
        connection.execute("INSERT INTO migrations VALUES (999, 'from_the_future_post')")

    for _ in range(2):
        with pytest.raises(StoreTooNew, match="schema 999"):
            await connect(url)


async def test_what_a_newer_version_has_added_is_no_hindrance(url: str) -> None:
    """An older version serves beside it."""
    await (await connect(url)).aclose()
    with closing(files.open_to_write(files.path(url))) as connection:
        connection.execute("INSERT INTO migrations VALUES (999, 'from_the_future')")

    database = await connect(url)
    await database.aclose()


async def test_a_database_of_the_first_version_is_brought_to_this_one(url: str) -> None:
    """By hand or when it is opened, each step is run once."""
    await (await connect(url)).aclose()
    first, *later = migrations.read("sqlite")
    await anyio.Path(files.path(url)).unlink()
    with closing(sqlite3.connect(files.path(url))) as connection:
        connection.executescript(first.sql)
        connection.execute("CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        connection.execute("INSERT INTO migrations VALUES (1, 'responses')")
        connection.commit()

    assert await migrate(url) == [step.name for step in later]
    assert await migrate(url) == []
    assert len(await migrate("sqlite://")) == 1 + len(later)


async def test_nobody_else_is_there_to_tell_or_to_hear(url: str) -> None:
    """A database of one process says so."""
    database = await connect(url, pooled=True)
    await database.notify("r1")

    assert (False, "sqlite") == (database.is_shared, database.engine)
    assert await database.listen(print) is False
    await database.aclose()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    (tmp_path / "notes.db").write_bytes(b"Dear diary, " * 1000)

    with pytest.raises(StoreUnavailable, match=r"notes\.db cannot be opened"):
        await connect(f"sqlite://{tmp_path}/notes.db")


async def test_an_old_engine_is_told_at_the_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by a syntax error at the first save."""
    monkeypatch.setattr(files, "OLDEST_SQLITE", (99, 1, 0))

    with pytest.raises(StoreUnavailable, match=r"needs 99\.1\.0 or newer"):
        await connect(url)


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The error names the folder."""
    (tmp_path / "file").touch()

    with pytest.raises(StoreUnavailable, match="file cannot be used"):
        await connect(f"sqlite://{tmp_path}/file/store.db")


async def test_a_closed_database_says_so(url: str) -> None:
    """Nobody waits for an answer that cannot come; closing twice is no error."""
    store = Store(await connect(url))
    await store.aclose()
    await store.aclose()

    with pytest.raises(StoreUnavailable, match="closed"):
        await store.response("r1", tenant="a")


async def test_closing_finishes_what_was_asked(url: str) -> None:
    """A save that waits when the store is closed is made."""
    store = Store(await connect(url))
    async with anyio.create_task_group() as group:
        group.start_soon(save, store, "r1")
        await anyio.wait_all_tasks_blocked()
        await store.aclose()

    again = Store(await connect(url))
    assert await context(again, "r1") == ["r1.in", "r1.out"]
    await again.aclose()


@pytest.mark.parametrize(
    ("url", "file"),
    [("sqlite://", ":memory:"), ("sqlite:///var/lib/store.db", "/var/lib/store.db"), ("sqlite:///a%20b", "/a b")],
)
def test_a_url_names_a_file(url: str, file: str) -> None:
    """Three slashes and an absolute path, or nothing for a store in memory."""
    assert files.path(url) == file


@pytest.mark.parametrize("url", ["sqlite://host/store.db", "postgresql:///db", "sqlite:///db?mode=ro", "store.db"])
def test_another_url_is_refused(url: str) -> None:
    """What would be ignored is not accepted."""
    with pytest.raises(StoreUrlError):
        files.path(url)
