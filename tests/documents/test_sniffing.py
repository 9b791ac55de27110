"""What a file is, by its bytes, at little cost."""

from __future__ import annotations

import struct

import pytest

from antiphon.documents import sniffed
from tests.documents.files import TYPES, archive, pdf, quarters, saved


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (saved(quarters(), "PNG"), "image/png"),
        (saved(quarters(), "JPEG"), "image/jpeg"),
        (saved(quarters(), "WEBP"), "image/webp"),
        (saved(quarters(), "GIF"), "image/gif"),
        (pdf(), "application/pdf"),
        (b"\r\n\r\n" + pdf(), "application/pdf"),
        (b"\xef\xbb\xbf" + pdf(), "application/pdf"),
        (b"%PDF-1.7 is how a PDF begins", "application/pdf"),
        (b"A PDF begins with %PDF-1.7", None),
        (b'{"start": "%PDF-"}', None),
        (b" " * 2000 + b"%PDF-", None),
        (b"", None),
        (b"plain text", None),
        (b"PK", None),
        (b"PK\x05\x06" + bytes(10), None),
        (b"PK\x05\x06" + bytes(18), None),
    ],
)
def test_a_file_is_known_by_its_bytes(content: bytes, media_type: str | None) -> None:
    """Whatever it is called."""
    assert media_type == sniffed(content)


def test_a_directory_that_lies_is_not_followed() -> None:
    """Whatever it says of its entries and its size."""
    sound = archive({"[Content_Types].xml": TYPES, "word/document.xml": "x"})
    end = sound.rindex(b"PK\x05\x06")
    assert str(sniffed(sound)).endswith("wordprocessingml.document")
    for entries, size in [(65535, 2**32 - 1), (65535, 60), (65535, 0), (2, 10)]:
        lie = sound[: end + 8] + struct.pack("<HHI", entries, entries, size) + sound[end + 16 :]
        assert sniffed(lie) is None
    many = sound[: end + 8] + struct.pack("<HH", 65535, 65535) + sound[end + 12 :]
    assert sniffed(sound) == sniffed(many)


def test_a_name_beyond_those_that_are_looked_at_is_not_seen() -> None:
    """A directory of a million names costs no more than one of two thousand."""
    assert sniffed(archive({"[Content_Types].xml": TYPES} | {str(n): "" for n in range(2000)} | {"word/x": ""})) is None
