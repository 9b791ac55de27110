"""A model that points at pictures, the servers before it, and their clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.computer.driving import driven, official, passing_on
from tests.acceptance.computer.pointing import pointing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai import OpenAI

    from tests.acceptance.computer.pointing import Pointer


@pytest.fixture(scope="module")
def model() -> Iterator[Pointer]:
    """The model."""
    with pointing() as made:
        yield made


@pytest.fixture(scope="module")
def address(model: Pointer) -> Iterator[str]:
    """A server before it."""
    with driven(model) as url:
        yield url


@pytest.fixture(scope="module")
def native(address: str, model: Pointer) -> Iterator[OpenAI]:
    """The client of a second server, whose upstream is the first."""
    with passing_on(address, model) as made:
        yield made


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[OpenAI]:
    """The client of the first."""
    with official(address) as made:
        yield made
