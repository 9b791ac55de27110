"""What a file is, by its first bytes."""

from __future__ import annotations

import hashlib
import io
import zipfile
from importlib import import_module
from typing import Any

import docx
import pptx
import pytest
from PIL import Image

from antiphon.documents import sniffed
from antiphon.lifecycle.sniffing import OCTETS, SNIFFED_BYTES, TEXT, sniff

openpyxl: Any = import_module("openpyxl")  # ships no types

OFFICE = "application/vnd.openxmlformats-officedocument"
ODT = "application/vnd.oasis.opendocument.text"


def picture(kind: str) -> bytes:
    """A picture as a library writes it."""
    written = io.BytesIO()
    Image.new("RGB", (2, 2)).save(written, kind)
    return written.getvalue()


def document(kind: str) -> bytes:
    """An empty office document as a library writes it."""
    written = io.BytesIO()
    match kind:
        case "docx":
            docx.Document().save(written)
        case "xlsx":
            openpyxl.Workbook().save(written)
        case _:
            pptx.Presentation().save(written)
    return written.getvalue()


def zipped(*entries: tuple[str, bytes]) -> bytes:
    """An archive, whose entries are stored as they are."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return written.getvalue()


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
def test_pictures_are_known(kind: str) -> None:
    """As they are written."""
    assert f"image/{kind}" == sniff(picture(kind)[:SNIFFED_BYTES])


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("docx", f"{OFFICE}.wordprocessingml.document"),
        ("xlsx", f"{OFFICE}.spreadsheetml.sheet"),
        ("pptx", f"{OFFICE}.presentationml.presentation"),
    ],
)
def test_office_documents_are_known(kind: str, media_type: str) -> None:
    """By the folders in their archives."""
    assert media_type == sniff(document(kind)[:SNIFFED_BYTES])


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\n\n%PDF-1.4\n", "application/pdf"),
        (b"\xef\xbb\xbf%PDF-1.4\n", "application/pdf"),
        (b"A PDF begins with %PDF-1.4\n", TEXT),
        (b"x" * 2000 + b"%PDF-1.4\n", TEXT),
        (zipped(("a.txt", b"x")), "application/zip"),
        (zipped(("mimetype", b"application/vnd.oasis.opendocument.text"), ("a", b"")), ODT),
        (zipped(("mimetype", b"application/epub+zip"), ("a", b"")), "application/epub+zip"),
        (zipped(("mimetype", b"text/html"), ("a", b"")), "application/zip"),
        (b"PK\x03\x04", "application/zip"),
        (b"hello\r\n\tworld\x1b[0m", TEXT),
        ("\N{SNOWMAN}".encode(), TEXT),
        ("\N{SNOWMAN}".encode()[:2], TEXT),
        ("\ufeffhello".encode("utf-16-le"), TEXT),
        ("\ufeffhello".encode("utf-16-be"), TEXT),
        (b"", TEXT),
        (b"\xff\xfe\x00\xd8\x00\x00", OCTETS),
        (b"hello\x00", OCTETS),
        (b"\xff\x00", OCTETS),
        (b"\x89PNG", OCTETS),
        (b"RIFF1234WAVE", TEXT),
        (b"GIF87", TEXT),
        (b"<html><script>", TEXT),
    ],
)
def test_other_files_are_what_they_begin_with(head: bytes, media_type: str) -> None:
    """Or octets; what would be run by a browser is a text."""
    assert media_type == sniff(head)


@pytest.mark.parametrize("size", [100, 2 * SNIFFED_BYTES])
def test_an_archive_that_holds_a_document_is_an_archive(size: int) -> None:
    """What stands in an entry is not the archive's own; whoever reads files says the same."""
    inner = document("docx")
    content = zipped(("a.docx", inner), ("b", bytes(size)))
    assert "application/zip" == sniff(content[:SNIFFED_BYTES])
    assert sniffed(content) is None
    other = zipped(("word/a.txt", b"x"))
    assert ("application/zip", None) == (sniff(other), sniffed(other))


class Pipe(io.BytesIO):
    """Where nobody goes back to write the sizes of entries before them."""

    def seekable(self) -> bool:
        """It is not."""
        return False

    def tell(self) -> int:
        """Nor is it known where one is."""
        raise OSError


@pytest.mark.parametrize("size", [0, 3 * SNIFFED_BYTES])
def test_a_document_that_was_written_to_a_pipe_is_known(size: int) -> None:
    """Its entries do not say before their content how long that is."""
    written = Pipe()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"[Content_Types].xml": b"<Types/>", "word/document.xml": b"x", "z": bytes(size)}.items():
            archive.writestr(name, content)
        archive.writestr("noise", hashlib.shake_128(b"noise").digest(size), zipfile.ZIP_STORED)
    assert f"{OFFICE}.wordprocessingml.document" == sniff(written.getvalue()[:SNIFFED_BYTES])


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "docx", "xlsx", "pptx"])
def test_both_who_look_at_files_say_the_same(kind: str) -> None:
    """Whoever keeps them, and whoever reads them."""
    content = document(kind) if kind in {"docx", "xlsx", "pptx"} else picture(kind)
    assert sniffed(content) == sniff(content[:SNIFFED_BYTES])
