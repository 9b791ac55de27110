"""A document by what its bytes are; the name chooses among kinds of text alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from antiphon.documents import sniffing
from antiphon.documents.archives import check_archive
from antiphon.documents.marks import named, unmarked
from antiphon.documents.nouns import Document, Page, Unreadable
from antiphon.documents.sniffing import sniffed
from antiphon.documents.texts import check_length, decoded, is_html, tidy

if TYPE_CHECKING:
    from antiphon.documents.wire import ReadDocument

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ELEMENTS = {sniffing.DOCX: 200_000, sniffing.PPTX: 1_000_000, sniffing.XLSX: 2_000_000}
"""Of a document's XML, so that it takes some ten seconds at most: an element is 50, 5 and 5 microseconds."""
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")


def document(content: bytes, job: ReadDocument) -> Document:
    """Read a document, in which nothing reads like a mark. Raises `Unreadable`, and what parsers raise for damage."""
    found = _found(content, job)
    return replace(found, pages=[_unmarked(page) for page in found.pages])


def _unmarked(page: Page) -> Page:
    return replace(page, text=unmarked(page.text), label=named(page.label or "") or None)


def _found(content: bytes, job: ReadDocument) -> Document:
    if not content:
        raise Unreadable("empty", "The file is empty.")
    match sniffed(content):
        case sniffing.PDF:
            from antiphon.documents import pdf  # noqa: PLC0415 - a child imports what its job needs

            return Document("pdf", pdf.pages(content, job), is_paged=True)
        case sniffing.DOCX | sniffing.PPTX | sniffing.XLSX as media_type:
            check_archive(content, most=ELEMENTS[media_type])
            return _office(content, media_type, most=job.max_pages)
        case None:
            return _text(content, job.text_kind)
        case _:
            raise Unreadable("unsupported", "The file is an image: it is sent as an input_image.")


def _office(content: bytes, media_type: str, *, most: int) -> Document:
    if media_type == sniffing.XLSX:
        from antiphon.documents import sheets  # noqa: PLC0415 - a child imports what its job needs

        return Document("xlsx", sheets.pages(content, most=most), is_paged=True)
    if media_type == sniffing.PPTX:
        from antiphon.documents import slides  # noqa: PLC0415 - as above

        return Document("pptx", slides.pages(content, most=most), is_paged=True)
    from antiphon.documents import words  # noqa: PLC0415 - as above

    return _whole("docx", words.markdown(content))


def _text(content: bytes, kind: str) -> Document:
    if content.startswith(_OLD_OFFICE):
        raise _old_office(content)
    text = tidy(decoded(content))
    check_length([text])
    if kind == "html" or (kind == "text" and is_html(text)):
        from antiphon.documents.markup import markdown_of  # noqa: PLC0415 - plain text needs no parser

        return _whole("html", markdown_of(text))
    return _whole(kind, text)


def _whole(kind: str, text: str) -> Document:
    if not text.strip():
        raise Unreadable("empty", "The file holds no text.")
    check_length([text])
    return Document(kind, [Page(text)], is_paged=False)


def _old_office(content: bytes) -> Unreadable:
    if _ENCRYPTED_PACKAGE in content:
        return Unreadable("encrypted", "The file is encrypted: it opens with a password alone.")
    return Unreadable("unsupported", "The file is of an old Office format: save it as docx, pptx or xlsx.")
