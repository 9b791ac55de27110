"""What a file is, by its first bytes alone: neither its name nor what its sender calls it is believed.

`antiphon.documents` says it of what it reads; here is what that leaves: text, other archives, and any bytes.
"""

from __future__ import annotations

import codecs
import re
from struct import Struct as Layout
from typing import TYPE_CHECKING

from antiphon.documents import sniffed
from antiphon.documents.sniffing import FOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

SNIFFED_BYTES = 8192
"""How much of a file is looked at, at most."""

OCTETS = "application/octet-stream"
TEXT = "text/plain"
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/gif")

_ENTRY = Layout("<4s2xH10xI4xHH")
_ENTRY_SIGNATURE = b"PK\x03\x04"
_SIZE_FOLLOWS = 0x8
_STATED = re.compile(rb"application/(?:epub\+zip|vnd\.oasis\.opendocument\.(?:text|spreadsheet|presentation))")
_NO_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def sniff(head: bytes) -> str:
    """The media type of a file that begins with ``head``, its first `SNIFFED_BYTES` or all of it.

    It is what whoever reads files takes it for, and there is a word for what is not read too.
    """
    if head.startswith(_ENTRY_SIGNATURE):
        return _zipped(head)
    return sniffed(head) or (TEXT if _is_text(head) else OCTETS)


def _zipped(head: bytes) -> str:
    """What a ZIP archive is: an office document, another that says it in an entry of its own, or any.

    The directory at the end tells an office document. Where that is not here, a folder that only these have does.
    """
    is_whole = len(head) < SNIFFED_BYTES
    if is_whole and (media_type := sniffed(head)) is not None:
        return media_type
    for name, content in _entries(head):
        if name == b"mimetype" and (stated := _STATED.match(content)):
            return stated[0].decode()
        media_type = FOLDERS.get(name[: name.find(b"/") + 1].decode("ascii", "replace"))
        if media_type is not None and not is_whole:
            return media_type
    return "application/zip"


def _entries(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The names of an archive's entries, each with what comes behind it, as far as the head goes."""
    at = 0
    while at >= 0 and at + _ENTRY.size <= len(head):
        signature, flags, size, name, extra = _ENTRY.unpack_from(head, at)
        if signature != _ENTRY_SIGNATURE:
            return
        start = at + _ENTRY.size
        content = start + name + extra
        yield head[start : start + name], head[content:]
        at = head.find(_ENTRY_SIGNATURE, content) if flags & _SIZE_FOLLOWS else content + size


def _is_text(head: bytes) -> bool:
    codec = "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    try:  # what is cut in the middle of a character is no fault
        text = codecs.getincrementaldecoder(codec)().decode(head)
    except UnicodeDecodeError:
        return False
    return not _NO_TEXT.search(text)
