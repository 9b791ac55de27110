"""What of a drawing is drawn: what is on the list, and nothing else."""

from __future__ import annotations

import pytest

from antiphon.tools.image_generation.svg.cleaning import MOST_CHARACTERS, MOST_DRAWN, MOST_ELEMENTS, cleaned, size_of
from antiphon.tools.image_generation.svg.elements import Undrawable

RECT = '<rect width="1"/>'


def content(inside: str, root: str = "<svg>") -> str:
    """What is left of a document."""
    return cleaned(f"{root}{inside}</svg>").content


def test_a_plain_drawing_stays_as_it_is() -> None:
    """Shapes, texts, gradients, groups and definitions are written as they were read."""
    plain = (
        '<defs><linearGradient id="g" gradientTransform="rotate(45)"><stop offset="5%" stop-color="#fff"/>'
        '</linearGradient><symbol id="s" viewBox="0 0 1 1"><circle r=".5"/></symbol></defs>'
        '<g transform="translate(1,-2) scale(1e-1)" opacity=".5"><path d="M0 0L1 1z" fill="url(#g)"/>'
        '<text x="1" text-anchor="middle">Tom &amp; <tspan font-weight="bold">Jerry</tspan></text></g>'
        '<use href="#s" x="1"/><polygon points="0,0 1,1 2,0" stroke="rgb(1, 2, 3)"/>'
    )
    assert plain == content(plain)


@pytest.mark.parametrize(
    "foreign",
    [
        "<script>alert(1)</script>",
        '<image href="http://127.0.0.1/x.png"/>',
        '<image href="data:image/png;base64,AA=="><rect width="9"/></image>',
        "<foreignObject><rect width='9'/></foreignObject>",
        "<filter id='f'><feTurbulence/></filter>",
        "<pattern id='p'><rect width='9'/></pattern>",
        "<mask><rect width='9'/></mask>",
        "<clipPath><rect width='9'/></clipPath>",
        "<animate attributeName='x'/>",
        "<title>Title</title><desc>Words</desc><metadata>m</metadata>",
        "<style>@import url(http://127.0.0.1/x.css);</style>",
        "<iframe src='http://127.0.0.1'/>",
        "<switch><rect width='9'/></switch>",
        "text beside shapes",
    ],
)
def test_what_is_not_on_the_list_is_left_out(foreign: str) -> None:
    """With all that is inside."""
    assert RECT == content(foreign + RECT)


@pytest.mark.parametrize(
    "attribute",
    [
        "onclick='x()'",
        "href='http://127.0.0.1/'",
        "xmlns:l='x' l:href='file:///etc/passwd'",
        "fill='url(http://127.0.0.1/x.svg#g)'",
        "fill='url(data:image/svg+xml,x)'",
        "style='fill:url(http://127.0.0.1/)'",
        "style='background:red;behavior:url(#x)'",
        "filter='url(#f)'",
        "clip-path='url(#f)'",
        "stroke='url(#a) url(http://127.0.0.1/)'",
        "x='1e9'",
        "stroke-dasharray='0.001 5'",
        "stroke-width='9999999'",
        "id='a&quot;b'",
        "data-x='1'",
        "font-size='1e30px'",
        "d='M0 0 L9999999 1'",
        "fill='expression(alert(1));'",
        "fill='@import'",
    ],
)
def test_attributes_that_are_not_plain_are_left_out(attribute: str) -> None:
    """Nothing that loads, runs, or is further away than anybody sees."""
    assert RECT == content(f"<rect {attribute} width='1'/>")


def test_prefixes_cases_and_links_are_made_plain() -> None:
    """What models confuse is understood: prefixes of names, their case, links and documents inside documents."""
    assert '<g><rect width="1"/></g><g><use href="#a"/><radialGradient id="a"/></g>' == content(
        "<s:svg xmlns:s='x'><s:RECT Width='1'/></s:svg>"
        "<a href='http://127.0.0.1/'><use xmlns:l='y' l:href='#a'/><radialgradient id='a'/></a>"
    )


def test_style_sheets_become_attributes() -> None:
    """Rules by id count more than by class, by class more than by tag; what an element says itself counts most."""
    sheet = "/* c */ rect, .a > b { fill : red; stroke:green } .a{fill:blue!important;x:y} #i{fill:url(#g)} rect{r:1"
    assert (
        '<rect fill="red" stroke="green" width="1"/>'
        '<rect fill="blue" stroke="green" width="1" class="b a"/>'
        '<rect fill="url(#g)" stroke="green" width="1" id="i" class="a"/>'
        '<rect fill="white" stroke="green" width="1" class="a"/>'
    ) == content(
        f"<style>{sheet}</style><rect width='1'/><rect width='1' class='b a'/><rect width='1' id='i' class='a'/>"
        "<rect width='1' class='a' style='fill:white'/>"
    )


