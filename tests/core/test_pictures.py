"""The pictures of a conversation: their order, and what an edit means that names none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from antiphon.core.pictures import Shown, pictures, pointed_first
from antiphon.protocol.calls import ImageGenerationCall
from antiphon.protocol.computer import ComputerCallOutput
from antiphon.protocol.content import ComputerScreenshot, InputImage, InputText, OutputText
from antiphon.protocol.items import (
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    ReasoningItem,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.core.pictures import Origin

A, B, C = (InputImage(image_url=f"https://p.example/{name}") for name in "abc")
CALL = FunctionCall(call_id="c1", name="f", arguments="{}")


def user(*pictures: InputImage) -> Message:
    """What the person says, with pictures."""
    return Message(role="user", content=[InputText(text="Look."), *pictures])


def drawing(id: str = "ig_1", result: str = "AAAA") -> ImageGenerationCall:
    """A picture that was drawn."""
    return ImageGenerationCall(id=id, result=result)


SAID = Message(role="assistant", content=[OutputText(text="Well.")])


def defaults(items: Sequence[Item], *pointed: str) -> list[Origin]:
    """What an edit starts from that names no picture."""
    return [shown.origin for shown in pictures(items, pointed) if shown.is_default]


def test_a_conversation_without_pictures_has_none() -> None:
    """Whatever else is said."""
    assert [] == pictures([])
    assert [] == pictures([user(), SAID, CALL, FunctionCallOutput(call_id="c1", output="words")])


def test_pictures_are_told_in_the_order_in_which_they_appeared() -> None:
    """Those of persons, functions, custom tools, and drawings."""
    items: list[Item] = [
        user(A, B),
        drawing(),
        CALL,
        FunctionCallOutput(call_id="c1", output=[InputText(text="Here."), C]),
        CustomToolCallOutput(call_id="c2", output=[A]),
        user(),
    ]
    assert [A, B, drawing(), C, A] == [shown.origin for shown in pictures(items)]


@pytest.mark.parametrize("status", ["completed", "generating"])
def test_a_drawing_with_a_picture_counts(status: Literal["completed", "generating"]) -> None:
    """Azure says that finished ones are still being made."""
    assert 1 == len(pictures([ImageGenerationCall(id="ig_1", status=status, result="AAAA")]))


@pytest.mark.parametrize(
    "item",
    [
        ImageGenerationCall(id="ig_1"),
        ImageGenerationCall(id="ig_1", result=""),
        ImageGenerationCall(id="ig_1", status="failed", result="AAAA"),
        ImageGenerationCall(id="ig_1", status="in_progress"),
        ComputerCallOutput(call_id="c1", output=ComputerScreenshot(image_url="https://p.example/screen")),
    ],
)
def test_what_shows_no_picture_of_the_conversation_does_not_count(item: Item) -> None:
    """A drawing that failed or is not here, and a screen."""
    assert [] == pictures([item])


def test_an_edit_means_the_pictures_of_the_last_words() -> None:
    """All of them, and no earlier one."""
    assert [B, C] == defaults([user(A), SAID, user(B, C)])


def test_the_last_words_may_be_several_messages() -> None:
    """Up to what the model said, and with what stands behind them."""
    system = Message(role="system", content=[InputText(text="Be kind.")])
    assert [B, A, C] == defaults([user(C), SAID, user(B), system, user(A), CALL, output(C)])


def output(picture: InputImage) -> FunctionCallOutput:
    """What a function shows."""
    return FunctionCallOutput(call_id="c1", output=[picture])


@pytest.mark.parametrize(
    "before",
    [
        [SAID],
        [drawing()],
        [ReasoningItem(summary=[])],
        [CALL],
        [CALL, output(A)],
        [CustomToolCall(call_id="c1", name="f", input=""), CustomToolCallOutput(call_id="c1", output=[A])],
    ],
)
def test_the_last_words_begin_behind_what_the_model_did(before: list[Item]) -> None:
    """It spoke, drew, thought, or had something done."""
    assert [B] == defaults([user(C), *before, user(B)])


def test_an_edit_means_the_drawings_to_which_the_request_points() -> None:
    """However long ago they were made; beside what the person shows."""
    items: list[Item] = [user(A), drawing("ig_1"), drawing("ig_2"), user(B)]
    assert [drawing("ig_1"), B] == defaults(items, "ig_1")
    assert [drawing("ig_1")] == defaults([*items[:3], user()], "ig_1", "msg_1")


@pytest.mark.parametrize("items", [[user(A), drawing(), user()], [CALL, output(A), drawing(), SAID], [drawing()]])
def test_where_nothing_was_shown_an_edit_means_the_last_picture(items: list[Item]) -> None:
    """Whether or not the person says anything at all."""
    assert [drawing()] == defaults(items)


def test_what_was_made_since_the_last_words_counts_with_them() -> None:
    """The person has said nothing since."""
    assert [A, C, drawing(), B] == defaults([user(A, C), drawing(), CALL, output(B)])


def test_without_a_persons_words_what_stands_last_is_shown() -> None:
    """A picture of the developer's."""
    told = Message(role="developer", content=[A])
    assert [Shown(drawing(), is_default=False), Shown(A, is_default=True)] == pictures([drawing(), told])


def test_a_drawing_that_is_pointed_at_comes_before_the_words_on_it() -> None:
    """Behind them it would read like their answer; what stands elsewhere, or was drawn just now, stays where it is."""
    first, second, words, other = drawing("ig_1"), drawing("ig_2"), user(), user(A)
    pointed = {"ig_1", "ig_2"}
    items: list[Item] = [SAID, words, other, first, second]
    assert [SAID, first, second, words, other] == pointed_first(items, pointed)
    assert [first, words] == pointed_first([words, first], pointed)
    others: list[list[Item]] = [[words, first], [words, SAID], [words]]
    assert others == [pointed_first(items, {"ig_2"}) for items in others]
    others = [[first, words], [SAID, first], [first], []]
    assert others == [pointed_first(items, pointed) for items in others]
