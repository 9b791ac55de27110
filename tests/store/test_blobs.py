"""Blobs: whole or not there, in a folder, in memory and in an object storage."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import anyio
import pytest

from antiphon.store import StoreUnavailable, StoreUrlError, blobs
from antiphon.store.blob_places import read_place
from antiphon.store.blobs import MIB, PIECE_BYTES, Blobs, NoSuchBlob, file_key, part_key, response_prefix
from tests.buckets import buckets
from tests.patient import HANG_SECONDS
from tests.servers import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.buckets import Buckets

    Left: TypeAlias = Callable[[], list[str]]

pytestmark = pytest.mark.anyio

LONG = bytes(range(256)) * (13 * MIB // 256) + b"end"


@pytest.fixture(scope="module")
def s3() -> Iterator[Buckets]:
    """An object storage."""
    with buckets() as made:
        yield made


@pytest.fixture(params=["folder", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place of each kind."""
    match request.param:
        case "folder":
            return f"file://{tmp_path}/blobs"
        case "memory":
            return "memory:"
        case _:
            made: Buckets = request.getfixturevalue("s3")
            return made.fresh()


@pytest.fixture
async def stored(url: str) -> AsyncIterator[Blobs]:
    """Blobs of each kind."""
    made = Blobs(url)
    yield made
    await made.aclose()


@pytest.fixture
def left(url: str, stored: Blobs, tmp_path: Path, request: pytest.FixtureRequest) -> Left:
    """Tells all that is kept, by its place: half of a blob too."""
    if url == "memory:":
        return lambda: [blob["path"] for found in stored._storage.list() for blob in found]
    if url.startswith("file:"):
        return lambda: [str(path) for path in tmp_path.rglob("*") if path.is_file()]
    made: Buckets = request.getfixturevalue("s3")
    return partial(made.left, url)


async def chunks(content: bytes, size: int = 65_537, *, then: Exception | None = None) -> AsyncGenerator[bytes, None]:
    """Content in chunks; after it something may go wrong."""
    for start in range(0, len(content), size):
        yield content[start : start + size]
    if then is not None:
        raise then


async def streamed(stored: Blobs, key: str, *, start: int = 0, end: int | None = None) -> list[bytes]:
    """The pieces of a blob."""
    return [piece async for piece in stored.stream(key, start=start, end=end)]


@pytest.mark.parametrize("content", [b"", b"x", b"y" * PIECE_BYTES, LONG], ids=["empty", "byte", "piece", "long"])
async def test_what_is_written_is_read(stored: Blobs, content: bytes) -> None:
    """At once and in pieces, none of which is longer than it may be."""
    assert len(content) == await stored.write("a/files/b", chunks(content))
    assert content == await stored.read("a/files/b")
    pieces = await streamed(stored, "a/files/b")
    assert content == b"".join(pieces)
    assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)


async def test_what_is_put_is_read(stored: Blobs) -> None:
    """And what is put again replaces it."""
    await stored.put("a/b", b"one")
    await stored.put("a/b", b"another")
    assert b"another" == await stored.read("a/b")


@pytest.mark.parametrize(
    ("start", "end"), [(0, 5), (3, None), (5 * MIB - 1, 9 * MIB), (len(LONG) - 1, None), (2, 2), (len(LONG), None)]
)
async def test_a_part_of_a_blob_is_read(stored: Blobs, start: int, end: int | None) -> None:
    """From any byte to before any other."""
    await stored.put("a/b", LONG)
    assert LONG[start:end] == b"".join(await streamed(stored, "a/b", start=start, end=end))


async def test_what_is_not_there_is_told(stored: Blobs) -> None:
    """Before the first piece, and when it was deleted as well."""
    await stored.put("a/b", b"x")
    await stored.delete(["a/b"])
    with pytest.raises(NoSuchBlob):
        await stored.read("a/b")
    with pytest.raises(NoSuchBlob):
        await anext(stored.stream("a/b"))


async def test_a_blob_that_goes_away_while_it_is_read_is_told(stored: Blobs) -> None:
    """A reader does not take a part for the whole."""
    await stored.put("a/b", LONG)
    reading = stored.stream("a/b")
    await anext(reading)
    await stored.delete(["a/b"])
    with pytest.raises(NoSuchBlob):
        [piece async for piece in reading]


