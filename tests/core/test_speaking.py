"""What items say in words, to whoever judges them."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from antiphon.core.speaking import spoken
from antiphon.protocol.calls import ImageGenerationCall, ShellAction, ShellCall
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import (
    ComputerScreenshot,
    InputImage,
    InputText,
    OutputText,
    ReasoningText,
    RefusalPart,
    SummaryText,
)
from antiphon.protocol.items import (
    AdditionalTools,
    Compaction,
    ConfigurationUpdate,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    ItemReference,
    Message,
    ReasoningItem,
)
from antiphon.protocol.tools import FunctionTool

PICTURE = InputImage(image_url="data:image/png;base64,AAAA")
SUMMARY = [SummaryText(text="In short.")]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (
            Message(role="user", content=[InputText(text="Look:"), PICTURE, InputText(text="What is it?")]),
            "Look:\nWhat is it?",
        ),
        (
            Message(role="assistant", content=[OutputText(text="A cat."), RefusalPart(refusal="No more.")]),
            "A cat.\nNo more.",
        ),
        (Message(role="user", content=[PICTURE, InputText(text="")]), ""),
        (FunctionCall(call_id="c", name="f", arguments='{"a":1}'), '{"a":1}'),
        (CustomToolCall(call_id="c", name="f", input="go"), "go"),
        (FunctionCallOutput(call_id="c", output="12 degrees"), "12 degrees"),
        (FunctionCallOutput(call_id="c", output=[InputText(text="See:"), PICTURE]), "See:\n[an image]"),
        (CustomToolCallOutput(call_id="c", output="done"), "done"),
        (ReasoningItem(summary=SUMMARY, content=[ReasoningText(text="At length.")]), "In short.\nAt length."),
        (ReasoningItem(summary=SUMMARY, content=UNSET), "In short."),
        (ImageGenerationCall(revised_prompt="A red cat.", result="AAAA"), "A red cat."),
        (ImageGenerationCall(result="AAAA"), ""),
        (ComputerCallOutput(call_id="c", output=ComputerScreenshot(file_id="file-1")), ""),
        (Compaction(encrypted_content="sealed"), ""),
        (ConfigurationUpdate(), ""),
        (ItemReference(id="msg_1"), ""),
    ],
)
def test_an_item_says_what_somebody_wrote(item: Item, words: str) -> None:
    """Texts, arguments, outputs and thoughts, without the item around them; a picture is silent."""
    assert words == spoken(item)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (AdditionalTools(tools=[FunctionTool(name="f", description="Harm them.", parameters={})]), "Harm them."),
        (ShellCall(call_id="c", action=ShellAction(commands=["rm -rf /"])), "rm -rf /"),
    ],
)
def test_what_has_no_words_of_its_own_is_judged_whole(item: Item, words: str) -> None:
    """As its JSON: nothing that it has escapes."""
    assert words in spoken(item)
    assert spoken(item)[0] in "[{"
