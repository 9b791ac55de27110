"""What a model sees of a conversation that was summed up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.core.compaction import (
    Summary,
    last_compaction,
    split,
    threshold,
    told,
    unfolded,
    user_messages,
    without_sight,
)
from antiphon.core.cutting import blocks, is_instruction, is_summary, last_said, tie
from antiphon.core.transcript import transcript
from antiphon.core.turn import Turn
from antiphon.protocol.content import InputFile, InputImage, InputText
from antiphon.protocol.errors import ApiError
from antiphon.protocol.items import Compaction, FunctionCallOutput, Item, Message
from antiphon.protocol.request import CompactionRule, CreateResponse
from tests.core.test_cutting import call, conversations, message, output, thought

SEALED = Compaction(id="cmp_1", encrypted_content="sealed")


def seen(items: list[Item], summary: Summary) -> list[Item]:
    """What a model sees."""
    return unfolded(items, {"cmp_1": summary})


def test_a_conversation_without_a_summary_is_seen_as_it_is() -> None:
    """Every item of it."""
    items: list[Item] = [message("user"), call("a"), output("a")]
    assert items == unfolded(items, {})
    assert last_compaction(items) is None


def test_what_the_user_said_stays_before_a_summary_that_does_not_stand_alone() -> None:
    """And nothing else does; what follows stays as well."""
    first, last, after = message("user", "1"), message("user", "2"), message("user", "3")
    items: list[Item] = [message("developer"), first, thought(), call("a"), output("a"), last, SEALED, after]
    assert [first, last, told("notes", "cmp_1"), after] == seen(items, Summary("notes", stands_alone=False))


def test_nothing_stays_before_a_summary_that_stands_alone_but_what_it_brings() -> None:
    """Instructions before it, the rest behind it."""
    rules, said = message("developer"), message("user", "Go.")
    items: list[Item] = [message("user", "Old."), message("assistant"), SEALED, message("assistant", "Done.")]
    expected = [rules, told("notes", "cmp_1"), said, items[-1]]
    assert expected == seen(items, Summary("notes", kept=[rules, said]))


def test_a_client_may_drop_what_stands_before_a_summary_that_stands_alone() -> None:
    """The model sees the same."""
    items: list[Item] = [message("user", "Old."), message("assistant"), SEALED, message("user", "Next.")]
    summary = Summary("notes", kept=[message("user", "Go.")])
    assert seen(items, summary) == seen(items[2:], summary)


def test_only_the_last_summary_counts() -> None:
    """It covers those before it."""
    older = Compaction(id="cmp_0", encrypted_content="older")
    said = message("user", "Between.")
    items: list[Item] = [older, said, SEALED]
    assert [told("notes", "cmp_1")] == seen(items, Summary("notes"))
    assert [said, told("notes", "cmp_1")] == seen(items, Summary("notes", stands_alone=False))
    assert SEALED is last_compaction(items)


def test_a_call_from_before_a_summary_stays_with_its_output_behind_it() -> None:
    """So that neither is refused for the lack of the other."""
    items: list[Item] = [message("user"), call("a"), call("b"), output("b"), SEALED, output("a")]
    left = seen(items, Summary("notes"))
    assert [told("notes", "cmp_1"), call("a"), output("a")] == left == transcript(left)


def test_a_call_that_a_summary_brings_is_not_brought_twice() -> None:
    """It stands among what was kept."""
    items: list[Item] = [message("user"), call("a"), SEALED, output("a")]
    left = seen(items, Summary("notes", kept=[call("a")]))
    assert [told("notes", "cmp_1"), call("a"), output("a")] == left == transcript(left)


def test_a_summary_that_nobody_opened_is_refused() -> None:
    """With the id of its item."""
    with pytest.raises(ApiError) as caught:
        unfolded([SEALED], {})
    assert "invalid_encrypted_content" == caught.value.code
    assert "cmp_1" in caught.value.error.message


def test_a_summary_is_no_word_of_the_users() -> None:
    """It is marked, and never given back as a message of the user's."""
    said = message("user")
    assert [said] == user_messages([told("notes", "cmp_1"), said, message("assistant")])
    assert is_summary(told("notes", "cmp_1"))


