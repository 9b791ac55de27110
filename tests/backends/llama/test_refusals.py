"""What the embedded model cannot do."""

from __future__ import annotations

import pytest

from antiphon.backends import UpstreamError
from antiphon.backends.llama.refusals import explained, refuse
from antiphon.core.turn import Turn
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import (
    AudioClip,
    ComputerScreenshot,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
)
from antiphon.protocol.items import FunctionCall, FunctionCallOutput, Item, Message

IMAGE = InputImage(image_url="data:image/png;base64,AA")
SEEN: list[Item] = [
    Message(role="user", content=[InputText(text="Look"), IMAGE]),
    FunctionCallOutput(call_id="c", output=[IMAGE]),
    ComputerCallOutput(call_id="c", output=ComputerScreenshot(image_url="data:image/png;base64,AA")),
]
UNREADABLE: list[Item] = [
    Message(role="user", content=[InputAudio(input_audio=AudioClip(data="AA", format="mp3"))]),
    Message(role="user", content=[InputFile(file_data="AA")]),
]


@pytest.mark.parametrize("item", SEEN)
def test_an_image_is_refused_by_a_model_that_cannot_see(item: Item) -> None:
    """The error says so and names the input."""
    with pytest.raises(UpstreamError, match="cannot see images") as caught:
        refuse(Turn([item]), sees=False)
    assert (caught.value.fault, caught.value.param) == ("invalid_request", "input")


@pytest.mark.parametrize("item", SEEN)
def test_an_image_passes_to_a_model_that_sees(item: Item) -> None:
    """A projector gives it eyes."""
    refuse(Turn([item]), sees=True)


@pytest.mark.parametrize("item", UNREADABLE)
def test_sound_and_documents_are_refused(item: Item) -> None:
    """No projector helps."""
    with pytest.raises(UpstreamError, match=r"cannot hear|only as text"):
        refuse(Turn([item]), sees=True)


def test_text_and_calls_pass() -> None:
    """What is no message holds nothing that could not be read."""
    call = FunctionCall(call_id="c", name="f", arguments="{}")
    refuse(Turn([call, FunctionCallOutput(call_id="c", output="text")]), sees=False)


def test_a_turn_without_items_is_refused() -> None:
    """llama.cpp would babble."""
    with pytest.raises(UpstreamError, match="no input"):
        refuse(Turn([], instructions="Speak!"), sees=True)


@pytest.mark.parametrize(
    ("fault", "detail", "expected"),
    [
        ("server_error", "status 500: Context size has been exceeded.", "context_length_exceeded"),
        ("server_error", "Unexpected empty grammar stack after accepting piece", "invalid_request"),
        ("invalid_request", "JSON schema error at #: unrecognized type bogus", "invalid_request"),
        ("server_error", "something else", "server_error"),
        ("timeout", "grammar", "timeout"),
    ],
)
def test_complaints_of_the_engine_name_whose_fault_it_is(fault: str, detail: str, expected: str) -> None:
    """A schema that the grammar cannot follow and a context that is full are the caller's input."""
    error = UpstreamError(fault, "The server failed.", detail=detail)  # type: ignore[arg-type]  # one of its words
    told = explained(error, Turn([]))
    assert told.fault == expected
    assert told.detail == detail
