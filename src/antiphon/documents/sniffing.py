"""What a file is, by its bytes. The server asks it too, so it costs little whatever the bytes are."""

from __future__ import annotations

from struct import Struct as Layout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PDF = "application/pdf"
OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX = f"{OFFICE}wordprocessingml.document"
XLSX = f"{OFFICE}spreadsheetml.sheet"
PPTX = f"{OFFICE}presentationml.presentation"
FOLDERS = {"word/": DOCX, "xl/": XLSX, "ppt/": PPTX}
"""What an Office document is by a folder in it."""

_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_PDF_STARTS_WITHIN = 1024  # blank bytes that are put before the header; a text that speaks of PDF is none
_BEFORE_PDF = b"\xef\xbb\xbf\x00\t\n\x0c\r "
_ENTRIES_LOOKED_AT = 2_000
_END_OF_ARCHIVE = b"PK\x05\x06"
_LONGEST_END = 65_557  # its 22 bytes and the longest comment
_END = Layout("<4xHHHHII")
_ENTRY = Layout("<4s24xHHH12x")


def sniffed(content: bytes) -> str | None:
    """The media type of a picture, PDF or Office document by its bytes; None where they are none of these."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    for start, media_type in _SIGNATURES.items():
        if content.startswith(start):
            return media_type
    if content.startswith(b"PK"):
        return _office(content)
    return PDF if content[:_PDF_STARTS_WITHIN].lstrip(_BEFORE_PDF).startswith(b"%PDF-") else None


def _office(content: bytes) -> str | None:
    names = list(_names(content))
    if "[Content_Types].xml" not in names:
        return None
    return next((FOLDERS[top] for name in names if (top := name.partition("/")[0] + "/") in FOLDERS), None)


def _names(content: bytes) -> Iterator[str]:
    """The names in an archive's directory, as far as they are looked at."""
    end = content.rfind(_END_OF_ARCHIVE, max(0, len(content) - _LONGEST_END))
    if end < 0 or len(content) < end + _END.size:
        return
    *_, entries, size, _ = _END.unpack_from(content, end)
    at = end - size
    for _ in range(min(entries, _ENTRIES_LOOKED_AT)):
        if at < 0 or at + _ENTRY.size > end:
            return
        signature, name, extra, comment = _ENTRY.unpack_from(content, at)
        if signature != b"PK\x01\x02":
            return
        at += _ENTRY.size
        yield content[at : at + name].decode("utf-8", "replace")
        at += name + extra + comment
