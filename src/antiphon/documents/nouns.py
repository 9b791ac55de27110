"""What callers hand in, as it comes out: pictures, pages, documents, and why a file was not read."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Positive = Annotated[int, Meta(ge=1)]
MediaType = Annotated[str, Meta(pattern=r"\Aimage/(png|jpeg|webp|gif)\Z")]
Kind = Annotated[str, Meta(pattern=r"\A(pdf|docx|pptx|xlsx|html|markdown|csv|json|text)\Z")]
Reason = Literal[
    "not_an_image",
    "image_too_large",
    "image_parse_error",
    "empty",
    "encrypted",
    "broken",
    "too_many_pages",
    "too_large",
    "timeout",
    "crashed",
    "busy",
    "unsupported",
]

READ_PIXELS = 50_000_000
"""Of a picture that is read."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """``[documents]``: how callers' pictures and documents are read.

    ``workers`` child processes at most; ``seconds`` for one file, and once more for its turn; ``memory_mib`` of address
    space that a child may take beyond its start. A document of more than ``max_pages`` is refused. ``page_pictures``
    pages at most are shown as pictures to a model that sees, the others as text alone.
    """

    workers: Positive = 2
    seconds: Positive = 30
    memory_mib: Annotated[int, Meta(ge=64)] = 1024
    max_pages: Positive = 1000
    page_pictures: Annotated[int, Meta(ge=0)] = 20


class Picture(Struct, frozen=True):
    """An encoded picture; width and height in pixels."""

    content: bytes
    media_type: MediaType
    width: Positive
    height: Positive


class Page(Struct, frozen=True):
    """A page, slide or sheet: its text, its name where it has one, and what it looks like where that was asked for."""

    text: str
    label: str | None = None
    picture: Picture | None = None


class Document(Struct, frozen=True):
    """A document. ``is_paged`` are those of pages, slides or sheets; any other is one page."""

    kind: Kind
    pages: list[Page]
    is_paged: bool


class Unreadable(Exception):
    """A file was not read. Its words are for the caller: nothing of the file's content, nothing of the inside.

    ``busy`` is no fault of the file: it had no turn, and may be sent again.
    """

    def __init__(self, reason: Reason, words: str) -> None:
        super().__init__(words)
        self.reason: Reason = reason
