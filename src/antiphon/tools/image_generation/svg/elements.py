"""A piece of an SVG document while it is cleaned, and why a document cannot be drawn."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Undrawable(Exception):
    """A document cannot be drawn; the message tells its author what to mend."""


class Element:
    """An element: its tag, its attributes, and the elements and texts inside."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    def elements(self) -> Iterator[Element]:
        """The elements right inside."""
        return (child for child in self.children if not isinstance(child, str))

    def within(self) -> Iterator[Element]:
        """This element and all below it, in the order of the document."""
        yield self
        for child in self.elements():
            yield from child.within()

    @property
    def text(self) -> str:
        """The texts right inside."""
        return "".join(child for child in self.children if isinstance(child, str))

    @property
    def content(self) -> str:
        """All that is inside, as XML."""
        return "".join(escape(child) if isinstance(child, str) else child.xml for child in self.children)

    @property
    def xml(self) -> str:
        """The element as XML."""
        attributes = "".join(f' {name}="{escape(value)}"' for name, value in self.attributes.items())
        inside = self.content
        return f"<{self.tag}{attributes}>{inside}</{self.tag}>" if inside else f"<{self.tag}{attributes}/>"
