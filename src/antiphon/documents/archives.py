"""Office documents are archives of XML: what they would grow to, and what XML may not do, is checked before parsing."""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from antiphon.documents.nouns import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zipfile import ZipInfo

ENTRIES = 20_000
INFLATED = 256 * 1024 * 1024
BLOCK = 65_536
_XML = (".xml", ".rels")
_ENCRYPTED = 0x1
_BEFORE_XML = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"


class _Begun(Exception):
    """The root element has begun: no more declarations can follow."""


def check_archive(content: bytes, *, most: int) -> None:
    """Raises `Unreadable` for what is no archive, would grow too large, or holds XML that declares entities.

    Its XML may have ``most`` elements; what is XML is told by its start too, for a part may have any name.

    The sizes in the directory are believed, for what reads an entry stops at the size that is declared for it.
    """
    try:
        with ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            for entry in (one for one in entries if one.filename.endswith(_XML)):
                _check_xml(archive, entry)
            _check_elements(archive, entries, most)
    except (BadZipFile, NotImplementedError, EOFError, OSError, ValueError, zlib.error) as error:
        raise damaged() from error


def _check_entries(entries: list[ZipInfo]) -> None:
    if len(entries) > ENTRIES or sum(entry.file_size for entry in entries) > INFLATED:
        raise Unreadable("too_large", f"The file is too large: at most {INFLATED // 1024**2} MiB uncompressed.")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise Unreadable("encrypted", "The file is encrypted.")


def damaged() -> Unreadable:
    """The error of an Office document that cannot be read."""
    return Unreadable("broken", "The file cannot be read: it is damaged.")


def _check_xml(archive: ZipFile, entry: ZipInfo) -> None:
    """See that a part has no document type, by a parser that reads as far as its root element."""
    parser = expat.ParserCreate()
    setattr(parser, "StartDoctypeDeclHandler", _refuse)  # noqa: B010 - a name of expat's, not ours
    setattr(parser, "StartElementHandler", _stop)  # noqa: B010 - the same
    try:
        with archive.open(entry) as part:
            while block := part.read(BLOCK):
                parser.Parse(block)
            parser.Parse(b"", True)
    except _Begun:
        return
    except expat.ExpatError as error:
        raise damaged() from error


def _check_elements(archive: ZipFile, entries: list[ZipInfo], most: int) -> None:
    left = most
    for entry in entries:
        for block in _xml_of(archive, entry):
            left -= block.count(b"<") - block.count(b"</")
            if left < 0:
                raise Unreadable("too_large", f"The file has more than {most} elements.")


def _xml_of(archive: ZipFile, entry: ZipInfo) -> Iterator[bytes]:
    """The content of a part of XML in blocks; none of another."""
    with archive.open(entry) as part:
        block = part.read(BLOCK)
        if not (entry.filename.endswith(_XML) or block.lstrip(_BEFORE_XML).startswith(b"<")):
            return
        while block:
            yield block
            block = part.read(BLOCK)


def _refuse(*_: object) -> NoReturn:
    raise damaged()


def _stop(*_: object) -> NoReturn:
    raise _Begun
