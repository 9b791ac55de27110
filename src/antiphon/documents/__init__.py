"""Pictures and documents of callers, read in child processes that a hostile file may take down without the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from antiphon.documents.nouns import Config, Document, Page, Picture, Reason, Unreadable
from antiphon.documents.sniffing import sniffed

if TYPE_CHECKING:
    from antiphon.documents.asking import Documents

__all__ = ["Config", "Document", "Documents", "Page", "Picture", "Reason", "Unreadable", "sniffed"]


def __getattr__(name: str) -> type[Documents]:
    """`Documents`, imported when it is asked for: a child imports this package too, and needs no event loop."""
    if name != "Documents":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from antiphon.documents.asking import Documents  # noqa: PLC0415 - the reason is the function's

    return Documents
