"""Which attributes an element of a drawing may have, and what its style sheets come to as attributes. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from antiphon.tools.image_generation.svg.elements import Element

LARGEST = 100_000
"""No number is larger: what is further away is seen by nobody, and costs."""
SHORTEST_DASH = 1
MOST_RULES = 500

_GEOMETRY = (
    *("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "rx", "ry", "fx", "fy", "fr", "dx", "dy", "width", "height"),
    *("d", "points", "transform", "rotate", "pathLength", "textLength", "lengthAdjust", "offset", "viewBox"),
    *("preserveAspectRatio", "gradientUnits", "gradientTransform", "spreadMethod"),
)
_PRESENTATION = (
    *("fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap"),
    *("stroke-linejoin", "stroke-miterlimit", "stroke-dasharray", "stroke-dashoffset", "opacity", "color"),
    *("stop-color", "stop-opacity", "display", "visibility", "paint-order", "vector-effect", "font-family"),
    *("font-size", "font-weight", "font-style", "text-anchor", "text-decoration", "letter-spacing", "word-spacing"),
    *("dominant-baseline", "alignment-baseline", "baseline-shift"),
)
_ATTRIBUTES = {name.lower(): name for name in (*_GEOMETRY, *_PRESENTATION)}
_NAMES = frozenset({"id", "class"})
_STYLES = frozenset(_PRESENTATION)

_NAME = re.compile(r"[\w.\- ]{1,100}\Z")
_REFERENCE = re.compile(r"#[\w.\-]{1,100}\Z")
_PLAIN = re.compile(r"[\w\s.,#%()+\-]*\Z")
_PAINT = re.compile(r"url\(\s*['\"]?#[\w.\-]{1,100}['\"]?\s*\)[\w\s.,#%()+\-]*\Z")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_RULE = re.compile(r"([^{}]{1,500})\{([^{}]*)\}")
_SELECTOR = re.compile(r"([.#]?)([A-Za-z_][\w\-]*)\Z")
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)


def local(name: str) -> str:
    """A name without its namespace, as written or as read."""
    return name.rpartition("}")[2].rpartition(":")[2]


def attributes_of(raw: Mapping[str, str]) -> dict[str, str]:
    """The attributes of an element that are allowed and say something plain, its own style among them."""
    kept: dict[str, str] = {}
    for written, value in raw.items():
        name = local(written)
        if (name in _NAMES and _NAME.match(value)) or (name == "href" and _REFERENCE.match(value)):
            kept[name] = value
        elif (known := _ATTRIBUTES.get(name.lower())) and (plain := _plain(known, value)) is not None:
            kept[known] = plain
    return kept | dict(_declared(raw.get("style", "")))


class _Rule(Struct, frozen=True):
    mark: str
    name: str
    declared: dict[str, str]

    def fits(self, element: Element) -> bool:
        match self.mark:
            case ".":
                return self.name in element.attributes.get("class", "").split()
            case "#":
                return self.name == element.attributes.get("id")
            case _:
                return self.name == element.tag


class Styles:
    """The simple rules of style sheets: by tag, by class and by id. Others are left out."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []

    def add(self, sheet: str) -> None:
        """Take the rules of a sheet."""
        for selectors, declarations in _RULE.findall(_COMMENT.sub("", sheet)):
            declared = dict(_declared(declarations))
            for selector in selectors.split(","):
                if len(self._rules) < MOST_RULES and (simple := _SELECTOR.match(selector.strip())):
                    self._rules.append(_Rule(mark=simple[1], name=simple[2], declared=declared))

    def apply(self, root: Element) -> None:
        """Give every element what the rules say of it and it does not say itself: by id, else class, else tag."""
        if not self._rules:
            return
        ranked = sorted(self._rules, key=lambda rule: ("", ".", "#").index(rule.mark))
        for element in root.within():
            styled: dict[str, str] = {}
            for rule in ranked:
                if rule.fits(element):
                    styled |= rule.declared
            element.attributes = styled | element.attributes


def _declared(style: str) -> Iterator[tuple[str, str]]:
    """The declarations of a style that are allowed."""
    for declaration in style.split(";"):
        name, _, value = declaration.partition(":")
        name = name.strip().lower()
        value = value.strip().removesuffix("!important").strip()
        if name in _STYLES and (plain := _plain(name, value)):
            yield name, plain


def _plain(name: str, value: str) -> str | None:
    """A value as it may be written; None for one that may not."""
    if name == "font-family":
        return _family(value)
    if not _PLAIN.match(value) or "url" in value.lower():
        return value if _PAINT.match(value) and name in {"fill", "stroke"} else None
    if name in _GEOMETRY or name.startswith(("stroke-", "font-size")):
        numbers = [abs(float(number)) for number in _NUMBER.findall(value)]
        if any(number > LARGEST for number in numbers):
            return None
        if name == "stroke-dasharray" and any(number < SHORTEST_DASH for number in numbers):
            return None
    return value


def _family(value: str) -> str:
    """The generic name of a font: what else a machine has is not known."""
    wished = value.lower()
    if any(name in wished for name in ("mono", "courier", "consol", "menlo")):
        return "monospace"
    is_serif = "serif" in wished.replace("sans-serif", "") or "times" in wished or "georgia" in wished
    return "serif" if is_serif else "sans-serif"
