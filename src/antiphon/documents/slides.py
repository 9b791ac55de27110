"""Presentations: every slide with its title, texts, tables and notes."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from pptx import Presentation
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.group import GroupShape

from antiphon.documents.nouns import Page, Unreadable
from antiphon.documents.texts import check_length, tidy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pptx.shapes.base import BaseShape
    from pptx.slide import Slide
    from pptx.table import Table

NESTED = 20
LABEL = 200


def pages(content: bytes, *, most: int) -> list[Page]:
    """The slides of a presentation of at most so many. Raises `Unreadable`, and what python-pptx raises."""
    slides = Presentation(BytesIO(content)).slides
    if len(slides) > most:
        raise Unreadable("too_many_pages", f"The presentation has {len(slides)} slides; at most {most} are read.")
    found: list[Page] = []
    for slide in slides:
        found.append(_page(slide))
        check_length(page.text for page in found[-1:])
    check_length(page.text for page in found)
    return found


def _page(slide: Slide) -> Page:
    title = slide.shapes.title
    label = "" if title is None else " ".join(tidy(title.text_frame.text).split())[:LABEL]
    texts = [text for text in _texts(slide.shapes, NESTED) if text.strip()]
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        if frame is not None and frame.text.strip():
            texts.append(f"Notes: {frame.text}")
    return Page(tidy("\n\n".join(texts)), label=label or None)


def _texts(shapes: Iterable[BaseShape], depth: int) -> Iterator[str]:
    """The texts of shapes in their order, those of groups as deep as people nest them."""
    for shape in shapes:
        if isinstance(shape, GroupShape):
            if depth:
                yield from _texts(shape.shapes, depth - 1)
        elif isinstance(shape, GraphicFrame):
            if shape.has_table:
                yield _markdown(shape.table)
        elif shape.has_text_frame:
            yield getattr(shape, "text_frame").text  # noqa: B009 - a shape of python-pptx has it where it says so


def _markdown(table: Table) -> str:
    rows = [[" ".join(cell.text.split()).replace("|", r"\|") for cell in row.cells] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    rule = f"|{' --- |' * len(table.columns)}"
    return "\n".join([*lines[:1], rule, *lines[1:]])
