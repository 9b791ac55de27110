"""What a model that only reads is told of an output."""

from __future__ import annotations

from antiphon.core.outputs import in_words
from antiphon.protocol.content import InputFile, InputImage, InputPart, InputText


def test_text_is_read_as_it_is() -> None:
    """Empty or not."""
    assert ["", "It rains.\n"] == [in_words(""), in_words("It rains.\n")]


def test_what_can_only_be_seen_is_named() -> None:
    """Each part on a line of its own, in order, and nothing of the bytes of an image or a file."""
    parts: list[InputPart] = [
        InputText(text="Before."),
        InputImage(image_url="data:image/png;base64,AAAA"),
        InputFile(file_data="data:application/pdf;base64,AAAA"),
        InputText(text="After."),
    ]
    assert in_words(parts) == "Before.\n[an image]\n[a file]\nAfter."


def test_an_output_without_parts_is_empty_text() -> None:
    """A model reads nothing."""
    assert not in_words([])
