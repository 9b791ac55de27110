"""What tests of the drawing tool share: children that read and draw pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.documents import Config, Documents

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@pytest.fixture
async def documents() -> AsyncGenerator[Documents, None]:
    """The reader of pictures."""
    reader = Documents(Config())
    yield reader
    await reader.aclose()
