"""Messages between the processes of one database: a connection that tells, and one that listens for ever.

Neither is one of the pool's. A notification inside of a transaction that writes would keep every other commit of the
database waiting for its own, so it is told by itself.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from antiphon.store import LONGEST_MESSAGE, StoreError
from antiphon.store.postgres.faults import translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from antiphon.store.postgres.opening import Connection, Place

log = logging.getLogger(__name__)

CHANNEL = "antiphon"
DEADLINE = 5.0  # seconds to tell something, and to begin listening
CHECK = 20.0  # seconds between two looks whether the other end is still there
FIRST_PAUSE, LAST_PAUSE = 0.1, 10.0  # seconds between two attempts to connect


class Voice:
    """The connection that tells. What cannot be told is dropped: who listens looks again by itself now and then."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None
        self._is_closed = False

    async def tell(self, message: str) -> None:
        """Tell every listener. Raises `ValueError` where the message is too long."""
        if len(message.encode()) > LONGEST_MESSAGE:
            raise ValueError(f"A message may have {LONGEST_MESSAGE} bytes.")
        try:
            await self._tell(message.replace("\0", "\ufffd"))
        except StoreError as error:
            log.warning("message not told", extra={"action": "message_not_told", "error": str(error)})

    async def _tell(self, message: str) -> None:
        async with self._turn:
            if self._is_closed:
                return
            try:
                with translated():
                    await asyncio.wait_for(self._say(message), DEADLINE)
            except BaseException:  # given up in the middle, too: the next message begins anew
                self._drop()
                raise

    async def _say(self, message: str) -> None:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._place.connect()
        await self._connection.execute("SELECT pg_notify($1, $2)", CHANNEL, message)

    async def aclose(self) -> None:
        """Tell nothing more."""
        async with self._turn:
            self._is_closed = True
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class Hearing:
    """The connection that listens. It begins with the first listener; where it is lost, it comes back by itself."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._listeners: list[Callable[[str], None]] = []
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def listen(self, heard: Callable[[str], None]) -> None:
        """From now on call ``heard`` with each message. Where there is no connection yet, once there is one."""
        self._listeners.append(heard)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep())  # owned here: `aclose` ends it
        with anyio.move_on_after(DEADLINE):
            await self._listening.wait()

    async def aclose(self) -> None:
        """Hear nothing more."""
        self._listeners.clear()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self) -> None:
        """Listen, and begin anew where the connection is lost."""
        pause = FIRST_PAUSE
        missed = False
        while True:
            try:
                await self._hear(missed=missed)
            except StoreError as error:
                log.warning("listening lost", extra={"action": "listening_lost", "error": str(error)})
            missed = True
            pause = FIRST_PAUSE if self._listening.is_set() else min(2 * pause, LAST_PAUSE)
            self._listening.clear()
            await asyncio.sleep(pause)

    async def _hear(self, *, missed: bool) -> None:
        """Listen until the connection is lost. Raises `StoreError`."""
        lost = asyncio.Event()
        connection = await self._place.connect()
        try:
            with translated():
                connection.add_termination_listener(lambda _: lost.set())
                async with asyncio.timeout(DEADLINE):
                    await connection.add_listener(CHANNEL, self._tell)
                self._listening.set()
                if missed:
                    self._call("")
                while not await _happens(lost, seconds=CHECK):
                    await connection.execute("SELECT 1", timeout=DEADLINE)
        finally:
            connection.terminate()

    def _tell(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._call(str(payload))

    def _call(self, message: str) -> None:
        for heard in self._listeners:
            asyncio.get_running_loop().call_soon(heard, message)  # what one raises reaches no other


async def _happens(event: asyncio.Event, *, seconds: float) -> bool:
    """Whether it happens in this time."""
    with anyio.move_on_after(seconds):
        await event.wait()
    return event.is_set()
