"""Sizes of images, read from the first bytes of their base64."""

from __future__ import annotations

import io
from base64 import b64encode

import pytest
from PIL import Image

from antiphon.core.image_size import Pixels, image_size, size_of


def picture(form: str, **settings: object) -> bytes:
    """A picture of 700 by 300 pixels."""
    room = io.BytesIO()
    Image.new("RGB", (700, 300), "navy").save(room, form, **settings)
    return room.getvalue()


def url(content: bytes) -> str:
    """A data URL; what it says of its type is not looked at."""
    return f"data:image/any;base64,{b64encode(content).decode()}"


@pytest.mark.parametrize("form", ["PNG", "GIF", "JPEG", "WEBP"])
def test_the_size_of_a_picture_is_read(form: str) -> None:
    """Of the four formats that models are shown."""
    assert Pixels(700, 300) == image_size(url(picture(form))) == size_of(picture(form))


def test_the_size_of_a_webp_without_loss_is_read() -> None:
    """Its bits are packed otherwise."""
    assert Pixels(700, 300) == image_size(url(picture("WEBP", lossless=True)))


def test_the_size_of_a_webp_with_more_in_it_is_read() -> None:
    """A profile makes it an extended one."""
    assert Pixels(700, 300) == image_size(url(picture("WEBP", icc_profile=b"profile")))


@pytest.mark.parametrize("length", [1, 2, 3, 60_000])
def test_a_jpeg_is_stepped_through_to_its_frame(length: int) -> None:
    """What cameras write before it may be long, and end within a group of base64."""
    assert Pixels(700, 300) == image_size(url(picture("JPEG", exif=b"Exif\0\0" + bytes(length))))


def test_a_padded_marker_of_a_jpeg_is_read() -> None:
    """A marker may be preceded by any number of its first byte."""
    content = picture("JPEG")
    assert Pixels(700, 300) == image_size(url(content[:2] + b"\xff\xff" + content[2:]))


@pytest.mark.parametrize(
    "broken",
    [
        "https://example.com/picture.png",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png;base64,????",
        "data:image/png;base64,iVBORw0KGgo=",
        "data:image/png;base64,é",
        url(b"RIFF\0\0\0\0WEBPVP8?" + bytes(30)),
        url(b"\xff\xd8\xff\xe0\x00\x10JFIF"),
        url(b"\xff\xd8" + b"\xff" * 300),
        url(b"\xff\xd8" + b"no marker here"),
        url(b"\x89PNG\r\n\x1a\n" + bytes(30)),
        url(b"plain text that is no picture at all"),
    ],
)
def test_a_size_that_cannot_be_told_is_none(broken: str) -> None:
    """Whatever is sent, nothing is raised."""
    assert image_size(broken) is None


@pytest.mark.parametrize(
    "broken", [b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + bytes(30), b"plain text"]
)
def test_a_size_that_bytes_do_not_tell_is_none(broken: bytes) -> None:
    """As little as where they are written in base64."""
    assert size_of(broken) is None
