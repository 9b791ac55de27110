"""What a child takes from itself before it sees a file: memory, time, files, privileges. Linux; elsewhere less."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

MIB = 1024 * 1024
OPEN_FILES = 64
# of prctl, by number
SET_PARENT_DEATH_SIGNAL = 1
SET_DUMPABLE = 4
SET_NO_NEW_PRIVILEGES = 38


def enclose(*, parent: int, file_bytes: int = 0) -> None:
    """Give up for good: core dumps, files longer than ``file_bytes``, new privileges, and life after ``parent``."""
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_FSIZE, file_bytes)
    _set(resource.RLIMIT_NOFILE, OPEN_FILES)
    if sys.platform != "linux":
        return
    prctl = ctypes.CDLL(None).prctl
    prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    prctl(SET_DUMPABLE, 0, 0, 0, 0)
    prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)


def confine(*, memory: int, seconds: int) -> None:
    """Bound what comes next: ``memory`` bytes of address space beyond what is taken, ``seconds`` of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + seconds + 1)
    _limit(resource.RLIMIT_AS, _address_space() + memory)


@contextmanager
def lifted() -> Generator[None]:
    """Let code of our own take address space, as a large library that is loaded does; the bound moves on with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        yield
        return
    before = _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    try:
        yield
    finally:
        _limit(resource.RLIMIT_AS, soft + max(0, _address_space() - before))


def release() -> None:
    """Take back `confine`."""
    for what in (resource.RLIMIT_CPU, resource.RLIMIT_AS):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (hard, hard))


def _set(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _limit(what: int, value: int) -> None:
    """Set what can be raised again: the soft limit alone."""
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _address_space() -> int:
    """Bytes of address space that this process has taken."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()
