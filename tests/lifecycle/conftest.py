"""A time that a test moves, and approvals of which none was used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.lifecycle.approving import Approving
from antiphon.sealing import Seal
from antiphon.store.approvals import Approvals
from antiphon.store.sqlite import connect
from tests.drawing import Shelves

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from antiphon.store import Database

NOW = 1_700_000_000


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture
async def database() -> AsyncGenerator[Database]:
    """An empty database in memory."""
    opened = await connect("sqlite://", pooled=False)
    yield opened
    await opened.aclose()


@pytest.fixture
async def shelves(database: Database, clock: Clock) -> AsyncGenerator[Shelves]:
    """The parts that keep and show pictures, with nothing in them."""
    parts = Shelves(database, now=clock)
    yield parts
    await parts.aclose()


@pytest.fixture
def spent(database: Database) -> Approvals:
    """No answer was used."""
    return Approvals(database)


@pytest.fixture
def approving(spent: Approvals, clock: Clock) -> Approving:
    """Who signs and checks."""
    return Approving(Seal(["first", "second"]), spent, now=clock)
