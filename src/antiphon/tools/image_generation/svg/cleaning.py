"""The part of SVG that is drawn here: listed shapes, and nothing that loads, runs, moves or repeats without end.

A document is read with an XML parser that knows no entities, and written anew: what is not on a list is not written.
Styles become attributes, so that a rasteriser meets no style sheet. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element as XmlElement
from xml.etree.ElementTree import ParseError, fromstring
from xml.parsers import expat

from msgspec import Struct

from antiphon.tools.image_generation.svg.elements import Element, Undrawable
from antiphon.tools.image_generation.svg.styling import LARGEST, Styles, attributes_of, local

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_CHARACTERS = 64_000
MOST_ELEMENTS = 2_000
MOST_DRAWN = 5_000
"""So many elements are drawn at most, each `use` counted with all that it repeats."""
DEEPEST = 32
CANVAS = 512
"""Units of the longer edge of the canvas where a document does not say."""

_TAGS = {
    tag.lower(): tag
    for tag in (
        *("svg", "g", "defs", "symbol", "use", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon"),
        *("text", "tspan", "linearGradient", "radialGradient", "stop", "style"),
    )
} | {"a": "g"}
_SHAPES = frozenset({"path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "use"})
_HIDDEN = frozenset({"defs", "symbol", "linearGradient", "radialGradient"})
_TEXTS = frozenset({"text", "tspan"})
_NO_SVG = "It is not an SVG document."
_NUMBERS = re.compile(r"[\s,]+")


class Drawing(Struct, frozen=True):
    """A clean document: its root's children as XML, and the part of the plane that it shows (x, y, width, height)."""

    content: str
    view: tuple[float, float, float, float]

    def svg(self, width: int, height: int) -> str:
        """The document for a canvas of so many pixels, all of it shown."""
        view = " ".join(f"{number:g}" for number in self.view)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" width="{width}" height="{height}" '
            f'font-family="sans-serif">{self.content}</svg>'
        )


def cleaned(document: str) -> Drawing:
    """What of a well-formed document is drawn here. Raises `Undrawable`, with words for its author."""
    if len(document) > MOST_CHARACTERS:
        raise Undrawable(f"It is longer than {MOST_CHARACTERS} characters.")
    root = _Reader().read(document)
    named: dict[str, Element] = {}
    for element in root.within():
        if "id" in element.attributes:
            named.setdefault(element.attributes["id"], element)
    if _drawn(root, named) > MOST_DRAWN:
        raise Undrawable(f"It draws more than {MOST_DRAWN} shapes.")
    if not _shows(root):
        raise Undrawable("There is no shape in it that could be drawn.")
    return Drawing(content=root.content, view=_view(root.attributes))


def size_of(document: str) -> tuple[float, float]:
    """Width and height of any well-formed SVG document, however it is drawn. Raises `Undrawable`."""
    root = _parsed(document)
    if local(root.tag) != "svg":
        raise Undrawable(_NO_SVG)
    _, _, *canvas = _view(root.attrib)
    width, height = (_number(root.attrib.get(edge, "")) for edge in ("width", "height"))
    return width or canvas[0], height or canvas[1]


def _parsed(document: str) -> XmlElement:
    """The root of a document that declares nothing: without declarations there are no entities."""
    if "<!DOCTYPE" in document:
        raise Undrawable("It declares a document type.")
    try:
        return fromstring(document)  # noqa: S314 - a document that could declare an entity was refused
    except ParseError as error:
        line, column = error.position
        reason = f"{expat.ErrorString(error.code)}, line {line}, column {column + 1}"
        raise Undrawable(f"It is not well-formed XML ({reason}).") from error


class _Reader:
    """Builds the tree of what is allowed; what is not is left out, with all that is inside."""

    def __init__(self) -> None:
        self._styles = Styles()

    def read(self, document: str) -> Element:
        """The root, styles applied. Raises `Undrawable`."""
        parsed = _parsed(document)
        if sum(1 for _ in parsed.iter()) > MOST_ELEMENTS:
            raise Undrawable(f"It has more than {MOST_ELEMENTS} elements.")
        root = self._element(parsed, 0)
        if root is None or root.tag != "svg":
            raise Undrawable(_NO_SVG)
        self._styles.apply(root)
        return root

    def _element(self, parsed: XmlElement, depth: int) -> Element | None:
        tag = _TAGS.get(local(parsed.tag).lower())
        if tag is None:
            return None
        if depth >= DEEPEST:
            raise Undrawable(f"It is nested more than {DEEPEST} levels deep.")
        if tag == "style":
            self._styles.add(parsed.text or "")
            return None
        element = Element("g" if tag == "svg" and depth else tag, attributes_of(parsed.attrib))
        has_text = tag in _TEXTS
        if has_text and parsed.text:
            element.children.append(parsed.text)
        for child in parsed:
            if (inner := self._element(child, depth + 1)) is not None:
                element.children.append(inner)
            if has_text and child.tail:
                element.children.append(child.tail)
        return element


def _drawn(root: Element, named: Mapping[str, Element]) -> int:
    """How many elements are drawn. A `use` that leads nowhere, or to what holds it, is made to draw nothing."""
    known: dict[int, int] = {}

    def weight(element: Element, trail: frozenset[int]) -> int:
        if id(element) in known:
            return known[id(element)]
        trail |= {id(element)}
        weighed = 1 + sum(weight(child, trail) for child in element.elements())
        if element.tag == "use":
            target = named.get(element.attributes.get("href", "").removeprefix("#"))
            if target is None or id(target) in trail or len(trail) > 2 * DEEPEST:
                element.attributes.pop("href", None)
            else:
                weighed += weight(target, trail)
        known[id(element)] = weighed
        return weighed

    return weight(root, frozenset())


def _shows(element: Element) -> bool:
    if element.tag in _HIDDEN:
        return False
    return (element.tag in _SHAPES and bool(element.attributes or element.text)) or any(
        _shows(child) for child in element.elements()
    )


def _view(attributes: Mapping[str, str]) -> tuple[float, float, float, float]:
    numbers = [_number(number) for number in _NUMBERS.split(attributes.get("viewBox", "").strip()) if number]
    match numbers:
        case [float() as x, float() as y, float() as width, float() as height] if width > 0 and height > 0:
            return x, y, width, height
        case _:
            width, height = (_number(attributes.get(edge, "")) or CANVAS for edge in ("width", "height"))
            return 0, 0, width, height


def _number(text: str) -> float | None:
    try:
        number = float(text.removesuffix("px"))
    except ValueError:
        return None
    return number if abs(number) <= LARGEST else None
