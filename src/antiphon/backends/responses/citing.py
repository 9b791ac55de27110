"""Reads what a text of the upstream's cites. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from antiphon.protocol.content import Annotation, ContainerFileCitation, FileCitation, FilePath, UrlCitation

if TYPE_CHECKING:
    from msgspec import Raw


def read_annotation(raw: Raw, start: int) -> Annotation | None:
    """Read an annotation whose places are counted from ``start``, in characters; None for one of an unknown sort."""
    try:
        annotation: Annotation = msgspec.json.decode(raw, type=Annotation)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    match annotation:
        case UrlCitation() | ContainerFileCitation():
            begin, end = annotation.start_index + start, annotation.end_index + start
            return replace(annotation, start_index=begin, end_index=end)
        case FileCitation() | FilePath():
            return replace(annotation, index=annotation.index + start)
