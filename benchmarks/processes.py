"""Servers as child processes: started, awaited, measured from /proc, and stopped whatever happens."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

STOP_SECONDS = 5.0
POLL_SECONDS = 0.005
HEALTH = b"GET %b HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer bench\r\nconnection: close\r\n\r\n"


class NotReadyError(Exception):
    """A server ended, or was not ready in time. The message holds the end of what it wrote."""


class Command(Struct, frozen=True, kw_only=True):
    """How to start a server: its arguments, what its environment has besides ours, and where it says it is ready.

    A process without a port says it in its output: ``says``.
    """

    arguments: list[str]
    folder: Path
    port: int
    environment: dict[str, str] = {}
    health: str = "/health"
    says: str = ""
    seconds: float = 60.0


class Memory(Struct, frozen=True):
    """Bytes of a process tree: resident, and its proportional share."""

    resident: int
    proportional: int


def free_port() -> int:
    """Give a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Server:
    """A server that runs in a process group of its own, with what it writes kept in a file."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._log = command.folder / "output.txt"
        self._started = time.perf_counter()
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                command.arguments,
                cwd=command.folder,
                env=os.environ | command.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def ready(self) -> float:
        """Wait until the process says that it is ready and give the seconds since the start.

        Raises:
            NotReadyError: where the process ended first, or the time of its command ran out.
        """
        deadline = self._started + self._command.seconds
        while time.perf_counter() < deadline and self._process.poll() is None:
            if await self._is_ready():
                return time.perf_counter() - self._started
            await asyncio.sleep(POLL_SECONDS)
        written = self._log.read_text(errors="replace")[-2000:]
        raise NotReadyError(f"{self._command.arguments[0]} is not ready:\n{written}")

    async def _is_ready(self) -> bool:
        if self._command.says:
            return self._command.says in self._log.read_text(errors="replace")
        return await healthy(self._command.port, self._command.health)

    def cpu_seconds(self) -> float:
        """Give the CPU time, user and kernel, that the process tree has used, by the kernel's nanosecond clock."""
        return tree_seconds(self._process.pid)

    def memory(self) -> Memory:
        """Give the memory of the process tree."""
        resident = proportional = 0
        for pid in self.tree():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                key, _, value = line.partition(":")
                resident += int(value.split()[0]) * 1024 if key == "Rss" else 0
                proportional += int(value.split()[0]) * 1024 if key == "Pss" else 0
        return Memory(resident, proportional)

    def tree(self) -> list[int]:
        """Give the ids of the process and of all that it started."""
        return family(self._process.pid, parents())

    def stop(self) -> None:
        """Ask the process group to end; end it where it does not."""
        for word in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, word)
                self._process.wait(STOP_SECONDS)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue

    def kill(self) -> None:
        """End the process group at once, as a crash would."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)


async def healthy(port: int, path: str) -> bool:
    """Say whether the path answers 200 now."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with closing(writer):
                writer.write(HEALTH % path.encode())
                line = await reader.readline()
    except OSError:
        return False
    return line.split(b" ")[1:2] == [b"200"]


def cpu_nanoseconds(pid: int) -> int:
    """Give the CPU time of one process; 0 where it has ended."""
    try:
        return time.clock_gettime_ns(
            (~pid << 3) | 2
        )  # the kernel's id of another process's CPU clock: clock_getcpuclockid(3)
    except OSError:
        return 0


def own_seconds() -> float:
    """Give the CPU time, user and kernel, that this process has used, its threads included.

    `time.process_time` tells the same, but under a limit of CPU time (`ulimit -t`) it goes by whole ticks.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def tree_seconds(root: int) -> float:
    """Give the CPU time of a process and of all that descend from it, as far as they still run."""
    return sum(cpu_nanoseconds(pid) for pid in family(root, parents())) / 1e9


def parents() -> dict[int, int]:
    """Give the parent of every process."""
    found: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it ended while we looked
            continue
    return found


def family(root: int, parent: dict[int, int]) -> list[int]:
    """Give the process and all that descend from it."""
    members = [root]
    for member in members:
        members += [pid for pid, other in parent.items() if other == member]
    return members


def stop_all(servers: Sequence[Server]) -> None:
    """Stop every one, the last started first."""
    for server in reversed(servers):
        server.stop()
