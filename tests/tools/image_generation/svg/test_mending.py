"""What small models write, made well-formed."""

from __future__ import annotations

from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.tools.image_generation.svg.mending import found, is_whole, mended
from tests.patient import is_in_proportion

WHOLE = '<svg viewBox="0 0 9 9"><rect width="1"/></svg>'


@pytest.mark.parametrize(
    ("said", "document"),
    [
        (WHOLE, WHOLE),
        (f"Here it is:\n```svg\n{WHOLE}\n```\nDo you like it?", WHOLE),
        (f"An `<svg>` is easy: {WHOLE} done", WHOLE),
        (f"<SVG >a</SVG > {WHOLE}", WHOLE),
        ("```xml\n<svg><rect/>\n```\nThat is all.", "<svg><rect/>\n"),
        ('<svg viewBox="0 0', '<svg viewBox="0 0'),
        ("I cannot draw. <svgx/>", None),
        ("", None),
    ],
)
def test_a_document_is_found_among_words(said: str, document: str | None) -> None:
    """Fences and chatter are left out; of several documents the longest counts."""
    assert document == found(said)


def test_the_end_of_a_document_is_noticed() -> None:
    """A model may be stopped there."""
    assert [True, True, False, False] == [
        is_whole(said) for said in (f"x {WHOLE}", "<svg><rect/>\n``` x", "<svg><rect/>", "</svg> ```")
    ]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("<svg><g><rect x='1'></g></svg>rest", '<svg><g><rect x="1"/></g></svg>'),
        ("<svg><g><text>a", "<svg><g><text>a</text></g></svg>"),
        ("<svg><rect x=1 y=2 fill=red/><circle", '<svg><rect x="1" y="2" fill="red"/></svg>'),
        ('<svg><rect x="1" y="2', "<svg></svg>"),
        ('<svg><rect x="1"\n<circle r="2"/></svg>', '<svg><rect x="1"/><circle r="2"/></svg>'),
        ('<svg><path d="M0 0\n<circle r="2"/></svg>', '<svg><path/><circle r="2"/></svg>'),
        ('<svg><rect x="1" x="2" hidden ,;"y="3"/></svg>', '<svg><rect x="1" y="3"/></svg>'),
        ("<svg><text>a & b &lt; &nbsp;< c</text></svg>", "<svg><text>a &amp; b &lt; \xa0&lt; c</text></svg>"),
        ('<svg><text x="a&b&#0;"/></svg>', '<svg><text x="a&amp;b�"/></svg>'),
        ("<svg></g><circle></circle></svg>", "<svg><circle/></svg>"),
        ("<svg><!-- a > b --><?pi?><!DOCTYPE x><rect/></svg>", "<svg><rect/></svg>"),
        ("<svg><![CDATA[a<b]]><rect/><!-- no end", "<svg>a&lt;b<rect/></svg>"),
        ("<svg><text><![CDATA[a<b", "<svg><text>a&lt;b</text></svg>"),
        ("<svg/><rect/>", "<svg/>"),
        ("<s:svg xmlns:s='x' xmlns='y'><use xlink:href='#a'/><a:/></s:svg>", '<svg><use href="#a"/><g/></svg>'),
        ("<svg>\x00\x07\ud800</svg>", "<svg></svg>"),
    ],
)
def test_a_document_is_mended(document: str, expected: str) -> None:
    """Open tags are closed, values quoted, characters escaped; what is cut off is left out."""
    assert expected == mended(document)


@given(st.text(alphabet="<>/\"'=& \n!-[]?asvgrectx1;#", max_size=200))
def test_whatever_is_written_becomes_well_formed(text: str) -> None:
    """No parser complains of what was mended."""
    expat.ParserCreate().Parse(mended(f"<svg>{text}"), True)


@pytest.mark.parametrize(
    "piece", ["<", '<a "', "<a b='", "<!--", "<a ", "</a", "&", '<a x="', "<svg ", "<g>", "<g></g>", '"', "<a/ "]
)
def test_mending_takes_time_in_proportion(piece: str) -> None:
    """What is written to be slow to read is not."""
    assert is_in_proportion(lambda size: mended(found(f"<svg>{piece * (size // len(piece))}") or ""), 64_000)
