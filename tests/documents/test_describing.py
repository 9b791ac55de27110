"""A picture in words."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from PIL import Image

from antiphon.documents import Config, Documents, Unreadable, seeing
from antiphon.documents.describing import description
from tests.documents.files import lettered, noise, saved


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("white", "white"),
        ("black", "black"),
        ("#888", "grey"),
        ("red", "red"),
        ("blue", "blue"),
        ("#2a2", "green"),
        ("#0000", "white"),
    ],
)
def test_a_picture_has_a_size_a_format_and_a_colour(colour: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is said where text was not looked for."""
    monkeypatch.setattr(seeing, "_PARTS", ("nothing_of_that_name",))
    content = saved(Image.new("RGBA", (30, 20), colour), "PNG")
    assert f"30x20 pixels, PNG, mostly {name}; text was not looked for" == description(content)


def test_a_picture_of_many_colours_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own format."""
    monkeypatch.setattr(seeing, "_PARTS", ("nothing_of_that_name",))
    assert "90x90 pixels, JPEG, of many colours; text was not looked for" == description(saved(noise(90, 90), "JPEG"))
    assert description(saved(noise(90, 90), "WEBP")).startswith("90x90 pixels, WebP, ")


def test_what_is_no_picture_has_no_description() -> None:
    """The same reasons as for pictures."""
    with pytest.raises(Unreadable, match="not a PNG"):
        description(b"x")


@pytest.mark.slow
@pytest.mark.anyio
async def test_text_in_a_picture_is_read_by_a_child() -> None:
    """With the optional reader, within the memory that a child has."""
    async with aclosing(Documents(Config(seconds=60, memory_mib=512))) as documents:
        content = saved(lettered("Invoice 4711\nTotal 1,234.50"), "PNG")
        expected = '900x300 pixels, PNG, mostly white; text: "Invoice 4711 / Total 1,234.50"'
        assert expected == await documents.description(content)
        blank = saved(Image.new("RGB", (200, 100), "white"), "PNG")
        assert "200x100 pixels, PNG, mostly white; no text was found" == await documents.description(blank)


@pytest.mark.slow
def test_long_text_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A description is short."""
    monkeypatch.setattr("antiphon.documents.describing.TEXT", 4)
    assert description(saved(lettered("Invoice 4711"), "PNG")).endswith('text: "Invo..."')