@pytest.mark.parametrize("size", [10, 9 * MIB], ids=["short", "long"])
async def test_what_is_broken_off_leaves_nothing(stored: Blobs, left: Left, size: int) -> None:
    """What the chunks raise is raised, and neither a blob nor a part of one stays."""
    with pytest.raises(LookupError, match="went wrong"):
        await stored.write("a/b", chunks(b"x" * size, then=LookupError("went wrong")))
    assert [] == left()


async def test_what_is_cancelled_leaves_nothing(stored: Blobs, left: Left) -> None:
    """Cancelled in the middle of a long blob."""

    async def endless(entered: anyio.Event) -> AsyncGenerator[bytes, None]:
        for _ in range(9):
            yield b"x" * MIB
        entered.set()
        await anyio.sleep_forever()

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            entered = anyio.Event()
            group.start_soon(stored.write, "a/b", endless(entered))
            await entered.wait()
            group.cancel_scope.cancel()
    assert [] == left()


async def test_absent_blobs_may_be_deleted(stored: Blobs, left: Left) -> None:
    """Beside others that are there; and none at all."""
    for key in ("a/b", "a/c", "a/d"):
        await stored.put(key, b"x")
    await stored.delete(["a/never", "a/b", "other/never", "a/c"])
    await stored.delete(["a/b"])
    await stored.delete([])
    assert ["d"] == [place[-1] for place in left()]


async def test_all_below_a_prefix_is_deleted(stored: Blobs, left: Left) -> None:
    """However much it is, and nothing whose name only begins alike; twice is no error."""
    for number in range(60):
        await stored.put(f"a/r/one/{number}", b"x")
    await stored.put("a/r/one/deep/er", b"x")
    await stored.put("a/r/one-more", b"x")
    await stored.delete_under("a/r/one/")
    await stored.delete_under("a/r/one/")
    assert ["one-more"] == [place.rpartition("/")[2] for place in left()]


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/..", "a b", "a\\b", "a\n", "a/b#1", "ä", ".", "a/.b", "a%2e"]
)
async def test_only_plain_paths_are_keys(key: str) -> None:
    """A name that a caller gave leads nowhere."""
    stored = Blobs("memory:")
    with pytest.raises(ValueError, match="no key"):
        await stored.put(key, b"x")
    with pytest.raises(ValueError, match="no key"):
        await stored.write(key, chunks(b"x"))
    with pytest.raises(ValueError, match="no key"):
        await stored.read(key)
    with pytest.raises(ValueError, match="no key"):
        await anext(stored.stream(key))
    with pytest.raises(ValueError, match="no key"):
        await stored.delete([key])
    with pytest.raises(ValueError, match="no key"):
        await stored.delete_under(f"{key}/")


async def test_a_prefix_ends_with_a_slash() -> None:
    """Without one it would mean what begins alike."""
    with pytest.raises(ValueError, match="no prefix"):
        await Blobs("memory:").delete_under("a")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/var/lib/blobs",
        "file:relative",
        "file://host/folder",
        "file:///",
        "file:///a/../b",
        "file:///a?b=c",
        "memory://here",
        "http://127.0.0.1/",
        "s3:///prefix",
        "s3://key:secret@bucket/prefix",
        "s3://bucket#here",
        "s3://bucket?access_key_id=secret",
        "gs://bucket?region=x",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """When the configuration is read, without the secret that may be in them."""
    with pytest.raises(StoreUrlError) as refused:
        Blobs(url)
    assert "secret" not in str(refused.value)


def test_the_query_of_a_url_sets_what_the_environment_does_not() -> None:
    """Each scheme has its own settings."""
    place = read_place("s3://bucket/a/b/?endpoint=http://127.0.0.1:9000&region=eu-1&allow_http=true")
    assert ("s3://bucket/a/b", {"endpoint": "http://127.0.0.1:9000", "region": "eu-1"}) == (place.url, place.settings)
    assert place.allow_http
    for url in ("az://container/a", "abfs://container", "gs://bucket/a"):
        assert url == read_place(url).url
    assert not read_place("s3://bucket").allow_http


def test_a_tenant_owns_its_keys() -> None:
    """Whatever it is called; and keys of one never begin those of another."""
    assert file_key("a", "file-1") != file_key("b", "file-1")
    assert response_prefix("../../x", "resp_1").endswith("/responses/resp_1/")
    assert part_key("a", "upload_1", "part_1").endswith("/uploads/upload_1/part_1")
    assert 32 == len(file_key("\N{SNOWMAN}", "f").partition("/")[0])


