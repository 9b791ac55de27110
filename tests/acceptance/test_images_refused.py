"""Pictures and documents that cannot be shown: refused by name, in every form, before any model is asked."""

from __future__ import annotations

import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile

import httpx2 as httpx
import pytest

from antiphon.documents import Config as Documents
from antiphon.outbound import Config as Private
from antiphon.outbound import Outbound
from tests.acceptance.showing import Client, Json, Studio, data_url, plain, shown, studio, uploaded, web
from tests.documents.files import TYPES, animation, archive, chunk, noise, pdf, png, quarters, raw_pdf, saved
from tests.patient import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

FORMS: list[Json] = [{}, {"stream": True}, {"background": True}, {"background": True, "stream": True}]
AT = "input[0].content[1].image_url"
PNG = saved(noise(64, 64), "PNG")
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"


def bomb(kind: str) -> bytes:
    """A small archive of a kind of document that grows to 300 MB."""
    room = BytesIO()
    with ZipFile(room, "w", ZIP_DEFLATED) as made:
        made.writestr("[Content_Types].xml", TYPES)
        for number in range(30):
            made.writestr(f"{kind}/{number}.xml", bytes(10_000_000))
    return room.getvalue()


def pages(count: int) -> bytes:
    """A PDF of so many empty pages."""
    kids = b" ".join(b"%d 0 R" % number for number in range(3, count + 3))
    tree = b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, count)
    return raw_pdf(b"<< /Type /Catalog /Pages 2 0 R >>", tree, *[PAGE] * count)


BAD_PICTURES: dict[str, tuple[bytes, str]] = {
    "words": (b"just words, and no picture", "invalid_image_format"),
    "a PDF": (pdf(1), "invalid_image_format"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "invalid_image_format"),
    "TIFF": (saved(quarters(), "TIFF"), "invalid_image_format"),
    "too many pixels": (png(12_000, 12_000), "image_too_large"),
    "an edge too long": (png(100_000, 2), "image_too_large"),
    "many pixels of WebP": (b"RIFF\x1e\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\xff\xff\x3f\xff\xff\x3f\0\0", "image_too_large"),
    "a cut PNG": (PNG[: len(PNG) // 2], "image_parse_error"),
    "a cut JPEG": (saved(noise(64, 64), "JPEG")[:900], "image_parse_error"),
    "a cut WebP": (saved(noise(64, 64), "WEBP")[:200], "image_parse_error"),
    "a cut GIF": (saved(noise(64, 64), "GIF")[:900], "image_parse_error"),
    "only a signature": (PNG[:8], "image_parse_error"),
    "fewer pixels than it says": (png(64, 64, pixels=b"\0\0"), "image_parse_error"),
    "a text that inflates": (
        png(8, 8, pixels=(b"\0" + bytes(8)) * 8, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(30_000_000)))),
        "image_parse_error",
    ),
}
BAD_DOCUMENTS: dict[str, tuple[bytes, str, str]] = {
    "encrypted": (pdf(1, password="secret"), "invalid_file", "encrypted"),
    "cut": (pdf(3)[:500], "invalid_file", "damaged"),
    "no PDF inside": (b"%PDF-1.7\n" + b"garbage" * 100, "invalid_file", "damaged"),
    "10,000 pages": (pages(10_000), "invalid_file", "10000 pages"),
    "a bomb of a Word document": (bomb("word"), "file_too_large", "large"),
    "a bomb of a workbook": (bomb("xl"), "file_too_large", "large"),
    "no Word document inside": (archive({"[Content_Types].xml": TYPES, "word/document.xml": "<"}), "invalid_file", ""),
    "old Office": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "unsupported_file", "old Office format"),
    "octets": (bytes(range(256)) * 8, "unsupported_file", ""),
    "only spaces": (b"  \n ", "invalid_file", "no text"),
}
"""Documents by what is wrong with them: the code, and a word of the message."""


@pytest.fixture(scope="module")
def server() -> Iterator[Studio]:
    """A server with everything, which does not wait long for URLs and bounds its child processes."""
    with pytest.MonkeyPatch.context() as patch:
        seconds = {"total_seconds": 3.0, "idle_seconds": 1.0}
        defaults = Outbound.__init__.__kwdefaults__
        assert defaults is not None
        for name, value in seconds.items():
            patch.setitem(defaults, name, value)
        with studio(documents=Documents(seconds=20, memory_mib=512)) as made:
            yield made


@pytest.fixture(scope="module")
def client(server: Studio) -> Iterator[Client]:
    """Its client."""
    with plain(server.address) as made:
        yield made


@pytest.fixture(autouse=True)
def nobody_was_asked(server: Studio) -> Iterator[None]:
    """After each test no model was asked and nobody drew."""
    before = asked(server)
    yield
    assert before == asked(server)


def asked(server: Studio) -> tuple[int, int]:
    """How often a model was asked, and somebody who draws."""
    return len(server.model.asked), len(server.painter.asked)


def refusal(server: Studio, parts: list[Json], **more: Json) -> tuple[str, str | None, str]:
    """The code, the parameter and the words of a request that is refused as a whole."""
    body = {"model": "m", "input": shown(*parts), **more}
    answer = httpx.post(f"{server.address}/v1/responses", json=body, timeout=HANG_SECONDS)
    assert 400 == answer.status_code, answer.text
    assert "application/json" == answer.headers["content-type"].partition(";")[0]
    error = answer.json()["error"]
    assert "invalid_request_error" == error["type"]
    return error["code"], error["param"], error["message"]