def test_fonts_become_generic_ones() -> None:
    """A machine may have no other."""
    assert (
        '<text font-family="monospace">a</text><text font-family="serif">b</text>'
        '<text font-family="sans-serif">c</text>'
    ) == content(
        "<text font-family='Courier New, monospace'>a</text><text style='font-family:Georgia,serif'>b</text>"
        "<text font-family='Comic, sans-serif; url(x)'>c</text>"
    )


@pytest.mark.parametrize(
    ("root", "view"),
    [
        ("<svg viewBox='-1 0,10  20'>", (-1, 0, 10, 20)),
        ("<svg width='300px' height='200'>", (0, 0, 300, 200)),
        ("<svg width='100%'>", (0, 0, 512, 512)),
        ("<svg viewBox='0 0 0 5'>", (0, 0, 512, 512)),
        ("<svg viewBox='0 0 nan 5 5'>", (0, 0, 512, 512)),
        ("<svg>", (0, 0, 512, 512)),
    ],
)
def test_what_a_drawing_shows_is_known(root: str, view: tuple[float, ...]) -> None:
    """By its view box, by its size, or as we ask for it."""
    assert view == cleaned(f"{root}{RECT}</svg>").view


def test_a_drawing_is_written_for_a_canvas() -> None:
    """The document has the size of the picture that is made of it."""
    assert (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 20.5" width="30" height="40" '
        f'font-family="sans-serif">{RECT}</svg>'
    ) == cleaned(f"<svg viewBox='0 0 10 20.5'>{RECT}</svg>").svg(30, 40)


def nested(levels: int) -> str:
    """A shape inside groups."""
    return "<g>" * levels + RECT + "</g>" * levels


def repeated(level: int) -> str:
    """A group that repeats the one below ten times."""
    inside = f"<use href='#g{level - 1}'/>" * 10 if level else RECT
    return f"<g id='g{level}'>{inside}</g>"


BOMB = "".join(map(repeated, range(9)))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("<svg><rect></svg>", "It is not well-formed XML (mismatched tag, line 1, column 14)."),
        ("<html/>", "It is not an SVG document."),
        ("<g/>", "It is not an SVG document."),
        ("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>", "It declares a document type."),
        ("<svg/>", "There is no shape in it that could be drawn."),
        (f"<svg><defs>{RECT}</defs><rect/><text/></svg>", "There is no shape in it that could be drawn."),
        (f"<svg>{RECT * MOST_ELEMENTS}</svg>", f"It has more than {MOST_ELEMENTS} elements."),
        (f"<svg>{'<x>' * 1999}{'</x>' * 1999}<g/></svg>", f"It has more than {MOST_ELEMENTS} elements."),
        (f"<svg>{nested(32)}</svg>", "It is nested more than 32 levels deep."),
        (f"<svg>{' ' * MOST_CHARACTERS}</svg>", f"It is longer than {MOST_CHARACTERS} characters."),
        (f"<svg>{BOMB}</svg>", f"It draws more than {MOST_DRAWN} shapes."),
    ],
)
def test_what_cannot_be_drawn_is_told(document: str, message: str) -> None:
    """In words for whoever wrote it."""
    with pytest.raises(Undrawable) as refused:
        cleaned(document)
    assert message == str(refused.value)


@pytest.mark.parametrize(
    ("document", "size"),
    [
        ("<svg width='64px' height='32' viewBox='0 0 1 2'><script/></svg>", (64, 32)),
        ("<s:svg xmlns:s='x' viewBox='0 0 1 2'><svg width='9'/></s:svg>", (1, 2)),
        ("<svg/>", (512, 512)),
    ],
)
def test_any_document_has_a_size(document: str, size: tuple[float, float]) -> None:
    """Its own, that of its view box, or the canvas that we would give it."""
    assert size == size_of(document)


@pytest.mark.parametrize("document", ["", "<html/>", "<svg>", "<!DOCTYPE svg><svg/>"])
def test_what_is_no_document_has_no_size(document: str) -> None:
    """It is not well-formed, something else, or declares what it should not."""
    with pytest.raises(Undrawable):
        size_of(document)


def test_uses_that_go_in_circles_draw_nothing() -> None:
    """Neither directly, nor by a round way, nor by a very long one."""
    assert '<g id="a"><use/></g><rect width="1"/>' == content(f"<g id='a'><use href='#a'/></g>{RECT}")
    around = f"<g id='a'><use href='#b'/></g><g id='b'><use href='#a'/></g>{RECT}"
    assert '<g id="a"><use href="#b"/></g><g id="b"><use/></g><rect width="1"/>' == content(around)
    chain = "".join(f"<use id='u{i}' href='#u{i + 1}'/>" for i in range(80))
    assert "<use" in content(chain + RECT)