@pytest.mark.parametrize("mode", [None, 0o755], ids=["made", "found"])
async def test_nobody_else_looks_into_a_folder(tmp_path: Path, mode: int | None) -> None:
    """One that is made is closed to others; in one that is open to them, what belongs to a tenant is closed."""
    root = tmp_path / "deep" / "blobs"
    if mode is not None:
        root.mkdir(mode, parents=True)
    stored = Blobs(f"file://{root}")
    await stored.write("a/files/b", chunks(b"x"))
    await stored.put("b/files/c", b"x")
    assert 0 == (root.stat().st_mode if mode is None else (root / "a").stat().st_mode) & 0o077
    assert 0 == (root / "b").stat().st_mode & 0o077


async def test_what_a_killed_writer_left_goes_with_the_key(tmp_path: Path) -> None:
    """Half of a blob lies beside where it would be; that of another key stays."""
    stored = Blobs(f"file://{tmp_path}")
    for name in ("b#1", "b#2", "bb#1"):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_bytes(b"half")
    await stored.delete(["a/b"])
    assert ["bb#1"] == [path.name for path in (tmp_path / "a").iterdir()]


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """For whatever is asked of it."""
    (tmp_path / "file").write_bytes(b"")
    stored = Blobs(f"file://{tmp_path}/file")
    with pytest.raises(StoreUnavailable):
        await stored.put("a/b", b"x")
    with pytest.raises(StoreUnavailable):
        await stored.write("a/b", chunks(b"x"))


async def test_a_storage_that_is_down_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few tries, for whatever is asked of it."""
    monkeypatch.setattr(blobs, "_RETRIES", {"max_retries": 0})
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
    with reserved_port() as port:
        stored = Blobs(f"s3://bucket?endpoint=http://127.0.0.1:{port}&region=x&allow_http=true")
        asked = [
            stored.put("a/b", b"x"),
            stored.write("a/b", chunks(b"x" * 7 * MIB)),
            stored.read("a/b"),
            anext(stored.stream("a/b")),
            stored.delete(["a/b"]),
            stored.delete_under("a/"),
        ]
        for ask in asked:
            with pytest.raises(StoreUnavailable):
                await ask


async def test_a_storage_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time, and not before the thread is free again."""
    monkeypatch.setattr(blobs, "DEADLINE", 0.01)
    answer = threading.Event()
    with pytest.raises(StoreUnavailable, match="in time"):
        await Blobs("memory:")._step(partial(answer.wait, HANG_SECONDS))
    answer.set()


async def test_a_bucket_that_is_not_there_is_no_missing_blob(s3: Buckets) -> None:
    """Whoever puts something there is told of the storage; whoever reads finds nothing."""
    stored = Blobs(f"s3://no-such-bucket?endpoint={s3.endpoint}&region=us-east-1&allow_http=true")
    with pytest.raises(StoreUnavailable):
        await stored.put("a/b", b"x")
    with pytest.raises(StoreUnavailable):
        await stored.write("a/b", chunks(b"x"))
    with pytest.raises(NoSuchBlob):
        await stored.read("a/b")


async def test_a_folder_that_cannot_be_made_is_no_missing_blob(tmp_path: Path) -> None:
    """It leads through a link to nowhere."""
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent" / "deep")
    stored = Blobs(f"file://{tmp_path}/nowhere/blobs")
    for ask in (stored.put("a/b", b"x"), stored.write("a/b", chunks(b"x")), stored.read("a/b")):
        with pytest.raises(StoreUnavailable):
            await ask