def image(source: str, **more: str) -> Json:
    """The part of a picture."""
    return {"type": "input_image", "image_url": source, **more}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_refused(server: Studio, client: Client, name: str) -> None:
    """As a data URL, as a file that is not for vision, by URL, and as a document."""
    content, code = BAD_PICTURES[name]
    id = uploaded(client, content, "picture.png", "user_data")
    with web({"/picture.png": content}) as address:
        for form, source in zip(
            [*FORMS, {}, {"model": "blind"}],
            [
                data_url(content),
                f"{address}/picture.png",
                data_url(content),
                data_url(content),
                None,
                data_url(content),
            ],
            strict=True,
        ):
            part = {"type": "input_image", "file_id": id} if source is None else image(source)
            assert (code, "input") == refusal(server, [part], **form)[:2]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/png;base64,", "empty_image_file"),
        ("data:image/png;base64,?", "invalid_base64_image"),
        ("data:image/png,abc", "invalid_base64_image"),
        ("data:image/svg+xml;base64,PHN2Zy8+", "invalid_image_format"),
        ("data:application/pdf;base64,JVBERi0=", "invalid_image_format"),
        ("ftp://example.com/a.png", "invalid_image_url"),
        ("file:///etc/passwd", "invalid_image_url"),
        ("iVBORw0KGgo=", "invalid_image_url"),
        ("antiphon-blob:resp_1/" + 64 * "0", "invalid_image_url"),
        ("data:image/png;base64,antiphon-blob:resp_1/" + 64 * "0", "invalid_base64_image"),
    ],
)
def test_what_names_no_picture_is_refused_where_it_stands(server: Studio, url: str, code: str) -> None:
    """With its path, before anything is fetched or opened."""
    for form in FORMS:
        assert (code, AT) == refusal(server, [image(url)], **form)[:2]


@pytest.mark.parametrize("name", BAD_DOCUMENTS)
def test_a_bad_document_is_refused(server: Studio, client: Client, name: str) -> None:
    """By what is wrong with it, and by its name; whether the model sees or not, and whatever it is called."""
    content, code, word = BAD_DOCUMENTS[name]
    id = uploaded(client, content, "report.pdf", "user_data")
    data = {"type": "input_file", "filename": "report.pdf", "file_data": data_url(content, "application/pdf")}
    for form, part in zip(FORMS, [data, {"type": "input_file", "file_id": id}, data, data], strict=True):
        found, param, message = refusal(server, [part], **form)
        assert (code, "input", True) == (found, param, word in message), message
        assert message.startswith("The file 'report.pdf' cannot be read: ")
    assert code == refusal(server, [data], model="blind")[0]


def test_a_bad_url_is_refused_in_time(server: Studio) -> None:
    """What is not there, is no picture, never answers, never ends, drips, or leads where nobody may look."""
    private = "http://127.0.0.2:1/a.png"
    moved = {"/moved": private, "/circle": "/circle", "/meta": "http://169.254.169.254/latest", "/file": "file:///a"}
    paths = ["/gone", "/page", "/slow", "/drip", "/endless", *moved]
    kinds: list[tuple[str, str]] = [("input_image", "image_url"), ("input_file", "file_url")]
    with web({"/page": b"<html><h1>Hello</h1>"}, moved) as address, ThreadPoolExecutor(16) as pool:
        urls = [*(f"{address}{path}" for path in paths), private, "http://localhost.invalid/a.png"]
        cases = [(url, kind) for url in urls for kind in kinds if not (url.endswith("/page") and kind == kinds[1])]
        began = time.monotonic()
        found = pool.map(
            lambda case: (
                case,
                refusal(server, [{"type": case[1][0], case[1][1]: case[0]}], **FORMS[len(case[0]) % 3]),
            ),
            cases,
        )
        codes = {case: (error[0], error[1]) for case, error in found}
    expected = {
        (url, (type_, field)): (
            "invalid_image_format" if url.endswith("/page") else f"failed_to_download_{type_.removeprefix('input_')}",
            "input",
        )
        for url, (type_, field) in cases
    }
    assert expected == codes
    assert time.monotonic() - began < HANG_SECONDS


def test_a_private_address_is_never_dialled() -> None:
    """Neither at once nor by a redirect, for pictures, documents and masks; and the answer keeps the place."""
    with studio(outbound=Private()) as server, web({"/a": PNG}) as address:
        for kind, field in (("input_image", "image_url"), ("input_file", "file_url")):
            code, _, message = refusal(server, [{"type": kind, field: f"{address}/a"}])
            assert (True, False) == (code.startswith("failed_to_download_"), "127.0.0.1" in message)
        mask = {"type": "image_generation", "input_image_mask": {"image_url": f"{address}/a"}}
        code, param, message = refusal(server, [image(data_url(PNG))], tools=[mask])
        assert ("failed_to_download_image", "tools[0].input_image_mask") == (code, param)
        assert "127.0.0.1" not in message
        assert (0, 0) == asked(server)


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_a_bomb_of_frames_is_a_picture_of_one(kind: str) -> None:
    """Only the first of a thousand is decoded."""
    content = animation(kind, 1000 if kind == "GIF" else 200)
    with studio() as server:
        body = {"model": "m", "input": shown(image(data_url(content)))}
        assert 200 == httpx.post(f"{server.address}/v1/responses", json=body, timeout=HANG_SECONDS).status_code
        assert [(40, 20)] == [picture.size for picture in server.model.seen()]
