"""How long tests wait for what is sure to come, and whether work grows with what it is given and no faster.

A deadline in a test only ends a hang: a busy machine is slow and right. What is said about time is said by tests of
time alone, and there against what the same thing takes without the fault, or on less of the same.
"""

from __future__ import annotations

import gc
from functools import partial
from time import thread_time
from typing import TYPE_CHECKING

import httpx2 as httpx

if TYPE_CHECKING:
    from collections.abc import Callable

HANG_SECONDS = 60.0
"""After so many seconds whatever one waits for has hung."""

STORY_SECONDS = 4 * HANG_SECONDS
"""The same of a story in many steps, each of which may wait for processes to start."""

TRIES = 5
"""How often two times are taken before one of them is said to be too long: neighbours may have had the cores."""

get = partial(httpx.get, timeout=HANG_SECONDS)
post = partial(httpx.post, timeout=HANG_SECONDS)
delete = partial(httpx.delete, timeout=HANG_SECONDS)
request = partial(httpx.request, timeout=HANG_SECONDS)
stream = partial(httpx.stream, timeout=HANG_SECONDS)


def seconds(work: Callable[[], object]) -> float:
    """Of computing that some work takes this thread. The garbage collector, whose turns are everybody's, waits."""
    gc.disable()
    try:
        begun = thread_time()
        work()
        return thread_time() - begun
    finally:
        gc.enable()


def is_in_proportion(work: Callable[[int], object], size: int, *, times: int = 8) -> bool:
    """Whether work on `size` takes about `times` as long as on so much less, and not the square of it."""
    return takes_at_most(3 * times, lambda: work(size), lambda: work(size // times))


def a_million_rounds() -> None:
    """What work is compared with that has no smaller size: about 20 ms where nobody else computes."""
    for _ in range(1_000_000):
        pass


def takes_at_most(times: float, work: Callable[[], object], other: Callable[[], object]) -> bool:
    """Whether work takes no more than some times of what other work does."""
    return any(seconds(work) < times * min(seconds(other) for _ in range(3)) for _ in range(TRIES))
