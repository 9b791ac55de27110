"""Word documents: their text with its headings, lists, tables and links, as Markdown."""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from typing import Any

from antiphon.documents.markup import markdown_of
from antiphon.documents.texts import tidy

_mammoth: Any = import_module("mammoth")  # ships no types


def _no_picture(_: object) -> dict[str, str]:
    return {"src": ""}


def markdown(content: bytes) -> str:
    """A document as Markdown; pictures are left out. Raises what mammoth raises."""
    without_pictures = _mammoth.images.img_element(_no_picture)
    html: str = _mammoth.convert_to_html(BytesIO(content), convert_image=without_pictures).value
    return tidy(markdown_of(html))
