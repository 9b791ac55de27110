"""Marks, which stand in brackets in what a model reads, and what keeps others from forging them.

Names and descriptions lose all brackets; in the text of a page what reads like a mark has a parenthesis for its opening
bracket, and other brackets are left. A child does it to what it reads, for a long text takes seconds.
"""

from __future__ import annotations

import re

NAME = 128
KINDS = {
    "pdf": "PDF",
    "docx": "Word document",
    "pptx": "PowerPoint presentation",
    "xlsx": "Excel workbook",
    "html": "HTML",
    "markdown": "Markdown",
    "csv": "CSV",
    "json": "JSON",
    "text": "text",
}
"""What a mark calls each kind of document."""

_OPENING = "[\uff3b\u3010\u3014\u27e6\u2772\u2045\ufe5d"
_CLOSING = "]\uff3d\u3011\u3015\u27e7\u2773\u2046\ufe5e"
_LIKE_A_MARK = re.compile(
    rf"[{re.escape(_OPENING)}]"
    rf"(?=[^{re.escape(_OPENING + _CLOSING)}]{{0,400}}?"
    rf"(?:\b(?:page|slide|sheet)\s*\d+\s*of\s*\d+|:\s*(?:{'|'.join(KINDS.values())})\b)"
    rf"|\s*end\s+of\b)",
    re.IGNORECASE,
)
_BLANK = r"\s\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff"
_NO_NAME = re.compile(rf"[{_BLANK}{re.escape(_OPENING + _CLOSING)}]+")
_NO_LINE = re.compile(rf"[{_BLANK}]+")
_ROUND = str.maketrans(_OPENING + _CLOSING, "(" * len(_OPENING) + ")" * len(_CLOSING))
_LOOKED_AT = 8
"""How many times as much as is wanted is looked at: the rest is blank, or too much in any case."""


def unmarked(text: str) -> str:
    """A text in which nothing reads like a mark."""
    return _LIKE_A_MARK.sub("(", text)


def named(name: str) -> str:
    """A name that a mark can hold: one line, no brackets, at most `NAME` characters."""
    return _NO_NAME.sub(" ", name[: _LOOKED_AT * NAME]).strip()[:NAME].strip()


def lined(text: str, *, most: int) -> str:
    """A text that a mark can hold: one line, parentheses for brackets, at most ``most`` characters and three dots."""
    line = _NO_LINE.sub(" ", text[: _LOOKED_AT * most]).strip().translate(_ROUND)
    return line if len(line) <= most else f"{line[:most].rstrip()}..."
