"""What a model is asked and reads when it writes notes of a conversation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from antiphon.core.estimate import text_tokens
from antiphon.core.turn import Function, Hints, Turn
from antiphon.lifecycle.handover import Chunk, asking, pieces, told
from antiphon.protocol.calls import McpCall, McpListTools
from antiphon.protocol.content import InputFile, InputImage, InputText, OutputText, RefusalPart
from antiphon.protocol.items import FunctionCallOutput, Item, Message
from antiphon.protocol.settings import Reasoning
from tests.core.test_cutting import call, message, output, thought
from tests.lifecycle.readers import read

IMAGE = InputImage(image_url="data:image/png;base64,AAAA")


def texts(chunks: list[Chunk]) -> str:
    """What is told in words."""
    return "".join(chunk.part.text if isinstance(chunk.part, InputText) else "<image>" for chunk in chunks)


def test_every_kind_of_item_is_told() -> None:
    """Who said what, who called what, and what came of it; a thought is nobody's business."""
    asked = Message(role="user", content=[InputText(text="Look:"), IMAGE, InputFile(file_id="file-1")])
    items: list[Item] = [
        message("developer", "Be brief."),
        asked,
        thought(),
        call("a"),
        FunctionCallOutput(id="fco_a", call_id="a", output=[InputText(text="A picture:"), IMAGE]),
        McpListTools(id="mcpl_1", server_label="wiki", tools=[]),
        McpCall(id="mcp_1", server_label="wiki", name="ask", arguments='{"q": 1}'),
        Message(role="assistant", content=[OutputText(text="Done."), RefusalPart(refusal="No more.")]),
    ]
    turn = Turn(items, outputs={"mcp_1": "An answer."})
    expected = (
        "\n[developer]\nBe brief.\n\n[user]\nLook:\n<image>[something that cannot be told in words]\n"
        "\n[assistant calls look_up]\n{}\n\n[the tool answers]\nA picture:\n<image>"
        '\n[assistant calls wiki__ask]\n{"q": 1}\n\n[the tool answers]\nAn answer.\n'
        "\n[assistant]\nDone.\nNo more.\n"
    )
    assert expected.replace("An answer.\n\n[assistant]", "An answer.\n[assistant]") == texts(told(items, turn))


def test_an_output_in_words_is_told() -> None:
    """As it is."""
    assert "\n[the tool answers]\nFound." == texts(told([output("a")], Turn([])))


@given(st.lists(st.one_of(st.text(min_size=1, max_size=400), st.none()), max_size=8), st.integers(1, 200))
def test_pieces_hold_all_that_is_told(parts: list[str | None], room: int) -> None:
    """In order, nothing twice, and no text that is longer than a piece."""
    chunks = [Chunk(IMAGE, 85.0) if part is None else Chunk(InputText(text=part), text_tokens(part)) for part in parts]
    found = list(pieces(chunks, room))
    seen = [part for piece in found for part in piece]
    assert texts(chunks) == "".join(part.text if isinstance(part, InputText) else "<image>" for part in seen)
    assert all(found)
    for piece in found:
        cost = sum(text_tokens(part.text) if isinstance(part, InputText) else 85 for part in piece)
        assert cost <= 3 * room + 85  # the characters of a text are not all alike


def test_a_conversation_that_fits_is_one_piece() -> None:
    """It is asked about once."""
    assert 1 == len(list(pieces(told([message("user")] * 20, Turn([])), 1000)))


def test_the_question_holds_the_conversation_and_no_function() -> None:
    """What the turn knows of its caller goes along."""
    hints = Hints(user="ada")
    turn = Turn([], model="m", functions=[Function("f", Raw(b"{}"))], reasoning=Reasoning(effort="low"), hints=hints)
    asked = asking(turn, "", [InputText(text="Hello. "), IMAGE, InputText(text=" Bye.")], most=1000)
    assert ("m", [], hints, 1000) == (asked.model, asked.functions, asked.hints, asked.max_output_tokens)
    assert asked.reasoning == turn.reasoning
    words = read(asked)
    assert words.startswith("<conversation>\nHello. <image> Bye.\n</conversation>")
    assert "handover notes" in (asked.instructions or "")
    assert "at most 600 words" in (asked.instructions or "")


def test_the_next_piece_comes_with_the_notes_so_far() -> None:
    """They are written anew."""
    words = read(asking(Turn([]), "what I know", [InputText(text="More.")], most=100))
    assert "<notes>\nwhat I know\n</notes>" in words
    assert "cover both" in words


@pytest.mark.parametrize(("most", "words"), [(10, 60), (100_000, 2000)])
def test_notes_are_neither_too_short_nor_too_long(most: int, words: int) -> None:
    """Whatever the window is."""
    assert f"at most {words} words" in (asking(Turn([]), "", [], most=most).instructions or "")
