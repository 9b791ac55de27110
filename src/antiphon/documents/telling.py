"""A document as a model reads it: a line that names it, and for each page a mark that can be cited, text and picture.

Marks stand in brackets, and nothing else does that looks like one: `antiphon.documents.marks` says how. Pages come
without any from the child that read them, so that here strings are joined and nothing is looked through.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from antiphon.documents.marks import KINDS, named
from antiphon.protocol.content import InputImage, InputText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from antiphon.documents.nouns import Document, Page, Picture

    Part = InputText | InputImage

_PIECES = {"pptx": "slide", "xlsx": "sheet"}


def told(document: Document, filename: str) -> list[InputText | InputImage]:
    """What a model reads of a document; texts that meet are one part."""
    name = named(filename) or "file"
    parts: list[InputText | InputImage] = []
    texts: list[str] = []
    for piece in _pieces(document, name):
        match piece:
            case InputText(text=text):
                texts.append(text)
            case InputImage():
                parts += [InputText(text="\n".join(texts)), piece]
                texts = []
    return [*parts, InputText(text="\n".join([*texts, f"[end of {name}]"]))]


def _pieces(document: Document, name: str) -> Iterator[Part]:
    count = len(document.pages)
    piece = _PIECES.get(document.kind, "page")
    pages = f", {count} {piece}{'' if count == 1 else 's'}" if document.is_paged else ""
    yield InputText(text=f"[{name}: {KINDS[document.kind]}{pages}]")
    for number, page in enumerate(document.pages, 1):
        if document.is_paged:
            label = named(page.label or "")
            yield InputText(text=f"[{name}, {piece} {number} of {count}{': ' if label else ''}{label}]")
        if page.picture is not None:
            yield _shown(page.picture)
        yield InputText(text=_text(page, piece))


def _text(page: Page, piece: str) -> str:
    if page.text.strip():
        return f"{page.text}\n"
    return "" if page.picture is not None else f"(This {piece} holds no text.)\n"


def _shown(picture: Picture) -> InputImage:
    return InputImage(image_url=f"data:{picture.media_type};base64,{b64encode(picture.content).decode()}")
