"""Blobs: bytes under keys, in a folder, in memory or in an object storage, whole or not at all.

A key is a path of letters, digits, dots, dashes and underscores; a name that a caller gave is never a part of one. What
belongs to a tenant begins with the tenant's digest, so that one tenant's keys never lead to another's blobs.

The library is called on threads: its own coroutines leave threads behind that end the process badly if it ends then.
"""

from __future__ import annotations

import asyncio
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol, TypeVar  # the library's classes of storages have nothing in common

import anyio

from antiphon.store import StoreError, StoreUnavailable
from antiphon.store.blob_places import MEMORY, Folder, read_place

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence

T = TypeVar("T")
log = logging.getLogger(__name__)

MIB = 1024 * 1024
PIECE_BYTES = MIB
WINDOW_BYTES = 4 * MIB
"""What is asked for at once: each request stands alone, so that a slow reader never keeps one waiting."""
PART_BYTES = 5 * MIB
"""What is sent at once, the least that object storages take of a large blob."""
PARTS_ON_THE_WAY = 2
THREADS = 16
DEADLINE = 60.0
"""Seconds for one step: more than the library takes for a request with its retries."""
WRITING_DEADLINE = 600.0
"""Seconds for one step of a blob that is written in parts: it may wait for several requests."""
_CLIENT = {"timeout": "30s", "connect_timeout": "5s"}
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}

_KEY = re.compile(r"(?!.*\.\.)[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")

_NOTHING: list[dict[str, str]] = []
_CLOSED = "The storage of blobs is closed."
_SILENT = "The storage of blobs did not answer in time."


class NoSuchBlob(StoreError):
    """There is nothing under this key."""