class Stuck(Blobs):
    """A storage that takes what is put there when it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__("memory:")
        self.is_asked = threading.Event()
        self.go = threading.Event()
        self.held: list[str] = []
        self._fails = fails

    def _prepare(self, key: str) -> None:
        self.held.append(key)
        self.is_asked.set()
        self.go.wait(HANG_SECONDS)

    def _settle(self, key: str) -> None:
        if self._fails:
            raise OSError(key)

    async def asked(self) -> None:
        """Wait until something is put there."""
        await anyio.to_thread.run_sync(self.is_asked.wait, HANG_SECONDS)

    async def hold(self, threads: int) -> None:
        """Put something there until so many threads hang with it; what no thread has begun in time comes to nothing."""
        with anyio.fail_after(HANG_SECONDS):
            while len(self.held) < threads:
                with pytest.raises(StoreUnavailable, match="in time"):
                    await self.put("a/b", b"x", seconds=0.01)


async def test_a_storage_that_is_silent_is_given_the_time_that_there_is() -> None:
    """Then whoever waits is told; what was put comes to be later."""
    stored = Stuck()
    await stored.hold(1)
    with pytest.raises(NoSuchBlob):
        await stored.read("a/b")
    stored.go.set()
    with anyio.fail_after(HANG_SECONDS):
        while not await is_there(stored, "a/b"):
            pass
    assert b"x" == await stored.read("a/b")


async def is_there(stored: Blobs, key: str) -> bool:
    """Whether a blob has come to be."""
    try:
        await stored.read(key)
    except NoSuchBlob:
        return False
    return True


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancellation_waits_until_a_put_has_ended(*, fails: bool) -> None:
    """Well or badly: whoever clears up behind it finds what there is to clear."""
    stored = Stuck(fails=fails)
    async with asyncio.TaskGroup() as group:
        putting = group.create_task(stored.put("a/b", b"x", seconds=HANG_SECONDS))
        await stored.asked()
        putting.cancel()
        done, _ = await asyncio.wait([putting], timeout=0.02)
        assert not done
        stored.go.set()
    assert putting.cancelled()
    assert b"x" == await stored.read("a/b")


async def test_threads_that_hang_are_not_joined_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds none free waits no longer than for an answer, and leaves nothing in a line."""
    stored = Stuck()
    await stored.hold(blobs.THREADS)
    monkeypatch.setattr(blobs, "DEADLINE", 0.05)
    with anyio.fail_after(HANG_SECONDS):
        for ask in (stored.put("a/c", b"x", seconds=0.01), stored.read("a/b")):
            with pytest.raises(StoreUnavailable, match="in time"):
                await ask
    assert 0 == stored._threads._work_queue.qsize()
    stored.go.set()
    monkeypatch.undo()
    await stored.put("a/d", b"x")
    with pytest.raises(NoSuchBlob):
        await stored.read("a/c")


async def test_whoever_waits_for_a_thread_of_a_storage_that_is_closed_is_told() -> None:
    """And begins nothing."""
    stored = Stuck()
    await stored.hold(blobs.THREADS)
    with anyio.fail_after(HANG_SECONDS):
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(_refused(stored))
            await asyncio.wait([asking], timeout=0.01)
            await stored.aclose()
            stored.go.set()
        assert "closed" in asking.result()


async def _refused(stored: Blobs) -> str:
    with pytest.raises(StoreUnavailable) as refused:
        await stored.put("a/c", b"x")
    return str(refused.value)


async def test_what_cannot_even_be_dropped_raises_what_went_wrong_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The storage's own trouble is logged."""
    stored = Blobs(f"file://{tmp_path}/blobs")
    opened = stored._writer

    def remembered(key: str) -> blobs._File:
        writers.append(opened(key))
        return writers[-1]

    async def broken() -> AsyncGenerator[bytes, None]:
        yield b"x" * MIB
        writers[0].close()  # so that it cannot be left a second time
        raise LookupError("went wrong")

    writers: list[blobs._File] = []
    stored._writer = remembered  # type: ignore[method-assign]  # a writer that breaks is made by no other means
    with pytest.raises(LookupError, match="went wrong"):
        await stored.write("a/b", broken())
    assert ["blob_not_dropped"] == [getattr(record, "action", None) for record in caplog.records]


async def test_a_closed_storage_takes_nothing(stored: Blobs) -> None:
    """Closing twice is no error."""
    await stored.put("a/b", b"x")
    await stored.aclose()
    await stored.aclose()
    with pytest.raises(StoreUnavailable, match="closed"):
        await stored.read("a/b")


def test_a_server_without_blobs_pays_nothing_for_them() -> None:
    """The library is read when the first blob is."""
    code = (
        "import sys; from antiphon.store.blobs import Blobs; from antiphon.http import files; Blobs('s3://b');"
        "print(sum(name.startswith('obstore') for name in sys.modules))"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=HANG_SECONDS)
    assert b"0\n" == asked.stdout


def test_a_process_that_used_blobs_ends_well() -> None:
    """Whenever it ends: nothing of the library is in the way."""
    code = (
        "import asyncio, sys; from antiphon.store.blobs import Blobs\n"
        "async def use():\n"
        "    blobs = Blobs('memory:')\n"
        "    for number in range(20): await blobs.put('a/b', b'x')\n"
        "    await blobs.read('a/b')\n"
        "asyncio.run(use())"
    )
    for _ in range(5):
        subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_SECONDS)
