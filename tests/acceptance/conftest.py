"""A server with everything that is shown and drawn, for the modules that bring none of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.showing import plain, studio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.showing import Client, Studio


@pytest.fixture(scope="module")
def server() -> Iterator[Studio]:
    """A server with everything."""
    with studio() as made:
        yield made


@pytest.fixture(scope="module")
def client(server: Studio) -> Iterator[Client]:
    """Its client."""
    with plain(server.address) as made:
        yield made
