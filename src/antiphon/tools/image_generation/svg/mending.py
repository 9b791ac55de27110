"""What a model wrote, as well-formed XML: found among its words, closed where it was cut off, quoted and escaped.

Nothing is judged here: the result goes to `antiphon.tools.image_generation.svg.cleaning`, which reads it with an XML
parser. Every repair looks at a character a bounded number of times. Pure.
"""

from __future__ import annotations

import re
from html import escape, unescape
from itertools import pairwise

_START = re.compile(r"<svg(?=[\s>/])", re.IGNORECASE)
_END = re.compile(r"</svg\s*>|```", re.IGNORECASE)
_OPENING = re.compile(r"<([A-Za-z_][\w.:-]*)")
_ATTRIBUTE = re.compile(r"""\s*([A-Za-z_][\w.:-]*)(?:\s*=\s*("[^"<]*"|'[^'<]*'|[^\s"'<>/]+))?""")
_CLOSING = re.compile(r"</\s*([A-Za-z_][\w.:-]*)[^<>]*>?")
_STOP = re.compile(r"\s*(/?)\s*>")
_ASIDE = {"<!--": "-->", "<![CDATA[": "]]>", "<!": ">", "<?": ">"}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LEAVES = frozenset({"rect", "circle", "ellipse", "line", "path", "polygon", "polyline", "stop", "use", "image"})


def found(said: str) -> str | None:
    """The longest SVG document in a model's words, up to its end or to where it was cut off; None where it has none."""
    starts = [match.start() for match in _START.finditer(said)]
    documents = [_cut(said[start:end]) for start, end in pairwise([*starts, len(said)])]
    return max(documents, key=len, default=None)


def is_whole(said: str) -> bool:
    """Whether a model's words hold the end of a document."""
    start = _START.search(said)
    return start is not None and _END.search(said, start.end()) is not None


def mended(document: str) -> str:
    """A document as well-formed XML, without comments, declarations and entities.

    What it leaves open is closed; a tag that is cut off is left out, and so are namespaces.
    """
    mending = _Mending(document)
    at = 0
    while at < len(document) and not mending.is_over:
        at = mending.take(at)
    return mending.whole()


def _cut(document: str) -> str:
    end = _END.search(document)
    if end is None:
        return document
    return document[: end.start()] if end[0] == "```" else document[: end.end()]


class _Mending:
    def __init__(self, document: str) -> None:
        self._document = document
        self._pieces: list[str] = []
        self._open: list[str] = []
        self.is_over = False

    def take(self, at: int) -> int:
        """Take what stands at a place, and tell where it ends."""
        document = self._document
        if document[at] != "<":
            end = document.find("<", at)
            end = len(document) if end < 0 else end
            self._pieces.append(_escaped(document[at:end]))
            return end
        for mark, end_mark in _ASIDE.items():
            if document.startswith(mark, at):
                return self._aside(at + len(mark), mark, end_mark)
        if closing := _CLOSING.match(document, at):
            self._close(_local(closing[1]))
            return closing.end()
        if opening := _OPENING.match(document, at):
            return self._opening(_local(opening[1]), opening.end())
        self._pieces.append("&lt;")
        return at + 1

    def whole(self) -> str:
        """The document, with everything closed."""
        while self._open:
            self._pieces.append(f"</{self._open.pop()}>")
        return "".join(self._pieces)

    def _aside(self, at: int, mark: str, end_mark: str) -> int:
        end = self._document.find(end_mark, at)
        if mark == "<![CDATA[":
            self._pieces.append(_escaped(self._document[at : end if end >= 0 else None]))
        return len(self._document) if end < 0 else end + len(end_mark)

    def _close(self, name: str) -> None:
        if name not in self._open:
            return
        last = ""
        while last != name:
            last = self._open.pop()
            self._pieces.append(f"</{last}>")
        self.is_over = not self._open

    def _opening(self, name: str, at: int) -> int:
        """Take a tag. One that another follows before it has ended ends there; one at the very end is left out."""
        document = self._document
        attributes: dict[str, str] = {}
        while (stop := _STOP.match(document, at)) is None:
            if at >= len(document):
                return at
            if document[at] == "<":
                break
            if attribute := _ATTRIBUTE.match(document, at):
                at = attribute.end()
                if attribute[2] and not attribute[1].startswith("xmlns"):
                    attributes.setdefault(_local(attribute[1]), attribute[2].strip("\"'"))
            else:
                at += 1
        self._open_tag(name, attributes, closed=bool(stop and stop[1]))
        return stop.end() if stop else at

    def _open_tag(self, name: str, attributes: dict[str, str], *, closed: bool) -> None:
        written = "".join(f' {key}="{_escaped(value)}"' for key, value in attributes.items())
        closed = closed or name.lower() in _LEAVES  # they hold nothing: what follows was meant to stand beside them
        self._pieces.append(f"<{name}{written}{'/' if closed else ''}>")
        if closed:
            self.is_over = not self._open
        else:
            self._open.append(name)


def _local(name: str) -> str:
    """A name without its prefix, which a model seldom declares."""
    return name.rpartition(":")[2] or "g"


def _escaped(text: str) -> str:
    return escape(_NOT_XML.sub("", unescape(text)))