class Blobs:
    """Bytes under keys. Every verb raises `StoreUnavailable`, and `ValueError` for what is no key."""

    def __init__(self, url: str) -> None:
        """``url`` is as `read_place` has it. Nothing is opened yet. Raises `StoreUrlError`."""
        self._place = read_place(url)
        self._folder = None if self._place.folder is None else Folder(self._place.folder)
        self._opening = asyncio.Lock()
        self._threads = ThreadPoolExecutor(THREADS, "blobs")
        self._free = asyncio.Semaphore(THREADS)
        self._storage: Any = None  # of a class of the library's
        self._closed = False

    async def put(self, key: str, content: bytes, *, seconds: float = DEADLINE) -> None:
        """Keep bytes that are whole already; it is durable when this returns.

        What takes longer than ``seconds`` is `StoreUnavailable`, and may come to be later. A cancellation waits until
        it has ended, or its time has.
        """
        storage = await self._open(key)

        def keep() -> None:
            self._prepare(key)
            storage.put(key, content, use_multipart=False)
            self._settle(key)

        await self._whole(keep, seconds=seconds)

    async def write(self, key: str, chunks: AsyncIterable[bytes]) -> int:
        """Keep what comes in chunks, about 16 MB of it in memory at most, and return its size in bytes.

        It is durable when this returns. What the chunks raise is raised here, and then nothing is kept.
        """
        await self._open(key)
        writing = _Writing(await self._whole(partial(self._writer, key)), self._whole)
        try:
            async for chunk in chunks:
                await writing.add(chunk)
            await writing.finish()
        except BaseException:
            with anyio.CancelScope(shield=True):  # a storage keeps parts until it is told
                await writing.abort()
            raise
        await self._whole(partial(self._settle, key))
        return writing.size

    async def read(self, key: str) -> bytes:
        """All of a blob. Raises `NoSuchBlob`."""
        storage = await self._open(key)
        return await self._step(partial(_found, key, lambda: bytes(storage.get(key).bytes())))

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """A blob from byte ``start`` to before byte ``end``, in pieces of `PIECE_BYTES` at most.

        Raises `NoSuchBlob`, before the first piece where it was not there from the beginning.
        """
        storage = await self._open(key)
        size: int = (await self._step(partial(_found, key, partial(storage.head, key))))["size"]
        stop = size if end is None else min(end, size)
        while start < stop:
            step = partial(storage.get_range, key, start=start, end=min(start + WINDOW_BYTES, stop))
            window = memoryview(await self._step(partial(_found, key, step)))
            for piece in range(0, len(window), PIECE_BYTES):
                yield bytes(window[piece : piece + PIECE_BYTES])
            start += len(window)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove blobs, and what was left of those that were never whole. Absent ones are no error."""
        wanted = [_checked(key) for key in keys]
        if not wanted:
            return
        storage = await self._open(wanted[0])

        def remove() -> None:
            _delete(storage, wanted)
            if self._folder is not None:
                self._folder.sweep(wanted)

        await self._step(remove)

    async def delete_under(self, prefix: str) -> None:
        """Remove every blob whose key begins with a prefix, which ends with a slash."""
        if not prefix.endswith("/"):
            raise ValueError(f"{prefix!r} is no prefix of keys.")
        storage = await self._open(prefix[:-1])
        if self._folder is not None:
            await self._step(partial(self._folder.remove, prefix))
            return
        listing = storage.list(prefix)

        def some() -> list[str]:
            return [blob["path"] for blob in next(listing, _NOTHING)]

        while keys := await self._step(some):
            await self._step(partial(_delete, storage, keys))

    async def aclose(self) -> None:
        """Let go of the storage; what is asked after that is refused."""
        self._closed = True
        self._storage = None
        self._threads.shutdown(wait=False)

    async def _open(self, key: str) -> Any:  # of a class of the library's
        """The storage for a key, opened when it is first used: to read the library takes time and memory."""
        _checked(key)
        if self._closed:
            raise StoreUnavailable(_CLOSED)
        async with self._opening:
            if self._storage is None:
                self._storage = await self._step(self._connect)
        return self._storage

    def _connect(self) -> Any:  # of a class of the library's
        from obstore import store  # noqa: PLC0415 - 6 MB that a server without blobs never needs

        place = self._place
        if self._folder is not None:
            self._folder.open()
            return store.LocalStore(place.folder)
        if place.url == MEMORY:
            return store.MemoryStore()
        client = {**_CLIENT, "allow_http": place.allow_http}
        connect: Callable[..., Any] = store.from_url  # one overload a cloud, and the place is of any
        return connect(place.url, config=place.settings, client_options=client, retry_config=_RETRIES)

    def _writer(self, key: str) -> _File:
        from obstore import open_writer  # noqa: PLC0415 - see `_connect`

        self._prepare(key)
        return open_writer(self._storage, key, buffer_size=PART_BYTES, max_concurrency=PARTS_ON_THE_WAY)

    def _prepare(self, key: str) -> None:
        if self._folder is not None:
            self._folder.prepare(key)

    def _settle(self, key: str) -> None:
        if self._folder is not None:
            self._folder.settle(key)

    async def _step(self, work: Callable[[], T]) -> T:
        """Do something that may be given up: it changes nothing, or may be done again."""
        try:
            async with asyncio.timeout(DEADLINE):
                return await (await self._begun(work))
        except TimeoutError as error:
            raise StoreUnavailable(_SILENT) from error

    async def _whole(self, work: Callable[[], T], *, seconds: float = WRITING_DEADLINE) -> T:
        """Do something to its end, whoever is cancelled meanwhile: no two threads may use one writer.

        Only after so many seconds it is left to itself.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            async with asyncio.timeout_at(until):
                doing = await self._begun(work)
        except TimeoutError as error:
            raise StoreUnavailable(_SILENT) from error
        cancellation: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while not doing.done() and (left := until - loop.time()) > 0:
                try:
                    await asyncio.wait((doing,), timeout=left)
                except asyncio.CancelledError as error:
                    cancellation = error
        if cancellation is None and doing.done():
            return doing.result()
        if not doing.cancel():
            doing.exception()  # nobody else asks for it
        raise cancellation or StoreUnavailable(_SILENT)

    async def _begun(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Begin something on a thread; one that is given up keeps its thread, and nothing waits in a thread's line."""
        await self._free.acquire()
        if self._closed:
            self._free.release()
            raise StoreUnavailable(_CLOSED)
        doing = self._threads.submit(_told, work)
        doing.add_done_callback(partial(_release, asyncio.get_running_loop(), self._free))
        return asyncio.wrap_future(doing)


class _File(Protocol):
    """A blob that the library writes; leaving it with an error drops it."""

    def write(self, buffer: bytes, /) -> int: ...
    def close(self) -> None: ...
    def __exit__(self, kind: object, error: object, trace: object, /) -> None: ...


class _Writing:
    """A blob that is being written: small chunks are gathered, as each write has its price."""

    def __init__(self, file: _File, run: Callable[[Callable[[], object]], Awaitable[object]]) -> None:
        self.size = 0
        self._file = file
        self._run = run
        self._gathered: list[bytes] = []
        self._waiting = 0

    async def add(self, chunk: bytes) -> None:
        """Take a chunk, and write what has gathered."""
        self._gathered.append(chunk)
        self._waiting += len(chunk)
        self.size += len(chunk)
        if self._waiting >= PIECE_BYTES:
            await self._write()

    async def finish(self) -> None:
        """Write the rest: from now on the blob is there."""
        await self._write()
        await self._run(self._file.close)

    async def abort(self) -> None:
        """Drop what was written; what cannot be told to the storage is logged, as something else went wrong before."""
        try:
            await self._run(partial(self._file.__exit__, _Abandoned, _Abandoned(), None))
        except StoreError as error:
            log.warning("blob not dropped", extra={"action": "blob_not_dropped", "error": str(error)})

    async def _write(self) -> None:
        block = b"".join(self._gathered)
        self._gathered.clear()
        self._waiting = 0
        await self._run(partial(self._file.write, block))


class _Abandoned(Exception):
    """What tells the library that a blob is not finished."""


def response_prefix(tenant: str, id: str) -> str:
    """What the keys of a response's blobs begin with."""
    return f"{_digest(tenant)}/responses/{id}/"


def file_key(tenant: str, id: str) -> str:
    """The key of a file's content."""
    return f"{_digest(tenant)}/files/{id}"


def upload_prefix(tenant: str, id: str) -> str:
    """What the keys of an upload's parts begin with."""
    return f"{_digest(tenant)}/uploads/{id}/"


def part_key(tenant: str, upload: str, id: str) -> str:
    """The key of a part's content."""
    return upload_prefix(tenant, upload) + id


def _digest(tenant: str) -> str:
    return sha256(tenant.encode()).hexdigest()[:32]


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a blob.")
    return key


def _delete(storage: Any, keys: list[str]) -> None:  # of a class of the library's
    try:
        storage.delete(keys)
    except FileNotFoundError:  # some storages say so of the first that is absent, and leave others
        for key in keys:
            with suppress(FileNotFoundError):
                storage.delete(key)


def _release(loop: asyncio.AbstractEventLoop, free: asyncio.Semaphore, _done: object) -> None:
    """A thread has done its work: another may begin, where anybody is left."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(free.release)


def _found(key: str, read: Callable[[], T]) -> T:
    """What is read under a key. Only of reading it is certain that what is missing is the blob."""
    try:
        return read()
    except FileNotFoundError as error:
        raise NoSuchBlob(f"There is no blob {key}.") from error


def _told(work: Callable[[], T]) -> T:
    """Do something on a thread, and tell what goes wrong with the storage in our words."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - see `Blobs._connect`

    try:
        return work()
    except (BaseError, OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise StoreUnavailable(f"The storage of blobs cannot be used: {said}") from error
