"""Text in whatever encoding, Markdown, CSV, JSON, HTML; and what is none."""

from __future__ import annotations

import pytest

from antiphon.documents import Page
from antiphon.documents.texts import tidy
from tests.documents.asked import read, refusal
from tests.documents.files import pdf

GREETING = "Dobrý den, “Ωmega” €"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_in_all_its_forms(encoding: str) -> None:
    """By its mark, or as UTF-8."""
    assert [Page(GREETING)] == read(GREETING.encode(encoding)).pages


def test_text_of_western_programs_is_read() -> None:
    """As Windows wrote it, else as Latin-1."""
    assert [Page("“café” €")] == read("“café” €".encode("cp1252")).pages
    assert [Page("caf\xe9 \x81")] == read(b"caf\xe9 \x81").pages


@pytest.mark.parametrize(
    "content", [bytes(range(256)), b"text\0text", b"MZ\x90\0\x03", b"\xff\xfe\x00\xd8\x00\xd8", b"\xff\xfea"]
)
def test_binary_is_unsupported(content: bytes) -> None:
    """And the words say what is not."""
    reason, words = refusal(content, "a.txt")
    assert ("unsupported", True) == (reason, "plain text" in words)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.MD", "markdown"),
        ("a.csv", "csv"),
        ("a.tsv", "csv"),
        ("a.json", "json"),
        ("a.jsonl", "json"),
        ("a.py", "text"),
        ("a.pdf", "text"),
        ("README", "text"),
        (None, "text"),
    ],
)
def test_the_name_chooses_among_kinds_of_text(name: str | None, kind: str) -> None:
    """And among no others."""
    document = read(b"{}\r\n", name)
    assert (kind, [Page("{}\n")], False) == (document.kind, document.pages, document.is_paged)


def test_the_content_is_believed_and_not_the_name() -> None:
    """A PDF is one under any name."""
    assert ["pdf", "pdf"] == [read(pdf(), name).kind for name in ("x.txt", "x.docx")]


def test_a_text_about_pdf_is_a_text() -> None:
    """It may name what a PDF begins with."""
    about = "# Formats\n\nA PDF begins with %PDF-1.7.\n"
    assert ("markdown", [Page(about)]) == ((found := read(about.encode(), "formats.md")).kind, found.pages)


@pytest.mark.parametrize("content", [b"", b" \n\t ", b"\xef\xbb\xbf"])
def test_a_file_without_text_is_empty(content: bytes) -> None:
    """There is nothing to tell."""
    assert "empty" == refusal(content)[0]


def test_an_image_is_no_document() -> None:
    """And the words say where it belongs."""
    reason, words = refusal(b"\x89PNG\r\n\x1a\n")
    assert ("unsupported", True) == (reason, "input_image" in words)


def test_too_much_text_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a number of characters, which the words name."""
    monkeypatch.setattr("antiphon.documents.texts.CHARACTERS", 10)
    assert ("too_large", "The file holds more than 10 characters of text.") == refusal(b"12345678901")


def test_html_becomes_markdown() -> None:
    """Without scripts, styles and inlined pictures, known by its name or its start."""
    html = (
        "<!-- x --><!doctype html><html><head><title></title><style>b{}</style></head><body><h1>Head</h1><script>evil()"
        '</script><p>A <b>bold</b> <a href="https://example.com">link</a></p><ul><li>one</ul>'
        '<img src="data:image/png;base64,AAAA" alt="drawing"><img src="a.png" alt="other"></body></html>'
    )
    document = read(html.encode(), "page.txt")
    assert "html" == document.kind
    text = document.pages[0].text
    assert text.startswith("# Head\n\nA **bold** [link](https://example.com)\n\n- one")
    assert "drawing" in text
    assert not [word for word in ("evil", "b{}", "base64", "AAAA") if word in text]
    assert "**x**" == read(b"<b>x</b>", "x.htm").pages[0].text
    assert "<b>x</b>" == read(b"<b>x</b>", "x.py").pages[0].text


def test_html_says_its_encoding() -> None:
    """One that nobody knows is Latin-1."""
    page = '<html><meta charset="{}"><p>{}</p></html>'
    assert "Привет" == read(page.format("windows-1251", "Привет").encode("windows-1251")).pages[0].text
    assert "é" == read(page.format("unheard-of", "é").encode("latin-1")).pages[0].text


def test_html_nested_without_end_is_text() -> None:
    """Deeper than any page."""
    html = b"<html><body>" + b"<div>" * 20_000 + b"deep" + b"</div>" * 20_000
    assert "deep" == read(html).pages[0].text


def test_control_characters_are_dropped() -> None:
    """Line breaks are plain, and hyphens that a PDF marks are hyphens."""
    assert "a\nb\nc\td-e\n" == tidy("a\r\nb\rc\td\ufffee\x0c\x00\x1b\x7f\ufeff")
