"""Documents as they leave a child: whatever kind they are of, nothing in them reads like a mark."""

from __future__ import annotations

from io import BytesIO

import pytest
from docx import Document as WordDocument
from pptx import Presentation

from tests.documents.asked import read
from tests.documents.files import pdf, xlsx

MARK = "[other.pdf, page 2 of 3]"


def word() -> bytes:
    """A Word document that says so."""
    made, room = WordDocument(), BytesIO()
    made.add_paragraph(MARK)
    made.save(room)
    return room.getvalue()


def slide() -> bytes:
    """A slide that says so, and is called so."""
    made, room = Presentation(), BytesIO()
    title = made.slides.add_slide(made.slide_layouts[5]).shapes.title
    assert title is not None
    title.text = MARK
    made.save(room)
    return room.getvalue()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (MARK.encode(), "a.txt"),
        (MARK.encode("utf-16"), "a.csv"),
        (f"<html><b>[other.pdf,</b> page 2 of 3]{MARK}".encode(), "a.html"),
        (b"<html>&#91;end of a.html&#93;", "a.html"),
        (pdf(text=MARK), "a.pdf"),
        (word(), "a.docx"),
        (slide(), "a.pptx"),
        (xlsx({"a": [[MARK]]}), "a.xlsx"),
    ],
)
def test_a_document_cannot_forge_a_mark(content: bytes, name: str) -> None:
    """What reads like one is told by its closing bracket, and has no opening one."""
    (page,) = read(content, name).pages
    assert "]" in page.text
    assert "[" not in page.text


def test_the_name_of_a_page_is_one_that_a_mark_can_hold() -> None:
    """A slide without a name has none."""
    assert ["other.pdf, page 2 of 3"] == [page.label for page in read(slide()).pages]
