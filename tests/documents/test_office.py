"""Word, PowerPoint, Excel: their text, and archives that were made to do harm."""

from __future__ import annotations

import datetime as dt
import struct
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from antiphon.documents import Page, Unreadable, sniffed
from antiphon.documents.archives import check_archive
from antiphon.documents.reading import ELEMENTS
from tests.documents.asked import read, refusal
from tests.documents.files import TYPES, archive, docx, pptx, replaced, xlsx

ENTITIES = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'
)
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'


def test_a_word_document_is_markdown() -> None:
    """With headings, lists and tables; pictures are left out."""
    document = read(docx(), "report.pdf")
    assert ("docx", False, 1) == (document.kind, document.is_paged, len(document.pages))
    text = document.pages[0].text
    assert text.startswith("# Report\n\nAll is well.\n\n- first")
    assert ["| a | b |", "| 1 | 2 |"] == [line for line in text.splitlines() if "|" in line and "-" not in line][-2:]
    assert "base64" not in text


def test_a_presentation_is_a_page_a_slide() -> None:
    """With its title, tables, groups and notes; one with a picture alone is empty."""
    document = read(pptx(2))
    assert ("pptx", True, ["Title 1", "Title 2", None]) == (
        document.kind,
        document.is_paged,
        [page.label for page in document.pages],
    )
    assert (
        "Title 2\n\n| k\\|ey | value |\n| --- | --- |\n| x | 2 |\n\ngrouped\n\nNotes: Say 2" == document.pages[1].text
    )
    assert "" == document.pages[2].text


def test_a_workbook_is_a_page_a_sheet() -> None:
    """As CSV, without the emptiness around it."""
    day = dt.datetime(2026, 2, 3, 4, 5, 6)  # noqa: DTZ001 - workbooks know no zones
    rows: list[list[object]] = [
        ["name", "n", None],
        ["a, b", 1.0],
        [],
        [True, 0.5],
        [day, day.date(), day.time(), "=1+1"],
    ]
    document = read(xlsx({"One": rows, "Two": []}))
    assert ("xlsx", True, ["One", "Two"]) == (document.kind, document.is_paged, [page.label for page in document.pages])
    first, second = document.pages
    assert 'name,n\n"a, b",1\nTRUE,0.5\n2026-02-03 04:05:06,2026-02-03 00:00:00,04:05:06\n' == first.text
    assert Page("", label="Two") == second


@pytest.mark.parametrize(
    ("content", "words"), [(xlsx({str(n): [] for n in range(9)}), "9 sheets"), (pptx(8), "9 slides")]
)
def test_too_many_sheets_and_slides_are_told(content: bytes, words: str) -> None:
    """With their number."""
    reason, said = refusal(content, most=8)
    assert ("too_many_pages", True) == (reason, words in said)


@pytest.mark.slow
def test_a_sheet_that_says_it_is_huge_is_as_large_as_it_is() -> None:
    """What it says of its size is not believed; what is far away costs what lies between."""
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="A1:XFD1048576"/>'
        '<sheetData><row r="1"><c r="A1"><v>1</v></c></row>{}</sheetData></worksheet>'
    )
    sound = xlsx({"s": [[1]]})
    assert "1\n" == read(replaced(sound, {"xl/worksheets/sheet1.xml": sheet.format("")})).pages[0].text
    far = '<row r="1048576"><c r="A1048576"><v>2</v></c></row>'
    assert "1\n2\n" == read(replaced(sound, {"xl/worksheets/sheet1.xml": sheet.format(far)})).pages[0].text
    wide = "".join(f'<row r="{n}"><c r="XFD{n}"><v>2</v></c></row>' for n in range(2, 200))
    assert "too_large" == refusal(replaced(sound, {"xl/worksheets/sheet1.xml": sheet.format(wide)}))[0]


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
@pytest.mark.parametrize(
    "xml", [ENTITIES, OUTSIDE, ENTITIES.encode("utf-16"), '<?xml version="1.0" encoding="cp037"?>x']
)
def test_entities_are_not_expanded(kind: str, xml: str | bytes) -> None:
    """No part of an Office document has a document type, in whatever encoding."""
    sound = {"docx": docx(), "pptx": pptx(1), "xlsx": xlsx({"a": [[1]]})}[kind]
    part = {"docx": "word/document.xml", "pptx": "ppt/slides/slide1.xml", "xlsx": "xl/sharedStrings.xml"}[kind]
    assert ("broken", "The file cannot be read: it is damaged.") == refusal(replaced(sound, {part: xml}))