@given(conversations(), st.integers(0, 200))
def test_what_is_summed_up_and_what_stays_are_the_conversation(items: list[Item], room: int) -> None:
    """Nothing is lost, no group is torn, and instructions and what the user said last stay."""
    parts = split(Turn(items), room)
    kept, old = {id(item) for item in parts.kept}, {id(item) for item in parts.old}
    assert {id(item) for item in items} == kept | old
    assert not kept & old
    assert all({id(item) for item in group} <= kept or {id(item) for item in group} <= old for group in blocks(items))
    assert all(id(item) in kept for item in items if is_instruction(item))
    assert (said := last_said(items)) is None or id(said) in kept
    assert parts.kept == [item for item in items if id(item) in kept]


@given(conversations())
def test_what_is_kept_is_a_transcript_of_its_own(items: list[Item]) -> None:
    """No call of it lacks its output."""
    kept = split(Turn(items), 50).kept
    tied = [item for item in kept if tie(item) is not None]
    assert tied == [item for item in transcript(kept) if tie(item) is not None]


def test_what_came_last_stays_as_far_as_it_fits() -> None:
    """Not beyond what the user said last."""
    items: list[Item] = [
        message("user", "Old."),
        message("assistant", "Old."),
        message("user", "Go."),
        call("a"),
        output("a", "word " * 400),
        call("b"),
        output("b"),
    ]
    assert [*items[:2], *items[3:5]] == split(Turn(items), 100).old
    assert items[:2] == split(Turn(items), 10_000).old


def test_a_call_without_an_output_stays() -> None:
    """Its output is still to come, and must find it."""
    items: list[Item] = [call("a"), message("user"), message("assistant", "word " * 400), message("user", "Go.")]
    assert [items[0], items[3]] == split(Turn(items), 10).kept
    assert [items[3]] == split(Turn(items, outputs={"fc_a": "done"}), 10).kept


def test_an_earlier_summary_is_summed_up_again() -> None:
    """It is not what the user said last, even where nothing was said since."""
    items: list[Item] = [told("notes " * 300, "cmp_0"), call("a"), output("a")]
    assert items[:1] == split(Turn(items), 100).old


def test_a_conversation_that_fits_is_not_summed_up() -> None:
    """All of it stays."""
    items: list[Item] = [message("assistant"), call("a"), output("a")]
    assert ([], items) == (split(Turn(items), 1000).old, split(Turn(items), 1000).kept)


@pytest.mark.parametrize(
    ("rules", "window", "expected"),
    [
        (None, 1000, None),
        ([CompactionRule()], None, None),
        ([CompactionRule()], 10_000, 8_000),
        ([CompactionRule(compact_threshold=2000)], None, 2000),
        ([CompactionRule(compact_threshold=2000)], 1000, 2000),
        ([CompactionRule(compact_threshold=3000), CompactionRule(), CompactionRule(compact_threshold=2000)], 9, 2000),
    ],
)
def test_a_request_says_from_when_on_it_is_summed_up(
    rules: list[CompactionRule] | None, window: int | None, expected: int | None
) -> None:
    """Or the window does, of which a fifth is left."""
    assert expected == threshold(CreateResponse(context_management=rules), window)


def test_what_is_seen_is_named_where_it_would_be_too_much() -> None:
    """Text stays."""
    words, image, file = InputText(text="Look:"), InputImage(image_url="data:,"), InputFile(file_id="file-1")
    named = [
        words,
        InputText(text="[an image, which was shown before]"),
        InputText(text="[a file, which was shown before]"),
    ]
    items: list[Item] = [
        Message(id="msg_1", role="user", content=[words, image, file]),
        FunctionCallOutput(id="fco_1", call_id="c", output=[words, image, file]),
        output("d"),
    ]
    assert [
        Message(id="msg_1", role="user", content=list(named)),
        FunctionCallOutput(id="fco_1", call_id="c", output=list(named)),
        output("d"),
    ] == without_sight(items)
