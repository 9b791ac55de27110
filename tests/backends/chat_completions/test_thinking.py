"""Thoughts in tags: taken out of the text wherever it is cut, with the log-probabilities of what is left."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.backends.chat_completions.thinking import MOST_SPACE, TAGS, Tags, estimated
from antiphon.core.deltas import Text, Thought
from antiphon.protocol.content import Logprob
from tests.patient import is_in_proportion

if TYPE_CHECKING:
    from antiphon.backends.chat_completions.config import ThinkTags
    from antiphon.core.deltas import Delta


def heard(*pieces: str, mode: ThinkTags = "auto") -> list[Delta]:
    """What the pieces of an answer say; each is a token."""
    tags = Tags(mode)
    deltas = [delta for piece in pieces if piece for delta in tags.feed(piece, [token(piece)])]
    return deltas + tags.flush()


def token(text: str) -> Logprob:
    """A token, certain of itself."""
    return Logprob(token=text, logprob=0.0, bytes=list(text.encode()))


def told(deltas: list[Delta]) -> tuple[str, str]:
    """The thought and the text."""
    thought = "".join(delta.text for delta in deltas if isinstance(delta, Thought))
    return thought, "".join(delta.text for delta in deltas if isinstance(delta, Text))


def tokens(deltas: list[Delta]) -> str:
    """The tokens whose log-probabilities are told."""
    return "".join(token.token for delta in deltas if isinstance(delta, Text) for token in delta.logprobs)


@pytest.mark.parametrize(
    ("answer", "mode", "thought", "text"),
    [
        ("<think>Hm.</think>Yes.", "auto", "Hm.", "Yes."),
        (" \n<think>\nHm.\n\nSo.\n</think>\n\nYes. ", "auto", "Hm.\n\nSo.", "Yes. "),
        ("<think>\n\n</think>\n\nYes.", "auto", "", "Yes."),
        ("<think></think>", "auto", "", ""),
        ("<think>Cut sho", "auto", "Cut sho", ""),
        ("<think>a</thought>b</think>c", "auto", "a</thought>b", "c"),
        ("<think>a</think>b<think>c</think>", "auto", "a", "b<think>c</think>"),
        ("The tag <think> opens.</think>", "auto", "", "The tag <think> opens.</think>"),
        ("</think>Yes.", "auto", "", "</think>Yes."),
        ("<thinker>", "auto", "", "<thinker>"),
        ("  <thin", "auto", "", "  <thin"),
        ("\n\n", "auto", "", "\n\n"),
        ("", "auto", "", ""),
        ("Hm.</think>\nYes.", "open", "Hm.", "Yes."),
        ("<think>Hm.</think>\nYes.", "open", "Hm.", "Yes."),
        ("Hm.[/THINK]Yes.", "open", "Hm.", "Yes."),
        ("Hm. Never closed.", "open", "Hm. Never closed.", ""),
        ("<thi", "open", "<thi", ""),
        ("  ", "open", "", ""),
        ("<think>Hm.</think>Yes.", "off", "", "<think>Hm.</think>Yes."),
    ],
)
def test_an_answer_parts_into_thought_and_text(answer: str, mode: ThinkTags, thought: str, text: str) -> None:
    """However it is cut in two, and letter by letter."""
    assert (thought, text) == told(heard(answer, mode=mode))
    assert (thought, text) == told(heard(*answer, mode=mode))
    cuts = [told(heard(answer[:cut], answer[cut:], mode=mode)) for cut in range(len(answer))]
    assert [(thought, text)] * len(answer) == cuts


@pytest.mark.parametrize(("opening", "closing"), TAGS.items())
def test_every_pair_of_tags_is_known(opening: str, closing: str) -> None:
    """Models were taught different ones."""
    assert ("Hm.", "Yes.") == told(heard(f"{opening}Hm.{closing}Yes."))


ANSWERS = st.lists(
    st.sampled_from(["<think>", "</think>", "[THINK]", "<thi", "nk>", "</", "a", "é", " ", "\n", "👋"]), max_size=14
).map("".join)


@given(ANSWERS, st.sampled_from(["auto", "open", "off"]), st.data())
def test_no_cut_changes_what_is_heard(answer: str, mode: ThinkTags, draw: st.DataObject) -> None:
    """Any pieces add up to the same thought and the same text."""
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(answer)), max_size=10)))
    pieces = [answer[start:end] for start, end in pairwise([0, *cuts, len(answer)])]
    assert told(heard(answer, mode=mode)) == told(heard(*pieces, mode=mode))


@given(ANSWERS, st.sampled_from(["auto", "open", "off"]))
def test_each_character_of_the_text_has_its_token(answer: str, mode: ThinkTags) -> None:
    """Token by token, the log-probabilities are those of the text, and of no thought."""
    deltas = heard(*answer, mode=mode)
    assert told(deltas)[1] == tokens(deltas)


def test_a_token_that_is_said_in_part_is_told() -> None:
    """A tag may end within one."""
    assert [Thought("Hm."), Text("Yes", [token(">Yes")]), Text(".", [token(".")])] == heard(
        "<think>Hm.</think", ">Yes", "."
    )


def test_what_is_certain_does_not_wait() -> None:
    """Only what may yet become a tag, and white space before it."""
    tags = Tags("auto")
    assert [Thought("Hm.")] == tags.feed("<think>Hm. </", [])
    assert [Thought(" </b")] == tags.feed("b", [])
    assert [] == tags.feed("</think> ", [])
    assert [Text("Yes ", [])] == tags.feed("Yes ", [])
    assert tags.over


def test_white_space_without_end_is_told() -> None:
    """What would have to wait for ever is what it looks like: text at the beginning, and in a thought a thought."""
    space = "  \n" * MOST_SPACE
    for pieces in ([space], [*space]):
        assert ("", f"{space}<think>a") == told(heard(*pieces, "<think>a"))
        assert (f"a{space}", "b") == told(heard("<think>a", *pieces, "</think>", "b"))
        assert (f"a{space}b", "") == told(heard("<think>a", *pieces, "b"))
    tags = Tags("auto")
    assert [] == tags.feed(" " * MOST_SPACE, [])
    assert [Text(" " * (MOST_SPACE + 1), [])] == tags.feed(" ", [])
    tags = Tags("auto")
    assert [Thought("a")] == tags.feed("<think>a" + " " * MOST_SPACE, [])
    assert [Thought(" " * (MOST_SPACE + 1))] == tags.feed(" ", [])
    assert [Thought(" ")] == tags.feed(" ", [])


def test_white_space_before_a_thought_is_dropped_however_long() -> None:
    """There is nothing that it could belong to."""
    space = " " * (2 * MOST_SPACE)
    assert ("a", "b") == told(heard("<think>", *space, "a</think>", *space, "b"))
    assert ("a", "b") == told(heard(*space, "a</think>b", mode="open"))


@pytest.mark.parametrize(("before", "after"), [("", "ok"), ("<think>a", "</think>ok"), ("<think>a</think>", "ok")])
def test_white_space_costs_each_character_once(before: str, after: str) -> None:
    """With its log-probabilities."""
    blank = token(" " * 10)

    def hear(times: int) -> None:
        tags = Tags("auto")
        tags.feed(before, [token(before)])
        said = [delta for _ in range(times) for delta in tags.feed(" " * 10, [blank])]
        said += tags.feed(after, [token(after)])
        assert told(said)[1].endswith("ok")

    assert is_in_proportion(hear, 60_000)


def test_a_thought_goes_on_after_an_interruption() -> None:
    """A call may be made in the middle of it."""
    tags = Tags("open")
    assert [Thought("Hm.")] == tags.feed("Hm.", [])
    assert [] == tags.flush()
    assert [Thought("More."), Text("So.", [])] == tags.feed("More.</think>So.", [])
    tags = Tags("open")
    assert [] == tags.feed(" <thi", [])
    assert [Thought("<thi")] == tags.flush()
    assert [Thought(" nk")] == tags.feed(" nk ", [])
    assert [] == tags.flush()


def test_a_token_without_bytes_is_measured_by_its_text() -> None:
    """Some upstreams leave them out."""
    bare = [Logprob(token="</think>", logprob=0.0), Logprob(token="Né", logprob=0.0)]
    assert [Thought("Hm."), Text("Né", bare[1:])] == Tags("open").feed("Hm.</think>Né", bare)


@pytest.mark.parametrize(
    ("output", "thought", "said", "expected"),
    [(10, 0, 5, 0), (10, 5, 5, 5), (10, 1, 999, 1), (10, 5, 0, 10), (0, 5, 5, 0), (7, 2, 1, 5)],
)
def test_thought_tokens_are_estimated_by_their_characters(output: int, thought: int, said: int, expected: int) -> None:
    """Never more than there are, and at least one where something was thought."""
    assert expected == estimated(output, thought=thought, said=said)
