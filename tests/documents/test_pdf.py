"""PDF: the text of every page, what pages look like, and files that were made to do harm."""

from __future__ import annotations

import zlib
from contextlib import aclosing
from io import BytesIO

import pytest
from PIL import Image

from antiphon.documents import Config, Documents, Page, Unreadable, seeing
from antiphon.documents.telling import told
from antiphon.protocol.content import InputText
from tests.documents.asked import read, refusal
from tests.documents.crews import ROGUE, refused
from tests.documents.files import one_page, pdf, raw_pdf, scan, stream


def test_every_page_has_its_text() -> None:
    """In order, whatever the file is called."""
    document = read(pdf(3), "letter.txt")
    assert ("pdf", True) == (document.kind, document.is_paged)
    assert [Page(f"This is page {number}.") for number in (1, 2, 3)] == document.pages


def test_the_text_of_page_17_stands_behind_its_mark() -> None:
    """Where a model can cite it."""
    (text,) = told(read(pdf(30)), "report.pdf")
    assert isinstance(text, InputText)
    assert "[report.pdf, page 17 of 30]\nThis is page 17.\n\n[report.pdf, page 18 of 30]" in text.text


def test_pages_are_shown_to_a_model_that_sees() -> None:
    """At about 110 dots an inch, or no larger than asked; as many as there may be, the others as text."""
    pages = read(pdf(5), side=2000, pictures=3).pages
    assert [True, True, True, False, False] == [page.picture is not None for page in pages]
    shown = pages[0].picture
    assert shown is not None
    assert (910, 1287) == (shown.width, shown.height)
    image = Image.open(BytesIO(shown.content))
    assert ((910, 1287), (0, 255)) == (image.size, image.convert("L").getextrema())
    small = read(pdf(1), side=500).pages[0].picture
    assert small is not None
    assert 500 == max(small.width, small.height)


def test_pages_without_text_are_shown_first() -> None:
    """They have nothing else."""
    kids = b"<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>"
    worded = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Contents 5 0 R /Resources << /Font << /F << /Type "
    worded += b"/Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
    bare = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>"
    text = stream(b"BT /F 12 Tf 10 50 Td (Hello) Tj ET")
    content = raw_pdf(b"<< /Type /Catalog /Pages 2 0 R >>", kids, worded, bare, text)
    pages = read(content, side=200, pictures=1).pages
    assert [("Hello", False), ("", True)] == [(page.text, page.picture is not None) for page in pages]


def test_pictures_of_pages_are_bounded_in_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is told as text alone."""
    monkeypatch.setattr("antiphon.documents.pdf.PICTURE_BYTES", 20_000)
    assert 0 < sum(page.picture is not None for page in read(pdf(9), side=800).pages) < 9


def test_pictures_of_pages_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is whole in spite of it."""
    monkeypatch.setattr("antiphon.documents.pdf.SHARE", 0)
    assert [Page("This is page 1.")] == read(pdf(1), side=800).pages
    assert [Page("")] == read(pdf(1, text="")).pages


def test_an_encrypted_document_is_told() -> None:
    """There is nobody to ask for the password."""
    assert "encrypted" == refusal(pdf(1, password="secret"))[0]


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7",
        b"%PDF-1.7\n" + b"garbage" * 100,
        pdf(3)[:500],
        raw_pdf(b"<< /Type /Catalog >>"),
        b"%PDF-" + bytes(5000),
    ],
)
def test_a_broken_document_is_told(content: bytes) -> None:
    """Cut off, of garbage, without pages; also behind one that has another fault."""
    assert "encrypted" == refusal(pdf(1, password="secret"))[0]
    assert "broken" == refusal(content)[0]


def test_a_damaged_page_leaves_the_others() -> None:
    """Its place is kept."""
    tree = b"<< /Type /Pages /Kids [3 0 R 9 0 R] /Count 2 >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>"
    content = raw_pdf(b"<< /Type /Catalog /Pages 2 0 R >>", tree, page)
    pages = read(content, side=100).pages
    assert [True, False] == [page.picture is not None for page in pages]
    assert ["", ""] == [page.text for page in pages]


