"""What every test may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.oracle import watching

if TYPE_CHECKING:
    from collections.abc import Iterator

# A busy machine is slow and right. What a law costs is the business of benchmarks.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of every asynchronous test."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def oracle() -> Iterator[None]:
    """Every event that any test's machine makes is held against the official types and the recordings."""
    with watching():
        yield