@pytest.mark.slow
def test_a_zip_bomb_is_not_inflated() -> None:
    """What it would grow to is told by its directory."""
    room = BytesIO()
    with ZipFile(room, "w", ZIP_DEFLATED) as made:
        made.writestr("[Content_Types].xml", TYPES)
        for number in range(30):
            made.writestr(f"word/media/{number}.png", bytes(10_000_000))
    assert len(room.getvalue()) < 1_000_000
    assert "too_large" == refusal(room.getvalue())[0]


@pytest.mark.slow
def test_an_archive_of_too_many_entries_is_told() -> None:
    """However small they are."""
    entries = {"[Content_Types].xml": TYPES, "word/document.xml": "<x/>"} | {str(n): b"" for n in range(20_001)}
    assert "too_large" == refusal(archive(entries))[0]


def test_an_archive_that_lies_about_its_sizes_is_not_inflated() -> None:
    """It says ten bytes, and holds a hundred million."""
    content = archive({"[Content_Types].xml": TYPES, "word/document.xml": b" " * 100_000_000})
    lie = content.replace(struct.pack("<I", 100_000_000), struct.pack("<I", 10))
    assert content != lie
    assert "broken" == refusal(lie)[0]


@pytest.mark.parametrize("name", ["word/document.xml", "word/document.dat", "_rels/.rels"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_an_archive_of_too_many_elements_is_told(name: str, encoding: str) -> None:
    """In all parts together, whatever a part is called and however its text is encoded."""
    xml = f" <a>{'<b/>' * 60}</a>".encode(encoding)
    content = archive({"[Content_Types].xml": TYPES, name: xml, "word/media/a.bin": b"a<" * 1_000})
    check_archive(content, most=200)
    with pytest.raises(Unreadable, match="more than 61 elements") as caught:
        check_archive(content, most=61)
    assert "too_large" == caught.value.reason


@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
def test_a_document_of_too_many_elements_is_not_parsed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its parser takes seconds for is counted first."""
    sound = {"docx": docx(), "pptx": pptx(1), "xlsx": xlsx({"a": [[1]]})}[kind]
    media_type = sniffed(sound)
    assert media_type is not None
    monkeypatch.setitem(ELEMENTS, media_type, 10)
    assert ("too_large", "The file has more than 10 elements.") == refusal(sound)


def test_an_encrypted_archive_is_told() -> None:
    """Both ways to encrypt: an entry of an archive, and a package in an older container."""
    content = archive({"[Content_Types].xml": TYPES, "word/document.xml": "<x/>"})
    at = content.index(b"PK\x01\x02") + 8
    assert "encrypted" == refusal(content[:at] + b"\x01\x00" + content[at + 2 :])[0]
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)
    assert "encrypted" == refusal(old + "EncryptedPackage".encode("utf-16-le"))[0]
    assert ("unsupported", True) == (refusal(old)[0], "save it as docx" in refusal(old)[1])


@pytest.mark.parametrize("damage", ["cut", "crc", "no part", "bad xml"])
@pytest.mark.parametrize("kind", ["docx", "pptx", "xlsx"])
def test_a_damaged_document_is_refused(kind: str, damage: str) -> None:
    """In whatever way; what a parser raises for it is turned into words by the child."""
    content = {"docx": docx(), "pptx": pptx(1), "xlsx": xlsx({"a": [[1]]})}[kind]
    part = {"docx": "word/document.xml", "pptx": "ppt/presentation.xml", "xlsx": "xl/workbook.xml"}[kind]
    match damage:
        case "cut":
            content = content[: len(content) // 2]
        case "crc":
            at = content.index(b"<?xml") if b"<?xml" in content else content.index(part.encode()) + len(part) + 5
            content = content[:at] + b"\xff\xff\xff" + content[at + 3 :]
        case "no part":
            content = archive({"[Content_Types].xml": TYPES, f"{part.partition('/')[0]}/other.xml": "<x/>"})
        case _:
            content = replaced(content, {part: "<x"})
    with pytest.raises(Exception):  # noqa: B017 - parsers raise anything
        read(content)


def test_office_documents_are_told_apart() -> None:
    """By the folders in them; another archive is none."""
    kinds = [sniffed(content) for content in (docx(), pptx(1), xlsx({"a": []}), archive({"word/x": "", "a": ""}))]
    assert ["wordprocessingml.document", "presentationml.presentation", "spreadsheetml.sheet", None] == [
        kind and kind.rpartition("officedocument.")[2] for kind in kinds
    ]
    assert "unsupported" == refusal(archive({"a": bytes(100)}))[0]


def test_a_sound_archive_passes() -> None:
    """As Office writes it."""
    check_archive(docx(), most=30_000)