def test_a_document_of_too_many_pages_is_told_with_their_number() -> None:
    """Ten thousand of them, before one is read."""
    kids = b" ".join(b"%d 0 R" % number for number in range(3, 10_003))
    tree = b"<< /Type /Pages /Kids [%b] /Count 10000 >>" % kids
    pages = [b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>"] * 10_000
    content = raw_pdf(b"<< /Type /Catalog /Pages 2 0 R >>", tree, *pages)
    words = "The document has 10000 pages; at most 1000 are read."
    assert ("too_many_pages", words) == refusal(content)


def test_a_count_that_lies_is_not_believed() -> None:
    """Two thousand million pages that are not there."""
    tree = b"<< /Type /Pages /Kids [3 0 R] /Count 2147483647 >>"
    content = raw_pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>", tree, b"<< /Type /Page /MediaBox [0 0 9 9] /Parent 2 0 R >>"
    )
    assert [Page("")] == read(content).pages


@pytest.mark.parametrize("box", [b"0 0 1e9 1e9", b"0 0 100000 1", b"0 0 0 0", b"-5 -5 -9 -9", b"0 0 nan 7", b""])
def test_a_page_of_any_size_is_drawn_no_larger_than_asked(box: bytes) -> None:
    """Or not at all."""
    for page in read(one_page(stream(b""), box=box), side=300).pages:
        assert page.picture is None or max(page.picture.width, page.picture.height) <= 300


def test_a_document_of_too_much_text_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as it is too much."""
    monkeypatch.setattr("antiphon.documents.pdf.CHARACTERS", 40)
    assert "too_large" == refusal(pdf(9))[0]


def bombs() -> dict[str, bytes]:
    """Documents that would take all time or all memory."""
    twice = zlib.compress(zlib.compress(bytes(1_500_000_000), 9), 9)
    forms = [
        stream(
            b"/X Do " * 40,
            b"/Type /XObject /Subtype /Form /BBox [0 0 600 800] /Resources << /XObject << /X %d 0 R >> >>" % n,
        )
        for n in range(6, 20)
    ]
    forms.append(stream(b"0 0 9 9 re f " * 100, b"/Type /XObject /Subtype /Form /BBox [0 0 600 800]"))
    deep = b"[" * 300_000 + b"]" * 300_000
    image = b"/Type /XObject /Subtype /Image /Width 60000 /Height 60000 /BitsPerComponent 8 /ColorSpace /DeviceRGB"
    pixels = zlib.compress(bytes(100_000_000), 9)
    return {
        "inflates": one_page(stream(twice, b"/Filter [/FlateDecode /FlateDecode]")),
        "repeats": one_page(stream(b"/X Do"), *forms, resources=b"/XObject << /X 5 0 R >>"),
        "nests": one_page(stream(b"/X Do"), deep, resources=deep),
        "paints": one_page(
            stream(b"600 0 0 800 0 0 cm /X Do"),
            stream(pixels, image + b" /Filter /FlateDecode"),
            resources=b"/XObject << /X 5 0 R >>",
        ),
        "circles": raw_pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>"),
    }


ENDS = {"read", "crashed", "timeout", "broken", "too_large", "too_many_pages"}


async def ended(documents: Documents, content: bytes) -> str:
    """How reading a document of a few pages ended."""
    try:
        document = await documents.document(content, filename=None, picture_side=800)
    except Unreadable as error:
        return error.reason
    return "read" if len(document.pages) < 10 else "inflated"


@pytest.mark.slow
@pytest.mark.anyio
async def test_bombs_end_by_limits() -> None:
    """Each is refused, or read as far as it goes; a sound document is read after it."""
    async with aclosing(Documents(Config(workers=1, seconds=4, memory_mib=300), command=ROGUE)) as documents:
        for name, content in bombs().items():
            assert await ended(documents, content) in ENDS, name
            assert 1 == len((await documents.document(pdf(), filename=None, picture_side=None)).pages)


@pytest.mark.anyio
async def test_a_refusal_comes_back_from_a_child() -> None:
    """With its words."""
    words = "The document has 3 pages; at most 2 are read."
    async with aclosing(Documents(Config(max_pages=2))) as documents:
        assert ("too_many_pages", words) == await refused(documents.document(pdf(3), filename=None, picture_side=None))


def test_a_page_without_text_stays_so_where_nothing_reads_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads text in pictures is optional."""
    monkeypatch.setattr(seeing, "_PARTS", ("nothing_of_that_name",))
    assert [Page("")] == read(scan("Invoice 4711")).pages


@pytest.mark.slow
def test_a_scan_is_read_where_something_reads_pictures() -> None:
    """For a model that does not see."""
    assert [Page("Invoice 4711")] == read(scan("Invoice 4711")).pages
