"""What every test may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests import servers
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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """A PostgreSQL that all tests of a process share, each with databases of its own."""
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def pgbouncer_port(postgres_server: servers.PostgresServer) -> Iterator[int]:
    """The port of a PgBouncer in transaction mode before the shared PostgreSQL."""
    with servers.pgbouncer(postgres_server) as port:
        yield port
