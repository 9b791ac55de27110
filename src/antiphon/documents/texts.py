"""Text that files hold: decoded, freed of what no text has, and bounded."""

from __future__ import annotations

import codecs
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from antiphon.documents.nouns import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

CHARACTERS = 8_000_000
_KINDS = {
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "md": "markdown",
    "markdown": "markdown",
    "csv": "csv",
    "tsv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
}
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NO_TEXT = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")
_CONTROLS = dict.fromkeys([*range(9), 11, *range(14, 32), 127, 0xFEFF]) | {0xFFFE: "-", 2: "-", 12: "\n"}
_HTML = re.compile(r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!doctype html|<html)", re.IGNORECASE | re.DOTALL)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w-]{1,40})", re.IGNORECASE)
_HEAD = 2048


def kind_by_name(filename: str | None) -> str:
    """Which kind of text a name says that a file is: html, markdown, csv, json or text."""
    return _KINDS.get(PurePosixPath(filename or "").suffix[1:].lower(), "text")


def decoded(content: bytes) -> str:
    """The text of a file: Unicode by its mark, UTF-8, or what Western programs wrote. Raises `Unreadable`."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return _by(content, encoding)
    if _NO_TEXT.search(content):
        raise _binary()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return content.decode(_charset(content))
    except (UnicodeDecodeError, LookupError):
        return content.decode("latin-1")


def _by(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _binary() from error


def _charset(content: bytes) -> str:
    """What a page of HTML says, else what Windows writes."""
    found = _CHARSET.search(content[:_HEAD])
    return "cp1252" if found is None else found[1].decode("ascii", "replace")


def _binary() -> Unreadable:
    words = "The file is of a kind that is not read: PDF, Word, PowerPoint, Excel, HTML, CSV, JSON and plain text are."
    return Unreadable("unsupported", words)


def is_html(text: str) -> bool:
    """Whether a text begins as HTML does."""
    return _HTML.match(text[:_HEAD]) is not None


def tidy(text: str) -> str:
    """A text with plain line breaks and without control characters; hyphens that a PDF marks as soft are hyphens."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS)


def check_length(texts: Iterable[str]) -> None:
    """Raises `Unreadable` for texts that are too long in sum."""
    if sum(map(len, texts)) > CHARACTERS:
        raise too_long()


def too_long() -> Unreadable:
    """The error of a file with more text than is read."""
    return Unreadable("too_large", f"The file holds more than {CHARACTERS} characters of text.")
