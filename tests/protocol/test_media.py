"""Images and files are named in one way, and what is inlined can be read."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.protocol.content import ComputerScreenshot, InputFile, InputImage
from antiphon.protocol.errors import ApiError
from antiphon.protocol.media import check_file, check_image, is_base64
from antiphon.protocol.tool_settings import ImageMask

AN_IMAGE = "a base64-encoded data URL with an image MIME type (e.g. 'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU=')"
A_FILE = "a base64-encoded data URL with a valid file MIME type (e.g. 'data:text/plain;base64,SGVsbG8sIFdvcmxkIQ==')"


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/x.png",
        "HTTP://a.example",
        "http://127.0.0.1:9000/x",
        "data:image/png;base64,AAAA",
        "DATA:image/JPEG;BASE64,AAA=",
        "data:image/jpg;base64,AA==",
        "data:image/webp;charset=utf-8;base64,AAAA\r\nAAAA\r\n",
        "data:image/gif;base64,ab+/",
    ],
)
def test_an_image_may_be_on_the_web_or_inlined(url: str) -> None:
    """Whether an address may be reached is not decided here."""
    check_image(InputImage(image_url=url), "at")
    check_image(ComputerScreenshot(image_url=url), "at")
    check_image(ImageMask(image_url=url, file_id=None), "at")


def test_an_image_may_be_a_file() -> None:
    """Whether it exists is not decided here."""
    check_image(InputImage(file_id="file-1"), "at")


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("ftp://a.example/x.png", "invalid_image_url", "a valid URL, but got a value with an invalid format."),
        ("https://", "invalid_image_url", "a valid URL, but got a value with an invalid format."),
        ("https:///x.png", "invalid_image_url", "a valid URL, but got a value with an invalid format."),
        ("file:///etc/passwd", "invalid_image_url", "a valid URL, but got a value with an invalid format."),
        ("", "invalid_image_url", "a valid URL, but got a value with an invalid format."),
        ("iVBORw0KGgo=", "invalid_image_url", f"{AN_IMAGE}, but got a value without the 'data:' prefix."),
        (
            "data:application/pdf;base64,AAAA",
            "invalid_image_format",
            f"{AN_IMAGE}, but got unsupported MIME type 'application/pdf'.",
        ),
        ("data:;base64,AAAA", "invalid_image_format", f"{AN_IMAGE}, but got unsupported MIME type ''."),
        ("data:image/png;base64,", "empty_image_file", f"{AN_IMAGE}, but got an empty image."),
        ("data:image/png,AAAA", "invalid_base64_image", f"{AN_IMAGE}, but got an invalid base64-encoded value."),
        ("data:image/png", "invalid_base64_image", f"{AN_IMAGE}, but got an invalid base64-encoded value."),
        ("data:image/png;base64,AAA", "invalid_base64_image", f"{AN_IMAGE}, but got an invalid base64-encoded value."),
        ("data:image/png;base64,AA*A", "invalid_base64_image", f"{AN_IMAGE}, but got an invalid base64-encoded value."),
    ],
)
def test_an_image_that_cannot_be_read_is_refused(url: str, code: str, message: str) -> None:
    """The code is the one that the official packages list, the words are the recorded ones."""
    with pytest.raises(ApiError) as caught:
        check_image(InputImage(image_url=url), "input[0].content[1]")
    error = caught.value
    assert (error.code, error.param) == (code, "input[0].content[1].image_url")
    assert error.message == f"Invalid 'input[0].content[1].image_url'. Expected {message}"


def test_an_image_is_named_in_one_way() -> None:
    """Neither way and both ways are refused."""
    with pytest.raises(ApiError) as neither:
        check_image(InputImage(), "at")
    assert (neither.value.code, neither.value.param) == ("missing_required_parameter", "at.image_url")
    with pytest.raises(ApiError) as both:
        check_image(InputImage(image_url="https://a.example", file_id="file-1"), "at")
    assert both.value.code == "mutually_exclusive_parameters"


@pytest.mark.parametrize(
    "file",
    [
        InputFile(file_id="file-1"),
        InputFile(file_url="https://a.example/x.pdf"),
        InputFile(file_data="data:application/pdf;base64,AAAA", filename="x.pdf"),
        InputFile(file_data="AAAA", filename="x.pdf"),
    ],
)
def test_a_file_is_named_by_id_by_url_or_by_content(file: InputFile) -> None:
    """Content may be a data URL or bare base64."""
    check_file(file, "at")


@pytest.mark.parametrize(
    ("file", "code", "param"),
    [
        (InputFile(), "missing_required_parameter", "at.file_id"),
        (InputFile(filename="x.pdf"), "missing_required_parameter", "at.file_id"),
        (InputFile(file_id="file-1", file_url="https://a.example"), "mutually_exclusive_parameters", None),
        (InputFile(file_url="file:///etc/passwd"), "invalid_value", "at.file_url"),
        (InputFile(file_data="AAAA"), "missing_required_parameter", "at.filename"),
        (InputFile(file_data="", filename="x"), "invalid_value", "at.file_data"),
        (InputFile(file_data="data:text/plain,AAAA", filename="x"), "invalid_value", "at.file_data"),
        (InputFile(file_data="no base64", filename="x"), "invalid_value", "at.file_data"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(file: InputFile, code: str, param: str | None) -> None:
    """One source, a name for content, and content that is base64."""
    with pytest.raises(ApiError) as caught:
        check_file(file, "at")
    assert (caught.value.code, caught.value.param) == (code, param)


def test_sound_is_no_file() -> None:
    """The recorded words for a media type that no model reads."""
    with pytest.raises(ApiError) as caught:
        check_file(InputFile(file_data="data:audio/mpeg;base64,AAAA", filename="x.mp3"), "at")
    expected = f"Invalid file data: 'at.file_data'. Expected {A_FILE}, but got unsupported MIME type 'audio/mpeg'."
    assert caught.value.message == expected


@given(st.binary())
def test_what_was_encoded_is_base64(content: bytes) -> None:
    """Every encoding passes, with line breaks or without."""
    assert is_base64("data:," + base64.b64encode(content).decode(), 6)
    assert is_base64(base64.encodebytes(content).decode(), 0)


@given(st.text(alphabet="AB+/=\n *é", max_size=9))
def test_what_is_base64_can_be_decoded(text: str) -> None:
    """What passes is decoded without an error, strictly."""
    if is_base64(text, 0):
        base64.b64decode(text.replace("\n", ""), validate=True)


@pytest.mark.parametrize(
    ("place", "found", "is_fine"),
    [
        (50_000, "AAAA", True),
        (50_000, "A\r\nAAA\r\n", True),
        (50_000, "AAA=", False),
        (50_000, "AA A", False),
        (50_000, "AAé=", False),
        (99_996, "AA\r\n==", True),
        (99_996, "A===", False),
        (99_996, "AAA", False),
    ],
)
def test_what_is_long_is_looked_at_to_its_end(place: int, found: str, *, is_fine: bool) -> None:
    """It is read in pieces: what is wrong in a later one is wrong, and padding stands at the end of all."""
    text = "data:," + "A" * place + found + "A" * (99_996 - place)
    assert is_fine is is_base64(text, 6)


def test_nothing_is_base64() -> None:
    """A text that ends where its base64 would begin holds none that is wrong."""
    assert is_base64("data:,", 6)
