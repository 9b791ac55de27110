"""How long tests wait for what is sure to come, and requests of a client that waits so long.

A deadline in a test only ends a hang: a busy machine is slow and right. What is said about time is said by tests of
time alone, and there against what the same thing takes without the fault.
"""

from __future__ import annotations

from functools import partial
from time import process_time

import httpx2 as httpx

HANG_SECONDS = 60.0
"""After so many seconds whatever one waits for has hung."""

STORY_SECONDS = 4 * HANG_SECONDS
"""The same of a story in many steps, each of which may wait for processes to start."""

QUIET_SECONDS = 0.02
"""What a million times nothing take where nobody else computes."""

get = partial(httpx.get, timeout=HANG_SECONDS)
post = partial(httpx.post, timeout=HANG_SECONDS)
delete = partial(httpx.delete, timeout=HANG_SECONDS)
request = partial(httpx.request, timeout=HANG_SECONDS)
stream = partial(httpx.stream, timeout=HANG_SECONDS)


def cpu_seconds(bound: float) -> float:
    """A bound of CPU time that was set on a quiet machine, for this one as it is now: neighbours share its cores."""
    begun = process_time()
    for _ in range(1_000_000):
        pass
    return bound * max(1.0, (process_time() - begun) / QUIET_SECONDS)
