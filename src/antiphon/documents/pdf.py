"""PDF: the text of every page, and what pages look like."""

from __future__ import annotations

import time
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from antiphon.documents import seeing
from antiphon.documents.nouns import Page, Picture, Unreadable
from antiphon.documents.texts import CHARACTERS, tidy, too_long

if TYPE_CHECKING:
    from PIL.Image import Image

    from antiphon.documents.wire import ReadDocument

POINTS_AN_INCH = 72
DOTS_AN_INCH = 110
PICTURE_BYTES = 24 * 1024 * 1024
"""Of all pictures of a document."""
QUALITY = 80
PAGES_LOOKED_THROUGH = 10
"""Pages without text in whose pictures text is looked for."""
SHARE = 0.6
"""Of the seconds for a document: when they are gone, no other page is drawn or looked through."""
_LOOKED_THROUGH_SIDE = 1600

_pdfium: Any = import_module("pypdfium2")  # ships no types
_raw: Any = import_module("pypdfium2.raw")  # as above


def pages(content: bytes, job: ReadDocument) -> list[Page]:
    """The pages of a document. Raises `Unreadable`."""
    until = time.monotonic() + SHARE * job.seconds
    pdf = _opened(content)
    try:
        if len(pdf) > job.max_pages:
            words = f"The document has {len(pdf)} pages; at most {job.max_pages} are read."
            raise Unreadable("too_many_pages", words)
        found = [Page(text) for text in _texts(pdf)]
        if job.picture_side is None:
            _look_through(pdf, found, until)
        else:
            _draw(pdf, found, job, until)
        return found
    finally:
        pdf.close()


def _opened(content: bytes) -> Any:  # as _pdfium
    _raw.FPDF_LoadMemDocument64(b"", 0, None)  # its fault is the last then: not every document that fails says its own
    try:
        pdf = _pdfium.PdfDocument(content)
    except _pdfium.PdfiumError as error:
        if error.err_code in {_raw.FPDF_ERR_PASSWORD, _raw.FPDF_ERR_SECURITY}:
            raise Unreadable("encrypted", "The document is encrypted: it opens with a password alone.") from error
        raise Unreadable("broken", "The document cannot be read: it is damaged.") from error
    if not len(pdf):
        pdf.close()
        raise Unreadable("broken", "The document cannot be read: it has no pages.")
    return pdf


def _texts(pdf: Any) -> list[str]:  # as _pdfium
    texts: list[str] = []
    left = CHARACTERS
    for index in range(len(pdf)):
        texts.append(_text(pdf, index))
        left -= len(texts[-1])
        if left < 0:
            raise too_long()
    return texts


def _text(pdf: Any, index: int) -> str:  # as _pdfium
    """The text of a page; none where the page is damaged, for the others are not."""
    with suppress(_pdfium.PdfiumError):
        page = pdf[index]
        try:
            words = page.get_textpage()
            try:
                return tidy(words.get_text_bounded()).strip()
            finally:
                words.close()
        finally:
            page.close()
    return ""


def _draw(pdf: Any, pages: list[Page], job: ReadDocument, until: float) -> None:  # as _pdfium
    """Add the pictures of as many pages as may have one; those without text come first, for they have nothing else."""
    from antiphon.documents.pictures import smaller  # noqa: PLC0415 - text needs none

    left = PICTURE_BYTES
    order = sorted(range(len(pages)), key=lambda index: (bool(pages[index].text), index))
    for index in order[: job.page_pictures]:
        image = _drawn(pdf, index, side=job.picture_side or 1) if time.monotonic() < until else None
        if image is None:
            continue
        picture: Picture = smaller(image, quality=QUALITY)
        left -= len(picture.content)
        if left < 0:
            return
        pages[index] = replace(pages[index], picture=picture)


def _look_through(pdf: Any, pages: list[Page], until: float) -> None:  # as _pdfium
    """Look for text in the pictures of pages that have none, as far as pages and time go."""
    mute = [index for index, page in enumerate(pages) if not page.text]
    if not mute or not seeing.is_there():
        return
    for index in mute[:PAGES_LOOKED_THROUGH]:
        image = _drawn(pdf, index, side=_LOOKED_THROUGH_SIDE) if time.monotonic() < until else None
        if image is not None:
            pages[index] = Page("\n".join(seeing.lines(image)))


def _drawn(pdf: Any, index: int, *, side: int) -> Image | None:  # as _pdfium
    """What a page looks like, None where it cannot be drawn."""
    with suppress(_pdfium.PdfiumError, ValueError):
        page = pdf[index]
        try:
            scale = min(DOTS_AN_INCH / POINTS_AN_INCH, side / max(page.get_size()))
            image: Image = page.render(scale=scale, rev_byteorder=True).to_pil().convert("RGB")
            return (
                image
                if max(image.size) <= side
                else image.crop((0, 0, min(side, image.width), min(side, image.height)))
            )
        finally:
            page.close()
    return None
