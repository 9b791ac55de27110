"""Drawings as a model is told of them: with the picture where it is at hand, in words where it is not."""

from __future__ import annotations

from base64 import b64encode

import pytest

from antiphon.backends.upstream.retelling import Told, retell
from antiphon.core.turn import Output
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.content import InputImage, InputText

PNG = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
SVG = b64encode(b"<svg/>").decode()


def called(told: Told) -> tuple[str, str, str, Output | None]:
    """Id, name, arguments and output of the call that is told."""
    assert told.call is not None
    return told.call.id, told.call.name, told.call.arguments, told.call.output


def test_a_drawing_is_told_with_its_picture() -> None:
    """What the tool said, and what was drawn."""
    item = ImageGenerationCall(id="ig_1", result=PNG, revised_prompt="A cat.")
    expected = [InputText(text="Drawn."), InputImage(image_url=f"data:image/png;base64,{PNG}")]
    told = called(retell(item, {"ig_1": "Drawn."}))
    assert ("ig_1", "image_generation", '{"prompt":"A cat."}', expected) == told


@pytest.mark.parametrize(
    "item",
    [
        ImageGenerationCall(id="ig_1"),
        ImageGenerationCall(id="ig_1", result=""),
        ImageGenerationCall(id="ig_1", result=SVG),
        ImageGenerationCall(id="ig_1", result="antiphon-blob:resp_1/ab"),
    ],
)
def test_a_drawing_without_a_picture_that_can_be_shown_is_told_in_words(item: ImageGenerationCall) -> None:
    """It was taken away for a model without eyes, is gone, or is text."""
    told = called(retell(item, {"ig_1": "Drawn."}))
    assert ("ig_1", "image_generation", '{"prompt":""}', "Drawn.") == told


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (ImageGenerationCall(id="ig_1"), "The image was drawn and shown to the user."),
        (ImageGenerationCall(id="ig_1", status="generating"), "The image was drawn and shown to the user."),
        (ImageGenerationCall(id="ig_1", status="failed", result=""), "Nothing was drawn."),
        (ImageGenerationCall(id="ig_1", status="in_progress"), "Nothing was drawn."),
    ],
)
def test_a_drawing_of_which_nothing_was_kept_is_told_by_its_status(item: ImageGenerationCall, says: str) -> None:
    """The caller keeps the conversation."""
    assert says == called(retell(item, {}))[3]


def test_a_drawing_that_the_caller_sends_back_is_seen() -> None:
    """Though nothing of it was kept."""
    item = ImageGenerationCall(id="ig_1", result=PNG)
    told = called(retell(item, {}))[3]
    assert isinstance(told, list)
    assert InputImage(image_url=f"data:image/png;base64,{PNG}") == told[1]
