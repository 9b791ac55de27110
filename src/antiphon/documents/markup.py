"""HTML as Markdown. What its parsers take too long for is bounded first: elements, their depth, tags that never end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bs4 import BeautifulSoup
from markdownify import MarkdownConverter

from antiphon.documents.nouns import Unreadable

if TYPE_CHECKING:
    from bs4 import Tag

ELEMENTS = 200_000
"""Start tags of a page, some 20 microseconds each."""
DEPTH = 120
"""Elements within each other. What is deeper stands side by side, for Markdown is written by recursion."""
_START = re.compile(r"<[a-z]", re.IGNORECASE)
_BLANKS = re.compile(r"(\s{100})\s+")
_DROPPED = ["script", "style", "noscript", "template", "head", "svg", "iframe", "object"]
_WITHOUT_TAGS = frozenset({"script", "style"})
"""Elements that hold no others, and are dropped with their text at any depth."""


class _Soup(BeautifulSoup):
    """A tree of bounded depth."""

    def handle_starttag(self, name: str, *args: object, **named: object) -> Tag | None:
        """Take a tag, or leave it out where the tree is too deep."""
        if len(self.tagStack) > DEPTH and name not in _WITHOUT_TAGS:
            return None
        return super().handle_starttag(name, *args, **named)  # type: ignore[arg-type] # handed on as they came


def markdown_of(html: str) -> str:
    """HTML as Markdown, without scripts, styles and pictures that are inlined. Raises `Unreadable`."""
    if sum(1 for _ in _START.finditer(html)) > ELEMENTS:
        raise Unreadable("too_large", f"The page has more than {ELEMENTS} elements.")
    soup = _Soup(_ended(html), "html.parser")
    for tag in soup.find_all(_DROPPED):
        tag.decompose()
    for image in soup.find_all("img"):
        if _is_inlined(image.get("src")):
            image["src"] = ""
    for text in soup.find_all(string=_BLANKS):
        text.replace_with(_BLANKS.sub(r"\1", text))  # Markdown's expressions take the square of their length
    return MarkdownConverter(heading_style="ATX", bullets="-").convert_soup(soup).strip()


def _ended(html: str) -> str:
    """The page with a text for what follows the end of its last tag: the parser looks for other ends without end."""
    tags, end, rest = html.rpartition(">")
    return f"{tags}{end}{rest.replace('<', '&lt;')}"


def _is_inlined(source: object) -> bool:
    return isinstance(source, str) and source[:5].lower() == "data:"
