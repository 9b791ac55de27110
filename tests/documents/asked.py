"""Documents read in this process, as a child reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from antiphon.documents import Unreadable
from antiphon.documents.reading import document
from antiphon.documents.texts import kind_by_name
from antiphon.documents.wire import ReadDocument

if TYPE_CHECKING:
    from antiphon.documents import Document


def read(
    content: bytes, name: str | None = None, *, side: int | None = None, most: int = 1000, pictures: int = 20
) -> Document:
    """A document by its content."""
    return document(content, ReadDocument(kind_by_name(name), side, most, page_pictures=pictures, seconds=60))


def refusal(content: bytes, name: str | None = None, *, most: int = 1000) -> tuple[str, str]:
    """Why a document is not read: the reason and the words."""
    with pytest.raises(Unreadable) as caught:
        read(content, name, most=most)
    return caught.value.reason, str(caught.value)
