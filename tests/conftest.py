"""What every test may ask for."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests import servers
from tests.conducting import conducting
from tests.oracle import watching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conducting import Model, Models

# A busy machine is slow and right. What a law costs is the business of benchmarks.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

ROOM_BYTES = 2 << 30
"""What a place for temporary files must have left."""


def in_memory() -> str | None:
    """A folder in memory for all temporary files, so that no busy disk holds up a test; None where there is none."""
    place = Path("/dev/shm")  # noqa: S108 - each test has a folder of its own in it
    if not os.access(place, os.W_OK) or os.statvfs(place).f_flag & os.ST_NOEXEC:
        return None
    return str(place) if shutil.disk_usage(place).free > ROOM_BYTES else None


tempfile.tempdir = in_memory()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever asks for a PostgreSQL is marked so; a fixture that may or may not ask marks its parameters."""
    for item in items:
        if "postgres_server" in getattr(item, "fixturenames", ()):  # a foreign type: doctests have none
            item.add_marker(pytest.mark.whole)


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


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    """All models that the tests of a module conduct."""
    with conducting() as made:
        yield made


@pytest.fixture
def name() -> str:
    """The name of a model that no other test conducts."""
    return uuid.uuid4().hex


@pytest.fixture
def model(models: Models, name: str) -> Iterator[Model]:
    """The model of this name; whatever it still says ends with the test."""
    conducted = models[name]
    yield conducted
    conducted.die()
